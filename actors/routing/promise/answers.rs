//! Error answers to the senders of waiting stanzas.

use xmpp::{
    DomainPair,
    stanza::{self, Condition, ErrorType},
};

use super::{LOG, Promise};
use crate::{
    dial::error::AttemptError,
    flow::{batch::Batch, ledger::Outcome, route::bounce},
};
use status::event::{Event, EventKind};

impl Promise {
    /// Answers stanzas with the reason why there is no session.
    pub(super) fn answer(&self, batches: Vec<Batch>, failure: &AttemptError, outcome: Outcome) {
        for batch in batches {
            let error = failure.stanza_error(&batch.to);
            self.record(
                &batch.pair(),
                Event::now(EventKind::Bounced).saying(&error.text).of(batch.stanzas.len()),
            );
            bounce(&self.owners.bounces, batch, &error, outcome);
        }
    }

    /// Answers stanzas that do not fit in the queue of their pair.
    pub(super) fn refuse(&self, pair: &DomainPair, batches: Vec<Batch>) {
        let stanzas = count(&batches);
        if stanzas == 0 {
            return;
        }
        // The sender is answered each time; the log lines are limited.
        if self.refusals.count_line() {
            log::warn!(target: LOG, pair:% = pair, stanzas = stanzas; "refused: the queue is full");
        }
        let error = stanza::Error {
            type_: ErrorType::Wait,
            condition: Condition::ResourceConstraint,
            text: format!("the queue of stanzas for {} is full; try again later", pair.remote),
        };
        self.record(pair, Event::now(EventKind::Bounced).saying(&error.text).of(stanzas));
        for batch in batches {
            bounce(&self.owners.bounces, batch, &error, Outcome::Answered);
        }
    }

    /// Records an event of the remote domain.
    pub(super) fn record(&self, pair: &DomainPair, event: Event) {
        self.owners.recorder.note(&pair.remote, event.with(&pair.local));
    }
}

/// The number of stanzas in all batches.
pub(super) fn count(batches: &[Batch]) -> usize {
    batches.iter().map(|batch| batch.stanzas.len()).sum()
}
