//! Gives the journal what has waited long enough in the queues of an actor, and leaves in it what waits at the end of the
//! node.
//!
//! Architecture Invariant: the actor owns the queues and answers; this knows which of them are due, and what is leaving.

use std::{
    collections::{HashSet, VecDeque},
    hash::Hash,
    time::{Duration, Instant},
};

use journal::record::Flags;

use super::{Confirm, Fetch, Sync, Synced};
use crate::{
    flow::{
        account::Outcome,
        batch::Batch,
        journal::{Group, Keeping, Place, Receipt, TOGETHER, Waits, is_worth_keeping},
    },
    routing::capacity,
};
use mailbox::{Outlet, drain};
use status::amount::Amount;

/// Give the journal what is due.
#[derive(Debug)]
pub(crate) struct WriteDue;

/// The journal has not confirmed in time that it has what is left for the next start: answer that. The node stops.
#[derive(Clone, Debug)]
pub(crate) struct GiveUp;

/// The components are closed, and nobody reads answers any more. Leave in the journal what comes from now on, also if it did
/// not confirm in time what came before.
#[derive(Clone, Debug)]
pub(crate) struct LeaveAll;

/// The node ends: count what is left for the next start and was not confirmed.
#[derive(Clone, Debug)]
pub(crate) struct Conclude {
    /// Dropped when it is counted.
    pub(crate) token: drain::Token,
}

/// The way to the journal, for an actor with queues.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    /// Takes what waits.
    pub(crate) keeping: Keeping,
    /// Confirms at the stop that everything was written.
    pub(crate) sync: Outlet<Sync>,
    /// Confirms that what a queue has no room for in memory was written.
    pub(crate) confirm: Outlet<Confirm>,
    /// Reads it.
    pub(crate) fetch: Outlet<Fetch>,
}

/// What has to be written, and when. `K` names a queue.
#[derive(Debug)]
pub(in crate::routing) struct Keeper<K> {
    store: Store,
    waits: Waits,
    /// The actor's own mailbox.
    write_due: Outlet<WriteDue>,
    /// The same.
    synced: Outlet<Synced>,
    /// Queues with stanzas that were not offered to the journal, in the order of their times.
    due: VecDeque<(Instant, K)>,
    /// The same queues.
    noted: HashSet<K>,
    /// A message for the first of them is on its way.
    is_armed: bool,
    /// When stanzas that the journal did not take are offered again.
    offer_again: Instant,
    /// How often the journal's file had worked again when stanzas were offered the last time.
    reopened: u64,
    /// Stanzas that are left in the journal as soon as it confirms that it has them: a part for each question to it.
    leaving: VecDeque<Vec<Batch>>,
    /// Dropped when nothing is leaving.
    tokens: Vec<drain::Token>,
    /// The disk does not answer: nothing is left in the journal, and everything is answered.
    has_given_up: bool,
    /// Nobody reads answers any more.
    is_without_senders: bool,
}

/// The oldest part of what was leaving.
#[derive(Debug, Default)]
pub(in crate::routing) struct Left {
    /// Stanzas that are in the journal.
    pub(in crate::routing) stanzas: u64,
    /// Stanzas that the journal has not confirmed, and that cannot be answered any more. They count as uncertain.
    pub(in crate::routing) unconfirmed: u64,
    /// Stanzas that the journal could not take, or has not confirmed in time.
    pub(in crate::routing) not_kept: Vec<Batch>,
    /// To be dropped when they are answered.
    pub(in crate::routing) tokens: Vec<drain::Token>,
}

impl Left {
    /// Logs what became of the stanzas. To be called before the others are answered.
    pub(in crate::routing) fn log(&self, target: &str) {
        let not_kept: usize = self.not_kept.iter().map(|batch| batch.stanzas.len()).sum();
        if self.stanzas > 0 {
            log::info!(target: target, stanzas = self.stanzas; "left in the journal for the next start");
        }
        if not_kept > 0 {
            log::warn!(
                target: target, stanzas = not_kept;
                "answered at the stop: the journal could not take them, or did not confirm them in time. Check the disk"
            );
        }
        if self.unconfirmed > 0 {
            log::error!(
                target: target, stanzas = self.unconfirmed;
                "uncertain at the stop: the journal did not confirm them in time, and they could not be answered any more. \
                 They wait again after the next start if they came to the file, and are lost otherwise. Check the disk, or \
                 set a longer shutdown_timeout"
            );
        }
    }
}

impl<K: Clone + Eq + Hash> Keeper<K> {
    /// For queues of stanzas that wait for this.
    pub(in crate::routing) fn new(
        store: Store,
        waits: Waits,
        write_due: Outlet<WriteDue>,
        synced: Outlet<Synced>,
    ) -> Self {
        Self {
            store,
            waits,
            write_due,
            synced,
            due: VecDeque::new(),
            noted: HashSet::new(),
            is_armed: false,
            offer_again: clock::now(),
            reopened: 0,
            leaving: VecDeque::new(),
            tokens: Vec::new(),
            has_given_up: false,
            is_without_senders: false,
        }
    }

    /// Notes a queue that has stanzas which were not offered to the journal.
    pub(in crate::routing) fn note(&mut self, queue: &K) {
        if !self.noted.contains(queue) {
            self.noted.insert(queue.clone());
            self.due.push_back((clock::now() + self.store.keeping.after, queue.clone()));
            self.arm();
        }
    }

    /// Has a message sent when the first queue is due.
    fn arm(&mut self) {
        let Some((due, _)) = self.due.front().filter(|_| !self.is_armed) else { return };
        self.is_armed = true;
        let (actor, due) = (self.write_due.clone(), *due);
        actix::spawn(async move {
            tokio::time::sleep_until(due.into()).await;
            // The actor may have ended.
            let _ = actor.signal(WriteDue);
        });
    }

    /// Gives the journal what has waited long enough. `write_old` adds to the group what came to the queue at a time or
    /// earlier, and gives the time at which the first of the others came.
    pub(in crate::routing) fn write_due(
        &mut self,
        now: Instant,
        mut write_old: impl FnMut(&K, Instant, &mut Group<'_>) -> Option<Instant>,
    ) {
        self.is_armed = false;
        let Keeping { writer, after } = self.store.keeping.clone();
        let until = self.store.keeping.until(now);
        let mut group = writer.group(self.waits);
        while self.due.front().is_some_and(|(due, _)| *due <= now + TOGETHER)
            && let Some((_, queue)) = self.due.pop_front()
        {
            match write_old(&queue, until, &mut group) {
                Some(younger) => self.due.push_back((younger + after, queue)),
                None => drop(self.noted.remove(&queue)),
            }
        }
        group.send();
        capacity::shrink_queue(&mut self.due);
        capacity::shrink_set(&mut self.noted);
        self.arm();
    }

    /// Whether stanzas that the journal could not take are to be offered again now. To be asked now and then.
    pub(in crate::routing) fn is_to_offer_again(&mut self, now: Instant) -> bool {
        let writer = &self.store.keeping.writer;
        let reopened = writer.reopened();
        if reopened == self.reopened && self.offer_again > now {
            return false;
        }
        (self.reopened, self.offer_again) = (reopened, now + OFFER_AGAIN);
        writer.has_lost()
    }

    /// Leaves messages in the journal, because the node stops. Gives back the rest.
    pub(in crate::routing) fn leave(&mut self, batches: Vec<Batch>) -> Vec<Batch> {
        if self.has_given_up {
            return batches;
        }
        let (mut leaving, mut rest) = (Vec::new(), Vec::new());
        let mut group = self.store.keeping.writer.group(self.waits);
        for mut batch in batches {
            // What another node has lent is in the journal of that node.
            let is_own = !batch.receipt.is_of_a_parcel();
            let mut kept = batch.extract(|stanza| is_own && is_worth_keeping(stanza));
            let flags = Flags { may_have_arrived: kept.sends.may_have_arrived, ..Flags::default() };
            let (mut written, since) = (Amount::default(), kept.since);
            let is_taken = kept.entry.held().stanzas > 0;
            for (stanza, place) in kept.take_stanzas() {
                let place = if place.is_unwritten() {
                    written = written.plus(Amount::of([&stanza]));
                    let receipt = kept.receipt.clone();
                    Place::Written(group.add(&stanza, &place, since, is_taken, flags, receipt))
                } else {
                    place
                };
                kept.push(stanza, place);
            }
            kept.receipt = Receipt::default();
            kept.entry.journal(written);
            leaving.extend(Some(kept).filter(|batch| !batch.stanzas.is_empty()));
            rest.extend(Some(batch).filter(|batch| !batch.stanzas.is_empty()));
        }
        group.send();
        if !leaving.is_empty() {
            match self.store.sync.signal(Sync { done: self.synced.clone() }) {
                Ok(()) => self.leaving.push_back(leaving),
                // The journal has panicked.
                Err(_) => rest.extend(leaving),
            }
        }
        rest
    }

    /// Holds the token until the journal has what was left.
    pub(in crate::routing) fn hold_until_left(&mut self, token: drain::Token) {
        if !self.leaving.is_empty() {
            self.tokens.push(token);
        }
    }

    /// The journal does not answer in time. Gives all that was leaving, as long as it can be answered.
    pub(in crate::routing) fn give_up(&mut self) -> Left {
        if self.is_without_senders {
            return Left::default();
        }
        self.has_given_up = true;
        self.settle_all()
    }

    /// Nobody reads answers any more.
    pub(in crate::routing) fn leave_all(&mut self) {
        self.has_given_up = false;
        self.is_without_senders = true;
    }

    /// The node ends. Gives all that was leaving.
    pub(in crate::routing) fn conclude(&mut self) -> Left {
        self.is_without_senders = true;
        self.settle_all()
    }

    fn settle_all(&mut self) -> Left {
        let parts = std::mem::take(&mut self.leaving);
        self.settle(parts.into_iter().flatten().collect())
    }

    /// The journal has everything of the oldest part, or has failed.
    pub(in crate::routing) fn left(&mut self) -> Left {
        let part = self.leaving.pop_front().unwrap_or_default();
        self.settle(part)
    }

    /// Settles a part of what was leaving.
    fn settle(&mut self, part: Vec<Batch>) -> Left {
        let mut left = Left::default();
        if self.leaving.is_empty() {
            left.tokens = std::mem::take(&mut self.tokens);
        }
        for mut batch in part {
            let (mut kept, mut unconfirmed) = (Amount::default(), Amount::default());
            for (stanza, place) in batch.take_stanzas() {
                match place {
                    Place::Written(handle) if handle.is_stored() => {
                        kept = kept.plus(Amount::of([&stanza]));
                        handle.leave();
                    }
                    // It may be in the file, or come there.
                    Place::Written(handle) if self.is_without_senders => {
                        unconfirmed = unconfirmed.plus(Amount::of([&stanza]));
                        handle.leave();
                    }
                    _ => batch.push(stanza, Place::None),
                }
            }
            batch.entry.settle(Outcome::Kept, kept);
            batch.entry.settle(Outcome::Uncertain, unconfirmed);
            left.stanzas += kept.stanzas;
            left.unconfirmed += unconfirmed.stanzas;
            left.not_kept.extend(Some(batch).filter(|batch| !batch.stanzas.is_empty()));
        }
        left
    }
}

/// The interval at which stanzas are offered again that the journal could not take, besides when its file works again.
const OFFER_AGAIN: Duration = Duration::from_secs(10);
