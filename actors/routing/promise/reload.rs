//! Other terms: what they forbid is answered, the rest goes on under them.

use actix::{Context, Handler};
use xmpp::DomainPair;

use super::{Adopt, Promise, State};
use crate::{dial::error::AttemptError, flow::ledger::Outcome, streams::outgoing};
use mailbox::Queued;

impl Handler<Queued<Adopt>> for Promise {
    type Result = ();

    fn handle(&mut self, adopt: Queued<Adopt>, _: &mut Context<Self>) {
        let Adopt { dial, bounds } = adopt.open();
        self.turns.limit(dial.dials());
        (self.dial, self.bounds) = (dial, bounds);
        let forbidden: Vec<DomainPair> =
            self.pairs.keys().filter(|pair| !self.permits(pair)).cloned().collect();
        for key in forbidden {
            let waiting = self.take_waiting(&key);
            self.answer(waiting, &AttemptError::Denied, Outcome::Answered);
            match self.pairs.get(&key).map(|pair| &pair.state) {
                Some(State::HandingOver(session)) => drop(session.signal(outgoing::Forbid)),
                Some(State::AwaitingTurn | State::Pausing { .. }) => drop(self.remove(&key)),
                // What comes of it is met then.
                Some(State::Attempting(_) | State::AwaitingReturn) | None => {}
            }
        }
        if let Some(adopt) = self.dial.policies() {
            for pair in self.pairs.values() {
                if let State::HandingOver(session) | State::Attempting(session) = &pair.state {
                    // A session that has just ended needs no news.
                    let _ = session.signal(adopt.clone());
                }
            }
        }
        self.begin_next();
    }
}
