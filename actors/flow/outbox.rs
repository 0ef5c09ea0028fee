//! The outbox of a stream: stanzas that wait to be written, in order and bounded, and those that are left
//! when the link ends.
//!
//! Architecture Invariant: plain data. The actor that owns the outbox writes to the link and reports to the
//! router.
//!
//! A burst above the budget loses nothing: the batches that do not fit keep their read permits, so their
//! senders are not read. A sender with one destination is held to the rate of that destination, as long as that
//! destination takes an eighth of the budget in each [`LONGEST_HOLD`]. A sender with several destinations is held up for
//! that time only, and not soon again. After that the destination is too slow: the held batches come back,
//! and so do all that follow, until half of the budget is free again.
//!
//! On a stream with acknowledgements (XEP-0198), stanzas that are written stay here until the peer acknowledges
//! them. A window bounds them; while it is full, the link gets no stanza.

mod acks;
mod hold;
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

pub(crate) use self::{
    hold::LONGEST_HOLD,
    recent::{Suspect, Suspects},
    remains::Remains,
    timer::Timer,
};
use self::{
    hold::{Allowance, Hold},
    in_flight::InFlight,
    item::Item,
    lately::Lately,
    recent::Recent,
    unacked::{Load, Unacked},
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
    /// Batches above the budget.
    overflow: VecDeque<Batch>,
    hold: Option<Hold>,
    allowance: Allowance,
    /// The destination was too slow; batches are refused until half of the budget is free.
    is_refusing: bool,
    stanzas_written: u64,
    bytes_written: u64,
    entry: account::Entry,
    /// Empty with acknowledgements.
    in_flight: InFlight,
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
            overflow: VecDeque::new(),
            hold: None,
            allowance: Allowance::full(clock::now()),
            is_refusing: false,
            stanzas_written: 0,
            bytes_written: 0,
            entry: account::Entry::none(),
            in_flight: InFlight::default(),
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

    /// Queues stanzas. Gives them back if the destination has been too slow for too long.
    #[allow(
        clippy::result_large_err,
        reason = "a batch that is given back is moved once, and boxing it costs more"
    )]
    pub(crate) fn push(&mut self, batch: Batch, now: Instant) -> Result<(), Batch> {
        if self.is_refusing && !batch.returning {
            return Err(batch);
        }
        if self.overflow.is_empty() && self.bytes < self.budget {
            self.admit(batch);
        } else {
            self.hold_up(&batch, now);
            self.overflow.push_back(batch);
        }
        Ok(())
    }

    /// Queues stanzas that were counted and bounded in another queue, however many wait already.
    pub(crate) fn push_first(&mut self, batch: Batch) {
        self.admit(batch);
    }

    fn hold_up(&mut self, batch: &Batch, now: Instant) {
        let written = self.bytes_written;
        let hold = self.hold.get_or_insert(Hold { ends: now + LONGEST_HOLD, written, fans_out_since: None });
        if batch.fans_out && hold.fans_out_since.is_none() {
            hold.fans_out_since = Some(now);
            hold.ends = hold.ends.min(now + self.allowance.left(now));
        }
    }

    /// Ends the hold: no sender is held up.
    fn release_hold(&mut self, now: Instant) {
        if let Some(Hold { fans_out_since: Some(since), .. }) = self.hold.take() {
            self.allowance.spend(since, now);
        }
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
        for item in &self.items {
            if length >= CHUNK {
                break;
            }
            if let (Item::Stanza(kept), Some(unacked)) = (item, &mut self.unacked) {
                if !unacked.admits(kept, load, now) {
                    break;
                }
                load.add(kept);
            }
            length += item.bytes().len();
            chunk.push(item.bytes().clone());
        }
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

    /// The link has written the chunk. Queues batches that were held, as far as there is room.
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
        while self.bytes < self.budget
            && let Some(batch) = self.overflow.pop_front()
        {
            self.admit(batch);
        }
        if self.overflow.is_empty() {
            self.release_hold(now);
        }
        if self.items.is_empty() {
            // The burst is over: an idle link keeps no memory for it.
            self.items.shrink_to_fit();
        }
        if self.bytes <= self.budget / 2 {
            self.is_refusing = false;
        }
    }

    /// Settles stanzas that nobody will acknowledge; `before` counts the bytes that were written before them.
    fn settle_written(&mut self, chunk: Vec<Kept>, before: u64, now: Instant) {
        if !self.to_component {
            self.recent.add(&chunk, before, now);
        }
        let amount = chunk.iter().map(Kept::amount).fold(Amount::default(), Amount::plus);
        let amount = self.entry.settle(Outcome::Written, amount);
        if amount.stanzas > 0 {
            self.in_flight.add(amount, now);
        }
        if let Some(lately) = &mut self.lately {
            lately.add(chunk, now);
        }
    }

    /// When the hold ends.
    pub(crate) fn hold_ends(&self) -> Option<Instant> {
        self.hold.map(|hold| hold.ends)
    }

    /// Ends a hold whose time is over. Gives back the held batches if too little was written, and refuses
    /// from then on.
    pub(crate) fn end_hold(&mut self, now: Instant) -> Vec<Batch> {
        let Some(hold) = self.hold.filter(|hold| hold.ends <= now) else { return Vec::new() };
        let taken = self.bytes_written - hold.written;
        if hold.fans_out_since.is_none() && taken >= (self.budget / SLOWEST) as u64 {
            self.hold =
                Some(Hold { ends: now + LONGEST_HOLD, written: self.bytes_written, fans_out_since: None });
            return Vec::new();
        }
        self.is_refusing = true;
        self.release_hold(now);
        let (returning, refused) = self.overflow.drain(..).partition(|batch| batch.returning);
        self.overflow = returning;
        let refused: VecDeque<Batch> = refused;
        refused.into()
    }

    /// Takes out the held batches: the stream is being closed, and nothing may follow its closing tag.
    pub(crate) fn take_overflow(&mut self) -> Vec<Batch> {
        self.hold = None;
        self.overflow.drain(..).collect()
    }

    /// Whether nothing waits or is being written.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty() && self.overflow.is_empty()
    }

    /// Whether it holds less than its budget.
    pub(crate) fn has_room(&self) -> bool {
        self.bytes < self.budget
    }

    /// Bytes that it takes, if no more than half of its budget waits.
    pub(crate) fn room_if_drained(&self) -> Option<usize> {
        (self.bytes <= self.budget / 2).then(|| self.budget - self.bytes)
    }

    /// When the link wrote a stanza for the last time.
    pub(crate) fn last_written(&self) -> Option<Instant> {
        self.last_written
    }

    /// The number of stanzas that the link has written completely.
    pub(crate) fn stanzas_written(&self) -> u64 {
        self.stanzas_written
    }

    /// The amount that the link has written, and the amount that waits, is being written or is held.
    pub(crate) fn amounts(&self) -> (Amount, Amount) {
        let stanzas = self.items.iter().filter(|item| !matches!(item, Item::Raw(_))).count();
        let inside = Amount { stanzas: stanzas as u64, bytes: self.bytes as u64 };
        let waiting = self.overflow.iter().map(Batch::amount).fold(inside, Amount::plus);
        (Amount { stanzas: self.stanzas_written, bytes: self.bytes_written }, waiting)
    }

    fn admit(&mut self, mut batch: Batch) {
        let taken = batch.entry.held().stanzas > 0;
        let (since, sends) = (batch.since, batch.sends);
        for (stanza, entry) in batch.take_stanzas() {
            let recast = if self.to_component { stanza.bytes_for_component() } else { None };
            let kept = Kept { stanza, taken, since, sends, entry };
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
}

/// The budget of a session, in bytes: one second of a 10 Mbit/s line.
pub(crate) const BUDGET: usize = 1024 * 1024;

/// The fraction of the budget that a destination has to take during a hold: 1/8 in 2 s, which is 0.5 Mbit/s.
const SLOWEST: usize = 8;

/// Bytes of a chunk, about: four TLS records.
const CHUNK: usize = 64 * 1024;
