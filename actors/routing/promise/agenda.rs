//! When each pair is looked after next: pauses end in another attempt or in oblivion, and what has waited too long is
//! answered.
//!
//! Attempts that follow a pause are made at a pace. They are not urgent, and when a hundred thousand domains are away
//! they would else take the processor from those that are there.

use std::{
    cmp::Reverse,
    time::{Duration, Instant},
};

use actix::{Context, Handler};
use xmpp::{Domain, DomainPair};

use super::{LOG, Life, Promise, State};
use crate::{
    dial::{backoff, error::AttemptError},
    flow::ledger::Outcome,
    streams::incoming,
};
use mailbox::Queued;
use status::event::{Event, What};

impl Promise {
    /// Starts the pause after a failure.
    pub(super) fn pause(&mut self, key: &DomainPair, failure: AttemptError) {
        let Some(pair) = self.pairs.get_mut(key) else { return };
        pair.failures += 1;
        pair.life = Life::Unseen;
        pair.failure = Some(failure);
        pair.state = State::Pausing { until: clock::now() + backoff::pause(&self.bounds, pair.failures) };
        if pair.stays_away() {
            // What was held up by a full queue is decided now.
            self.lose_patience(key);
        }
        self.look_ahead(key);
    }

    /// Enters into the agenda when this pair has to be looked after next.
    pub(super) fn look_ahead(&mut self, key: &DomainPair) {
        let Some(pair) = self.pairs.get_mut(key) else { return };
        let expiry = pair.queue.next_expiry();
        let pause = match pair.state {
            State::Pausing { until } if pair.is_idle() => Some(until + FORGET_AFTER),
            State::Pausing { .. } if pair.in_line => None,
            State::Pausing { until } => Some(until),
            _ => None,
        };
        let Some(next) = [expiry, pause].into_iter().flatten().min() else { return };
        if pair.scheduled.is_none_or(|scheduled| next < scheduled) {
            pair.scheduled = Some(next);
            self.agenda.push(Reverse((next, key.clone())));
        }
    }

    /// Looks after the pairs whose time has come, and tries some of those that are due.
    pub(super) fn tick(&mut self) {
        let now = clock::now();
        self.look_after_all(now);
        self.renew(now);
    }

    fn look_after_all(&mut self, now: Instant) {
        while let Some(Reverse((due, _))) = self.agenda.peek() {
            if *due > now {
                return;
            }
            let Some(Reverse((due, key))) = self.agenda.pop() else { return };
            match self.pairs.get_mut(&key) {
                // Entries that an earlier one has overtaken say nothing.
                Some(pair) if pair.scheduled == Some(due) => pair.scheduled = None,
                _ => continue,
            }
            self.look_after(&key, now);
        }
    }

    fn look_after(&mut self, key: &DomainPair, now: Instant) {
        let expired = self.change(key, |queue| queue.take_expired(now)).unwrap_or_default();
        let Some(pair) = self.pairs.get(key) else { return };
        let reason = pair.failure.clone().unwrap_or(AttemptError::Late);
        let (empty, state) = (pair.is_idle(), &pair.state);
        let next = match state {
            State::Pausing { until } if empty && *until + FORGET_AFTER <= now => Next::Forget,
            State::Pausing { until } if !empty && *until <= now => Next::Attempt,
            _ => Next::Wait,
        };
        let stanzas: usize = expired.iter().map(|batch| batch.stanzas.len()).sum();
        if stanzas > 0 {
            log::info!(
                target: LOG, pair:% = key, stanzas = stanzas, reason:% = reason.sentence(&key.remote);
                "expired: no connection could be established in time"
            );
        }
        self.answer(expired, &reason, Outcome::Expired);
        match next {
            Next::Forget => drop(self.remove(key)),
            Next::Attempt => self.line_up(key),
            Next::Wait => {}
        }
        self.look_ahead(key);
    }

    fn line_up(&mut self, key: &DomainPair) {
        if let Some(pair) = self.pairs.get_mut(key).filter(|pair| !pair.in_line) {
            pair.in_line = true;
            self.due.push(key.clone(), pair.failures);
        }
    }

    /// Tries the next of those in line again.
    fn renew(&mut self, now: Instant) {
        let mut begun = 0;
        while begun < RENEWALS
            && let Some(key) = self.due.pop()
        {
            let Some(pair) = self.pairs.get_mut(&key) else { continue };
            pair.in_line = false;
            // Who has shown life meanwhile is in another state, or in another pause.
            if matches!(pair.state, State::Pausing { until } if until <= now) && !pair.is_idle() {
                begun += 1;
                self.begin(&key);
            }
            self.look_ahead(&key);
        }
    }

    fn sign_of_life(&mut self, remote: &Domain) {
        for key in self.remotes.get(remote).cloned().unwrap_or_default() {
            let Some(pair) = self.pairs.get_mut(&key) else { continue };
            match pair.state {
                State::Pausing { .. } if pair.is_idle() => drop(self.remove(&key)),
                State::Pausing { .. } => {
                    pair.failures = 0;
                    log::info!(target: LOG, pair:% = key; "remote is reachable again: retrying now");
                    self.note(&key, Event::now(What::LifeSign));
                    self.begin(&key);
                }
                State::AwaitingTurn if pair.failures > 0 => {
                    pair.failures = 0;
                    self.turns.prefer(&key);
                }
                // Its failure, if it fails, may be older than this.
                State::Attempting(_) | State::AwaitingReturn if pair.life == Life::Unseen => {
                    pair.life = Life::Shown;
                }
                _ => {}
            }
        }
    }
}

enum Next {
    Forget,
    Attempt,
    Wait,
}

impl Handler<Queued<incoming::Authorized>> for Promise {
    type Result = ();

    fn handle(&mut self, authorized: Queued<incoming::Authorized>, _: &mut Context<Self>) {
        let incoming::Authorized { remote } = authorized.open();
        self.sign_of_life(&remote);
    }
}

/// The reason of a failed attempt is remembered this long after its pause, for a pause that doubles.
const FORGET_AFTER: Duration = Duration::from_secs(60);

/// How many attempts that follow a pause begin at each look: 500 a second, of which each costs a tenth of a millisecond
/// of processor when the domain is dead and some milliseconds when it is not.
const RENEWALS: usize = 50;
