//! The report of the stanzas that wait for a link, or for a component.

use serde::{Deserialize, Serialize};

use super::{failure::FailureReport, time::Seconds};
use crate::amount::Amount;

/// The queue of one domain pair, or of one component.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueueReport {
    /// The node of the cluster that reports it; absent for a node that is alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The domain of this node; `*` for the queue of a component, which has stanzas of all senders.
    pub local: String,
    /// The domain of the remote server, or the name of the component.
    pub remote: String,
    /// The state of the delivery.
    pub state: QueueState,
    /// The stanzas in the queue.
    pub waiting: Amount,
    /// Those of them that a lost link carried, and that were not acknowledged: they may have arrived.
    #[serde(default)]
    pub open: Amount,
    /// The number of those that are in the file of the journal too.
    #[serde(default)]
    pub kept: u64,
    /// Those that are in the file of the journal only, because the queue is full in memory.
    #[serde(default)]
    pub on_disk: Amount,
    /// The time for which the oldest stanza has been waiting.
    pub oldest: Option<Seconds>,
    /// The time until the next attempt. Without a stanza in the queue there is no attempt.
    pub next_attempt: Option<Seconds>,
    /// The number of failed attempts in a row.
    pub failures: u32,
    /// The failure of the last attempt.
    pub trouble: Option<FailureReport>,
}

/// The state of the delivery from a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QueueState {
    /// Too many attempts are running; this queue waits for a free slot.
    Turn,
    /// This node asks which node of its cluster has the link.
    Claim,
    /// An attempt is running.
    Attempt,
    /// A link is open, or a component is connected, and receives the stanzas of the queue.
    Handover,
    /// A link is open, and takes the stanzas of the queue as the remote server reads them.
    Slow,
    /// A link has ended and returns the stanzas that it did not write.
    Return,
    /// The component is not connected.
    Absent,
    /// The last attempt failed; the queue waits for the end of the back-off.
    Pause,
}
