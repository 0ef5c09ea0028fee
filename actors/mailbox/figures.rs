//! The figures of the mailboxes of one actor kind, as scrapes and commands get them.

use std::time::Duration;

/// The figures of the mailboxes of one actor kind. Two of them, one after the other, show what happened between them.
#[derive(Clone, Debug)]
pub struct Figures {
    /// The figures that a scrape has too. The peak is that since the last line.
    pub stats: KindStats,
    /// The instance with the fullest mailbox, if a message waits.
    pub deepest: Option<String>,
    /// The number of messages by waiting time since the start: upper bounds, at most 25 % too high, and counts. Times
    /// without a message are left out.
    pub times: Vec<(Duration, u64)>,
}

/// The statistics of the mailboxes of one actor kind.
#[derive(Clone, Debug)]
pub struct KindStats {
    /// The actor kind.
    pub actor: &'static str,
    /// The number of running actors.
    pub instances: u64,
    /// The number of waiting messages in all of their mailboxes.
    pub depth: u64,
    /// The number of waiting messages in the fullest mailbox.
    pub deepest: u64,
    /// The maximum number of waiting messages in one mailbox since the last scrape.
    pub peak: u64,
    /// The capacity of each mailbox in messages.
    pub capacity: u64,
    /// The number of handled messages since the start.
    pub handled: u64,
    /// The number of refused messages since the start.
    pub refused: u64,
    /// The number of actors that panicked since the start.
    pub restarts: u64,
    /// The number of messages since the start by waiting time: one bucket for each of [`WAIT_BOUNDS`], and
    /// one above.
    pub waits: [u64; WAIT_BOUNDS.len() + 1],
    /// The sum of all waiting times in seconds.
    pub waited_seconds: f64,
}

/// Upper bounds of waiting times in seconds, from that of an idle node to that of a node that no longer
/// works.
pub const WAIT_BOUNDS: [f64; 11] = [0.00001, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 10.0];
