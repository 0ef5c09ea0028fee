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

mod hold;
mod in_flight;
mod recent;
#[cfg(test)]
mod tests;
mod timer;

use std::{collections::VecDeque, time::Instant};

use bytes::Bytes;
use xmpp::stanza::Condition;

pub(crate) use self::{
    hold::LONGEST_HOLD,
    recent::{Suspect, Suspects},
    timer::Timer,
};
use self::{
    hold::{Allowance, Hold},
    in_flight::InFlight,
    recent::Recent,
};
use crate::flow::{
    batch::{self, Batch, Kept},
    ledger::{LedgerEntry, Outcome},
};
use status::amount::Amount;

/// An item to write.
#[derive(Debug)]
enum Item {
    /// A stanza.
    Stanza(Kept),
    /// A stanza whose bytes on the wire differ from those in the queue.
    Recast(Box<(Kept, Bytes)>),
    /// Bytes of the protocol itself.
    Raw(Bytes),
}

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
    entry: LedgerEntry,
    in_flight: InFlight,
    /// Empty for a component.
    recent: Recent,
    /// When the last stanza was written.
    last_written: Option<Instant>,
}

/// Stanzas that are left when a link ends.
#[derive(Debug, Default)]
pub(crate) struct Remains {
    /// The number of stanzas of which the link took at least one byte: they may have arrived or not.
    pub uncertain: usize,
    /// These stanzas, in order.
    pub touched: Vec<Kept>,
    /// Stanzas of which no byte was written, in order.
    pub unwritten: Vec<Batch>,
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
            entry: LedgerEntry::none(),
            in_flight: InFlight::default(),
            recent: Recent::default(),
            last_written: None,
        }
    }

    /// An empty outbox for a component.
    pub(crate) fn of_component(budget: usize) -> Self {
        Self { to_component: true, ..Self::new(budget) }
    }

    /// Queues stanzas. Gives them back if the destination has been too slow for too long.
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

    /// The next chunk, if the link has written the last one and something waits.
    pub(crate) fn next_chunk(&mut self) -> Option<Vec<Bytes>> {
        if self.writing > 0 || self.items.is_empty() {
            return None;
        }
        let mut length = 0;
        let fits = |bytes: &&Bytes| {
            let fits = length < CHUNK;
            length += bytes.len();
            fits
        };
        let chunk: Vec<Bytes> = self.items.iter().map(Item::bytes).take_while(fits).cloned().collect();
        self.writing = chunk.len();
        Some(chunk)
    }

    /// The link has written the chunk. Queues batches that were held, as far as there is room.
    pub(crate) fn written(&mut self, now: Instant) {
        let (mut amount, before) = (Amount::default(), self.bytes_written);
        let mut chunk = Vec::new();
        for item in self.items.drain(..std::mem::take(&mut self.writing)) {
            self.bytes -= item.bytes().len();
            self.bytes_written += item.bytes().len() as u64;
            if let Some(kept) = item.into_kept() {
                self.stanzas_written += 1;
                amount = amount.plus(kept.amount());
                chunk.push(kept);
            }
        }
        if !self.to_component {
            self.recent.add(&chunk, before, now);
        }
        self.entry.settle(Outcome::Written, amount);
        if amount.stanzas > 0 {
            self.in_flight.add(amount, now);
            self.last_written = Some(now);
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

    /// Takes everything out after the end of the link, which wrote `written` bytes of its last chunk.
    pub(crate) fn remains(&mut self, mut written: usize) -> Remains {
        let mut uncertain = Amount::default();
        let mut touched_stanzas = Vec::new();
        let mut unwritten = Vec::new();
        for item in self.items.drain(..std::mem::take(&mut self.writing)) {
            let touched = written > 0;
            written = written.saturating_sub(item.bytes().len());
            match item.into_kept() {
                Some(kept) if touched => {
                    uncertain = uncertain.plus(kept.amount());
                    touched_stanzas.push(kept);
                }
                kept => unwritten.extend(kept),
            }
        }
        self.entry.settle(Outcome::Uncertain, uncertain);
        unwritten.extend(self.items.drain(..).filter_map(Item::into_kept));
        let mut unwritten = batch::batches(unwritten, &mut self.entry);
        unwritten.extend(self.take_overflow());
        self.bytes = 0;
        Remains { uncertain: touched_stanzas.len(), touched: touched_stanzas, unwritten }
    }

    /// The link broke: stanzas written lately may be lost. Counts them as uncertain, and gives their number.
    pub(crate) fn mark_recent_uncertain(&mut self, now: Instant) -> usize {
        let in_flight = self.in_flight.take(now);
        self.entry.mark_uncertain(in_flight);
        usize::try_from(in_flight.stanzas).unwrap_or(usize::MAX)
    }

    /// The stanzas that may not have arrived and can be answered: written lately, or `touched`.
    pub(crate) fn take_suspects(&mut self, touched: &[Kept], now: Instant) -> Suspects {
        self.recent.take(touched, self.bytes_written, now)
    }

    /// The peer has closed the stream: all that was written has arrived.
    pub(crate) fn mark_arrived(&mut self) {
        self.recent = Recent::default();
    }

    /// Counts uncertain stanzas as answered.
    pub(crate) fn answered(&mut self, amount: Amount, condition: Condition, answers: usize) {
        self.entry.answer_uncertain(amount);
        self.entry.bounced(condition, answers);
    }

    /// Takes out the bytes of the protocol that still wait.
    pub(crate) fn take_raw(&mut self) -> Vec<Bytes> {
        let waiting = self.items.drain(self.writing..);
        let (raw, stanzas): (Vec<_>, Vec<_>) = waiting.partition(|item| matches!(item, Item::Raw(_)));
        self.items.extend(stanzas);
        raw.into_iter().map(|item| item.bytes().clone()).inspect(|bytes| self.bytes -= bytes.len()).collect()
    }

    /// Whether nothing waits or is being written.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty() && self.overflow.is_empty()
    }

    /// Whether it holds less than its budget.
    pub(crate) fn has_room(&self) -> bool {
        self.bytes < self.budget
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

    fn admit(&mut self, batch: Batch) {
        let taken = batch.entry.held().stanzas > 0;
        let since = batch.since;
        for stanza in batch.stanzas {
            let recast = if self.to_component { stanza.bytes_for_component() } else { None };
            let kept = Kept { stanza, taken, since };
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

impl Item {
    /// The stanza, if it is one.
    fn into_kept(self) -> Option<Kept> {
        match self {
            Self::Stanza(kept) => Some(kept),
            Self::Recast(recast) => Some(recast.0),
            Self::Raw(_) => None,
        }
    }

    fn bytes(&self) -> &Bytes {
        match self {
            Self::Stanza(kept) => kept.stanza.bytes(),
            Self::Recast(recast) => &recast.1,
            Self::Raw(bytes) => bytes,
        }
    }
}

/// The budget of a session, in bytes: one second of a 10 Mbit/s line.
pub(crate) const BUDGET: usize = 1024 * 1024;

/// The fraction of the budget that a destination has to take during a hold: 1/8 in 2 s, which is 0.5 Mbit/s.
const SLOWEST: usize = 8;

/// Bytes of a chunk, about: four TLS records.
const CHUNK: usize = 64 * 1024;
