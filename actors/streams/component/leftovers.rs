//! Stanzas that a connection has not written, or that may not have arrived: they are given back to the mailroom in the end.

use actix::{ActorContext, Context};

use super::{Component, LOG, Returned, bind::Binding};
use crate::flow::batch::Batch;

/// Stanzas that are given back in the end.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    /// Written, and perhaps not arrived; in order.
    pub(super) doubtful: Vec<Batch>,
    /// Not written, or come when they could no longer be written; in order.
    pub(super) unwritten: Vec<Batch>,
    /// The link is down, and what it has not written is here.
    are_complete: bool,
    /// They were given back.
    are_returned: bool,
}

impl Component {
    /// Takes out of the outbox what is left, when the link wrote at most so many bytes of its last chunk.
    pub(super) fn collect_leftovers(&mut self, written: usize) {
        let mut remains = self.connection.outbox.remains(written);
        if remains.uncertain > 0 {
            log::warn!(
                target: LOG, name:% = self.binding.shown(), address:% = self.connection.address,
                stanzas = remains.uncertain;
                "the connection ended with stanzas on the wire; they may not have arrived"
            );
        }
        self.leftovers.doubtful.append(&mut remains.doubtful);
        // What came after our closing tag follows.
        remains.unwritten.append(&mut self.leftovers.unwritten);
        self.leftovers.unwritten = remains.unwritten;
        self.leftovers.are_complete = true;
    }

    /// Gives back what was not written, once the link is down and nothing more comes.
    pub(super) fn give_back(&mut self, context: &mut Context<Self>) {
        let Binding::Retired(name) = &self.binding else { return };
        if !std::mem::take(&mut self.leftovers.are_complete) {
            return;
        }
        if std::mem::replace(&mut self.leftovers.are_returned, true) {
            // The end was noticed before everything was read, which it is now.
            return context.stop();
        }
        let mut unwritten = std::mem::take(&mut self.leftovers.unwritten);
        unwritten.extend(self.supply.take_held());
        // The outbox also has error answers to stanzas of the component, with other recipients. What the router has
        // counted, and what another node has lent, is given back also if a reload has taken the name away.
        let names = &self.environment.names;
        let serves = |to: &xmpp::Domain| names.get(to).is_some_and(|it| it.name == *name);
        unwritten.retain(|batch| {
            batch.entry.held().stanzas > 0 || batch.receipt.is_of_a_parcel() || serves(&batch.to)
        });
        let doubtful = std::mem::take(&mut self.leftovers.doubtful);
        let returned =
            Returned { name: name.clone(), component: self.own.clone().into(), doubtful, unwritten };
        // A mailroom that is gone ends the process.
        let _ = self.environment.owners.returned.signal(returned);
        if !self.connection.is_remaining() {
            context.stop();
        }
    }
}
