//! Answers on the control socket: one JSON document for each, followed by a line break.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{
    amount::Amount,
    escape,
    event::Event,
    report::{Account, ClusterReport, ComponentReport, LinkReport, MailboxReport, Pair, QueueReport, Time},
};

/// An answer, with the fields that all answers have.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Answer<T> {
    /// The version of the node.
    pub version: String,
    /// The time of the answer.
    pub time: Time,
    /// The time at which the node started.
    pub started: Time,
    /// The parts of the node that did not answer in time, and of other nodes, and nodes. Their data is missing from the answer.
    pub unanswered: Vec<String>,
    /// The node that was asked, if the answer is that of all nodes of a cluster; absent otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_node: Option<String>,
    /// The other nodes in `unanswered`, with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Missing>,
    /// The requested data. Its fields are on the same level as the others.
    #[serde(flatten)]
    pub found: T,
}

/// The state of federation with a domain, and the reason for it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Explanation {
    /// The domain in its normal form.
    pub domain: String,
    /// The state and its reason, in one sentence.
    pub sentence: String,
    /// The first 100 links with the domain.
    pub links: Vec<LinkReport>,
    /// The number of all links with the domain.
    pub links_total: usize,
    /// The first 100 queues for the domain.
    pub queues: Vec<QueueReport>,
    /// The number of all queues for the domain.
    pub queues_total: usize,
    /// The delivery totals of the domain.
    pub account: Account,
    /// The recent events, the oldest first.
    pub events: Vec<Event>,
    /// The number of events of all domains that were lost because too many came at once.
    pub events_lost: u64,
    /// Some parent domains and subdomains with links or queues.
    #[serde(default)]
    pub related: Vec<Related>,
    /// The domain of this node above the domain, if the node does not serve the domain itself.
    #[serde(default)]
    pub above: Option<String>,
}

/// The links of the node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sessions {
    /// The links, in the order and up to the limit of the request.
    pub links: Vec<LinkReport>,
    /// The number of all links.
    pub total: usize,
}

/// The queues of the node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Queues {
    /// The queues, the longest first, up to the limit of the request.
    pub queues: Vec<QueueReport>,
    /// The number of all queues.
    pub total: usize,
    /// The stanzas in all queues.
    pub waiting: Amount,
}

/// The configured components.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Components {
    /// The components, sorted by name, connected or not.
    pub components: Vec<ComponentReport>,
}

/// The nodes of the cluster.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Nodes {
    /// The cluster as the node sees it. Its fields are on the same level as the others.
    #[serde(flatten)]
    pub cluster: ClusterReport,
}

/// The mailboxes of the node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Mailboxes {
    /// One report for each kind of actor, in the order in which the kinds were started.
    pub mailboxes: Vec<MailboxReport>,
}

/// The result of a `retry` command.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Retried {
    /// The domain in its normal form.
    pub domain: String,
    /// The result in one sentence.
    pub sentence: String,
    /// Pairs for which an attempt was started.
    pub begun: Vec<PairAt>,
    /// Pairs for which an attempt was running already.
    pub under_way: Vec<PairAt>,
}

/// A pair of domains, and the node of the cluster at which it is tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairAt {
    /// The pair. Its fields are on the same level as the node.
    #[serde(flatten)]
    pub pair: Pair,
    /// The node; absent for a node that is alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

/// A parent domain or subdomain of the requested one that has links or queues.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Related {
    /// The domain.
    pub domain: String,
    /// The number of its open links.
    pub links: usize,
    /// The stanzas in its queues.
    pub waiting: Amount,
}

/// Confirms that the events of a connection of `nuncio probe` are not recorded.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Expected {
    /// The address from which the probe connects.
    pub address: SocketAddr,
}

/// The result of a `close` command.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Closed {
    /// The domain in its normal form.
    pub domain: String,
    /// The result in one sentence.
    pub sentence: String,
    /// The number of links that this node had opened.
    pub outgoing: usize,
    /// The number of links that the remote server had opened.
    pub incoming: usize,
    /// Whether all of them are closed on both sides.
    pub down: bool,
    /// The stanzas that wait for the next link.
    pub waiting: Amount,
    /// The nodes of the cluster that had such links; empty for a node that is alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<ClosedAt>,
}

/// The links that a node of the cluster has closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosedAt {
    /// The node.
    pub node: String,
    /// The number of links that it had opened.
    pub outgoing: usize,
    /// The number of links that the remote server had opened, or of connections of a component.
    pub incoming: usize,
    /// Whether all of them are closed on both sides.
    pub down: bool,
}

/// Data that is missing from the answer of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// The node; `None`: all but the one that was asked.
    pub node: Option<String>,
    /// The reason. Its fields are on the same level as the node.
    #[serde(flatten)]
    pub why: MissingWhy,
}

/// Why data of a node is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum MissingWhy {
    /// The message broker is not connected, so no other node can be asked.
    NoBroker,
    /// It did not answer in time.
    NoAnswer,
    /// It answers other commands, and as many wait as may.
    Busy,
    /// It has another release, whose questions and answers differ from those of this one.
    Release,
    /// Its answer is too long.
    TooLong {
        /// The limit in bytes.
        limit: u64,
    },
    /// Parts of it did not answer in time.
    Parts {
        /// The parts.
        parts: Vec<String>,
    },
}

/// An error in place of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The error in one sentence.
    pub error: String,
}

impl Missing {
    /// What stands for it in `unanswered`: `node b`, `router of node b`.
    pub fn names(&self) -> Vec<String> {
        let node = self.node.as_ref().map_or_else(|| "other nodes".to_owned(), |node| format!("node {node}"));
        match &self.why {
            MissingWhy::Parts { parts } => parts.iter().map(|part| format!("{part} of {node}")).collect(),
            _ => vec![node],
        }
    }
}

impl<T: Serialize> Answer<T> {
    /// Writes the JSON document and a line break. Hidden characters are escaped.
    pub fn document(&self) -> String {
        document(self)
    }
}

impl Refusal {
    /// Makes an error with this sentence.
    pub fn new(error: impl Into<String>) -> Self {
        Self { error: error.into() }
    }

    /// Writes the JSON document and a line break. Hidden characters are escaped.
    pub fn document(&self) -> String {
        document(self)
    }
}

fn document(value: &impl Serialize) -> String {
    match serde_json::to_string(value) {
        Ok(text) => format!("{}\n", escape::json(&text)),
        // Not reached: no value of an answer has a key or a number that JSON cannot represent.
        Err(error) => format!("{{\"error\":\"the answer cannot be written: {error}\"}}\n"),
    }
}
