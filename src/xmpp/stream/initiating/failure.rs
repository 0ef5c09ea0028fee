//! Why a stream did not come about, sorted by blame.
use crate::{
    Domain,
    certificate::Problem,
    sasl, stanza,
    stream::{Condition, Error, error::Fault},
};
use std::fmt;

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
    /// it offered TLS and answered `<starttls/>` with `<failure/>`
    TlsRefused,
    /// its certificate does not prove it, and our policy lets nothing else vouch for it
    Certificate(Problem),
    /// nothing that it offers is allowed by our policy
    NoMechanism,
    /// it refused our certificate, and nothing else was left to try
    ExternalRefused(sasl::Failure),
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
        let (type_, condition) = match self.cause {
            Cause::DialbackInvalid => (stanza::ErrorType::Cancel, stanza::Condition::InternalServerError),
            _ => (stanza::ErrorType::Wait, stanza::Condition::RemoteServerTimeout),
        };
        stanza::Error { type_, condition, text: self.to_string() }
    }

    /// Whether the server at that address says that it does not serve the domain.
    pub fn says_host_unknown(&self) -> bool {
        matches!(&self.cause, Cause::Stream(error) if error.condition == Condition::HostUnknown)
    }

    /// Whether waiting would not mend it: TLS not to be had, certificate, authentication.
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
            // `policy-violation` comes from servers that are asked too often, too.
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
            Cause::TlsForbidden => write!(f, "{remote} demands TLS, which s2s.tls = \"disabled\" forbids"),
            Cause::TlsRefused => write!(f, "{remote} offers TLS and then refuses it"),
            Cause::Certificate(problem) => write!(f, "certificate of {remote} {problem}"),
            Cause::NoMechanism => write!(f, "{remote} offers no authentication that s2s.auth allows"),
            Cause::ExternalRefused(failure) => write!(f, "{remote} refused our certificate ({failure})"),
            Cause::DialbackInvalid => write!(f, "{remote} says our dialback key is invalid"),
            Cause::DialbackError(error) => write!(f, "{remote} could not verify our dialback key: {error}"),
            Cause::Stream(error) => write!(f, "{remote} closed the stream: {error}"),
            Cause::Closed => write!(f, "{remote} closed the stream without giving a reason"),
            Cause::Redirected { host, .. } => write!(f, "{remote} sends us to {host}"),
            Cause::Misbehaved(error) => write!(f, "{remote} broke the protocol: {error}"),
        }
    }
}

impl std::error::Error for Failure {}

impl From<Fault> for Cause {
    fn from(fault: Fault) -> Self {
        Self::Misbehaved(fault.into())
    }
}
