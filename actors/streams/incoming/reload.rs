//! An incoming stream under a new configuration: it goes on, or is closed where the configuration forbids it.

use std::sync::Arc;

use actix::{Context, Handler};

use super::{Adopt, Incoming};
use crate::flow::batch::ReadPermit;
use mailbox::Queued;

impl Handler<Queued<Adopt>> for Incoming {
    type Result = ();

    fn handle(&mut self, adopt: Queued<Adopt>, context: &mut Context<Self>) {
        let Adopt { policies, tls } = adopt.into_message();
        if let Some(chain) = &self.certificate.peer_chain {
            self.machine.certificate_verified(tls.verify_chain(chain));
        }
        let pairs = self.machine.pairs().to_vec();
        let forbidden = self.machine.adopt(Arc::clone(policies.rules()));
        if forbidden.is_some() {
            self.withdrawn = pairs;
        }
        (self.environment.policies, self.environment.tls) = (policies, tls);
        if let Some(pair) = self.machine.pairs().first() {
            self.remote = Arc::clone(self.environment.policies.remote(&pair.remote));
            self.reading.throttle.set_rate(self.remote.max_rate);
        }
        match forbidden.filter(|_| !self.connection.has_ended()) {
            Some(error) => self.close(Some(error), context),
            // Dialback keys that are being verified may have been refused.
            None => self.drive(&ReadPermit::free(), context),
        }
    }
}
