//! The peer's certificate, and whether it proves a domain (RFC 6120 section 13.7, RFC 9525).
//!
//! The TLS layer reads X.509 and verifies the chain. This module decides whether the results prove a domain.

use crate::Domain;
use std::fmt;

mod constraints;

pub use constraints::{Authority, NameConstraints, Subtree};

/// One of the trust stores of the configuration, by its number: the place of its entry in
/// [`Certificate::problems`] and [`Certificate::constraints`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrustStore(pub usize);

/// An identifier in a subjectAltName. The common name of the subject does not count (RFC 9525 section 2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// A dNSName, which may have a wildcard.
    Dns(String),
    /// An SRVName: `_service.domain` (RFC 4985).
    Srv(String),
    /// An id-on-xmppAddr (RFC 6120 section 13.7.1.4).
    XmppAddr(String),
}

/// The peer's certificate as the TLS layer found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Identifiers of the leaf.
    pub names: Vec<Name>,
    /// The problem of the chain for each trust store, by its number; `None` where the chain is valid.
    pub problems: Vec<Option<Problem>>,
    /// The name constraints of the authorities in the chain to each trust store (RFC 5280 section 4.2.1.10),
    /// by its number; `None` where no authority is constrained, or the chain is not valid.
    pub constraints: Vec<Option<NameConstraints>>,
    /// SHA-256 of the leaf, in lower-case hexadecimal.
    pub fingerprint: String,
    /// The issuer, for the log.
    pub issuer: String,
    /// The last valid day, `2026-11-01`.
    pub expires: String,
}

/// The reason why a certificate does not prove a domain.
///
/// Its `Display` ends a sentence that begins with the certificate: `certificate of b.example expired on
/// 2026-11-01`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// No certificate was shown.
    Missing,
    /// It has expired.
    Expired {
        /// The last day, `2026-11-01`.
        on: String,
    },
    /// It is not valid yet.
    NotYetValid {
        /// The first day, `2026-11-01`.
        until: String,
        /// It becomes valid within hours. Certificates are not issued ahead of time, so a clock is probably
        /// wrong.
        soon: bool,
    },
    /// The certificate of an authority in its chain has expired.
    AuthorityExpired {
        /// Name of the authority.
        authority: String,
        /// The last day, `2026-11-01`.
        on: String,
    },
    /// The certificate of an authority in its chain is not valid yet.
    AuthorityNotYetValid {
        /// Name of the authority.
        authority: String,
        /// The first day, `2026-11-01`.
        until: String,
        /// It becomes valid within hours, as in `NotYetValid`.
        soon: bool,
    },
    /// Its authority has revoked it.
    Revoked {
        /// The day of the revocation, `2026-11-01`.
        on: String,
    },
    /// It is self-signed.
    SelfSigned,
    /// The chain ends at this issuer, which is not trusted, or lacks it.
    UnknownAuthority {
        /// Name of the issuer.
        issuer: String,
    },
    /// Its extended key usage does not allow this use.
    WrongPurpose,
    /// The chain is valid, but none of the names matches.
    WrongName {
        /// The domain that it had to prove.
        wanted: Domain,
        /// The names in it, `a.example, b.example`; empty when there are none.
        names: String,
    },
    /// Another problem, in the words of OpenSSL.
    Other(String),
}

impl Certificate {
    /// Checks whether it proves `domain`: the chain has to be valid for `trust`, and an identifier has to
    /// match.
    ///
    /// # Errors
    /// Gives the problem with the chain, or else with the names.
    pub fn proves(&self, domain: &Domain, trust: TrustStore) -> Result<(), Problem> {
        match self.problems.get(trust.0) {
            Some(None) => {}
            Some(Some(problem)) => return Err(problem.clone()),
            None => return Err(Problem::Other("was never checked against the trusted authorities".into())),
        }
        let constraints = self.constraints.get(trust.0).and_then(Option::as_ref);
        let within = |name| constraints.is_none_or(|constraints| constraints.admits(name, domain));
        let mut matching = self.names.iter().filter(|name| name.matches(domain)).peekable();
        if matching.peek().is_some() {
            let words = || {
                Problem::Other(format!("comes from an authority that is not permitted to certify {domain}"))
            };
            return if matching.any(within) { Ok(()) } else { Err(words()) };
        }
        Err(Problem::WrongName { wanted: domain.clone(), names: self.list_names() })
    }

    /// Whether one of its identifiers matches. The chain does not count.
    pub fn names(&self, domain: &Domain) -> bool {
        self.names.iter().any(|name| name.matches(domain))
    }

    /// It has expired.
    pub(crate) fn end(&mut self) {
        for problem in self.problems.iter_mut().filter(|problem| problem.is_none()) {
            *problem = Some(Problem::Expired { on: self.expires.clone() });
        }
    }

    /// The names in it as a list for an operator.
    fn list_names(&self) -> String {
        let mut names: Vec<&str> = Vec::new();
        for name in &self.names {
            let name = match name {
                Name::Dns(name) | Name::XmppAddr(name) => name,
                Name::Srv(name) => name.strip_prefix(SERVICE).unwrap_or(name),
            };
            if !names.contains(&name) {
                names.push(name);
            }
        }
        match names.len() {
            0..=LISTED => names.join(", "),
            all => format!("{} and {} more", names[..LISTED].join(", "), all - LISTED),
        }
    }
}

impl Name {
    /// Whether this identifier matches `domain` (RFC 9525 section 6.3, RFC 6120 section 13.7.1.2).
    fn matches(&self, domain: &Domain) -> bool {
        match self {
            // An IP address is not a DNS name, also when a dNSName contains it.
            Self::Dns(_) | Self::Srv(_) if domain.is_ip_literal() => false,
            Self::Dns(name) => match name.strip_prefix("*.") {
                Some(parent) => domain.as_str().split_once('.').is_some_and(|(_, above)| is(above, parent)),
                None => is(domain.as_str(), name),
            },
            // The comparison ignores case (RFC 4985 section 2). Wildcards are not allowed.
            Self::Srv(name) => match name.split_at_checked(SERVICE.len()) {
                Some((service, name)) => service.eq_ignore_ascii_case(SERVICE) && is(domain.as_str(), name),
                None => false,
            },
            // A JID has many spellings. One with a `*` in it is not a domain.
            Self::XmppAddr(address) => Domain::new(address).is_ok_and(|address| address == *domain),
        }
    }
}

impl Problem {
    /// The kind of the problem, for tables and metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Expired { .. } => "expired",
            Self::NotYetValid { .. } => "not-yet-valid",
            Self::AuthorityExpired { .. } => "authority-expired",
            Self::AuthorityNotYetValid { .. } => "authority-not-yet-valid",
            Self::Revoked { .. } => "revoked",
            Self::SelfSigned => "self-signed",
            Self::UnknownAuthority { .. } => "unknown-authority",
            Self::WrongPurpose => "wrong-purpose",
            Self::WrongName { .. } => "wrong-name",
            Self::Other(_) => "bad",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("was not presented"),
            Self::Expired { on } => write!(f, "expired on {on}"),
            Self::NotYetValid { until, .. } => write!(f, "is not valid before {until}"),
            Self::AuthorityExpired { authority, on } => {
                write!(f, "comes from an authority ({authority}) whose own certificate expired on {on}")
            }
            Self::AuthorityNotYetValid { authority, until, .. } => {
                write!(
                    f,
                    "comes from an authority ({authority}) whose own certificate is not valid before {until}"
                )
            }
            Self::Revoked { on } => write!(f, "was revoked on {on}"),
            Self::SelfSigned => f.write_str("is self-signed"),
            Self::UnknownAuthority { issuer } => write!(f, "comes from an unknown authority ({issuer})"),
            Self::WrongPurpose => f.write_str("is not meant for servers"),
            Self::WrongName { wanted, names } if names.is_empty() => {
                write!(f, "is for no domain, so not for {wanted}")
            }
            Self::WrongName { wanted, names } if names.contains(", ") => {
                write!(f, "is for other names ({names}), not for {wanted}")
            }
            Self::WrongName { wanted, names } => write!(f, "is for another name ({names}), not for {wanted}"),
            Self::Other(words) => f.write_str(words),
        }
    }
}

/// Whether a DNS name in a certificate is the wanted one, which is in A-labels. The comparison ignores the
/// case of ASCII only (RFC 9525 section 6.3): a name that IDNA would map to it is another name, also for name
/// constraints.
fn is(wanted: &str, name: &str) -> bool {
    name.strip_suffix('.').unwrap_or(name).eq_ignore_ascii_case(wanted)
}

/// The prefix of an SRVName for server-to-server streams (RFC 6120 section 13.7.1.2.1).
const SERVICE: &str = "_xmpp-server.";

/// The limit for names in a sentence. Certificates of hosting companies have a hundred.
const LISTED: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(names: impl IntoIterator<Item = Name>) -> Certificate {
        Certificate {
            names: names.into_iter().collect(),
            problems: vec![None, Some(Problem::SelfSigned)],
            constraints: Vec::new(),
            fingerprint: String::new(),
            issuer: String::new(),
            expires: String::new(),
        }
    }

    fn dns(name: &str) -> Name {
        Name::Dns(name.into())
    }

    fn matches(name: Name, domain: &str) -> bool {
        certificate([name]).names(&Domain::new(domain).unwrap())
    }

    #[test]
    fn takes_each_kind_of_identifier() {
        assert!(matches(dns("b.example"), "b.example"));
        assert!(matches(Name::Srv("_xmpp-server.b.example".into()), "b.example"));
        assert!(matches(Name::XmppAddr("b.example".into()), "b.example"));
        assert!(!matches(dns("a.example"), "b.example"));
        assert!(!matches(Name::Srv("_xmpp-client.b.example".into()), "b.example"));
        assert!(!matches(Name::Srv("b.example".into()), "b.example"));
        assert!(!matches(Name::XmppAddr("j@b.example".into()), "b.example"));
        assert!(!matches(Name::XmppAddr("b.example/r".into()), "b.example"));
    }

    #[test]
    fn spelling_does_not_matter() {
        assert!(matches(dns("B.Example"), "b.example"));
        assert!(matches(dns("b.example."), "b.example"));
        assert!(matches(dns("xn--bcher-kva.example"), "bücher.example"));
        assert!(matches(Name::XmppAddr("BÜCHER.example".into()), "bücher.example"));
        assert!(matches(Name::Srv("_XMPP-Server.B.example".into()), "b.example"));
        assert!(matches(dns("*.B.example"), "a.b.example"));
    }

    #[test]
    fn a_name_of_the_dns_is_ascii() {
        for name in ["\u{ff42}.example", "b\u{3002}example", "\u{ad}b.example", "*.\u{ff42}.example"] {
            for domain in ["b.example", "a.b.example"] {
                assert!(!matches(dns(name), domain), "{name}");
                assert!(!matches(Name::Srv(format!("_xmpp-server.{name}")), domain), "{name}");
            }
        }
        assert!(!matches(dns("bücher.example"), "bücher.example"));
        assert!(matches(Name::XmppAddr("\u{ff42}.example".into()), "b.example"));
    }

    #[test]
    fn an_authority_with_limits_vouches_for_names_of_the_dns() {
        let domain = Domain::new("a.b.example").unwrap();
        let srv = || Name::Srv("_xmpp-server.a.b.example".into());
        let address = || Name::XmppAddr("a.b.example".into());
        let subtrees = |text| vec![Subtree::parse(text)];
        let limited = |authority| Some(NameConstraints::new(vec![authority]));
        let permitted = || {
            let permitted = subtrees("b.example");
            limited(Authority::Subtrees { permitted, excluded: Vec::new(), excludes: false })
        };
        let excluded = || {
            let excluded = subtrees("c.example");
            limited(Authority::Subtrees { permitted: Vec::new(), excluded, excludes: true })
        };
        for (limit, name, proved) in [
            (None, srv(), true),
            (None, address(), true),
            (permitted(), srv(), false),
            (permitted(), address(), false),
            (permitted(), dns("a.b.example"), true),
            (permitted(), dns("*.b.example"), true),
            (excluded(), srv(), false),
            (excluded(), address(), false),
            (excluded(), dns("a.b.example"), true),
            // What is excluded may be just this one below.
            (excluded(), dns("*.b.example"), false),
        ] {
            let limited = Certificate { constraints: vec![limit.clone()], ..certificate([name.clone()]) };
            assert_eq!(limited.proves(&domain, TrustStore(0)).is_ok(), proved, "{limit:?} {name:?}");
        }
    }

    #[test]
    fn a_wildcard_is_one_whole_leftmost_label() {
        assert!(matches(dns("*.example"), "a.example"));
        assert!(matches(dns("*.example"), "bücher.example"));
        for name in
            ["*.example", "*.a.example", "f*.example", "*a.example", "*", "*.*.example", "a.*.example", "*."]
        {
            assert!(!matches(dns(name), "a.b.example"), "{name}");
            assert!(!matches(dns(name), "example"), "{name}");
        }
        assert!(!matches(dns("f*.example"), "foo.example"));
        assert!(!matches(Name::Srv("_xmpp-server.*.example".into()), "a.example"));
        assert!(!matches(Name::Srv("*.example".into()), "_xmpp-server.example"));
        assert!(!matches(Name::XmppAddr("*.example".into()), "a.example"));
    }

    #[test]
    fn an_ip_address_is_no_dns_name() {
        assert!(!matches(dns("192.0.2.7"), "192.0.2.7"));
        assert!(!matches(dns("*.0.2.7"), "192.0.2.7"));
        assert!(!matches(dns("[2001:db8::1]"), "[2001:db8::1]"));
        assert!(matches(Name::XmppAddr("192.0.2.7".into()), "192.0.2.7"));
    }

    #[test]
    fn proves_a_domain_by_chain_and_name_together() {
        let (b, c) = (Domain::new("b.example").unwrap(), Domain::new("c.example").unwrap());
        let certificate = certificate([dns("a.example"), dns("b.example")]);
        assert_eq!(certificate.proves(&b, TrustStore(0)), Ok(()));
        assert_eq!(certificate.proves(&b, TrustStore(1)), Err(Problem::SelfSigned));
        assert!(certificate.proves(&b, TrustStore(2)).is_err());
        let problem = certificate.proves(&c, TrustStore(0)).unwrap_err();
        assert_eq!(problem.to_string(), "is for other names (a.example, b.example), not for c.example");
    }

    #[test]
    fn every_problem_ends_a_sentence() {
        let wanted = Domain::new("c.example").unwrap();
        let names = |names: &[&str]| {
            let certificate = certificate(names.iter().map(|name| dns(name)));
            certificate.proves(&wanted, TrustStore(0)).unwrap_err()
        };
        let date = || String::from("2026-11-01");
        for (problem, words) in [
            (Problem::Missing, "was not presented"),
            (Problem::Expired { on: date() }, "expired on 2026-11-01"),
            (Problem::NotYetValid { until: date(), soon: false }, "is not valid before 2026-11-01"),
            (
                Problem::AuthorityExpired { authority: "Toy R1".into(), on: date() },
                "comes from an authority (Toy R1) whose own certificate expired on 2026-11-01",
            ),
            (
                Problem::AuthorityNotYetValid { authority: "Toy R1".into(), until: date(), soon: false },
                "comes from an authority (Toy R1) whose own certificate is not valid before 2026-11-01",
            ),
            (Problem::Revoked { on: date() }, "was revoked on 2026-11-01"),
            (Problem::SelfSigned, "is self-signed"),
            (
                Problem::UnknownAuthority { issuer: "Evil CA".into() },
                "comes from an unknown authority (Evil CA)",
            ),
            (Problem::WrongPurpose, "is not meant for servers"),
            (names(&[]), "is for no domain, so not for c.example"),
            (names(&["a", "a"]), "is for another name (a), not for c.example"),
            (
                names(&["a", "b", "c", "d", "e", "f"]),
                "is for other names (a, b, c, d and 2 more), not for c.example",
            ),
        ] {
            assert_eq!(problem.to_string(), words);
        }
    }
}
