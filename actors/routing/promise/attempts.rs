//! The attempts: each waits for its turn and for the gate, and a failed one is followed by a pause.

use std::sync::Arc;

use actix::{Context, Handler};
use xmpp::DomainPair;

use super::{LOG, Life, Promise, State, queue::Queue};
use crate::{
    dial::{attempt, error::AttemptError},
    flow::ledger::Outcome,
    streams::outgoing::{self, Outgoing},
};
use mailbox::Queued;
use status::{
    display::millis,
    event::{Event, What},
};

impl Promise {
    /// Makes an attempt, or lines up for one.
    pub(super) fn begin(&mut self, key: &DomainPair) {
        let Some(pair) = self.pairs.get_mut(key) else { return };
        if !self.turns.take(key, pair.failures, clock::now()) {
            pair.state = State::AwaitingTurn;
            return;
        }
        pair.asked = false;
        let dialling = self.dial.dial(key);
        let owners = outgoing::Owners {
            attempt: attempt::Owner { waiting: self.own.outlet(), resumed: self.own.outlet() },
            established: self.own.outlet(),
            failed: self.own.outlet(),
            closed: self.owners.closed.clone(),
            returned: self.own.outlet(),
            bounces: self.owners.bounces.clone(),
            routes: self.owners.routes.clone(),
            notes: self.owners.notes.clone(),
        };
        let (meter, key) = (Arc::clone(&self.outgoing), key.clone());
        let session = self.workers.start_actor(&self.outgoing, &key.to_string(), move |own| {
            Outgoing::new(key, dialling, owners, own, meter)
        });
        pair.state = State::Attempting(session);
    }

    pub(super) fn attempt_ended(&mut self, key: &DomainPair) {
        self.turns.end(key);
        self.begin_next();
    }

    /// Lets those who wait have the turns of attempts that hang.
    pub(super) fn relieve_turns(&mut self) {
        for key in self.turns.relieve(clock::now()) {
            if let Some(State::Attempting(session)) = self.pairs.get(&key).map(|pair| &pair.state) {
                let _ = session.signal(outgoing::GiveWay);
            }
        }
        self.begin_next();
    }

    pub(super) fn begin_next(&mut self) {
        while let Some(key) = self.turns.next() {
            match self.pairs.get(&key) {
                Some(pair) if !matches!(pair.state, State::AwaitingTurn) => {}
                // What waited has expired meanwhile, or was answered.
                Some(pair) if pair.is_idle() && !pair.asked || self.stopping => drop(self.remove(&key)),
                Some(_) => self.begin(&key),
                None => {}
            }
        }
    }

    /// Whether the remote has shown life since the attempt began, so that its passing failure may be out of date and
    /// one more attempt follows.
    pub(super) fn believes(&mut self, key: &DomainPair, failure: &AttemptError) -> bool {
        let Some(pair) = self.pairs.get_mut(key).filter(|pair| pair.life == Life::Shown) else {
            return false;
        };
        pair.failures = 0;
        if failure.is_definitive() || self.stopping || pair.is_idle() {
            return false;
        }
        pair.life = Life::Believed;
        pair.failure = Some(failure.clone());
        log::info!(target: LOG, pair:% = key; "the remote showed life meanwhile: trying again at once");
        self.note(key, Event::now(What::LifeSign));
        true
    }
}

impl Handler<Queued<outgoing::Failed>> for Promise {
    type Result = ();

    fn handle(&mut self, failed: Queued<outgoing::Failed>, _: &mut Context<Self>) {
        let outgoing::Failed { pair: key, failure } = failed.open();
        let failure = failure.after(self.pairs.get(&key).and_then(|pair| pair.failure.as_ref()));
        if self.believes(&key, &failure) {
            // Behind those that are in line.
            self.attempt_ended(&key);
            return self.begin(&key);
        }
        let answered = if failure.is_definitive() || self.stopping {
            self.take_waiting(&key)
        } else {
            self.change(&key, Queue::take_requests).unwrap_or_default()
        };
        let stanzas: usize = answered.iter().map(|batch| batch.stanzas.len()).sum();
        self.answer(answered, &failure, Outcome::Answered);
        self.pause(&key, failure.clone());
        if let Some(pair) = self.pairs.get(&key)
            && let State::Pausing { until } = pair.state
        {
            let pause = until.saturating_duration_since(clock::now());
            log::warn!(
                target: LOG, pair:% = key, reason:% = failure.sentence(&key.remote), answered = stanzas,
                waiting = pair.queue.len(), waited:% = millis(pair.since),
                next_attempt_after:% = format_args!("{}ms", pause.as_millis());
                "no link"
            );
            self.note(&key, Event::now(What::NoLink).saying(failure.sentence(&key.remote)));
        }
        self.attempt_ended(&key);
    }
}

impl Handler<Queued<attempt::Waiting>> for Promise {
    type Result = ();

    fn handle(&mut self, held: Queued<attempt::Waiting>, _: &mut Context<Self>) {
        let attempt::Waiting { pair } = held.open();
        if self.pairs.get(&pair).is_some_and(|known| matches!(known.state, State::Attempting(_))) {
            self.turns.hold(&pair);
            self.begin_next();
        }
    }
}

impl Handler<Queued<attempt::Resumed>> for Promise {
    type Result = ();

    fn handle(&mut self, admitted: Queued<attempt::Resumed>, _: &mut Context<Self>) {
        let attempt::Resumed { pair } = admitted.open();
        self.turns.resume(&pair, clock::now());
    }
}
