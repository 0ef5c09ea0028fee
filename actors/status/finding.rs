//! What one node finds for a request, and how the findings of all nodes of a cluster become one answer.
//!
//! A node that is alone makes its answer of its own finding. In a cluster the node that was asked adds those of the other
//! nodes, which send them as JSON ([`Found::encode`]).

mod close;
mod components;
mod explain;
mod gathering;
mod lists;
mod retry;

use serde::{Deserialize, Serialize};

pub use self::{
    close::Closing,
    explain::{Explained, MOST_EXPLAINED, MOST_RELATED, Served},
    gathering::{Gathering, Head},
    retry::Retries,
};
use crate::{
    answer::{Components, Queues, Sessions},
    request::Request,
};

/// The result of a request at one node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Found {
    /// What it found.
    pub result: Result<Finding, Refused>,
    /// Its parts that did not answer in time.
    pub unanswered: Vec<String>,
}

/// What a node found.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// For `explain`.
    Explain(Box<Explained>),
    /// For `sessions`.
    Sessions(Sessions),
    /// For `queues`.
    Queues(Queues),
    /// For `components`.
    Components(Components),
    /// For `retry`.
    Retry(Retries),
    /// For `close`.
    Close(Closing),
}

/// A node refuses a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The reason.
    pub why: Why,
    /// The reason in one sentence.
    pub error: String,
}

/// Why a node refuses a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// The name in it is no domain.
    NotADomain,
    /// The node serves the domain itself.
    Own,
    /// No component of this name is configured.
    NotConfigured,
    /// A part of the node without which there is no answer did not answer in time: it is in `unanswered`.
    Silent,
    /// The node does not know the request: it has another release.
    NotUnderstood,
}

/// What a node found, to which another node's can be added.
trait Merge {
    /// Writes the name of the node into each entry.
    fn name(&mut self, node: &str);

    /// Adds what another node has found. Both have named their entries.
    fn add(&mut self, other: Self);
}

impl Found {
    /// The JSON for another node.
    pub fn encode(&self) -> String {
        // Empty text, which is not reached, is not understood by the other node.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads the JSON of another node. `None`: it is none of these, or not for this request.
    pub fn decode(text: &str, request: &Request) -> Option<Self> {
        let found: Self = serde_json::from_str(text).ok()?;
        let is_its = match (&found.result, request) {
            (Ok(finding), request) => finding.is_for(request),
            (Err(refused), _) => refused.why != Why::NotUnderstood,
        };
        is_its.then_some(found)
    }
}

impl Refused {
    /// A refusal for this reason.
    pub fn new(why: Why, error: impl Into<String>) -> Self {
        Self { why, error: error.into() }
    }
}

impl Finding {
    fn is_for(&self, request: &Request) -> bool {
        matches!(
            (self, request),
            (Self::Explain(_), Request::Explain { .. })
                | (Self::Sessions(_), Request::Sessions { .. })
                | (Self::Queues(_), Request::Queues { .. })
                | (Self::Components(_), Request::Components { .. })
                | (Self::Retry(_), Request::Retry { .. })
                | (Self::Close(_), Request::Close { .. })
        )
    }

    fn name(&mut self, node: &str) {
        match self {
            Self::Explain(found) => found.name(node),
            Self::Sessions(found) => found.name(node),
            Self::Queues(found) => found.name(node),
            Self::Components(found) => found.name(node),
            Self::Retry(found) => found.name(node),
            Self::Close(found) => found.name(node),
        }
    }

    /// Adds what another node has found for the same request.
    fn add(&mut self, other: Self) {
        match (self, other) {
            (Self::Explain(found), Self::Explain(other)) => found.add(*other),
            (Self::Sessions(found), Self::Sessions(other)) => found.add(other),
            (Self::Queues(found), Self::Queues(other)) => found.add(other),
            (Self::Components(found), Self::Components(other)) => found.add(other),
            (Self::Retry(found), Self::Retry(other)) => found.add(other),
            (Self::Close(found), Self::Close(other)) => found.add(other),
            // Not reached: both are for the same request.
            _ => {}
        }
    }

    /// Puts the entries of several nodes in the order of the request, and leaves out those beyond its limit.
    fn arrange(&mut self, request: &Request) {
        match (self, request) {
            (Self::Explain(found), _) => found.arrange(),
            (Self::Sessions(found), Request::Sessions { limit, order, .. }) => {
                lists::arrange_links(&mut found.links, *order, *limit);
            }
            (Self::Queues(found), Request::Queues { limit, .. }) => {
                lists::arrange_queues(&mut found.queues, *limit);
            }
            _ => {}
        }
    }
}
