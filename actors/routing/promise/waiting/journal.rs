//! The part of the queues that is in the journal too.

use std::time::Instant;

use xmpp::DomainPair;

use super::{Line, Waiting};
use crate::flow::journal::Group;

impl Waiting {
    /// Gives the journal what came for the pair at `until` or earlier and is not written yet. Gives the time at which the
    /// first of the others came.
    pub(in super::super) fn write_old(
        &mut self,
        pair: &DomainPair,
        until: Instant,
        group: &mut Group<'_>,
    ) -> Option<Instant> {
        self.lines.get_mut(pair)?.queue.write_old(until, group)
    }

    /// Offers everything to the journal once more.
    pub(in super::super) fn offer_again(&mut self) {
        self.lines.values_mut().for_each(|line| line.queue.offer_again());
    }

    /// Whether something for the pair was not offered to the journal.
    pub(in super::super) fn has_unoffered(&self, pair: &DomainPair) -> bool {
        self.lines.get(pair).is_some_and(|line| line.queue.has_unoffered())
    }

    /// Stanzas for the pair that survive a crash.
    pub(in super::super) fn stored(&self, pair: &DomainPair) -> usize {
        self.lines.get(pair).map_or(0, |line: &Line| line.queue.stored())
    }
}
