//! A mailbox line: the figures of one kind of actor.

use std::time::SystemTime;

use super::entry::{Pairs, number, word};

/// A mailbox line: the figures of one kind of actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MailboxLine {
    /// The time at which the node wrote the line, if the line contains it.
    pub(super) time: Option<SystemTime>,
    pub(super) actor: String,
    pub(super) instances: u64,
    pub(super) depth: u64,
    /// The fullest instance and the number of messages that wait there, `b.example:31`; `None` if no message
    /// waits.
    pub(super) deepest: Option<String>,
    pub(super) peak: u64,
    pub(super) capacity: u64,
    pub(super) rate: u64,
    /// As written: `35us`.
    pub(super) wait_p50: String,
    /// As written: `1.2ms`.
    pub(super) wait_p99: String,
    pub(super) refused: u64,
    pub(super) restarts: u64,
}

impl MailboxLine {
    /// The line of a kind of which nothing is known but the name: it has no line, since it is idle.
    pub(super) fn unknown(actor: &str) -> Self {
        Self {
            time: None,
            actor: actor.to_owned(),
            instances: 0,
            depth: 0,
            deepest: None,
            peak: 0,
            capacity: 0,
            rate: 0,
            wait_p50: "-".to_owned(),
            wait_p99: "-".to_owned(),
            refused: 0,
            restarts: 0,
        }
    }

    /// Whether it is the line of a kind of which only the name is known.
    pub(super) fn is_unknown(&self) -> bool {
        self.capacity == 0
    }

    /// Reads the pairs of a line; `None` if they are not those of a complete mailbox line.
    pub(super) fn of(time: Option<SystemTime>, pairs: Pairs<'_>) -> Option<Self> {
        let mut parsed = Self { time, ..Self::unknown("") };
        let mut found = [false; 2];
        for (key, value) in pairs {
            match key {
                "actor" => parsed.actor = word(&value, MAX_ACTOR)?,
                "instances" => parsed.instances = number(&value)?,
                "depth" => parsed.depth = number(&value)?,
                "deepest" => parsed.deepest = word(&value, MAX_INSTANCE).filter(|word| word != "-"),
                "peak" => (parsed.peak, found[0]) = (number(&value)?, true),
                "capacity" => (parsed.capacity, found[1]) = (number(&value)?, true),
                "rate" => parsed.rate = number(&value)?,
                "wait_p50" => parsed.wait_p50 = word(&value, MAX_WAIT)?,
                "wait_p99" => parsed.wait_p99 = word(&value, MAX_WAIT)?,
                "refused" => parsed.refused = number(&value)?,
                "restarts" => parsed.restarts = number(&value)?,
                _ => {}
            }
        }
        (!parsed.actor.is_empty() && found == [true; 2]).then_some(parsed)
    }

    /// Whether a mailbox was full at some time since the line before.
    pub(super) fn reached_capacity(&self) -> bool {
        self.capacity > 0 && self.peak >= self.capacity
    }

    /// The peak divided by the capacity.
    pub(super) fn share(&self) -> f64 {
        if self.capacity == 0 { 0.0 } else { self.peak as f64 / self.capacity as f64 }
    }
}

/// The log target of mailbox lines, and the message of the event.
pub(super) const MAILBOX: &str = "mailbox";

/// Maximum number of characters of a kind of actor; those of the node have up to twelve.
pub(super) const MAX_ACTOR: usize = 24;

/// Maximum number of characters of an instance: a domain pair of common length. The DNS allows 253 characters
/// for each domain.
const MAX_INSTANCE: usize = 100;

/// Maximum number of characters of a waiting time.
const MAX_WAIT: usize = 8;
