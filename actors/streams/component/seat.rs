//! The seat that a connection claims at the router: one at a time serves a name.

use std::time::Duration;

use actix::{ActorContext, AsyncContext, Context, Handler};
use xmpp::Domain;

use super::{Claimed, Component, Gone, LOG};
use crate::{flow::batch::ReadPermit, streams::caller};
use mailbox::Queued;

impl Component {
    pub(super) fn claim(&mut self, name: Domain, context: &mut Context<Self>) {
        if self.environment.owners.claimed.signal(Claimed { name, component: self.own.clone() }).is_err() {
            context.stop();
        }
    }

    /// While the component that has the seat is asked for a sign of life, or its end is on its way, the name is claimed
    /// again. One that answers keeps the name.
    fn seat_is_taken(&mut self, asked: bool, context: &mut Context<Self>) {
        if asked && self.link.is_some() && !self.over {
            context.run_later(CLAIM_AGAIN, |component, context| {
                if let Some(name) = component.name.clone() {
                    component.claim(name, context);
                }
            });
            return;
        }
        self.machine.conflict();
        self.name = None;
    }

    /// Gives the seat up, once: the program may come back before this connection is quite gone.
    pub(super) fn leave(&mut self, context: &mut Context<Self>) {
        let Some(name) = self.name.clone().filter(|_| self.seated && !self.gone) else { return };
        self.gone = true;
        self.dismissed = None;
        let reason = self.ended.clone().unwrap_or_default();
        if self.environment.owners.gone.signal(Gone { name, component: self.own.clone(), reason }).is_err() {
            context.stop();
        }
    }
}

impl Handler<Queued<super::Seated>> for Component {
    type Result = ();

    fn handle(&mut self, seated: Queued<super::Seated>, context: &mut Context<Self>) {
        let super::Seated { accepted, asked } = seated.open();
        if accepted {
            self.seated = true;
            let name = self.name.as_ref().map_or("-", Domain::as_str);
            log::info!(target: LOG, address:% = self.address, name = name; "connected");
            self.machine.accept();
            // A listener that is gone counts no more.
            let _ = self.environment.proved.signal(caller::Proved { caller: self.caller() });
        } else {
            self.seat_is_taken(asked, context);
        }
        self.turn(&ReadPermit::free(), context);
        if self.link.is_none() {
            // It went away while the router decided.
            self.link_ended(0, "", context);
        }
    }
}

/// How soon a name is claimed again. `handshake_timeout` bounds how often.
const CLAIM_AGAIN: Duration = Duration::from_millis(50);
