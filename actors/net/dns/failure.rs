//! Why a name led nowhere: NXDOMAIN, no data, SERVFAIL, silence and a bad signature have different consequences.

use std::{fmt, time::Duration};

use trust_dns_resolver::net::{DnsError, NetError};

use super::Rcode;

/// Why a name led nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The domain is not in the DNS.
    NoSuchDomain {
        /// It.
        domain: String,
    },
    /// The domain says that it has no XMPP service (an SRV record with target `.`).
    NotOffered {
        /// It.
        domain: String,
    },
    /// The domain exists, and has neither an SRV record nor an address.
    NoService {
        /// It.
        domain: String,
    },
    /// A host has no address. The domain whose SRV record names it exists, so this is not definitive.
    NoAddress {
        /// It.
        host: String,
        /// The name exists, with other data.
        exists: bool,
    },
    /// No answer came.
    Silent {
        /// What was asked.
        question: Question,
        /// How long was waited.
        after: Duration,
    },
    /// The name servers answered with an error.
    Refused {
        /// What was asked.
        question: Question,
        /// Its response code.
        code: Rcode,
    },
    /// The answer's signature is wrong (DNSSEC).
    Bogus {
        /// What was asked.
        question: Question,
    },
    /// No name server can be reached, or its answer cannot be read.
    Unusable {
        /// What was asked.
        question: Question,
        /// What the library said.
        reason: String,
    },
}

/// What was asked, as `_xmpp-server._tcp.b.example SRV`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// Without final dot.
    pub name: String,
    /// Record type.
    pub kind: &'static str,
}

impl Failure {
    /// Whether it is the domain's own word that there is nothing to connect to; asking again would not help.
    #[must_use]
    pub fn is_definitive(&self) -> bool {
        matches!(self, Self::NoSuchDomain { .. } | Self::NotOffered { .. } | Self::NoService { .. })
    }

    /// Sorts an error of the library that is not the answer "there is none".
    pub(super) fn new(error: &NetError, question: Question, after: Duration) -> Self {
        match error {
            NetError::Timeout => Self::Silent { question, after },
            NetError::Dns(DnsError::ResponseCode(code)) => Self::Refused { question, code: (*code).into() },
            NetError::Dns(DnsError::DnssecBogus) => Self::Bogus { question },
            NetError::Io(error) => Self::Unusable { question, reason: error.to_string() },
            error => Self::Unusable { question, reason: error.to_string() },
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchDomain { domain } => write!(f, "{domain} does not exist"),
            Self::NotOffered { domain } => write!(f, "{domain} says that it has no XMPP service"),
            Self::NoService { domain } => {
                write!(f, "{domain} has neither an XMPP service record nor an address")
            }
            Self::NoAddress { host, exists: true } => write!(f, "{host} has no address"),
            Self::NoAddress { host, exists: false } => write!(f, "{host} does not exist"),
            Self::Silent { question, after } => {
                write!(
                    f,
                    "the name servers did not answer within {} s (asked for {question})",
                    after.as_secs_f64()
                )
            }
            Self::Refused { question, code } => {
                write!(f, "the name servers answered {code} (asked for {question})")
            }
            Self::Bogus { question } => {
                write!(f, "the name servers' answer has a wrong DNSSEC signature (asked for {question})")
            }
            Self::Unusable { question, reason } => {
                write!(f, "the name servers cannot be used: {reason} (asked for {question})")
            }
        }
    }
}

impl std::error::Error for Failure {}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.kind)
    }
}
