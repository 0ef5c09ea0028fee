//! The pace at which the peer is read, and the time it takes for one element.

use std::time::{Duration, Instant};

use super::Machine;
use crate::flow::{batch::ReadPermit, throttle::Throttle};

/// The pace at which the peer is read.
pub(super) struct Reading {
    /// The configured rate.
    pub(super) throttle: Throttle,
    /// Held while the peer does not read our answers.
    pub(super) unread: Option<ReadPermit>,
    /// Held for the time of a pause.
    pub(super) paused: Option<ReadPermit>,
    /// The peer is gone: what it sent before is read without a pause.
    pub(super) is_peer_gone: bool,
    /// When bytes were read for the last time, or whitespace was sent because there were none.
    pub(super) last: Instant,
    /// The number of the element that has begun and is incomplete, and since when.
    unfinished: Option<(u64, Instant)>,
}

impl Reading {
    pub(super) fn new(max_rate: Option<usize>) -> Self {
        Self {
            throttle: Throttle::new(max_rate),
            unread: None,
            paused: None,
            is_peer_gone: false,
            last: clock::now(),
            unfinished: None,
        }
    }

    /// The peer has closed its side, or the connection broke: nothing delays the rest of what it sent.
    pub(super) fn read_rest(&mut self) {
        self.is_peer_gone = true;
        (self.unread, self.paused) = (None, None);
    }

    /// Keeps whether an element is incomplete, and since when. The time of a pause does not count.
    pub(super) fn watch_element(&mut self, machine: &Machine, pause: Option<Duration>) {
        let pause = pause.unwrap_or_default();
        self.unfinished = match (machine.status().unfinished, self.unfinished) {
            (Some(number), Some((known, since))) if number == known => Some((number, since + pause)),
            (Some(number), _) => Some((number, clock::now() + pause)),
            (None, _) => None,
        };
    }

    /// Whether one element has been incomplete for longer than this.
    pub(super) fn is_element_late(&self, within: Duration) -> bool {
        self.unfinished.is_some_and(|(_, since)| clock::since(since) > within)
    }
}
