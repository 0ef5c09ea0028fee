//! Flaws of our own certificates, for `nuncio check`.

use std::fmt;

use openssl::{asn1::Asn1Time, x509::X509Ref};
use xmpp::{Domain, certificate::Name};

use super::{covers, date, names};
use crate::certificate::Identity;

/// A flaw of our own certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flaw {
    /// The file has no certificate.
    Empty,
    /// The key does not belong to the certificate.
    WrongKey,
    /// The certificate has no identifier for the domain.
    WrongName {
        /// The required domain.
        domain: Domain,
        /// The identifiers in the certificate, separated by commas.
        names: String,
    },
    /// It has expired.
    Expired {
        /// The last day, such as `2026-11-01`.
        on: String,
    },
    /// It is not valid yet.
    NotYetValid {
        /// The first day, such as `2026-11-01`.
        until: String,
    },
    /// It expires within 14 days. Automatic renewal happens earlier.
    ExpiresSoon {
        /// The last day, such as `2026-11-01`.
        on: String,
    },
}

/// Returns the flaws of our own `identity` for `domain`.
#[must_use]
pub fn flaws(identity: &Identity, domain: &Domain) -> Vec<Flaw> {
    let Some(leaf) = identity.chain.first() else { return vec![Flaw::Empty] };
    let mut flaws = Vec::new();
    if !leaf.public_key().is_ok_and(|key| key.public_eq(&identity.key)) {
        flaws.push(Flaw::WrongKey);
    }
    if !covers(leaf, domain) {
        flaws.push(Flaw::WrongName { domain: domain.clone(), names: listed(leaf) });
    }
    flaws.extend(untimely(leaf));
    flaws
}

fn untimely(leaf: &X509Ref) -> Option<Flaw> {
    let now = Asn1Time::days_from_now(0).ok()?;
    let soon = Asn1Time::days_from_now(SOON_DAYS).ok()?;
    let day = date(leaf.not_after());
    if *leaf.not_before() > *now {
        Some(Flaw::NotYetValid { until: date(leaf.not_before()) })
    } else if *leaf.not_after() <= *now {
        Some(Flaw::Expired { on: day })
    } else {
        (*leaf.not_after() <= *soon).then_some(Flaw::ExpiresSoon { on: day })
    }
}

fn listed(leaf: &X509Ref) -> String {
    let names: Vec<String> = names::presented(leaf)
        .into_iter()
        .map(|name| match name {
            Name::Dns(name) | Name::Srv(name) | Name::XmppAddr(name) => name,
        })
        .collect();
    if names.is_empty() { String::from("no domain") } else { names.join(", ") }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("holds no certificate"),
            Self::WrongKey => f.write_str("does not belong to the key"),
            Self::WrongName { domain, names } => write!(f, "is for {names}, not for {domain}"),
            Self::Expired { on } => write!(f, "expired on {on}"),
            Self::NotYetValid { until } => write!(f, "is not valid before {until}"),
            Self::ExpiresSoon { on } => write!(f, "expires on {on}"),
        }
    }
}

/// Automatic renewal happens 30 days before the end, so at 14 days it has failed.
const SOON_DAYS: u32 = 14;
