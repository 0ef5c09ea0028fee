//! The components: one connection at a time serves a name. The router decides which, and counts what happens
//! meanwhile.

use std::time::Duration;

use actix::{AsyncContext, Context, Handler};
use xmpp::{Domain, stanza::ErrorType};

use super::{
    DismissComponent, Local, Router, ShowComponents,
    registration::{Decision, Registration},
};
use crate::{
    settings::Conflict,
    streams::component::{self, BindDecided},
};
use mailbox::Queued;
use status::report;

impl Router {
    /// Sets the local domains on a reload. Components that stay keep their connections; the connections of
    /// the others are closed.
    pub(super) fn set_local(&mut self, domains: Vec<Domain>, components: Vec<(Domain, Conflict)>) {
        let mut before = std::mem::take(&mut self.local);
        self.local = domains.into_iter().map(|name| (name, Local::Node)).collect();
        for (name, conflict) in components {
            let local = match before.remove(&name) {
                Some(Local::Component(mut registration)) => {
                    registration.set_conflict(conflict);
                    Local::Component(registration)
                }
                Some(Local::Node) | None => Local::component(conflict),
            };
            self.local.insert(name, local);
        }
        for local in before.into_values() {
            if let Local::Component(registration) = local
                && let Some(component) = registration.component()
            {
                // If it has just ended, there is nothing to close.
                let _ = component.signal(component::Expel);
            }
        }
    }

    fn registration(&mut self, name: &Domain) -> Option<&mut Registration> {
        match self.local.get_mut(name) {
            Some(Local::Component(registration)) => Some(registration),
            Some(Local::Node) | None => None,
        }
    }

    /// The configured components, and whether each is connected.
    pub(super) fn registrations(&self) -> impl Iterator<Item = (&Domain, &Registration)> {
        self.local.iter().filter_map(|(name, local)| match local {
            Local::Node => None,
            Local::Component(registration) => Some((name, &**registration)),
        })
    }

    /// Logs the components that have not connected some time after the start.
    pub(super) fn log_missing_components_later(&self, context: &mut Context<Self>) {
        context.run_later(GRACE, |router, _| {
            let detail = format!("not connected {} s after the start of the node", GRACE.as_secs());
            for (name, local) in &mut router.local {
                if let Local::Component(registration) = local {
                    registration.log_missing(name, &detail);
                }
            }
        });
    }
}

impl Handler<Queued<component::BindRequested>> for Router {
    type Result = ();

    fn handle(&mut self, claimed: Queued<component::BindRequested>, _: &mut Context<Self>) {
        let component::BindRequested { name, component } = claimed.into_message();
        let decision = match self.registration(&name) {
            Some(registration) => registration.bind(&component),
            None => Decision::Refused { pinged: false },
        };
        let (accepted, asked) = match decision {
            Decision::Accepted => (true, false),
            Decision::Replaces(replaced) => {
                log::warn!(
                    target: component::LOG, name:% = name;
                    "a new connection replaces the component's old connection"
                );
                let _ = replaced.signal(component::GiveWay);
                (true, false)
            }
            Decision::Refused { pinged } => (false, pinged),
        };
        // If the connection has ended, `component::Gone` follows.
        let _ = component.signal(match (accepted, asked) {
            (true, _) => BindDecided::Accepted,
            (false, true) => BindDecided::Pending,
            (false, false) => BindDecided::Refused,
        });
    }
}

impl Handler<Queued<component::Gone>> for Router {
    type Result = ();

    fn handle(&mut self, gone: Queued<component::Gone>, _: &mut Context<Self>) {
        let component::Gone { name, component, reason } = gone.into_message();
        if let Some(registration) = self.registration(&name) {
            registration.gone(&component, reason);
        }
        let _ = component.signal(component::Retire);
    }
}

impl Handler<Queued<component::Answered>> for Router {
    type Result = ();

    fn handle(&mut self, answered: Queued<component::Answered>, _: &mut Context<Self>) {
        let component::Answered { name, component } = answered.into_message();
        if let Some(registration) = self.registration(&name) {
            registration.answered(&component);
        }
    }
}

impl Handler<Queued<component::Rejected>> for Router {
    type Result = ();

    fn handle(&mut self, rejected: Queued<component::Rejected>, _: &mut Context<Self>) {
        let component::Rejected { name, address } = rejected.into_message();
        if let Some(registration) = self.registration(&name) {
            registration.rejected(address.ip());
        }
    }
}

impl Handler<Queued<component::Undelivered>> for Router {
    type Result = ();

    fn handle(&mut self, undelivered: Queued<component::Undelivered>, _: &mut Context<Self>) {
        let component::Undelivered { batch, condition, text } = undelivered.into_message();
        self.answer(batch, ErrorType::Wait, condition, &text);
    }
}

impl Handler<Queued<ShowComponents>> for Router {
    type Result = ();

    fn handle(&mut self, show: Queued<ShowComponents>, _: &mut Context<Self>) {
        let ShowComponents { of, answer } = show.into_message();
        let shown = self.registrations().filter(|(name, _)| of.as_ref().is_none_or(|of| of == *name));
        let mut components: Vec<report::ComponentReport> =
            shown.map(|(name, registration)| registration.report(name)).collect();
        components.sort_by(|a, b| a.name.cmp(&b.name));
        // The receiver may be gone.
        let _ = answer.send(components);
    }
}

impl Handler<Queued<DismissComponent>> for Router {
    type Result = ();

    fn handle(&mut self, dismiss: Queued<DismissComponent>, _: &mut Context<Self>) {
        let DismissComponent { name, token, answer } = dismiss.into_message();
        let registration = self.registration(&name);
        let component = registration.and_then(|registration| registration.component());
        let connected = component.is_some_and(|it| it.signal(component::Dismiss { token }).is_ok());
        let _ = answer.send(connected);
    }
}

/// The time after the start of the node by which components are usually connected.
const GRACE: Duration = Duration::from_secs(30);
