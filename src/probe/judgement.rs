//! A certificate as it was shown, what the node thinks of it, and what is wrong with it.

use openssl::{asn1::Asn1TimeRef, x509::X509Ref};
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
use crate::check::date;
use actors::dial::failure::diagnosis::of_certificate;

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
    let day = |time: fn(&X509Ref) -> &Asn1TimeRef| {
        shown.chain.first().map(|leaf| date(time(leaf))).unwrap_or_default()
    };
    Step::good("certificate", place, words)
        .fact("names", names)
        .fact("issuer", certificate.issuer.as_str())
        .fact("not_before", day(X509Ref::not_before))
        .fact("not_after", day(X509Ref::not_after))
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
    let cause = match place.own {
        true => of_own(problem),
        false => of_certificate(problem, shown.is_some_and(is_incomplete)),
    };
    let grave = policy::admit(policy, true, Err(problem.clone())).is_err() || place.own;
    Finding { cause, happened: format!("certificate of {domain} {problem}"), grave, own: place.own }
}

/// What is wrong with our own certificate.
pub(crate) fn of_own(problem: &Problem) -> &'static Cause {
    match problem {
        Problem::Missing => &cause::OWN_MISSING,
        Problem::Expired { .. } => &cause::OWN_EXPIRED,
        Problem::NotYetValid { .. } => &cause::OWN_NOT_YET_VALID,
        Problem::SelfSigned
        | Problem::UnknownAuthority { .. }
        | Problem::AuthorityExpired { .. }
        | Problem::AuthorityNotYetValid { .. } => &cause::OWN_UNTRUSTED,
        Problem::WrongName { .. } => &cause::OWN_WRONG_NAME,
        Problem::WrongPurpose | Problem::Revoked { .. } | Problem::Other(_) => &cause::OWN_BAD,
    }
}

/// Whether a leaf came alone that says where its issuer's certificate is to be had (RFC 5280 section 4.2.2.1): those of
/// public authorities do, and need an intermediate. One without such a hint may well come from a private root.
pub(crate) fn is_incomplete(shown: &Shown) -> bool {
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
        Ok(()) => format!("the certificate file proves {domain} to servers that trust the same authorities"),
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

/// How many names a person reads.
const LISTED: usize = 6;
