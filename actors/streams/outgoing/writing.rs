//! How stanzas get into the outbox, and what does not.

use actix::Context;
use xmpp::stanza::{self, Condition, ErrorType};

use super::{LOG, Outgoing};
use crate::{
    dial::error::AttemptError,
    flow::{batch::Batch, ledger::Outcome, route::bounce},
};
use status::event::{Event, What};

impl Outgoing {
    /// What waited in the promise.
    pub(super) fn write_first(&mut self, batch: Batch) {
        if let Some(batch) = self.admissible(batch) {
            self.outbox.push_first(batch);
            self.feed_link();
        }
    }

    pub(super) fn write(&mut self, batch: Batch, context: &mut Context<Self>) {
        let Some(batch) = self.admissible(batch) else { return };
        if self.stopping && !self.outbox.is_empty() {
            let error = AttemptError::Stopping.stanza_error(&self.pair.remote);
            self.note(Event::now(What::Bounced).saying(&error.text).of(batch.stanzas.len()));
            return bounce(&self.owners.bounces, batch, &error, Outcome::Answered);
        }
        if let Err(batch) = self.outbox.push(batch, clock::now()) {
            // It was said at `warn` when the patience ended.
            self.refuse_slow(batch);
        }
        self.feed_link();
        self.watch_patience(context);
    }

    /// What of it the link may take; after the end it is kept, and nobody is held up by it.
    fn admissible(&mut self, mut batch: Batch) -> Option<Batch> {
        let Some(wire) = self.wire.as_mut().filter(|_| self.end.is_none()) else {
            batch.release();
            self.leftovers.push(batch);
            return None;
        };
        wire.last_stanza = clock::now();
        if let Some(limit) = wire.max_stanza {
            self.refuse_oversized(&mut batch, limit);
        }
        (!batch.stanzas.is_empty()).then_some(batch)
    }

    /// XEP-0478 section 4: never above what the peer announced.
    fn refuse_oversized(&self, batch: &mut Batch, limit: usize) {
        while let Some(place) = batch.stanzas.iter().position(|stanza| stanza.bytes().len() > limit) {
            let mut oversized = batch.split_off(place);
            let after = oversized.split_off(1);
            let text = format!("{} takes no stanza longer than {limit} bytes", self.pair.remote);
            let error =
                stanza::Error { type_: ErrorType::Modify, condition: Condition::PolicyViolation, text };
            self.note(Event::now(What::Bounced).saying(&error.text).of(1));
            bounce(&self.owners.bounces, oversized, &error, Outcome::Answered);
            batch.stanzas.extend(after.stanzas);
            batch.slip.merge(after.slip);
        }
    }

    fn refuse_slow(&self, batch: Batch) {
        log::debug!(target: LOG, pair:% = self.pair, stanzas = batch.stanzas.len(); "refused: the peer reads too slowly");
        let text = format!("{} takes stanzas more slowly than they come", self.pair.remote);
        let error = stanza::Error { type_: ErrorType::Wait, condition: Condition::ResourceConstraint, text };
        self.note(Event::now(What::Bounced).saying(&error.text).of(batch.stanzas.len()));
        bounce(&self.owners.bounces, batch, &error, Outcome::Answered);
    }

    /// Wakes up when the patience with a full outbox ends.
    fn watch_patience(&mut self, context: &mut Context<Self>) {
        self.alarm.set(self.outbox.patience_ends(), context, |session, context| {
            let batches = session.outbox.lose_patience(clock::now());
            let stanzas: usize = batches.iter().map(|batch| batch.stanzas.len()).sum();
            if stanzas > 0 {
                log::warn!(target: LOG, pair:% = session.pair, stanzas = stanzas; "refused: the peer reads too slowly");
            }
            batches.into_iter().for_each(|batch| session.refuse_slow(batch));
            session.watch_patience(context);
        });
    }
}
