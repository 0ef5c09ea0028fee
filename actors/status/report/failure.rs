//! The report of a failed attempt.

use serde::{Deserialize, Serialize};

/// The reason why there is no link, and the remedy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureReport {
    /// The reason, in words.
    pub reason: String,
    /// Whether another attempt would fail for the same reason.
    pub definitive: bool,
    /// The id of the [`Cause`](crate::cause::Cause), as `nuncio probe` prints it.
    pub cause: String,
    /// The side that has to act.
    pub side: Side,
    /// The remedy, as a clause without a full stop.
    pub remedy: String,
}

/// The side that has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The operator of the remote server.
    Remote,
    /// The operator of this node.
    Local,
    /// Either of the two; the node cannot tell.
    Either,
    /// Neither: the problem is temporary.
    Nobody,
}
