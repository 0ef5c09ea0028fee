//! The report of a configured component (XEP-0114).

use serde::{Deserialize, Serialize};

use super::{
    link::LinkReport,
    time::{Seconds, Time},
};
use crate::{address::Host, amount::Amount};

/// A configured component, connected or not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComponentReport {
    /// The first of its names, under which it is configured: a domain, or a wildcard `*.example.org`.
    pub name: String,
    /// The domains and wildcards that it serves, the first one too.
    #[serde(default)]
    pub names: Vec<String>,
    /// Whether the component is connected.
    pub connected: bool,
    /// The node of the cluster to which it is connected; `None`: this one, or none.
    #[serde(default)]
    pub node: Option<String>,
    /// The time of the last change of `connected`; the start of the node if there was none.
    pub since: Time,
    /// The end of its last connection.
    pub last_end: Option<Ending>,
    /// Stanzas that were answered with an error because the component was not connected.
    pub refused: Amount,
    /// Stanzas that wait for it, because it is not connected or reads slowly.
    #[serde(default)]
    pub waiting: Amount,
    /// The number of those that are in the file of the journal too.
    #[serde(default)]
    pub kept: u64,
    /// Those that are in the file of the journal only, because the queue is full in memory.
    #[serde(default)]
    pub on_disk: Amount,
    /// The time until the first of them is answered with an error.
    #[serde(default)]
    pub first_answered: Option<Seconds>,
    /// Connections that sent its name and a wrong secret.
    pub rejected: Rejections,
    /// Its connection.
    pub link: Option<LinkReport>,
}

/// The end of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// The time of the end.
    pub at: Time,
    /// The reason, as in the log.
    pub reason: String,
}

/// Connections with a wrong secret since the start of the node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejections {
    /// The number of connections.
    pub count: u64,
    /// The time of the last one.
    pub last: Option<Time>,
    /// The remote address of the last one.
    pub address: Option<Host>,
}
