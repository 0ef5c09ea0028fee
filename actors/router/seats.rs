//! The seats of the components: one connection at a time serves a name.

use actix::{Context, Handler};
use xmpp::{Domain, stanza::ErrorType};

use super::{Local, Router, Seated};
use crate::{component, mailbox::Queued};

impl Router {
    /// Components that stay keep their seats; those whose names are gone are closed.
    pub(super) fn serve_these(&mut self, domains: Vec<Domain>, components: Vec<Domain>) {
        let mut before = std::mem::take(&mut self.local);
        self.local = domains.into_iter().map(|name| (name, Local::Node)).collect();
        for name in components {
            let seat = match before.remove(&name) {
                Some(Local::Component(seat)) => seat,
                Some(Local::Node) | None => None,
            };
            self.local.insert(name, Local::Component(seat));
        }
        for local in before.into_values() {
            if let Local::Component(Some(component)) = local {
                // One that has just gone is gone.
                let _ = component.signal(component::Expel);
            }
        }
    }
}

impl Handler<Queued<component::Claimed>> for Router {
    type Result = ();

    fn handle(&mut self, claimed: Queued<component::Claimed>, _: &mut Context<Self>) {
        let component::Claimed { name, component } = claimed.open();
        let seat = self.local.get_mut(&name);
        let accepted = matches!(seat, Some(Local::Component(None)));
        if accepted {
            self.local.insert(name, Local::Component(Some(component.clone())));
        }
        // A component that is gone again says so with `component::Gone`.
        let _ = component.signal(Seated { accepted });
    }
}

impl Handler<Queued<component::Gone>> for Router {
    type Result = ();

    fn handle(&mut self, gone: Queued<component::Gone>, _: &mut Context<Self>) {
        let component::Gone { name, component } = gone.open();
        if let Some(Local::Component(seat)) = self.local.get_mut(&name)
            && seat.as_ref().is_some_and(|seated| seated.is(&component))
        {
            *seat = None;
        }
        let _ = component.signal(component::Retire);
    }
}

impl Handler<Queued<component::Undelivered>> for Router {
    type Result = ();

    fn handle(&mut self, undelivered: Queued<component::Undelivered>, _: &mut Context<Self>) {
        let component::Undelivered { batch, condition, text } = undelivered.open();
        self.answer(batch, ErrorType::Wait, condition, &text);
    }
}
