//! The rules of federation that the configuration defines.
use super::{Access, Bounds, Hosted, Pattern, Policy};
use crate::{Domain, Served};
use std::{collections::HashMap, sync::Arc};

/// The rules of federation. They do not change; all streams share them until a new configuration replaces
/// them.
#[derive(Debug)]
pub struct Rules {
    hosted: Served<Hosted>,
    first: Option<Domain>,
    default: Policy,
    exact: HashMap<Domain, Policy>,
    /// The longest name first, so that the first match is the closest.
    below: Vec<(Domain, Policy)>,
    allow: Vec<Pattern>,
    deny: Vec<Pattern>,
    bounds: Bounds,
    access: Served<Option<Arc<Access>>>,
}

impl Rules {
    /// Rules for the `hosted` domains and wildcards, and the given policies. An override for `*` replaces `default`.
    pub fn new(
        hosted: impl IntoIterator<Item = (Domain, Hosted)>,
        default: Policy,
        overrides: Vec<(Pattern, Policy)>,
        allow: Vec<Pattern>,
        deny: Vec<Pattern>,
    ) -> Self {
        let hosted: Vec<(Domain, Hosted)> = hosted.into_iter().collect();
        let mut rules = Self {
            first: hosted.iter().map(|(name, _)| name).find(|name| !name.is_wildcard()).cloned(),
            hosted: hosted.into_iter().collect(),
            default,
            exact: HashMap::new(),
            below: Vec::new(),
            allow,
            deny,
            bounds: Bounds::default(),
            access: Served::default(),
        };
        for (pattern, policy) in overrides {
            match pattern {
                Pattern::Any => rules.default = policy,
                Pattern::Below(parent) => rules.below.push((parent, policy)),
                Pattern::Exactly(domain) => {
                    rules.exact.insert(domain, policy);
                }
            }
        }
        rules.below.sort_by_key(|(parent, _)| std::cmp::Reverse(parent.as_str().len()));
        rules
    }

    /// The same rules with other bounds (builder style).
    #[must_use]
    pub fn with_bounds(self, bounds: Bounds) -> Self {
        Self { bounds, ..self }
    }

    /// The same rules with those of single components (builder style): of all local names, or of none.
    #[must_use]
    pub fn with_access(self, access: Served<Option<Arc<Access>>>) -> Self {
        Self { access, ..self }
    }

    /// Which remote addresses may exchange stanzas with a local domain; `None`: all.
    pub fn access(&self, local: &Domain) -> Option<&Access> {
        self.access.get(local)?.as_deref()
    }

    /// The limits for one stream.
    pub fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// The facts about a local domain; `None` when the domain is not local.
    pub fn hosted(&self, domain: &Domain) -> Option<Hosted> {
        self.hosted.get(domain).copied()
    }

    /// The name in the configuration that stands for a local domain: the domain itself, or a wildcard. There is a bounded
    /// number of them, whatever peers write to.
    pub fn configured<'a>(&'a self, local: &'a Domain) -> &'a Domain {
        self.hosted.find(local).map_or(local, |(name, _)| name)
    }

    /// The local domain in our header when the peer has named none of ours: the first one in the
    /// configuration. RFC 6120 section 4.9.1.3 requires a domain that we are authoritative for, or an empty
    /// name.
    pub fn first(&self) -> Option<&Domain> {
        self.first.as_ref()
    }

    /// The policy for a remote domain: its own, or that of the longest [`Pattern::Below`] that matches, or
    /// the default.
    pub fn policy(&self, remote: &Domain) -> &Policy {
        let below =
            || self.below.iter().find(|(parent, _)| remote.is_below(parent)).map(|(_, policy)| policy);
        self.exact.get(remote).or_else(below).unwrap_or(&self.default)
    }

    /// The policy for a remote that has not named itself.
    pub fn default_policy(&self) -> &Policy {
        &self.default
    }

    /// The policy for a remote that may have named itself.
    pub(crate) fn policy_for(&self, remote: Option<&Domain>) -> &Policy {
        remote.map_or(&self.default, |remote| self.policy(remote))
    }

    /// Whether a remote domain may federate: `allow` matches it and `deny` does not.
    pub fn permits(&self, remote: &Domain) -> bool {
        let takes = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(remote));
        !takes(&self.deny) && takes(&self.allow)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Tls, tests::policy};
    use super::*;

    fn domain(name: &str) -> Domain {
        Domain::new(name).unwrap()
    }

    fn patterns(list: &[&str]) -> Vec<Pattern> {
        list.iter().map(|text| Pattern::parse(text).unwrap()).collect()
    }

    fn rules(overrides: &[(&str, Tls)], allow: &[&str], deny: &[&str]) -> Rules {
        let overrides = overrides
            .iter()
            .map(|(pattern, tls)| (Pattern::parse(pattern).unwrap(), Policy { tls: *tls, ..policy() }))
            .collect();
        let hosted = [(domain("a.example"), Hosted { certificate: true })];
        Rules::new(hosted, policy(), overrides, patterns(allow), patterns(deny))
    }

    #[test]
    fn the_closest_override_wins() {
        let rules = rules(
            &[("*.example", Tls::Optional), ("*.b.example", Tls::Disabled), ("x.b.example", Tls::Required)],
            &["*"],
            &[],
        );
        for (name, tls) in [
            ("c.example", Tls::Optional),
            ("b.example", Tls::Optional),
            ("y.b.example", Tls::Disabled),
            ("z.y.b.example", Tls::Disabled),
            ("x.b.example", Tls::Required),
            ("example", Tls::Required),
        ] {
            assert_eq!(rules.policy(&domain(name)).tls, tls, "{name}");
        }
    }

    #[test]
    fn deny_wins_and_allow_must_match() {
        let rules = rules(&[], &["*.example"], &["*.b.example", "c.example"]);
        assert!(rules.permits(&domain("a.example")));
        assert!(rules.permits(&domain("b.example")));
        assert!(!rules.permits(&domain("x.b.example")));
        assert!(!rules.permits(&domain("c.example")));
        assert!(!rules.permits(&domain("example.net")));
    }

    #[test]
    fn only_configured_domains_are_hosted() {
        let rules = rules(&[], &["*"], &[]);
        assert_eq!(rules.hosted(&domain("A.Example.")), Some(Hosted { certificate: true }));
        assert_eq!(rules.hosted(&domain("x.a.example")), None);
    }

    #[test]
    fn a_wildcard_hosts_what_is_below_it_and_is_in_no_header() {
        let hosted = [("*.a.example", true), ("bot.a.example", false)]
            .map(|(name, certificate)| (Domain::named(name).unwrap(), Hosted { certificate }));
        let rules = Rules::new(hosted, policy(), Vec::new(), vec![Pattern::Any], Vec::new());
        assert_eq!(rules.hosted(&domain("x.a.example")), Some(Hosted { certificate: true }));
        assert_eq!(rules.hosted(&domain("bot.a.example")), Some(Hosted { certificate: false }));
        assert_eq!(rules.hosted(&domain("a.example")), None);
        assert_eq!(rules.first(), Some(&domain("bot.a.example")));
        assert_eq!(rules.configured(&domain("x.a.example")).as_str(), "*.a.example");
        assert_eq!(rules.configured(&domain("bot.a.example")).as_str(), "bot.a.example");
    }
}
