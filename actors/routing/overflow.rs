//! The part of a queue for which there is no room in memory: it is in the journal, behind the part in memory and in front of
//! all that comes.
//!
//! A stanza stays in memory until the journal has written it. Then only its key, its size and its times are left, so each of
//! them still expires in its time, and the queue knows how much waits. A stanza that the journal must not have, or could
//! not take, stays in memory at its place, if the bounds of the queue leave room for it.
//!
//! Architecture Invariant: plain data. The caller asks the journal, and answers the stanzas that are taken out.

mod confirmation;
mod disk;
mod endings;
mod entries;
mod facts;
mod long_queue;
mod unread;

use std::{
    collections::{BTreeSet, VecDeque},
    time::Instant,
};

use journal::record::Flags;
use xmpp::Stanza;

pub(super) use self::{
    confirmation::Confirmation,
    disk::Disk,
    endings::Outcome as Ending,
    long_queue::{Footprint, LongQueue, READ_BYTES, READ_STANZAS, Space},
    unread::{Read, Unread},
};
use self::{
    entries::{Entries, Goes, Removed},
    facts::OnDisk,
};
use super::queue::{Bound, Bounds, Collected, Rest, STANZA_COST};
use crate::flow::{
    account,
    batch::{self, Batch, Kept},
    journal::{Group, Place, Receipt, is_worth_keeping},
};
use status::amount::Amount;

/// The stanzas in the journal, and on their way there.
#[derive(Debug)]
pub(super) struct Overflow {
    entries: Entries,
    /// The numbers of those that the journal has got and not confirmed.
    unconfirmed: VecDeque<i64>,
    /// Those that are being read, and the number of the question. They are in front of all others.
    reading: Option<Reading>,
    /// The entry of all stanzas in the account.
    account: account::Entry,
}

/// Stanzas that are being read.
#[derive(Debug)]
struct Reading {
    /// The number of the question.
    id: u64,
    stanzas: Vec<OnDisk>,
    amount: Amount,
    /// The number of those that survive a crash.
    durable: usize,
}

/// Room for new stanzas.
#[derive(Clone, Copy)]
pub(super) struct Room<'a> {
    pub(super) bounds: &'a dyn Bounds,
    /// What the part of the queue in memory has.
    pub(super) in_memory: Amount,
    /// Weight that all queues together may still grow.
    pub(super) free: usize,
    /// Weight that the entries of all stanzas on the disk may still grow.
    pub(super) free_for_entries: usize,
}

/// What moves to the part of the queue in memory.
#[derive(Debug)]
pub(super) struct Front {
    /// The first of them.
    pub(super) kept: Vec<Kept>,
    /// Counts them.
    pub(super) account: account::Entry,
    /// The keys of those behind them, which have to be read.
    pub(super) keys: Vec<u64>,
}

/// The stanzas that were taken out.
#[derive(Debug)]
pub(super) struct TakenOut {
    /// Those that were in memory.
    pub(super) batches: Vec<Batch>,
    /// Those that are on the disk.
    pub(super) unread: Unread,
}

impl Reading {
    fn new(id: u64, stanzas: Vec<OnDisk>) -> Self {
        let amount = stanzas.iter().map(OnDisk::amount).fold(Amount::default(), Amount::plus);
        let durable = stanzas.iter().filter(|on_disk| on_disk.facts.is_durable).count();
        Self { id, stanzas, amount, durable }
    }
}

impl Room<'_> {
    /// The bound that leaves no room in memory for one more stanza beside those that are `resident`.
    fn bound_in_memory(&self, resident: Amount, stanza: &Stanza) -> Option<Bound> {
        let amount = self.in_memory.plus(resident).plus(Amount::of([stanza]));
        if amount.stanzas > self.bounds.max_stanzas() as u64 {
            return Some(Bound::Stanzas);
        }
        (amount.bytes > self.bounds.max_bytes() as u64).then_some(Bound::Bytes)
    }
}

impl Default for Overflow {
    fn default() -> Self {
        Self {
            entries: Entries::default(),
            unconfirmed: VecDeque::new(),
            reading: None,
            account: account::Entry::none(),
        }
    }
}

impl Overflow {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.len() == 0 && self.reading.is_none()
    }

    /// Everything.
    pub(super) fn amount(&self) -> Amount {
        self.entries.in_memory().plus(self.on_disk())
    }

    /// What is on the disk only.
    pub(super) fn on_disk(&self) -> Amount {
        self.reading.iter().map(|reading| reading.amount).fold(self.entries.on_disk(), Amount::plus)
    }

    /// Stanzas that survive a crash.
    pub(super) fn stored(&self) -> usize {
        self.entries.durable() + self.reading.as_ref().map_or(0, |reading| reading.durable)
    }

    /// Bytes of memory of the entries.
    pub(super) fn weight_of_entries(&self) -> usize {
        let reading = self.reading.as_ref().map_or(0, |reading| reading.stanzas.len());
        (self.entries.len() + reading) * ENTRY_COST
    }

    /// Bytes of memory: the entries, and the stanzas that are in memory.
    pub(super) fn weight(&self) -> usize {
        let Amount { stanzas, bytes } = self.entries.in_memory();
        self.weight_of_entries() + bytes as usize + stanzas as usize * STANZA_COST
    }

    /// Appends a batch, and adds to `group` what is to be written. Gives back what does not fit.
    pub(super) fn append(&mut self, mut batch: Batch, room: Room<'_>, group: &mut Group<'_>) -> Rest {
        let taken = batch.entry.held().stanzas > 0;
        self.account.merge(std::mem::take(&mut batch.entry));
        let (weight, entries) = (self.weight(), self.weight_of_entries());
        let (most, most_entries) = (weight + room.free, entries + room.free_for_entries);
        let (mut rest, mut written) = (Collected::default(), Amount::default());
        for (stanza, place) in batch.take_stanzas() {
            let bound = match rest.last() {
                Some(Bound::Memory) => Some(Bound::Memory),
                _ => self.bound_for(&stanza, room, most, most_entries),
            };
            if let Some(bound) = bound {
                rest.push(&batch, bound, stanza, place);
                continue;
            }
            let (since, sends) = (batch.since, batch.sends);
            let receipt = batch.receipt.of(&stanza);
            let mut kept = Kept { stanza: stanza.detached(), taken, since, sends, place, receipt };
            let goes = give(&mut kept, group);
            if goes == Goes::ToDisk {
                written = written.plus(kept.amount());
            }
            let expires = since + room.bounds.time_of(&kept.stanza);
            self.add(kept, expires, goes);
        }
        self.account.journal(written);
        rest.finish(taken, &mut self.account)
    }

    /// Appends a batch that is in the journal since an earlier run of the node. It was accepted once, so nothing is refused.
    pub(super) fn restore(&mut self, mut batch: Batch, bounds: &dyn Bounds) {
        let taken = batch.entry.held().stanzas > 0;
        self.account.merge(std::mem::take(&mut batch.entry));
        for (stanza, place) in batch.take_stanzas() {
            let expires = batch.since + bounds.time_of(&stanza);
            let (since, sends, receipt) = (batch.since, batch.sends, batch.receipt.clone());
            let kept = Kept { stanza, taken, since, sends, place, receipt };
            // A stamped stanza differs from its record.
            let is_in_file = kept.place.is_stored() && !kept.sends.may_have_arrived;
            self.add(kept, expires, if is_in_file { Goes::ToDisk } else { Goes::Nowhere });
        }
        // They are in the file: this frees their memory.
        self.confirm_stored();
    }

    fn add(&mut self, kept: Kept, expires: Instant, goes: Goes) {
        let number = self.entries.push(kept, expires, goes);
        if goes == Goes::ToDisk {
            self.unconfirmed.push_back(number);
        }
    }

    fn bound_for(&self, stanza: &Stanza, room: Room<'_>, most: usize, most_entries: usize) -> Option<Bound> {
        let held = self.entries.in_memory();
        if stanza.forbids_storing() {
            if let Some(bound) = room.bound_in_memory(self.entries.resident(), stanza) {
                return Some(bound);
            }
        } else if held.bytes + stanza.bytes().len() as u64 > ON_THE_WAY.max(room.bounds.max_bytes()) as u64 {
            return Some(Bound::Unwritten);
        } else if self.weight_of_entries() + ENTRY_COST > most_entries {
            return Some(Bound::Entries);
        }
        let weight = self.weight() + ENTRY_COST + stanza.bytes().len() + STANZA_COST;
        (weight > most).then_some(Bound::Memory)
    }

    /// Takes out the first stanzas: of so many stanzas and bytes, or one. Those on the disk are to be read: the question has
    /// this number.
    pub(super) fn take_front(&mut self, id: u64, stanzas: u64, bytes: u64) -> Front {
        let (mut kept, mut reading) = (Vec::new(), Vec::new());
        let mut taken = Amount::default();
        while self.reading.is_none()
            && let Some((number, entry)) = self.entries.first()
        {
            let next = taken.plus(entry.facts.amount());
            let is_beyond = taken.stanzas > 0 && (next.stanzas > stanzas || next.bytes > bytes);
            if is_beyond || !reading.is_empty() && !entry.is_on_disk() {
                break;
            }
            taken = next;
            match self.entries.remove(number) {
                Some(Removed::Kept(stanza)) => kept.push(stanza.without_overflow_record()),
                Some(Removed::OnDisk(on_disk)) => reading.push(on_disk),
                None => break,
            }
        }
        let account = self.account.split(kept.iter().map(Kept::amount).fold(Amount::default(), Amount::plus));
        let keys = reading.iter().map(|on_disk| on_disk.key).collect();
        if !reading.is_empty() {
            self.reading = Some(Reading::new(id, reading));
        }
        Front { kept, account, keys }
    }

    /// Ends the question with this number: takes out what was asked for.
    pub(super) fn end_reading(&mut self, id: u64) -> Option<Unread> {
        let reading = self.reading.take_if(|reading| reading.id == id)?;
        Some(Unread::new(reading.stanzas, &mut self.account))
    }

    /// The journal cannot read now: what was asked for goes back to its place.
    pub(super) fn put_back(&mut self, unread: Unread) {
        let (stanzas, account) = unread.into_parts();
        self.account.merge(account);
        stanzas.iter().for_each(|on_disk| self.entries.put_back(on_disk));
    }

    /// When to call [`Self::take_expired`] next.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.entries.next_expiry()
    }

    /// The time at which the first stanza came.
    pub(super) fn oldest(&self) -> Option<Instant> {
        let reading = self.reading.as_ref().and_then(|reading| reading.stanzas.first());
        reading
            .map(|on_disk| on_disk.facts.since)
            .or_else(|| self.entries.first().map(|(_, entry)| entry.facts.since))
    }

    /// Takes out the stanzas whose time to wait is over. What is being read expires in memory.
    pub(super) fn take_expired(&mut self, now: Instant) -> TakenOut {
        let expired = self.entries.expired(now);
        self.take(expired, Vec::new())
    }

    /// Takes out the IQ requests: their senders wait for an answer. What is being read stays.
    pub(super) fn take_requests(&mut self) -> TakenOut {
        let requests = self.entries.numbers(|facts| facts.is_request);
        self.take(requests, Vec::new())
    }

    /// Takes out everything.
    pub(super) fn take_all(&mut self) -> TakenOut {
        let reading = self.reading.take().map(|reading| reading.stanzas).unwrap_or_default();
        let all = self.entries.numbers(|_| true);
        self.unconfirmed = VecDeque::new();
        self.take(all, reading)
    }

    fn take(&mut self, numbers: BTreeSet<i64>, mut on_disk: Vec<OnDisk>) -> TakenOut {
        let mut kept = Vec::new();
        for number in numbers {
            match self.entries.remove(number) {
                Some(Removed::Kept(stanza)) => kept.push(stanza.without_overflow_record()),
                Some(Removed::OnDisk(stanza)) => on_disk.push(stanza),
                None => {}
            }
        }
        let batches = batch::batches(kept, &mut self.account);
        TakenOut { batches, unread: Unread::new(on_disk, &mut self.account) }
    }
}

/// Gives the journal a stanza that it does not have, unless it must not have it. One of another node is settled for that
/// node when it is written; one that it takes back stays in memory, and is dropped when it would be sent.
fn give(kept: &mut Kept, group: &mut Group<'_>) -> Goes {
    if kept.stanza.forbids_storing() || !kept.receipt.admits(clock::now()) {
        return Goes::Nowhere;
    }
    if kept.place.is_unwritten() {
        // What is not worth keeping is out of date after a restart.
        let overflow = !is_worth_keeping(&kept.stanza);
        let flags = Flags { may_have_arrived: kept.sends.may_have_arrived, overflow, ..Flags::default() };
        // The other node counts on the stanza until it is in the file, and takes it back if it does not get there.
        let is_of_a_parcel = kept.receipt.is_of_a_parcel();
        let receipt = if is_of_a_parcel { Receipt::default() } else { std::mem::take(&mut kept.receipt) };
        let handle = group.add(&kept.stanza, &kept.place, kept.since, kept.taken, flags, receipt);
        kept.place = Place::Written(handle);
    }
    Goes::ToDisk
}

impl Kept {
    /// The same in memory: the record of a stanza that is not worth keeping is not needed there.
    fn without_overflow_record(mut self) -> Self {
        if !is_worth_keeping(&self.stanza) {
            self.place = Place::None;
        }
        self
    }
}

/// Bytes of memory that a stanza on the disk takes: its entry (72), its time (24), and the space that the trees leave free.
pub(super) const ENTRY_COST: usize = 160;

/// Bytes of stanzas that may be on their way to the journal, also for a queue that may have less in memory: two commits.
const ON_THE_WAY: usize = 4 << 20;
