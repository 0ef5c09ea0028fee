//! Notices a component that hangs: its process is stopped or blocked, and its connection stays open.
//!
//! A component that sends nothing for a while is pinged (XEP-0199). Not every component answers pings, so only one that
//! has answered one before on this connection is given up if it does not. For the others there are the limits of TCP:
//! `net::tcp_options`, and the time to take one chunk.

use std::time::{Duration, Instant};

use actix::Context;

use super::Component;

/// What is known about the component's answers.
#[derive(Debug)]
pub(super) struct Liveness {
    last_read: Instant,
    /// The component has answered a ping on this connection.
    has_answered: bool,
    /// A ping was sent since the last read, because of silence.
    is_asked: bool,
    /// When the last ping was sent.
    last_ping: Option<Instant>,
    /// The connection is closed if nothing answers that ping.
    pub(super) closes: bool,
}

impl Liveness {
    /// A connection that has just been accepted.
    pub(super) fn new() -> Self {
        Self { last_read: clock::now(), has_answered: false, is_asked: false, last_ping: None, closes: false }
    }

    /// Notes that something was read.
    pub(super) fn note_read(&mut self) {
        (self.last_read, self.is_asked) = (clock::now(), false);
    }

    /// Notes that a ping is sent.
    pub(super) fn note_ping(&mut self) {
        (self.last_ping, self.closes) = (Some(clock::now()), false);
    }

    /// Notes the answer to the last ping. Gives the time at which that was sent: the component has read what was written
    /// before.
    pub(super) fn note_answer(&mut self) -> Option<Instant> {
        self.has_answered = true;
        self.last_ping.take()
    }

    /// When the last ping was sent, if it has no answer of its own.
    pub(super) fn asked_at(&self) -> Option<Instant> {
        self.last_ping
    }

    /// Whether something was read after this time.
    pub(super) fn has_sent_since(&self, time: Instant) -> bool {
        self.last_read > time
    }

    /// Whether a ping is due after this time of silence.
    fn is_due(&self, silence: Duration) -> bool {
        !self.is_asked && clock::since(self.last_read) >= silence
    }
}

impl Component {
    /// Pings the component if it has sent nothing for a while.
    pub(super) fn check_liveness(&mut self, context: &mut Context<Self>) {
        let is_due = self.liveness.is_due(self.environment.keepalive);
        // Nothing is read while the last stanzas are being processed: that is not the component's silence.
        if !is_due || !self.binding.is_bound() || !self.is_processed() || self.connection.has_ended() {
            return;
        }
        self.liveness.is_asked = true;
        let Some(id) = self.send_ping() else { return };
        self.report_ping(self.liveness.has_answered);
        if self.liveness.has_answered {
            Self::await_answer(id, ANSWERS_WITHIN, "it has answered pings before", context);
        }
    }
}

/// How long a component may take to answer. One that is blocked by its own work for longer hangs for its users too.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);
