//! What a peer's certificate says and whether it proves a domain (RFC 6120 section 13.7, RFC 9525).
//!
//! Reading X.509 and following chains is the transport's job; what it found is judged here.

use crate::{Domain, policy::Trust};
use std::fmt;

mod limit;

pub use limit::{Authority, Limit, Subtree};

/// An identifier presented in a subjectAltName. The subject's common name is none (RFC 9525 section 2).
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
    /// Why the chain is not acceptable to each trust store of the configuration, by number.
    pub problems: Vec<Option<Problem>>,
    /// The names that the authorities in the chain to each of them may vouch for (RFC 5280 section 4.2.1.10), by number;
    /// `None` where no authority is constrained, or the chain is not acceptable anyway.
    pub limits: Vec<Option<Limit>>,
    /// SHA-256 of the leaf, lower-case hex.
    pub fingerprint: String,
    /// Issuer, for the log.
    pub issuer: String,
    /// Not after, `2026-11-01`.
    pub expires: String,
}

/// Why a certificate does not prove a domain.
///
/// Its `Display` ends a sentence that begins with the certificate: `certificate of b.example expired on 2026-11-01`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// None was shown.
    Missing,
    /// Its time is over.
    Expired {
        /// The last day, `2026-11-01`.
        on: String,
    },
    /// Its time has not come.
    NotYetValid {
        /// The first day, `2026-11-01`.
        until: String,
        /// It comes within hours: it is rather the clock that is wrong, since nobody issues them ahead of time.
        soon: bool,
    },
    /// The time of an authority's own certificate, above it in the chain, is over.
    AuthorityExpired {
        /// Name of the authority.
        authority: String,
        /// The last day, `2026-11-01`.
        on: String,
    },
    /// The time of an authority's own certificate has not come.
    AuthorityNotYetValid {
        /// Name of the authority.
        authority: String,
        /// The first day, `2026-11-01`.
        until: String,
        /// It comes within hours, as in `NotYetValid`.
        soon: bool,
    },
    /// Its authority took it back.
    Revoked {
        /// The day, `2026-11-01`.
        on: String,
    },
    /// It vouches for itself.
    SelfSigned,
    /// The chain ends at, or lacks, this issuer.
    UnknownAuthority {
        /// Name of the issuer.
        issuer: String,
    },
    /// Its extended key usage is for something else.
    WrongPurpose,
    /// A good chain, other names.
    WrongName {
        /// The domain it had to be for.
        wanted: Domain,
        /// What it is for, `a.example, b.example`; empty for nothing.
        names: String,
    },
    /// What OpenSSL said.
    Other(String),
}

impl Certificate {
    /// Checks whether it proves `domain`: a chain that is acceptable to `trust`, and a matching identifier.
    ///
    /// # Errors
    /// Says why it does not, the chain's fault before the name's.
    pub fn proves(&self, domain: &Domain, trust: Trust) -> Result<(), Problem> {
        match self.problems.get(trust.0) {
            Some(None) => {}
            Some(Some(problem)) => return Err(problem.clone()),
            None => return Err(Problem::Other("was never checked against the trusted authorities".into())),
        }
        let limit = self.limits.get(trust.0).and_then(Option::as_ref);
        let within = |name| limit.is_none_or(|limit| limit.admits(name, domain));
        let mut matching = self.names.iter().filter(|name| name.matches(domain)).peekable();
        if matching.peek().is_some() {
            let words = || Problem::Other(format!("comes from an authority that may not vouch for {domain}"));
            return if matching.any(within) { Ok(()) } else { Err(words()) };
        }
        Err(Problem::WrongName { wanted: domain.clone(), names: self.list_names() })
    }

    /// Whether one of its identifiers matches, whatever the chain.
    pub fn names(&self, domain: &Domain) -> bool {
        self.names.iter().any(|name| name.matches(domain))
    }

    /// Its time is over.
    pub(crate) fn end(&mut self) {
        for problem in self.problems.iter_mut().filter(|problem| problem.is_none()) {
            *problem = Some(Problem::Expired { on: self.expires.clone() });
        }
    }

    /// The domains it is for, as a person would list them.
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
    /// Whether this identifier is `domain`'s (RFC 9525 section 6.3, RFC 6120 section 13.7.1.2).
    fn matches(&self, domain: &Domain) -> bool {
        match self {
            // An IP address is no DNS name, even where somebody wrote it into a dNSName.
            Self::Dns(_) | Self::Srv(_) if domain.is_ip_literal() => false,
            Self::Dns(name) => match name.strip_prefix("*.") {
                Some(parent) => domain.as_str().split_once('.').is_some_and(|(_, above)| is(above, parent)),
                None => is(domain.as_str(), name),
            },
            // Case counts for nothing here either (RFC 4985 section 2), and a wildcard is none.
            Self::Srv(name) => match name.split_at_checked(SERVICE.len()) {
                Some((service, name)) => service.eq_ignore_ascii_case(SERVICE) && is(domain.as_str(), name),
                None => false,
            },
            // A JID, which may be spelled in many ways. One with a `*` in it is no domain at all.
            Self::XmppAddr(address) => Domain::new(address).is_ok_and(|address| address == *domain),
        }
    }
}

impl Problem {
    /// What kind of problem it is, in a word or two.
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

/// Whether a name of the DNS, as certificates hold it, is the wanted one, which is in A-labels. Only the case of ASCII
/// counts for nothing (RFC 9525 section 6.3): what IDNA would map is another name, as it is to the name constraints of
/// an authority.
fn is(wanted: &str, name: &str) -> bool {
    name.strip_suffix('.').unwrap_or(name).eq_ignore_ascii_case(wanted)
}

/// What an SRVName begins with when it is meant for server-to-server streams (RFC 6120 section 13.7.1.2.1).
const SERVICE: &str = "_xmpp-server.";

/// How many names a person reads. Certificates of hosting companies have a hundred.
const LISTED: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(names: impl IntoIterator<Item = Name>) -> Certificate {
        Certificate {
            names: names.into_iter().collect(),
            problems: vec![None, Some(Problem::SelfSigned)],
            limits: Vec::new(),
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
        let limited = |authority| Some(Limit::new(vec![authority]));
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
            let limited = Certificate { limits: vec![limit.clone()], ..certificate([name.clone()]) };
            assert_eq!(limited.proves(&domain, Trust(0)).is_ok(), proved, "{limit:?} {name:?}");
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
        assert_eq!(certificate.proves(&b, Trust(0)), Ok(()));
        assert_eq!(certificate.proves(&b, Trust(1)), Err(Problem::SelfSigned));
        assert!(certificate.proves(&b, Trust(2)).is_err());
        let problem = certificate.proves(&c, Trust(0)).unwrap_err();
        assert_eq!(problem.to_string(), "is for other names (a.example, b.example), not for c.example");
    }

    #[test]
    fn every_problem_ends_a_sentence() {
        let wanted = Domain::new("c.example").unwrap();
        let names = |names: &[&str]| {
            let certificate = certificate(names.iter().map(|name| dns(name)));
            certificate.proves(&wanted, Trust(0)).unwrap_err()
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
