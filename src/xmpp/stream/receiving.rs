//! The stream that a remote server opens to us.
use super::{End, Error, Secured};
use crate::{
    Domain, DomainPair, Stanza,
    certificate::Problem,
    dialback,
    policy::{Mechanism, Rules},
    stanza,
};
use bytes::{Bytes, BytesMut};
use std::sync::Arc;

/// The machine.
pub struct Receiving {}

/// What the driver has to do next.
#[derive(Debug)]
pub enum Output {
    /// bytes to write
    Transmit(Bytes),
    /// begin the handshake once everything transmitted is written, then call [`Receiving::secured`]
    StartTls,
    /// an acceptable header came: on the plain stream, and again after TLS
    Opened {
        /// who it says it is
        from: Option<Domain>,
        /// whom it wants
        to: Domain,
        /// over TLS, when `from` is there: what the peer's certificate is worth; for the log
        certificate: Option<Result<(), Problem>>,
    },
    /// ask the authoritative server of `pair.remote`, then call [`Receiving::verified`]
    Verify(dialback::Request),
    /// stanzas of this pair will come from now on
    Authorized {
        /// `remote` proved itself to `local`
        pair: DomainPair,
        /// how
        mechanism: Mechanism,
    },
    /// a stanza of an authorised pair
    Stanza(Stanza),
    /// the peer did not get what it asked for, the stream goes on; for the log, once a kind
    Refused {
        /// who
        remote: Option<Domain>,
        /// why, in plain words
        reason: String,
    },
    /// the stream is over: flush what was transmitted, then close
    Ended(End),
}

impl Receiving {
    /// A stream that waits for its header. `ids` gives unpredictable stream ids, never one twice.
    pub fn new(
        _rules: Arc<Rules>,
        _direct_tls: Option<Secured>,
        _ids: Box<dyn FnMut() -> String + Send>,
    ) -> Self {
        todo!()
    }
    /// Takes what was read.
    pub fn receive(&mut self, _bytes: BytesMut) {
        todo!()
    }
    /// Takes what the handshake gave that [`Output::StartTls`] asked for.
    pub fn secured(&mut self, _secured: Secured) {
        todo!()
    }
    /// Takes the answer to [`Output::Verify`]; `Err` is what the peer is told when nobody could be asked.
    pub fn verified(
        &mut self,
        _request: &dialback::Request,
        _answer: Result<dialback::Answer, stanza::Error>,
    ) {
        todo!()
    }
    /// Closes the stream; stanzas under way are still taken until the peer's closing tag, then `Ended`.
    pub fn close(&mut self, _error: Option<Error>) {
        todo!()
    }
    /// The next thing to do, `None` when more bytes are needed.
    pub fn poll(&mut self) -> Option<Output> {
        todo!()
    }
    /// What the stream waits for, in words for the log.
    pub fn stage(&self) -> &'static str {
        todo!()
    }
}
