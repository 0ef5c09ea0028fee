//! Reads certificates and judges them against the trust stores (RFC 5280), so that `xmpp` need not know X.509.
//!
//! Architecture Invariant: nothing here decides whether a peer may speak for a domain. It says what a certificate
//! presents and what every trust store of the configuration thinks of it; the policy of `xmpp` draws the conclusion.

mod flaw;
mod limits;
mod names;
mod revocation;
mod stores;
mod system;
#[cfg(test)]
pub(crate) mod toy;

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use openssl::{
    asn1::Asn1Time,
    error::ErrorStack,
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private},
    stack::{Stack, StackRef},
    x509::{X509, X509NameRef, X509Ref},
};
use xmpp::{Domain, certificate::Certificate};

pub use flaw::{Flaw, flaws};
use stores::Verdict;
pub(crate) use stores::{Peer, Stores};

/// A certificate with its chain, leaf first, and its key.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Leaf first.
    pub chain: Vec<X509>,
    /// Fits the leaf.
    pub key: PKey<Private>,
}

/// A trust store.
#[derive(Clone, Debug)]
pub enum Trust {
    /// The system's certificate authorities.
    System,
    /// These, and no others.
    Authorities(Vec<X509>),
}

/// Whether `certificate` presents an identifier for `domain` (RFC 9525), whatever its chain and dates.
#[must_use]
pub fn covers(certificate: &X509Ref, domain: &Domain) -> bool {
    described(certificate, Vec::new()).names(domain)
}

/// Judges what a peer showed: its `leaf`, the rest of its `chain`, in which the leaf may stand too, and what a server
/// stapled to it: its authority's word on whether it was taken back.
pub(crate) fn judge(
    stores: &Stores,
    peer: Peer,
    leaf: &X509Ref,
    chain: &StackRef<X509>,
    staple: Option<&[u8]>,
) -> Certificate {
    let certificate = described(leaf, stores.verdicts(peer, leaf, chain, staple));
    // A bad chain leaves errors in OpenSSL's queue, which is the thread's: at its next read some other connection
    // would take them for its own, and end. The handshake's own look at the chain leaves them too.
    drop(ErrorStack::get());
    certificate
}

/// Foretells what a peer with these trust stores will make of our own `identity`.
///
/// # Errors
///
/// OpenSSL does not take an authority or has no memory, or there is no certificate.
pub fn preview(identity: &Identity, trust: &[Trust]) -> Result<Certificate, ErrorStack> {
    let stores = Stores::load(trust)?;
    let mut chain = Stack::new()?;
    for certificate in &identity.chain {
        chain.push(certificate.clone())?;
    }
    let leaf = identity.chain.first().ok_or_else(ErrorStack::get)?;
    Ok(judge(&stores, Peer::Server, leaf, &chain, None))
}

/// Gives the moment when a certificate ends; `None` for one that OpenSSL cannot count to.
pub(crate) fn end(certificate: &X509Ref) -> Option<SystemTime> {
    let span = Asn1Time::from_unix(0).ok()?.diff(certificate.not_after()).ok()?;
    let seconds = i64::from(span.days) * SECONDS_A_DAY + i64::from(span.secs);
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).ok()?))
}

/// Whether a certificate begins so soon that it is rather our clock which is wrong: nobody issues them ahead of time.
#[must_use]
pub fn begins_soon(certificate: &X509Ref) -> bool {
    let wait = Asn1Time::days_from_now(0).and_then(|now| now.diff(certificate.not_before()));
    wait.is_ok_and(|wait| wait.days == 0 && (0..MOST_SKEW).contains(&wait.secs))
}

fn described(leaf: &X509Ref, verdicts: Vec<Verdict>) -> Certificate {
    let (problems, constraints) =
        verdicts.into_iter().map(|verdict| (verdict.problem, verdict.limit)).unzip();
    Certificate {
        names: names::presented(leaf),
        problems,
        constraints,
        fingerprint: leaf.digest(MessageDigest::sha256()).map(|digest| hex(&digest)).unwrap_or_default(),
        issuer: readable(leaf.issuer_name()),
        expires: date(leaf.not_after()),
    }
}

/// Writes a distinguished name for the eyes of an operator, as `Let's Encrypt R11`: organisation and common name.
/// It is the peer's text, so what could upset a log or a terminal is left out.
fn readable(name: &X509NameRef) -> String {
    let part = |nid| {
        let text = name.entries_by_nid(nid).next()?.data().to_string().ok()?;
        let text: String = text.chars().filter(|c| !c.is_control()).take(LONGEST_PART).collect();
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    };
    match (part(Nid::ORGANIZATIONNAME), part(Nid::COMMONNAME).or_else(|| part(Nid::ORGANIZATIONALUNITNAME))) {
        (Some(organization), Some(common)) if !common.contains(&organization) => {
            format!("{organization} {common}")
        }
        (_, Some(common)) => common,
        (Some(organization), None) => organization,
        (None, None) => String::from("an issuer without a name"),
    }
}

/// Writes the day of a point in time as `2026-11-01`, and OpenSSL's own words for one that is none.
fn date(time: &(impl fmt::Display + ?Sized)) -> String {
    // OpenSSL gives `Nov  1 00:00:00 2026 GMT` and nothing finer to ask.
    let text = time.to_string();
    let mut words = text.split_whitespace();
    let (month, day, _clock, year) = (words.next(), words.next(), words.next(), words.next());
    let month = month.and_then(|month| MONTHS.iter().position(|name| *name == month));
    match (year, month, day.and_then(|day| day.parse::<u8>().ok())) {
        (Some(year), Some(month), Some(day)) => format!("{year}-{:02}-{day:02}", month + 1),
        _ => text,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Names of authorities are short; a longer one only wants to fill the log.
const LONGEST_PART: usize = 80;

/// In seconds. A clock that takes local time for universal time is off by up to 14 hours.
const MOST_SKEW: i32 = 14 * 60 * 60;

const SECONDS_A_DAY: i64 = 24 * 60 * 60;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

#[cfg(test)]
mod tests;
