//! What an operator asks of a session: how it is, and to close.

use actix::{Context, Handler};

use super::{Dismiss, Outgoing, Show};
use mailbox::Queued;
use status::{
    amount::Amount,
    report::{Direction, Link, Pair, Seconds, State, Time, Tls},
};

impl Outgoing {
    /// How the link is; `None` before there is one, and after.
    fn report(&self) -> Option<Link> {
        let wire = self.wire.as_ref()?;
        let (sent, waiting) = self.outbox.amounts();
        Some(Link {
            direction: Direction::Outgoing,
            state: if self.end.is_some() { State::Closing } else { State::Authenticated },
            pairs: vec![Pair::from(&self.pair)],
            pairs_not_shown: 0,
            address: Some(wire.address),
            since: Time::of(wire.since),
            mechanism: Some(wire.mechanism.to_string()),
            tls: Tls::of(wire.machine.transport(), Some(&self.pair.remote), wire.machine.policy()),
            received: Amount { stanzas: wire.inbound.answers, bytes: wire.bytes_in },
            sent,
            waiting,
            idle: Seconds::since(wire.last_stanza),
        })
    }
}

impl Handler<Queued<Show>> for Outgoing {
    type Result = ();

    fn handle(&mut self, show: Queued<Show>, _: &mut Context<Self>) {
        let Show { links } = show.open();
        if let Some(link) = self.report() {
            // Whoever asked has given up, or has as many as he wants.
            let _ = links.try_send(link);
        }
    }
}

impl Handler<Queued<Dismiss>> for Outgoing {
    type Result = ();

    fn handle(&mut self, dismiss: Queued<Dismiss>, context: &mut Context<Self>) {
        let Dismiss { token } = dismiss.open();
        if self.wire.is_none() {
            return;
        }
        self.finishing.push(token);
        if self.end.is_none() {
            self.close_stream(None, "an operator asked for it", context);
            if let Some(end) = &mut self.end {
                end.idle = true;
            }
        }
    }
}
