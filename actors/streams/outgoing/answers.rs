//! What the peer sends on a stream that we opened: error stanzas, which answer ours, and what is dropped.

use std::time::Duration;

use actix::{AsyncContext, Context};
use xmpp::{Stanza, stream::initiating::Stray};

use super::{LOG, Outgoing};
use crate::flow::{
    batch::{self, ReadPermit},
    route::{Ingress, Route},
};

/// What came on the stream, and how much of it is read without a pause.
#[derive(Debug, Default)]
pub(super) struct Inbound {
    /// Error stanzas that were passed on.
    pub(super) answers: u64,
    /// Elements that were dropped.
    pub(super) dropped: u64,
}

impl Inbound {
    /// Whether the peer has sent more than it can have a reason for, when so many stanzas went to it.
    fn is_too_much(&self, written: u64) -> bool {
        self.answers + self.dropped > written.saturating_add(UNASKED)
    }
}

impl Outgoing {
    /// Notes that something was dropped, and tells it once.
    pub(super) fn drop_stray(&mut self, stray: Stray) {
        let Some(wire) = &mut self.wire else { return };
        wire.inbound.dropped += 1;
        if wire.inbound.dropped == 1 {
            log::warn!(
                target: LOG, pair:% = self.pair, address:% = wire.address;
                "dropped: the peer sent {stray} on the stream that we opened; further ones are counted only"
            );
        }
    }

    /// Takes error stanzas to the senders of what they answer.
    pub(super) fn pass_on(&mut self, answers: Vec<Stanza>, pass: &ReadPermit) {
        if answers.is_empty() {
            return;
        }
        if let Some(wire) = &mut self.wire {
            wire.inbound.answers += answers.len() as u64;
        }
        log::debug!(target: LOG, pair:% = self.pair, stanzas = answers.len(); "the peer answered on our stream");
        // As many as one read brought, and the next one waits for their pass. A router that is gone takes the process
        // with it.
        let batches = batch::sort(answers, pass);
        let _ = self.owners.routes.signal(Route { batches, ingress: Ingress::Remote });
    }

    /// Lets the link read on: at once, or after a pause when the peer sends too much.
    pub(super) fn read_on(&self, pass: ReadPermit, context: &mut Context<Self>) {
        let written = self.outbox.stanzas_written();
        if self.wire.as_ref().is_some_and(|wire| wire.inbound.is_too_much(written)) {
            context.run_later(PAUSE, move |_, _| drop(pass));
        }
    }
}

/// Elements that a peer may send beyond one for each stanza that was written to it.
const UNASKED: u64 = 64;

/// How long nothing is read from a peer that sends more than that. With one read of 64 KiB between two pauses it costs next
/// to nothing, and the link stays.
const PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_may_answer_each_stanza_and_err_a_few_times() {
        let inbound = |answers, dropped| Inbound { answers, dropped };
        assert!(!inbound(0, UNASKED).is_too_much(0));
        assert!(inbound(0, UNASKED + 1).is_too_much(0));
        assert!(!inbound(1000, UNASKED).is_too_much(1000));
        assert!(inbound(1000, UNASKED + 1).is_too_much(1000));
    }
}
