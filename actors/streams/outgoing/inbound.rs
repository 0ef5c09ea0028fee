//! Elements that the peer sends on a stream that we opened: error stanzas, which answer ours, and elements
//! that are dropped.

use std::time::{Duration, Instant};

use actix::Context;
use xmpp::{Stanza, stream::initiating::Stray};

use super::{LOG, Outgoing};
use crate::{
    flow::{
        batch::{self, ReadPermit},
        route::{Ingress, Route},
        throttle::{Throttle, UNPRODUCTIVE},
    },
    streams::connection::pause_reading,
};

/// Counts the elements of the peer.
#[derive(Debug)]
pub(super) struct Inbound {
    /// Error stanzas that were passed on.
    pub(super) answers: u64,
    /// Elements that were dropped.
    pub(super) dropped: u64,
    /// Limits the requests for acks (XEP-0198). Each is answered, and the answers wait in the outbox as long as
    /// the peer does not read.
    requests: Throttle,
    /// How long nothing is to be read because of the requests.
    pause: Option<Duration>,
}

impl Inbound {
    pub(super) fn new() -> Self {
        Self { answers: 0, dropped: 0, requests: Throttle::new(Some(UNPRODUCTIVE)), pause: None }
    }

    /// Counts an answer to a request for an ack.
    pub(super) fn count_request(&mut self, now: Instant) {
        self.pause = self.requests.take(1, now);
    }

    /// Whether the peer has sent more than it can have a reason for, when `written` stanzas went to it.
    fn is_too_much(&self, written: u64) -> bool {
        self.answers + self.dropped > written.saturating_add(UNASKED)
    }
}

impl Outgoing {
    /// Counts an element that is dropped, and logs the first one.
    pub(super) fn drop_stray(&mut self, stray: Stray) {
        let Some(session) = self.state.session_mut() else { return };
        session.inbound.dropped += 1;
        if session.inbound.dropped == 1 {
            log::warn!(
                target: LOG, pair:% = self.pair, address:% = session.connection.address;
                "dropped: the peer sent {stray} on the stream that we opened; further ones are counted only"
            );
        }
    }

    /// Routes error stanzas to the senders of the stanzas that they answer.
    pub(super) fn pass_on(&mut self, answers: Vec<Stanza>, permit: &ReadPermit) {
        if answers.is_empty() {
            return;
        }
        if let Some(session) = self.state.session_mut() {
            session.inbound.answers += answers.len() as u64;
        }
        log::debug!(
            target: LOG, pair:% = self.pair, stanzas = answers.len();
            "the peer sent a stanza answer on our stream"
        );
        // Bounded: as many as one read brought, and the next read waits for their permit. A router that is
        // gone ends the process.
        let batches = batch::sort(answers, permit);
        let _ = self.owners.routes.signal(Route { batches, ingress: Ingress::Remote });
    }

    /// Lets the link read on: at once, or after a pause when the peer sends too much.
    pub(super) fn read_on(&mut self, permit: ReadPermit, context: &mut Context<Self>) {
        let Some(session) = self.state.session_mut() else { return };
        let written = session.connection.outbox.stanzas_written();
        let pause = session.inbound.is_too_much(written).then_some(PAUSE);
        if let Some(pause) = pause.max(session.inbound.pause.take()) {
            pause_reading(permit, pause, context);
        }
    }
}

/// Elements that a peer may send beyond one for each stanza that was written to it.
const UNASKED: u64 = 64;

/// How long nothing is read from a peer that sends more than that. With one read of 64 KiB between two pauses
/// it costs next to nothing, and the link stays up.
const PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_may_answer_each_stanza_and_send_a_few_other_elements() {
        let inbound = |answers, dropped| Inbound { answers, dropped, ..Inbound::new() };
        assert!(!inbound(0, UNASKED).is_too_much(0));
        assert!(inbound(0, UNASKED + 1).is_too_much(0));
        assert!(!inbound(1000, UNASKED).is_too_much(1000));
        assert!(inbound(1000, UNASKED + 1).is_too_much(1000));
    }
}
