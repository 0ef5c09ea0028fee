//! Finds where a domain offers its XMPP service to servers (RFC 6120 section 3.2, XEP-0368, RFC 2782).

use std::{fmt, net::IpAddr, time::Duration};

use xmpp::Domain;

use crate::settings;

/// The name service.
#[derive(Clone, Debug)]
pub struct Dns;

impl Dns {
    /// Makes it ready; asks nothing yet.
    ///
    /// # Errors
    ///
    /// The system's configuration cannot be read, though it was to be used.
    pub fn new(_settings: &settings::Dns) -> Result<Self, Error> {
        todo!()
    }

    /// Asks where the service of `domain` is: its targets, in the order in which to try them; never empty.
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    pub async fn service(&self, _domain: &Domain) -> Result<Vec<Target>, Failure> {
        todo!()
    }

    /// Asks for the addresses of a host, IPv6 and IPv4 in turn; never empty. An IP literal is its own address.
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    pub async fn addresses(&self, _host: &str) -> Result<Vec<IpAddr>, Failure> {
        todo!()
    }
}

/// Somewhere a domain's service is to be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// A name without final dot, or an IP address without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// TLS from the first byte (XEP-0368), else STARTTLS.
    pub direct_tls: bool,
    /// Lower ones come first.
    pub priority: u16,
    /// Share among those of one priority.
    pub weight: u16,
    /// It stands in an SRV record; else it is the domain itself.
    pub from_srv: bool,
}

/// `xmpp.b.example:5269`
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

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
    /// A host, target of an SRV record, has no address.
    NoAddress {
        /// It.
        host: String,
    },
    /// No answer came.
    Silent {
        /// What was asked.
        question: Question,
        /// How long was waited.
        after: Duration,
    },
    /// The name servers answered with an error, as `SERVFAIL` or `REFUSED`.
    Refused {
        /// What was asked.
        question: Question,
        /// The response code.
        code: String,
    },
    /// The answer's signature is wrong (DNSSEC).
    Bogus {
        /// What was asked.
        question: Question,
    },
    /// There is no name server to ask, or the answer was unreadable.
    Unusable {
        /// What was asked.
        question: Question,
        /// What the library said.
        reason: String,
    },
}

impl Failure {
    /// Whether asking again is pointless for now: the domain does not exist or has no XMPP service.
    #[must_use]
    pub fn is_definitive(&self) -> bool {
        matches!(self, Self::NoSuchDomain { .. } | Self::NotOffered { .. } | Self::NoService { .. })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// What was asked, as `_xmpp-server._tcp.b.example SRV`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Without final dot.
    pub name: String,
    /// Record type.
    pub kind: &'static str,
}

/// Why there is no name service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(String);
