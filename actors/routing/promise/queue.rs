//! What waits for the link of one domain pair: in order, each stanza with its time, within bounds.
//!
//! Architecture Invariant: plain data. Why it waits, and what is said to the senders, the promise knows.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    mem,
    time::{Duration, Instant},
};

use xmpp::{Stanza, stanza::Kind};

use crate::{
    flow::{
        batch::{self, Batch, Kept},
        ledger::{LedgerEntry, Outcome},
    },
    settings::Promise as Bounds,
};

/// The stanzas that wait.
#[derive(Debug)]
pub(super) struct Queue {
    /// In order. Boxed, because most queues hold one or two and a node of the tree has room for eleven.
    waiting: BTreeMap<i64, Box<Waiting>>,
    /// Where the presence stands that the next of the same two replaces.
    states: HashMap<u64, i64>,
    bytes: usize,
    /// No stanza will have waited its time before that.
    earliest: Option<Instant>,
    slip: LedgerEntry,
}

#[derive(Debug)]
struct Waiting {
    kept: Kept,
    until: Instant,
    /// Presence that a newer one replaces: of which two.
    state: Option<u64>,
}

/// What becomes of a batch that does not fit whole.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// It waits for room, and nothing overtakes it.
    Waits,
    /// It is refused, and nothing else for its sake.
    IsRefused,
}

/// Room for what comes.
#[derive(Clone, Copy)]
pub(super) struct Room<'a> {
    pub(super) bounds: &'a Bounds,
    /// Left for all queues together.
    pub(super) free: usize,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self {
            waiting: BTreeMap::new(),
            states: HashMap::new(),
            bytes: 0,
            earliest: None,
            slip: LedgerEntry::none(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// As on the wire.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What it takes of the memory that all queues have together.
    pub(super) fn weight(&self) -> usize {
        self.bytes + self.len() * STANZA_COST
    }

    /// Takes what fits of a batch to the end of the queue; the source of what does not fit is held up by the rest.
    pub(super) fn admit(&mut self, mut batch: Batch, room: Room<'_>, rest: Rest) -> Option<Batch> {
        let taken = batch.slip.held().stanzas > 0;
        self.slip.merge(mem::take(&mut batch.slip));
        let room = Room { free: self.weight() + room.free, ..room };
        let mut left = Vec::new();
        for stanza in mem::take(&mut batch.stanzas) {
            let barred = rest == Rest::Waits && !left.is_empty();
            if barred || !self.makes_room_for(&stanza, room) {
                left.push(stanza);
                continue;
            }
            // A few bytes that wait must not keep in memory all that one read brought.
            let kept = Kept { stanza: stanza.detached(), taken, since: batch.since };
            let place = self.waiting.last_key_value().map_or(0, |(last, _)| last + 1);
            self.put(place, Waiting::new(kept, room.bounds));
        }
        if left.is_empty() {
            return None;
        }
        batch.stanzas = left;
        if taken {
            let held = batch.amount();
            batch.slip = self.slip.split(held);
        }
        Some(batch)
    }

    /// Puts what a dead link gave back in front of everything; its time has gone on meanwhile.
    pub(super) fn put_back(&mut self, returned: Vec<Batch>, bounds: &Bounds) {
        for mut batch in returned.into_iter().rev() {
            let taken = batch.slip.held().stanzas > 0;
            self.slip.merge(mem::take(&mut batch.slip));
            for stanza in batch.stanzas.into_iter().rev() {
                let waiting =
                    Waiting::new(Kept { stanza: stanza.detached(), taken, since: batch.since }, bounds);
                if waiting.state.is_some_and(|state| self.other(state, &waiting.kept.stanza).is_some()) {
                    self.slip.settle(Outcome::Dropped, waiting.kept.amount());
                    continue;
                }
                let place = self.waiting.first_key_value().map_or(0, |(first, _)| first - 1);
                self.put(place, waiting);
            }
        }
    }

    /// Takes out everything, in order.
    pub(super) fn take_all(&mut self) -> Vec<Batch> {
        self.take_where(|_, _| true)
    }

    /// Takes out the IQ requests, whose senders want an answer soon.
    pub(super) fn take_requests(&mut self) -> Vec<Batch> {
        self.take_where(|_, waiting| waiting.kept.stanza.is_request())
    }

    /// Takes out what has waited its time.
    pub(super) fn take_expired(&mut self, now: Instant) -> Vec<Batch> {
        if self.earliest.is_none_or(|earliest| earliest > now) {
            return Vec::new();
        }
        self.take_where(|_, waiting| waiting.until <= now)
    }

    /// When to look for stanzas that have waited their time: it may be too early, and is never too late.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.earliest
    }

    /// Since when the oldest has been waiting.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.waiting.values().map(|waiting| waiting.kept.since).min()
    }

    /// Gives up the newest until it weighs at most so much: presence first, then what its sender does not want stored
    /// (XEP-0334), then the rest.
    pub(super) fn shed(&mut self, weight: usize) -> Vec<Batch> {
        let mut surplus = self.weight().saturating_sub(weight);
        let mut batches = Vec::new();
        for class in [is_presence, is_not_to_be_stored, is_any] {
            let mut chosen = BTreeSet::new();
            for (place, waiting) in self.waiting.iter().rev() {
                if surplus == 0 {
                    break;
                }
                if class(&waiting.kept.stanza) {
                    surplus = surplus.saturating_sub(waiting.bytes() + STANZA_COST);
                    chosen.insert(*place);
                }
            }
            if !chosen.is_empty() {
                batches.extend(self.take_where(|place, _| chosen.contains(&place)));
            }
        }
        batches
    }

    fn take_where(&mut self, mut wanted: impl FnMut(i64, &Waiting) -> bool) -> Vec<Batch> {
        let (mut places, mut earliest) = (Vec::new(), None);
        for (place, waiting) in &self.waiting {
            if wanted(*place, waiting) {
                places.push(*place);
            } else {
                earliest = sooner(earliest, waiting.until);
            }
        }
        let (waiting, states, bytes) = (&mut self.waiting, &mut self.states, &mut self.bytes);
        let kept = places.into_iter().filter_map(|place| {
            let taken = waiting.remove(&place)?;
            *bytes -= taken.bytes();
            forget(states, place, &taken);
            Some(taken.kept)
        });
        let batches = batch::batches(kept, &mut self.slip);
        self.earliest = earliest;
        if self.states.is_empty() && self.states.capacity() > 0 {
            self.states = HashMap::new();
        }
        batches
    }

    /// Whether the stanza fits. Presence that only updates a state takes the place of the one before it, which is
    /// pointless now: so it fits in a full queue too.
    fn makes_room_for(&mut self, stanza: &Stanza, room: Room<'_>) -> bool {
        let older = state(stanza).and_then(|state| self.other(state, stanza));
        let (stanzas, bytes) = older.map_or((0, 0), |(_, waiting)| (1, waiting.bytes()));
        let stanzas = self.len() + 1 - stanzas;
        let bytes = self.bytes + stanza.bytes().len() - bytes;
        let fits = stanzas <= room.bounds.max_stanzas
            && bytes <= room.bounds.max_bytes
            && bytes + stanzas * STANZA_COST <= room.free;
        if fits && let Some(place) = older.map(|(place, _)| place) {
            self.drop_from(place);
        }
        fits
    }

    fn put(&mut self, place: i64, waiting: Waiting) {
        self.bytes += waiting.bytes();
        self.earliest = sooner(self.earliest, waiting.until);
        if let Some(state) = waiting.state {
            self.states.insert(state, place);
        }
        self.waiting.insert(place, Box::new(waiting));
    }

    fn drop_from(&mut self, place: i64) {
        if let Some(dropped) = self.waiting.remove(&place) {
            forget(&mut self.states, place, &dropped);
            self.bytes -= dropped.bytes();
            self.slip.settle(Outcome::Dropped, dropped.kept.amount());
        }
    }

    /// The presence that waits of the same two.
    fn other(&self, state: u64, stanza: &Stanza) -> Option<(i64, &Waiting)> {
        let place = *self.states.get(&state)?;
        let waiting = self.waiting.get(&place)?;
        // Different ones may have the same hash. The addresses are compared as written: of two spellings of one address
        // both presences are delivered, in order, and the recipient's server, which prepares them, keeps the last.
        let other = &waiting.kept.stanza;
        (other.from() == stanza.from() && other.to() == stanza.to()).then_some((place, &**waiting))
    }
}

impl Waiting {
    fn new(kept: Kept, bounds: &Bounds) -> Self {
        let (until, state) = (kept.since + time_of(&kept.stanza, bounds), state(&kept.stanza));
        Self { kept, until, state }
    }

    fn bytes(&self) -> usize {
        self.kept.stanza.bytes().len()
    }
}

fn sooner(one: Option<Instant>, other: Instant) -> Option<Instant> {
    Some(one.map_or(other, |one| one.min(other)))
}

fn forget(states: &mut HashMap<u64, i64>, place: i64, waiting: &Waiting) {
    if let Some(state) = waiting.state
        && states.get(&state) == Some(&place)
    {
        states.remove(&state);
    }
}

/// Of which two this is the state: available or unavailable, and neither the joining of a room, which the room answers
/// (XEP-0045 7.2), nor what a room says of its occupants, each of which says something else (7.6, 8.2).
fn state(stanza: &Stanza) -> Option<u64> {
    let of_a_room = || ["", "#user"].iter().any(|part| stanza.has_child("x", &format!("{MUC}{part}")));
    if !is_presence(stanza) || !matches!(stanza.type_(), None | Some("unavailable")) || of_a_room() {
        return None;
    }
    let mut hasher = DefaultHasher::new();
    (stanza.from(), stanza.to()).hash(&mut hasher);
    Some(hasher.finish())
}

fn is_presence(stanza: &Stanza) -> bool {
    stanza.kind() == Kind::Presence
}

/// XEP-0334 4.1 and 4.2; that it is not to be copied says nothing of storing it.
fn is_not_to_be_stored(stanza: &Stanza) -> bool {
    let hints = ["no-store", "no-permanent-store"];
    stanza.kind() == Kind::Message && hints.iter().any(|hint| stanza.has_child(hint, "urn:xmpp:hints"))
}

fn is_any(_: &Stanza) -> bool {
    true
}

fn time_of(stanza: &Stanza, bounds: &Bounds) -> Duration {
    match stanza.kind() {
        Kind::Message => bounds.message,
        Kind::Presence => bounds.presence,
        Kind::Iq => bounds.iq,
    }
}

const MUC: &str = "http://jabber.org/protocol/muc";

/// What a stanza that waits takes beside its bytes: measured 210 to 270 with short messages (the stanza's places and
/// times, its box and place in the tree, the allocator's own).
pub(super) const STANZA_COST: usize = 288;

#[cfg(test)]
mod tests;
