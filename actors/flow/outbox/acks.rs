//! Acknowledgements (XEP-0198) on the stream of an outbox.

use std::time::{Duration, Instant};

use bytes::Bytes;
use xmpp::acks::{REQUEST, WrongCount};

use super::{Outbox, unacked::Unacked};
use crate::flow::batch::Kept;
use status::{amount::Amount, report::Acknowledgement};

impl Outbox {
    /// An empty outbox for a stream on which acknowledgements were requested. `counted` stanzas were sent on
    /// it before: on the stream that it resumes.
    pub(crate) fn with_acks(budget: usize, counted: u32) -> Self {
        Self { unacked: Some(Box::new(Unacked::after(counted))), ..Self::new(budget) }
    }

    /// The peer acknowledges stanzas, and keeps the state of a lost stream if `resumes`.
    pub(crate) fn confirm_acks(&mut self, resumes: bool) {
        if let Some(unacked) = &mut self.unacked {
            unacked.confirm(resumes);
        }
    }

    /// The peer does not acknowledge stanzas after all. What was written counts as on any other stream.
    pub(crate) fn end_acks(&mut self, now: Instant) {
        if let Some(mut unacked) = self.unacked.take() {
            let written = unacked.take_written();
            let amount = written.iter().map(Kept::amount).fold(Amount::default(), Amount::plus);
            if amount.stanzas > 0 {
                self.in_flight.add(amount, now);
            }
            self.recent.add(&written, self.bytes_written, now);
        }
    }

    /// Whether acknowledgements were requested, and not refused.
    pub(crate) fn has_acks(&self) -> bool {
        self.unacked.is_some()
    }

    /// Whether the peer acknowledges stanzas.
    pub(crate) fn has_confirmed_acks(&self) -> bool {
        self.unacked.as_ref().is_some_and(|unacked| unacked.is_confirmed())
    }

    /// Whether acknowledgements were requested and the peer has not confirmed them yet.
    pub(crate) fn awaits_confirmation(&self) -> bool {
        self.unacked.as_ref().is_some_and(|unacked| !unacked.is_confirmed())
    }

    /// The peer has acknowledged the stanzas up to number `h`. Gives the time since it was asked.
    ///
    /// # Errors
    /// It has acknowledged more than was sent, or less than before.
    pub(crate) fn acknowledged(&mut self, h: u32, now: Instant) -> Result<Option<Duration>, WrongCount> {
        match &mut self.unacked {
            Some(unacked) => unacked.acknowledged(h, now),
            None => Ok(None),
        }
    }

    /// The number of stanzas that were given to the link and are not acknowledged, although the peer
    /// acknowledges stanzas.
    pub(crate) fn unacked(&self) -> u32 {
        self.unacked.as_ref().map_or(0, |unacked| unacked.count())
    }

    /// Whether so many stanzas were sent that the stream should be replaced by another: peers compare counts
    /// as plain integers.
    pub(crate) fn needs_renewal(&self) -> bool {
        self.unacked.as_ref().is_some_and(|unacked| unacked.needs_renewal())
    }

    /// The state of acknowledgements for a report.
    pub(crate) fn acknowledgement(&self) -> Acknowledgement {
        self.unacked.as_ref().map(|unacked| unacked.report()).unwrap_or_default()
    }

    /// To be called each second while something is unacknowledged.
    pub(crate) fn look_at_unacked(&mut self, now: Instant) {
        if let Some(unacked) = &mut self.unacked {
            unacked.look(now);
        }
    }

    /// Has the next chunk end with a request for an acknowledgement.
    pub(crate) fn ask(&mut self) {
        if let Some(unacked) = &mut self.unacked {
            unacked.ask();
        }
    }

    /// When the peer was asked for an acknowledgement that it has not sent yet.
    pub(crate) fn asked(&self) -> Option<Instant> {
        self.unacked.as_ref().and_then(|unacked| unacked.asked())
    }

    /// The stream is over: nothing follows the closing tag, which is queued already.
    pub(crate) fn ask_no_more(&mut self) {
        self.is_closing = true;
    }

    /// The stream is being closed: its last request goes before the closing tag, which is queued next.
    pub(crate) fn ask_last(&mut self) {
        self.is_closing = true;
        if self.has_confirmed_acks() && !self.is_settled() {
            self.push_raw(Bytes::from_static(REQUEST));
        }
    }

    /// Whether nothing waits, is being written, or is unacknowledged.
    pub(crate) fn is_settled(&self) -> bool {
        self.is_empty() && self.unacked() == 0
    }
}
