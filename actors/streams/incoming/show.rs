//! What an operator asks of a stream that another server opened: how it is, and to close.

use actix::{Context, Handler};
use xmpp::policy::Refusal;

use super::{Dismiss, Incoming, Show};
use mailbox::Queued;
use status::{
    amount::Amount,
    event::{Event, What},
    report::{Direction, Link, Pair, Seconds, State, Time, Tls},
};

impl Incoming {
    fn report(&self) -> Link {
        let (mut pairs, pairs_not_shown) = Pair::few(self.machine.pairs().iter());
        if let Some(to) = self.to.as_ref().filter(|_| pairs.is_empty()) {
            pairs.push(Pair { local: to.to_string(), remote: None });
        }
        let remote = self.machine.pairs().first().map(|pair| &pair.remote);
        let (sent, waiting) = self.outbox.amounts();
        Link {
            direction: Direction::Incoming,
            state: self.state(),
            pairs,
            pairs_not_shown,
            address: Some(self.address),
            since: Time::of(self.since),
            mechanism: self.mechanism.map(|mechanism| mechanism.to_string()),
            tls: Tls::of(self.machine.transport(), remote, &self.remote.policy),
            received: Amount { stanzas: self.stanzas_in, bytes: self.bytes_in },
            sent,
            waiting,
            idle: Seconds::since(self.last_stanza),
        }
    }

    fn state(&self) -> State {
        match self.authorized {
            _ if self.over || self.machine.is_closing() => State::Closing,
            true => State::Authenticated,
            false => State::Negotiating,
        }
    }

    /// RecorderHandle for the domains of the stream that it is over; a few stand for many. One that left because its certificate got
    /// it no offer of EXTERNAL has asked for nothing that could be refused.
    pub(super) fn note_end(&self, reason: &str) {
        if let (false, Some(Err(problem)), Some(remote)) =
            (self.authorized || self.refused, &self.verdict, self.machine.claimed())
        {
            let flaw = Refusal::Certificate(problem.clone()).explain(remote);
            let event = Event::now(What::Disconnected)
                .at(self.address)
                .saying(format!("{reason}; not authenticated; {flaw}"));
            self.environment.notes.note_claim(remote, event);
        }
        let stanzas = usize::try_from(self.stanzas_in).unwrap_or(usize::MAX);
        for pair in self.machine.pairs().iter().take(NOTED) {
            let event =
                Event::now(What::Disconnected).with(&pair.local).at(self.address).saying(reason).of(stanzas);
            self.environment.notes.note(&pair.remote, event);
        }
    }
}

impl Handler<Queued<Show>> for Incoming {
    type Result = ();

    fn handle(&mut self, show: Queued<Show>, _: &mut Context<Self>) {
        let Show { of, links } = show.open();
        if of.is_none_or(|remote| self.machine.pairs().iter().any(|pair| pair.remote == remote)) {
            // Whoever asked has given up, or has as many as he wants.
            let _ = links.try_send(self.report());
        }
    }
}

impl Handler<Queued<Dismiss>> for Incoming {
    type Result = ();

    fn handle(&mut self, dismiss: Queued<Dismiss>, context: &mut Context<Self>) {
        let Dismiss { remote, closing, token } = dismiss.open();
        if self.over || !self.machine.pairs().iter().any(|pair| pair.remote == remote) {
            return;
        }
        // Whoever asked may have given up.
        let _ = closing.try_send(token.clone());
        self.draining.get_or_insert(token);
        self.environment.notes.note(&remote, Event::now(What::Dismissed).at(self.address));
        if !self.machine.is_closing() {
            self.close(None, context);
        }
    }
}

/// Domains of one stream whose records tell of its end.
const NOTED: usize = 8;
