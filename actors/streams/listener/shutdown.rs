//! The stop of the node: first no more connections are accepted, then every stream is closed.

use actix::{Context, Handler};
use tokio::task::JoinHandle;

use super::{Drain, Listener, Stage, Stop};
use crate::streams::{component, incoming};
use mailbox::Queued;

impl Handler<Queued<Stop>> for Listener {
    type Result = ();

    fn handle(&mut self, stop: Queued<Stop>, _: &mut Context<Self>) {
        stop.into_message();
        self.stopped = true;
        self.accepting.iter().for_each(JoinHandle::abort);
        self.clear_queues();
    }
}

impl Handler<Queued<Drain>> for Listener {
    type Result = ();

    fn handle(&mut self, drain: Queued<Drain>, _: &mut Context<Self>) {
        let Drain { within, token } = drain.into_message();
        for connection in self.connections.values() {
            let token = token.clone();
            // A stream that has just ended need not be closed.
            match &connection.stage {
                Stage::Server(incoming) => drop(incoming.signal(incoming::Drain { within, token })),
                Stage::Component(component) => drop(component.signal(component::Drain { within, token })),
                Stage::Silent | Stage::Waiting(_) | Stage::Starting(_) => {}
            }
        }
    }
}
