//! Elements that the peer sends on a stream that we opened: error stanzas, which answer ours, and elements
//! that are dropped.

use std::time::Duration;

use actix::Context;
use xmpp::{Stanza, stream::initiating::Stray};

use super::{LOG, Outgoing};
use crate::{
    flow::{
        batch::{self, ReadPermit},
        route::{Ingress, Route},
    },
    streams::connection::pause_reading,
};

/// Counts the elements of the peer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Inbound {
    /// Error stanzas that were passed on.
    pub(super) answers: u64,
    /// Elements that were dropped.
    pub(super) dropped: u64,
}

impl Inbound {
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
    pub(super) fn read_on(&self, permit: ReadPermit, context: &mut Context<Self>) {
        let is_too_much = self
            .state
            .session()
            .is_some_and(|session| session.inbound.is_too_much(session.connection.outbox.stanzas_written()));
        if is_too_much {
            pause_reading(permit, PAUSE, context);
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
        let inbound = |answers, dropped| Inbound { answers, dropped };
        assert!(!inbound(0, UNASKED).is_too_much(0));
        assert!(inbound(0, UNASKED + 1).is_too_much(0));
        assert!(!inbound(1000, UNASKED).is_too_much(1000));
        assert!(inbound(1000, UNASKED + 1).is_too_much(1000));
    }
}
