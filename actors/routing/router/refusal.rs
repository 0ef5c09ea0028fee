//! Stanzas that their stream refused: they are entered in the account, and their answers go to their senders.

use actix::{Context, Handler};

use super::Router;
use crate::flow::{
    ledger::Outcome,
    route::{Ingress, Refuse},
};
use mailbox::Queued;

impl Handler<Queued<Refuse>> for Router {
    type Result = ();

    fn handle(&mut self, refuse: Queued<Refuse>, _: &mut Context<Self>) {
        let Refuse { refused, answers } = refuse.open();
        for (domain, reason, entry) in refused.iter() {
            let mut slip = self.account.enter(domain, entry.answered.plus(entry.dropped));
            slip.refused(reason, entry.answered, entry.dropped);
            slip.settle(Outcome::Answered, entry.answered);
            slip.settle_rest(Outcome::Dropped);
        }
        for mut batch in answers {
            batch.returning = true;
            self.route(batch, Ingress::Local);
        }
    }
}
