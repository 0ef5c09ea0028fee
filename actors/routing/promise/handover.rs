//! The handover of a queue to its session, and the return of stanzas from a session that ended.

use std::time::Duration;

use actix::{Context, Handler};
use xmpp::DomainPair;

use super::{Expect, LOG, Promise, Release, State, waiting::LeftBehind};
use crate::{
    dial::{backoff, error::AttemptError},
    flow::{account::Outcome, batch::Batch, outbox},
    streams::outgoing::{self, Carrier, Handled},
};
use mailbox::Queued;
use status::{
    display::millis,
    event::{Event, EventKind},
};

impl Handler<Queued<outgoing::Established>> for Promise {
    type Result = ();

    fn handle(&mut self, established: Queued<outgoing::Established>, _: &mut Context<Self>) {
        let outgoing::Established { pair, session, handled } = established.into_message();
        self.note_session(&pair, &session);
        self.established(&pair, session, handled);
        self.attempt_ended(&pair);
    }
}

impl Promise {
    /// There is a session, or a relay: gives it what waits.
    pub(super) fn established(&mut self, pair: &DomainPair, session: Carrier, handled: Handled) {
        self.settle_open(pair, handled);
        if let Some(known) = self.pairs.get(pair) {
            let waiting = self.waiting.amount(pair);
            log::info!(
                target: LOG, pair:% = pair, stanzas = waiting.stanzas, waited:% = millis(known.since);
                "handed over"
            );
            let stanzas = usize::try_from(waiting.stanzas).unwrap_or(usize::MAX);
            self.record(pair, Event::now(EventKind::HandedOver).of(stanzas));
            if !self.permits(pair) || self.is_local(pair) {
                let _ = session.signal(outgoing::Forbid);
            }
            self.yield_link(pair, &session);
            if waiting.bytes > outbox::BUDGET as u64 || self.waiting.has_overflow(pair) {
                self.schedule.connected(pair);
                self.link(pair, &session);
            } else {
                for batch in self.waiting.take_all(pair) {
                    send_first(&session, batch);
                }
                self.hand_over(pair, session);
                self.admit_held(clock::now());
            }
        }
    }
}

impl Handler<Queued<Release>> for Promise {
    type Result = ();

    fn handle(&mut self, release: Queued<Release>, _: &mut Context<Self>) {
        let Release { pair } = release.into_message();
        self.waiting.close(&pair);
        let state = self.pairs.remove(&pair);
        if let Some(State::HandingOver(session)) = state {
            self.schedule.remove_connected(&pair);
            let _ = session.signal(outgoing::Open);
        } else {
            self.schedule.remove(&pair);
        }
    }
}

impl Handler<Queued<Expect>> for Promise {
    type Result = ();

    fn handle(&mut self, expect: Queued<Expect>, _: &mut Context<Self>) {
        let Expect { pair } = expect.into_message();
        if self.pairs.contains(&pair) {
            self.enter(&pair, State::AwaitingReturn);
        } else {
            self.insert(pair, State::AwaitingReturn, clock::now());
        }
    }
}

impl Handler<Queued<outgoing::Returned>> for Promise {
    type Result = ();

    fn handle(&mut self, returned: Queued<outgoing::Returned>, _: &mut Context<Self>) {
        self.returned(returned.into_message());
    }
}

impl Promise {
    /// A session has given back what it has not written, or what was not acknowledged.
    pub(super) fn returned(&mut self, returned: outgoing::Returned) {
        let outgoing::Returned { pair, open, interruption, batches, lived, carried, is_relay, cut, tokens } =
            returned;
        if !matches!(self.pairs.state(&pair), Some(State::AwaitingReturn)) {
            // The session panicked, and the router has reported its return already.
            self.answer_in_doubt(open);
            return self.answer(batches, &AttemptError::Crashed, Outcome::Answered);
        }
        let failures = self.schedule.take_failures_before_session(&pair);
        let forbidden = if self.stopping {
            Some(AttemptError::Stopping)
        } else {
            (!self.permits(&pair)).then_some(AttemptError::Denied)
        };
        if self.stopping && self.keeper.is_some() {
            let open = open.into_iter().map(|mut batch| {
                batch.sends.may_have_arrived = true;
                batch
            });
            let mut left: Vec<Batch> = open.chain(batches).collect();
            left.extend(self.take_all(&pair, &AttemptError::Stopping));
            self.leave_or_answer(left);
            tokens.into_iter().for_each(|token| self.hold_until_left(token));
            return self.remove(&pair);
        }
        if let Some(failure) = forbidden {
            self.answer_in_doubt(open);
            self.answer(batches, &failure, Outcome::Answered);
            let waiting = self.take_all(&pair, &failure);
            self.answer(waiting, &failure, Outcome::Answered);
            return self.remove(&pair);
        }
        if self.is_local(&pair) {
            // What the lost link carried may have arrived at the remote server that had the name.
            self.answer_in_doubt(open);
            let mut moved = batches;
            moved.extend(self.take_to_move(&pair));
            self.move_out(moved, Vec::new());
            return self.remove(&pair);
        }
        let first = interruption.as_ref().map_or(0, |interruption| interruption.first);
        self.waiting.put_back(&pair, LeftBehind { open, first, unwritten: batches });
        self.pairs.interrupt(&pair, interruption);
        self.relieve();
        if !self.pairs.contains(&pair) {
            return;
        }
        let idle = self.waiting.is_idle(&pair);
        if !idle {
            log::info!(target: LOG, pair:% = pair, stanzas = self.waiting.queued(&pair); "queued again");
        }
        let ended_early = lived.filter(|_| cut || !idle);
        if ended_early.is_some_and(|lived| !self.may_dial_at_once(&pair, lived, carried)) {
            // RFC 6120 3.3: the pause grows; after a cut also when nothing waits.
            self.schedule.set_failures(&pair, failures);
            let failure = if is_relay { AttemptError::NodesUnreachable } else { AttemptError::ShortLived };
            if self.retries_since_seen(&pair, &failure) {
                self.begin(&pair, false);
            } else {
                self.pause(&pair, failure);
            }
        } else if idle {
            self.remove(&pair);
        } else {
            let delay = lived.filter(|_| !is_relay).map_or(Duration::ZERO, |_| backoff::after_loss());
            self.begin_after(&pair, false, delay);
        }
        self.plan(&pair);
    }

    /// Whether an attempt may follow the end of a link without a pause: it lasted, or it `carried` stanzas and the
    /// pair has not lost too many links lately.
    fn may_dial_at_once(&mut self, pair: &DomainPair, lived: Duration, carried: bool) -> bool {
        lived >= SHORT_LIVED || carried && self.schedule.may_dial_at_once(pair, clock::now())
    }
}

/// Sends to a session before it is open. These stanzas were accepted once, so the session refuses none of
/// them; its own budget bounds what it takes from the router.
pub(super) fn send_first(session: &Carrier, batch: Batch) {
    // If the session has panicked, the stanzas are lost and appear in the account as a difference.
    let _ = session.signal(outgoing::SendFirst { batch });
}

/// A connection that ends sooner than this and carries nothing is followed by a pause: the next one may end as
/// soon.
const SHORT_LIVED: Duration = Duration::from_secs(1);
