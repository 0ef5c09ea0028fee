//! The ferry: an actor for each other node, which brings parcels of stanzas there and takes parcels from there.
//!
//! The machines of the crate `cluster` number, repeat and settle. This actor connects them to relays, to the router and to the
//! message broker: it publishes their frames, gives parcels to the router with a receipt, and tells the relays what is settled.

mod messages;
mod owners;
mod pieces;
mod receiving;
mod sending;

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use ::cluster::{
    ferry::{Body, Frame},
    name::{Incarnation, NodeName},
};
use actix::{Actor, Context, Handler};
use bytes::Bytes;

pub(crate) use self::messages::{
    Arrived, Died, Down, FerryReport, Joined, LeaseHeld, LeaseLost, Show, StopReceiving, Up,
};
pub(crate) use self::sending::AROUND_A_STANZA;
use self::{receiving::Receiving, sending::Sending};
use super::SharedEngine;
use crate::flow::{
    account::Totals, fence::Lease, ferry::Carry, journal::ParcelChanged, outbox::Timer, route::Route,
};
use mailbox::{Mailbox, Outlet, Queued, drain, panic_guard::PanicGuard};

/// What ferries of all nodes have in common.
#[derive(Clone)]
pub(crate) struct Common {
    /// The name of this node.
    pub(crate) own: NodeName,
    /// The client of the broker.
    pub(crate) engine: SharedEngine,
    /// Takes the stanzas of other nodes.
    pub(crate) routes: Outlet<Route>,
    /// Counts the stanzas of other nodes.
    pub(crate) account: Arc<Totals>,
    /// Bytes that may be unsettled at another node.
    pub(crate) window: usize,
}

/// The run of this node.
#[derive(Clone)]
pub(super) struct Run {
    pub(super) incarnation: Incarnation,
    pub(super) lease: Arc<Lease>,
}

/// The actor.
pub(crate) struct Ferry {
    common: Common,
    /// The other node.
    node: NodeName,
    mailbox: Mailbox<Self>,
    /// `None` without a lease.
    run: Option<Run>,
    /// The broker is reachable.
    is_up: bool,
    sending: Sending,
    receiving: Receiving,
    /// Frames for which the client of the broker had no room.
    unsent: VecDeque<Bytes>,
    retry_at: Option<Instant>,
    /// Held until the session of the other node has ended: this node stops.
    stopping: Option<drain::Token>,
    timer: Timer,
    /// A [`Flush`] is on its way.
    is_flushing: bool,
    _guard: PanicGuard,
}

impl Ferry {
    /// A ferry to this node. The numbers of its sessions are above `last_session`.
    pub(crate) fn new(
        common: Common,
        node: NodeName,
        last_session: u64,
        mailbox: Mailbox<Self>,
        guard: PanicGuard,
    ) -> Self {
        let sending = Sending::new(common.own.clone(), node.clone(), common.window, last_session);
        let receiving = Receiving::new(&common, node.clone(), mailbox.outlet());
        Self {
            common,
            node,
            mailbox,
            run: None,
            is_up: false,
            sending,
            receiving,
            unsent: VecDeque::new(),
            retry_at: None,
            stopping: None,
            timer: Timer::default(),
            is_flushing: false,
            _guard: guard,
        }
    }

    fn arrived(&mut self, frame: Frame, now: Instant) {
        let Frame { header, body } = frame;
        match body {
            Body::Parcels(parcels) => {
                let answer = self.receiving.handle(&header, parcels, self.run.as_ref(), now);
                self.unsent.extend(answer);
            }
            Body::Control(control) if self.sending.is_of(&header) => self.sending.reported(&control, now),
            Body::Over(over) if self.sending.is_of(&header) => self.sending.is_over(&over, now),
            // From an earlier session.
            Body::Control(_) | Body::Over(_) => {}
            // The actor of the cluster takes it.
            Body::Contest(_) => {}
        }
    }

    /// Publishes the frames that are due, and sets the timer for the next ones.
    fn act(&mut self, now: Instant, context: &mut Context<Self>) {
        self.sending.tick(now);
        self.receiving.offer(now);
        self.unsent.extend(self.receiving.end_if_stopped(now));
        self.publish(now);
        if self.receiving.has_stopped() {
            self.stopping = None;
        }
        let ticks = if self.is_up && self.unsent.is_empty() {
            [self.sending.next_frame(), self.receiving.next_frame()]
        } else {
            [self.retry_at.filter(|_| self.is_up), None]
        };
        let others = [self.sending.next_tick(), self.receiving.next_offer(), self.receiving.next_stop()];
        let next = ticks.into_iter().chain(others).flatten().min();
        self.timer.set(next, context, |ferry, context| {
            ferry.act(clock::now(), context);
        });
    }

    fn publish(&mut self, now: Instant) {
        if !self.is_up {
            // They would be lost, and are made again.
            self.unsent.clear();
            return;
        }
        self.retry_at = None;
        loop {
            let frame = self.unsent.pop_front();
            let frame = frame.or_else(|| self.receiving.poll(now)).or_else(|| self.sending.poll(now));
            let Some(frame) = frame else { return };
            // The bytes are shared: a copy costs a reference count.
            if self.common.engine.publish(&self.node, frame.clone()).is_err() {
                self.unsent.push_front(frame);
                self.unsent.truncate(MOST_UNSENT);
                self.retry_at = Some(now + TRY_AGAIN);
                return;
            }
        }
    }
}

impl Actor for Ferry {
    type Context = Context<Self>;
}

/// Publish what is due: all that came before is handled, so that parcels share frames.
#[derive(Debug)]
struct Flush;

impl Handler<Queued<Flush>> for Ferry {
    type Result = ();

    fn handle(&mut self, flush: Queued<Flush>, context: &mut Context<Self>) {
        let Flush = flush.into_message();
        self.is_flushing = false;
        self.act(clock::now(), context);
    }
}

/// Handles a message, and has published what is due then.
macro_rules! handle {
    ($message:ty, |$ferry:ident, $taken:ident, $now:ident| $body:block) => {
        impl Handler<Queued<$message>> for Ferry {
            type Result = ();

            fn handle(&mut self, message: Queued<$message>, _: &mut Context<Self>) {
                let ($ferry, $taken, $now) = (&mut *self, message.into_message(), clock::now());
                $body
                if !std::mem::replace(&mut self.is_flushing, true) {
                    // This actor runs.
                    let _ = self.mailbox.signal_quietly(Flush);
                }
            }
        }
    };
}

handle!(Carry, |ferry, carry, now| {
    // Each connection to the broker may have another limit.
    let max_frame = ferry.common.engine.max_frame();
    ferry.sending.carry(carry, ferry.run.as_ref(), max_frame, now);
});

handle!(Arrived, |ferry, arrived, now| {
    ferry.arrived(*arrived.frame, now);
    drop(arrived.permit);
});

handle!(ParcelChanged, |ferry, changed, now| {
    let over = ferry.receiving.changed(changed, now);
    ferry.unsent.extend(over);
});

handle!(Joined, |ferry, joined, now| {
    ferry.sending.joined(joined.incarnation, now);
});

handle!(Died, |ferry, died, now| {
    ferry.sending.died(died.incarnation, now);
});

handle!(LeaseHeld, |ferry, held, _now| {
    ferry.run = Some(Run { incarnation: held.incarnation, lease: held.lease });
});

handle!(LeaseLost, |ferry, _lost, _now| {
    if let Some(run) = ferry.run.take() {
        let over = ferry.receiving.end();
        ferry.unsent.extend(over);
        ferry.receiving.remember(run.incarnation);
    }
});

handle!(Up, |ferry, _up, now| {
    ferry.is_up = true;
    ferry.sending.reconnected(ferry.common.engine.max_frame(), now);
});

handle!(Down, |ferry, _down, _now| {
    ferry.is_up = false;
});

handle!(StopReceiving, |ferry, stop, now| {
    ferry.receiving.stop(now + stop.within);
    ferry.stopping = Some(stop.token);
});

impl Handler<Queued<Show>> for Ferry {
    type Result = ();

    fn handle(&mut self, show: Queued<Show>, _: &mut Context<Self>) {
        let report = FerryReport {
            node: self.node.clone(),
            round_trip: self.sending.round_trip(),
            unsettled: self.sending.unsettled(),
            oldest: self.sending.oldest(clock::now()),
            resent: self.sending.resent(),
            relays: self.sending.relays(),
        };
        // The command may have ended.
        let _ = show.into_message().answer.try_send(report);
    }
}

impl std::fmt::Debug for Ferry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ferry")
            .field("node", &self.node)
            .field("mailbox", &self.mailbox)
            .finish_non_exhaustive()
    }
}

/// When frames are offered again to a client of the broker that had no room.
const TRY_AGAIN: Duration = Duration::from_millis(5);

/// Frames that wait for room: one of the machines, and answers to frames of sessions that are over. Such an answer is made
/// again when the frame comes again.
const MOST_UNSENT: usize = 16;
