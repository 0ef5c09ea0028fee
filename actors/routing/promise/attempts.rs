//! Attempts to connect: each waits for a slot, and a failed one is followed by a pause.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{Context, Handler};
use xmpp::{Domain, DomainPair};

use super::{LOG, Owners, Promise, State, answers::count};
use crate::{
    dial::{
        attempt::{self, PendingDial},
        error::AttemptError,
    },
    flow::account::Outcome,
    streams::{
        incoming,
        outgoing::{self, Outgoing},
    },
};
use mailbox::{Mailbox, Queued};
use status::{
    display::millis,
    event::{Event, EventKind},
};

impl Owners {
    /// The mailboxes that sessions report to; `promise` is that of their promise.
    pub(super) fn of_sessions(&self, promise: &Mailbox<Promise>) -> outgoing::Owners {
        outgoing::Owners {
            attempt: attempt::Owner { waiting: promise.outlet(), resumed: promise.outlet() },
            established: promise.outlet(),
            failed: promise.outlet(),
            closed: self.closed.clone(),
            congested: self.congested.clone(),
            requested: promise.outlet(),
            given_back: promise.outlet(),
            stopped: promise.outlet(),
            returned: promise.outlet(),
            bounces: self.bounces.clone(),
            routes: self.routes.clone(),
            recorder: self.recorder.clone(),
            journal: self.journal.as_ref().map(|store| store.keeping.clone()),
        }
    }
}

impl Promise {
    /// Starts an attempt, or waits for a slot. An attempt that an operator `requested` is made even if
    /// nothing waits.
    pub(super) fn begin(&mut self, pair: &DomainPair, requested: bool) {
        self.begin_after(pair, requested, Duration::ZERO);
    }

    /// The same; the attempt holds its slot during the `delay`.
    pub(super) fn begin_after(&mut self, pair: &DomainPair, requested: bool, delay: Duration) {
        if !self.pairs.contains(pair) || self.claims_first(pair, requested, delay) {
            return;
        }
        let state = if self.slots.acquire(pair, self.schedule.failures(pair), clock::now()) {
            State::Attempting(self.start_session(pair, delay))
        } else {
            State::AwaitingSlot { requested }
        };
        self.enter(pair, state);
    }

    /// Starts the actor that makes the attempt after `delay` and becomes the session.
    fn start_session(&self, pair: &DomainPair, delay: Duration) -> Mailbox<Outgoing> {
        let lost = self.pairs.lost(pair).filter(|_| self.waiting.has_open(pair)).cloned();
        let dialing = PendingDial { delay, ..self.dial.dial(pair, lost) };
        let (pair, owners) = (pair.clone(), Arc::clone(&self.of_sessions));
        self.workers.start_actor(&self.outgoing, &pair.to_string(), move |own| {
            Outgoing::new(pair, dialing, owners, own)
        })
    }

    /// Frees the slot of an attempt that has ended.
    pub(super) fn attempt_ended(&mut self, pair: &DomainPair) {
        self.slots.release(pair);
        self.start_waiting();
    }

    /// Gives the slots of hanging attempts to pairs that wait.
    pub(super) fn reclaim_slots(&mut self, now: Instant) {
        for pair in self.slots.reclaim(now) {
            if let Some(State::Attempting(session)) = self.pairs.state(&pair) {
                let _ = session.signal(outgoing::GiveWay);
            }
        }
        self.start_waiting();
    }

    /// Starts attempts for waiting pairs while slots are free.
    pub(super) fn start_waiting(&mut self) {
        while let Some(pair) = self.slots.next_waiting() {
            let Some(&State::AwaitingSlot { requested }) = self.pairs.state(&pair) else { continue };
            if self.stopping || !requested && self.waiting.is_idle(&pair) {
                // Everything has expired in the meantime, or was answered.
                self.remove(&pair);
            } else {
                self.begin(&pair, requested);
            }
        }
    }

    /// Whether to try again at once after a failure, because the remote server contacted us during the
    /// attempt.
    pub(super) fn retries_since_seen(&mut self, pair: &DomainPair, failure: &AttemptError) -> bool {
        let wanted = !self.stopping && !self.waiting.is_idle(pair);
        let retries = self.schedule.retry_since_seen(pair, failure, wanted);
        if retries {
            log::info!(target: LOG, pair:% = pair; "remote contacted us during the attempt: retrying now");
            self.record(pair, Event::now(EventKind::RemoteContact));
        }
        retries
    }

    /// The remote server has authenticated itself to us, so it is reachable.
    fn remote_seen(&mut self, remote: &Domain) {
        for pair in self.pairs.with_remote(remote) {
            match self.pairs.state(&pair) {
                Some(State::Pausing) if self.waiting.is_idle(&pair) => self.remove(&pair),
                Some(State::Pausing) => {
                    self.schedule.set_failures(&pair, 0);
                    log::info!(target: LOG, pair:% = pair; "remote is reachable again: retrying now");
                    self.record(&pair, Event::now(EventKind::RemoteContact));
                    self.begin(&pair, false);
                }
                Some(State::AwaitingSlot { .. }) if self.schedule.failures(&pair) > 0 => {
                    self.schedule.set_failures(&pair, 0);
                    self.slots.prefer(&pair);
                }
                Some(State::Attempting(_) | State::AwaitingReturn) => self.schedule.remote_seen(&pair),
                Some(
                    State::Claiming { .. }
                    | State::AwaitingSlot { .. }
                    | State::HandingOver(_)
                    | State::Slow(_),
                )
                | None => {}
            }
        }
    }
}

impl Handler<Queued<incoming::Authorized>> for Promise {
    type Result = ();

    fn handle(&mut self, authorized: Queued<incoming::Authorized>, _: &mut Context<Self>) {
        let incoming::Authorized { remote } = authorized.into_message();
        self.remote_seen(&remote);
    }
}

impl Handler<Queued<outgoing::Failed>> for Promise {
    type Result = ();

    fn handle(&mut self, failed: Queued<outgoing::Failed>, _: &mut Context<Self>) {
        let outgoing::Failed { pair, failure } = failed.into_message();
        if failure.is_about_resumption() && self.pairs.lost(&pair).is_some() && !self.stopping {
            log::warn!(
                target: LOG, pair:% = pair;
                "the peer does not answer the question about the lost stream: connecting again without it"
            );
            self.pairs.forget_lost(&pair);
            self.attempt_ended(&pair);
            return self.begin(&pair, false);
        }
        if self.has_lost_claim(&pair) && !self.stopping && !self.waiting.is_idle(&pair) {
            // Another node has the link: its claim decides, not this failure.
            self.attempt_ended(&pair);
            return self.begin(&pair, false);
        }
        self.failed(&pair, failure);
    }
}

impl Promise {
    /// There is no link, for this reason. Answers what need not wait for one, and begins a pause.
    pub(super) fn failed(&mut self, pair: &DomainPair, failure: AttemptError) {
        let failure = failure.after(self.schedule.last_failure(pair));
        if self.retries_since_seen(pair, &failure) {
            // The next pair that waits goes first.
            self.attempt_ended(pair);
            return self.begin(pair, false);
        }
        let answered = if failure.is_definitive() || self.stopping {
            self.take_all(pair, &failure)
        } else {
            self.take_requests(pair, &failure)
        };
        let stanzas = count(&answered);
        self.answer(answered, &failure, Outcome::Answered);
        if self.stopping {
            self.remove(pair);
            return self.attempt_ended(pair);
        }
        let reason = failure.sentence(&pair.remote);
        if let Some(ends) = self.pause(pair, failure)
            && let Some(known) = self.pairs.get(pair)
        {
            let waiting = self.waiting.queued(pair);
            // If nothing waits, the next attempt begins with the next stanza.
            let pause = (waiting > 0).then(|| ends.saturating_duration_since(clock::now()));
            let next = pause.map(|pause| format!("{}ms", pause.as_millis()));
            log::warn!(
                target: LOG, pair:% = pair, reason:% = reason, answered = stanzas,
                waiting = waiting, waited:% = millis(known.since),
                next_attempt_after = next.as_deref();
                "no link"
            );
            self.record(pair, Event::now(EventKind::NoLink).saying(reason));
        }
        self.attempt_ended(pair);
    }
}

impl Handler<Queued<attempt::Waiting>> for Promise {
    type Result = ();

    fn handle(&mut self, waiting: Queued<attempt::Waiting>, _: &mut Context<Self>) {
        let attempt::Waiting { pair } = waiting.into_message();
        if matches!(self.pairs.state(&pair), Some(State::Attempting(_))) {
            self.slots.suspend(&pair);
            self.start_waiting();
        }
    }
}

impl Handler<Queued<attempt::Resumed>> for Promise {
    type Result = ();

    fn handle(&mut self, resumed: Queued<attempt::Resumed>, _: &mut Context<Self>) {
        let attempt::Resumed { pair } = resumed.into_message();
        self.slots.resume(&pair, clock::now());
    }
}
