//! What waits for a component for a while is given to the journal; what waits at the end of the node is left there.

use std::time::Instant;

use actix::{Context, Handler};
use xmpp::Domain;

use super::{LOG, Mailroom, answers::Reason, messages::Restore};
use crate::{
    flow::{account::Outcome, batch::Batch},
    routing::journal::{Conclude, GiveUp, Keeper, LeaveAll, Left, Synced, WriteDue},
};
use mailbox::{Queued, drain};

impl Mailroom {
    /// Notes a name for which stanzas wait that were not offered to the journal. To be called after each change of what
    /// waits.
    pub(super) fn note_unwritten(&mut self, name: &Domain) {
        if let Some(keeper) = &mut self.keeper
            && self.seats.get(name).is_some_and(|seat| seat.queue.has_unoffered())
        {
            keeper.note(name);
        }
    }

    /// Offers stanzas again that the journal could not take. To be called now and then.
    pub(super) fn offer_again(&mut self, now: Instant) {
        if !self.keeper.as_mut().is_some_and(|keeper| keeper.is_to_offer_again(now)) {
            return;
        }
        self.seats.offer_again();
        let names: Vec<Domain> = self.seats.iter().map(|(name, _)| name.clone()).collect();
        names.iter().for_each(|name| self.note_unwritten(name));
    }

    /// Leaves messages in the journal, and answers the rest: the node stops.
    pub(super) fn leave_or_answer(&mut self, batches: Vec<Batch>) {
        let rest = match &mut self.keeper {
            Some(keeper) => keeper.leave(batches),
            None => batches,
        };
        self.answer(rest, &Reason::Stopping, Outcome::Answered);
    }

    /// Holds the token until the journal has what was left.
    pub(super) fn hold_until_left(&mut self, token: drain::Token) {
        if let Some(keeper) = &mut self.keeper {
            keeper.hold_until_left(token);
        }
    }
}

impl Handler<Queued<Restore>> for Mailroom {
    type Result = ();

    fn handle(&mut self, restore: Queued<Restore>, _: &mut Context<Self>) {
        let Restore { batches } = restore.into_message();
        let stanzas: usize = batches.iter().map(|batch| batch.stanzas.len()).sum();
        if stanzas > 0 {
            log::info!(target: LOG, stanzas = stanzas; "restored");
        }
        let (known, gone): (Vec<_>, Vec<_>) =
            batches.into_iter().partition(|batch| self.seat_of(&batch.to).is_some());
        if !gone.is_empty() {
            log::warn!(
                target: LOG, stanzas = gone.iter().map(|batch| batch.stanzas.len()).sum::<usize>();
                "answered what was restored: its components are not in the configuration any more"
            );
        }
        self.answer(gone, &Reason::Removed, Outcome::Answered);
        for (name, batches) in self.by_component(known) {
            batches.into_iter().for_each(|batch| self.seats.restore(&name, batch));
            self.look_after(&name);
        }
    }
}

impl Handler<Queued<WriteDue>> for Mailroom {
    type Result = ();

    fn handle(&mut self, write: Queued<WriteDue>, _: &mut Context<Self>) {
        let WriteDue = write.into_message();
        if let Some(keeper) = &mut self.keeper {
            keeper.write_due(clock::now(), |name, until, group| {
                self.seats.get_mut(name)?.queue.write_old(until, group)
            });
        }
    }
}

impl Handler<Queued<Synced>> for Mailroom {
    type Result = ();

    fn handle(&mut self, synced: Queued<Synced>, _: &mut Context<Self>) {
        let Synced = synced.into_message();
        if let Some(left) = self.keeper.as_mut().map(Keeper::left) {
            self.settle(left);
        }
    }
}

impl Handler<Queued<GiveUp>> for Mailroom {
    type Result = ();

    fn handle(&mut self, give_up: Queued<GiveUp>, _: &mut Context<Self>) {
        let GiveUp = give_up.into_message();
        if let Some(left) = self.keeper.as_mut().map(Keeper::give_up) {
            self.settle(left);
        }
        self.give_up_reading();
    }
}

impl Handler<Queued<LeaveAll>> for Mailroom {
    type Result = ();

    fn handle(&mut self, leave: Queued<LeaveAll>, _: &mut Context<Self>) {
        let LeaveAll = leave.into_message();
        if let Some(keeper) = &mut self.keeper {
            keeper.leave_all();
        }
    }
}

impl Handler<Queued<Conclude>> for Mailroom {
    type Result = ();

    fn handle(&mut self, conclude: Queued<Conclude>, _: &mut Context<Self>) {
        let Conclude { token: _token } = conclude.into_message();
        if let Some(left) = self.keeper.as_mut().map(Keeper::conclude) {
            self.settle(left);
        }
    }
}

impl Mailroom {
    /// The batches of each component, in order.
    fn by_component(&self, batches: Vec<Batch>) -> Vec<(Domain, Vec<Batch>)> {
        let mut places = std::collections::HashMap::new();
        let mut components: Vec<(Domain, Vec<Batch>)> = Vec::new();
        for batch in batches {
            let Some(component) = self.names.get(&batch.to) else { continue };
            let place = *places.entry(component).or_insert_with(|| {
                components.push((component.clone(), Vec::new()));
                components.len() - 1
            });
            components[place].1.push(batch);
        }
        components
    }

    /// Answers what the journal could not take of the stanzas that were left in it.
    fn settle(&self, left: Left) {
        left.log(LOG);
        self.answer(left.not_kept, &Reason::Stopping, Outcome::Answered);
    }
}
