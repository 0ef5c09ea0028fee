//! Seats: in a cluster, a component is connected to one node at a time. A connection gets the seat of its name before it
//! serves the name. While a component is connected to another node, a relay takes the place of the connection.

use std::{collections::HashMap, sync::Arc, time::Duration};

use actix::{AsyncContext, Context, Handler};
use cluster::name::NodeName;
use xmpp::Domain;

use super::{
    FinishSeats, Router, Seats,
    claimant::{Claimant, Stage},
};
use crate::{
    flow::{
        claims::{Contest, Contested, Seat, SeatAt, SeatDelayed, SeatTaken, SeatUnknown, Seated, Unseat},
        ferry::Ferry,
    },
    observe::log_limit::{FEW, LogLimiter},
    routing::mailroom,
    streams::component::{self, BindDecided, Carrier, Component, SeatRelay},
};
use mailbox::{Mailbox, Queued};
use status::{
    address::Host,
    report::{EndCause, Time},
};

/// The seats of the cluster, as far as this node knows.
pub(super) struct Seating {
    seats: Seats,
    /// The components that are connected to other nodes, in the configuration of this one or not.
    elsewhere: HashMap<Domain, Ferry>,
    /// The node stops: no relay is started any more.
    is_finishing: bool,
    /// Limits on the lines about components for which the cluster does not answer in time: many may connect at once.
    delayed: Arc<LogLimiter>,
    unknown: Arc<LogLimiter>,
}

impl Seating {
    pub(super) fn new(seats: Seats) -> Self {
        let delayed = LogLimiter::new(component::LOG, FEW, "more components wait for the cluster");
        let unknown = LogLimiter::new(
            component::LOG,
            FEW,
            "more components connected without an answer of the cluster",
        );
        Self { seats, elsewhere: HashMap::new(), is_finishing: false, delayed, unknown }
    }
}

impl Router {
    /// Asks for the seat of a name, for a connection that wants to serve it. False: a node alone, or the seat is here.
    pub(super) fn asks_for_seat(
        &mut self,
        name: &Domain,
        component: &Mailbox<Component>,
        address: &Host,
    ) -> bool {
        let Some(seating) = &self.seats else { return false };
        let Some(registration) = self.components.get_mut(name) else { return false };
        if registration.has_seat() {
            return false;
        }
        let now = clock::now();
        let claims = &seating.seats.claims;
        let decided = match &mut registration.claimant {
            Some(Claimant { component: known, stage: Stage::Contesting { until, .. }, .. })
                if known.is(component) && *until <= now =>
            {
                registration.claimant = None;
                registration.count_conflict(address.clone());
                BindDecided::Refused
            }
            Some(claimant) if !claimant.is_late(now) => {
                if let Some(contest) = claimant.contest_again(name, now) {
                    // If the actor of the cluster is gone, the process ends.
                    let _ = claims.contest.signal(contest);
                }
                BindDecided::Pending
            }
            Some(_) | None => {
                // Without a relay it is not certain that the component is there still. If the actor of the cluster is gone, the
                // process ends.
                let seat = seating.elsewhere.get(name).filter(|_| registration.is_connected());
                let stage = match seat {
                    Some(ferry) => {
                        let node = ferry.node.clone();
                        let _ = claims.contest.signal(Contest { name: name.clone(), node: node.clone() });
                        Stage::contesting(node, now)
                    }
                    None => {
                        let _ = claims.seat.signal(Seat { name: name.clone() });
                        Stage::Asking
                    }
                };
                let is_asking = stage == Stage::Asking;
                registration.claimant = Some(Claimant {
                    component: component.clone(),
                    address: address.clone(),
                    stage,
                    delayed: None,
                });
                if is_asking {
                    // The answer of the cluster decides.
                    return true;
                }
                BindDecided::Pending
            }
        };
        // If the connection has ended, another one asks.
        let _ = component.signal(decided);
        true
    }

    /// No connection here serves the name any more.
    pub(super) fn unseat(&self, name: &Domain) {
        if let Some(seating) = &self.seats {
            let _ = seating.seats.claims.unseat.signal(Unseat { name: name.clone() });
        }
    }

    /// The cluster has decided for this node, or nobody can decide.
    fn seated(&mut self, name: &Domain) {
        let Some(registration) = self.registration(name) else { return self.unseat(name) };
        match registration.claimant.take() {
            Some(claimant) => self.bind(name, &claimant.component, claimant.address),
            None if registration.has_seat() => {}
            None => self.unseat(name),
        }
    }

    /// The connection here gives way to one at another node.
    fn give_way(&mut self, name: &Domain, connection: Carrier, reason: &str) {
        log::warn!(target: component::LOG, name:% = name, reason = reason; "the component's connection gives way");
        let _ = connection.signal(component::GiveWay);
        if self
            .registration(name)
            .is_some_and(|it| it.gone(&connection, EndCause::Replaced, reason.to_owned(), false))
        {
            self.expect_return(name, connection);
        }
    }

    /// Whether a component is connected to another node.
    pub(super) fn is_elsewhere(&self, name: &Domain) -> bool {
        self.components.get(name).and_then(|it| it.component()).is_some_and(|it| it.node().is_some())
    }

    /// The relay to the other node ends, and what it had returns. What the cluster says about the component is not changed by
    /// that: if the component is still there, another relay follows in a moment.
    fn end_relay(&mut self, name: &Domain) {
        let relay = self.components.get(name).and_then(|it| it.component()).filter(|it| it.node().is_some());
        if let Some(relay) = relay.cloned() {
            let _ = relay.signal(component::GiveWay);
            let reason = "it has left the other node".to_owned();
            self.component_gone(name, relay, EndCause::Lost, reason, false);
        }
    }

    /// Relays to a component that is connected to another node, unless a connection or a relay serves the name.
    fn relay_to_seat(&mut self, name: &Domain) {
        if let Some(relay) = self.start_relay(name) {
            log::info!(
                target: component::RELAY_LOG, name:% = name, node = relay.node().map(NodeName::as_str);
                "component connected to another node: relaying"
            );
            let _ = relay.signal(component::Pull);
        }
    }

    /// Starts a relay, which gets stanzas when it asks for them.
    fn start_relay(&mut self, name: &Domain) -> Option<Carrier> {
        let seating = self.seats.as_ref().filter(|seating| !seating.is_finishing)?;
        let ferry = seating.elsewhere.get(name).cloned()?;
        let registration = self.components.get_mut(name).filter(|it| !it.is_connected())?;
        let (own_name, owners, node) = (name.clone(), seating.seats.owners.clone(), ferry.node.clone());
        let relay = seating.seats.workers.start_actor(&seating.seats.relays, &name.to_string(), move |own| {
            SeatRelay::new(own_name, ferry, owners, own)
        });
        let component = Carrier::There(relay, node);
        let away = registration.away();
        registration.relay(component.clone());
        // The mailroom gets its message before the relay, which then asks it for stanzas.
        let take_over =
            mailroom::TakeOver { name: name.clone(), component: component.clone(), is_told: false, away };
        let _ = self.mailroom.signal(take_over);
        Some(component)
    }

    /// A relay has ended by itself. If the component is connected to another node still, as far as this one knows, another relay
    /// follows at once, and asks for stanzas after a pause.
    pub(super) fn relay_again(&mut self, name: &Domain, context: &mut Context<Self>) {
        let Some(relay) = self.start_relay(name) else { return };
        let Some(registration) = self.components.get_mut(name) else { return };
        let pause = registration.relay_pauses.next(clock::now());
        context.run_later(pause, move |_, _| {
            // It may have ended.
            let _ = relay.signal(component::Pull);
        });
    }

    /// Starts relays for components that a reload has added and that are connected to other nodes.
    pub(super) fn relay_to_known_seats(&mut self) {
        let Some(seating) = &self.seats else { return };
        let names: Vec<Domain> = seating.elsewhere.keys().cloned().collect();
        names.iter().for_each(|name| self.relay_to_seat(name));
    }

    /// A connection has ended. If the component is connected to another node, there is a relay in a moment.
    pub(super) fn relay_again_later(&self, name: Domain, context: &mut Context<Self>) {
        context.run_later(RELAY_AGAIN, move |router, _| router.relay_to_seat(&name));
    }
}

impl Handler<Queued<Seated>> for Router {
    type Result = ();

    fn handle(&mut self, seated: Queued<Seated>, _: &mut Context<Self>) {
        let Seated { name } = seated.into_message();
        if let Some(seating) = &mut self.seats {
            seating.elsewhere.remove(&name);
        }
        self.end_relay(&name);
        self.seated(&name);
    }
}

impl Handler<Queued<SeatUnknown>> for Router {
    type Result = ();

    /// A federation that stops because its broker is restarted would be worse than a component that is connected twice.
    fn handle(&mut self, unknown: Queued<SeatUnknown>, _: &mut Context<Self>) {
        let SeatUnknown { name } = unknown.into_message();
        if self.components.get(&name).is_some_and(|registration| registration.claimant.is_some()) {
            if self.seats.as_ref().is_some_and(|seating| seating.unknown.count_line()) {
                log::warn!(
                    target: component::LOG, name:% = name;
                    "the cluster cannot say whether the component is connected to another node: it may connect here"
                );
            }
            self.end_relay(&name);
        }
        self.seated(&name);
    }
}

impl Handler<Queued<SeatDelayed>> for Router {
    type Result = ();

    fn handle(&mut self, delayed: Queued<SeatDelayed>, _: &mut Context<Self>) {
        let SeatDelayed { name, why, within } = delayed.into_message();
        let Some(seating) = &self.seats else { return };
        let claimant = self.components.get_mut(&name).and_then(|it| it.claimant.as_mut());
        let Some(claimant) = claimant else { return };
        claimant.delayed = Some(Time::now());
        if seating.delayed.count_line() {
            log::warn!(
                target: component::LOG, name:% = name, address:% = claimant.address, reason:% = why,
                within:% = format_args!("{}s", within.as_secs_f64().ceil());
                "the component waits for the cluster, which is asked whether it is connected to another node"
            );
        }
    }
}

impl Handler<Queued<SeatTaken>> for Router {
    type Result = ();

    fn handle(&mut self, taken: Queued<SeatTaken>, _: &mut Context<Self>) {
        let SeatTaken { name, node } = taken.into_message();
        let Some(seating) = &self.seats else { return };
        let Some(registration) = self.components.get_mut(&name) else { return };
        if let Some(claimant) = &mut registration.claimant {
            let _ = seating.seats.claims.contest.signal(Contest { name, node: node.clone() });
            (claimant.stage, claimant.delayed) = (Stage::contesting(node, clock::now()), None);
            // It asks again in a moment.
            let _ = claimant.component.signal(BindDecided::Pending);
        } else if let Some(connection) = registration.component().filter(|it| it.here().is_some()).cloned() {
            let reason = format!("the component is connected to {node}, another node of this cluster");
            self.give_way(&name, connection, &reason);
            self.relay_to_seat(&name);
        }
    }
}

impl Handler<Queued<SeatAt>> for Router {
    type Result = ();

    fn handle(&mut self, seat: Queued<SeatAt>, _: &mut Context<Self>) {
        let SeatAt { name, seat } = seat.into_message();
        // A relay over an earlier way, or to another node.
        self.end_relay(&name);
        if let Some(registration) = self.components.get_mut(&name) {
            registration.relay_pauses.forget();
        }
        let Some(seating) = &mut self.seats else { return };
        if let Some(ferry) = seat {
            seating.elsewhere.insert(name.clone(), ferry);
            // A connection here that has lost its seat learns that from `SeatTaken`.
            return self.relay_to_seat(&name);
        }
        seating.elsewhere.remove(&name);
        let Some(registration) = self.components.get_mut(&name) else { return };
        if let Some(claimant) = &mut registration.claimant
            && let Stage::Contesting { .. } = claimant.stage
        {
            claimant.stage = Stage::Asking;
            let _ = seating.seats.claims.seat.signal(Seat { name });
        }
    }
}

impl Handler<Queued<Contested>> for Router {
    type Result = ();

    fn handle(&mut self, contested: Queued<Contested>, _: &mut Context<Self>) {
        let Contested { name } = contested.into_message();
        let Some(registration) = self.registration(&name).filter(|it| it.has_seat()) else {
            return self.unseat(&name);
        };
        if let Some(connection) = registration.contest() {
            self.give_way(&name, connection, "replaced by a connection of the component to another node");
            self.unseat(&name);
        }
    }
}

impl Handler<Queued<FinishSeats>> for Router {
    type Result = ();

    fn handle(&mut self, finish: Queued<FinishSeats>, _: &mut Context<Self>) {
        let FinishSeats { within, token } = finish.into_message();
        if let Some(seating) = &mut self.seats {
            seating.is_finishing = true;
        }
        for registration in self.components.values() {
            if let Some(Carrier::There(relay, _)) = registration.component() {
                let _ = relay.signal(component::Finish { within, token: token.clone() });
            }
        }
    }
}

/// How soon a relay follows a connection that has ended.
const RELAY_AGAIN: Duration = Duration::from_secs(1);
