//! What an operator asks of a program's connection: how it is.

use actix::{Context, Handler};

use super::{Component, Show};
use mailbox::Queued;
use status::{
    amount::Amount,
    report::{Direction, Link, Pair, Seconds, State, Time},
};

impl Component {
    fn report(&self) -> Link {
        let (sent, waiting) = self.outbox.amounts();
        let name = self.name.iter().map(|name| Pair { local: name.to_string(), remote: None });
        Link {
            direction: Direction::Component,
            state: match self.seated {
                _ if self.over || self.link.is_none() => State::Closing,
                true => State::Authenticated,
                false => State::Negotiating,
            },
            pairs: name.collect(),
            pairs_not_shown: 0,
            address: Some(self.address),
            since: Time::of(self.since),
            mechanism: self.seated.then(|| "handshake".to_owned()),
            tls: None,
            received: Amount { stanzas: self.stanzas_in, bytes: self.bytes_in },
            sent,
            waiting,
            idle: Seconds::since(self.last_stanza),
        }
    }
}

impl Handler<Queued<Show>> for Component {
    type Result = ();

    fn handle(&mut self, show: Queued<Show>, _: &mut Context<Self>) {
        let Show { of, links } = show.open();
        if of.is_none_or(|name| self.name.as_ref() == Some(&name)) {
            // Whoever asked has given up, or has as many as he wants.
            let _ = links.try_send(self.report());
        }
    }
}
