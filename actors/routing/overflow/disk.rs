//! The way of the queues of an actor to the journal and back.
//!
//! The actor never waits for the disk. It gives the journal what has no room in memory, and learns later that it was
//! written. It asks for the next records before the part in memory is used up.
//!
//! Architecture Invariant: the actor owns the queues and answers; this knows what the journal was asked.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
};

use journal::record::Record;

use super::{
    Unread,
    endings::{Endings, Outcome},
};
use crate::{
    flow::journal::{Group, Waits, Writer},
    routing::journal::{Confirm, Confirmed, Fetch, Fetched, Store},
};
use mailbox::{Outlet, drain};
use status::amount::Amount;

/// The way to the disk and back. `K` names a queue, and `W` is the reason with which stanzas are answered.
#[derive(Debug)]
pub(in crate::routing) struct Disk<K, W> {
    waits: Waits,
    writer: Writer,
    confirm: Outlet<Confirm>,
    fetch: Outlet<Fetch>,
    /// The actor's own mailbox.
    confirmed: Outlet<Confirmed>,
    /// The same.
    fetched: Outlet<Fetched>,
    /// Queues of which the journal has stanzas that it has not confirmed.
    unconfirmed: HashSet<K>,
    /// The journal was asked to confirm.
    is_confirming: bool,
    /// The number of the next question.
    next: u64,
    /// The queues for which the journal reads, by question.
    refills: HashMap<u64, K>,
    endings: Endings<K, W>,
}

impl<K: Clone + Eq + Hash, W: Clone> Disk<K, W> {
    /// For queues of stanzas that wait for this.
    pub(in crate::routing) fn new(
        store: &Store,
        waits: Waits,
        confirmed: Outlet<Confirmed>,
        fetched: Outlet<Fetched>,
    ) -> Self {
        Self {
            waits,
            writer: store.keeping.writer.clone(),
            confirm: store.confirm.clone(),
            fetch: store.fetch.clone(),
            confirmed,
            fetched,
            unconfirmed: HashSet::new(),
            is_confirming: false,
            next: 0,
            refills: HashMap::new(),
            endings: Endings::default(),
        }
    }

    pub(in crate::routing) fn writer(&self) -> &Writer {
        &self.writer
    }

    /// Begins a group of stanzas for which a queue has no room in memory.
    pub(in crate::routing) fn group(&self) -> Group<'_> {
        self.writer.overflow(self.waits)
    }

    /// Updates the figures.
    pub(in crate::routing) fn show(&self, on_disk: Amount) {
        self.writer.figures().show_overflow(self.waits, on_disk);
    }

    /// Notes that the journal has stanzas of a queue which it has not confirmed.
    pub(in crate::routing) fn await_confirmation(&mut self, queue: &K) {
        if !self.unconfirmed.contains(queue) {
            self.unconfirmed.insert(queue.clone());
        }
    }

    /// Asks the journal to confirm what it has got, unless it was asked already. Gives false if the journal is gone.
    pub(in crate::routing) fn ask_to_confirm(&mut self) -> bool {
        if self.is_confirming || self.unconfirmed.is_empty() {
            return true;
        }
        self.is_confirming = self.confirm.signal(Confirm { done: self.confirmed.clone() }).is_ok();
        self.is_confirming
    }

    /// The journal has confirmed.
    pub(in crate::routing) fn end_confirmation(&mut self) {
        self.is_confirming = false;
    }

    /// Takes out the queues that await a confirmation.
    pub(in crate::routing) fn take_unconfirmed(&mut self) -> HashSet<K> {
        std::mem::take(&mut self.unconfirmed)
    }

    /// The number of the next question.
    pub(in crate::routing) fn next_question(&self) -> u64 {
        self.next
    }

    /// Asks for records. Gives false if the journal is gone.
    fn ask(&mut self, keys: Vec<u64>) -> bool {
        let id = self.next;
        self.next += 1;
        self.fetch.signal(Fetch { id, keys, answer: self.fetched.clone() }).is_ok()
    }

    /// Has records of a queue read; the question has the number [`Self::next_question`]. Gives false if the journal is gone.
    pub(in crate::routing) fn refill(&mut self, queue: &K, keys: Vec<u64>) -> bool {
        let id = self.next;
        let is_asked = self.ask(keys);
        if is_asked {
            self.refills.insert(id, queue.clone());
        }
        is_asked
    }

    /// The queue for which this question was asked; `None`: it was asked for answers.
    pub(in crate::routing) fn end_refill(&mut self, id: u64) -> Option<K> {
        self.refills.remove(&id)
    }

    /// Has stanzas answered when they are read. On a node that stops, those that survive a restart stay in the file: gives
    /// their amount.
    pub(in crate::routing) fn answer_when_read(
        &mut self,
        queue: &K,
        mut unread: Unread,
        why: W,
        is_stopping: bool,
    ) -> Amount {
        let left = if is_stopping { unread.leave() } else { Amount::default() };
        if !unread.is_empty() {
            self.endings.push(queue.clone(), unread, why);
        }
        left
    }

    /// Asks for the next stanzas that are to be answered, unless a question is under way. Gives false if the journal is gone.
    pub(in crate::routing) fn read_endings(&mut self) -> bool {
        let id = self.next;
        let Some(keys) = self.endings.begin(id) else { return true };
        self.ask(keys)
    }

    /// The stanzas that were read to be answered.
    pub(in crate::routing) fn read_to_answer(
        &mut self,
        id: u64,
        records: Option<Vec<Option<Record>>>,
    ) -> Outcome<K, W> {
        self.endings.end(id, records, &self.writer)
    }

    /// The journal cannot read now: what was asked for is asked for again later.
    pub(in crate::routing) fn put_back_ending(&mut self) {
        self.endings.put_back();
    }

    /// Nothing is read any more: the node stops. Gives the number of the stanzas that are lost.
    pub(in crate::routing) fn give_up_endings(&mut self) -> u64 {
        self.endings.give_up()
    }

    /// Whether stanzas are to be read and answered.
    pub(in crate::routing) fn has_endings(&self) -> bool {
        !self.endings.is_empty()
    }

    /// Holds the token until everything is answered.
    pub(in crate::routing) fn hold_until_answered(&mut self, token: drain::Token) {
        self.endings.hold(token);
    }
}
