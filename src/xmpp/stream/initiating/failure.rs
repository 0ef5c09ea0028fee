//! The failure of a handshake, and its cause.
use crate::{
    Domain,
    certificate::Problem,
    sasl, stanza,
    stream::{Condition, Error, error::Fault},
};
use std::fmt;

/// The failure of a handshake. `Display` is for the operator and for the sender of a stanza.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The domain that we wanted to reach.
    pub remote: Domain,
    /// The cause.
    pub cause: Cause,
}

/// The cause of a failed handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The peer's first bytes are no XML stream.
    NotXmpp,
    /// The peer does not offer TLS, and our policy requires it.
    TlsUnavailable,
    /// The peer requires TLS, and our policy forbids it.
    TlsForbidden,
    /// The peer offered TLS and answered `<starttls/>` with `<failure/>`.
    TlsRefused,
    /// The peer's certificate does not prove it, and our policy allows no other mechanism.
    Certificate(Problem),
    /// The peer offers no mechanism that our policy allows.
    NoMechanism,
    /// The peer refused our certificate, and no other mechanism was left.
    ExternalRefused(sasl::Failure),
    /// The peer answered that our dialback key is invalid.
    DialbackInvalid,
    /// The peer could not verify our dialback key.
    DialbackError(stanza::Error),
    /// The peer sent a stream error.
    Stream(Error),
    /// The peer closed the stream without a reason.
    Closed,
    /// The peer redirects us to another host (RFC 6120 section 4.9.3.19).
    Redirected {
        /// The host, perhaps with a port.
        host: String,
        /// TLS protected the redirect. A redirect in clear text must not be followed.
        secured: bool,
    },
    /// The peer violated the protocol. This is the error that we sent.
    Misbehaved(Error),
}

impl Failure {
    /// The error for the senders of waiting stanzas.
    pub fn stanza_error(&self) -> stanza::Error {
        let (type_, condition) = match self.cause {
            Cause::DialbackInvalid => (stanza::ErrorType::Cancel, stanza::Condition::InternalServerError),
            _ => (stanza::ErrorType::Wait, stanza::Condition::RemoteServerTimeout),
        };
        stanza::Error { type_, condition, text: self.to_string() }
    }

    /// Whether the server answered that it does not serve the domain.
    pub fn says_host_unknown(&self) -> bool {
        matches!(&self.cause, Cause::Stream(error) if error.condition == Condition::HostUnknown)
    }

    /// Whether a retry cannot succeed: TLS, certificate, or authentication.
    pub fn is_definitive(&self) -> bool {
        match &self.cause {
            Cause::TlsUnavailable
            | Cause::TlsForbidden
            | Cause::TlsRefused
            | Cause::Certificate(_)
            | Cause::NoMechanism
            | Cause::DialbackInvalid => true,
            Cause::ExternalRefused(failure) => failure.condition != sasl::Condition::TemporaryAuthFailure,
            Cause::DialbackError(error) => {
                use stanza::Condition::{Forbidden, NotAllowed, NotAuthorized, PolicyViolation};
                matches!(error.condition, Forbidden | NotAllowed | NotAuthorized | PolicyViolation)
            }
            // Servers also send `policy-violation` when they limit the rate of connections.
            Cause::Stream(error) => error.condition == Condition::NotAuthorized,
            Cause::NotXmpp | Cause::Closed | Cause::Redirected { .. } | Cause::Misbehaved(_) => false,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let remote = &self.remote;
        match &self.cause {
            Cause::NotXmpp => f.write_str("the server at this address does not speak XMPP"),
            Cause::TlsUnavailable => {
                write!(f, "{remote} does not offer TLS (required by s2s.tls)")
            }
            Cause::TlsForbidden => write!(f, "{remote} requires TLS, which s2s.tls = \"disabled\" forbids"),
            Cause::TlsRefused => write!(f, "{remote} offers TLS and then refuses it"),
            Cause::Certificate(problem) => write!(f, "certificate of {remote} {problem}"),
            Cause::NoMechanism => write!(f, "{remote} offers no authentication that s2s.auth allows"),
            Cause::ExternalRefused(failure) => write!(f, "{remote} refused our certificate ({failure})"),
            Cause::DialbackInvalid => write!(f, "{remote} says our dialback key is invalid"),
            Cause::DialbackError(error) => write!(f, "{remote} could not verify our dialback key: {error}"),
            Cause::Stream(error) => write!(f, "{remote} closed the stream: {error}"),
            Cause::Closed => write!(f, "{remote} closed the stream without giving a reason"),
            Cause::Redirected { host, .. } => write!(f, "{remote} redirects us to {host}"),
            Cause::Misbehaved(error) => write!(f, "{remote} violated the protocol: {error}"),
        }
    }
}

impl std::error::Error for Failure {}

impl From<Fault> for Cause {
    fn from(fault: Fault) -> Self {
        Self::Misbehaved(fault.into())
    }
}
