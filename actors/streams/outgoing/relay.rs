//! The relay of one domain pair: another node of the cluster has the link, and gets the stanzas over the ferry.
//!
//! It accepts what a session accepts, and reports what a session reports, so router and promise treat it as one. It is
//! open as soon as the promise knows the other node. It ends when no stanza has come for a while, when the way to the other
//! node ends, when a reload forbids the pair, or at the stop of the node. What the other node has not settled by then goes
//! back to the promise, in order.

mod handback;
mod shutdown;

use std::{sync::Arc, time::Instant};

use actix::{Actor, AsyncContext, Context, Handler};
use xmpp::{
    DomainPair,
    stanza::{self, Condition, ErrorType},
};

use super::{
    Adopt, Congested, Forbid, Open, Owners, Pull, Relay, Requested, Send, SendFirst, SendPortion,
    ending::Handback,
};
use crate::{
    flow::{
        account::Outcome,
        batch::Batch,
        ferry::{Event, Ferry},
        journal::Waits,
        route::bounce,
    },
    streams::relay::{Custody, FerryGone, IDLE, LOOK},
};
use mailbox::{Mailbox, Queued, drain};

/// How far the relay is, and its timers.
pub(super) struct State {
    since: Instant,
    /// `None`: it takes stanzas.
    end: Option<End>,
    /// Dropped when nothing is unsettled.
    flushing: Vec<drain::Token>,
    /// Dropped when what is left was given back.
    finishing: Vec<drain::Token>,
    /// The node stops, and nothing can be answered any more.
    is_finishing: bool,
    is_looking: bool,
    /// A timer runs after which old stanzas are given to the journal.
    is_unwritten_watched: bool,
}

/// The relay takes no more stanzas.
struct End {
    handback: Handback,
    /// The way to the other node has ended.
    is_cut: bool,
    /// May have arrived at the other node.
    doubtful: Vec<Batch>,
    /// Has not arrived there.
    unwritten: Vec<Batch>,
}

impl Relay {
    /// A relay over this ferry.
    pub(crate) fn new(pair: DomainPair, ferry: Ferry, owners: Arc<Owners>, own: Mailbox<Self>) -> Self {
        let custody = Custody::new(ferry, own.outlet());
        let state = State {
            since: clock::now(),
            end: None,
            flushing: Vec::new(),
            finishing: Vec::new(),
            is_finishing: false,
            is_looking: false,
            is_unwritten_watched: false,
        };
        Self { pair, own, owners, custody, state }
    }

    /// Something was carried, or was to be.
    fn carried(&mut self, result: Result<(), FerryGone>, context: &mut Context<Self>) {
        if let Err(FerryGone) = result {
            let last = self.custody.last_but_one();
            return self.way_ended("the ferry to it has ended", &[last], context);
        }
        self.look_after(context);
    }

    /// Answers stanzas that came from the node to which they would go: the nodes do not agree which of them has the link.
    /// Gives the others.
    fn without_returning(&mut self, batches: Vec<Batch>, context: &mut Context<Self>) -> Vec<Batch> {
        let node = &self.custody.ferry().node;
        let (circling, others): (Vec<_>, Vec<_>) =
            batches.into_iter().partition(|batch| batch.receipt.node() == Some(node));
        if circling.is_empty() {
            return others;
        }
        log::warn!(
            target: LOG, pair:% = self.pair, node:% = node,
            stanzas = circling.iter().map(|batch| batch.stanzas.len()).sum::<usize>();
            "answered: the node that has the link sends the stanzas of the pair here"
        );
        let text = format!(
            "the nodes of this cluster disagree which of them is connected to {}; try again later",
            self.pair.remote
        );
        let error = stanza::Error { type_: ErrorType::Wait, condition: Condition::RemoteServerTimeout, text };
        for batch in circling {
            bounce(&self.owners.bounces, batch, &error, Outcome::Answered);
        }
        self.take_no_more("the claim of the other node is out of date", context);
        others
    }

    fn report_congestion(&mut self) {
        if self.state.is_finishing || !self.custody.is_congested() {
            return;
        }
        log::debug!(
            target: LOG, pair:% = self.pair, node:% = self.custody.ferry().node;
            "congested: the other node settles stanzas more slowly than they arrive"
        );
        // A router that is gone ends the process.
        let congested = Congested { pair: self.pair.clone(), session: self.carrier() };
        let _ = self.owners.congested.signal(congested);
    }

    fn request(&mut self) {
        if let Some(room) = self.custody.request() {
            // A promise that is gone ends the process.
            let requested = Requested { pair: self.pair.clone(), session: self.carrier(), room };
            let _ = self.owners.requested.signal(requested);
        }
    }

    /// This relay, for messages.
    fn carrier(&self) -> super::Carrier {
        super::Carrier::There(self.own.clone(), self.custody.ferry().node.clone())
    }

    /// Looks at what is unsettled each second, and gives it to the journal after a while.
    fn look_after(&mut self, context: &mut Context<Self>) {
        if self.custody.is_settled() {
            return;
        }
        if !std::mem::replace(&mut self.state.is_looking, true) {
            context.run_later(LOOK, |relay, context| {
                relay.state.is_looking = false;
                relay.custody.look();
                relay.look_after(context);
            });
        }
        if let Some(keeping) = &self.owners.journal
            && !std::mem::replace(&mut self.state.is_unwritten_watched, true)
        {
            context.run_later(keeping.after, Self::write_old);
        }
    }

    fn write_old(&mut self, context: &mut Context<Self>) {
        self.state.is_unwritten_watched = false;
        let Some(keeping) = &self.owners.journal else { return };
        let next = keeping.write_old(Waits::ForLink, |until, group| self.custody.write_old(until, group));
        if let Some(next) = next {
            self.state.is_unwritten_watched = true;
            let wait = next.saturating_duration_since(clock::now());
            context.run_later(wait, Self::write_old);
        }
    }

    /// Ends a relay that is not used: the next stanza asks again which node has the link.
    fn look_at_idleness(&mut self, context: &mut Context<Self>) {
        let idle = clock::since(self.custody.last_stanza);
        if idle >= IDLE && self.custody.is_settled() {
            self.take_no_more("idle", context);
        } else {
            context.run_later(IDLE.saturating_sub(idle).max(IDLE / 6), Self::look_at_idleness);
        }
    }
}

impl Actor for Relay {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        log::info!(
            target: LOG, pair:% = self.pair, node:% = self.custody.ferry().node;
            "link held by another node: relaying"
        );
        context.run_later(IDLE, Self::look_at_idleness);
    }
}

impl Handler<Queued<SendFirst>> for Relay {
    type Result = ();

    fn handle(&mut self, send: Queued<SendFirst>, context: &mut Context<Self>) {
        let SendFirst { batch } = send.into_message();
        let batches = self.without_returning(vec![batch], context);
        let result = self.custody.take(batches);
        self.carried(result, context);
    }
}

impl Handler<Queued<SendPortion>> for Relay {
    type Result = ();

    fn handle(&mut self, portion: Queued<SendPortion>, context: &mut Context<Self>) {
        let SendPortion { batches } = portion.into_message();
        let batches = self.without_returning(batches, context);
        let result = self.custody.take(batches);
        self.carried(result, context);
        self.request();
    }
}

impl Handler<Queued<Send>> for Relay {
    type Result = ();

    fn handle(&mut self, send: Queued<Send>, context: &mut Context<Self>) {
        let Send { batch } = send.into_message();
        for batch in self.without_returning(vec![batch], context) {
            let result = self.custody.send(batch);
            self.carried(result, context);
        }
        self.report_congestion();
    }
}

impl Handler<Queued<Pull>> for Relay {
    type Result = ();

    fn handle(&mut self, pull: Queued<Pull>, context: &mut Context<Self>) {
        pull.into_message();
        if self.state.end.as_ref().is_some_and(|end| end.handback != Handback::Unreported) {
            // The router learns of the end, and has the relay retire.
            return;
        }
        self.custody.pull();
        self.report_end(context);
        self.request();
    }
}

impl Handler<Queued<Open>> for Relay {
    type Result = ();

    fn handle(&mut self, open: Queued<Open>, context: &mut Context<Self>) {
        open.into_message();
        let result = self.custody.open();
        self.carried(result, context);
        self.report_congestion();
        if let Some(end) = self.state.end.as_mut().filter(|end| end.handback == Handback::Stopped) {
            // The promise had handed over all before it learned of the end. Now the router has to know.
            end.handback = Handback::Unreported;
        }
        self.report_end(context);
    }
}

impl Handler<Queued<Event>> for Relay {
    type Result = ();

    fn handle(&mut self, event: Queued<Event>, context: &mut Context<Self>) {
        match event.into_message() {
            Event::Settled { numbers } => {
                self.custody.settle(&numbers);
                if self.custody.is_settled() {
                    self.state.flushing.clear();
                }
                self.request();
                self.give_back(context);
            }
            Event::GivenBack { number, stanzas } => {
                self.custody.give_back(number, &stanzas);
                self.came_back(context);
            }
            Event::TooLong { number, longest } => {
                self.custody.answer_too_long(number, longest, &self.owners.bounces);
            }
            Event::Allowed { bytes } => {
                self.custody.set_budget(bytes);
                self.report_congestion();
                self.request();
            }
            Event::Ended { reason, in_doubt } => self.way_ended(&reason, &in_doubt, context),
        }
    }
}

impl Handler<Queued<Adopt>> for Relay {
    type Result = ();

    fn handle(&mut self, adopt: Queued<Adopt>, context: &mut Context<Self>) {
        let adopt = adopt.into_message();
        let rules = adopt.policies.rules();
        if !rules.permits(&self.pair.remote) {
            self.take_no_more("the new configuration forbids it", context);
        } else if rules.hosted(&self.pair.local).is_none() {
            self.take_no_more("the local domain is no longer served here", context);
        }
    }
}

impl Handler<Queued<Forbid>> for Relay {
    type Result = ();

    fn handle(&mut self, forbid: Queued<Forbid>, context: &mut Context<Self>) {
        forbid.into_message();
        self.take_no_more("the new configuration forbids it", context);
    }
}

const LOG: &str = "nuncio::relay";
