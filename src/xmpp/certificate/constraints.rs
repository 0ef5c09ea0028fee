//! Name constraints of certificate authorities (RFC 5280 section 4.2.1.10).
//!
//! OpenSSL compares names as they are written. Here a domain is compared in its normalised form, so that
//! another spelling of an excluded name is excluded too.
use super::Name;
use crate::Domain;

/// The constraints of all authorities in one chain. Each of them has to permit a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameConstraints {
    authorities: Vec<Authority>,
}

/// The constraints of one authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authority {
    /// The constraints could not be read, so no name is permitted.
    Unreadable,
    /// The constraints on DNS names.
    Subtrees {
        /// A name has to be at or below one of these domains. Empty: any name.
        permitted: Vec<Subtree>,
        /// No name may be at or below one of these domains.
        excluded: Vec<Subtree>,
        /// It excludes some name, of any kind.
        excludes: bool,
    },
}

/// The domains of one constraint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subtree {
    /// Every domain.
    Everything,
    /// A domain and its subdomains.
    Of(Domain),
    /// The text of the constraint is not a domain.
    Unknown,
}

impl NameConstraints {
    /// The limit of a chain with these constrained authorities.
    pub fn new(authorities: Vec<Authority>) -> Self {
        Self { authorities }
    }

    /// Whether the constraints permit a certificate to prove `domain` by `name`, which matches it.
    ///
    /// Constraints apply to DNS names. An authority could evade them with the other kinds of names, which
    /// OpenSSL does not compare, so these prove nothing. A wildcard may match an excluded name, so it proves
    /// nothing where something is excluded.
    pub(super) fn admits(&self, name: &Name, domain: &Domain) -> bool {
        let Name::Dns(presented) = name else { return false };
        let wildcard = presented.starts_with("*.");
        self.authorities.iter().all(|authority| match authority {
            Authority::Unreadable => false,
            Authority::Subtrees { permitted, excluded, excludes } => {
                (permitted.is_empty() || permitted.iter().any(|subtree| subtree.surely_holds(domain)))
                    && !excluded.iter().any(|subtree| subtree.may_hold(domain))
                    && !(wildcard && *excludes)
            }
        })
    }
}

impl Subtree {
    /// Reads a constraint on DNS names. A dot at its beginning or end is ignored.
    pub fn parse(text: &str) -> Self {
        let text = text.strip_prefix('.').unwrap_or(text);
        match text.strip_suffix('.').unwrap_or(text) {
            "" => Self::Everything,
            text => Domain::new(text).map_or(Self::Unknown, Self::Of),
        }
    }

    fn surely_holds(&self, domain: &Domain) -> bool {
        match self {
            Self::Everything => true,
            Self::Of(top) => domain == top || domain.is_below(top),
            Self::Unknown => false,
        }
    }

    fn may_hold(&self, domain: &Domain) -> bool {
        matches!(self, Self::Unknown) || self.surely_holds(domain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(permitted: &[&str], excluded: &[&str]) -> NameConstraints {
        let subtrees = |texts: &[&str]| texts.iter().map(|text| Subtree::parse(text)).collect();
        NameConstraints::new(vec![Authority::Subtrees {
            permitted: subtrees(permitted),
            excluded: subtrees(excluded),
            excludes: !excluded.is_empty(),
        }])
    }

    fn admits(limit: &NameConstraints, name: &str, domain: &str) -> bool {
        limit.admits(&Name::Dns(name.into()), &Domain::new(domain).unwrap())
    }

    #[test]
    fn an_excluded_domain_stays_excluded_in_every_spelling() {
        for subtree in ["b.example", "B.Example", ".b.example", "b.example.", "example", "", "."] {
            let limit = limit(&[], &[subtree]);
            for name in ["b.example", "b.example.", "B.EXAMPLE", "B.eXample."] {
                assert!(!admits(&limit, name, "b.example"), "{subtree:?} {name}");
            }
            assert!(!admits(&limit, "x.b.example.", "x.b.example"), "{subtree:?}");
        }
        for subtree in ["xn--bcher-kva.example", "XN--BCHER-KVA.example.", "bücher.example", "BÜCHER.example"]
        {
            for name in ["xn--bcher-kva.example", "xn--bcher-kva.example.", "XN--bcher-KVA.example"] {
                assert!(!admits(&limit(&[], &[subtree]), name, "bücher.example"), "{subtree:?} {name}");
            }
        }
    }

    #[test]
    fn a_name_beside_the_excluded_one_is_admitted() {
        for name in ["c.example", "ab.example", "C.example", "c.example."] {
            let domain = name.to_ascii_lowercase();
            assert!(admits(&limit(&[], &["b.example"]), name, domain.trim_end_matches('.')), "{name}");
        }
    }

    #[test]
    fn only_a_name_within_the_permitted_domains_is_admitted() {
        let limit = limit(&["b.example", "c.example."], &[]);
        for name in ["b.example", "x.b.example", "c.example"] {
            assert!(admits(&limit, name, name), "{name}");
        }
        for name in ["a.example", "ab.example", "example"] {
            assert!(!admits(&limit, name, name), "{name}");
        }
        assert!(admits(&limit, "*.b.example", "x.b.example"));
    }

    #[test]
    fn every_authority_of_the_chain_has_to_admit_the_name() {
        let (upper, lower) = (limit(&["example"], &[]), limit(&[], &["b.example"]));
        let both = NameConstraints::new([upper.authorities, lower.authorities].concat());
        assert!(admits(&both, "a.example", "a.example"));
        assert!(!admits(&both, "b.example", "b.example"));
        assert!(!admits(&both, "a.test", "a.test"));
    }

    #[test]
    fn unreadable_constraints_permit_nothing() {
        assert!(!admits(&NameConstraints::new(vec![Authority::Unreadable]), "b.example", "b.example"));
        assert!(!admits(&limit(&[], &["b_\u{7f} example"]), "b.example", "b.example"));
        assert!(!admits(&limit(&["b_\u{7f} example"], &[]), "b.example", "b.example"));
    }
}
