//! Where the stanzas of a session come from: from the router, or from the promise, which hands over what waited.

use std::time::Instant;

use crate::flow::batch::{Batch, ReadPermit};

/// Where the stanzas of a session come from.
pub(super) enum Supply {
    /// From the promise. What the router sends is held, with its read permits, until the promise has handed over all.
    Promise {
        /// Batches of the router.
        held: Vec<Batch>,
        asks: Asks,
    },
    /// From the router.
    Router,
    /// From the router, which has been told that the outbox is full. Until it knows, the read permits of what it sends
    /// are kept, so that this is one read of each stream at most.
    Congested {
        /// Dropped when the router knows.
        permits: Vec<ReadPermit>,
    },
}

/// Whether the session asks the promise for portions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    /// The promise hands over everything at once.
    Never,
    /// It asks when its outbox has drained. It was as full as it is since then, or longer.
    WhenDrained(Instant),
    /// It has asked, and the answer is not here.
    Asked,
}

impl Supply {
    /// A new session gets what waited in the promise, at once.
    pub(super) fn new() -> Self {
        Self::Promise { held: Vec::new(), asks: Asks::Never }
    }
}
