//! What the bounds of the promise do not admit: it holds up its sources for a moment, then it is refused.

use std::{cmp::Reverse, time::Duration};

use actix::{AsyncContext, Context};
use xmpp::{
    DomainPair,
    stanza::{self, Condition, ErrorType},
};

use super::{LOG, Pair, Promise, State};
use crate::{
    account::Outcome,
    batch::Batch,
    clock,
    failure::Failure,
    recorder::{Event, What},
    router,
};

impl Promise {
    /// Lets a batch wait: in the queue if it fits, else outside for a moment.
    pub(super) fn append(&mut self, key: &DomainPair, batch: Batch, context: &mut Context<Self>) {
        let free = self.bounds.total_bytes.saturating_sub(self.bytes);
        let Some(pair) = self.pairs.get_mut(key) else { return };
        if pair.overflow.is_empty() && pair.queue.room_in(&batch, &self.bounds, free) == batch.stanzas.len() {
            let before = pair.queue.bytes();
            pair.queue.admit(batch, &self.bounds);
            self.bytes = self.bytes - before + pair.queue.bytes();
            self.shed_if_crowded();
            return self.look_ahead(key);
        }
        let patient = !pair.refusing && !pair.stays_away();
        let first = pair.overflow.is_empty();
        pair.overflow.push_back(batch);
        if !patient {
            self.lose_patience(key);
        } else if first {
            let key = key.clone();
            context.run_later(PATIENCE, move |promise, _| promise.lose_patience(&key));
        }
    }

    /// The sources have been held up long enough by a queue that is full: what fits is taken, the rest refused.
    pub(super) fn lose_patience(&mut self, key: &DomainPair) {
        let Some(pair) = self.pairs.get_mut(key) else { return };
        if pair.overflow.is_empty() {
            return;
        }
        pair.refusing = true;
        let mut refused = Vec::new();
        for mut batch in std::mem::take(&mut pair.overflow) {
            let free = self.bounds.total_bytes.saturating_sub(self.bytes);
            let rest = batch.split_off(pair.queue.room_in(&batch, &self.bounds, free));
            let before = pair.queue.bytes();
            pair.queue.admit(batch, &self.bounds);
            self.bytes = self.bytes - before + pair.queue.bytes();
            if !rest.stanzas.is_empty() {
                refused.push(rest);
            }
        }
        self.refuse(key, refused);
        self.look_ahead(key);
    }

    /// Past four fifths of the whole the largest queues give up their newest.
    fn shed_if_crowded(&mut self) {
        if self.bytes <= self.bounds.total_bytes / 5 * 4 {
            return;
        }
        let mut surplus = self.bytes - self.bounds.total_bytes / 4 * 3;
        let mut sizes: Vec<(usize, DomainPair)> =
            self.pairs.iter().map(|(key, pair)| (pair.queue.bytes(), key.clone())).collect();
        sizes.sort_unstable_by_key(|(size, _)| Reverse(*size));
        for (size, key) in sizes {
            // Half of what it has, so that no queue pays for all.
            let share = surplus.min(size / 2);
            if share == 0 {
                return;
            }
            let Some(pair) = self.pairs.get_mut(&key) else { continue };
            let shed = pair.queue.shed(size - share);
            surplus = surplus.saturating_sub(size - pair.queue.bytes());
            self.bytes = self.bytes - size + pair.queue.bytes();
            self.refuse(&key, shed);
        }
    }

    fn refuse(&self, key: &DomainPair, batches: Vec<Batch>) {
        let stanzas: usize = batches.iter().map(|batch| batch.stanzas.len()).sum();
        if stanzas == 0 {
            return;
        }
        if self.refusals.permits() {
            log::warn!(target: LOG, pair:% = key, stanzas = stanzas; "refused: too much waits for a link");
        }
        let error = stanza::Error {
            type_: ErrorType::Wait,
            condition: Condition::ResourceConstraint,
            text: format!("too many stanzas wait for a link to {}", key.remote),
        };
        self.note(key, Event::now(What::Bounced).saying(&error.text).of(stanzas));
        for batch in batches {
            router::bounce(&self.owners.bounces, batch, &error, Outcome::Answered);
        }
    }
}

impl Pair {
    /// Whether the domain is known to be away, and so not worth a pause of those who write to it. One whose link ended
    /// as soon as it stood is there, and may well be back in a moment.
    pub(super) fn stays_away(&self) -> bool {
        let State::Pausing { until } = self.state else { return false };
        !matches!(self.failure, Some(Failure::ShortLived)) || until > clock::now() + PATIENCE
    }
}

/// How long a full queue may hold up its sources: about what a cold link takes, call-backs of dialback included.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);
