//! What is not settled, by number.

use std::{collections::VecDeque, time::Instant};

use bytes::Bytes;

use crate::ferry::frame::Parcel;

/// A parcel that is not settled.
#[derive(Debug)]
pub(super) struct Held<C> {
    pub(super) custody: C,
    pub(super) bytes: usize,
    /// None once the receiver has it.
    pub(super) parcel: Option<Parcel>,
    /// When it was given to the sender.
    pub(super) since: Instant,
    /// The last frame that had it, and when that was sent.
    pub(super) sent: Option<(u64, Instant)>,
}

/// Unsettled parcels. The numbers begin at 1.
#[derive(Debug)]
pub(super) struct Slots<C> {
    /// None for what is settled. The first one is not.
    slots: VecDeque<Option<Held<C>>>,
    /// The number of the first slot.
    first: u64,
    /// The slots that are not empty.
    len: usize,
    /// The receiver has all up to this number.
    received: u64,
    /// The stanzas up to this number share no memory with others.
    detached: u64,
}

impl<C> Default for Slots<C> {
    fn default() -> Self {
        Self { slots: VecDeque::new(), first: 1, len: 0, received: 0, detached: 0 }
    }
}

impl<C> Slots<C> {
    pub(super) fn push(&mut self, held: Held<C>) -> u64 {
        self.slots.push_back(Some(held));
        self.len += 1;
        self.first + self.slots.len() as u64 - 1
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// When the oldest was given to the sender.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.slots.front()?.as_ref().map(|held| held.since)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn get(&self, number: u64) -> Option<&Held<C>> {
        self.slots.get(self.index(number)?)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Held<C>> {
        let index = self.index(number)?;
        self.slots.get_mut(index)?.as_mut()
    }

    /// What the receiver may not have.
    pub(super) fn parcels(&self) -> impl Iterator<Item = &Parcel> {
        self.slots.iter().flatten().filter_map(|held| held.parcel.as_ref())
    }

    /// The receiver has all up to this number: they are not sent again.
    pub(super) fn received(&mut self, number: u64) {
        for number in (self.received + 1).max(self.first)..=number {
            if let Some(held) = self.get_mut(number) {
                held.parcel = None;
            }
        }
        self.received = self.received.max(number);
    }

    /// Copies the stanzas of what was given before `until`.
    pub(super) fn detach(&mut self, until: Instant) {
        for number in (self.detached.max(self.received) + 1).max(self.first).. {
            let Some(held) = self.get_mut(number).filter(|held| held.since < until) else { return };
            let batches = held.parcel.iter_mut().flat_map(|parcel| &mut parcel.batches);
            for stanza in batches.flat_map(|batch| &mut batch.stanzas) {
                *stanza = Bytes::copy_from_slice(stanza);
            }
            self.detached = number;
        }
    }

    /// Takes out what is settled or given back. Ranges may be as long as a peer likes: only numbers in use are looked at.
    pub(super) fn take(&mut self, first: u64, last: u64) -> Vec<Held<C>> {
        let last = last.min(self.first + self.slots.len() as u64 - 1);
        let mut taken = Vec::new();
        for number in first.max(self.first)..=last {
            let slot = self.index(number).and_then(|index| self.slots.get_mut(index));
            taken.extend(slot.and_then(Option::take));
        }
        self.len -= taken.len();
        while let Some(None) = self.slots.front() {
            self.slots.pop_front();
            self.first += 1;
        }
        taken
    }

    /// All that is left, in order.
    pub(super) fn into_all(self) -> impl Iterator<Item = (u64, Held<C>)> {
        (self.first..).zip(self.slots).filter_map(|(number, slot)| Some((number, slot?)))
    }

    fn index(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.first)?).ok()
    }
}
