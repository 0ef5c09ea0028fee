//! The parts of the queues for which there is no room in memory: they are in the journal.
//!
//! While a pair has such a part, everything that comes goes behind it, and nothing that is held goes in front of it.

use std::time::Instant;

use journal::record::Record;
use xmpp::DomainPair;

use super::{Arrival, Bound, Waiting};
use crate::{
    flow::{
        batch::Batch,
        journal::{Group, Writer},
    },
    routing::overflow::{Confirmation, Footprint, LongQueue, Overflow, Space, TakenOut},
};
use status::amount::Amount;

impl Waiting {
    /// Lets queues that are full overflow to the journal.
    pub(in super::super) fn use_journal(&mut self) {
        self.can_overflow = true;
    }

    pub(in super::super) fn has_overflow(&self, pair: &DomainPair) -> bool {
        self.overflows.contains_key(pair)
    }

    /// Whether something for the pair waits in its queue in memory.
    pub(in super::super) fn has_in_memory(&self, pair: &DomainPair) -> bool {
        self.queues.get(pair).is_some_and(|queue| !queue.is_empty())
    }

    /// The pairs that have a part in the journal.
    pub(in super::super) fn overflowing(&self) -> impl Iterator<Item = &DomainPair> {
        self.overflows.keys()
    }

    /// What has no room in memory, with what is on its way to the disk.
    pub(super) fn overflow_amount(&self, pair: &DomainPair) -> Amount {
        self.overflows.get(pair).map(Overflow::amount).unwrap_or_default()
    }

    /// What is on the disk and not in memory.
    pub(in super::super) fn on_disk(&self, pair: &DomainPair) -> Amount {
        self.overflows.get(pair).map(Overflow::on_disk).unwrap_or_default()
    }

    /// The same of all pairs.
    pub(in super::super) fn all_on_disk(&self) -> Amount {
        self.total.on_disk
    }

    /// Appends a batch. What the queue of the pair has no room for goes to the journal. Gives back what has no room there
    /// either.
    pub(in super::super) fn append_or_overflow(
        &mut self,
        pair: &DomainPair,
        batch: Batch,
        arrival: Arrival,
        group: &mut Group<'_>,
    ) -> Vec<(Bound, Batch)> {
        if self.is_behind_the_hold(&batch, arrival) || !self.queues.contains_key(pair) {
            self.hold(batch, arrival);
            return Vec::new();
        }
        let rest = self.with_both(pair, |queue| queue.append(batch, group)).unwrap_or_default();
        let mut refused = rest.refused;
        refused.extend(rest.without_memory.and_then(|batch| self.hold_or_refuse(batch, arrival)));
        refused
    }

    /// Appends stanzas that were in the journal at the start. What has no room in memory stays there.
    pub(in super::super) fn restore(&mut self, pair: &DomainPair, batch: Batch) {
        self.with_both(pair, |queue| queue.restore(batch));
    }

    /// The journal has decided on what it got, or is gone.
    pub(in super::super) fn confirm(&mut self, pair: &DomainPair, is_gone: bool) -> Confirmation {
        self.with_overflow(pair, |queue| queue.confirm(is_gone)).unwrap_or_default()
    }

    /// Moves the first stanzas of the overflow to the queue in memory, if that is half empty. Gives the keys of those that
    /// have to be read first; the question has this number.
    pub(in super::super) fn refill(&mut self, pair: &DomainPair, id: u64) -> Vec<u64> {
        let is_crowded = self.is_above_four_fifths();
        self.with_overflow(pair, |queue| queue.refill(id, is_crowded)).unwrap_or_default()
    }

    /// The journal has answered this question: the stanzas go to the queue in memory. Gives the number of those that are lost;
    /// `None`: nobody waits for the answer any more.
    pub(in super::super) fn refilled(
        &mut self,
        pair: &DomainPair,
        id: u64,
        records: Option<Vec<Option<Record>>>,
        writer: &Writer,
    ) -> Option<u64> {
        self.with_overflow(pair, |queue| queue.refilled(id, records, writer)).flatten()
    }

    /// Takes out the stanzas of the overflow whose time to wait is over.
    pub(in super::super) fn take_expired_overflow(
        &mut self,
        pair: &DomainPair,
        now: Instant,
    ) -> Option<TakenOut> {
        let next = self.overflows.get(pair)?.next_expiry()?;
        if next > now {
            return None;
        }
        self.with_overflow(pair, |queue| queue.overflow.take_expired(now))
    }

    /// Takes out the IQ requests of the overflow.
    pub(in super::super) fn take_overflow_requests(&mut self, pair: &DomainPair) -> Option<TakenOut> {
        self.with_overflow(pair, |queue| queue.overflow.take_requests())
    }

    /// Takes out the whole overflow.
    pub(in super::super) fn take_overflow(&mut self, pair: &DomainPair) -> Option<TakenOut> {
        self.with_overflow(pair, |queue| queue.overflow.take_all())
    }

    /// Changes a queue that has a part in the journal.
    fn with_overflow<T>(
        &mut self,
        pair: &DomainPair,
        act: impl FnOnce(&mut LongQueue<'_>) -> T,
    ) -> Option<T> {
        self.overflows.contains_key(pair).then(|| self.with_both(pair, act)).flatten()
    }

    /// Changes both parts of the queue of a pair. An empty overflow is not kept.
    fn with_both<T>(&mut self, pair: &DomainPair, act: impl FnOnce(&mut LongQueue<'_>) -> T) -> Option<T> {
        let free = self.free();
        let entries = (self.bounds.total_bytes / 4).saturating_sub(self.total.entries);
        let space = Space { in_memory: free, overflow: free, entries, spills: false };
        let queue = self.queues.get_mut(pair)?;
        let mut overflow = self.overflows.remove(pair).unwrap_or_default();
        let before = Footprint::of(queue, &overflow);
        let result = act(&mut LongQueue::new(queue, &mut overflow, &self.bounds, space));
        self.total.replace(before, Footprint::of(queue, &overflow));
        if !overflow.is_empty() {
            self.overflows.insert(pair.clone(), overflow);
        }
        Some(result)
    }
}
