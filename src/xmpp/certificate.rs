//! What a peer's certificate says and whether it proves a domain (RFC 6120 13.7, RFC 9525). Reading X.509 is the transport's job.
use crate::Domain;
use std::fmt;

/// An identifier presented in a subjectAltName.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Name {
    Dns(String),
    /// `_service.domain` (RFC 4985)
    Srv(String),
    /// id-on-xmppAddr
    XmppAddr(String),
}

/// The peer's certificate as the TLS layer found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// identifiers of the leaf
    pub names: Vec<Name>,
    /// why the chain is not acceptable to each trust store of the configuration, by number
    pub problems: Vec<Option<Problem>>,
    /// SHA-256 of the leaf, lower-case hex
    pub fingerprint: String,
    /// issuer, for the log
    pub issuer: String,
    /// not after, `2026-11-01`
    pub expires: String,
}
/// Why a certificate does not prove a domain. Display gives `expired on 2026-11-01` and the like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// none was shown
    Missing,
    #[allow(missing_docs)]
    Expired { on: String },
    #[allow(missing_docs)]
    NotYetValid { until: String },
    #[allow(missing_docs)]
    SelfSigned,
    /// the chain ends at, or lacks, this issuer
    UnknownAuthority {
        /// issuer
        issuer: String,
    },
    /// its extended key usage allows neither
    WrongPurpose,
    #[allow(missing_docs)]
    Revoked,
    /// good chain, other names
    WrongName {
        /// the domain it had to be for
        wanted: Domain,
        /// what it is for
        names: String,
    },
    /// what OpenSSL said
    Other(String),
}
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}
impl Certificate {
    /// Whether it proves `domain`: acceptable chain and a matching identifier.
    pub fn proves(&self, _domain: &Domain, _trust: crate::policy::Trust) -> Result<(), Problem> {
        todo!()
    }
    /// Whether one of its identifiers matches, whatever the chain.
    pub fn names(&self, _domain: &Domain) -> bool {
        todo!()
    }
}
