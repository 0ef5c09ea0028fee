//! The bounds of a queue, and the room that they leave for new stanzas.

use std::time::Duration;

use xmpp::{Stanza, stanza::Kind};

use crate::settings;

/// The bound that leaves no room for a stanza.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::routing) enum Bound {
    /// Stanzas in one queue.
    Stanzas,
    /// Bytes in one queue.
    Bytes,
    /// The memory of all queues.
    Memory,
    /// The part of the journal for queues that have no room in memory.
    Disk,
    /// The memory for the entries of stanzas in the journal: a quarter of that of all queues.
    Entries,
    /// Bytes of one queue that the journal has not written yet.
    Unwritten,
}

/// The bounds of one queue.
pub(in crate::routing) trait Bounds {
    /// Stanzas in the queue.
    fn max_stanzas(&self) -> usize;

    /// Bytes in the queue.
    fn max_bytes(&self) -> usize;

    /// The time that this stanza waits.
    fn time_of(&self, stanza: &Stanza) -> Duration;
}

/// Room for new stanzas.
#[derive(Clone, Copy)]
pub(in crate::routing) struct Room<'a> {
    pub(in crate::routing) bounds: &'a dyn Bounds,
    /// Weight that all queues together may still grow.
    pub(in crate::routing) free: usize,
}

/// The stanzas of a batch that a bound of the queue refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beyond {
    /// Those that do not fit. Smaller ones behind them may fit.
    Each,
    /// The first that does not fit, and all behind it: they wait elsewhere, in order.
    AllBehindTheFirst,
}

impl Bounds for settings::Promise {
    fn max_stanzas(&self) -> usize {
        self.max_stanzas
    }

    fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    fn time_of(&self, stanza: &Stanza) -> Duration {
        match stanza.kind() {
            Kind::Message => self.message,
            Kind::Presence => self.presence,
            Kind::Iq => self.iq,
        }
    }
}
