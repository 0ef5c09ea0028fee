//! The relay of one component: the component is connected to another node of the cluster, which gets its stanzas over the
//! ferry.
//!
//! It accepts what a connection accepts, and reports what a connection reports, so router and mailroom treat it as one. It
//! ends when the component leaves the other node, when that node gives stanzas back, when the way to it ends, or at the stop of
//! the node. Before it returns anything it waits until the other node has settled or given back what it got, or does neither
//! any more: what comes later from here must not arrive earlier.

use actix::{Actor, ActorContext, AsyncContext, Context, Handler};
use xmpp::Domain;

use super::{
    Carrier, Congested, Expel, Finish, GiveWay, Gone, Open, Pull, RelayOwners, Requested, Retire, Returned,
    SeatRelay, Send, SendPortion,
};
use crate::{
    flow::{
        batch::Batch,
        ferry::{Event, Ferry},
        journal::Waits,
    },
    streams::relay::{Custody, FerryGone, LOOK, Remains, part_for_settlements},
};
use mailbox::{Mailbox, Queued, drain};
use status::report::EndCause;

/// How far the relay is, and its timers.
#[derive(Default)]
pub(super) struct State {
    /// The router knows of the end.
    is_released: bool,
    /// The mailroom has sent its last stanza.
    is_retired: bool,
    /// May have arrived at the other node.
    doubtful: Vec<Batch>,
    /// Has not arrived there.
    unwritten: Vec<Batch>,
    is_looking: bool,
    /// A timer runs after which old stanzas are given to the journal.
    is_unwritten_watched: bool,
    /// Dropped when what is left was given back.
    finishing: Vec<drain::Token>,
}

impl SeatRelay {
    /// A relay over this ferry.
    pub(crate) fn new(name: Domain, ferry: Ferry, owners: RelayOwners, own: Mailbox<Self>) -> Self {
        let custody = Custody::new(ferry, own.outlet());
        Self { name, own, owners, custody, state: State::default() }
    }

    /// This relay, for messages.
    fn carrier(&self) -> Carrier {
        Carrier::There(self.own.clone(), self.custody.ferry().node.clone())
    }

    /// Something was carried, or was to be.
    fn carried(&mut self, result: Result<(), FerryGone>, context: &mut Context<Self>) {
        if let Err(FerryGone) = result {
            let last = self.custody.last_but_one();
            return self.way_ended("the ferry to it has ended", &[last], context);
        }
        self.look_after(context);
    }

    fn report_congestion(&mut self) {
        if self.custody.is_congested() {
            log::debug!(
                target: LOG, name:% = self.name, node:% = self.custody.ferry().node;
                "congested: the other node settles stanzas more slowly than they arrive"
            );
            // A router that is gone ends the process.
            let congested = Congested { name: self.name.clone(), component: self.carrier() };
            let _ = self.owners.congested.signal(congested);
        }
    }

    fn request(&mut self) {
        if self.state.is_released || self.state.is_retired {
            return;
        }
        if let Some(room) = self.custody.request() {
            let requested = Requested { name: self.name.clone(), component: self.carrier(), room };
            // A mailroom that is gone ends the process.
            let _ = self.owners.requested.signal(requested);
        }
    }

    /// Takes no more stanzas, and has the router and the mailroom know it.
    fn take_no_more(&mut self, reason: &str, context: &mut Context<Self>) {
        self.custody.end();
        let is_known = std::mem::replace(&mut self.state.is_released, true);
        if !is_known && !self.state.is_retired {
            let (name, component, reason) = (self.name.clone(), self.carrier(), reason.to_owned());
            let cause = EndCause::Lost;
            if self.owners.gone.signal(Gone { name, component, cause, reason, is_read: false }).is_err() {
                context.stop();
            }
        }
        self.give_back(context);
    }

    /// The other node settles nothing more.
    fn way_ended(&mut self, reason: &str, in_doubt: &[u64], context: &mut Context<Self>) {
        let Remains { mut doubtful, unwritten } = self.custody.take_back(in_doubt);
        if !doubtful.is_empty() {
            log::warn!(
                target: LOG, name:% = self.name, node:% = self.custody.ferry().node,
                stanzas = doubtful.iter().map(|batch| batch.stanzas.len()).sum::<usize>(), reason = reason;
                "the way to the other node is lost: stanzas may have arrived"
            );
        }
        doubtful.iter_mut().for_each(|batch| batch.sends.may_have_arrived = true);
        self.state.doubtful.extend(doubtful);
        self.state.unwritten.extend(unwritten);
        self.take_no_more(reason, context);
    }

    /// Returns what was not settled, once nothing more comes and nothing more is settled.
    fn give_back(&mut self, context: &mut Context<Self>) {
        if !self.state.is_retired || !self.custody.is_settled() {
            return;
        }
        let doubtful = std::mem::take(&mut self.state.doubtful);
        let mut unwritten = std::mem::take(&mut self.state.unwritten);
        unwritten.extend(self.custody.take_given_back());
        unwritten.extend(self.custody.take_leftovers());
        let returned = Returned { name: self.name.clone(), component: self.carrier(), doubtful, unwritten };
        // A mailroom that is gone ends the process.
        let _ = self.owners.returned.signal(returned);
        context.stop();
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
        let next =
            keeping.write_old(Waits::ForComponent, |until, group| self.custody.write_old(until, group));
        if let Some(next) = next {
            self.state.is_unwritten_watched = true;
            context.run_later(next.saturating_duration_since(clock::now()), Self::write_old);
        }
    }

    /// The time for settlements is over. The other node may settle the rest later, but nobody here will know.
    fn give_up(&mut self, context: &mut Context<Self>) {
        if self.custody.is_settled() {
            return;
        }
        log::warn!(
            target: LOG, name:% = self.name, node:% = self.custody.ferry().node,
            stanzas = self.custody.unsettled().stanzas;
            "stopped before the other node settled all stanzas: some may not have arrived"
        );
        let Remains { mut doubtful, unwritten } = self.custody.give_up(self.owners.journal.is_some());
        doubtful.iter_mut().for_each(|batch| batch.sends.may_have_arrived = true);
        self.state.doubtful.extend(doubtful);
        self.state.unwritten.extend(unwritten);
        self.give_back(context);
    }
}

impl Actor for SeatRelay {
    type Context = Context<Self>;
}

impl Handler<Queued<Send>> for SeatRelay {
    type Result = ();

    fn handle(&mut self, send: Queued<Send>, context: &mut Context<Self>) {
        let Send { batch } = send.into_message();
        let result = self.custody.send(batch);
        self.carried(result, context);
        self.report_congestion();
    }
}

impl Handler<Queued<SendPortion>> for SeatRelay {
    type Result = ();

    fn handle(&mut self, portion: Queued<SendPortion>, context: &mut Context<Self>) {
        let SendPortion { batches } = portion.into_message();
        let result = self.custody.take(batches);
        self.carried(result, context);
        self.request();
    }
}

impl Handler<Queued<Open>> for SeatRelay {
    type Result = ();

    fn handle(&mut self, open: Queued<Open>, context: &mut Context<Self>) {
        open.into_message();
        let result = self.custody.open();
        self.carried(result, context);
        self.report_congestion();
    }
}

impl Handler<Queued<Pull>> for SeatRelay {
    type Result = ();

    fn handle(&mut self, pull: Queued<Pull>, _: &mut Context<Self>) {
        pull.into_message();
        self.custody.pull();
        self.request();
    }
}

impl Handler<Queued<Retire>> for SeatRelay {
    type Result = ();

    fn handle(&mut self, retire: Queued<Retire>, context: &mut Context<Self>) {
        retire.into_message();
        self.custody.end();
        self.state.is_retired = true;
        self.give_back(context);
    }
}

impl Handler<Queued<Event>> for SeatRelay {
    type Result = ();

    fn handle(&mut self, event: Queued<Event>, context: &mut Context<Self>) {
        match event.into_message() {
            Event::Settled { numbers } => {
                self.custody.settle(&numbers);
                self.request();
                self.give_back(context);
            }
            Event::GivenBack { number, stanzas } => {
                self.custody.give_back(number, &stanzas);
                self.take_no_more("the component has left the other node", context);
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

impl Handler<Queued<Expel>> for SeatRelay {
    type Result = ();

    fn handle(&mut self, expel: Queued<Expel>, context: &mut Context<Self>) {
        expel.into_message();
        self.take_no_more("this name is no longer served here", context);
    }
}

impl Handler<Queued<GiveWay>> for SeatRelay {
    type Result = ();

    fn handle(&mut self, give_way: Queued<GiveWay>, context: &mut Context<Self>) {
        give_way.into_message();
        self.take_no_more("the component is connected elsewhere", context);
    }
}

impl Handler<Queued<Finish>> for SeatRelay {
    type Result = ();

    fn handle(&mut self, finish: Queued<Finish>, context: &mut Context<Self>) {
        let Finish { within, token } = finish.into_message();
        self.state.finishing.push(token);
        self.take_no_more("this server is shutting down", context);
        context.run_later(part_for_settlements(within), Self::give_up);
    }
}

impl Drop for SeatRelay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (component, reason) = (self.carrier(), "internal error of this node".to_owned());
            let (name, cause) = (self.name.clone(), EndCause::Internal);
            let _ = self.owners.gone.signal(Gone { name, component, cause, reason, is_read: false });
            // The mailroom may await what this relay has not settled.
            let _ = self.owners.returned.signal(Returned::nothing(self.name.clone(), self.carrier()));
        }
    }
}

pub(crate) const LOG: &str = "nuncio::relay";
