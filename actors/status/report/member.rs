//! The reports of a cluster: its members, and the broker that connects them.

use serde::{Deserialize, Serialize};

use super::time::{Seconds, Time};

/// The cluster as one node sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClusterReport {
    /// The name of the cluster.
    pub cluster: String,
    /// The name of the node that answers.
    pub node: String,
    /// The connection to the broker.
    pub broker: BrokerReport,
    /// Whether the node holds its lease, so that it may claim links.
    pub has_lease: bool,
    /// Why the broker refuses the record of the node, if it does. Without that record there is no lease.
    pub refusal: Option<String>,
    /// The other run that has the record of the node, if there is one: another process with its name, or the run before. Until
    /// it has ended, the node has no lease.
    pub waits_for: Option<String>,
    /// The nodes, sorted by name.
    pub nodes: Vec<MemberReport>,
}

/// The connection to the broker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BrokerReport {
    /// Whether it is connected.
    pub connected: bool,
    /// The time of the last change of `connected`; the start of the node if there was none.
    pub since: Time,
    /// The reason for the end of the last connection, or why there is none.
    pub last_error: Option<String>,
}

/// A node of the cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemberReport {
    /// Its name.
    pub name: String,
    /// Whether this node takes it for alive.
    pub state: MemberState,
    /// The time since its last sign of life. `None` for the node that answers.
    pub last_seen: Option<Seconds>,
    /// The pairs of domains whose link it makes, at its last sign of life. `None`: it does not run.
    pub claims: Option<u64>,
    /// The components that are connected to it, at its last sign of life. `None`: it does not run.
    pub components: Option<u64>,
    /// The pairs of domains and the components for which this node sends stanzas through it.
    pub relays: u64,
    /// Bytes of stanzas that were sent to it and are not settled.
    pub unsettled_bytes: u64,
    /// The time until it answers a message.
    pub round_trip: Option<Seconds>,
    /// Parcels of stanzas that were sent to it again.
    pub resent: u64,
    /// What it has to have in common with this node and has not, for example the secret for dialback.
    pub trouble: Option<String>,
}

impl MemberReport {
    /// A node of which nothing more is known.
    pub fn new(name: String, state: MemberState) -> Self {
        Self {
            name,
            state,
            last_seen: None,
            claims: None,
            components: None,
            relays: 0,
            unsettled_bytes: 0,
            round_trip: None,
            resent: 0,
            trouble: None,
        }
    }
}

/// The state of a node of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemberState {
    /// The node that answers.
    Own,
    /// It gives signs of life.
    Alive,
    /// It was not seen for the time of the lease.
    Dead,
    /// It has stopped in order.
    Left,
    /// The broker is not connected, so nobody knows.
    Unknown,
}
