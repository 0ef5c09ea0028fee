//! What waits for a while is given to the journal; what waits at the end of the node is left there.

mod restore;

use std::time::Instant;

use actix::{Context, Handler};
use xmpp::DomainPair;

pub use self::restore::Restore;
use super::{LOG, Promise};
use crate::{
    dial::error::AttemptError,
    flow::{account::Outcome, batch::Batch},
    routing::journal::{Conclude, GiveUp, Keeper, LeaveAll, Left, Synced, WriteDue},
};
use mailbox::{Queued, drain};

impl Promise {
    /// Notes a pair that has stanzas which were not offered to the journal. To be called after each change of what waits.
    pub(super) fn note_unwritten(&mut self, pair: &DomainPair) {
        if let Some(keeper) = &mut self.keeper
            && self.waiting.has_unoffered(pair)
        {
            keeper.note(pair);
        }
    }

    /// Offers stanzas again that the journal could not take. To be called now and then.
    pub(super) fn offer_again(&mut self, now: Instant) {
        if !self.keeper.as_mut().is_some_and(|keeper| keeper.is_to_offer_again(now)) {
            return;
        }
        self.waiting.offer_again();
        let pairs: Vec<DomainPair> = self.pairs.iter().map(|(pair, _)| pair.clone()).collect();
        pairs.iter().for_each(|pair| self.note_unwritten(pair));
    }

    /// Leaves messages in the journal, and answers the rest: the node stops.
    pub(super) fn leave_or_answer(&mut self, batches: Vec<Batch>) {
        let rest = match &mut self.keeper {
            Some(keeper) => keeper.leave(batches),
            None => batches,
        };
        self.answer(rest, &AttemptError::Stopping, Outcome::Answered);
    }

    /// Holds the token until the journal has what was left.
    pub(super) fn hold_until_left(&mut self, token: drain::Token) {
        if let Some(keeper) = &mut self.keeper {
            keeper.hold_until_left(token);
        }
    }
}

impl Handler<Queued<WriteDue>> for Promise {
    type Result = ();

    fn handle(&mut self, write: Queued<WriteDue>, _: &mut Context<Self>) {
        let WriteDue = write.into_message();
        if let Some(keeper) = &mut self.keeper {
            keeper.write_due(clock::now(), |pair, until, group| self.waiting.write_old(pair, until, group));
        }
    }
}

impl Handler<Queued<Synced>> for Promise {
    type Result = ();

    fn handle(&mut self, synced: Queued<Synced>, _: &mut Context<Self>) {
        let Synced = synced.into_message();
        if let Some(left) = self.keeper.as_mut().map(Keeper::left) {
            self.settle(left);
        }
    }
}

impl Handler<Queued<GiveUp>> for Promise {
    type Result = ();

    fn handle(&mut self, give_up: Queued<GiveUp>, _: &mut Context<Self>) {
        let GiveUp = give_up.into_message();
        if let Some(left) = self.keeper.as_mut().map(Keeper::give_up) {
            self.settle(left);
        }
        self.give_up_reading();
    }
}

impl Handler<Queued<LeaveAll>> for Promise {
    type Result = ();

    fn handle(&mut self, leave: Queued<LeaveAll>, _: &mut Context<Self>) {
        let LeaveAll = leave.into_message();
        if let Some(keeper) = &mut self.keeper {
            keeper.leave_all();
        }
    }
}

impl Handler<Queued<Conclude>> for Promise {
    type Result = ();

    fn handle(&mut self, conclude: Queued<Conclude>, _: &mut Context<Self>) {
        let Conclude { token: _token } = conclude.into_message();
        if let Some(left) = self.keeper.as_mut().map(Keeper::conclude) {
            self.settle(left);
        }
    }
}

impl Promise {
    /// Answers what the journal could not take of the stanzas that were left in it.
    fn settle(&mut self, left: Left) {
        left.log(LOG);
        self.answer(left.not_kept, &AttemptError::Stopping, Outcome::Answered);
    }
}
