//! The seats of components: which of them the router wants for this node.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use ::cluster::{
    arbiter::Arbiter,
    ferry::{Body, Frame, Header, codec},
    name::NodeName,
};
use actix::{Context, Handler};
use xmpp::Domain;

use super::{Cluster, tell};
use crate::{
    flow::claims::{Contest, Contested, Delay, Seat, SeatDelayed, SeatUnknown, Unseat},
    relaying::LOG,
};
use mailbox::Queued;

/// The seats that the router wants.
#[derive(Default)]
pub(super) struct Seats(HashMap<Domain, Wanted>);

enum Wanted {
    /// The arbiter was asked, and the router waits.
    Asked {
        since: Instant,
        /// The router knows that the answer takes a while.
        is_told: bool,
    },
    /// The arbiter was asked again, for a component that is connected.
    AskedAgain,
    /// The arbiter has granted it.
    Granted,
    /// Nobody could say who has it. It is asked for again then.
    Again(Instant),
}

impl Seats {
    /// The router wants it. It repeats that while it contests the seat.
    fn asked(&mut self, name: &Domain, now: Instant) {
        match self.0.get(name) {
            Some(Wanted::Asked { .. }) => {}
            Some(Wanted::AskedAgain | Wanted::Again(_) | Wanted::Granted) | None => {
                self.0.insert(name.clone(), Wanted::Asked { since: now, is_told: false });
            }
        }
    }

    pub(super) fn granted(&mut self, name: &Domain) {
        if let Some(wanted) = self.0.get_mut(name) {
            *wanted = Wanted::Granted;
        }
    }

    /// Another node has the seat: the router asks again if it wants to.
    pub(super) fn lost(&mut self, name: &Domain) {
        self.0.remove(name);
    }

    /// Asks again for what nobody could say.
    pub(super) fn retry(&mut self, arbiter: &mut Arbiter, now: Instant) {
        for (name, wanted) in &mut self.0 {
            if matches!(wanted, Wanted::Again(at) if *at <= now) {
                *wanted = Wanted::AskedAgain;
                arbiter.seat(name, now);
            }
        }
    }

    /// When something is asked for again, or is found to take a while.
    pub(super) fn next_look(&self) -> Option<Instant> {
        let times = self.0.values().filter_map(|wanted| match wanted {
            Wanted::Again(at) => Some(*at),
            Wanted::Asked { since, is_told: false } => Some(*since + MOMENT),
            Wanted::Asked { is_told: true, .. } | Wanted::AskedAgain | Wanted::Granted => None,
        });
        times.min()
    }

    /// Those that were asked for a moment ago and have no answer, each once. With the times at which they were asked for.
    fn delayed(&mut self, now: Instant) -> Vec<(Domain, Instant)> {
        let mut delayed = Vec::new();
        for (name, wanted) in &mut self.0 {
            if let Wanted::Asked { since, is_told } = wanted
                && !*is_told
                && *since + MOMENT <= now
            {
                *is_told = true;
                delayed.push((name.clone(), *since));
            }
        }
        delayed
    }
}

impl Cluster {
    pub(super) fn seat_unknown(&mut self, name: Domain, why: &str, now: Instant) {
        let Some(wanted) = self.seats.0.get_mut(&name) else { return };
        *wanted = Wanted::Again(now + ASK_AGAIN);
        log::debug!(target: LOG, name:% = name, reason = why; "seat unknown");
        tell(&self.receivers.seat_unknown, SeatUnknown { name });
    }

    /// Tells the router which components wait, and why.
    pub(super) fn tell_delays(&mut self, now: Instant) {
        let delayed = self.seats.delayed(now);
        if delayed.is_empty() {
            return;
        }
        let why = match self.arbiter.report(now) {
            report if !report.up => Delay::NoEngine,
            report if report.namesake.is_some() => Delay::NameInUse,
            report if report.lease.is_none() => Delay::NoLease,
            report if report.refills => Delay::Refill,
            _ => Delay::NoAnswer,
        };
        for (name, since) in delayed {
            let within = (since + self.arbiter.answers_within()).saturating_duration_since(now);
            tell(&self.receivers.seat_delayed, SeatDelayed { name, why, within });
        }
    }

    /// Tells another node that its seat is wanted here. `None`: it cannot be told. A frame may be lost: the router tells it
    /// again.
    fn contest(&self, name: &Domain, node: &NodeName) -> Option<()> {
        if !self.peers.is_up() {
            return None;
        }
        let (from, to) = (self.peers.own(), self.peers.incarnation(node)?);
        let header = Header { from, incarnation: self.arbiter.incarnation(), to, session: 0 };
        let frame = codec::encode(&Frame { header, body: Body::Contest(name.clone()) });
        // If the queue of the client is full, the frame is lost too.
        let _ = self.engine.publish(node, frame);
        Some(())
    }

    /// A component at another node wants a seat of this node. What was meant for an earlier run, or comes from one, is old.
    pub(super) fn contested(&self, header: &Header, name: Domain) {
        let known = self.peers.incarnation(&header.from);
        if header.to != self.arbiter.incarnation() || known.is_some_and(|run| run != header.incarnation) {
            return;
        }
        tell(&self.receivers.contested, Contested { name });
    }
}

impl Handler<Queued<Seat>> for Cluster {
    type Result = ();

    fn handle(&mut self, seat: Queued<Seat>, context: &mut Context<Self>) {
        let (Seat { name }, now) = (seat.into_message(), clock::with_suspension());
        self.seats.asked(&name, now);
        self.arbiter.seat(&name, now);
        self.act(now, context);
    }
}

impl Handler<Queued<Unseat>> for Cluster {
    type Result = ();

    fn handle(&mut self, unseat: Queued<Unseat>, context: &mut Context<Self>) {
        let (Unseat { name }, now) = (unseat.into_message(), clock::with_suspension());
        if self.seats.0.remove(&name).is_some() {
            self.arbiter.unseat(&name, now);
            self.act(now, context);
        }
    }
}

impl Handler<Queued<Contest>> for Cluster {
    type Result = ();

    fn handle(&mut self, contest: Queued<Contest>, context: &mut Context<Self>) {
        let (Contest { name, node }, now) = (contest.into_message(), clock::with_suspension());
        if self.contest(&name, &node).is_none() {
            // That node is gone, or the broker does not answer: the arbiter finds out, or gives up in time.
            self.seats.asked(&name, now);
            self.arbiter.seat(&name, now);
            self.act(now, context);
        }
    }
}

/// A broker that is well answers much sooner.
const MOMENT: Duration = Duration::from_secs(1);

/// When a seat is asked for again of which nobody could say who has it: a beat.
const ASK_AGAIN: Duration = Duration::from_secs(3);
