//! What the bounds of the promise do not admit: it holds up its sources for a moment, then it is refused.

use std::time::Duration;

use actix::{AsyncContext, Context};
use xmpp::{
    DomainPair,
    stanza::{self, Condition, ErrorType},
};

use super::{
    LOG, Pair, Promise, State,
    queue::{Rest, Room},
};
use crate::{
    dial::error::AttemptError,
    flow::{batch::Batch, ledger::Outcome, route::bounce},
};
use status::event::{Event, What};

impl Promise {
    /// Lets a batch wait: in the queue as far as it fits, the rest outside for a moment.
    pub(super) fn append(&mut self, key: &DomainPair, batch: Batch, context: &mut Context<Self>) {
        let Some(pair) = self.pairs.get(key) else { return };
        let patient = !pair.refusing && !pair.stays_away();
        let first = pair.overflow.is_empty();
        let rest = if first { self.admit(key, batch, Rest::Waits) } else { Some(batch) };
        let Some(rest) = rest else {
            self.relieve_if_crowded();
            return self.look_ahead(key);
        };
        if let Some(pair) = self.pairs.get_mut(key) {
            pair.overflow.push_back(rest);
        }
        if !patient {
            self.lose_patience(key);
        } else if first {
            self.look_ahead(key);
            let key = key.clone();
            context.run_later(PATIENCE, move |promise, _| promise.lose_patience(&key));
        }
    }

    /// The sources have been held up long enough by a queue that is full: what fits is taken, the rest refused.
    pub(super) fn lose_patience(&mut self, key: &DomainPair) {
        let Some(pair) = self.pairs.get_mut(key).filter(|pair| !pair.overflow.is_empty()) else { return };
        pair.refusing = true;
        let outside = std::mem::take(&mut pair.overflow);
        let refused =
            outside.into_iter().filter_map(|batch| self.admit(key, batch, Rest::IsRefused)).collect();
        self.refuse(key, refused);
        self.relieve_if_crowded();
        self.look_ahead(key);
    }

    fn admit(&mut self, key: &DomainPair, batch: Batch, rest: Rest) -> Option<Batch> {
        let bounds = self.bounds.clone();
        let room = Room { bounds: &bounds, free: self.free() };
        self.change(key, |queue| queue.admit(batch, room, rest)).flatten()
    }

    pub(super) fn refuse(&self, key: &DomainPair, batches: Vec<Batch>) {
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
            bounce(&self.owners.bounces, batch, &error, Outcome::Answered);
        }
    }
}

impl Pair {
    /// Whether the domain is known to be away, and so not worth a pause of those who write to it. One whose link ended
    /// as soon as it stood is there, and may well be back in a moment.
    pub(super) fn stays_away(&self) -> bool {
        let State::Pausing { until } = self.state else { return false };
        !matches!(self.failure, Some(AttemptError::ShortLived)) || until > clock::now() + PATIENCE
    }
}

/// How long a full queue may hold up its sources: about what a cold link takes, call-backs of dialback included.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);
