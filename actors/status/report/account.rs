//! The delivery totals of one domain, or of all.

use serde::{Deserialize, Serialize};

use crate::amount::Amount;

/// The outcomes of all stanzas that the node has accepted for one domain, or for all.
///
/// `taken` = `written` + `uncertain` + `answered` + `expired` + `dropped` + `kept` + `relayed` + `waiting`. `acknowledged` and `unacked` are
/// parts of `written`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Account {
    /// Accepted by the node.
    pub taken: Amount,
    /// Written to the socket of an open link.
    pub written: Amount,
    /// Written, and acknowledged by the remote server (XEP-0198).
    pub acknowledged: Amount,
    /// Written to an acknowledged stream, and not acknowledged yet.
    pub unacked: Amount,
    /// Written, and possibly lost: the link ended before the peer can have read them.
    pub uncertain: Amount,
    /// Written again after the loss of a stream, although they may have arrived. Not a part of the sum: a stanza counts
    /// as written once.
    pub repeated: Amount,
    /// Answered with an error.
    pub answered: Amount,
    /// Answered with an error because their time in the queue was over.
    pub expired: Amount,
    /// Dropped because the rules forbid an answer.
    pub dropped: Amount,
    /// Left in the file of the journal, for the next start of the node.
    pub kept: Amount,
    /// Settled by another node of the cluster, which got them from this one.
    pub relayed: Amount,
    /// Taken from other nodes of the cluster, in whose accounts they stand. Not a part of the sum.
    pub carried: Amount,
    /// The part of `carried` that was settled here.
    pub carried_settled: Amount,
    /// Taken in from the file of the journal at the start. A part of `taken`.
    pub restored: Amount,
    /// Given to the journal while they waited. Not a part of the sum.
    pub journaled: Amount,
    /// Held in a queue or by an actor of the node.
    pub waiting: Amount,
}

impl Account {
    /// Returns the column-wise sum.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            taken: self.taken.plus(other.taken),
            written: self.written.plus(other.written),
            acknowledged: self.acknowledged.plus(other.acknowledged),
            unacked: self.unacked.plus(other.unacked),
            uncertain: self.uncertain.plus(other.uncertain),
            repeated: self.repeated.plus(other.repeated),
            answered: self.answered.plus(other.answered),
            expired: self.expired.plus(other.expired),
            dropped: self.dropped.plus(other.dropped),
            kept: self.kept.plus(other.kept),
            relayed: self.relayed.plus(other.relayed),
            carried: self.carried.plus(other.carried),
            carried_settled: self.carried_settled.plus(other.carried_settled),
            restored: self.restored.plus(other.restored),
            journaled: self.journaled.plus(other.journaled),
            waiting: self.waiting.plus(other.waiting),
        }
    }
}
