//! The messages of the journal, apart from those of its writers.

use mailbox::{Outlet, drain};

/// Commit everything that was sent before, and say so.
#[derive(Debug)]
pub(crate) struct Sync {
    /// Is told when it is done, or has failed.
    pub(crate) done: Outlet<Synced>,
}

/// Everything that was sent before is in the file, or is known not to be.
#[derive(Debug)]
pub(crate) struct Synced;

/// Commit everything that was sent before, and close the file: the node stops.
#[derive(Debug)]
pub(crate) struct Close {
    /// Dropped when the file is closed.
    pub(crate) token: drain::Token,
}
