//! Reads certificates and verifies them against the trust stores (RFC 5280), for `xmpp`, which has no X.509.
//!
//! Architecture Invariant: nothing here decides whether a peer may act for a domain. The result lists the
//! names in a certificate and its problem with each trust store of the configuration. The policy of `xmpp`
//! decides.

mod flaw;
mod name_constraints;
mod names;
mod revocation;
mod stores;
mod system;

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
use stores::Verification;
pub(crate) use stores::{Peer, Stores};

/// A certificate with its chain, leaf first, and its key.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificates, leaf first.
    pub chain: Vec<X509>,
    /// The private key of the leaf.
    pub key: PKey<Private>,
}

#[cfg(test)]
impl From<testkit::Identity> for Identity {
    fn from(identity: testkit::Identity) -> Self {
        Self { chain: identity.chain, key: identity.key }
    }
}

/// A trust store.
#[derive(Clone, Debug)]
pub enum Trust {
    /// The certificate authorities of the operating system.
    System,
    /// Only these authorities.
    Authorities(Vec<X509>),
}

/// Returns whether `certificate` has an identifier for `domain` (RFC 9525), or for the domains with one label more than
/// the parent of a wildcard. Chain and dates are not checked.
#[must_use]
pub fn covers(certificate: &X509Ref, domain: &Domain) -> bool {
    let described = described(certificate, Vec::new());
    match domain.wildcard_parent() {
        // An identifier with a wildcard matches every label, so it matches one that no certificate has by itself.
        Some(parent) => Domain::new(&format!("{ANY_LABEL}.{parent}")).is_ok_and(|any| described.names(&any)),
        None => described.names(domain),
    }
}

/// Verifies the certificate of a peer.
///
/// `chain` has the other certificates of the peer, and may have the `leaf` too. `staple` is the OCSP response
/// that the server sent in the handshake (RFC 6066 section 8).
pub(crate) fn verify(
    stores: &Stores,
    peer: Peer,
    leaf: &X509Ref,
    chain: &StackRef<X509>,
    staple: Option<&[u8]>,
) -> Certificate {
    let certificate = described(leaf, stores.verify(peer, leaf, chain, staple));
    // A bad chain leaves errors in OpenSSL's error queue, which belongs to the thread. Another connection of
    // the thread would read them as its own and end. The verification during the handshake leaves errors too.
    drop(ErrorStack::get());
    certificate
}

/// Verifies our own `identity` as a peer with these trust stores would.
///
/// # Errors
///
/// OpenSSL rejects an authority or has no memory, or the identity has no certificate.
pub fn preview(identity: &Identity, trust: &[Trust]) -> Result<Certificate, ErrorStack> {
    let stores = Stores::load(trust)?;
    let mut chain = Stack::new()?;
    for certificate in &identity.chain {
        chain.push(certificate.clone())?;
    }
    let leaf = identity.chain.first().ok_or_else(ErrorStack::get)?;
    Ok(verify(&stores, Peer::Server, leaf, &chain, None))
}

/// Returns the end of the validity of a certificate; `None` if OpenSSL cannot compute it.
pub(crate) fn not_after(certificate: &X509Ref) -> Option<SystemTime> {
    let span = Asn1Time::from_unix(0).ok()?.diff(certificate.not_after()).ok()?;
    let seconds = i64::from(span.days) * SECONDS_A_DAY + i64::from(span.secs);
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).ok()?))
}

/// Returns whether the validity of a certificate begins within 14 hours.
///
/// Authorities do not issue certificates ahead of time, so most likely the clock of this machine is wrong.
#[must_use]
pub fn begins_soon(certificate: &X509Ref) -> bool {
    let wait = Asn1Time::days_from_now(0).and_then(|now| now.diff(certificate.not_before()));
    wait.is_ok_and(|wait| wait.days == 0 && (0..MAX_SKEW).contains(&wait.secs))
}

/// Describes a certificate with the results of all trust stores.
fn described(leaf: &X509Ref, verifications: Vec<Verification>) -> Certificate {
    let (problems, constraints) = verifications.into_iter().map(|one| (one.problem, one.constraints)).unzip();
    Certificate {
        names: names::presented(leaf),
        problems,
        constraints,
        fingerprint: leaf.digest(MessageDigest::sha256()).map(|digest| hex(&digest)).unwrap_or_default(),
        issuer: readable(leaf.issuer_name()),
        expires: date(leaf.not_after()),
    }
}

/// Writes organisation and common name of a distinguished name, as `Let's Encrypt R11`.
///
/// The text comes from the peer, so control characters are removed and its length is limited.
fn readable(name: &X509NameRef) -> String {
    let part = |nid| {
        let text = name.entries_by_nid(nid).next()?.data().to_string().ok()?;
        let text: String = text.chars().filter(|c| !c.is_control()).take(MAX_NAME_PART).collect();
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

/// Writes the day of a time as `2026-11-01`. A time that cannot be read is written as OpenSSL does.
fn date(time: &(impl fmt::Display + ?Sized)) -> String {
    // OpenSSL writes `Nov  1 00:00:00 2026 GMT` and has no function for the parts.
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

/// The maximum length of a part of a name, in characters. Names of authorities are shorter.
const MAX_NAME_PART: usize = 80;

/// The largest likely error of a clock, in seconds: local time taken for universal time differs by up to 14
/// hours.
const MAX_SKEW: i32 = 14 * 60 * 60;

const SECONDS_A_DAY: i64 = 24 * 60 * 60;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A label that stands for any other one.
const ANY_LABEL: &str = "nuncio-any-name";

#[cfg(test)]
mod tests;
