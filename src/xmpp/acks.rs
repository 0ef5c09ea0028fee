//! Acknowledged delivery on streams between servers (XEP-0198, `urn:xmpp:sm:3`): the counts and the elements.
//!
//! Plain data without I/O. The streams speak the protocol, [`initiating`](crate::stream::initiating) for what
//! we send and [`receiving`](crate::stream::receiving) for what we take; the driver keeps the stanzas.
mod count;
mod element;
mod ledger;
mod value;

use std::time::Duration;

pub use count::Count;
pub(crate) use element::{answer, enable, enabled, failed, read, resume, resumed};
pub use ledger::{Ledger, RENEW_AT, TooHigh};
pub(crate) use value::Malformed;

/// The request for an ack, `<r/>`. The driver of a stream with acks puts it behind a stanza.
pub const REQUEST: &[u8] = b"<r xmlns=\"urn:xmpp:sm:3\"/>";

/// The acks that we want on a stream that we open. The default wants none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Acks are requested if the peer offers them.
    pub enabled: bool,
    /// The stream that this one is to continue.
    pub resume: Option<Previous>,
    /// The peer is asked to keep its count for a while when the stream is lost.
    pub resumable: bool,
}

/// A stream that was lost, and that its peer may remember.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Previous {
    /// The id that the peer gave it.
    pub id: String,
    /// The stanzas of the peer that were handled on it, mod 2^32. Zero in most cases: a peer sends none but
    /// errors there.
    pub handled: u32,
    /// The time for which the peer remembers a lost stream, if it gave one.
    pub max: Option<Duration>,
}

/// The offer of acks to a peer, on streams that it opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The time for which a lost stream can be resumed; `None`: not at all.
    pub resume_for: Option<Duration>,
}
