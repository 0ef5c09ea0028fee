//! The outbox of a stream: stanzas that wait to be written, in order and bounded, and those that are left
//! when the link ends.
//!
//! Architecture Invariant: plain data. The actor that owns the outbox writes to the link and reports to the
//! router.
//!
//! The owner looks at the room that is left: beyond the budget, what comes waits in another queue, and no sender is
//! paused.
//!
//! On a stream with acknowledgements (XEP-0198), stanzas that are written stay here until the peer acknowledges
//! them. A window bounds them; while it is full, the link gets no stanza.

mod acks;
mod in_flight;
mod item;
mod journal;
mod lately;
mod recent;
mod remains;
mod rhythm;
#[cfg(test)]
mod tests;
mod timer;
mod unacked;
mod window;

use std::{collections::VecDeque, time::Instant};

use bytes::Bytes;
use xmpp::acks::REQUEST;

use self::{
    in_flight::InFlight,
    item::Item,
    lately::Lately,
    recent::Recent,
    unacked::{Load, Unacked},
};
pub(crate) use self::{
    recent::{Suspect, Suspects},
    remains::Remains,
    timer::Timer,
};
use crate::flow::{
    account::{self, Outcome},
    batch::{Batch, Kept},
};
use status::amount::Amount;

/// The items that wait to be written to one link.
#[derive(Debug)]
pub(crate) struct Outbox {
    budget: usize,
    /// The peer is a component.
    to_component: bool,
    /// In order. The items of the current chunk come first.
    items: VecDeque<Item>,
    bytes: usize,
    /// The number of items in the current chunk.
    writing: usize,
    stanzas_written: u64,
    bytes_written: u64,
    entry: account::Entry,
    /// Empty with acknowledgements.
    in_flight: InFlight,
    /// The same of stanzas that other nodes have lent. They are in the account of those.
    lent_in_flight: InFlight,
    /// Empty for a component, and with acknowledgements.
    recent: Recent,
    /// Stanzas of a component that are sent again if the link breaks. `None`: none are.
    lately: Option<Box<Lately>>,
    /// `None` without acknowledgements.
    unacked: Option<Box<Unacked>>,
    /// The closing tag is queued: nothing may follow it.
    is_closing: bool,
    /// When the last stanza was written.
    last_written: Option<Instant>,
}

impl Outbox {
    /// An empty outbox that takes about `budget` bytes.
    pub(crate) fn new(budget: usize) -> Self {
        Self {
            budget,
            to_component: false,
            items: VecDeque::new(),
            bytes: 0,
            writing: 0,
            stanzas_written: 0,
            bytes_written: 0,
            entry: account::Entry::none(),
            in_flight: InFlight::default(),
            lent_in_flight: InFlight::default(),
            recent: Recent::default(),
            lately: None,
            unacked: None,
            is_closing: false,
            last_written: None,
        }
    }

    /// An empty outbox for a component.
    pub(crate) fn of_component(budget: usize) -> Self {
        Self { to_component: true, ..Self::new(budget) }
    }

    /// Keeps what is written for a while, so that it can be sent again if the link breaks.
    pub(crate) fn keep_written(&mut self) {
        self.lately = Some(Box::default());
    }

    /// Queues stanzas, however many wait already: the owner looks at the room that is left.
    pub(crate) fn accept(&mut self, mut batch: Batch) {
        let taken = batch.entry.held().stanzas > 0;
        let (since, sends) = (batch.since, batch.sends);
        for (stanza, place) in batch.take_stanzas() {
            let recast = if self.to_component { stanza.bytes_for_component() } else { None };
            let receipt = batch.receipt.of(&stanza);
            let kept = Kept { stanza, taken, since, sends, place, receipt };
            let item = match recast {
                Some(bytes) => Item::Recast(Box::new((kept, bytes))),
                None => Item::Stanza(kept),
            };
            self.bytes += item.bytes().len();
            self.items.push_back(item);
        }
        self.entry.merge(batch.entry);
        // The read permit is dropped here: the sender is read again.
    }

    /// Queues bytes of the protocol itself. They are few and never refused.
    pub(crate) fn push_raw(&mut self, bytes: Bytes) {
        self.bytes += bytes.len();
        self.items.push_back(Item::Raw(bytes));
    }

    /// The next chunk, if the link has written the last one and something waits that may be written.
    pub(crate) fn next_chunk(&mut self, now: Instant) -> Option<Vec<Bytes>> {
        if self.writing > 0 || self.items.is_empty() && self.unacked.is_none() {
            return None;
        }
        let (mut chunk, mut length, mut load) = (Vec::new(), 0, Load::default());
        let mut taken_back = Vec::new();
        for (place, item) in self.items.iter().enumerate() {
            if length >= CHUNK {
                break;
            }
            if let (Item::Stanza(kept), Some(unacked)) = (item, &mut self.unacked)
                && !unacked.admits(kept, load, now)
            {
                break;
            }
            if !item.is_admitted(now) {
                taken_back.push(place);
                continue;
            }
            if let (Item::Stanza(kept), Some(_)) = (item, &self.unacked) {
                load.add(kept);
            }
            length += item.bytes().len();
            chunk.push(item.bytes().clone());
        }
        self.drop_items(&taken_back);
        let may_ask = !self.is_closing || chunk.len() < self.items.len();
        if let Some(unacked) = &mut self.unacked
            && unacked.begin_chunk(load, now, may_ask)
        {
            let request = Bytes::from_static(REQUEST);
            self.bytes += request.len();
            self.items.insert(chunk.len(), Item::Raw(request.clone()));
            chunk.push(request);
        }
        self.writing = chunk.len();
        (!chunk.is_empty()).then_some(chunk)
    }

    /// Drops the items at these places, which are in order: other nodes take back the stanzas.
    fn drop_items(&mut self, places: &[usize]) {
        for place in places.iter().rev() {
            self.bytes -= self.items.remove(*place).map_or(0, |item| item.bytes().len());
        }
    }

    /// The link has written the chunk.
    pub(crate) fn written(&mut self, now: Instant) {
        let before = self.bytes_written;
        let mut chunk = Vec::new();
        for item in self.items.drain(..std::mem::take(&mut self.writing)) {
            self.bytes -= item.bytes().len();
            self.bytes_written += item.bytes().len() as u64;
            chunk.extend(item.into_kept());
        }
        self.stanzas_written += chunk.len() as u64;
        if !chunk.is_empty() {
            self.last_written = Some(now);
            match &mut self.unacked {
                Some(unacked) => unacked.written(chunk, &mut self.entry, now),
                None => self.settle_written(chunk, before, now),
            }
        }
        if self.items.is_empty() {
            // The burst is over: an idle link keeps no memory for it.
            self.items.shrink_to_fit();
        }
    }

    /// Settles stanzas that nobody will acknowledge; `before` counts the bytes that were written before them.
    fn settle_written(&mut self, chunk: Vec<Kept>, before: u64, now: Instant) {
        if !self.to_component {
            self.recent.add(&chunk, before, now);
        }
        let lent = chunk.iter().filter(|kept| kept.receipt.is_of_a_parcel());
        let lent = Amount::of(lent.map(|kept| &kept.stanza));
        let amount = chunk.iter().map(Kept::amount).fold(Amount::default(), Amount::plus);
        let amount = self.entry.settle(Outcome::Written, amount);
        if amount.stanzas > 0 {
            self.in_flight.add(amount, now);
        }
        if lent.stanzas > 0 {
            self.lent_in_flight.add(lent, now);
        }
        if let Some(lately) = &mut self.lately {
            lately.add(chunk, now);
        }
    }

    /// Whether nothing waits or is being written.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether it holds less than its budget.
    pub(crate) fn has_room(&self) -> bool {
        self.bytes < self.budget
    }

    /// Sets the bytes that it takes, about.
    pub(crate) fn set_budget(&mut self, budget: usize) {
        self.budget = budget;
    }

    /// Bytes that it takes, if no more than half of its budget waits.
    pub(crate) fn room_if_drained(&self) -> Option<usize> {
        (self.bytes <= self.budget / 2).then(|| self.budget - self.bytes)
    }

    /// When the link wrote a stanza for the last time.
    pub(crate) fn last_written(&self) -> Option<Instant> {
        self.last_written
    }

    /// The bytes that the link has written.
    pub(crate) fn bytes_written(&self) -> u64 {
        self.bytes_written
    }

    /// Whether more waits than the outbox of a session may hold whose peer reads slowly.
    pub(crate) fn has_surplus(&self) -> bool {
        self.bytes > STALLED_BUDGET
    }

    /// The number of stanzas that the link has written completely.
    pub(crate) fn stanzas_written(&self) -> u64 {
        self.stanzas_written
    }

    /// The amount that the link has written, and the amount that waits or is being written.
    pub(crate) fn amounts(&self) -> (Amount, Amount) {
        let stanzas = self.items.iter().filter(|item| !matches!(item, Item::Raw(_))).count();
        let waiting = Amount { stanzas: stanzas as u64, bytes: self.bytes as u64 };
        (Amount { stanzas: self.stanzas_written, bytes: self.bytes_written }, waiting)
    }
}

/// The budget of a session, in bytes: one second of a 10 Mbit/s line.
pub(crate) const BUDGET: usize = 1024 * 1024;

/// The budget of a session whose peer has read less than half of [`BUDGET`] in a second, in bytes: two chunks. The rest
/// waits in the promise, which bounds the memory of all pairs, so that a thousand such sessions take little beside it.
pub(crate) const STALLED_BUDGET: usize = 2 * CHUNK;

/// Bytes of a chunk, about: four TLS records.
const CHUNK: usize = 64 * 1024;
