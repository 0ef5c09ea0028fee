//! How what waits changes hands: to a session that stands, and back from one that ended.

use std::time::Duration;

use actix::{Context, Handler};

use super::{Expect, Fulfilled, LOG, Pair, Promise, Release, State};
use crate::{
    dial::error::AttemptError,
    flow::{batch::Batch, ledger::Outcome},
    streams::outgoing::{self, Outgoing},
};
use mailbox::{Mailbox, Queued};
use status::{
    display::millis,
    event::{Event, What},
};

impl Handler<Queued<outgoing::Established>> for Promise {
    type Result = ();

    fn handle(&mut self, established: Queued<outgoing::Established>, _: &mut Context<Self>) {
        let outgoing::Established { pair: key, session } = established.open();
        let batches = self.take_waiting(&key);
        if let Some(pair) = self.pairs.get_mut(&key) {
            let stanzas: usize = batches.iter().map(|batch| batch.stanzas.len()).sum();
            log::info!(target: LOG, pair:% = key, stanzas = stanzas, waited:% = millis(pair.since); "handed over");
            let event = Event::now(What::HandedOver).with(&key.local).of(stanzas);
            self.owners.notes.note(&key.remote, event);
            pair.state = State::HandingOver(session.clone());
            for batch in batches {
                send_first(&session, batch);
            }
            if !self.permits(&key) {
                let _ = session.signal(outgoing::Forbid);
            }
            // A router that is gone takes the process with it.
            let _ = self.owners.fulfilled.signal(Fulfilled { pair: key.clone(), session });
        }
        self.attempt_ended(&key);
    }
}

impl Handler<Queued<Release>> for Promise {
    type Result = ();

    fn handle(&mut self, release: Queued<Release>, _: &mut Context<Self>) {
        let Release { pair: key } = release.open();
        if let Some(Pair { state: State::HandingOver(session), failures, .. }) = self.remove(&key) {
            if failures > 0 {
                self.restless.insert(key, failures);
            }
            let _ = session.signal(outgoing::Open);
        }
    }
}

impl Handler<Queued<Expect>> for Promise {
    type Result = ();

    fn handle(&mut self, expect: Queued<Expect>, _: &mut Context<Self>) {
        let Expect { pair: key } = expect.open();
        if !self.pairs.contains_key(&key) {
            self.insert(key.clone());
        }
        if let Some(pair) = self.pairs.get_mut(&key) {
            pair.state = State::AwaitingReturn;
        }
    }
}

impl Handler<Queued<outgoing::Returned>> for Promise {
    type Result = ();

    fn handle(&mut self, returned: Queued<outgoing::Returned>, _: &mut Context<Self>) {
        let outgoing::Returned { pair: key, batches, lived, cut, tokens: _tokens } = returned.open();
        if !matches!(self.pairs.get(&key), Some(Pair { state: State::AwaitingReturn, .. })) {
            // A session that panics may have said so already, or the router in its place.
            return self.answer(batches, &AttemptError::Late, Outcome::Answered);
        }
        if self.stopping {
            self.answer(batches, &AttemptError::Stopping, Outcome::Answered);
            let waiting = self.take_waiting(&key);
            self.remove(&key);
            return self.answer(waiting, &AttemptError::Stopping, Outcome::Answered);
        }
        let failures = self.restless.remove(&key).unwrap_or(0);
        if !self.permits(&key) {
            self.answer(batches, &AttemptError::Denied, Outcome::Answered);
            let waiting = self.take_waiting(&key);
            self.answer(waiting, &AttemptError::Denied, Outcome::Answered);
            self.remove(&key);
            return;
        }
        // Nothing is refused that was taken in once: the bounds hold for what comes.
        let bounds = self.bounds.clone();
        self.change(&key, |queue| queue.put_back(batches, &bounds));
        self.relieve_if_crowded();
        let Some(pair) = self.pairs.get_mut(&key) else { return };
        let empty = pair.is_idle();
        if !empty {
            log::info!(target: LOG, pair:% = key, stanzas = pair.queue.len(); "queued again");
        }
        if lived.is_some_and(|lived| lived < SHORT_LIFE) && (cut || !empty) {
            // RFC 6120 3.3: the pause grows, for a link that was cut also when nothing waits.
            pair.failures = failures;
            if self.believes(&key, &AttemptError::ShortLived) {
                self.begin(&key);
            } else {
                self.pause(&key, AttemptError::ShortLived);
            }
        } else if empty {
            self.remove(&key);
        } else {
            self.begin(&key);
        }
        self.look_ahead(&key);
    }
}

/// What was taken in here is never refused there: the session's own budget decides.
pub(super) fn send_first(session: &Mailbox<Outgoing>, batch: Batch) {
    // A session that has panicked lets it fall, and the account shows it.
    let _ = session.signal(outgoing::SendFirst { batch });
}

/// A link that ends sooner than this is followed by a pause: it may be refused again and again.
const SHORT_LIFE: Duration = Duration::from_secs(1);
