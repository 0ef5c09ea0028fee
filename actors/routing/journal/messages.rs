//! The messages of the journal, apart from those of its writers.

use journal::record::Record;

use mailbox::{Outlet, drain};

/// Commit everything that was sent before, and say so: queues have stanzas that leave the memory when they are in the file.
#[derive(Debug)]
pub(crate) struct Confirm {
    /// Is told when it is done, or has failed.
    pub(crate) done: Outlet<Confirmed>,
}

/// Everything that was sent before is in the file, or is known not to be: the handles tell which.
#[derive(Debug)]
pub(crate) struct Confirmed;

/// Read these records.
#[derive(Debug)]
pub(crate) struct Fetch {
    /// The question.
    pub(crate) id: u64,
    /// In the order in which they are wanted.
    pub(crate) keys: Vec<u64>,
    /// Gets them.
    pub(crate) answer: Outlet<Fetched>,
}

/// The records that were asked for.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// The question.
    pub(crate) id: u64,
    /// In the order of the keys; `None` for each that is missing or damaged. Nothing at all if the file cannot be read now.
    pub(crate) records: Option<Vec<Option<Record>>>,
}

/// Commit everything that was sent before, and say so.
#[derive(Debug)]
pub(crate) struct Sync {
    /// Is told when it is done, or has failed.
    pub(crate) done: Outlet<Synced>,
}

/// Everything that was sent before is in the file, or is known not to be.
#[derive(Debug)]
pub(crate) struct Synced;

/// Open a file that fails once more now: the node stops, and gives the journal what is left for the next start.
#[derive(Debug)]
pub(crate) struct TryAgain;

/// Commit everything that was sent before, and close the file: the node stops.
#[derive(Debug)]
pub(crate) struct Close {
    /// Dropped when the file is closed.
    pub(crate) token: drain::Token,
}
