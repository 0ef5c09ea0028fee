//! The part of a queue that is in the journal too.

use std::time::Instant;

use super::Queue;
use crate::flow::journal::Group;
use status::amount::Amount;

impl Queue {
    /// Gives the journal what came at `until` or earlier and is not written yet. Gives the time at which the first of the
    /// others came.
    pub(in crate::routing) fn write_old(&mut self, until: Instant, group: &mut Group<'_>) -> Option<Instant> {
        let mut written = Amount::default();
        let mut younger = None;
        let mut end = self.offered;
        for (place, item) in self.items.range_mut(self.offered) {
            if item.kept.since > until {
                (end, younger) = (place, Some(item.kept.since));
                break;
            }
            end = place + 1;
            written = written.plus(item.kept.journal(item.open.is_some(), group));
        }
        self.offered = end;
        self.entry.journal(written);
        younger
    }

    /// Offers everything to the journal once more: it has lost some of it, or could not take it.
    pub(in crate::routing) fn offer_again(&mut self) {
        self.offered = i64::MIN;
    }

    /// Whether something was not offered to the journal.
    pub(in crate::routing) fn has_unoffered(&self) -> bool {
        self.items.last_place().is_some_and(|last| last >= self.offered)
    }

    /// The number of stanzas that survive a crash.
    pub(in crate::routing) fn stored(&self) -> usize {
        self.items.values().filter(|item| item.kept.place.is_stored()).count()
    }
}
