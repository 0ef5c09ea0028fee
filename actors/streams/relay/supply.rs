//! Where the stanzas of a relay come from: from the router, or in portions from the promise or the mailroom.

use crate::flow::batch::{Batch, ReadPermit};

/// Where the stanzas come from.
#[derive(Debug)]
pub(super) enum Supply {
    /// From the promise or the mailroom. What the router sends is held, with its read permits, until all that waited there
    /// is here.
    Store {
        /// Batches of the router.
        held: Vec<Batch>,
        asks: Asks,
    },
    /// From the router.
    Router,
    /// From the router, which has been told that the relay is congested. Until it knows, the read permits of what it sends
    /// are kept, so that this is one read of each stream at most.
    Congested {
        /// Dropped when the router knows.
        permits: Vec<ReadPermit>,
    },
}

/// Whether the relay asks for portions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    /// All that waits comes at once.
    Never,
    /// It asks when little is unsettled.
    WhenDrained,
    /// It has asked, and the answer is not here.
    Asked,
}

impl Supply {
    /// A new relay gets what waits first.
    pub(super) fn new() -> Self {
        Self::Store { held: Vec::new(), asks: Asks::Never }
    }

    /// A batch of the router. Gives it back if it is to be carried now.
    pub(super) fn admit(&mut self, batch: Batch) -> Option<Batch> {
        match self {
            Self::Store { held, .. } => {
                held.push(batch);
                return None;
            }
            Self::Router => {}
            Self::Congested { permits } => permits.push(batch.permit.clone()),
        }
        Some(batch)
    }

    /// A portion has come.
    pub(super) fn answered(&mut self) {
        if let Self::Store { asks: asks @ Asks::Asked, .. } = self {
            *asks = Asks::WhenDrained;
        }
    }

    /// Gives whether the router is to be told.
    pub(super) fn congest(&mut self) -> bool {
        let is_direct = matches!(self, Self::Router);
        if is_direct {
            *self = Self::Congested { permits: Vec::new() };
        }
        is_direct
    }

    /// The next stanzas come in portions.
    pub(super) fn pull(&mut self) {
        *self = Self::Store { held: self.take_held(), asks: Asks::WhenDrained };
    }

    /// The next stanzas come from the router. Gives what was held.
    pub(super) fn open(&mut self) -> Vec<Batch> {
        let held = self.take_held();
        *self = Self::Router;
        held
    }

    /// Gives whether to ask now.
    pub(super) fn ask(&mut self) -> bool {
        let Self::Store { asks: asks @ Asks::WhenDrained, .. } = self else { return false };
        *asks = Asks::Asked;
        true
    }

    /// Takes out the batches of the router that are held.
    pub(super) fn take_held(&mut self) -> Vec<Batch> {
        match self {
            Self::Store { held, .. } => std::mem::take(held),
            Self::Router | Self::Congested { .. } => Vec::new(),
        }
    }

    /// The relay takes no more stanzas: what still comes pauses no source.
    pub(super) fn release(&mut self) {
        match self {
            Self::Store { held, .. } => held.iter_mut().for_each(Batch::release),
            Self::Congested { permits } => permits.clear(),
            Self::Router => {}
        }
    }
}
