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
    routing::{
        overflow::{Confirmation, Overflow, Room, TakenOut},
        queue::{self, Bounds as _, Queue},
    },
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
        self.on_disk
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
        let is_behind = self.is_behind_the_hold(&batch, arrival);
        let room = queue::Room { bounds: &self.bounds, free: self.free() };
        let Some(queue) = self.queues.get_mut(pair).filter(|_| !is_behind) else {
            self.hold(batch, arrival);
            return Vec::new();
        };
        let mut refused = Vec::new();
        let beyond = if self.overflows.contains_key(pair) {
            vec![batch]
        } else {
            let before = queue.weight();
            let rest = queue.append_in_order(batch, room);
            self.weight = self.weight - before + queue.weight();
            refused.extend(rest.without_memory.and_then(|batch| self.hold_or_refuse(batch, arrival)));
            rest.refused.into_iter().map(|(_, batch)| batch).collect()
        };
        for batch in beyond {
            let rest = self.with_overflow(pair, |overflow, room| overflow.append(batch, room, group));
            refused.extend(rest.refused);
            refused.extend(rest.without_memory.and_then(|batch| self.hold_or_refuse(batch, arrival)));
        }
        refused
    }

    /// Appends stanzas that were in the journal at the start. What has no room in memory stays there.
    pub(in super::super) fn restore(&mut self, pair: &DomainPair, batch: Batch) {
        let bounds = self.bounds.clone();
        let room = queue::Room { bounds: &bounds, free: self.free() };
        let beyond = match self.queues.get_mut(pair) {
            Some(queue) if !self.overflows.contains_key(pair) => {
                let before = queue.weight();
                let rest = queue.append_in_order(batch, room);
                self.weight = self.weight - before + queue.weight();
                rest.refused.into_iter().map(|(_, batch)| batch).chain(rest.without_memory).collect()
            }
            _ => vec![batch],
        };
        for batch in beyond {
            self.with_overflow(pair, |overflow, _| overflow.restore(batch, &bounds));
        }
    }

    /// The journal has decided on what it got, or is gone.
    pub(in super::super) fn confirm(&mut self, pair: &DomainPair, is_gone: bool) -> Confirmation {
        if !self.has_overflow(pair) {
            return Confirmation::default();
        }
        self.with_overflow(pair, |overflow, room| overflow.confirm(room, is_gone))
    }

    /// Moves the first stanzas of the overflow to the queue in memory, if that is half empty. Gives the keys of those that
    /// have to be read first; the question has this number.
    pub(in super::super) fn refill(&mut self, pair: &DomainPair, id: u64) -> Vec<u64> {
        let Some(queue) = self.queues.get(pair).filter(|_| self.has_overflow(pair)) else {
            return Vec::new();
        };
        let free_stanzas = self.bounds.max_stanzas().saturating_sub(queue.len());
        let free_bytes = self.bounds.max_bytes().saturating_sub(queue.bytes());
        let is_half_empty =
            free_stanzas >= self.bounds.max_stanzas() / 2 && free_bytes >= self.bounds.max_bytes() / 2;
        if !queue.is_empty() && (!is_half_empty || self.is_above_four_fifths()) {
            return Vec::new();
        }
        let (stanzas, bytes) = (free_stanzas.min(READ_STANZAS), free_bytes.min(READ_BYTES));
        let front =
            self.with_overflow(pair, |overflow, _| overflow.take_front(id, stanzas as u64, bytes as u64));
        let bounds = self.bounds.clone();
        self.with_queue(pair, |queue| queue.take_over(front.kept, front.account, &bounds));
        front.keys
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
        self.overflows.get(pair)?;
        let unread = self.with_overflow(pair, |overflow, _| overflow.end_reading(id))?;
        let Some(records) = records else {
            self.with_overflow(pair, |overflow, _| overflow.put_back(unread));
            return Some(0);
        };
        let read = unread.read(records, writer);
        let bounds = self.bounds.clone();
        self.with_queue(pair, |queue| queue.take_over(read.kept, read.account, &bounds));
        Some(read.lost)
    }

    /// Takes out the stanzas of the overflow whose time to wait is over.
    pub(in super::super) fn take_expired_overflow(
        &mut self,
        pair: &DomainPair,
        now: Instant,
    ) -> Option<TakenOut> {
        let next = self.overflows.get(pair)?.next_expiry()?;
        (next <= now).then(|| self.with_overflow(pair, |overflow, _| overflow.take_expired(now)))
    }

    /// Takes out the IQ requests of the overflow.
    pub(in super::super) fn take_overflow_requests(&mut self, pair: &DomainPair) -> Option<TakenOut> {
        self.overflows.get(pair)?;
        Some(self.with_overflow(pair, |overflow, _| overflow.take_requests()))
    }

    /// Takes out the whole overflow.
    pub(in super::super) fn take_overflow(&mut self, pair: &DomainPair) -> Option<TakenOut> {
        self.overflows.get(pair)?;
        Some(self.with_overflow(pair, |overflow, _| overflow.take_all()))
    }

    fn with_queue(&mut self, pair: &DomainPair, act: impl FnOnce(&mut Queue)) {
        if let Some(queue) = self.queues.get_mut(pair) {
            let before = queue.weight();
            act(queue);
            self.weight = self.weight - before + queue.weight();
        }
    }

    /// Changes the overflow of a pair, which is made if there is none, and removed if it is empty.
    fn with_overflow<T>(&mut self, pair: &DomainPair, act: impl FnOnce(&mut Overflow, Room<'_>) -> T) -> T {
        let queue = self.queues.get(pair);
        let in_memory =
            queue.map(|queue| Amount { stanzas: queue.len() as u64, bytes: queue.bytes() as u64 });
        let room = Room {
            bounds: &self.bounds,
            in_memory: in_memory.unwrap_or_default(),
            free: self.free(),
            free_for_entries: (self.bounds.total_bytes / 4).saturating_sub(self.weight_of_entries),
        };
        let overflow = self.overflows.entry(pair.clone()).or_insert_with(Overflow::new);
        let before = (overflow.weight(), overflow.weight_of_entries(), overflow.on_disk());
        let result = act(overflow, room);
        self.weight = self.weight - before.0 + overflow.weight();
        self.weight_of_entries = self.weight_of_entries - before.1 + overflow.weight_of_entries();
        self.on_disk = self.on_disk.plus(overflow.on_disk()).minus(before.2);
        if overflow.is_empty() {
            self.overflows.remove(pair);
        }
        result
    }
}

/// Stanzas and bytes that are read at once: the journal writes nothing in the meantime.
pub(in super::super) const READ_STANZAS: usize = 1000;
pub(in super::super) const READ_BYTES: usize = 512 << 10;
