//! The policies for remote domains, made from the settings.

use std::sync::Arc;

use xmpp::{
    Domain, Served,
    policy::{self, Hosted, Pattern, Rules},
};

use crate::settings::{Access, Remote, Settings};

/// The policy for each remote domain. Immutable; cheap to clone.
#[derive(Clone, Debug)]
pub struct RemotePolicies {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    rules: Arc<Rules>,
    /// Shared by all attempts and streams that have this policy.
    default: Arc<Remote>,
    overrides: Vec<(Pattern, Arc<Remote>)>,
}

impl RemotePolicies {
    /// The policies of `settings`.
    pub fn new(settings: &Settings) -> Self {
        let hosted = settings.served().into_iter();
        let hosted = hosted.map(|(name, identity)| (name, Hosted { certificate: identity.is_some() }));
        let overrides = settings.overrides.iter();
        let rules = Rules::new(
            hosted,
            settings.remote.policy.clone(),
            overrides.clone().map(|(pattern, remote)| (pattern.clone(), remote.policy.clone())).collect(),
            settings.allow.clone(),
            settings.deny.clone(),
        );
        let rules = rules.with_bounds(settings.limits.stream).with_access(access(settings));
        Self {
            inner: Arc::new(Inner {
                rules: Arc::new(rules),
                default: Arc::new(settings.remote.clone()),
                overrides: overrides
                    .map(|(pattern, remote)| (pattern.clone(), Arc::new(remote.clone())))
                    .collect(),
            }),
        }
    }

    /// One policy for every remote domain.
    #[cfg(test)]
    pub(crate) fn uniform(remote: Remote) -> Self {
        let rules = Rules::new([], remote.policy.clone(), Vec::new(), vec![Pattern::Any], Vec::new());
        Self {
            inner: Arc::new(Inner {
                rules: Arc::new(rules),
                default: Arc::new(remote),
                overrides: Vec::new(),
            }),
        }
    }

    /// The part of the policies that the protocol reads.
    pub fn rules(&self) -> &Arc<Rules> {
        &self.inner.rules
    }

    /// The policy for a remote domain: that of the `[[remote]]` with the most specific name that matches,
    /// otherwise that of `[s2s]`.
    pub fn remote(&self, domain: &Domain) -> &Arc<Remote> {
        let inner = &*self.inner;
        let matching = inner.overrides.iter().filter(|(pattern, _)| pattern.matches(domain));
        matching.max_by_key(|(pattern, _)| specificity(pattern)).map_or(&inner.default, |(_, remote)| remote)
    }

    /// The policy of `[s2s]`, for a peer whose domain is not known yet.
    pub fn default_remote(&self) -> &Arc<Remote> {
        &self.inner.default
    }
}

/// The rules of the components for remote addresses, by name. Empty if no component has any.
pub(crate) fn access(settings: &Settings) -> Served<Option<Arc<policy::Access>>> {
    if settings.components.iter().all(|component| component.access.is_none()) {
        return Served::default();
    }
    let served = || settings.names().cloned();
    let local: Arc<Served<()>> = Arc::new(served().map(|name| (name, ())).collect());
    // A name without rules must not get those of a wildcard.
    let mut names: Served<Option<Arc<policy::Access>>> = served().map(|name| (name, None)).collect();
    for component in &settings.components {
        let access = component.access.clone().map(|Access { allow, deny, denial }| {
            Arc::new(policy::Access { allow, deny, denial, local: Arc::clone(&local) })
        });
        for name in &component.names {
            names.insert(name.clone(), access.clone());
        }
    }
    names
}

/// The rank of a pattern: the domain itself before every pattern, and a longer pattern before a shorter one.
fn specificity(pattern: &Pattern) -> usize {
    match pattern {
        Pattern::Any => 0,
        Pattern::Below(parent) => 1 + parent.as_str().len(),
        Pattern::Exactly(_) => usize::MAX,
    }
}
