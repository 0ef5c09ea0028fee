//! Reads certificates and judges them against the trust stores (RFC 5280), so that `xmpp` need not know X.509.

use std::fmt;

use openssl::x509::X509Ref;
use xmpp::Domain;

use crate::settings::Identity;

/// Whether `certificate` presents an identifier for `domain` (RFC 9525), whatever its chain and dates.
#[must_use]
pub fn covers(certificate: &X509Ref, domain: &Domain) -> bool {
    let _ = (certificate, domain);
    todo!()
}

/// Looks for what others would object to in our own `identity` when it speaks for `domain`.
#[must_use]
pub fn flaws(identity: &Identity, domain: &Domain) -> Vec<Flaw> {
    let _ = (identity, domain);
    todo!()
}

/// What is wrong with a certificate of our own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flaw {
    /// There is none in the file.
    Empty,
    /// The key is another certificate's.
    WrongKey,
    /// It is for other names.
    WrongName {
        /// The domain it had to be for.
        domain: Domain,
        /// What it is for.
        names: String,
    },
    /// Its time is over.
    Expired {
        /// `2026-11-01`
        on: String,
    },
    /// Its time has not come.
    NotYetValid {
        /// `2026-11-01`
        until: String,
    },
    /// Its extended key usage allows neither end of a stream between servers.
    WrongPurpose,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}
