//! The report of a configured component (XEP-0114).

use serde::{Deserialize, Serialize};

use super::{
    ending::Ending,
    link::LinkReport,
    ping::UnansweredPing,
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
    /// The node of the cluster to which it is connected, or at which it waits; `None`: this one, or none.
    #[serde(default)]
    pub node: Option<String>,
    /// The same, and whether it answers, or was connected before.
    pub state: ComponentState,
    /// The time of the last change of `connected`, or the time at which the node began to wait for it.
    pub since: Time,
    /// What happened at that time.
    pub since_event: SinceEvent,
    /// The ping that it has not answered.
    #[serde(default)]
    pub ping_unanswered: Option<UnansweredPing>,
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
    /// Connections with the right secret that were refused, because another one serves the name.
    #[serde(default)]
    pub conflicts: Rejections,
    /// Stanzas that `allow` and `deny` do not permit.
    #[serde(default)]
    pub denied: Denials,
    /// Its connection.
    pub link: Option<LinkReport>,
}

/// Whether a component is connected, and whether it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ComponentState {
    /// It has not connected since the node knows it.
    NeverConnected,
    /// Its last connection has ended.
    NotConnected,
    /// It has shown its secret. The cluster has not said yet whether it is connected to another node.
    WaitsForCluster,
    /// It is connected.
    Connected,
    /// It is connected, and has sent nothing since it was pinged.
    PingUnanswered,
}

/// What happened at the time in `since`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SinceEvent {
    /// The node started. The component has not connected since.
    NodeStarted,
    /// A reload added the component. It has not connected since.
    AddedByReload,
    /// The cluster was asked whether it is connected to another node.
    Asked,
    /// It connected.
    Connected,
    /// Its connection ended.
    Disconnected,
}

/// Refused connections of one kind since the start of the node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejections {
    /// The number of connections.
    pub count: u64,
    /// The time of the last one.
    pub last: Option<Time>,
    /// The remote address of the last one.
    pub address: Option<Host>,
}

/// Stanzas that the rules of a component do not permit, since the start of the node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denials {
    /// Those to the component.
    pub from_remote: u64,
    /// Those of the component.
    pub from_component: u64,
    /// The last one.
    pub last: Option<DeniedStanza>,
}

/// A stanza that the rules of a component do not permit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeniedStanza {
    /// The time at which it came.
    pub at: Time,
    /// The sender, without a resource.
    pub from: String,
    /// The recipient, without a resource.
    pub to: String,
    /// The remote address of the connection on which it came.
    pub address: Host,
}

impl ComponentState {
    /// The state in words: `connected, ping unanswered for 40 s`.
    pub fn in_words(self, ping: Option<&UnansweredPing>, now: Time) -> String {
        match (self, ping) {
            (Self::NeverConnected, _) => "never connected".to_owned(),
            (Self::NotConnected, _) => "not connected".to_owned(),
            (Self::WaitsForCluster, _) => "waits for the cluster".to_owned(),
            (Self::PingUnanswered, Some(ping)) => {
                format!("connected, ping unanswered for {}", Seconds(ping.since.before(now)))
            }
            (Self::Connected | Self::PingUnanswered, _) => "connected".to_owned(),
        }
    }

    /// The same, without the time: `ping unanswered`.
    pub fn in_short(self) -> &'static str {
        match self {
            Self::NeverConnected => "never connected",
            Self::NotConnected => "not connected",
            Self::WaitsForCluster => "waits for the cluster",
            Self::Connected => "connected",
            Self::PingUnanswered => "ping unanswered",
        }
    }
}

impl SinceEvent {
    /// What comes before the time in a table: nothing, if the state says it.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::NodeStarted => "start of the node, ",
            Self::AddedByReload => "added by a reload, ",
            Self::Asked | Self::Connected | Self::Disconnected => "",
        }
    }
}

impl Rejections {
    /// Counts a connection from this address.
    pub fn count(&mut self, address: Host) {
        *self = Self { count: self.count + 1, last: Some(Time::now()), address: Some(address) };
    }
}

impl Denials {
    /// All of them.
    pub fn count(&self) -> u64 {
        self.from_remote + self.from_component
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_ping_that_is_not_answered_is_in_the_state() {
        let now = Time::now();
        let ping = UnansweredPing { since: Time(now.0 - Duration::from_secs(40)), closes: true };
        let told = |state: ComponentState| state.in_words(Some(&ping), now);
        assert_eq!(told(ComponentState::PingUnanswered), "connected, ping unanswered for 40 s");
        assert_eq!(told(ComponentState::NotConnected), "not connected");
        assert_eq!(serde_json::to_value(ComponentState::PingUnanswered).unwrap(), "ping-unanswered");
    }
}
