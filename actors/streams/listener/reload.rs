//! A reload: the listener and its streams go on under another configuration.

use actix::{Context, Handler};

use super::{Adopt, Kind, Listener, Stage};
use crate::streams::{component, incoming};
use mailbox::Queued;

impl Handler<Queued<Adopt>> for Listener {
    type Result = ();

    fn handle(&mut self, adopt: Queued<Adopt>, _: &mut Context<Self>) {
        let Adopt { kind, limits } = adopt.into_message();
        match (&mut self.kind, kind) {
            (Kind::Servers(own), Kind::Servers(new)) => {
                for connection in self.connections.values() {
                    if let Stage::Server(incoming) = &connection.stage {
                        let (policies, tls) = (new.policies.clone(), new.tls.clone());
                        // A stream that has just ended needs no configuration.
                        let _ = incoming.signal(incoming::Adopt { policies, tls });
                    }
                }
                (*own, self.limits) = (new, limits);
            }
            (Kind::Components(own, own_tls), Kind::Components(new, tls)) => {
                for (caller, connection) in &self.connections {
                    if let Stage::Component(component) = &connection.stage {
                        // A connection that has just ended needs no configuration.
                        let _ = component.signal(component::Adopt { environment: Box::new(new.clone()) });
                        if !limits.permits(caller.peer) {
                            let _ = component.signal(component::Forbid);
                        }
                    }
                }
                (*own, *own_tls, self.limits) = (new, tls, limits);
            }
            // The kind of a listener never changes.
            (Kind::Servers(_), Kind::Components(..)) | (Kind::Components(..), Kind::Servers(_)) => {}
        }
        self.addresses.adopt(self.limits.bounds());
        self.check_queues();
    }
}
