//! Stanzas that were in the file of the journal at the start wait again, in front of everything.

use std::collections::HashMap;

use actix::{Context, Handler};
use xmpp::DomainPair;

use crate::{
    dial::error::AttemptError,
    flow::{account::Outcome, batch::Batch},
    routing::promise::{LOG, Promise, answers::count, pairs::State},
};
use mailbox::Queued;

/// Let these stanzas wait, which an earlier run of the node has accepted. Comes before everything else.
#[derive(Debug)]
pub struct Restore {
    /// In order.
    pub batches: Vec<Batch>,
}

impl Handler<Queued<Restore>> for Promise {
    type Result = ();

    fn handle(&mut self, restore: Queued<Restore>, _: &mut Context<Self>) {
        let Restore { batches } = restore.into_message();
        let (mut order, mut by_pair) = (Vec::new(), HashMap::<DomainPair, Vec<Batch>>::new());
        let mut stanzas = 0;
        for batch in batches {
            stanzas += batch.stanzas.len();
            let pair = batch.pair();
            let known = by_pair.entry(pair.clone()).or_default();
            if known.is_empty() {
                order.push(pair);
            }
            known.push(batch);
        }
        if stanzas > 0 {
            log::info!(target: LOG, stanzas = stanzas, pairs = order.len(); "restored");
        }
        for pair in order {
            let unwritten = by_pair.remove(&pair).unwrap_or_default();
            if !self.permits(&pair) {
                log::warn!(
                    target: LOG, pair:% = pair, stanzas = count(&unwritten);
                    "answered what was restored: the pair is not permitted any more"
                );
                self.answer(unwritten, &AttemptError::Denied, Outcome::Answered);
                continue;
            }
            let is_new = !self.pairs.contains(&pair);
            if is_new {
                self.insert(pair.clone(), State::AwaitingSlot { requested: false }, clock::now());
            }
            unwritten.into_iter().for_each(|batch| self.waiting.restore(&pair, batch));
            if is_new {
                self.begin(&pair, false);
            }
            self.plan(&pair);
        }
        self.relieve();
    }
}
