//! Sessions whose peers read slowly, or for which much waits: they get their stanzas in portions, as they ask for them.
//! What waits meanwhile is bounded and expires, like all that waits for a link. A newer presence replaces only one that has
//! waited for a while.

use actix::{Context, Handler};
use xmpp::DomainPair;

use super::{Fulfilled, Linked, Promise, State, TakeOver, Unlinked, waiting::LeftBehind};
use crate::{
    dial::error::AttemptError,
    flow::account::Outcome,
    streams::outgoing::{self, Carrier, Returned},
};
use mailbox::Queued;

impl Promise {
    /// A new session gets what waits in portions. The router gets its message before the session, so that it knows the
    /// session before that can report its end.
    pub(super) fn link(&mut self, pair: &DomainPair, session: &Carrier) {
        self.enter(pair, State::Slow(session.clone()));
        // If the router is gone, the process ends.
        let _ = self.owners.linked.signal(Linked { pair: pair.clone(), session: session.clone() });
        // If the session has panicked, it has reported its end.
        let _ = session.signal(outgoing::Pull);
    }

    /// The session has been given everything: informs the router.
    pub(super) fn hand_over(&mut self, pair: &DomainPair, session: Carrier) {
        self.enter(pair, State::HandingOver(session.clone()));
        // If the router is gone, the process ends.
        let _ = self.owners.fulfilled.signal(Fulfilled { pair: pair.clone(), session });
    }

    /// Whether this session gets the stanzas of the pair in portions.
    pub(super) fn gives_portions_to(&self, pair: &DomainPair, session: &Carrier) -> bool {
        matches!(self.pairs.state(pair), Some(State::Slow(known)) if known.is(session))
    }
}

impl Handler<Queued<TakeOver>> for Promise {
    type Result = ();

    fn handle(&mut self, take_over: Queued<TakeOver>, _: &mut Context<Self>) {
        let TakeOver { pair, session } = take_over.into_message();
        if self.pairs.contains(&pair) {
            self.enter(&pair, State::Slow(session));
        } else {
            self.insert(pair, State::Slow(session), clock::now());
        }
    }
}

impl Handler<Queued<outgoing::Requested>> for Promise {
    type Result = ();

    fn handle(&mut self, requested: Queued<outgoing::Requested>, _: &mut Context<Self>) {
        let outgoing::Requested { pair, session, room } = requested.into_message();
        if !self.gives_portions_to(&pair, &session) {
            return;
        }
        self.refill(&pair);
        self.give_portion(&pair, session, room);
    }
}

impl Promise {
    /// Gives a session a portion, or hands over if nothing waits any more.
    pub(super) fn give_portion(&mut self, pair: &DomainPair, session: Carrier, room: usize) {
        let batches = self.waiting.take_portion(pair, room);
        if batches.is_empty() && self.waiting.has_overflow(pair) {
            // Order is kept: what is on the disk is in front of all that comes.
            return self.await_refill(pair, session, room);
        }
        if batches.is_empty() {
            return self.hand_over(pair, session);
        }
        if let Err(refused) = session.signal(outgoing::SendPortion { batches }) {
            // It has panicked, and has reported its end.
            let unwritten = refused.into_inner().batches;
            self.waiting.put_back(pair, LeftBehind { unwritten, ..LeftBehind::default() });
        }
        self.plan(pair);
        self.admit_held(clock::now());
    }
}

impl Handler<Queued<outgoing::GivenBack>> for Promise {
    type Result = ();

    /// No portion is under way to the session: it has not asked for one.
    fn handle(&mut self, given_back: Queued<outgoing::GivenBack>, _: &mut Context<Self>) {
        let outgoing::GivenBack { pair, session, batches } = given_back.into_message();
        if !self.gives_portions_to(&pair, &session) {
            // The router took it for lost.
            return self.answer(batches, &AttemptError::Crashed, Outcome::Answered);
        }
        if self.stopping {
            return self.leave_or_answer(batches);
        }
        if !self.permits(&pair) {
            return self.answer(batches, &AttemptError::Denied, Outcome::Answered);
        }
        self.waiting.put_back(&pair, LeftBehind { unwritten: batches, ..LeftBehind::default() });
        self.relieve();
        self.plan(&pair);
    }
}

impl Handler<Queued<outgoing::Stopped>> for Promise {
    type Result = ();

    /// A session that has been given everything reports its end to the router instead, which knows it by then.
    fn handle(&mut self, stopped: Queued<outgoing::Stopped>, _: &mut Context<Self>) {
        let outgoing::Stopped { pair, session } = stopped.into_message();
        if !self.gives_portions_to(&pair, &session) {
            return;
        }
        self.enter(&pair, State::AwaitingReturn);
        // If the router is gone, the process ends.
        let _ = self.owners.unlinked.signal(Unlinked { pair: pair.clone(), session: session.clone() });
        if session.signal(outgoing::Retire).is_err() {
            // The session panicked and returns nothing.
            self.returned(Returned::nothing(pair, None));
        }
    }
}
