//! The part of the queues that is in the journal too.

use std::time::Instant;

use xmpp::DomainPair;

use super::Waiting;
use crate::flow::journal::Group;
use crate::routing::{overflow::Overflow, queue::Queue};

impl Waiting {
    /// Gives the journal what came for the pair at `until` or earlier and is not written yet. Gives the time at which the
    /// first of the others came.
    pub(in super::super) fn write_old(
        &mut self,
        pair: &DomainPair,
        until: Instant,
        group: &mut Group<'_>,
    ) -> Option<Instant> {
        self.queues.get_mut(pair)?.write_old(until, group)
    }

    /// Offers everything to the journal once more.
    pub(in super::super) fn offer_again(&mut self) {
        self.queues.values_mut().for_each(Queue::offer_again);
    }

    /// Whether something for the pair was not offered to the journal.
    pub(in super::super) fn has_unoffered(&self, pair: &DomainPair) -> bool {
        self.queues.get(pair).is_some_and(Queue::has_unoffered)
    }

    /// Stanzas for the pair that survive a crash.
    pub(in super::super) fn stored(&self, pair: &DomainPair) -> usize {
        self.queues.get(pair).map_or(0, Queue::stored) + self.overflows.get(pair).map_or(0, Overflow::stored)
    }
}
