//! Errors of name resolution.

use std::{fmt, time::Duration};

use thiserror::Error;
use trust_dns_resolver::{
    net::{DnsError, NetError},
    proto::op::ResponseCode,
};

use super::Question;

/// The reason why a lookup gave no target or no address.
///
/// The variants differ in their consequence: see [`LookupError::is_definitive`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LookupError {
    /// The domain does not exist (NXDOMAIN, RFC 1035 section 4.1.1).
    #[error("{domain} does not exist")]
    NoSuchDomain {
        /// The domain.
        domain: String,
    },
    /// The domain declares that it has no XMPP service: an SRV record with target `.` (RFC 2782).
    #[error("{domain} says that it has no XMPP service")]
    NotOffered {
        /// The domain.
        domain: String,
    },
    /// The domain exists and has neither an SRV record nor an address.
    #[error("{domain} has neither an XMPP service record nor an address")]
    NoService {
        /// The domain.
        domain: String,
    },
    /// A host has no address. This is not definitive: the domain that names the host in an SRV record exists.
    #[error("{host} {}", if *.exists { "has no address" } else { "does not exist" })]
    NoAddress {
        /// The host.
        host: String,
        /// Whether the name exists with other records.
        exists: bool,
    },
    /// No answer came within the time limit.
    #[error("the name servers did not answer within {} s (asked for {question})", .after.as_secs_f64())]
    Silent {
        /// The question without an answer.
        question: Question,
        /// The time limit.
        after: Duration,
    },
    /// The name servers answered with an error.
    #[error("the name servers answered {code} (asked for {question})")]
    Refused {
        /// The question.
        question: Question,
        /// The error in the answer.
        code: Rcode,
    },
    /// The answer has an invalid DNSSEC signature (RFC 4035 section 5.5).
    #[error("the name servers' answer has a wrong DNSSEC signature (asked for {question})")]
    Bogus {
        /// The question.
        question: Question,
    },
    /// No name server can be reached, or its answer cannot be read.
    #[error("the name servers cannot be used: {reason} (asked for {question})")]
    Unusable {
        /// The question.
        question: Question,
        /// The error in the words of the system or of the library.
        reason: String,
    },
}

/// The error code of a DNS answer (RFC 1035 section 4.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rcode {
    /// FORMERR: the name server could not read the question.
    FormatError,
    /// SERVFAIL: the name server could not find an answer.
    ServerFailure,
    /// NOTIMP: the name server does not support this kind of question.
    NotImplemented,
    /// REFUSED: the name server does not answer this client.
    Refused,
    /// Another code, by its number.
    Other(u16),
}

/// The node could not set up name resolution.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("name resolution cannot be set up: {0}")]
pub struct SetupError(pub(super) String);

impl LookupError {
    /// Returns whether the domain itself declares that there is nothing to connect to.
    ///
    /// Another lookup would have the same result. All other errors are temporary.
    #[must_use]
    pub fn is_definitive(&self) -> bool {
        matches!(self, Self::NoSuchDomain { .. } | Self::NotOffered { .. } | Self::NoService { .. })
    }

    /// Classifies an error of the library. `timeout` is the time limit of the lookup.
    ///
    /// The library also reports a negative answer as an error; that one is not passed here.
    pub(super) fn new(error: &NetError, question: Question, timeout: Duration) -> Self {
        match error {
            NetError::Timeout => Self::Silent { question, after: timeout },
            NetError::Dns(DnsError::ResponseCode(code)) => {
                Self::Refused { question, code: Rcode::from(*code) }
            }
            NetError::Dns(DnsError::DnssecBogus) => Self::Bogus { question },
            NetError::Io(error) => Self::Unusable { question, reason: error.to_string() },
            error => Self::Unusable { question, reason: error.to_string() },
        }
    }
}

impl From<ResponseCode> for Rcode {
    fn from(code: ResponseCode) -> Self {
        match code {
            ResponseCode::FormErr => Self::FormatError,
            ResponseCode::ServFail => Self::ServerFailure,
            ResponseCode::NotImp => Self::NotImplemented,
            ResponseCode::Refused => Self::Refused,
            code => Self::Other(code.into()),
        }
    }
}

impl fmt::Display for Rcode {
    /// Writes the mnemonic, such as `SERVFAIL`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FormatError => f.write_str("FORMERR"),
            Self::ServerFailure => f.write_str("SERVFAIL"),
            Self::NotImplemented => f.write_str("NOTIMP"),
            Self::Refused => f.write_str("REFUSED"),
            Self::Other(code) => write!(f, "error code {code}"),
        }
    }
}
