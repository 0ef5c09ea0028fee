//! Requests on the control socket: one line of JSON for each.

mod wrong;

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

pub use self::wrong::WrongRequest;

/// A request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Explain the state of federation with a domain.
    Explain {
        /// The remote domain.
        domain: String,
        /// Ask this node only, and not the others of its cluster.
        #[serde(default, skip_serializing_if = "is_false")]
        this_node: bool,
    },
    /// List the links.
    Sessions {
        /// Only links with this domain.
        #[serde(default)]
        domain: Option<String>,
        /// The maximum number of entries in the answer.
        #[serde(default = "limit")]
        limit: usize,
        /// Which links are the first.
        #[serde(default, skip_serializing_if = "Order::is_default")]
        order: Order,
        /// Ask this node only, and not the others of its cluster.
        #[serde(default, skip_serializing_if = "is_false")]
        this_node: bool,
    },
    /// List the queues.
    Queues {
        /// Only queues for this domain.
        #[serde(default)]
        domain: Option<String>,
        /// The maximum number of entries in the answer.
        #[serde(default = "limit")]
        limit: usize,
        /// Ask this node only, and not the others of its cluster.
        #[serde(default, skip_serializing_if = "is_false")]
        this_node: bool,
    },
    /// List the configured components.
    Components {
        /// Only the component of this name.
        #[serde(default)]
        name: Option<String>,
        /// Ask this node only, and not the others of its cluster.
        #[serde(default, skip_serializing_if = "is_false")]
        this_node: bool,
    },
    /// List the nodes of the cluster.
    Nodes,
    /// Show the mailboxes of all kinds of actors.
    Mailboxes,
    /// End the back-off of a domain.
    Retry {
        /// The remote domain.
        domain: String,
        /// Ask this node only, and not the others of its cluster.
        #[serde(default, skip_serializing_if = "is_false")]
        this_node: bool,
    },
    /// Do not record the events of a connection. `nuncio probe` announces its connections.
    ExpectProbe {
        /// The address from which the probe connects.
        address: SocketAddr,
    },
    /// Close the links with a domain, or the connection of a component.
    Close {
        /// The remote domain, or the name of the component.
        domain: String,
        /// Ask this node only, and not the others of its cluster.
        #[serde(default, skip_serializing_if = "is_false")]
        this_node: bool,
    },
}

/// The order of links in an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// By domain.
    #[default]
    Domain,
    /// Those with the most recent stanza first.
    Recent,
}

impl Order {
    // The signature is that of serde.
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Request {
    /// Whether all nodes of a cluster are asked.
    pub fn is_for_all_nodes(&self) -> bool {
        match self {
            Self::Explain { this_node, .. }
            | Self::Sessions { this_node, .. }
            | Self::Queues { this_node, .. }
            | Self::Components { this_node, .. }
            | Self::Retry { this_node, .. }
            | Self::Close { this_node, .. } => !this_node,
            Self::Nodes | Self::Mailboxes | Self::ExpectProbe { .. } => false,
        }
    }

    /// Writes the request as a line of JSON.
    pub fn line(&self) -> String {
        // A request has only strings and numbers, which JSON can represent.
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }
}

// The signature is that of serde.
fn is_false(this_node: &bool) -> bool {
    !this_node
}

fn limit() -> usize {
    DEFAULT_LIMIT
}

/// The number of entries in an answer if the request has no limit.
pub const DEFAULT_LIMIT: usize = 100;

/// The maximum number of entries in an answer. They take some megabytes.
pub const MOST: usize = 10_000;
