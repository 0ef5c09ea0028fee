//! A queue with both of its parts: the one in memory, and behind it the one in the journal.
//!
//! While there is a part in the journal, everything that comes goes behind it.
//!
//! Architecture Invariant: plain data. The caller owns the parts and their totals, asks the journal, and answers what is
//! taken out.

use journal::record::Record;

use super::{Confirmation, Overflow, Room};
use crate::{
    flow::{
        batch::Batch,
        journal::{Group, Writer},
    },
    routing::queue::{self, Bounds, Queue, Rest},
};
use status::amount::Amount;

/// Bytes of memory that the queues of an actor may still take.
#[derive(Clone, Copy, Debug)]
pub(in crate::routing) struct Space {
    /// For the parts in memory.
    pub(in crate::routing) in_memory: usize,
    /// For stanzas that are on their way to the journal, and for the entries of those that are there.
    pub(in crate::routing) overflow: usize,
    /// Of that, for the entries.
    pub(in crate::routing) entries: usize,
    /// What has no room in the memory of all queues goes to the journal too, not only what is beyond the bounds of its queue.
    pub(in crate::routing) spills: bool,
}

/// What queues take: their memory, and their parts in the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::routing) struct Footprint {
    /// Bytes of memory.
    pub(in crate::routing) weight: usize,
    /// Of that, for the entries of stanzas in the journal.
    pub(in crate::routing) entries: usize,
    /// Stanzas that are in the journal only.
    pub(in crate::routing) on_disk: Amount,
}

/// Both parts of one queue.
pub(in crate::routing) struct LongQueue<'a> {
    pub(in crate::routing) queue: &'a mut Queue,
    pub(in crate::routing) overflow: &'a mut Overflow,
    pub(in crate::routing) bounds: &'a dyn Bounds,
    space: Space,
    /// The weight of both parts to which `space` belongs.
    before: usize,
}

impl Footprint {
    /// That of both parts of a queue.
    pub(in crate::routing) fn of(queue: &Queue, overflow: &Overflow) -> Self {
        Self {
            weight: queue.weight() + overflow.weight(),
            entries: overflow.weight_of_entries(),
            on_disk: overflow.on_disk(),
        }
    }

    /// Counts a queue that has changed.
    pub(in crate::routing) fn replace(&mut self, before: Self, after: Self) {
        self.weight = self.weight - before.weight + after.weight;
        self.entries = self.entries - before.entries + after.entries;
        self.on_disk = self.on_disk.plus(after.on_disk).minus(before.on_disk);
    }
}

impl<'a> LongQueue<'a> {
    /// Joins two parts.
    pub(in crate::routing) fn new(
        queue: &'a mut Queue,
        overflow: &'a mut Overflow,
        bounds: &'a dyn Bounds,
        space: Space,
    ) -> Self {
        let before = queue.weight() + overflow.weight();
        Self { queue, overflow, bounds, space, before }
    }

    fn room(&self) -> Room<'a> {
        let weight = self.queue.weight() + self.overflow.weight();
        Room {
            bounds: self.bounds,
            in_memory: Amount { stanzas: self.queue.len() as u64, bytes: self.queue.bytes() as u64 },
            free: (self.space.overflow + self.before).saturating_sub(weight),
            free_for_entries: self.space.entries,
        }
    }

    /// Appends a batch. What the part in memory has no room for goes to the journal. Gives back what has no room there
    /// either.
    pub(in crate::routing) fn append(&mut self, batch: Batch, group: &mut Group<'_>) -> Rest {
        let mut rest = Rest::default();
        let beyond = self.append_in_memory(batch, &mut rest);
        for batch in beyond {
            let more = self.overflow.append(batch, self.room(), group);
            rest.refused.extend(more.refused);
            rest.without_memory = rest.without_memory.or(more.without_memory);
        }
        rest
    }

    /// Appends what the part in memory has room for, without a journal. Gives back the rest.
    pub(in crate::routing) fn append_in_memory_only(&mut self, batch: Batch) -> Rest {
        self.queue.append(batch, queue::Room { bounds: self.bounds, free: self.space.in_memory })
    }

    /// Appends a batch to the part in memory, as far as that is the last part. Gives what goes to the journal.
    fn append_in_memory(&mut self, batch: Batch, rest: &mut Rest) -> Vec<Batch> {
        if !self.overflow.is_empty() {
            return vec![batch];
        }
        let room = queue::Room { bounds: self.bounds, free: self.space.in_memory };
        // All stanzas behind the first that does not fit have its bound.
        let Rest { refused, without_memory } = self.queue.append_in_order(batch, room);
        let mut beyond: Vec<Batch> = refused.into_iter().map(|(_, batch)| batch).collect();
        if self.space.spills {
            beyond.extend(without_memory);
        } else {
            rest.without_memory = without_memory;
        }
        beyond
    }

    /// Appends stanzas that were in the journal at the start. What has no room in memory stays there.
    pub(in crate::routing) fn restore(&mut self, batch: Batch) {
        let mut rest = Rest::default();
        let beyond = self.append_in_memory(batch, &mut rest);
        for batch in beyond.into_iter().chain(rest.without_memory) {
            self.overflow.restore(batch, self.bounds);
        }
    }

    /// The journal has decided on what it got, or is gone.
    pub(in crate::routing) fn confirm(&mut self, is_gone: bool) -> Confirmation {
        self.overflow.confirm(self.room(), is_gone)
    }

    /// Moves the first stanzas of the part in the journal to the part in memory, if that is half empty. Gives the keys of those
    /// that have to be read first; the question has this number. `is_crowded`: there is little memory for all queues.
    pub(in crate::routing) fn refill(&mut self, id: u64, is_crowded: bool) -> Vec<u64> {
        if self.overflow.is_empty() {
            return Vec::new();
        }
        let (most_stanzas, most_bytes) = (self.bounds.max_stanzas(), self.bounds.max_bytes());
        let free_stanzas = most_stanzas.saturating_sub(self.queue.len());
        let free_bytes = most_bytes.saturating_sub(self.queue.bytes());
        let is_half_empty = free_stanzas >= most_stanzas / 2 && free_bytes >= most_bytes / 2;
        if !self.queue.is_empty() && (!is_half_empty || is_crowded) {
            return Vec::new();
        }
        let (stanzas, bytes) = (free_stanzas.min(READ_STANZAS), free_bytes.min(READ_BYTES));
        let front = self.overflow.take_front(id, stanzas as u64, bytes as u64);
        self.queue.take_over(front.kept, front.account, self.bounds);
        front.keys
    }

    /// The journal has answered this question: the stanzas go to the part in memory. Gives the number of those that are lost;
    /// `None`: nobody waits for the answer any more.
    pub(in crate::routing) fn refilled(
        &mut self,
        id: u64,
        records: Option<Vec<Option<Record>>>,
        writer: &Writer,
    ) -> Option<u64> {
        let unread = self.overflow.end_reading(id)?;
        let Some(records) = records else {
            self.overflow.put_back(unread);
            return Some(0);
        };
        let read = unread.read(records, writer);
        self.queue.take_over(read.kept, read.account, self.bounds);
        Some(read.lost)
    }
}

/// Stanzas and bytes that are read at once: the journal writes nothing in the meantime.
pub(in crate::routing) const READ_STANZAS: usize = 1000;
pub(in crate::routing) const READ_BYTES: usize = 512 << 10;
