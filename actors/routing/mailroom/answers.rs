//! Error answers to the senders of stanzas for components.

use std::time::Duration;

use xmpp::{
    Domain,
    stanza::{self, Condition, ErrorType},
};

use super::{Answered, Bounced, LOG, Mailroom, seats::Limit};
use crate::flow::{
    account::Outcome,
    batch::{Answers, Batch},
};
use status::{amount::Amount, report::Seconds};

/// Why stanzas are not delivered.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reason {
    /// The component has not been connected for this time.
    Away(Duration),
    /// The component is connected and has not read them in time.
    Slow,
    /// The queue has reached this limit.
    Full(Limit),
    /// Each connection was lost after it had written them.
    Exhausted,
    /// The name is no longer configured.
    Removed,
    /// The node stops.
    Stopping,
}

impl Reason {
    /// The text for the sender and for the log.
    pub(super) fn text(&self, name: &Domain) -> String {
        match self {
            Self::Away(absence) => {
                format!("the component {name} has not been connected for {}", Seconds(*absence))
            }
            Self::Slow => format!("the component {name} reads stanzas more slowly than they arrive"),
            Self::Full(limit) => {
                format!(
                    "the queue of stanzas for the component {name} is full ({}); try again later",
                    limit.text()
                )
            }
            Self::Exhausted => format!(
                "the component {name} lost its connection each time after this stanza was sent: it may have arrived"
            ),
            Self::Removed => format!("{name} is no longer served here"),
            Self::Stopping => {
                format!("this server is shutting down, and the component {name} is not connected")
            }
        }
    }

    fn error(&self, name: &Domain, may_have_arrived: bool) -> stanza::Error {
        let (type_, condition) = match self {
            Self::Away(_) | Self::Exhausted | Self::Stopping => {
                (ErrorType::Wait, Condition::ServiceUnavailable)
            }
            Self::Slow | Self::Full(_) => (ErrorType::Wait, Condition::ResourceConstraint),
            Self::Removed => (ErrorType::Cancel, Condition::ServiceUnavailable),
        };
        let text = match (self, may_have_arrived) {
            (Self::Exhausted, _) | (_, false) => self.text(name),
            (_, true) => format!("{}; this stanza was sent before, and may have arrived", self.text(name)),
        };
        stanza::Error { type_, condition, text }
    }
}

impl Mailroom {
    /// Answers stanzas.
    pub(super) fn answer(&self, batches: Vec<Batch>, reason: &Reason, outcome: Outcome) {
        for batch in batches {
            let answerable = Amount::of(batch.stanzas.iter().filter(|stanza| stanza.is_answerable()));
            if matches!(reason, Reason::Away(_)) && answerable.stanzas > 0 {
                let answered = Answered { name: batch.to.clone(), amount: answerable };
                // A router that is gone ends the process.
                let _ = self.owners.answered.signal(answered);
            }
            let error = reason.error(&batch.to, batch.sends.may_have_arrived);
            let Answers { stanzas: answers, permit, .. } = batch.into_answers(&error, outcome);
            if !answers.is_empty() {
                // A router that is gone ends the process.
                let _ = self.owners.bounced.signal(Bounced { answers, permit });
            }
        }
    }

    /// Answers stanzas that do not fit in a queue.
    pub(super) fn refuse(&self, batch: Batch, limit: Limit) {
        // The sender is answered each time; the log lines are limited.
        if self.refusals.count_line() {
            log::warn!(
                target: LOG, name:% = batch.to, stanzas = batch.stanzas.len(), limit = limit.key();
                "refused: the queue is full"
            );
        }
        self.answer(vec![batch], &Reason::Full(limit), Outcome::Answered);
    }

    /// Drops error answers to a component that does not read them (RFC 6120 section 8.3.1: an error is never answered).
    pub(super) fn drop_answers(&self, batch: &Batch, limit: Limit) {
        if self.refusals.count_line() {
            log::warn!(
                target: LOG, name:% = batch.to, stanzas = batch.stanzas.len(), limit = limit.key();
                "dropped error answers: the component does not read them, and the queue is full"
            );
        }
    }
}
