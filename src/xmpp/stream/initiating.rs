//! The stream that we open to a remote domain.
use super::{End, Error, Secured};
use crate::{
    Domain, DomainPair,
    certificate::Problem,
    dialback,
    policy::{Mechanism, Policy},
    stanza,
};
use bytes::{Bytes, BytesMut};
use std::fmt;

/// What the stream is for and on which terms.
#[derive(Clone, Debug)]
pub struct Plan {
    /// who speaks to whom
    pub pair: DomainPair,
    /// what for
    pub purpose: Purpose,
    /// terms for the remote domain
    pub policy: Policy,
    /// what TLS gave, when it comes first (XEP-0368)
    pub direct_tls: Option<Secured>,
    /// for our dialback key
    pub secret: dialback::Secret,
    /// whether we can show a certificate for `pair.local`
    pub certificate: bool,
}

/// What a stream is opened for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// stanzas
    Session,
    /// asks the authoritative server of `pair.remote` about a key that was shown to `pair.local`
    Verify(dialback::Request),
}

/// The machine.
pub struct Initiating {}

/// What the driver has to do next.
#[derive(Debug)]
pub enum Output {
    /// bytes to write
    Transmit(Bytes),
    /// begin the handshake once everything transmitted is written, then call [`Initiating::secured`]
    StartTls,
    /// what the peer's certificate is worth; for the log
    Judged(Result<(), Problem>),
    /// stanzas may be written from now on
    Established(Established),
    /// the answer to `Purpose::Verify`
    Verified(dialback::Answer),
    /// it will not be established; flush what was transmitted, then close
    Failed(Failure),
    /// it was established (or closed by us) and is over; flush what was transmitted, then close
    Ended(End),
}

/// What came out of the negotiation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Established {
    /// what authenticated us
    pub mechanism: Mechanism,
    /// over TLS
    pub secured: bool,
    /// the peer's limit for one stanza, in bytes (XEP-0478)
    pub max_stanza: Option<usize>,
    /// after how many seconds without traffic the peer closes (XEP-0478)
    pub idle_seconds: Option<u64>,
}

/// Why there is no stream; `Display` is for the operator and for the sender of a stanza.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// whom we wanted
    pub remote: Domain,
    /// what went wrong
    pub cause: Cause,
}

/// What went wrong, by blame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// the first bytes were no XML stream
    NotXmpp,
    /// it has no TLS, and our policy demands it
    TlsUnavailable,
    /// it demands TLS, and our policy forbids it
    TlsForbidden,
    /// it answered `<starttls/>` with `<failure/>`
    TlsRefused,
    /// its certificate does not prove it
    Certificate(Problem),
    /// nothing that it offers is allowed by our policy
    NoMechanism,
    /// it refused our certificate: SASL condition and text
    ExternalRefused(crate::sasl::Failure),
    /// it says that our dialback key is invalid
    DialbackInvalid,
    /// it could not verify our dialback key
    DialbackError(stanza::Error),
    /// it sent a stream error
    Stream(Error),
    /// it closed the stream without a reason
    Closed,
    /// it wants us to go elsewhere (RFC 6120 section 4.9.3.19)
    Redirected {
        /// host, perhaps with a port
        host: String,
        /// whether TLS protected the answer; one in clear text is not to be followed
        secured: bool,
    },
    /// it did what no stream allows; this is what we told it
    Misbehaved(Error),
}
impl Failure {
    /// What the senders of waiting stanzas are told.
    pub fn stanza_error(&self) -> stanza::Error {
        todo!()
    }
    /// Whether waiting would not mend it: TLS not to be had, certificate, authentication.
    pub fn is_definitive(&self) -> bool {
        todo!()
    }
}
impl fmt::Display for Failure {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}
impl std::error::Error for Failure {}

impl Initiating {
    /// A stream whose header waits to be transmitted.
    pub fn new(_plan: Plan) -> Self {
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
    /// Closes the stream; [`Output::Ended`] follows when the peer closed its side too.
    pub fn close(&mut self, _error: Option<Error>) {
        todo!()
    }
    /// The next thing to do, `None` when more bytes are needed.
    pub fn poll(&mut self) -> Option<Output> {
        todo!()
    }
    /// Whether stanzas may be written.
    pub fn is_established(&self) -> bool {
        todo!()
    }
    /// What the stream waits for, in words for the log.
    pub fn stage(&self) -> &'static str {
        todo!()
    }
}
