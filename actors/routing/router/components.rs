//! The components: one connection at a time serves the names of each. The router decides which, and counts what happens
//! meanwhile.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use actix::{AsyncContext, Context, Handler};
use xmpp::{Domain, Served};

use super::{
    DismissComponent, Known, Local, Router, ShowComponents,
    registration::{Decision, Registration, Way},
};
use crate::{
    flow::route::Ingress,
    routing::{mailroom, promise},
    streams::component::{self, BindDecided, Carrier, Component},
};
use mailbox::{Mailbox, Queued};
use status::{
    address::Host,
    report::{self, EndCause},
};

impl Router {
    /// Sets the local domains. Components that stay keep their connections, whatever names they gain and lose beside the
    /// first. Gives the others.
    pub(super) fn set_local(
        &mut self,
        domains: impl IntoIterator<Item = Domain>,
        components: impl IntoIterator<Item = Known>,
        is_reload: bool,
    ) -> HashMap<Domain, Registration> {
        let mut before = std::mem::take(&mut self.components);
        self.local = domains.into_iter().map(|name| (name, Local::Node)).collect();
        for Known { name, names, conflict } in components {
            for served in &names {
                self.local.insert(served.clone(), Local::Component(name.clone()));
            }
            let registration = match before.remove(&name) {
                Some(registration) => registration,
                None => Registration::new(is_reload),
            };
            self.components.insert(name, registration.configured(names, conflict));
        }
        before
    }

    /// Sets the local domains on a reload. The mailroom adopts them at the same place in the order of stanzas, and moves
    /// what waits for a name to the component that serves it now. So such a component gets everything from there until
    /// nothing waits. The connections of components that are gone are closed.
    pub(super) fn adopt_local(
        &mut self,
        domains: impl IntoIterator<Item = Domain>,
        components: impl IntoIterator<Item = Known>,
        mailroom: mailroom::Adopt,
    ) {
        let before = std::mem::take(&mut self.local);
        let gone = self.set_local(domains, components, true);
        let mut gained = HashMap::new();
        for component in gainers(&before, &self.local) {
            let totals = Arc::clone(self.accounts.totals(&component));
            gained.insert(component, totals);
        }
        let names: Vec<Domain> = gained.keys().cloned().collect();
        let heirs = heirs_of_remote(&before, &self.local);
        // If the mailroom or the promise is gone, the process ends.
        let _ = self.mailroom.signal(mailroom::Adopt { gained, heirs: heirs.clone(), ..mailroom });
        let local = self.local.iter().map(|(name, _)| (name.clone(), ())).collect();
        let _ = self.promise.signal(promise::MoveOut { local, heirs: heirs.clone() });
        for name in names {
            let Some(registration) = self.components.get_mut(&name) else { continue };
            let Some(component) = registration.direct().cloned() else {
                if heirs.contains(&name) {
                    registration.repeat_handover();
                }
                continue;
            };
            registration.set_way(&component, Way::ThroughMailroom);
            let _ = self.mailroom.signal(mailroom::TakeOver { name, component, is_told: true, away: None });
        }
        for (name, registration) in gone {
            if let Some(component) = registration.component() {
                // If it has just ended, there is nothing to close.
                let _ = component.signal(component::Expel);
                let heirs: HashSet<Domain> =
                    registration.names().filter_map(|name| self.component_serving(name)).collect();
                self.expect_return_for(&name, component.clone(), heirs.into_iter().collect());
            }
            if registration.has_seat() {
                self.unseat(&name);
            }
        }
        self.relay_to_known_seats();
    }

    /// The component that serves a name, by the name under which it is configured.
    fn component_serving(&self, name: &Domain) -> Option<Domain> {
        match self.local.get(name) {
            Some(Local::Component(component)) => Some(component.clone()),
            Some(Local::Node) | None => None,
        }
    }

    /// A connection no longer serves a name. The mailroom gets its message before the next stanza for the name, so that
    /// it knows that the connection returns stanzas which are older. It has the connection retire, behind the last
    /// stanza that it sends to it.
    pub(super) fn expect_return(&self, name: &Domain, component: Carrier) {
        self.expect_return_for(name, component, Vec::new());
    }

    fn expect_return_for(&self, name: &Domain, component: Carrier, heirs: Vec<Domain>) {
        // If the mailroom is gone, the process ends.
        let _ = self.mailroom.signal(mailroom::Expect { name: name.clone(), component, heirs });
    }

    /// Notes the end of a connection. One that does not serve the name has lost it before.
    pub(super) fn component_gone(
        &mut self,
        name: &Domain,
        component: Carrier,
        cause: EndCause,
        reason: String,
        is_read: bool,
    ) {
        if self.registration(name).is_some_and(|known| known.gone(&component, cause, reason, is_read)) {
            // Another node could overtake what is still read here.
            if component.here().is_some() && !is_read {
                self.unseat(name);
            }
            self.expect_return(name, component);
        }
    }

    /// The component that is configured under this name.
    pub(super) fn registration(&mut self, name: &Domain) -> Option<&mut Registration> {
        self.components.get_mut(name)
    }

    /// The component that serves a name, with the name under which it is configured.
    pub(super) fn component_of(&mut self, name: &Domain) -> Option<(&Domain, &mut Registration)> {
        match self.local.get(name) {
            Some(Local::Component(component)) => Some((component, self.components.get_mut(component)?)),
            Some(Local::Node) | None => None,
        }
    }

    /// The configured components, and whether each is connected.
    pub(super) fn registrations(&self) -> impl Iterator<Item = (&Domain, &Registration)> {
        self.components.iter()
    }

    /// Logs the components that have not connected some time after the start, or after the reload that added them.
    pub(super) fn log_missing_components_later(&self, context: &mut Context<Self>) {
        context.run_later(GRACE, |router, _| {
            for (name, registration) in &mut router.components {
                registration.log_never_connected(name, GRACE);
            }
        });
    }

    /// Logs that a component is missing, if it has not connected again some time after the end of its connection.
    fn log_missing_later(&mut self, name: Domain, context: &mut Context<Self>) {
        let Some(since) = self.registration(&name).map(|registration| registration.since()) else { return };
        context.run_later(GRACE, move |router, _| {
            if let Some(registration) = router.registration(&name).filter(|known| known.since() == since) {
                let detail = format!("not connected for {} s; stanzas for it wait", GRACE.as_secs());
                registration.log_missing(&name, &detail);
            }
        });
    }
}

impl Router {
    /// A connection from this address serves the name from now on, unless the rule for conflicts decides otherwise.
    pub(super) fn bind(&mut self, name: &Domain, component: &Mailbox<Component>, address: Host) {
        let carrier = Carrier::from(component.clone());
        let (away, decision) = match self.registration(name) {
            Some(registration) => (registration.away(), registration.bind(&carrier, address)),
            None => (None, Decision::Refused { pinged: false }),
        };
        let (accepted, asked) = match decision {
            Decision::Accepted => (true, false),
            Decision::Replaces(replaced) => {
                log::warn!(
                    target: component::LOG, name:% = name;
                    "a new connection replaces the component's old connection"
                );
                let _ = replaced.signal(component::GiveWay);
                self.expect_return(name, replaced);
                (true, false)
            }
            Decision::Refused { pinged } => (false, pinged),
        };
        let debt = self.registration(name).filter(|_| accepted).and_then(Registration::take_debt);
        if accepted {
            // Before the connection learns of it, which then asks the mailroom for stanzas.
            let _ = self.mailroom.signal(mailroom::TakeOver {
                name: name.clone(),
                component: carrier.clone(),
                is_told: false,
                away,
            });
        }
        // If the connection has ended, `component::Gone` follows.
        let is_gone = component.signal(match (accepted, asked) {
            (true, _) => BindDecided::Accepted { debt },
            (false, true) => BindDecided::Pending,
            (false, false) => BindDecided::Refused,
        });
        if accepted && is_gone.is_err() {
            // It has panicked.
            self.component_gone(
                name,
                carrier,
                EndCause::Internal,
                "internal error of this node".to_owned(),
                false,
            );
        }
    }
}

impl Handler<Queued<component::BindRequested>> for Router {
    type Result = ();

    fn handle(&mut self, claimed: Queued<component::BindRequested>, _: &mut Context<Self>) {
        let component::BindRequested { name, component, address } = claimed.into_message();
        let current = self.components.get(&name).and_then(|it| it.component()).and_then(Carrier::here);
        if current.is_some_and(|current| current.is(&component)) {
            // It has asked again, and the answer of the cluster came meanwhile.
            return;
        }
        if !self.asks_for_seat(&name, &component, &address) {
            self.bind(&name, &component, address);
        }
    }
}

impl Handler<Queued<component::Gone>> for Router {
    type Result = ();

    fn handle(&mut self, gone: Queued<component::Gone>, context: &mut Context<Self>) {
        let component::Gone { name, component, cause, reason, is_read } = gone.into_message();
        let is_relay = component.here().is_none();
        self.component_gone(&name, component, cause, reason, is_read);
        if is_relay {
            return self.relay_again(&name, context);
        }
        if self.seats.is_some() {
            self.relay_again_later(name.clone(), context);
        }
        self.log_missing_later(name, context);
    }
}

impl Handler<Queued<component::ReadAll>> for Router {
    type Result = ();

    fn handle(&mut self, read_all: Queued<component::ReadAll>, _: &mut Context<Self>) {
        let component::ReadAll { name, component, cause, reason, debt } = read_all.into_message();
        let Some(registration) = self.registration(&name) else { return };
        if registration.read_all(&component, cause, reason, debt) && !registration.has_seat() {
            self.unseat(&name);
        }
    }
}

impl Handler<Queued<component::Congested>> for Router {
    type Result = ();

    /// The mailroom gets its message before the connection, so that it knows the connection when that asks for stanzas.
    fn handle(&mut self, congested: Queued<component::Congested>, _: &mut Context<Self>) {
        let component::Congested { name, component } = congested.into_message();
        let registration = self.registration(&name);
        if !registration.is_some_and(|known| known.set_way(&component, Way::ThroughMailroom)) {
            return;
        }
        let take_over = mailroom::TakeOver { name, component: component.clone(), is_told: false, away: None };
        // If the mailroom is gone, the process ends. If the connection is gone, it has reported its end.
        let _ = self.mailroom.signal(take_over);
        let _ = component.signal(component::Pull);
    }
}

impl Handler<Queued<mailroom::HandedOver>> for Router {
    type Result = ();

    fn handle(&mut self, handed_over: Queued<mailroom::HandedOver>, _: &mut Context<Self>) {
        let mailroom::HandedOver { name, component } = handed_over.into_message();
        let Some(registration) = self.registration(&name) else { return };
        if registration.takes_repeat(&component) {
            let _ =
                self.mailroom.signal(mailroom::Release { name: name.clone(), component: component.clone() });
            let _ = self.mailroom.signal(mailroom::TakeOver { name, component, is_told: true, away: None });
        } else if registration.set_way(&component, Way::Direct) {
            let _ = self.mailroom.signal(mailroom::Release { name, component });
        }
    }
}

impl Handler<Queued<mailroom::Answered>> for Router {
    type Result = ();

    fn handle(&mut self, answered: Queued<mailroom::Answered>, _: &mut Context<Self>) {
        let mailroom::Answered { name, amount } = answered.into_message();
        if let Some((name, registration)) = self.component_of(&name) {
            registration.count_refused(name, amount);
        }
    }
}

impl Handler<Queued<mailroom::Bounced>> for Router {
    type Result = ();

    fn handle(&mut self, bounced: Queued<mailroom::Bounced>, _: &mut Context<Self>) {
        let mailroom::Bounced { answers, permit } = bounced.into_message();
        self.route_answers(answers, &permit);
    }
}

impl Handler<Queued<mailroom::Notified>> for Router {
    type Result = ();

    fn handle(&mut self, notified: Queued<mailroom::Notified>, _: &mut Context<Self>) {
        for batch in notified.into_message().batches {
            self.route(batch, Ingress::Local);
        }
    }
}

impl Handler<Queued<mailroom::Moved>> for Router {
    type Result = ();

    /// They are routed like stanzas of a remote server, so that they cannot leave the node.
    fn handle(&mut self, moved: Queued<mailroom::Moved>, _: &mut Context<Self>) {
        for mut batch in moved.into_message().batches {
            let domain = self.counted_as(&batch.to);
            let totals = Arc::clone(self.accounts.totals(&domain));
            batch.entry.move_to(&totals);
            self.route(batch, Ingress::Remote);
        }
    }
}

impl Handler<Queued<promise::MovedOut>> for Router {
    type Result = ();

    /// What is for a component that has waited for it goes in front of its queue. The rest is routed like a new stanza.
    fn handle(&mut self, moved: Queued<promise::MovedOut>, _: &mut Context<Self>) {
        let promise::MovedOut { batches, heirs } = moved.into_message();
        let mut first = Vec::new();
        for mut batch in batches {
            let domain = self.counted_as(&batch.to);
            let totals = Arc::clone(self.accounts.totals(&domain));
            batch.entry.move_to(&totals);
            match self.local.get(&batch.to) {
                Some(Local::Component(component)) if heirs.contains(component) => first.push(batch),
                Some(Local::Component(_) | Local::Node) | None => self.route(batch, Ingress::Local),
            }
        }
        if !heirs.is_empty() {
            let _ = self.mailroom.signal(mailroom::Precede { batches: first, heirs });
        }
    }
}

impl Handler<Queued<component::Pinged>> for Router {
    type Result = ();

    fn handle(&mut self, pinged: Queued<component::Pinged>, _: &mut Context<Self>) {
        let component::Pinged { name, component, ping } = pinged.into_message();
        if let Some(registration) = self.registration(&name) {
            registration.pinged(&component.into(), ping);
        }
    }
}

impl Handler<Queued<component::Answered>> for Router {
    type Result = ();

    fn handle(&mut self, answered: Queued<component::Answered>, _: &mut Context<Self>) {
        let component::Answered { name, component } = answered.into_message();
        if let Some(registration) = self.registration(&name) {
            registration.answered(&component.into());
        }
    }
}

impl Handler<Queued<component::Rejected>> for Router {
    type Result = ();

    fn handle(&mut self, rejected: Queued<component::Rejected>, _: &mut Context<Self>) {
        let component::Rejected { name, address } = rejected.into_message();
        if let Some(registration) = self.registration(&name) {
            registration.rejected(address);
        }
    }
}

impl Handler<Queued<ShowComponents>> for Router {
    type Result = ();

    fn handle(&mut self, show: Queued<ShowComponents>, _: &mut Context<Self>) {
        let ShowComponents { of, answer } = show.into_message();
        let of = of.map(|of| self.component_of(&of).map(|(name, _)| name.clone()));
        let shown = self.registrations().filter(|(name, _)| match &of {
            Some(of) => of.as_ref() == Some(*name),
            None => true,
        });
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
        let registration = self.component_of(&name);
        let component = registration.and_then(|(_, registration)| registration.component());
        let connection = component.and_then(|component| component.here());
        let connected = connection.is_some_and(|it| it.signal(component::Dismiss { token }).is_ok());
        let _ = answer.send(connected);
    }
}

/// The components that serve a name, or some of the domains of a wildcard, that they did not serve before.
fn gainers(before: &Served<Local>, now: &Served<Local>) -> HashSet<Domain> {
    let new = now.iter().filter(|(name, local)| before.get(name) != Some(local)).map(|(_, local)| local);
    let left = before.iter().filter_map(|(name, old)| now.get(name).filter(|local| *local != old));
    let components = new.chain(left).filter_map(|local| match local {
        Local::Component(component) => Some(component.clone()),
        Local::Node => None,
    });
    components.collect()
}

/// The components that serve names, or some of the domains of a wildcard, that were not local before.
fn heirs_of_remote(before: &Served<Local>, now: &Served<Local>) -> Vec<Domain> {
    let gained = now.iter().filter(|(name, _)| before.get(name).is_none());
    let heirs: HashSet<&Domain> = gained
        .filter_map(|(_, local)| match local {
            Local::Component(component) => Some(component),
            Local::Node => None,
        })
        .collect();
    heirs.into_iter().cloned().collect()
}

/// The time after the start of the node, and after the end of a connection, by which components are usually connected.
const GRACE: Duration = Duration::from_secs(30);
