//! Shedding: the removal of stanzas from a queue when memory is short.

use std::collections::BTreeSet;

use xmpp::stanza::Kind;

use super::{Item, Queue, STANZA_COST};
use crate::flow::batch::Batch;

impl Queue {
    /// Takes out stanzas until the queue weighs at most `weight`: presence first, then messages that their
    /// sender does not want stored (XEP-0334), then the rest, and in the end what a lost link carried, which
    /// may have arrived; of each class the newest first.
    pub(in crate::routing) fn shed(&mut self, weight: usize) -> Vec<Batch> {
        let mut surplus = self.weight().saturating_sub(weight);
        let mut batches = Vec::new();
        for class in [is_presence, is_not_to_be_stored, is_new, is_any] {
            let mut chosen = BTreeSet::new();
            for (place, item) in self.items.iter().rev() {
                if surplus == 0 {
                    break;
                }
                if class(item) {
                    surplus = surplus.saturating_sub(item.bytes() + STANZA_COST);
                    chosen.insert(place);
                }
            }
            if !chosen.is_empty() {
                batches.extend(self.take_where(|place, _| chosen.contains(&place)));
            }
        }
        batches
    }
}

fn is_presence(item: &Item) -> bool {
    is_new(item) && item.kept.stanza.kind() == Kind::Presence
}

fn is_not_to_be_stored(item: &Item) -> bool {
    is_new(item) && item.kept.stanza.kind() == Kind::Message && item.kept.stanza.forbids_storing()
}

/// No link has carried it.
fn is_new(item: &Item) -> bool {
    item.open.is_none()
}

fn is_any(_: &Item) -> bool {
    true
}
