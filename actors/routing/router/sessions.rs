//! The sessions: the promise adds one, and gets a message before the next stanza of its pair when one has
//! ended.

use actix::{Context, Handler};
use xmpp::DomainPair;

use super::{Broadcast, Router};
use crate::{
    routing::promise,
    streams::outgoing::{self, Outgoing},
};
use mailbox::{Mailbox, Queued};

impl Router {
    /// Removes a session that takes no more stanzas. The promise gets its message before the session, so that
    /// it knows that the session returns stanzas which are older than the next one.
    pub(super) fn session_closed(&mut self, pair: &DomainPair, session: &Mailbox<Outgoing>) {
        if !self.sessions.get(pair).is_some_and(|known| known.is(session)) {
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
        self.sessions.insert(pair.clone(), session);
        let _ = self.promise.signal(promise::Release { pair });
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
{
    type Result = ();

    fn handle(&mut self, broadcast: Queued<Broadcast<M>>, _: &mut Context<Self>) {
        let Broadcast(message) = broadcast.into_message();
        for session in self.sessions.values() {
            // A session that is gone has nothing left to do.
            let _ = session.signal(message.clone());
        }
    }
}
