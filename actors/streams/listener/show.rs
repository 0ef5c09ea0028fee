//! Commands of an operator: report the accepted streams, and close some.

use actix::{Context, Handler};

use super::{Dismiss, Kind, Listener, Show, Stage, Tracked};
use crate::streams::{component, incoming};
use mailbox::Queued;
use status::{
    address::Address,
    amount::Amount,
    report::{Acknowledgement, Direction, LinkReport, LinkState, Seconds, Time},
    smallest::smallest,
};

impl Tracked {
    /// Has its stream report its state. A connection without a stream is reported by its address only.
    fn show(&self, direction: Direction, address: Address, show: &Show) {
        let (of, links) = (show.of.clone(), show.links.clone());
        // The stream may just have ended; the command may have been cancelled, or have enough links.
        match &self.stage {
            Stage::Server(incoming) => drop(incoming.signal_quietly(incoming::Show { of, links })),
            Stage::Component(component) => drop(component.signal_quietly(component::Show { of, links })),
            Stage::Silent | Stage::Waiting(_) | Stage::Starting(_) if of.is_none() => {
                drop(links.try_send(self.starting(direction, address)));
            }
            Stage::Silent | Stage::Waiting(_) | Stage::Starting(_) => {}
        }
    }

    fn starting(&self, direction: Direction, address: Address) -> LinkReport {
        LinkReport {
            node: None,
            direction,
            state: LinkState::Connecting,
            pairs: Vec::new(),
            pairs_not_shown: 0,
            address: Some(address),
            since: Time::of(self.since),
            mechanism: None,
            tls: None,
            received: Amount::default(),
            sent: Amount::default(),
            waiting: Amount::default(),
            acknowledgement: Acknowledgement::default(),
            ping_unanswered: None,
            idle: Seconds::since(self.since),
        }
    }
}

impl Handler<Queued<Show>> for Listener {
    type Result = ();

    fn handle(&mut self, show: Queued<Show>, _: &mut Context<Self>) {
        let show = show.into_message();
        let direction = match self.kind {
            Kind::Servers(_) => Direction::Incoming,
            Kind::Components(..) => Direction::Component,
        };
        if show.of.is_some() {
            // Only the streams know their domains.
            self.connections
                .iter()
                .for_each(|(caller, connection)| connection.show(direction, self.address(*caller), &show));
        } else {
            for caller in smallest(self.connections.keys(), show.limit) {
                if let Some(connection) = self.connections.get(caller) {
                    connection.show(direction, self.address(*caller), &show);
                }
            }
        }
        let _ = show.total.send(self.connections.len());
    }
}

impl Handler<Queued<Dismiss>> for Listener {
    type Result = ();

    fn handle(&mut self, dismiss: Queued<Dismiss>, _: &mut Context<Self>) {
        let Dismiss { remote, closing, token } = dismiss.into_message();
        for connection in self.connections.values() {
            if let Stage::Server(incoming) = &connection.stage {
                let dismiss = incoming::Dismiss {
                    remote: remote.clone(),
                    closing: closing.clone(),
                    token: token.clone(),
                };
                // A stream that has just ended need not be closed.
                let _ = incoming.signal(dismiss);
            }
        }
    }
}
