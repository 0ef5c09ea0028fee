//! The messages of the journal, apart from those of its writers.

use mailbox::{Outlet, drain};

/// Commit everything that was sent before, and say so.
#[derive(Debug)]
pub struct Sync {
    /// Is told when it is done, or has failed.
    pub done: Outlet<Synced>,
}

/// Everything that was sent before is in the file, or is known not to be.
#[derive(Debug)]
pub struct Synced;

/// Commit everything that was sent before, and close the file: the node stops.
#[derive(Debug)]
pub struct Close {
    /// Dropped when the file is closed.
    pub token: drain::Token,
}

/// Use this bound from now on.
#[derive(Debug)]
pub struct Adopt {
    /// Bytes of records in the file.
    pub max_bytes: u64,
}
