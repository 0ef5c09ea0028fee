//! A bounded queue of stanzas for one domain pair or for one component. The stanzas are in order, and each has
//! its own time to wait.
//!
//! Architecture Invariant: plain data. The caller knows why the stanzas wait, and answers those that are
//! taken out.

mod bounds;
mod items;
mod journal;
mod newer_presence;
mod open;
mod rest;
mod shedding;

use std::{collections::BTreeMap, mem, time::Instant};

use xmpp::Stanza;

use self::{
    bounds::Beyond,
    items::Items,
    newer_presence::{presence_key, unindex},
};
pub(super) use self::{
    bounds::{Bound, Bounds, Room},
    open::{LeftBehind, Settled, Verdict},
    rest::{Collected, Rest},
};
use crate::flow::{
    account::{self, Outcome},
    batch::{self, Batch, Kept},
};

/// The stanzas that wait.
#[derive(Debug)]
pub(super) struct Queue {
    /// In order.
    items: Items,
    /// The position of each presence that a newer presence replaces, by [`presence_key`].
    presences: BTreeMap<u64, i64>,
    bytes: usize,
    /// The number of stanzas that a lost link carried and whose fate is unknown.
    open: usize,
    /// No stanza expires before this time.
    earliest_expiry: Option<Instant>,
    /// Everything in front of this place was offered to the journal.
    offered: i64,
    /// Nothing reads what waits: a newer presence replaces an older one at once.
    replaces: bool,
    /// The entry of all stanzas in the account.
    entry: account::Entry,
}

#[derive(Debug)]
struct Item {
    kept: Kept,
    expires: Instant,
    /// Set for a presence that a newer presence replaces.
    presence: Option<u64>,
    /// Set for a stanza that a lost link carried and whose fate is unknown: its number on the stream.
    open: Option<u32>,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self {
            items: Items::default(),
            presences: BTreeMap::new(),
            bytes: 0,
            open: 0,
            earliest_expiry: None,
            offered: i64::MIN,
            replaces: true,
            entry: account::Entry::none(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Bytes of the stanzas as on the wire.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of memory that the queue is charged for: the stanzas and [`STANZA_COST`] for each.
    pub(super) fn weight(&self) -> usize {
        self.bytes + self.len() * STANZA_COST
    }

    /// Memory that this stanza takes in a queue.
    pub(super) fn weight_of(stanza: &Stanza) -> usize {
        stanza.bytes().len() + STANZA_COST
    }

    /// Appends the stanzas of a batch that fit, and returns the others. Each returned batch still holds the read permit
    /// of its source.
    pub(super) fn append(&mut self, batch: Batch, room: Room<'_>) -> Rest {
        self.add(batch, room, Beyond::Each)
    }

    /// The same; the stanzas behind the first that does not fit are returned too.
    pub(super) fn append_in_order(&mut self, batch: Batch, room: Room<'_>) -> Rest {
        self.add(batch, room, Beyond::AllBehindTheFirst)
    }

    fn add(&mut self, mut batch: Batch, room: Room<'_>, beyond: Beyond) -> Rest {
        let taken = batch.entry.held().stanzas > 0;
        self.entry.merge(mem::take(&mut batch.entry));
        let room = Room { free: self.weight() + room.free, ..room };
        let mut rest = Collected::default();
        for (stanza, place) in batch.take_stanzas() {
            let behind =
                rest.last().filter(|last| *last == Bound::Memory || beyond == Beyond::AllBehindTheFirst);
            match behind.or_else(|| self.make_room_for(&stanza, room)) {
                None => {
                    // A few bytes that wait must not keep the whole buffer of one read in memory.
                    let (since, sends) = (batch.since, batch.sends);
                    let receipt = batch.receipt.of(&stanza);
                    let kept = Kept { stanza: stanza.detached(), taken, since, sends, place, receipt };
                    let position = self.items.last_place().map_or(0, |last| last + 1);
                    self.put(position, Item::new(kept, room.bounds));
                }
                Some(bound) => rest.push(&batch, bound, stanza, place),
            }
        }
        rest.finish(taken, &mut self.entry)
    }

    /// Appends stanzas that were in the journal. They were accepted once, so no bound refuses them.
    pub(super) fn take_over(&mut self, kept: Vec<Kept>, entry: account::Entry, bounds: &dyn Bounds) {
        self.entry.merge(entry);
        for kept in kept {
            let item = Item::new(kept, bounds);
            let older = item.presence.and_then(|key| self.presence(key, &item.kept.stanza));
            if let Some(place) = older.filter(|(_, older)| self.is_replaceable(older)).map(|(place, _)| place)
            {
                self.drop_from(place);
            }
            let position = self.items.last_place().map_or(0, |last| last + 1);
            self.put(position, item);
        }
    }

    /// Puts a stanza in front of all others, unless it is a presence that was replaced in the meantime.
    fn put_first(&mut self, item: Item) {
        let newer = item.presence.and_then(|key| self.presence(key, &item.kept.stanza));
        if newer.is_some() && self.is_replaceable(&item) {
            self.entry.settle(Outcome::Dropped, item.kept.amount());
            return;
        }
        let place = self.items.first().map_or(0, |(first, _)| first - 1);
        self.put(place, item);
    }

    /// Takes out all stanzas, in order.
    pub(super) fn take_all(&mut self) -> Vec<Batch> {
        self.take_where(|_, _| true)
    }

    /// Takes out the first stanzas, in order: of so many bytes at most, or one.
    pub(super) fn take_first(&mut self, mut bytes: usize) -> Vec<Batch> {
        let mut kept = Vec::new();
        while let Some((place, item)) = self.items.first() {
            if item.bytes() > bytes && !kept.is_empty() {
                break;
            }
            if self.is_replaceable(item) && self.is_replaced(place, item) {
                self.drop_from(place);
                continue;
            }
            bytes = bytes.saturating_sub(item.bytes());
            kept.extend(self.remove(place).map(|item| item.into_kept()));
        }
        if self.items.is_empty() {
            self.earliest_expiry = None;
        }
        batch::batches(kept, &mut self.entry)
    }

    /// Takes out the IQ requests: their senders wait for an answer.
    pub(super) fn take_requests(&mut self) -> Vec<Batch> {
        self.take_where(|_, item| item.kept.stanza.is_request())
    }

    /// Takes out the stanzas whose time to wait is over.
    pub(super) fn take_expired(&mut self, now: Instant) -> Vec<Batch> {
        if self.earliest_expiry.is_none_or(|earliest| earliest > now) {
            return Vec::new();
        }
        self.take_where(|_, item| item.expires <= now)
    }

    /// When to call [`Self::take_expired`] next. No stanza expires before; possibly none has expired then.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.earliest_expiry
    }

    /// The time at which the oldest stanza came.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.items.values().map(|item| item.kept.since).min()
    }

    fn take_where(&mut self, wanted: impl FnMut(i64, &Item) -> bool) -> Vec<Batch> {
        let kept = self.take_kept(wanted);
        batch::batches(kept, &mut self.entry)
    }

    fn take_kept(&mut self, mut wanted: impl FnMut(i64, &Item) -> bool) -> Vec<Kept> {
        let (mut places, mut earliest) = (Vec::new(), None);
        for (place, item) in self.items.iter() {
            if wanted(place, item) {
                places.push(place);
            } else {
                earliest = sooner(earliest, item.expires);
            }
        }
        let kept = places.into_iter().filter_map(|place| self.remove(place).map(|item| item.into_kept()));
        let kept = kept.collect();
        self.earliest_expiry = earliest;
        kept
    }

    /// The bound that leaves no room for the stanza; `None`: it fits. A presence takes the place of an older one that it
    /// replaces, so it fits in a full queue as well; the older one is dropped.
    fn make_room_for(&mut self, stanza: &Stanza, room: Room<'_>) -> Option<Bound> {
        let older = presence_key(stanza).and_then(|key| self.presence(key, stanza));
        let older = older.filter(|(_, item)| self.is_replaceable(item));
        let (stanzas, bytes) = older.map_or((0, 0), |(_, item)| (1, item.bytes()));
        let stanzas = self.len() + 1 - stanzas;
        let bytes = self.bytes + stanza.bytes().len() - bytes;
        if stanzas > room.bounds.max_stanzas() {
            return Some(Bound::Stanzas);
        }
        if bytes > room.bounds.max_bytes() {
            return Some(Bound::Bytes);
        }
        if bytes + stanzas * STANZA_COST > room.free {
            return Some(Bound::Memory);
        }
        if let Some(place) = older.map(|(place, _)| place) {
            self.drop_from(place);
        }
        None
    }

    fn put(&mut self, place: i64, item: Item) {
        self.bytes += item.bytes();
        self.earliest_expiry = sooner(self.earliest_expiry, item.expires);
        if let Some(key) = item.presence {
            // One that is put in front is older than those behind it.
            let newest = self.presences.entry(key).or_insert(place);
            *newest = place.max(*newest);
        }
        self.open += usize::from(item.open.is_some());
        self.offered = self.offered.min(place);
        self.items.insert(place, Box::new(item));
    }

    fn remove(&mut self, place: i64) -> Option<Box<Item>> {
        let removed = self.items.remove(place)?;
        unindex(&mut self.presences, place, &removed);
        self.bytes -= removed.bytes();
        self.open -= usize::from(removed.open.is_some());
        Some(removed)
    }

    fn drop_from(&mut self, place: i64) {
        if let Some(dropped) = self.remove(place) {
            self.entry.settle(Outcome::Dropped, dropped.kept.amount());
        }
    }
}

impl Item {
    fn new(kept: Kept, bounds: &dyn Bounds) -> Self {
        let (expires, presence) = (kept.since + bounds.time_of(&kept.stanza), presence_key(&kept.stanza));
        Self { kept, expires, presence, open: None }
    }

    fn bytes(&self) -> usize {
        self.kept.stanza.bytes().len()
    }

    fn into_kept(self) -> Kept {
        let mut kept = self.kept;
        kept.sends.may_have_arrived |= self.open.is_some();
        kept
    }
}

fn sooner(one: Option<Instant>, other: Instant) -> Option<Instant> {
    Some(one.map_or(other, |one| one.min(other)))
}

/// Bytes of memory that a waiting stanza takes beside its own: measured 210 to 270 with short messages
/// (positions and times, the box and the entry in the tree, the allocator's overhead).
pub(super) const STANZA_COST: usize = 288;

#[cfg(test)]
mod tests;
