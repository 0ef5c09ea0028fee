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
    flow::claims::{Contest, Contested, Seat, SeatUnknown, Unseat},
    relaying::LOG,
};
use mailbox::Queued;

/// The seats that the router wants.
#[derive(Default)]
pub(super) struct Seats(HashMap<Domain, Wanted>);

enum Wanted {
    /// The arbiter was asked, or has granted it.
    Asked,
    /// Nobody could say who has it. It is asked for again then.
    Again(Instant),
}

impl Seats {
    pub(super) fn granted(&mut self, name: &Domain) {
        if let Some(wanted) = self.0.get_mut(name) {
            *wanted = Wanted::Asked;
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
                *wanted = Wanted::Asked;
                arbiter.seat(name, now);
            }
        }
    }

    pub(super) fn next_retry(&self) -> Option<Instant> {
        let times = self.0.values().filter_map(|wanted| match wanted {
            Wanted::Again(at) => Some(*at),
            Wanted::Asked => None,
        });
        times.min()
    }
}

impl Cluster {
    pub(super) fn seat_unknown(&mut self, name: Domain, why: &str, now: Instant) {
        let Some(wanted) = self.seats.0.get_mut(&name) else { return };
        *wanted = Wanted::Again(now + ASK_AGAIN);
        log::debug!(target: LOG, name:% = name, reason = why; "seat unknown");
        tell(&self.receivers.seat_unknown, SeatUnknown { name });
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
        self.seats.0.insert(name.clone(), Wanted::Asked);
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
            self.seats.0.insert(name.clone(), Wanted::Asked);
            self.arbiter.seat(&name, now);
            self.act(now, context);
        }
    }
}

/// When a seat is asked for again of which nobody could say who has it: a beat.
const ASK_AGAIN: Duration = Duration::from_secs(3);
