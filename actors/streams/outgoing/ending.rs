//! The end of a stream that takes no more stanzas, as plain data: lifetime, counts, handback, next attempt.

use std::time::Duration;

/// The end of a stream that takes no more stanzas.
pub(super) struct Ending {
    /// The lifetime of the stream.
    pub(super) lived: Duration,
    /// The counts in the log line about the end.
    pub(super) logged: Counts,
    /// Whether stanzas were acknowledged, for the log.
    pub(super) acks: &'static str,
    pub(super) redial: Redial,
    /// Closing tags went both ways.
    pub(super) is_orderly: bool,
    pub(super) handback: Handback,
}

/// When the next attempt is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Redial {
    /// At once: we closed the stream ourselves, and nothing failed.
    AtOnce,
    /// After the pause that follows a link of this lifetime.
    AfterPause,
}

/// How far the handback of stanzas is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handback {
    /// The router does not know yet that the stream takes no more stanzas.
    Unreported,
    /// The router knows, and may still have stanzas on their way.
    Reported,
    /// The promise knows, which sends portions, and may still have one on its way.
    Stopped,
    /// The router or the promise has sent its last stanza.
    Retired,
    /// The promise has the unwritten stanzas.
    Returned,
}

impl Ending {
    /// The router or the promise has sent its last stanza.
    pub(super) fn retire(&mut self) {
        if matches!(self.handback, Handback::Reported | Handback::Stopped) {
            self.handback = Handback::Retired;
        }
    }
}

/// Counts of the stanzas of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) stanzas_in: u64,
    pub(super) dropped_in: u64,
    pub(super) stanzas_out: u64,
}
