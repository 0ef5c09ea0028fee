//! The terms on which the node deals with each remote domain: immutable, made from the settings.

use std::sync::Arc;

use xmpp::{
    Domain,
    policy::{Hosted, Pattern, Rules},
};

use crate::settings::{Remote, Settings};

/// What every session looks up and none changes.
#[derive(Clone, Debug)]
pub struct Terms {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    rules: Arc<Rules>,
    default: Remote,
    overrides: Vec<(Pattern, Remote)>,
}

impl Terms {
    /// The terms that `settings` lay down.
    pub fn new(settings: &Settings) -> Self {
        let domains = settings.domains.iter().map(|domain| (&domain.name, domain.identity.is_some()));
        let components =
            settings.components.iter().map(|component| (&component.name, component.identity.is_some()));
        let hosted =
            domains.chain(components).map(|(name, certificate)| (name.clone(), Hosted { certificate }));
        let overrides = settings.overrides.iter();
        let rules = Rules::new(
            hosted,
            settings.remote.policy.clone(),
            overrides.clone().map(|(pattern, remote)| (pattern.clone(), remote.policy.clone())).collect(),
            settings.allow.clone(),
            settings.deny.clone(),
        );
        let rules = rules.with_bounds(settings.limits.stream);
        Self {
            inner: Arc::new(Inner {
                rules: Arc::new(rules),
                default: settings.remote.clone(),
                overrides: overrides.cloned().collect(),
            }),
        }
    }

    /// What the streams need to know of them.
    pub fn rules(&self) -> &Arc<Rules> {
        &self.inner.rules
    }

    /// The terms for one remote domain: its own, else those of the longest pattern above it, else the default.
    pub fn remote(&self, domain: &Domain) -> &Remote {
        let inner = &*self.inner;
        let matching = inner.overrides.iter().filter(|(pattern, _)| pattern.matches(domain));
        matching.max_by_key(|(pattern, _)| specificity(pattern)).map_or(&inner.default, |(_, remote)| remote)
    }

    /// The terms before the remote domain is known.
    pub fn default_remote(&self) -> &Remote {
        &self.inner.default
    }
}

/// A domain's own rule beats every pattern; among patterns the one closest to the domain wins.
fn specificity(pattern: &Pattern) -> usize {
    match pattern {
        Pattern::Any => 0,
        Pattern::Below(parent) => 1 + parent.as_str().len(),
        Pattern::Exactly(_) => usize::MAX,
    }
}
