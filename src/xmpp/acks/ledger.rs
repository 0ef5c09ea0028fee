//! The sending side of acks: stanzas that were sent, and how many of them the peer has acknowledged.
use super::value;
use crate::xml::{Element, ns};
use std::fmt;

/// Stanzas that were sent on a stream, and how many of them the peer has acknowledged. The stanzas themselves
/// are with the driver, in the order in which they were sent.
///
/// Both counts are mod 2^32 (XEP-0198 section 4). At most 2^32 - 1 stanzas can be unacknowledged; the window
/// of a driver is far smaller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    sent: u32,
    acked: u32,
}

impl Ledger {
    /// A ledger for a new stream: it begins when `<enable/>` is sent.
    pub fn new() -> Self {
        Self::default()
    }

    /// A ledger that goes on at `count`, for a stream that is resumed, and for tests.
    pub fn starting_at(count: u32) -> Self {
        Self { sent: count, acked: count }
    }

    /// Notes that stanzas were given to the link, in order.
    pub fn sent(&mut self, stanzas: u32) {
        debug_assert!(self.unacked().checked_add(stanzas).is_some(), "2^32 unacknowledged stanzas");
        self.sent = self.sent.wrapping_add(stanzas);
    }

    /// Takes the count of an ack, and gives the number of stanzas that it newly acknowledges: the oldest.
    ///
    /// # Errors
    /// The count is above the number of stanzas that were sent, or below that of an earlier ack, which is the
    /// same mod 2^32. The ledger stays as it was.
    pub fn acknowledged(&mut self, h: u32) -> Result<u32, TooHigh> {
        let newly = h.wrapping_sub(self.acked);
        if newly > self.unacked() {
            return Err(TooHigh { h, sent: self.sent });
        }
        self.acked = h;
        Ok(newly)
    }

    /// The number of stanzas that were sent and not acknowledged.
    pub fn unacked(&self) -> u32 {
        self.sent.wrapping_sub(self.acked)
    }

    /// The number of stanzas that were sent, mod 2^32.
    pub fn sent_count(&self) -> u32 {
        self.sent
    }

    /// The number of stanzas that were acknowledged, mod 2^32.
    pub fn acked_count(&self) -> u32 {
        self.acked
    }

    /// Whether the count has reached [`RENEW_AT`]: the driver should close the stream and open another.
    pub fn needs_renewal(&self) -> bool {
        self.sent >= RENEW_AT
    }
}

/// The count of sent stanzas at which a stream is renewed. It is far below 2^31, where a count in a signed
/// number becomes negative.
///
/// COMPAT: Prosody until 13 and aioxmpp compare counts as plain integers, and close at the step from 2^32 - 1
/// to 0.
pub const RENEW_AT: u32 = 1 << 30;

/// The peer acknowledges stanzas that were not sent (XEP-0198 section 6). `Display` is the text of the stream
/// error, which `stream::Error::from` makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooHigh {
    /// The count of the peer.
    pub h: u32,
    /// The number of stanzas that were sent.
    pub sent: u32,
}

impl TooHigh {
    /// The name of the application-specific condition.
    pub(crate) const NAME: &'static str = "handled-count-too-high";

    /// Reads the application-specific condition of a stream error.
    pub(crate) fn parse(element: &Element) -> Option<Self> {
        let count = |name| value::count(name, element.attribute(name)?).ok();
        element.is(Self::NAME, ns::ACKS).then_some(())?;
        Some(Self { h: count("h")?, sent: count("send-count")? })
    }

    /// Writes the application-specific condition of a stream error.
    pub(crate) fn element(self) -> Element {
        Element::new(Self::NAME, ns::ACKS)
            .with("h", self.h.to_string())
            .with("send-count", self.sent.to_string())
    }
}

impl fmt::Display for TooHigh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { h, sent } = self;
        write!(f, "'h' is {h}, which is not between the last acknowledged stanza and the last sent, {sent}")
    }
}

impl std::error::Error for TooHigh {}

#[cfg(test)]
mod tests;
