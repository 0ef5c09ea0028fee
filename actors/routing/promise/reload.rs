//! Reload: stanzas that the new configuration forbids are answered, and everything else goes on with it.

use actix::{Context, Handler};
use xmpp::DomainPair;

use super::{Adopt, Promise, State};
use crate::{dial::error::AttemptError, flow::account::Outcome, streams::outgoing};
use mailbox::Queued;

impl Handler<Queued<Adopt>> for Promise {
    type Result = ();

    fn handle(&mut self, adopt: Queued<Adopt>, _: &mut Context<Self>) {
        let Adopt { dial, bounds } = adopt.into_message();
        self.slots.set_limits(dial.dials());
        self.slots.set_names(dial.rules());
        self.schedule.set_names(dial.rules());
        self.waiting.set_bounds(bounds.clone());
        self.schedule.set_bounds(bounds);
        self.dial = dial;
        let pairs = self.pairs.iter().map(|(pair, _)| pair);
        let forbidden: Vec<DomainPair> = pairs.filter(|pair| !self.permits(pair)).cloned().collect();
        for pair in forbidden {
            let waiting = self.take_all(&pair, &AttemptError::Denied);
            self.answer(waiting, &AttemptError::Denied, Outcome::Answered);
            match self.pairs.state(&pair) {
                Some(State::HandingOver(session) | State::Slow(session)) => {
                    drop(session.signal(outgoing::Forbid));
                }
                Some(State::Claiming { .. } | State::AwaitingSlot { .. } | State::Pausing) => {
                    self.remove(&pair);
                }
                // Decided when the attempt ends or the stanzas return.
                Some(State::Attempting(_) | State::AwaitingReturn) | None => {}
            }
        }
        if let Some(adopt) = self.dial.policies() {
            for (_, known) in self.pairs.iter() {
                // A session that has just ended does not need it.
                match &known.state {
                    State::HandingOver(session) | State::Slow(session) => drop(session.signal(adopt.clone())),
                    State::Attempting(session) => drop(session.signal(adopt.clone())),
                    State::Claiming { .. }
                    | State::AwaitingSlot { .. }
                    | State::AwaitingReturn
                    | State::Pausing => {}
                }
            }
        }
        self.start_waiting();
    }
}
