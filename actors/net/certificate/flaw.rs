//! What is wrong with a certificate of our own, for `nuncio check`.

use std::fmt;

use openssl::{asn1::Asn1Time, x509::X509Ref};
use xmpp::{Domain, certificate::Name};

use super::{covers, date, names};
use crate::certificate::Identity;

/// What others would object to in a certificate of our own.
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
        /// What it is for, separated by commas.
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
    /// It will be over within two weeks; those who renew by machine do so earlier.
    ExpiresSoon {
        /// `2026-11-01`
        on: String,
    },
}

/// Looks for what others would object to in our own `identity` when it speaks for `domain`.
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

/// Certificates that machines renew are renewed 30 days before their end, so at 14 something is wrong.
const SOON_DAYS: u32 = 14;
