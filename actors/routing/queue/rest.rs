//! The stanzas of a batch that a queue does not take, with the bound that leaves no room for them.

use xmpp::Stanza;

use super::Bound;
use crate::flow::{account, batch::Batch, journal::Place};

/// The stanzas of a batch that a queue has not taken.
#[derive(Debug, Default)]
pub(in crate::routing) struct Rest {
    /// Those for which a bound of the queue leaves no room, with the bound.
    pub(in crate::routing) refused: Vec<(Bound, Batch)>,
    /// The first for which the memory of all queues leaves no room, and all behind it.
    pub(in crate::routing) without_memory: Option<Batch>,
}

/// Collects them, in order.
#[derive(Debug, Default)]
pub(in crate::routing) struct Collected(Vec<(Bound, Batch)>);

impl Collected {
    /// The bound of the last one.
    pub(in crate::routing) fn last(&self) -> Option<Bound> {
        self.0.last().map(|(bound, _)| *bound)
    }

    /// Adds a stanza of `batch`.
    pub(in crate::routing) fn push(&mut self, batch: &Batch, bound: Bound, stanza: Stanza, place: Place) {
        match self.0.last_mut() {
            Some((last, part)) if *last == bound => part.push(stanza, place),
            _ => {
                let mut part = batch.with(Vec::new(), account::Entry::none());
                part.push(stanza, place);
                self.0.push((bound, part));
            }
        }
    }

    /// All of them. Those that are `taken` in the account are moved from `entry` to their own entries.
    pub(in crate::routing) fn finish(self, taken: bool, entry: &mut account::Entry) -> Rest {
        let mut rest = Rest::default();
        for (bound, mut part) in self.0 {
            if taken {
                part.entry = entry.split(part.amount());
            }
            match bound {
                Bound::Memory => rest.without_memory = Some(part),
                Bound::Stanzas | Bound::Bytes | Bound::Disk | Bound::Entries | Bound::Unwritten => {
                    rest.refused.push((bound, part));
                }
            }
        }
        rest
    }
}

#[cfg(test)]
impl Rest {
    pub(in crate::routing) fn is_empty(&self) -> bool {
        self.refused.is_empty() && self.without_memory.is_none()
    }
}
