//! Error answers to the senders of waiting stanzas.

use xmpp::{
    DomainPair,
    stanza::{self, Condition, ErrorType},
};

use super::{LOG, Promise};
use crate::{
    dial::error::AttemptError,
    flow::{account::Outcome, batch::Batch, route::bounce},
};
use status::event::{Event, EventKind};

impl Promise {
    /// Answers stanzas with the reason why there is no session. Those that may have arrived get an answer that
    /// says so.
    pub(super) fn answer(&self, batches: Vec<Batch>, failure: &AttemptError, outcome: Outcome) {
        for batch in batches {
            if batch.sends.may_have_arrived {
                self.answer_in_doubt(vec![batch]);
                continue;
            }
            let error = failure.stanza_error(&batch.to);
            self.record(
                &batch.pair(),
                Event::now(EventKind::Bounced).saying(&error.text).of(batch.stanzas.len()),
            );
            bounce(&self.owners.bounces, batch, &error, outcome);
        }
    }

    /// Answers stanzas that a lost link carried and that may have arrived.
    pub(super) fn answer_in_doubt(&self, batches: Vec<Batch>) {
        for mut batch in batches {
            let requests = batch.extract(xmpp::Stanza::is_request);
            for (batch, doubt) in [(requests, "it may have been carried out"), (batch, "it may have arrived")]
            {
                let reason = "the connection was lost before the server confirmed this stanza";
                self.answer_late(batch, &format!("{reason}: {doubt}"));
            }
        }
    }

    /// Answers stanzas that each link carried in vain.
    pub(super) fn answer_exhausted(&self, batches: Vec<Batch>) {
        for batch in batches {
            let times = batch.sends.times;
            let reason = format!("this stanza was sent, and the connection was lost, up to {times} times");
            self.answer_late(batch, &format!("{reason}: it may have arrived"));
        }
    }

    fn answer_late(&self, batch: Batch, reason: &str) {
        if batch.stanzas.is_empty() {
            return;
        }
        let (type_, condition) = (ErrorType::Wait, Condition::RemoteServerTimeout);
        let error = stanza::Error { type_, condition, text: format!("{}: {reason}", batch.to) };
        self.record(
            &batch.pair(),
            Event::now(EventKind::Bounced).saying(&error.text).of(batch.stanzas.len()),
        );
        bounce(&self.owners.bounces, batch, &error, Outcome::Answered);
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
            if batch.sends.may_have_arrived {
                self.answer_in_doubt(vec![batch]);
            } else {
                bounce(&self.owners.bounces, batch, &error, Outcome::Answered);
            }
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
