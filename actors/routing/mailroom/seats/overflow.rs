//! The parts of the queues for which there is no room in memory: they are in the journal.
//!
//! While a component has such a part, everything that comes for it goes behind that.

use std::time::Instant;

use journal::record::Record;
use xmpp::Domain;

use super::{Limit, Seats, Terms};
use crate::{
    flow::{
        batch::Batch,
        journal::{Group, Writer},
    },
    routing::overflow::{Confirmation, Footprint, LongQueue, Overflow, Space, TakenOut},
};
use status::amount::Amount;

impl Seats {
    /// Lets queues that are full overflow to the journal.
    pub(in super::super) fn use_journal(&mut self) {
        self.can_overflow = true;
    }

    pub(in super::super) fn has_overflow(&self, name: &Domain) -> bool {
        self.get(name).is_some_and(|seat| !seat.overflow.is_empty())
    }

    /// The names that have a part in the journal.
    pub(in super::super) fn overflowing(&self) -> Vec<Domain> {
        let overflowing = self.iter().filter(|(_, seat)| !seat.overflow.is_empty());
        overflowing.map(|(name, _)| name.clone()).collect()
    }

    /// What is on the disk and not in memory, of all components.
    pub(in super::super) fn on_disk(&self) -> Amount {
        self.total.on_disk
    }

    /// Appends a batch. What the queue of its component has no room for goes to the journal. Gives back what has no room
    /// there either, with the limits.
    pub(in super::super) fn append_or_overflow(
        &mut self,
        name: &Domain,
        batch: Batch,
        group: &mut Group<'_>,
    ) -> Vec<(Limit, Batch)> {
        let returning = batch.returning;
        let reader = returning.then(|| batch.permit.clone());
        let rest = self.with(name, returning, |queue| queue.append(batch, group));
        self.hold_reader(name, reader);
        rest.map(Limit::of_rest).unwrap_or_default()
    }

    /// Appends stanzas that were in the journal at the start. What has no room in memory stays there.
    pub(in super::super) fn restore(&mut self, name: &Domain, batch: Batch) {
        self.with(name, false, |queue| queue.restore(batch));
    }

    /// The journal has decided on what it got, or is gone.
    pub(in super::super) fn confirm(&mut self, name: &Domain, is_gone: bool) -> Confirmation {
        self.with_overflow(name, |queue| queue.confirm(is_gone)).unwrap_or_default()
    }

    /// Moves the first stanzas of the overflow to the queue in memory, if that is half empty. Gives the keys of those that
    /// have to be read first; the question has this number.
    pub(in super::super) fn refill(&mut self, name: &Domain, id: u64) -> Vec<u64> {
        let is_crowded = self.total.weight > self.for_queues();
        self.with_overflow(name, |queue| queue.refill(id, is_crowded)).unwrap_or_default()
    }

    /// The journal has answered this question: the stanzas go to the queue in memory. Gives the number of those that are lost;
    /// `None`: nobody waits for the answer any more.
    pub(in super::super) fn refilled(
        &mut self,
        name: &Domain,
        id: u64,
        records: Option<Vec<Option<Record>>>,
        writer: &Writer,
    ) -> Option<u64> {
        self.with_overflow(name, |queue| queue.refilled(id, records, writer)).flatten()
    }

    /// Takes out the stanzas of the overflow whose time is over.
    pub(in super::super) fn take_expired_overflow(
        &mut self,
        name: &Domain,
        now: Instant,
    ) -> Option<TakenOut> {
        let next = self.get(name)?.overflow.next_expiry()?;
        if next > now {
            return None;
        }
        self.with_overflow(name, |queue| queue.overflow.take_expired(now))
    }

    /// Takes out the whole overflow.
    pub(in super::super) fn take_overflow(&mut self, name: &Domain) -> Option<TakenOut> {
        self.with_overflow(name, |queue| queue.overflow.take_all())
    }

    /// Changes a queue that has a part in the journal.
    fn with_overflow<T>(&mut self, name: &Domain, act: impl FnOnce(&mut LongQueue<'_>) -> T) -> Option<T> {
        self.has_overflow(name).then(|| self.with(name, false, act)).flatten()
    }

    /// Changes both parts of a queue. `returning`: for error answers to stanzas of the component itself.
    pub(super) fn with<T>(
        &mut self,
        name: &Domain,
        returning: bool,
        act: impl FnOnce(&mut LongQueue<'_>) -> T,
    ) -> Option<T> {
        let space = self.space();
        let seat = self.get_mut(name)?;
        let is_served = seat.state.is_served();
        let terms = Terms { rules: &seat.rules, is_served, returning };
        let before = Footprint::of(&seat.queue, &seat.overflow);
        seat.queue.set_replacing(!is_served);
        let result = act(&mut LongQueue::new(&mut seat.queue, &mut seat.overflow, &terms, space));
        if seat.overflow.is_empty() {
            // Frees its memory.
            seat.overflow = Overflow::default();
        }
        seat.release_reader();
        let after = Footprint::of(&seat.queue, &seat.overflow);
        self.total.replace(before, after);
        Some(result)
    }

    /// Bytes of memory that the parts of the queues in memory may have: with a journal, a quarter is for stanzas on their
    /// way to it, and for the entries of those that are there.
    fn for_queues(&self) -> usize {
        if self.can_overflow { self.total_bytes / 4 * 3 } else { self.total_bytes }
    }

    fn space(&self) -> Space {
        Space {
            in_memory: self.for_queues().saturating_sub(self.total.weight),
            overflow: self.total_bytes.saturating_sub(self.total.weight),
            entries: (self.total_bytes / 4).saturating_sub(self.total.entries),
            spills: true,
        }
    }
}
