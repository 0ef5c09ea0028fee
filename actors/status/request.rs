//! What can be asked on the control socket: one line of JSON.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// One command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Why does federation with a domain work, or not?
    Explain {
        /// The remote domain.
        domain: String,
    },
    /// Which links are there?
    Sessions {
        /// Only with this domain.
        #[serde(default)]
        domain: Option<String>,
        /// At most so many.
        #[serde(default = "limit")]
        limit: usize,
    },
    /// What waits for a link?
    Queues {
        /// Only for this domain.
        #[serde(default)]
        domain: Option<String>,
        /// At most so many.
        #[serde(default = "limit")]
        limit: usize,
    },
    /// How are the configured components?
    Components {
        /// Only this one.
        #[serde(default)]
        name: Option<String>,
    },
    /// End the pause of a domain.
    Retry {
        /// The remote domain.
        domain: String,
    },
    /// Keep no record of a connection: `nuncio probe` announces its own ones.
    ExpectProbe {
        /// Its end of the connection.
        address: SocketAddr,
    },
    /// Close the links with a domain, or the connection of a component.
    Close {
        /// The remote domain, or the component's name.
        domain: String,
    },
}

impl Request {
    /// The line that asks it.
    pub fn line(&self) -> String {
        // Strings and numbers can always be written.
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }
}

fn limit() -> usize {
    DEFAULT_LIMIT
}

/// Lines of an answer when nothing else is wanted: more than a screen, fewer than anybody minds.
pub const DEFAULT_LIMIT: usize = 100;

/// Lines of an answer at most, whatever is wanted: some megabytes.
pub const MOST: usize = 10_000;
