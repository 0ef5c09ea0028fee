//! The seats of the components: one connection at a time serves a name. What is known of a configured component,
//! connected or not, stands here.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use actix::{AsyncContext, Context, Handler};
use xmpp::{Domain, stanza::ErrorType};

use super::{DismissComponent, Local, Router, ShowComponents};
use crate::{
    settings::Conflict,
    streams::component::{self, Component, Seated},
};
use mailbox::{Mailbox, Queued};
use status::{
    amount::Amount,
    report::{self, Time, bounded},
};

/// A configured component.
pub(super) struct Seat {
    /// The connection that serves the name.
    pub(super) connection: Option<Mailbox<Component>>,
    conflict: Conflict,
    /// When it connected, or when its last connection ended; the start of the node before the first.
    since: Time,
    /// How its last connection ended.
    last_end: Option<report::Ending>,
    /// Stanzas that were answered because it was not connected.
    refused: Amount,
    /// Connections with a wrong secret.
    rejected: report::Rejections,
    /// Whether its connection was asked for a sign of life and has not answered yet.
    asked: bool,
    /// When it answered.
    answered: Option<Instant>,
    /// Whether the log has said that it is not connected, since it is not.
    told: bool,
}

impl Seat {
    pub(super) fn new(conflict: Conflict) -> Self {
        Self {
            connection: None,
            conflict,
            since: Time::now(),
            last_end: None,
            refused: Amount::default(),
            rejected: report::Rejections::default(),
            asked: false,
            answered: None,
            told: false,
        }
    }

    /// Has the connection that serves the name asked for a sign of life, unless it was just now. Tells whether the answer
    /// is awaited.
    fn ask(&mut self) -> bool {
        let Some(seated) = &self.connection else { return false };
        let just_now = self.answered.is_some_and(|answered| clock::since(answered) < FRESH);
        if !self.asked && !just_now {
            self.asked = seated.signal(component::Prove).is_ok();
        }
        self.asked
    }

    /// Counts stanzas that found it not connected. The first ones are told.
    pub(super) fn refuse(&mut self, name: &Domain, amount: Amount) {
        self.refused = self.refused.plus(amount);
        self.tell_missing(name, "stanzas for it are answered with service-unavailable");
    }

    /// Says, once for each absence, that it is not connected.
    fn tell_missing(&mut self, name: &Domain, consequence: &str) {
        if self.connection.is_some() || std::mem::replace(&mut self.told, true) {
            return;
        }
        let last_end = self.last_end.as_ref().map_or("it has not connected yet", |ending| &ending.reason);
        log::warn!(
            target: component::LOG, name:% = name, since:% = self.since, last_end = last_end;
            "component missing: {consequence}"
        );
    }

    fn report(&self, name: &Domain) -> report::Component {
        report::Component {
            name: name.to_string(),
            connected: self.connection.is_some(),
            since: self.since,
            last_end: self.last_end.clone(),
            refused: self.refused,
            rejected: self.rejected.clone(),
            link: None,
        }
    }
}

impl Router {
    /// Components that stay keep their seats; those whose names are gone are closed.
    pub(super) fn serve_these(&mut self, domains: Vec<Domain>, components: Vec<(Domain, Conflict)>) {
        let mut before = std::mem::take(&mut self.local);
        self.local = domains.into_iter().map(|name| (name, Local::Node)).collect();
        for (name, conflict) in components {
            let seat = match before.remove(&name) {
                Some(Local::Component(seat)) => Box::new(Seat { conflict, ..*seat }),
                Some(Local::Node) | None => Box::new(Seat::new(conflict)),
            };
            self.local.insert(name, Local::Component(seat));
        }
        for local in before.into_values() {
            if let Local::Component(seat) = local
                && let Some(component) = seat.connection
            {
                // One that has just gone is gone.
                let _ = component.signal(component::Expel);
            }
        }
    }

    pub(super) fn seat(&mut self, name: &Domain) -> Option<&mut Seat> {
        match self.local.get_mut(name) {
            Some(Local::Component(seat)) => Some(seat),
            Some(Local::Node) | None => None,
        }
    }

    /// Has the log name the components that have not connected some time after the start.
    pub(super) fn watch_seats(&self, context: &mut Context<Self>) {
        context.run_later(GRACE, |router, _| {
            for (name, local) in &mut router.local {
                if let Local::Component(seat) = local {
                    seat.tell_missing(name, "no connection since the start of the node");
                }
            }
        });
    }
}

impl Handler<Queued<component::Claimed>> for Router {
    type Result = ();

    fn handle(&mut self, claimed: Queued<component::Claimed>, _: &mut Context<Self>) {
        let component::Claimed { name, component } = claimed.open();
        let Some(seat) = self.seat(&name) else {
            let _ = component.signal(Seated { accepted: false, asked: false });
            return;
        };
        let accepted = match (&seat.connection, seat.conflict) {
            (None, _) => true,
            (Some(seated), Conflict::Replace) => {
                log::warn!(target: component::LOG, name:% = name; "another connection replaces the component's");
                let _ = seated.signal(component::GiveWay);
                true
            }
            (Some(_), Conflict::Refuse) => false,
        };
        let asked = !accepted && seat.ask();
        if accepted {
            (seat.connection, seat.since, seat.told) = (Some(component.clone()), Time::now(), false);
            (seat.asked, seat.answered) = (false, None);
        }
        // A component that is gone again says so with `component::Gone`.
        let _ = component.signal(Seated { accepted, asked });
    }
}

impl Handler<Queued<component::Gone>> for Router {
    type Result = ();

    fn handle(&mut self, gone: Queued<component::Gone>, _: &mut Context<Self>) {
        let component::Gone { name, component, reason } = gone.open();
        if let Some(seat) = self.seat(&name)
            && seat.connection.as_ref().is_some_and(|seated| seated.is(&component))
        {
            (seat.connection, seat.since, seat.asked) = (None, Time::now(), false);
            seat.last_end = Some(report::Ending { at: seat.since, reason: bounded(reason) });
        }
        let _ = component.signal(component::Retire);
    }
}

impl Handler<Queued<component::Answered>> for Router {
    type Result = ();

    fn handle(&mut self, answered: Queued<component::Answered>, _: &mut Context<Self>) {
        let component::Answered { name, component } = answered.open();
        if let Some(seat) = self.seat(&name)
            && seat.connection.as_ref().is_some_and(|seated| seated.is(&component))
        {
            (seat.asked, seat.answered) = (false, Some(clock::now()));
        }
    }
}

impl Handler<Queued<component::Rejected>> for Router {
    type Result = ();

    fn handle(&mut self, rejected: Queued<component::Rejected>, _: &mut Context<Self>) {
        let component::Rejected { name, address } = rejected.open();
        if let Some(seat) = self.seat(&name) {
            seat.rejected.count += 1;
            seat.rejected.last = Some(Time::now());
            seat.rejected.address = Some(address.ip());
        }
    }
}

impl Handler<Queued<component::Undelivered>> for Router {
    type Result = ();

    fn handle(&mut self, undelivered: Queued<component::Undelivered>, _: &mut Context<Self>) {
        let component::Undelivered { batch, condition, text } = undelivered.open();
        self.answer(batch, ErrorType::Wait, condition, &text);
    }
}

impl Handler<Queued<ShowComponents>> for Router {
    type Result = ();

    fn handle(&mut self, show: Queued<ShowComponents>, _: &mut Context<Self>) {
        let ShowComponents { of, answer } = show.open();
        let seats = self.local.iter().filter_map(|(name, local)| match local {
            Local::Component(seat) if of.as_ref().is_none_or(|of| of == name) => Some(seat.report(name)),
            Local::Component(_) | Local::Node => None,
        });
        let mut components: Vec<report::Component> = seats.collect();
        components.sort_by(|a, b| a.name.cmp(&b.name));
        // Whoever asked may have given up.
        let _ = answer.send(components);
    }
}

impl Handler<Queued<DismissComponent>> for Router {
    type Result = ();

    fn handle(&mut self, dismiss: Queued<DismissComponent>, _: &mut Context<Self>) {
        let DismissComponent { name, token, answer } = dismiss.open();
        let seat = self.seat(&name);
        let connection = seat.and_then(|seat| seat.connection.as_ref());
        let told = connection.is_some_and(|it| it.signal(component::Dismiss { token }).is_ok());
        let _ = answer.send(told);
    }
}

/// How long an answer of a component counts: the connection that waited for it claims the name again long before.
const FRESH: Duration = Duration::from_secs(1);

/// By when components have usually connected after a start of the node.
const GRACE: Duration = Duration::from_secs(30);

/// The names that components serve, and their connections: for tests and the metrics.
pub(super) fn seats(local: &HashMap<Domain, Local>) -> impl Iterator<Item = (&Domain, bool)> {
    local.iter().filter_map(|(name, local)| match local {
        Local::Node => None,
        Local::Component(seat) => Some((name, seat.connection.is_some())),
    })
}
