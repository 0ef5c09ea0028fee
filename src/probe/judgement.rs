//! A certificate as it was shown, what the node thinks of it, and what is wrong with it.

use openssl::{asn1::Asn1Time, x509::X509};
use serde_json::json;
use xmpp::{
    Domain,
    certificate::{Certificate, Name, Problem},
    policy::{self, Policy},
};

use super::{
    cause::{self, Cause},
    sight::Shown,
    step::{Finding, Place, Step},
};

/// The step in which a peer that should be `domain` shows its certificate.
pub(crate) fn step(shown: &Shown, domain: &Domain, policy: &Policy, place: &Place) -> Step {
    let Some(certificate) = &shown.session.certificate else {
        let problem = Problem::Missing;
        let finding = finding(&problem, Some(shown), domain, policy, place);
        return Step::good("certificate", place, "none was shown").finding(Some(finding));
    };
    let verdict = certificate.proves(domain, policy.trust);
    let first = match &verdict {
        Ok(()) => format!("proves {domain}"),
        Err(problem) => format!("certificate of {domain} {problem}"),
    };
    let names: Vec<String> = certificate.names.iter().map(|name| self::name(name).to_owned()).collect();
    let [begins, ends] = shown
        .chain
        .first()
        .map_or_else(Default::default, |leaf| [leaf.not_before().to_string(), leaf.not_after().to_string()]);
    let words = format!(
        "{first}\nfor {}\nfrom {}, {}\nvalid from {begins} to {ends}\nSHA-256 {}",
        listed(&names),
        certificate.issuer,
        match shown.chain.len() {
            0 | 1 => "no other certificate with it".to_owned(),
            2 => "1 more certificate with it".to_owned(),
            all => format!("{} more certificates with it", all - 1),
        },
        certificate.fingerprint,
    );
    Step::good("certificate", place, words)
        .fact("names", names)
        .fact("issuer", certificate.issuer.as_str())
        .fact("not_before", begins)
        .fact("not_after", ends)
        .fact("sha256", certificate.fingerprint.as_str())
        .fact("chain", json!(shown.chain.len()))
        .finding(verdict.err().map(|problem| finding(&problem, Some(shown), domain, policy, place)))
}

/// What a problem amounts to under the policy: the end, or the end of EXTERNAL.
fn finding(
    problem: &Problem,
    shown: Option<&Shown>,
    domain: &Domain,
    policy: &Policy,
    place: &Place,
) -> Finding {
    let cause = if place.own { of_own(problem) } else { of(problem, shown) };
    let grave = policy::admit(policy, true, Err(problem.clone())).is_err() || place.own;
    Finding { cause, happened: format!("certificate of {domain} {problem}"), grave, own: place.own }
}

/// What is wrong with a remote's certificate.
pub(crate) fn of(problem: &Problem, shown: Option<&Shown>) -> &'static Cause {
    let leaf = shown.and_then(|shown| shown.chain.first());
    match problem {
        Problem::Missing => &cause::CERTIFICATE_MISSING,
        Problem::Expired { .. } => &cause::EXPIRED,
        Problem::NotYetValid { .. } if leaf.is_some_and(begins_soon) => &cause::CLOCK_SKEW,
        Problem::NotYetValid { .. } => &cause::NOT_YET_VALID,
        Problem::SelfSigned => &cause::SELF_SIGNED,
        Problem::UnknownAuthority { .. } if shown.is_some_and(is_incomplete) => &cause::INCOMPLETE_CHAIN,
        Problem::UnknownAuthority { .. } => &cause::UNKNOWN_AUTHORITY,
        Problem::WrongPurpose => &cause::WRONG_PURPOSE,
        Problem::Revoked => &cause::REVOKED,
        Problem::WrongName { .. } => &cause::WRONG_NAME,
        Problem::Other(_) => &cause::CERTIFICATE_BAD,
    }
}

/// What is wrong with our own certificate.
pub(crate) fn of_own(problem: &Problem) -> &'static Cause {
    match problem {
        Problem::Missing => &cause::OWN_MISSING,
        Problem::Expired { .. } => &cause::OWN_EXPIRED,
        Problem::NotYetValid { .. } => &cause::OWN_NOT_YET_VALID,
        Problem::SelfSigned | Problem::UnknownAuthority { .. } => &cause::OWN_UNTRUSTED,
        Problem::WrongName { .. } => &cause::OWN_WRONG_NAME,
        Problem::WrongPurpose | Problem::Revoked | Problem::Other(_) => &cause::OWN_BAD,
    }
}

/// Whether a certificate begins so soon that it is rather our clock which is wrong: nobody issues them ahead of time.
pub(crate) fn begins_soon(leaf: &X509) -> bool {
    let wait = Asn1Time::days_from_now(0).and_then(|now| now.diff(leaf.not_before()));
    wait.is_ok_and(|wait| wait.days == 0 && (0..MOST_SKEW).contains(&wait.secs))
}

/// Whether a leaf came alone that says where its issuer's certificate is to be had (RFC 5280 section 4.2.2.1): those of
/// public authorities do, and need an intermediate. One without such a hint may well come from a private root.
fn is_incomplete(shown: &Shown) -> bool {
    let [leaf] = &shown.chain[..] else { return false };
    let is_issuer = |method: &str| method == "CA Issuers";
    leaf.authority_info()
        .is_some_and(|hints| hints.iter().any(|hint| hint.method().nid().long_name().is_ok_and(is_issuer)))
}

/// The step in which our own certificate is looked at as a file.
pub(crate) fn own_file(certificate: &Certificate, domain: &Domain, policy: &Policy, place: &Place) -> Step {
    let names: Vec<String> = certificate.names.iter().map(|name| self::name(name).to_owned()).collect();
    let verdict = certificate.proves(domain, policy.trust);
    let first = match &verdict {
        Ok(()) => format!("the file of the configuration proves {domain} to whoever trusts what we trust"),
        Err(problem) => format!("certificate of {domain} {problem}"),
    };
    let words = format!(
        "{first}\nfor {}\nfrom {}, until {}",
        listed(&names),
        certificate.issuer,
        certificate.expires
    );
    Step::good("certificate", place, words)
        .fact("names", names)
        .fact("issuer", certificate.issuer.as_str())
        .fact("not_after", certificate.expires.as_str())
        .fact("sha256", certificate.fingerprint.as_str())
        .finding(verdict.err().map(|problem| finding(&problem, None, domain, policy, place)))
}

fn name(name: &Name) -> &str {
    match name {
        Name::Dns(name) | Name::Srv(name) | Name::XmppAddr(name) => name,
    }
}

fn listed(names: &[String]) -> String {
    match names.len() {
        0 => "no domain".to_owned(),
        1..=LISTED => names.join(", "),
        all => format!("{} and {} more", names[..LISTED].join(", "), all - LISTED),
    }
}

/// In seconds. A clock that takes local time for universal time is off by up to 14 hours.
const MOST_SKEW: i32 = 14 * 60 * 60;

/// How many names a person reads.
const LISTED: usize = 6;
