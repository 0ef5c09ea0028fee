//! Stanzas that a stream refused: they are entered in the account, and their answers are routed to their
//! senders.

use actix::{Context, Handler};

use super::Router;
use crate::flow::{
    account::Outcome,
    route::{Ingress, Refuse},
};
use mailbox::Queued;

impl Handler<Queued<Refuse>> for Router {
    type Result = ();

    fn handle(&mut self, refuse: Queued<Refuse>, _: &mut Context<Self>) {
        let Refuse { refused, answers } = refuse.into_message();
        for (domain, reason, amounts) in refused.iter() {
            let domain = self.counted_as(domain);
            let mut entry = self.accounts.enter(&domain, amounts.answered.plus(amounts.dropped));
            entry.refused(reason, amounts.answered, amounts.dropped);
            entry.settle(Outcome::Answered, amounts.answered);
            entry.settle_rest(Outcome::Dropped);
        }
        for (name, denials) in refused.into_denials() {
            if let Some((_, registration)) = self.component_of(&name) {
                registration.count_denied(denials);
            }
        }
        for mut batch in answers {
            batch.returning = true;
            self.route(batch, Ingress::Local);
        }
    }
}
