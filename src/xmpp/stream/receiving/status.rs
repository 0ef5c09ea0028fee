//! The status of a stream from a remote server, with the same questions during the handshake and afterwards.
use super::{Secured, negotiation::Negotiation};
use crate::Domain;

/// The status of a stream from a remote server.
#[derive(Clone, Copy, Debug)]
pub struct Status<'a> {
    /// Whether the peer has opened its stream and not closed it.
    pub is_open: bool,
    /// Whether our closing tag is sent, or the stream is over.
    pub is_closing: bool,
    /// Whether the peer waits for the answer about a key of its own.
    pub is_verifying: bool,
    /// Whether the peer has asked about a dialback key that is ours: it is a server that we opened a stream
    /// to.
    pub has_vouched: bool,
    /// The name of the peer in its last header, or in its first question of dialback when no header has one.
    pub claimed: Option<&'a Domain>,
    /// The TLS session; `None` in clear text.
    pub transport: Option<&'a Secured>,
    /// The number of the element that has begun and is not complete. As long as it stays the same, the peer
    /// is slow.
    pub unfinished: Option<u64>,
}

impl<O> Negotiation<O> {
    pub(super) fn status(&self) -> Status<'_> {
        Status {
            is_open: self.wire.is_open(),
            is_closing: self.is_closing(),
            is_verifying: self.is_verifying(),
            has_vouched: self.vouched,
            claimed: self.claimed(),
            transport: self.secured.as_ref(),
            unfinished: self.wire.unfinished(),
        }
    }
}
