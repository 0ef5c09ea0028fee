//! Answers for senders on other servers that cannot be sent any more: the node stops, and has no link to their servers.
//! The stanzas that they answer count as answered, so the answers are counted themselves.

use std::{collections::HashSet, sync::Arc};

use actix::{Context, Handler};
use xmpp::Domain;

use super::{LOG, LogUnsent, Promise};
use crate::flow::{account::Totals, batch::Batch};
use mailbox::Queued;

/// The answers that could not be sent, and the domains of their receivers. Each of them was in a queue before, where it was
/// bounded.
pub(super) struct Unsent {
    account: Arc<Totals>,
    answers: usize,
    domains: HashSet<Domain>,
}

impl Unsent {
    pub(super) fn new(account: Arc<Totals>) -> Self {
        Self { account, answers: 0, domains: HashSet::new() }
    }

    /// Counts the answers in a batch that is not sent any more. Those that another node has lent go back to it. An error that a
    /// component sent is in the account itself.
    pub(super) fn count(&mut self, batch: &Batch) {
        if batch.entry.held().stanzas > 0 || batch.receipt.is_of_a_parcel() {
            return;
        }
        let answers = batch.stanzas.iter().filter(|stanza| !stanza.is_answerable()).count();
        if answers > 0 {
            self.account.count_unsent_answers(answers);
            self.answers += answers;
            self.domains.insert(batch.to.clone());
        }
    }
}

impl Handler<Queued<LogUnsent>> for Promise {
    type Result = ();

    fn handle(&mut self, log: Queued<LogUnsent>, _: &mut Context<Self>) {
        let LogUnsent { token: _token } = log.into_message();
        let Unsent { answers, domains, .. } = &self.unsent;
        if *answers > 0 {
            log::warn!(
                target: LOG, answers = *answers, domains = domains.len();
                "answers not sent: there is no link to the servers of the senders, and the node stops"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use status::amount::Amount;
    use xmpp::{Stanza, xml::Element};

    use super::*;
    use crate::flow::account::Entry;

    #[test]
    fn answers_that_the_node_made_are_counted_and_nothing_else() {
        let all = Arc::new(Totals::of_all());
        let mut unsent = Unsent::new(Arc::clone(&all));
        for to in ["x.example", "y.example", "x.example"] {
            unsent.count(&batch(to, &["error", "error"]));
        }
        assert_eq!((unsent.answers, unsent.domains.len(), all.unsent_answers()), (6, 2, 6));
        // Not an answer: it gets one itself.
        unsent.count(&batch("z.example", &["chat"]));
        // Of a component: it stands in the account, as dropped.
        let mut sent = batch("z.example", &["error"]);
        sent.entry = Entry::take_in(&all, &Arc::default(), Amount::of(&sent.stanzas));
        unsent.count(&sent);
        sent.entry.settle_rest(crate::flow::account::Outcome::Dropped);
        assert_eq!((unsent.answers, unsent.domains.len(), all.unsent_answers()), (6, 2, 6));
    }

    fn batch(to: &str, types: &[&str]) -> Batch {
        let message = Element::new("message", "jabber:server").with("from", "a@a.example").with("to", to);
        let stanza = |type_: &&str| Stanza::from_element(&message.clone().with("type", *type_)).unwrap();
        let stanzas = types.iter().map(stanza).collect();
        Batch::between(Domain::new("a.example").unwrap(), Domain::new(to).unwrap(), stanzas)
    }
}
