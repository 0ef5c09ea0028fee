//! The sessions, and the way to each: the promise adds one, and gets a message before the next stanza of its pair when
//! one has ended or is congested.

use actix::{Context, Handler};
use xmpp::DomainPair;

use super::{Broadcast, Router};
use crate::{
    routing::promise,
    streams::outgoing::{self, Carrier, Outgoing, Relay},
};
use mailbox::Queued;

/// A session that the router knows.
pub(super) struct Session {
    pub(super) carrier: Carrier,
    pub(super) way: Way,
}

/// The way of stanzas to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The router sends them.
    Direct,
    /// The promise sends them in portions: the peer reads more slowly than they come.
    ThroughPromise,
}

impl Session {
    /// Whether the link is here.
    pub(super) fn is_here(&self) -> bool {
        self.carrier.here().is_some()
    }
}

impl Router {
    /// Whether this is the session of the pair.
    fn has_session(&self, pair: &DomainPair, session: &Carrier) -> bool {
        self.sessions.get(pair).is_some_and(|known| known.carrier.is(session))
    }

    /// Removes a session that takes no more stanzas. The promise gets its message before the session, so that
    /// it knows that the session returns stanzas which are older than the next one.
    pub(super) fn session_closed(&mut self, pair: &DomainPair, session: &Carrier) {
        if !self.has_session(pair, session) {
            return;
        }
        self.sessions.remove(pair);
        // If the promise is gone, the process ends.
        let _ = self.promise.signal(promise::Expect { pair: pair.clone() });
        if session.signal(outgoing::Retire).is_err() {
            // The session panicked and returns nothing.
            let _ = self.promise.signal(outgoing::Returned::nothing(pair.clone(), None));
        }
    }
}

impl Handler<Queued<promise::Fulfilled>> for Router {
    type Result = ();

    fn handle(&mut self, fulfilled: Queued<promise::Fulfilled>, _: &mut Context<Self>) {
        let promise::Fulfilled { pair, session } = fulfilled.into_message();
        self.sessions.insert(pair.clone(), Session { carrier: session, way: Way::Direct });
        let _ = self.promise.signal(promise::Release { pair });
    }
}

impl Handler<Queued<promise::Linked>> for Router {
    type Result = ();

    fn handle(&mut self, linked: Queued<promise::Linked>, _: &mut Context<Self>) {
        let promise::Linked { pair, session } = linked.into_message();
        self.sessions.insert(pair, Session { carrier: session, way: Way::ThroughPromise });
    }
}

impl Handler<Queued<promise::Unlinked>> for Router {
    type Result = ();

    /// The promise has the session retire: it was the last to send something.
    fn handle(&mut self, unlinked: Queued<promise::Unlinked>, _: &mut Context<Self>) {
        let promise::Unlinked { pair, session } = unlinked.into_message();
        if self.has_session(&pair, &session) {
            self.sessions.remove(&pair);
        }
    }
}

impl Handler<Queued<outgoing::Congested>> for Router {
    type Result = ();

    /// The promise gets its message before the session, so that it knows the session when that asks for stanzas.
    fn handle(&mut self, congested: Queued<outgoing::Congested>, _: &mut Context<Self>) {
        let outgoing::Congested { pair, session } = congested.into_message();
        let Some(known) = self.sessions.get_mut(&pair) else { return };
        if !known.carrier.is(&session) || known.way == Way::ThroughPromise {
            return;
        }
        known.way = Way::ThroughPromise;
        // If the promise is gone, the process ends. If the session is gone, it has reported its end.
        let _ = self.promise.signal(promise::TakeOver { pair, session: session.clone() });
        let _ = session.signal(outgoing::Pull);
    }
}

impl Handler<Queued<outgoing::Closed>> for Router {
    type Result = ();

    fn handle(&mut self, closed: Queued<outgoing::Closed>, _: &mut Context<Self>) {
        let outgoing::Closed { pair, session } = closed.into_message();
        self.session_closed(&pair, &session);
    }
}

impl<M> Handler<Queued<Broadcast<M>>> for Router
where
    M: Clone + Send + 'static,
    Outgoing: Handler<Queued<M>>,
    Relay: Handler<Queued<M>>,
{
    type Result = ();

    fn handle(&mut self, broadcast: Queued<Broadcast<M>>, _: &mut Context<Self>) {
        let Broadcast(message) = broadcast.into_message();
        for session in self.sessions.values() {
            // A session that is gone has nothing left to do.
            let _ = session.carrier.signal(message.clone());
        }
    }
}
