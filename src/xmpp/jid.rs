//! Addresses (RFC 7622) and the names of domains.
use std::{fmt, sync::Arc};

/// A domainpart, normalised: IDNA A-labels, lower case, no trailing dot; or an IP literal as RFC 7622 writes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Domain(Arc<str>);

impl Domain {
    /// Reads a domainpart in any spelling.
    pub fn new(_text: &str) -> Result<Self, Error> {
        todo!()
    }
    /// The A-label form, as DNS and comparison use it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// Whether this is a proper subdomain of `parent`.
    pub fn is_below(&self, _parent: &Self) -> bool {
        todo!()
    }
}
impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whom a session is authenticated for: a local and a remote domain.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DomainPair {
    /// ours
    pub local: Domain,
    /// theirs
    pub remote: Domain,
}
// Display: "a.example > b.example"
impl fmt::Display for DomainPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} > {}", self.local, self.remote)
    }
}

/// The three parts of an address, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jid<'a> {
    /// before `@`
    pub local: Option<&'a str>,
    /// the domainpart as written
    pub domain: &'a str,
    /// after `/`
    pub resource: Option<&'a str>,
}
impl<'a> Jid<'a> {
    /// Splits and checks an address (RFC 7622 section 3: lengths, PRECIS classes).
    pub fn parse(_text: &'a str) -> Result<Self, Error> {
        todo!()
    }
}

/// Why a text is not an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// stub
    Empty,
}
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}
impl std::error::Error for Error {}
