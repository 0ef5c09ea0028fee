//! The stanzas that wait for a connection: a bounded queue for each pair, and the batches that are held until the memory
//! of all queues has room.
//!
//! A stanza beyond a bound of its pair comes back to the caller at once. `total_bytes` bounds the memory of all queues,
//! with the cost of each pair and each stanza, so it also holds for a hundred thousand domains of which each has one
//! short message waiting. Only this bound pauses sources: all of them, in order of arrival.
//!
//! Architecture Invariant: plain data. The caller passes the time and answers the stanzas that are taken out,
//! so these queues can be kept elsewhere (on disk, for example) without any change to the actor.

mod hold;
mod journal;
mod overflow;
#[cfg(test)]
mod tests;

use std::{cmp::Reverse, collections::HashMap, time::Instant};

use xmpp::DomainPair;

use self::hold::{HOLD, Held, Hold};
pub(super) use crate::routing::queue::{Bound, LeftBehind, Settled, Verdict};
use crate::{
    flow::batch::Batch,
    routing::{
        capacity,
        overflow::{ENTRY_COST, Footprint, Overflow},
        queue::{Queue, Room},
    },
    settings::Promise as Bounds,
};
use status::amount::Amount;

/// The queues of all pairs.
#[derive(Debug)]
pub(super) struct Waiting {
    bounds: Bounds,
    queues: HashMap<DomainPair, Queue>,
    hold: Hold,
    /// The parts of the queues that are in the journal.
    overflows: HashMap<DomainPair, Overflow>,
    /// Queues that are full overflow to the journal.
    can_overflow: bool,
    /// What all queues take.
    total: Footprint,
    /// Set while shedding does not suffice: the memory in use at which it is tried again, so that the search
    /// through all pairs is not made for each stanza.
    shed_again_at: Option<usize>,
}

/// When a batch came to its queue.
#[derive(Clone, Copy, Debug)]
pub(super) enum Arrival {
    /// Now: it goes behind what is held.
    New(Instant),
    /// It was the first that was held, until then at most.
    Held(Instant),
}

/// The first held batch.
#[derive(Debug)]
pub(super) enum FirstHeld {
    /// There is room for a part of it.
    Fits(Batch, Arrival),
    /// It was held for [`HOLD`].
    IsLate(Batch),
}

impl Waiting {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            queues: HashMap::new(),
            hold: Hold::default(),
            overflows: HashMap::new(),
            can_overflow: false,
            total: Footprint::default(),
            shed_again_at: None,
        }
    }

    /// Changes the bounds. They apply to new stanzas only.
    pub(super) fn set_bounds(&mut self, bounds: Bounds) {
        self.bounds = bounds;
    }

    /// Adds an empty queue for a pair, which is charged until [`Self::close`].
    pub(super) fn open(&mut self, pair: DomainPair) {
        self.queues.entry(pair).or_insert_with(Queue::new);
    }

    /// Sets whether a newer presence for the pair replaces an older one that waits.
    pub(super) fn set_replacing(&mut self, pair: &DomainPair, replaces: bool) {
        if let Some(queue) = self.queues.get_mut(pair) {
            let before = queue.weight();
            queue.set_replacing(replaces);
            self.total.weight = self.total.weight - before + queue.weight();
        }
    }

    /// Removes the queue of a pair, which should be empty.
    pub(super) fn close(&mut self, pair: &DomainPair) {
        if let Some(queue) = self.queues.remove(pair) {
            self.total.weight -= queue.weight();
        }
    }

    /// Whether the bound of the memory leaves room for one more pair, and nothing is held that came before.
    pub(super) fn has_room_for_a_pair(&self) -> bool {
        self.hold.is_empty() && self.free() >= PAIR_COST
    }

    /// Appends a batch to the queue of its pair. Gives back the stanzas for which a bound of the pair leaves no room.
    /// Those for which the memory of all queues leaves no room are held.
    pub(super) fn append(
        &mut self,
        pair: &DomainPair,
        batch: Batch,
        arrival: Arrival,
    ) -> Vec<(Bound, Batch)> {
        let room = Room { bounds: &self.bounds, free: self.free() };
        let is_behind = self.is_behind_the_hold(&batch, arrival);
        let Some(queue) = self.queues.get_mut(pair).filter(|_| !is_behind) else {
            self.hold(batch, arrival);
            return Vec::new();
        };
        let before = queue.weight();
        let rest = queue.append(batch, room);
        self.total.weight = self.total.weight - before + queue.weight();
        let mut refused = rest.refused;
        refused.extend(rest.without_memory.and_then(|batch| self.hold_or_refuse(batch, arrival)));
        refused
    }

    /// Whether a batch has to wait behind what is held.
    fn is_behind_the_hold(&self, batch: &Batch, arrival: Arrival) -> bool {
        match arrival {
            Arrival::Held(_) => false,
            // Error answers pause no source, and are behind nothing that does.
            Arrival::New(_) => !self.hold.is_empty() && !batch.returning,
        }
    }

    /// Holds a batch for which there is no memory. Gives it back if it must not be held.
    fn hold_or_refuse(&mut self, batch: Batch, arrival: Arrival) -> Option<(Bound, Batch)> {
        if batch.returning {
            // Error answers are never answered, so this pauses nothing.
            return Some((Bound::Memory, batch));
        }
        self.hold(batch, arrival);
        None
    }

    /// Holds a batch until there is room in the memory of all queues.
    pub(super) fn hold(&mut self, batch: Batch, arrival: Arrival) {
        match arrival {
            Arrival::New(now) => self.hold.push_back(Held { batch, until: now + HOLD }),
            Arrival::Held(until) => self.hold.push_front(Held { batch, until }),
        }
    }

    /// Takes out the first held batch, if there is room for some of it or its time is over.
    pub(super) fn first_held(&mut self, now: Instant) -> Option<FirstHeld> {
        let first = self.hold.first()?;
        if first.until <= now {
            return self.hold.pop().map(|held| FirstHeld::IsLate(held.batch));
        }
        let of_pair = if self.queues.contains_key(&first.batch.pair()) { 0 } else { PAIR_COST };
        let of_entry = if self.can_overflow { ENTRY_COST } else { 0 };
        let needed = of_pair + of_entry + first.batch.stanzas.first().map_or(0, Queue::weight_of);
        if self.free() < needed {
            return None;
        }
        self.hold.pop().map(|held| FirstHeld::Fits(held.batch, Arrival::Held(held.until)))
    }

    /// Takes out everything that is held, of all pairs.
    pub(super) fn take_held(&mut self) -> Vec<Batch> {
        self.hold.take_all()
    }

    /// Puts stanzas that a lost link left in front. They were accepted once, so they are not refused: the
    /// bounds of a pair apply to new stanzas.
    pub(super) fn put_back(&mut self, pair: &DomainPair, left: LeftBehind) {
        let Some(queue) = self.queues.get_mut(pair) else { return };
        let before = queue.weight();
        queue.put_back(left, &self.bounds);
        self.total.weight = self.total.weight - before + queue.weight();
    }

    /// Whether a lost link has left stanzas for the pair whose fate is unknown.
    pub(super) fn has_open(&self, pair: &DomainPair) -> bool {
        self.queues.get(pair).is_some_and(Queue::has_open)
    }

    /// The stanzas of the pair that a lost link carried and whose fate is unknown.
    pub(super) fn open_amount(&self, pair: &DomainPair) -> Amount {
        self.queues.get(pair).map(Queue::open_amount).unwrap_or_default()
    }

    /// Settles the stanzas of a pair whose fate was unknown. Those that stay are to be sent again.
    pub(super) fn settle(&mut self, pair: &DomainPair, verdict: Verdict) -> Settled {
        let Some(queue) = self.queues.get_mut(pair) else { return Settled::default() };
        let before = queue.weight();
        let settled = queue.settle(verdict);
        self.total.weight = self.total.weight - before + queue.weight();
        settled
    }

    /// Takes out all stanzas of a pair, in order; those that are held are the last.
    pub(super) fn take_all(&mut self, pair: &DomainPair) -> Vec<Batch> {
        let mut batches = self.take(pair, Queue::take_all);
        batches.extend(self.hold.take(pair));
        batches
    }

    /// Takes out what is in the queue of a pair, in order. What is in the journal, and what is held, is behind it.
    pub(super) fn take_queue(&mut self, pair: &DomainPair) -> Vec<Batch> {
        self.take(pair, Queue::take_all)
    }

    /// The pairs of which something is held.
    pub(super) fn held_pairs(&self) -> impl Iterator<Item = &DomainPair> {
        self.hold.pairs()
    }

    /// Takes out the first stanzas of a pair, in order, of so many bytes or one at least.
    pub(super) fn take_portion(&mut self, pair: &DomainPair, bytes: usize) -> Vec<Batch> {
        let portion = self.take(pair, |queue| queue.take_first(bytes));
        // Held batches are behind the queue, and behind its part on the disk.
        if portion.is_empty() && !self.has_overflow(pair) { self.hold.take(pair) } else { portion }
    }

    /// Takes out the IQ requests of a pair that are in the queue.
    pub(super) fn take_requests(&mut self, pair: &DomainPair) -> Vec<Batch> {
        self.take(pair, Queue::take_requests)
    }

    /// Takes out the stanzas of a pair whose time to wait is over.
    pub(super) fn take_expired(&mut self, pair: &DomainPair, now: Instant) -> Vec<Batch> {
        self.take(pair, |queue| queue.take_expired(now))
    }

    fn take(&mut self, pair: &DomainPair, take: impl FnOnce(&mut Queue) -> Vec<Batch>) -> Vec<Batch> {
        let Some(queue) = self.queues.get_mut(pair) else { return Vec::new() };
        let before = queue.weight();
        let batches = take(queue);
        self.total.weight = self.total.weight - before + queue.weight();
        batches
    }

    /// Whether nothing waits for the pair.
    pub(super) fn is_idle(&self, pair: &DomainPair) -> bool {
        self.queues.get(pair).is_none_or(Queue::is_empty) && !self.has_overflow(pair) && !self.hold.has(pair)
    }

    /// Stanzas in the queue of the pair, in memory and in the journal.
    pub(super) fn queued(&self, pair: &DomainPair) -> usize {
        self.queues.get(pair).map_or(0, Queue::len) + self.overflow_amount(pair).stanzas as usize
    }

    /// Everything that waits for the pair, in the queue and held.
    pub(super) fn amount(&self, pair: &DomainPair) -> Amount {
        let queued = self
            .queues
            .get(pair)
            .map(|queue| Amount { stanzas: queue.len() as u64, bytes: queue.bytes() as u64 });
        queued.unwrap_or_default().plus(self.overflow_amount(pair)).plus(self.hold.amount(pair))
    }

    /// The time at which the oldest stanza in the queue of the pair came.
    pub(super) fn oldest(&self, pair: &DomainPair) -> Option<Instant> {
        let in_memory = self.queues.get(pair).and_then(Queue::oldest);
        in_memory.or_else(|| self.overflows.get(pair).and_then(Overflow::oldest))
    }

    /// When a stanza of the pair expires next (possibly nothing happens then), and whether nothing waits for it.
    pub(super) fn outlook(&self, pair: &DomainPair) -> (Option<Instant>, bool) {
        let in_memory = self.queues.get(pair).and_then(Queue::next_expiry);
        let in_overflow = self.overflows.get(pair).and_then(Overflow::next_expiry);
        (in_memory.into_iter().chain(in_overflow).min(), self.is_idle(pair))
    }

    /// Whether more than four fifths of the memory are in use, and shedding may help.
    pub(super) fn is_crowded(&mut self) -> bool {
        if !self.is_above_four_fifths() {
            self.shed_again_at = None;
        }
        self.is_above_four_fifths() && self.shed_again_at.is_none_or(|threshold| self.used() > threshold)
    }

    /// The pairs by the weight of their queues, the heaviest first.
    pub(super) fn by_weight(&self) -> Vec<(usize, DomainPair)> {
        let mut weights: Vec<(usize, DomainPair)> =
            self.queues.iter().map(|(pair, queue)| (queue.weight(), pair.clone())).collect();
        weights.sort_unstable_by_key(|(weight, _)| Reverse(*weight));
        weights
    }

    /// Takes stanzas out of a queue of that weight: at most half of it, and no more than is needed until a
    /// quarter of the memory is free. `None`: no queue has to give up anything.
    pub(super) fn shed(&mut self, pair: &DomainPair, weight: usize) -> Option<Vec<Batch>> {
        let surplus = self.used().saturating_sub(self.bounds.total_bytes / 4 * 3);
        let share = surplus.min(weight / 2);
        (share > 0).then(|| self.take(pair, |queue| queue.shed(weight - share)))
    }

    /// Notes that all queues were asked to shed. If that did not suffice, [`Self::is_crowded`] is false until
    /// the memory in use has grown by a twentieth.
    pub(super) fn end_shedding(&mut self) {
        let threshold = self.used() + self.bounds.total_bytes / 20;
        self.shed_again_at = self.is_above_four_fifths().then_some(threshold);
    }

    /// Lets [`Self::is_crowded`] be true again, and releases memory that is no longer used. To be called
    /// every second.
    pub(super) fn tidy(&mut self) {
        self.shed_again_at = None;
        capacity::shrink_map(&mut self.queues);
        capacity::shrink_map(&mut self.overflows);
    }

    /// Weight that all queues may still grow.
    fn free(&self) -> usize {
        self.bounds.total_bytes.saturating_sub(self.used())
    }

    fn used(&self) -> usize {
        self.total.weight + self.queues.len() * PAIR_COST
    }

    fn is_above_four_fifths(&self) -> bool {
        self.used() > self.bounds.total_bytes / 5 * 4
    }
}

/// Bytes of memory that a pair takes beside its stanzas: measured 1,200 to 1,450, which depends on how full the maps are. A
/// third of it is the state of the pair; the rest is its names, its entries in the maps, timers and queues, and the totals
/// of the remote domain. An attempt that waits for its address is not in it: `dial_limit` bounds those.
pub(super) const PAIR_COST: usize = 1536;
