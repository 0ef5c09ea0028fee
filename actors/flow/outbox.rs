//! What a session has yet to write, in order and bounded; and what becomes of it when the link dies.
//!
//! Architecture Invariant: plain data. The actor that owns the outbox talks to the link and to the router.
//!
//! A burst past the budget costs nothing: the batches that do not fit keep their passes, so that their sources stop
//! reading. A source that writes to nobody else is held to the rate of its destination as long as that takes a good part
//! of the budget in each [`MOMENT`]. One that has others to write to is held up for a moment only, and not soon again.
//! After that the destination is too slow: those batches come back, and so does all that follows until half of the
//! budget is free again.

mod alarm;
mod doubt;
mod facts;
mod patience;
#[cfg(test)]
mod tests;

use std::{collections::VecDeque, time::Instant};

use bytes::Bytes;
use xmpp::stanza::Condition;

pub use self::{
    alarm::Alarm,
    facts::{Fact, Suspects},
    patience::MOMENT,
};
use self::{
    doubt::Doubt,
    facts::Facts,
    patience::{Moment, Patience},
};
use crate::flow::{
    batch::{self, Batch, Kept},
    ledger::{LedgerEntry, Outcome},
};
use status::amount::Amount;

/// Something to write.
#[derive(Debug)]
enum Item {
    /// A stanza, which has a sender who wants to know what became of it.
    Stanza(Kept),
    /// One that is written in other bytes than it is kept in.
    Recast(Box<(Kept, Bytes)>),
    /// Part of the stream's own life.
    Raw(Bytes),
}

/// What waits to be written to one link.
#[derive(Debug)]
pub struct Outbox {
    budget: usize,
    /// The link is a component's.
    to_component: bool,
    /// In order; what is with the link now stands first.
    items: VecDeque<Item>,
    bytes: usize,
    /// How many are with the link now.
    writing: usize,
    overflow: VecDeque<Batch>,
    moment: Option<Moment>,
    patience: Patience,
    refusing: bool,
    stanzas_written: u64,
    bytes_written: u64,
    slip: LedgerEntry,
    doubt: Doubt,
    /// Of a link to another server.
    facts: Facts,
    /// When the last stanza was.
    last_written: Option<Instant>,
}

/// What a dead link leaves behind.
#[derive(Debug, Default)]
pub struct Remains {
    /// Stanzas of which the link took at least a byte, yet not known to have arrived.
    pub uncertain: usize,
    /// These stanzas, in order.
    pub touched: Vec<Kept>,
    /// Stanzas of which nothing was written, in order.
    pub unwritten: Vec<Batch>,
}

impl Outbox {
    /// An empty one that takes about `budget` bytes.
    pub fn new(budget: usize) -> Self {
        Self {
            budget,
            to_component: false,
            items: VecDeque::new(),
            bytes: 0,
            writing: 0,
            overflow: VecDeque::new(),
            moment: None,
            patience: Patience::whole(clock::now()),
            refusing: false,
            stanzas_written: 0,
            bytes_written: 0,
            slip: LedgerEntry::none(),
            doubt: Doubt::default(),
            facts: Facts::default(),
            last_written: None,
        }
    }

    /// The same for the link of a component.
    pub fn of_component(budget: usize) -> Self {
        Self { to_component: true, ..Self::new(budget) }
    }

    /// Takes stanzas; hands them back when the destination has been too slow for too long.
    pub fn push(&mut self, batch: Batch, now: Instant) -> Result<(), Batch> {
        if self.refusing && !batch.returning {
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

    /// Takes stanzas that have waited elsewhere, whatever there is already: there they were counted and bounded.
    pub fn push_first(&mut self, batch: Batch) {
        self.admit(batch);
    }

    fn hold_up(&mut self, batch: &Batch, now: Instant) {
        let written = self.bytes_written;
        let moment = self.moment.get_or_insert(Moment { ends: now + MOMENT, written, shared: None });
        if batch.shared && moment.shared.is_none() {
            moment.shared = Some(now);
            moment.ends = moment.ends.min(now + self.patience.left(now));
        }
    }

    /// Nobody is held up any more.
    fn let_go(&mut self, now: Instant) {
        if let Some(Moment { shared: Some(since), .. }) = self.moment.take() {
            self.patience.spend(since, now);
        }
    }

    /// Takes bytes of the stream's own; they are few and never refused.
    pub fn push_raw(&mut self, bytes: Bytes) {
        self.bytes += bytes.len();
        self.items.push_back(Item::Raw(bytes));
    }

    /// The next chunk for the link, if it is free and something waits.
    pub fn next_chunk(&mut self) -> Option<Vec<Bytes>> {
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

    /// The link has written the chunk; lets in what was held outside.
    pub fn written(&mut self, now: Instant) {
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
            self.facts.remember(&chunk, before, now);
        }
        self.slip.settle(Outcome::Written, amount);
        if amount.stanzas > 0 {
            self.doubt.remember(amount, now);
            self.last_written = Some(now);
        }
        while self.bytes < self.budget
            && let Some(batch) = self.overflow.pop_front()
        {
            self.admit(batch);
        }
        if self.overflow.is_empty() {
            self.let_go(now);
        }
        if self.items.is_empty() {
            // A burst is over: a thousand idle links would keep its room a thousand times.
            self.items.shrink_to_fit();
        }
        if self.bytes <= self.budget / 2 {
            self.refusing = false;
        }
    }

    /// When the patience with what is held outside ends.
    pub fn patience_ends(&self) -> Option<Instant> {
        self.moment.map(|moment| moment.ends)
    }

    /// Gives back what was held outside while too little was written, and refuses from now on.
    pub fn lose_patience(&mut self, now: Instant) -> Vec<Batch> {
        let Some(moment) = self.moment.filter(|moment| moment.ends <= now) else { return Vec::new() };
        let taken = self.bytes_written - moment.written;
        if moment.shared.is_none() && taken >= (self.budget / SLOWEST) as u64 {
            self.moment = Some(Moment { ends: now + MOMENT, written: self.bytes_written, shared: None });
            return Vec::new();
        }
        self.refusing = true;
        self.let_go(now);
        let (returning, refused) = self.overflow.drain(..).partition(|batch| batch.returning);
        self.overflow = returning;
        let refused: VecDeque<Batch> = refused;
        refused.into()
    }

    /// Takes out what was held outside: the stream is being closed, and nothing may follow its closing tag.
    pub fn take_overflow(&mut self) -> Vec<Batch> {
        self.moment = None;
        self.overflow.drain(..).collect()
    }

    /// Takes everything out after the link has ended with `written` bytes of its last chunk gone.
    pub fn remains(&mut self, mut written: usize) -> Remains {
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
        self.slip.settle(Outcome::Uncertain, uncertain);
        unwritten.extend(self.items.drain(..).filter_map(Item::into_kept));
        let mut unwritten = batch::batches(unwritten, &mut self.slip);
        unwritten.extend(self.take_overflow());
        self.bytes = 0;
        Remains { uncertain: touched_stanzas.len(), touched: touched_stanzas, unwritten }
    }

    /// The link died without a goodbye: what was written lately may be lost on the way. Gives the number of stanzas.
    pub fn doubt_recent(&mut self, now: Instant) -> usize {
        let doubtful = self.doubt.take(now);
        self.slip.doubt(doubtful);
        usize::try_from(doubtful.stanzas).unwrap_or(usize::MAX)
    }

    /// Gives the stanzas whose senders can be answered, of those that may not have arrived: written lately, or `touched`.
    pub fn take_suspects(&mut self, touched: &[Kept], now: Instant) -> Suspects {
        self.facts.take(touched, self.bytes_written, now)
    }

    /// Takes that everything written has arrived, since the peer said goodbye.
    pub fn trust_written(&mut self) {
        self.facts = Facts::default();
    }

    /// Writes down that so many of the uncertain stanzas were answered.
    pub fn answered(&mut self, amount: Amount, condition: Condition, answers: usize) {
        self.slip.answer_doubtful(amount);
        self.slip.bounced(condition, answers);
    }

    /// Takes the bytes of the stream's own out of what waits.
    pub fn take_raw(&mut self) -> Vec<Bytes> {
        let waiting = self.items.drain(self.writing..);
        let (raw, stanzas): (Vec<_>, Vec<_>) = waiting.partition(|item| matches!(item, Item::Raw(_)));
        self.items.extend(stanzas);
        raw.into_iter().map(|item| item.bytes().clone()).inspect(|bytes| self.bytes -= bytes.len()).collect()
    }

    /// Whether nothing waits or is on its way.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty() && self.overflow.is_empty()
    }

    /// Whether it holds less than its budget.
    pub fn has_room(&self) -> bool {
        self.bytes < self.budget
    }

    /// When the link took a stanza for the last time.
    pub fn last_written(&self) -> Option<Instant> {
        self.last_written
    }

    /// Stanzas the link has taken whole.
    pub fn stanzas_written(&self) -> u64 {
        self.stanzas_written
    }

    /// Everything the link has taken, and what it has not: what is on its way, waits, or is held outside.
    pub fn amounts(&self) -> (Amount, Amount) {
        let stanzas = self.items.iter().filter(|item| !matches!(item, Item::Raw(_))).count();
        let inside = Amount { stanzas: stanzas as u64, bytes: self.bytes as u64 };
        let waiting = self.overflow.iter().map(Batch::amount).fold(inside, Amount::plus);
        (Amount { stanzas: self.stanzas_written, bytes: self.bytes_written }, waiting)
    }

    fn admit(&mut self, batch: Batch) {
        let taken = batch.slip.held().stanzas > 0;
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
        self.slip.merge(batch.slip);
        // The pass is dropped here: the source reads on.
    }
}

impl Item {
    /// The stanza that it is.
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

/// Bytes a session may have yet to write: a second of a 10 Mbit/s line.
pub const BUDGET: usize = 1024 * 1024;

/// The part of its budget that a destination has to take in a moment: half a Mbit/s is fast enough.
const SLOWEST: usize = 8;

/// Four TLS records: what one turn of the link writes.
const CHUNK: usize = 64 * 1024;
