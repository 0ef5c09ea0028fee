//! The way of stanzas into the outbox, and the answers to those that cannot be written.

use actix::Context;
use xmpp::stanza::{self, Condition, ErrorType};

use super::{Outgoing, Phase, State};
use crate::{
    dial::error::AttemptError,
    flow::{account::Outcome, batch::Batch, route::bounce},
};
use status::event::{Event, EventKind};

impl Outgoing {
    /// Writes stanzas that waited in the promise, however many wait already.
    pub(super) fn write_first(&mut self, batch: Batch, context: &mut Context<Self>) {
        if let Some(batch) = self.admissible(batch)
            && let State::Open(session) = &mut self.state
        {
            session.connection.outbox.accept(batch);
            self.flush(context);
        }
    }

    /// Writes stanzas from the router, or answers them.
    pub(super) fn write(&mut self, batch: Batch, context: &mut Context<Self>) {
        let Some(batch) = self.admissible(batch) else { return };
        if self.shutdown.phase != Phase::Running && self.has_unwritten() {
            return self.answer(batch, &AttemptError::Stopping.stanza_error(&self.pair.remote));
        }
        if let State::Open(session) = &mut self.state {
            session.connection.outbox.accept(batch);
            self.flush(context);
        }
    }

    /// The stanzas of a batch that the peer takes. After the end of the stream a batch is kept, and holds up
    /// no sender.
    fn admissible(&mut self, mut batch: Batch) -> Option<Batch> {
        let State::Open(session) = &mut self.state else {
            batch.release();
            self.leftovers.unwritten.push(batch);
            return None;
        };
        session.connection.last_stanza = clock::now();
        if let Some(limit) = session.machine.max_stanza() {
            self.refuse_oversized(&mut batch, limit);
        }
        (!batch.stanzas.is_empty()).then_some(batch)
    }

    /// XEP-0478 section 4: sends nothing above the limit that the peer announced.
    fn refuse_oversized(&self, batch: &mut Batch, limit: usize) {
        while let Some(place) = batch.stanzas.iter().position(|stanza| stanza.bytes().len() > limit) {
            let mut oversized = batch.split_off(place);
            let mut after = oversized.split_off(1);
            let text = format!("{} accepts no stanza larger than {limit} bytes", self.pair.remote);
            let error =
                stanza::Error { type_: ErrorType::Modify, condition: Condition::PolicyViolation, text };
            self.answer(oversized, &error);
            after.take_stanzas().for_each(|(stanza, record)| batch.push(stanza, record));
            batch.entry.merge(after.entry);
        }
    }

    /// Answers the stanzas of a batch with an error.
    fn answer(&self, batch: Batch, error: &stanza::Error) {
        self.record(Event::now(EventKind::Bounced).saying(&error.text).of(batch.stanzas.len()));
        bounce(&self.owners.bounces, batch, error, Outcome::Answered);
    }
}
