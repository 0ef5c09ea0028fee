//! Stanzas that a stream refused: they are entered in the account, and their answers are routed to their
//! senders.

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
        let Refuse { refused, answers } = refuse.into_message();
        for (domain, reason, entry) in refused.iter() {
            let mut ledger = self.account.enter(domain, entry.answered.plus(entry.dropped));
            ledger.refused(reason, entry.answered, entry.dropped);
            ledger.settle(Outcome::Answered, entry.answered);
            ledger.settle_rest(Outcome::Dropped);
        }
        for mut batch in answers {
            batch.returning = true;
            self.route(batch, Ingress::Local);
        }
    }
}
