//! The stanzas that wait for a connection: a bounded queue for each pair, and the batches that are held until
//! their queue has room.
//!
//! A held batch keeps the read permit of its source, so its source is paused. After [`HOLD`] the batch is
//! taken as far as it fits, and the rest is refused. `total_bytes` bounds the memory of all queues, with the
//! cost of each pair and each stanza, so it also holds for a hundred thousand domains of which each has one
//! short message waiting.
//!
//! Architecture Invariant: plain data. The caller passes the time and answers the stanzas that are taken out,
//! so these queues can be kept elsewhere (on disk, for example) without any change to the actor.

mod journal;
#[cfg(test)]
mod tests;

use std::{
    cmp::Reverse,
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use xmpp::DomainPair;

pub(super) use crate::routing::queue::{LeftBehind, Settled, Verdict};
use crate::{
    flow::batch::Batch,
    routing::{
        capacity,
        queue::{Fit, Queue, Room},
    },
    settings::Promise as Bounds,
};
use status::amount::Amount;

/// The queues of all pairs.
#[derive(Debug)]
pub(super) struct Waiting {
    bounds: Bounds,
    lines: HashMap<DomainPair, Line>,
    /// Weight of all queues in bytes.
    weight: usize,
    /// Set while shedding does not suffice: the memory in use at which it is tried again, so that the search
    /// through all pairs is not made for each stanza.
    shed_again_at: Option<usize>,
}

/// The queue of one pair.
#[derive(Debug)]
struct Line {
    queue: Queue,
    /// Batches that did not fit in the queue.
    held: Option<Box<Held>>,
    /// Batches were held for too long: what does not fit is refused at once.
    refusing: bool,
}

#[derive(Debug)]
struct Held {
    batches: VecDeque<Batch>,
    until: Instant,
}

/// The result of [`Waiting::append`].
#[derive(Debug)]
pub(super) enum Appended {
    /// All stanzas are in the queue.
    Queued,
    /// The stanzas that did not fit are held.
    Held,
    /// These stanzas did not fit.
    Refused(Vec<Batch>),
}

impl Waiting {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { bounds, lines: HashMap::new(), weight: 0, shed_again_at: None }
    }

    /// Changes the bounds. They apply to new stanzas only.
    pub(super) fn set_bounds(&mut self, bounds: Bounds) {
        self.bounds = bounds;
    }

    /// Adds an empty queue for a pair, which is charged until [`Self::close`].
    pub(super) fn open(&mut self, pair: DomainPair) {
        self.lines.entry(pair).or_insert_with(Line::new);
    }

    /// Removes the queue of a pair, which should be empty.
    pub(super) fn close(&mut self, pair: &DomainPair) {
        if let Some(line) = self.lines.remove(pair) {
            self.weight -= line.queue.weight();
        }
    }

    /// Whether the bound of the memory leaves room for one more pair.
    pub(super) fn has_room_for_a_pair(&self) -> bool {
        self.free() >= PAIR_COST
    }

    /// Appends a batch to the queue of its pair. Stanzas that do not fit are held, unless batches of the pair
    /// were held for too long before.
    pub(super) fn append(&mut self, pair: &DomainPair, batch: Batch, now: Instant) -> Appended {
        let room = Room { bounds: &self.bounds, free: self.free() };
        let Some(line) = self.lines.get_mut(pair) else { return Appended::Refused(vec![batch]) };
        let before = line.queue.weight();
        let rest = match line.held {
            None => line.queue.append(batch, room, Fit::InOrder),
            Some(_) => Some(batch),
        };
        self.weight = self.weight - before + line.queue.weight();
        let Some(rest) = rest else { return Appended::Queued };
        let refusing = line.refusing;
        let held = line.held.get_or_insert_with(|| Box::new(Held::until(now + HOLD)));
        held.batches.push_back(rest);
        if refusing { Appended::Refused(self.end_hold(pair).unwrap_or_default()) } else { Appended::Held }
    }

    /// Takes the held batches of a pair as far as they fit, and returns the stanzas that do not fit; `None`:
    /// nothing is held. From now on the queue refuses what does not fit, until [`Self::take_all`].
    pub(super) fn end_hold(&mut self, pair: &DomainPair) -> Option<Vec<Batch>> {
        let line = self.lines.get_mut(pair)?;
        let held = line.held.take()?;
        line.refusing = true;
        let mut refused = Vec::new();
        for batch in held.batches {
            let room = Room { bounds: &self.bounds, free: self.free() };
            let line = self.lines.get_mut(pair)?;
            let before = line.queue.weight();
            refused.extend(line.queue.append(batch, room, Fit::Each));
            self.weight = self.weight - before + line.queue.weight();
        }
        Some(refused)
    }

    /// Whether batches of the pair were held for [`HOLD`].
    pub(super) fn hold_is_over(&self, pair: &DomainPair, now: Instant) -> bool {
        let held = self.lines.get(pair).and_then(|line| line.held.as_ref());
        held.is_some_and(|held| held.until <= now)
    }

    /// Puts stanzas that a lost link left in front. They were accepted once, so they are not refused: the
    /// bounds of a pair apply to new stanzas.
    pub(super) fn put_back(&mut self, pair: &DomainPair, left: LeftBehind) {
        let Some(line) = self.lines.get_mut(pair) else { return };
        let before = line.queue.weight();
        line.queue.put_back(left, &self.bounds);
        self.weight = self.weight - before + line.queue.weight();
    }

    /// Whether a lost link has left stanzas for the pair whose fate is unknown.
    pub(super) fn has_open(&self, pair: &DomainPair) -> bool {
        self.lines.get(pair).is_some_and(|line| line.queue.has_open())
    }

    /// The stanzas of the pair that a lost link carried and whose fate is unknown.
    pub(super) fn open_amount(&self, pair: &DomainPair) -> Amount {
        self.lines.get(pair).map(|line| line.queue.open_amount()).unwrap_or_default()
    }

    /// Settles the stanzas of a pair whose fate was unknown. Those that stay are to be sent again.
    pub(super) fn settle(&mut self, pair: &DomainPair, verdict: Verdict) -> Settled {
        let Some(line) = self.lines.get_mut(pair) else { return Settled::default() };
        let before = line.queue.weight();
        let settled = line.queue.settle(verdict);
        self.weight = self.weight - before + line.queue.weight();
        settled
    }

    /// Takes out all stanzas of a pair, in order; those that are held are the last.
    pub(super) fn take_all(&mut self, pair: &DomainPair) -> Vec<Batch> {
        let mut batches = self.take(pair, Queue::take_all);
        if let Some(line) = self.lines.get_mut(pair) {
            line.refusing = false;
            batches.extend(line.held.take().into_iter().flat_map(|held| held.batches));
        }
        batches
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
        let Some(line) = self.lines.get_mut(pair) else { return Vec::new() };
        let before = line.queue.weight();
        let batches = take(&mut line.queue);
        self.weight = self.weight - before + line.queue.weight();
        batches
    }

    /// Whether nothing waits for the pair.
    pub(super) fn is_idle(&self, pair: &DomainPair) -> bool {
        self.lines.get(pair).is_none_or(Line::is_idle)
    }

    /// Stanzas in the queue of the pair.
    pub(super) fn queued(&self, pair: &DomainPair) -> usize {
        self.lines.get(pair).map_or(0, |line| line.queue.len())
    }

    /// Everything that waits for the pair, in the queue and held.
    pub(super) fn amount(&self, pair: &DomainPair) -> Amount {
        self.lines.get(pair).map(Line::amount).unwrap_or_default()
    }

    /// The time at which the oldest stanza in the queue of the pair came.
    pub(super) fn oldest(&self, pair: &DomainPair) -> Option<Instant> {
        self.lines.get(pair).and_then(|line| line.queue.oldest())
    }

    /// When a stanza of the pair expires next, or the hold of its batches ends (possibly nothing happens then),
    /// and whether nothing waits for it.
    pub(super) fn outlook(&self, pair: &DomainPair) -> (Option<Instant>, bool) {
        let Some(line) = self.lines.get(pair) else { return (None, true) };
        let held = line.held.as_ref().map(|held| held.until);
        (line.queue.next_expiry().into_iter().chain(held).min(), line.is_idle())
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
            self.lines.iter().map(|(pair, line)| (line.queue.weight(), pair.clone())).collect();
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
        capacity::shrink_map(&mut self.lines);
    }

    /// Weight that all queues may still grow.
    fn free(&self) -> usize {
        self.bounds.total_bytes.saturating_sub(self.used())
    }

    fn used(&self) -> usize {
        self.weight + self.lines.len() * PAIR_COST
    }

    fn is_above_four_fifths(&self) -> bool {
        self.used() > self.bounds.total_bytes / 5 * 4
    }
}

impl Line {
    fn new() -> Self {
        Self { queue: Queue::new(), held: None, refusing: false }
    }

    fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.held.is_none()
    }

    fn amount(&self) -> Amount {
        let queued = Amount { stanzas: self.queue.len() as u64, bytes: self.queue.bytes() as u64 };
        let held = self.held.iter().flat_map(|held| &held.batches);
        held.map(Batch::amount).fold(queued, Amount::plus)
    }
}

impl Held {
    fn until(until: Instant) -> Self {
        Self { batches: VecDeque::new(), until }
    }
}

/// How long a full queue may hold batches: about the time that a connection takes to set up, with dialback.
pub(super) const HOLD: Duration = Duration::from_secs(3);

/// Bytes of memory that a pair takes beside its stanzas: measured 1500. A quarter of it is the state of the
/// pair; the rest is its names, its entries in the maps, timers and queues, a queue that is not empty, and
/// the totals of the remote domain.
pub(super) const PAIR_COST: usize = 1536;
