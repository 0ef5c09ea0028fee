//! What an operator asks of a listener: the streams it has accepted, and to close some.

use std::net::SocketAddr;

use actix::{Context, Handler};

use super::{Connection, Dismiss, Kind, Listener, Show, Stage};
use crate::streams::{component, incoming};
use mailbox::Queued;
use status::{
    amount::Amount,
    report::{Direction, Link, Seconds, State, Time},
    smallest::smallest,
};

impl Connection {
    /// Has its stream say how it is; of one that has not said a word yet there is not much to tell.
    fn show(&self, direction: Direction, address: SocketAddr, show: &Show) {
        let (of, links) = (show.of.clone(), show.links.clone());
        // A stream that has just ended has nothing to say; whoever asked may have given up, or have enough.
        match &self.stage {
            Stage::Server(incoming) => drop(incoming.signal(incoming::Show { of, links })),
            Stage::Component(component) => drop(component.signal(component::Show { of, links })),
            Stage::Silent | Stage::Waiting(_) | Stage::Meeting(_) if of.is_none() => {
                drop(links.try_send(self.meeting(direction, address)));
            }
            Stage::Silent | Stage::Waiting(_) | Stage::Meeting(_) => {}
        }
    }

    fn meeting(&self, direction: Direction, address: SocketAddr) -> Link {
        Link {
            direction,
            state: State::Connecting,
            pairs: Vec::new(),
            pairs_not_shown: 0,
            address: Some(address),
            since: Time::of(self.since),
            mechanism: None,
            tls: None,
            received: Amount::default(),
            sent: Amount::default(),
            waiting: Amount::default(),
            idle: Seconds::since(self.since),
        }
    }
}

impl Handler<Queued<Show>> for Listener {
    type Result = ();

    fn handle(&mut self, show: Queued<Show>, _: &mut Context<Self>) {
        let show = show.open();
        let direction = match self.whose {
            Kind::Servers(_) => Direction::Incoming,
            Kind::Components(_) => Direction::Component,
        };
        if show.of.is_some() {
            // Only the streams know whose they are.
            self.connections
                .iter()
                .for_each(|(caller, connection)| connection.show(direction, caller.address, &show));
        } else {
            for caller in smallest(self.connections.keys(), show.limit) {
                if let Some(connection) = self.connections.get(caller) {
                    connection.show(direction, caller.address, &show);
                }
            }
        }
        let _ = show.total.send(self.connections.len());
    }
}

impl Handler<Queued<Dismiss>> for Listener {
    type Result = ();

    fn handle(&mut self, dismiss: Queued<Dismiss>, _: &mut Context<Self>) {
        let Dismiss { remote, closing, token } = dismiss.open();
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
