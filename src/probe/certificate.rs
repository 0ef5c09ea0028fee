//! The steps about certificates: that of a peer, and our own file.

use actors::dial::error::certificate_cause;
use openssl::{asn1::Asn1TimeRef, x509::X509Ref};
use serde_json::json;
use xmpp::{
    Domain,
    certificate::{Certificate, Name, Problem},
    policy::{self, Policy},
};

use super::{
    cause::{self, Cause},
    observed::Presented,
    step::{Finding, Kind, Location, Step},
};
use crate::text::time::date;

/// The step in which a peer presents the certificate of `domain`.
pub(crate) fn presented(
    presented: &Presented,
    domain: &Domain,
    policy: &Policy,
    location: &Location,
) -> Step {
    let Some(certificate) = &presented.session.certificate else {
        let finding = finding(&Problem::Missing, Some(presented), domain, policy, location);
        return Step::ok(Kind::Certificate, location, "the peer presented none").with_finding(Some(finding));
    };
    let verdict = certificate.proves(domain, policy.trust);
    let [begins, ends] = presented
        .chain
        .first()
        .map_or_else(Default::default, |leaf| [leaf.not_before().to_string(), leaf.not_after().to_string()]);
    let names = names(certificate);
    let text = format!(
        "{}for {}\nissued by {}, {}\nvalid from {begins} to {ends}\nSHA-256 {}",
        if verdict.is_ok() { format!("proves {domain}\n") } else { String::new() },
        listed(&names),
        certificate.issuer,
        match presented.chain.len() {
            0 | 1 => "no other certificate in the chain".to_owned(),
            2 => "1 more certificate in the chain".to_owned(),
            all => format!("{} more certificates in the chain", all - 1),
        },
        certificate.fingerprint,
    );
    let day = |time: fn(&X509Ref) -> &Asn1TimeRef| {
        presented.chain.first().map(|leaf| date(time(leaf))).unwrap_or_default()
    };
    Step::ok(Kind::Certificate, location, &text)
        .fact("names", names)
        .fact("issuer", certificate.issuer.as_str())
        .fact("not_before", day(X509Ref::not_before))
        .fact("not_after", day(X509Ref::not_after))
        .fact("sha256", certificate.fingerprint.as_str())
        .fact("chain", json!(presented.chain.len()))
        .with_finding(
            verdict.err().map(|problem| finding(&problem, Some(presented), domain, policy, location)),
        )
}

/// The step in which the file with our own certificate is checked.
pub(crate) fn own_file(
    certificate: &Certificate,
    domain: &Domain,
    policy: &Policy,
    location: &Location,
) -> Step {
    let names = names(certificate);
    let verdict = certificate.proves(domain, policy.trust);
    let text = format!(
        "{}for {}\nissued by {}, until {}",
        match &verdict {
            Ok(()) => format!("the file proves {domain} to servers that trust the same authorities\n"),
            Err(_) => String::new(),
        },
        listed(&names),
        certificate.issuer,
        certificate.expires
    );
    Step::ok(Kind::Certificate, location, &text)
        .fact("names", names)
        .fact("issuer", certificate.issuer.as_str())
        .fact("not_after", certificate.expires.as_str())
        .fact("sha256", certificate.fingerprint.as_str())
        .with_finding(verdict.err().map(|problem| finding(&problem, None, domain, policy, location)))
}

/// The finding for a problem of a certificate. It is fatal if the policy does not accept the certificate, or
/// if it is our own.
fn finding(
    problem: &Problem,
    presented: Option<&Presented>,
    domain: &Domain,
    policy: &Policy,
    location: &Location,
) -> Finding {
    let cause = match location.own {
        true => of_own(problem),
        false => certificate_cause(problem, presented.is_some_and(is_incomplete)),
    };
    let fatal = policy::admit(policy, true, Err(problem.clone())).is_err() || location.own;
    Finding { cause, text: format!("certificate of {domain} {problem}"), fatal, own: location.own }
}

/// The cause for a problem of our own certificate.
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

/// Whether intermediate certificates are probably missing: the chain is a single certificate that contains
/// the address of its issuer's certificate (RFC 5280 section 4.2.2.1), as those of public authorities do.
pub(crate) fn is_incomplete(presented: &Presented) -> bool {
    let [leaf] = &presented.chain[..] else { return false };
    let is_issuer = |method: &str| method == "CA Issuers";
    leaf.authority_info()
        .is_some_and(|hints| hints.iter().any(|hint| hint.method().nid().long_name().is_ok_and(is_issuer)))
}

fn names(certificate: &Certificate) -> Vec<String> {
    let name = |name: &Name| match name {
        Name::Dns(name) | Name::Srv(name) | Name::XmppAddr(name) => name.clone(),
    };
    certificate.names.iter().map(name).collect()
}

/// The first names, and the number of the others.
fn listed(names: &[String]) -> String {
    match names.len() {
        0 => "no domain".to_owned(),
        1..=MAX_NAMES => names.join(", "),
        all => format!("{} and {} more", names[..MAX_NAMES].join(", "), all - MAX_NAMES),
    }
}

/// Maximum number of names in a line.
const MAX_NAMES: usize = 6;
