//! The way of stanzas to a session: from the router, or in portions from the promise.
//!
//! A session whose outbox is full, or whose peer reads little of it in a second, reports it to the router. From then on
//! the stanzas of the pair wait in the promise, and the session asks it for a portion whenever its outbox has drained.
//! No source is paused for a slow peer.

use std::time::Duration;

use actix::{Context, Handler};

use super::{
    Asks, Congested, GivenBack, LOG, Open, Outgoing, Phase, Pull, Requested, Send, SendFirst, SendPortion,
    State, Supply, ending::Handback,
};
use crate::flow::outbox::{BUDGET, STALLED_BUDGET};
use mailbox::Queued;

impl Outgoing {
    /// Reports a full outbox to the router. One that has room is looked at later, if it holds much.
    fn report_congestion(&mut self, context: &mut Context<Self>) {
        let State::Open(session) = &self.state else { return };
        if session.connection.outbox.has_room() {
            return self.watch_stall(context);
        }
        self.congested();
    }

    /// Has the stanzas of the pair wait in the promise.
    fn congested(&mut self) {
        if self.shutdown.phase != Phase::Running || !matches!(self.supply, Supply::Router) {
            return;
        }
        log::debug!(target: LOG, pair:% = self.pair; "congested: the peer reads more slowly than stanzas arrive");
        self.supply = Supply::Congested { permits: Vec::new() };
        // A router that is gone ends the process.
        let _ = self
            .owners
            .congested
            .signal(Congested { pair: self.pair.clone(), session: self.own.clone().into() });
    }

    /// Asks the promise for a portion if the outbox has drained.
    pub(super) fn request(&mut self) {
        let State::Open(session) = &self.state else { return };
        let Supply::Promise { asks: asks @ Asks::WhenDrained(_), .. } = &mut self.supply else { return };
        if let Some(room) = session.connection.outbox.room_if_drained() {
            *asks = Asks::Asked;
            let (pair, session) = (self.pair.clone(), self.own.clone().into());
            // A promise that is gone ends the process.
            let _ = self.owners.requested.signal(Requested { pair, session, room });
        }
    }

    /// The router has sent its last stanza, and the promise has the next ones.
    fn pull(&mut self, context: &mut Context<Self>) {
        if self.state.ending_mut().is_some_and(|ending| ending.handback != Handback::Unreported) {
            // The router learns of the end, and has the session retire.
            return;
        }
        let held = match std::mem::replace(&mut self.supply, Supply::Router) {
            Supply::Promise { held, .. } => held,
            Supply::Router | Supply::Congested { .. } => Vec::new(),
        };
        self.supply = Supply::Promise { held, asks: Asks::WhenDrained(clock::now()) };
        self.report_end(context);
        self.request();
        self.watch_stall(context);
    }

    /// Looks whether the peer reads at all, as long as the promise sends portions, or the outbox holds much.
    fn watch_stall(&mut self, context: &mut Context<Self>) {
        let State::Open(session) = &self.state else { return };
        let is_due = match self.supply {
            Supply::Promise { asks, .. } => asks != Asks::Never,
            Supply::Router => session.connection.outbox.has_surplus(),
            Supply::Congested { .. } => false,
        };
        if is_due {
            self.stall_timer.set(Some(clock::now() + STALLED), context, Self::look_at_stall);
        }
    }

    /// Reports a peer that reads little of an outbox that has room.
    fn look_at_pace(&mut self) {
        let State::Open(session) = &mut self.state else { return };
        let outbox = &mut session.connection.outbox;
        let before = std::mem::replace(&mut self.written_before, outbox.bytes_written());
        let read = outbox.bytes_written().saturating_sub(before);
        if matches!(self.supply, Supply::Router) && outbox.has_surplus() && read < SLOW {
            outbox.set_budget(STALLED_BUDGET);
            self.congested();
        }
    }

    /// Gives back to the promise what a peer that reads nothing leaves in the outbox.
    fn look_at_stall(&mut self, context: &mut Context<Self>) {
        self.look_at_pace();
        if let State::Open(session) = &mut self.state
            && let Supply::Promise { asks: Asks::WhenDrained(since), .. } = self.supply
            && clock::since(since) >= STALLED
            && self.shutdown.phase == Phase::Running
        {
            let outbox = &mut session.connection.outbox;
            outbox.set_budget(STALLED_BUDGET);
            let batches = outbox.take_surplus(STALLED_BUDGET);
            if !batches.is_empty() {
                let (pair, session) = (self.pair.clone(), self.own.clone().into());
                // A promise that is gone ends the process.
                let _ = self.owners.given_back.signal(GivenBack { pair, session, batches });
            }
            self.request();
        }
        self.watch_stall(context);
    }
}

impl Handler<Queued<SendFirst>> for Outgoing {
    type Result = ();

    fn handle(&mut self, send: Queued<SendFirst>, context: &mut Context<Self>) {
        let SendFirst { batch } = send.into_message();
        self.write_first(batch, context);
    }
}

impl Handler<Queued<SendPortion>> for Outgoing {
    type Result = ();

    fn handle(&mut self, portion: Queued<SendPortion>, context: &mut Context<Self>) {
        let SendPortion { batches } = portion.into_message();
        if let Supply::Promise { asks, .. } = &mut self.supply {
            *asks = Asks::WhenDrained(clock::now());
        }
        for batch in batches {
            self.write_first(batch, context);
        }
        self.request();
    }
}

impl Handler<Queued<Pull>> for Outgoing {
    type Result = ();

    fn handle(&mut self, pull: Queued<Pull>, context: &mut Context<Self>) {
        pull.into_message();
        self.pull(context);
    }
}

impl Handler<Queued<Open>> for Outgoing {
    type Result = ();

    fn handle(&mut self, open: Queued<Open>, context: &mut Context<Self>) {
        open.into_message();
        if let State::Open(session) = &mut self.state {
            session.connection.outbox.set_budget(BUDGET);
        }
        if let Supply::Promise { held, .. } = std::mem::replace(&mut self.supply, Supply::Router) {
            for batch in held {
                self.write(batch, context);
            }
            self.report_congestion(context);
        }
        if let Some(ending) = self.state.ending_mut().filter(|ending| ending.handback == Handback::Stopped) {
            // The promise had handed over all before it learned of the end. Now the router has to know.
            ending.handback = Handback::Unreported;
        }
        self.report_end(context);
    }
}

impl Handler<Queued<Send>> for Outgoing {
    type Result = ();

    fn handle(&mut self, send: Queued<Send>, context: &mut Context<Self>) {
        let Send { batch } = send.into_message();
        match &mut self.supply {
            Supply::Promise { held, .. } => return held.push(batch),
            Supply::Router => {}
            Supply::Congested { permits } => permits.push(batch.permit.clone()),
        }
        self.write(batch, context);
        self.report_congestion(context);
    }
}

/// How long the outbox of a slow session may be as full as it is before its stanzas go back to the promise. TCP opens the
/// window of a peer that reads steadily in large steps.
const STALLED: Duration = Duration::from_secs(1);

/// A peer that reads fewer bytes in [`STALLED`] gets a small outbox: it takes more than that to drain half of a whole one.
const SLOW: u64 = BUDGET as u64 / 2;
