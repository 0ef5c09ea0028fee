//! The names that the node serves, and the certificate of each.

use xmpp::{Domain, policy::Addresses, stanza::Denial};

use super::{Component, Identity, Settings};

/// The remote addresses that may exchange stanzas with a component.
#[derive(Clone, Debug)]
pub struct Access {
    /// Addresses that may.
    pub allow: Addresses,
    /// Addresses that may not; takes precedence over `allow`.
    pub deny: Addresses,
    /// The error for the others.
    pub denial: Denial,
}

/// The rate at which the stanzas of a component are read. It is slowed down, and nothing is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// Stanzas per second.
    Stanzas(usize),
    /// Bytes per second.
    Bytes(usize),
}

impl Settings {
    /// All names in the configuration: of the local domains, then of the components.
    pub fn names(&self) -> impl Iterator<Item = &Domain> {
        let domains = self.domains.iter().map(|domain| &domain.name);
        domains.chain(self.components.iter().flat_map(|component| &component.names))
    }

    /// All names that the node serves, domains and wildcards, each with its certificate. Those of the local domains come
    /// first. Of several entries for one name the last counts.
    pub fn served(&self) -> Vec<(Domain, Option<&Identity>)> {
        let mut served: Vec<_> =
            self.domains.iter().map(|domain| (domain.name.clone(), domain.identity.as_ref())).collect();
        for component in &self.components {
            served.extend(component.names.iter().flat_map(|name| self.nested(component, name)));
        }
        for component in &self.components {
            let names = component.names.iter();
            served.extend(names.map(|name| (name.clone(), self.identity_of(component, name))));
        }
        served
    }

    /// The certificate of one of the names of a component: its own, or that of the local domain with that name or above it.
    pub fn identity_of<'a>(&'a self, component: &'a Component, name: &Domain) -> Option<&'a Identity> {
        let inherited = || {
            let parents =
                self.domains.iter().filter(|domain| domain.name == *name || name.is_below(&domain.name));
            parents.max_by_key(|domain| domain.name.as_str().len())?.identity.as_ref()
        };
        component.identity.as_ref().or_else(inherited)
    }

    /// A local domain may be among those of a wildcard: what is below it has its certificate.
    fn nested(&self, component: &Component, name: &Domain) -> Vec<(Domain, Option<&Identity>)> {
        let Some(parent) = name.wildcard_parent().filter(|_| component.identity.is_none()) else {
            return Vec::new();
        };
        let below = self.domains.iter().filter(|domain| domain.name.is_below(&parent));
        below.filter_map(|domain| Some((domain.name.wildcard()?, domain.identity.as_ref()))).collect()
    }
}
