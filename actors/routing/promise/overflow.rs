//! Queues that are full overflow to the journal.
//!
//! The promise never waits for the disk. It gives the journal what has no room in memory, and learns later that it was
//! written. It asks for the next records before the part in memory is used up. A session that asks for a portion while a read
//! is under way gets it when the records are here.

mod endings;

use actix::{Context, Handler};
use journal::record::Record;
use xmpp::DomainPair;

pub(super) use self::endings::Why;
use super::{
    Promise,
    waiting::{Arrival, Bound},
};
use crate::{
    dial::error::AttemptError,
    flow::batch::Batch,
    routing::{
        journal::{Confirmed, Fetched},
        overflow::{self, TakenOut},
    },
    streams::outgoing::Carrier,
};
use mailbox::Queued;

/// The way to the disk and back.
pub(super) type Disk = overflow::Disk<DomainPair, Why>;

impl Promise {
    /// Appends a batch to the queue of its pair. Gives back what has no room in memory or in the journal.
    pub(super) fn append_within_bounds(
        &mut self,
        pair: &DomainPair,
        batch: Batch,
        arrival: Arrival,
    ) -> Vec<(Bound, Batch)> {
        let Some(disk) = &mut self.disk else { return self.waiting.append(pair, batch, arrival) };
        let mut group = disk.group();
        let refused = self.waiting.append_or_overflow(pair, batch, arrival, &mut group);
        group.send();
        if self.waiting.has_overflow(pair) {
            disk.await_confirmation(pair);
        }
        self.ask_to_confirm();
        refused
    }

    /// Asks the journal to confirm what it has got, unless it was asked already.
    fn ask_to_confirm(&mut self) {
        if self.disk.as_mut().is_some_and(|disk| !disk.ask_to_confirm()) {
            self.confirm(true);
        }
    }

    /// The journal has decided on what it got before it was asked, or is gone.
    fn confirm(&mut self, is_gone: bool) {
        let Some(disk) = &mut self.disk else { return };
        for pair in disk.take_unconfirmed() {
            let confirmation = self.waiting.confirm(&pair, is_gone);
            if confirmation.awaits_more
                && let Some(disk) = &mut self.disk
            {
                disk.await_confirmation(&pair);
            }
            self.refuse(&pair, Bound::Disk, confirmation.refused);
            self.plan(&pair);
        }
        self.show_on_disk();
    }

    /// Moves stanzas from the disk to the memory, if there is room. To be called after each change of what waits.
    pub(super) fn refill(&mut self, pair: &DomainPair) {
        let Some(disk) = self.disk.as_mut().filter(|_| self.waiting.has_overflow(pair)) else { return };
        let id = disk.next_question();
        let keys = self.waiting.refill(pair, id);
        if !keys.is_empty() && !disk.refill(pair, keys) {
            self.waiting.refilled(pair, id, None, disk.writer());
        }
    }

    /// Refills all queues that can be refilled: the journal may be able to read again. To be called now and then.
    pub(super) fn refill_all(&mut self) {
        let pairs: Vec<DomainPair> = self.waiting.overflowing().cloned().collect();
        pairs.iter().for_each(|pair| self.plan(pair));
        self.show_on_disk();
    }

    /// Notes that a session waits for a portion that has to be read from the disk.
    pub(super) fn await_refill(&mut self, pair: &DomainPair, session: Carrier, room: usize) {
        self.pulls.insert(pair.clone(), (session, room));
    }

    /// Gives a session the portion for which it waits, if there is one now, or nothing is on the disk any more.
    pub(super) fn serve_pull(&mut self, pair: &DomainPair) {
        if self.waiting.has_overflow(pair) && !self.waiting.has_in_memory(pair) {
            return;
        }
        let Some((session, room)) = self.pulls.remove(pair) else { return };
        if self.gives_portions_to(pair, &session) {
            self.give_portion(pair, session, room);
        }
    }

    /// No session of the pair waits any more.
    pub(super) fn forget_pull(&mut self, pair: &DomainPair) {
        self.pulls.remove(pair);
    }

    /// Takes out all stanzas of a pair, to be answered with this failure. Those on the disk are answered when they are read.
    pub(super) fn take_all(&mut self, pair: &DomainPair, failure: &AttemptError) -> Vec<Batch> {
        let mut batches = self.waiting.take_all(pair);
        if let Some(taken) = self.waiting.take_overflow(pair) {
            batches.extend(self.end(pair, taken, || Why::Failed(failure.clone())));
        }
        batches
    }

    /// Takes out the IQ requests of a pair, to be answered with this failure.
    pub(super) fn take_requests(&mut self, pair: &DomainPair, failure: &AttemptError) -> Vec<Batch> {
        let mut batches = self.waiting.take_requests(pair);
        if let Some(taken) = self.waiting.take_overflow_requests(pair) {
            batches.extend(self.end(pair, taken, || Why::Failed(failure.clone())));
        }
        batches
    }

    /// Has what is on the disk answered when it is read. Gives what is in memory.
    pub(super) fn end(
        &mut self,
        pair: &DomainPair,
        taken: TakenOut,
        why: impl FnOnce() -> Why,
    ) -> Vec<Batch> {
        let TakenOut { batches, unread } = taken;
        if !unread.is_empty() {
            self.answer_when_read(pair, unread, why());
        }
        batches
    }

    /// Updates the figures.
    fn show_on_disk(&self) {
        if let Some(disk) = &self.disk {
            disk.show(self.waiting.all_on_disk());
        }
    }

    fn refilled(&mut self, pair: &DomainPair, id: u64, records: Option<Vec<Option<Record>>>) {
        let Some(disk) = &self.disk else { return };
        let is_read = records.is_some();
        let lost = self.waiting.refilled(pair, id, records, disk.writer());
        self.log_lost(pair, lost.unwrap_or_default());
        if is_read {
            self.plan(pair);
            self.show_on_disk();
        }
    }
}

impl Handler<Queued<Confirmed>> for Promise {
    type Result = ();

    fn handle(&mut self, confirmed: Queued<Confirmed>, _: &mut Context<Self>) {
        let Confirmed = confirmed.into_message();
        if let Some(disk) = &mut self.disk {
            disk.end_confirmation();
        }
        self.confirm(false);
        self.ask_to_confirm();
    }
}

impl Handler<Queued<Fetched>> for Promise {
    type Result = ();

    fn handle(&mut self, fetched: Queued<Fetched>, _: &mut Context<Self>) {
        let Fetched { id, records } = fetched.into_message();
        match self.disk.as_mut().and_then(|disk| disk.end_refill(id)) {
            Some(pair) => self.refilled(&pair, id, records),
            None => self.read_to_answer(id, records),
        }
    }
}
