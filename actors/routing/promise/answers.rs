//! Error answers to the senders of waiting stanzas.

use xmpp::{
    Domain, DomainPair,
    stanza::{self, Condition, ErrorType},
};

use super::{LOG, Promise, waiting::Bound};
use crate::{
    dial::error::AttemptError,
    flow::{account::Outcome, batch::Batch, route::bounce},
};
use status::event::{Event, EventKind};

impl Promise {
    /// Answers stanzas with the reason why there is no session. Those that may have arrived get an answer that
    /// says so.
    pub(super) fn answer(&mut self, batches: Vec<Batch>, failure: &AttemptError, outcome: Outcome) {
        self.answer_each(batches, |to| failure.stanza_error(to), outcome);
    }

    /// The same with the error for stanzas to each domain.
    pub(super) fn answer_each(
        &mut self,
        batches: Vec<Batch>,
        error: impl Fn(&Domain) -> stanza::Error,
        outcome: Outcome,
    ) {
        for batch in batches {
            if batch.sends.may_have_arrived {
                self.answer_in_doubt(vec![batch]);
                continue;
            }
            if self.stopping {
                self.unsent.count(&batch);
            }
            let error = error(&batch.to);
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

    /// Answers stanzas for which this bound leaves no room.
    pub(super) fn refuse(&self, pair: &DomainPair, bound: Bound, batches: Vec<Batch>) {
        let stanzas = count(&batches);
        if stanzas == 0 {
            return;
        }
        // The sender is answered each time; the log lines are limited.
        if self.refusals.count_line() {
            log::warn!(
                target: LOG, pair:% = pair, stanzas = stanzas, bound = bound.key();
                "refused: a bound of what waits is reached"
            );
        }
        let text = format!("{}; try again later", bound.sentence(&pair.remote));
        let error = stanza::Error { type_: ErrorType::Wait, condition: Condition::ResourceConstraint, text };
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

impl Bound {
    /// Its key in the configuration.
    fn key(self) -> &'static str {
        match self {
            Self::Stanzas => "promise.max_stanzas",
            Self::Bytes | Self::Unwritten => "promise.max_bytes",
            Self::Memory | Self::Entries => "promise.total_bytes",
            Self::Disk => "journal.max_bytes",
        }
    }

    /// The reason for the sender of a stanza to `remote`.
    fn sentence(self, remote: &Domain) -> String {
        let key = self.key();
        match self {
            Self::Stanzas => format!("as many stanzas wait for {remote} as {key} permits"),
            Self::Bytes => format!("as many bytes wait for {remote} as {key} permits"),
            Self::Memory => format!("as much waits for all domains as {key} permits"),
            Self::Disk => {
                format!(
                    "the queue for {remote} is full in memory, and the journal takes no more of it ({key}, or its disk is too slow)"
                )
            }
            Self::Entries => format!(
                "the queue for {remote} is full in memory, and as many stanzas of all queues are in the journal as a quarter \
                 of {key} permits"
            ),
            Self::Unwritten => format!(
                "the queue for {remote} is full in memory, and the journal does not write as fast as stanzas arrive ({key})"
            ),
        }
    }
}

/// The number of stanzas in all batches.
pub(super) fn count(batches: &[Batch]) -> usize {
    batches.iter().map(|batch| batch.stanzas.len()).sum()
}
