//! Which remote addresses may exchange stanzas with a component.
use crate::{
    Domain, Served,
    jid::{self, Jid},
    stanza::Denial,
};
use std::{collections::HashSet, sync::Arc};

/// A list of addresses: all, domains, all domains below one, bare and full addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    all: bool,
    domains: Served<()>,
    /// Bare and full addresses, as [`key`] writes them.
    addresses: HashSet<Box<str>>,
}

impl Addresses {
    /// Every address.
    pub fn all() -> Self {
        Self { all: true, ..Self::default() }
    }

    /// Adds `*`, `*.example.net`, `example.net`, `user@example.net` or `user@example.net/resource`.
    ///
    /// # Errors
    /// Gives the reason why the text is not an address.
    pub fn add(&mut self, text: &str) -> Result<(), jid::Error> {
        if text == "*" {
            self.all = true;
        } else if text.contains(['@', '/']) {
            let jid = Jid::parse(text)?;
            let domain = Domain::new(jid.domain)?;
            self.addresses.insert(key(jid.local, &domain, jid.resource).into());
        } else {
            self.domains.insert(Domain::named(text)?, ());
        }
        Ok(())
    }

    /// Adds the addresses of another list.
    pub fn extend(&mut self, other: Self) {
        self.all |= other.all;
        for (name, ()) in other.domains.iter() {
            self.domains.insert(name.clone(), ());
        }
        self.addresses.extend(other.addresses);
    }

    /// Whether it has every address.
    pub fn is_all(&self) -> bool {
        self.all
    }

    /// Whether it has no address.
    pub fn is_empty(&self) -> bool {
        !self.all && self.domains.is_empty() && self.addresses.is_empty()
    }

    /// Whether it has the address, its bare form, its domain, or all domains above which it is.
    fn contains(&self, domain: &Domain, address: &str) -> bool {
        if self.all || self.domains.contains(domain) {
            return true;
        }
        if self.addresses.is_empty() {
            return false;
        }
        let Ok(Jid { local, resource, .. }) = Jid::parse(address) else { return false };
        self.addresses.contains(&*key(local, domain, None))
            || resource.is_some() && self.addresses.contains(&*key(local, domain, resource))
    }
}

/// The form in which addresses are compared. Servers compare localparts without case (RFC 7622 section 3.3.1).
fn key(local: Option<&str>, domain: &Domain, resource: Option<&str>) -> String {
    let mut key = local.map_or_else(String::new, |local| local.to_lowercase() + "@");
    key.push_str(domain.as_str());
    if let Some(resource) = resource {
        key.push('/');
        key.push_str(resource);
    }
    key
}

/// Which remote addresses may exchange stanzas with a component, in both directions.
#[derive(Clone, Debug)]
pub struct Access {
    /// Addresses that may.
    pub allow: Addresses,
    /// Addresses that may not; takes precedence over `allow`.
    pub deny: Addresses,
    /// The error for the others.
    pub denial: Denial,
    /// The names that this node serves. Their addresses are not remote: the lists are not about them.
    pub local: Arc<Served<()>>,
}

impl Access {
    /// Whether an address of this domain may write to the component, and the component to it.
    pub fn permits(&self, domain: &Domain, address: &str) -> bool {
        self.local.contains(domain)
            || !self.deny.contains(domain, address) && self.allow.contains(domain, address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(list: &[&str]) -> Addresses {
        let mut addresses = Addresses::default();
        list.iter().for_each(|text| addresses.add(text).unwrap());
        addresses
    }

    fn access(allow: &[&str], deny: &[&str]) -> Access {
        let local = Arc::new([(Domain::new("own.example").unwrap(), ())].into_iter().collect());
        Access { allow: addresses(allow), deny: addresses(deny), denial: Denial::default(), local }
    }

    fn permits(access: &Access, address: &str) -> bool {
        let domain = Domain::new(Jid::parse(address).unwrap().domain).unwrap();
        access.permits(&domain, address)
    }

    #[test]
    fn deny_wins_over_allow_and_what_is_in_neither_is_denied() {
        let access = access(&["*.b.example", "c.example"], &["x.b.example", "evil@c.example"]);
        for (address, permitted) in [
            ("a@a.b.example", true),
            ("a@b.example", false),
            ("a@x.b.example/r", false),
            ("a@c.example/r", true),
            ("c.example", true),
            ("EVIL@C.example/anywhere", false),
            ("a@d.example", false),
            ("a@own.example", true),
        ] {
            assert_eq!(permits(&access, address), permitted, "{address}");
        }
    }

    #[test]
    fn a_full_address_matches_itself_and_a_bare_one_all_its_resources() {
        let access = access(&["*"], &["u@b.example/phone", "v@b.example", "b.example/bot"]);
        for (address, permitted) in [
            ("u@b.example/phone", false),
            ("U@b.example/phone", false),
            ("u@b.example/Phone", true),
            ("u@b.example", true),
            ("v@b.example", false),
            ("v@b.example/any", false),
            ("b.example/bot", false),
            ("b.example", true),
        ] {
            assert_eq!(permits(&access, address), permitted, "{address}");
        }
    }

    #[test]
    fn lists_are_joined_and_wrong_texts_refused() {
        let mut list = addresses(&["a.example"]);
        list.extend(addresses(&["u@b.example", "*.c.example"]));
        assert!(!list.is_empty() && !list.is_all());
        let access = Access { allow: list, ..access(&[], &[]) };
        assert!(["x@a.example", "u@b.example/r", "y.c.example"].iter().all(|it| permits(&access, it)));
        assert!(!permits(&access, "w@b.example"));
        for wrong in ["", "a b@c.example", "@b.example", "u@", "-a.example", "a.*.example", "u@*.example"] {
            assert!(Addresses::default().add(wrong).is_err(), "{wrong}");
        }
    }
}
