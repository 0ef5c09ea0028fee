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
    /// The number of sent stanzas has gone from 2^32 - 1 to 0.
    has_wrapped: bool,
}

impl Ledger {
    /// A ledger for a new stream: it begins when `<enable/>` is sent.
    pub fn new() -> Self {
        Self::default()
    }

    /// A ledger that goes on at `count`, for a stream that is resumed, and for tests.
    pub fn starting_at(count: u32) -> Self {
        Self { sent: count, acked: count, has_wrapped: false }
    }

    /// Notes that stanzas were given to the link, in order.
    pub fn sent(&mut self, stanzas: u32) {
        debug_assert!(self.unacked().checked_add(stanzas).is_some(), "2^32 unacknowledged stanzas");
        let (sent, wraps) = self.sent.overflowing_add(stanzas);
        self.sent = sent;
        self.has_wrapped |= wraps;
    }

    /// Takes the count of an ack, and gives the number of stanzas that it newly acknowledges: the oldest.
    ///
    /// # Errors
    /// The count is above the number of stanzas that were sent, or below that of an earlier ack. The ledger
    /// stays as it was.
    pub fn acknowledged(&mut self, h: u32) -> Result<u32, WrongCount> {
        let newly = h.wrapping_sub(self.acked);
        if newly > self.unacked() {
            return Err(self.wrong(h));
        }
        self.acked = h;
        Ok(newly)
    }

    /// Says what is wrong with a count. After a wrap both can be meant, and the nearer one is.
    fn wrong(&self, h: u32) -> WrongCount {
        let Self { sent, acked, has_wrapped } = *self;
        let is_lower = match has_wrapped {
            false => h < acked,
            true => acked.wrapping_sub(h) <= h.wrapping_sub(sent),
        };
        match is_lower {
            true => WrongCount::Decreased(Decreased { h, acked, sent }),
            false => WrongCount::TooHigh(TooHigh { h, sent }),
        }
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

/// An ack whose count cannot be. It ends the stream: the counts of the peer are of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrongCount {
    /// It is higher than it can be.
    TooHigh(TooHigh),
    /// It is lower than before.
    Decreased(Decreased),
}

/// The count of an ack is lower than that of an earlier one. Counts wrap, so to the other server it is also a
/// count that is too high, and the stream error has the same condition (XEP-0198 section 6). `Display` is its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decreased {
    /// The count of the peer.
    pub h: u32,
    /// The count of an earlier ack.
    pub acked: u32,
    /// The number of stanzas that were sent.
    pub sent: u32,
}

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
        write!(f, "'h' is {h}, and only {sent} stanzas were sent")
    }
}

impl std::error::Error for TooHigh {}

impl fmt::Display for Decreased {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'h' is {}, and {} stanzas were acknowledged before", self.h, self.acked)
    }
}

impl std::error::Error for Decreased {}

impl fmt::Display for WrongCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooHigh(too_high) => too_high.fmt(f),
            Self::Decreased(decreased) => decreased.fmt(f),
        }
    }
}

impl std::error::Error for WrongCount {}

#[cfg(test)]
mod tests;
