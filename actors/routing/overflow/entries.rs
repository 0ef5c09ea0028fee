//! The stanzas of an overflow in order, each with its times, in memory or on the disk.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use xmpp::Stanza;

use super::facts::{Facts, OnDisk};
use crate::flow::{batch::Kept, journal::Place};
use status::amount::Amount;

/// The stanzas, in order.
#[derive(Debug, Default)]
pub(super) struct Entries {
    entries: BTreeMap<i64, Entry>,
    /// When each of them expires, with its number.
    expiries: BTreeSet<(Instant, i64)>,
    next: i64,
    /// The stanzas in memory.
    in_memory: Amount,
    /// Those of them that the journal must not have, or could not take.
    resident: Amount,
    /// The stanzas on the disk only.
    on_disk: Amount,
    /// The number of those that survive a crash.
    durable: usize,
}

/// A stanza.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) facts: Facts,
    state: State,
}

#[derive(Debug)]
enum State {
    /// In memory.
    InMemory(Box<Kept>, Goes),
    /// On the disk, with this key.
    OnDisk(u64),
}

/// Where a stanza in memory goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goes {
    /// The journal has got it, and the stanza leaves the memory when it is written.
    ToDisk,
    /// It stays.
    Nowhere,
}

/// A stanza that was taken out.
pub(super) enum Removed {
    Kept(Kept),
    OnDisk(OnDisk),
}

impl Entry {
    pub(super) fn is_on_disk(&self) -> bool {
        matches!(self.state, State::OnDisk(_))
    }
}

impl Entries {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn in_memory(&self) -> Amount {
        self.in_memory
    }

    pub(super) fn resident(&self) -> Amount {
        self.resident
    }

    pub(super) fn on_disk(&self) -> Amount {
        self.on_disk
    }

    /// Stanzas on the disk only that survive a crash.
    pub(super) fn durable(&self) -> usize {
        self.durable
    }

    /// Adds a stanza behind all others. Gives its number.
    pub(super) fn push(&mut self, kept: Kept, expires: Instant, goes: Goes) -> i64 {
        let number = self.next;
        self.next += 1;
        self.insert(
            number,
            Entry { facts: Facts::of(&kept, expires), state: State::InMemory(Box::new(kept), goes) },
        );
        number
    }

    /// Puts a stanza back to its place.
    pub(super) fn put_back(&mut self, on_disk: &OnDisk) {
        let OnDisk { number, key, facts } = *on_disk;
        self.next = self.next.max(number + 1);
        self.insert(number, Entry { facts, state: State::OnDisk(key) });
    }

    fn insert(&mut self, number: i64, entry: Entry) {
        self.expiries.insert((entry.facts.expires, number));
        self.count(&entry, Amount::plus);
        self.durable += usize::from(entry.is_on_disk() && entry.facts.is_durable);
        self.entries.insert(number, entry);
    }

    fn count(&mut self, entry: &Entry, change: fn(Amount, Amount) -> Amount) {
        let amount = entry.facts.amount();
        match &entry.state {
            State::OnDisk(_) => self.on_disk = change(self.on_disk, amount),
            State::InMemory(_, goes) => {
                self.in_memory = change(self.in_memory, amount);
                if *goes == Goes::Nowhere {
                    self.resident = change(self.resident, amount);
                }
            }
        }
    }

    pub(super) fn remove(&mut self, number: i64) -> Option<Removed> {
        let entry = self.entries.remove(&number)?;
        self.expiries.remove(&(entry.facts.expires, number));
        self.count(&entry, Amount::minus);
        self.durable -= usize::from(entry.is_on_disk() && entry.facts.is_durable);
        Some(match entry.state {
            State::InMemory(kept, _) => Removed::Kept(*kept),
            State::OnDisk(key) => Removed::OnDisk(OnDisk { number, key, facts: entry.facts }),
        })
    }

    /// The first stanza.
    pub(super) fn first(&self) -> Option<(i64, &Entry)> {
        self.entries.first_key_value().map(|(number, entry)| (*number, entry))
    }

    /// The place of a stanza that is in memory.
    pub(super) fn place(&self, number: i64) -> Option<&Place> {
        match &self.entries.get(&number)?.state {
            State::InMemory(kept, _) => Some(&kept.place),
            State::OnDisk(_) => None,
        }
    }

    /// A stanza that is in memory.
    pub(super) fn stanza(&self, number: i64) -> Option<&Stanza> {
        match &self.entries.get(&number)?.state {
            State::InMemory(kept, _) => Some(&kept.stanza),
            State::OnDisk(_) => None,
        }
    }

    /// Frees the memory of a stanza that is in the file.
    pub(super) fn leave_memory(&mut self, number: i64) {
        self.change(number, |mut kept| match std::mem::take(&mut kept.place) {
            Place::Written(handle) => {
                handle.into_key().map_or(State::InMemory(kept, Goes::Nowhere), State::OnDisk)
            }
            place => {
                kept.place = place;
                State::InMemory(kept, Goes::Nowhere)
            }
        });
    }

    /// A stanza that the journal could not take stays in memory.
    pub(super) fn stay(&mut self, number: i64) {
        self.change(number, |mut kept| {
            kept.place = std::mem::take(&mut kept.place).without_record();
            State::InMemory(kept, Goes::Nowhere)
        });
    }

    fn change(&mut self, number: i64, change: impl FnOnce(Box<Kept>) -> State) {
        let Some(facts) = self.entries.get(&number).map(|entry| entry.facts) else { return };
        match self.remove(number) {
            Some(Removed::Kept(kept)) => {
                let state = change(Box::new(kept));
                self.insert(number, Entry { facts, state });
            }
            Some(Removed::OnDisk(on_disk)) => self.put_back(&on_disk),
            None => {}
        }
    }

    /// When the next stanza expires.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.expiries.first().map(|(expires, _)| *expires)
    }

    /// The stanzas whose time to wait is over, in order.
    pub(super) fn expired(&self, now: Instant) -> BTreeSet<i64> {
        self.expiries.iter().take_while(|(expires, _)| *expires <= now).map(|(_, number)| *number).collect()
    }

    /// The stanzas of which this is true, in order.
    pub(super) fn numbers(&self, wanted: impl Fn(&Facts) -> bool) -> BTreeSet<i64> {
        self.entries.iter().filter(|(_, entry)| wanted(&entry.facts)).map(|(number, _)| *number).collect()
    }
}
