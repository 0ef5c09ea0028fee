//! The end of a stream that takes no more stanzas: its lifetime and its counts, and when the next attempt follows.

use std::time::Duration;

use super::{closing_log::Counts, handback::Handback};

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
