//! The part of a relay in the stop of the node: it waits until the other node has settled everything.

use actix::{AsyncContext, Context, Handler};

use super::LOG;
use crate::streams::{
    outgoing::{Abandon, Finish, Flush, Relay},
    relay::{Remains, part_for_settlements},
};
use mailbox::Queued;

impl Relay {
    /// The time for settlements is over. The other node may settle the rest later, but nobody here will know.
    fn give_up(&mut self, context: &mut Context<Self>) {
        if self.custody.is_settled() {
            return;
        }
        let unsettled = self.custody.unsettled().stanzas;
        log::warn!(
            target: LOG, pair:% = self.pair, node:% = self.custody.ferry().node, stanzas = unsettled;
            "stopped before the other node settled all stanzas: some may not have arrived"
        );
        let Remains { doubtful, unwritten } = self.custody.give_up(self.owners.journal.is_some());
        if let Some(end) = &mut self.state.end {
            end.doubtful.extend(doubtful);
            end.unwritten.extend(unwritten);
        }
        self.give_back(context);
    }
}

impl Handler<Queued<Flush>> for Relay {
    type Result = ();

    fn handle(&mut self, flush: Queued<Flush>, context: &mut Context<Self>) {
        let Flush { within, token } = flush.into_message();
        if !self.custody.is_settled() {
            self.state.flushing.push(token);
            // A remote server that the other node cannot reach must not hold up the others.
            context.run_later(within, |relay, _| relay.state.flushing.clear());
        }
    }
}

impl Handler<Queued<Abandon>> for Relay {
    type Result = ();

    /// Everything was carried: nothing can be given back.
    fn handle(&mut self, abandon: Queued<Abandon>, _: &mut Context<Self>) {
        abandon.into_message();
        self.state.flushing.clear();
    }
}

impl Handler<Queued<Finish>> for Relay {
    type Result = ();

    fn handle(&mut self, finish: Queued<Finish>, context: &mut Context<Self>) {
        let Finish { within, token } = finish.into_message();
        self.state.is_finishing = true;
        self.state.finishing.push(token);
        self.take_no_more("this server is shutting down", context);
        context.run_later(part_for_settlements(within), Self::give_up);
    }
}
