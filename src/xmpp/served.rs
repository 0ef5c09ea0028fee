//! A table of the names that the node serves: domains, and wildcards that stand for all domains below one.

use crate::Domain;
use std::collections::HashMap;

/// A value for each served name. A domain that is in the table has its own value; any other has that of the longest
/// wildcard that matches it, at any depth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served<T> {
    exact: HashMap<Domain, T>,
    /// The wildcards with their names, by the domain above.
    below: HashMap<Domain, (Domain, T)>,
    /// Labels of the longest key of `below`.
    deepest: usize,
}

impl<T> Served<T> {
    /// Sets the value of a domain or of a wildcard; returns the one that it had.
    pub fn insert(&mut self, name: Domain, value: T) -> Option<T> {
        match name.wildcard_parent() {
            Some(parent) => {
                self.deepest = self.deepest.max(parent.as_str().split('.').count());
                self.below.insert(parent, (name, value)).map(|(_, value)| value)
            }
            None => self.exact.insert(name, value),
        }
    }

    /// The value for a domain, or for the name of a wildcard. The number of look-ups is bounded by the labels of the
    /// longest wildcard, not by those of the domain.
    pub fn get(&self, domain: &Domain) -> Option<&T> {
        self.find(domain).map(|(_, value)| value)
    }

    /// The same, with the name that is in the table.
    pub fn find(&self, domain: &Domain) -> Option<(&Domain, &T)> {
        if let Some(found) = self.exact.get_key_value(domain) {
            return Some(found);
        }
        if self.below.is_empty() || domain.is_ip_literal() {
            return None;
        }
        if let Some(parent) = domain.wildcard_parent() {
            return self.below.get(&parent).map(|(name, value)| (name, value));
        }
        let text = domain.as_str();
        let labels_above = text.bytes().filter(|byte| *byte == b'.').count();
        let above = text.match_indices('.').map(|(dot, _)| &text[dot + 1..]);
        let mut above = above.skip(labels_above.saturating_sub(self.deepest));
        above.find_map(|parent| self.below.get(parent)).map(|(name, value)| (name, value))
    }

    /// The value for the name in the stream header of a component. A component that serves all domains below one may
    /// show that domain itself, before any wildcard above it.
    pub fn announced(&self, domain: &Domain) -> Option<&T> {
        let below = || self.below.get(domain).map(|(_, value)| value);
        self.exact.get(domain).or_else(below).or_else(|| self.get(domain))
    }

    /// Whether the node serves a domain.
    pub fn contains(&self, domain: &Domain) -> bool {
        self.find(domain).is_some()
    }

    /// All names with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&Domain, &T)> {
        self.exact.iter().chain(self.below.values().map(|(name, value)| (name, value)))
    }

    /// Whether there are no names.
    pub fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.below.is_empty()
    }
}

impl<T> Default for Served<T> {
    fn default() -> Self {
        Self { exact: HashMap::new(), below: HashMap::new(), deepest: 0 }
    }
}

impl<T> FromIterator<(Domain, T)> for Served<T> {
    /// Of several values for one name the last counts.
    fn from_iter<I: IntoIterator<Item = (Domain, T)>>(names: I) -> Self {
        let mut served = Self::default();
        for (name, value) in names {
            served.insert(name, value);
        }
        served
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Domain {
        Domain::named(text).unwrap()
    }

    fn served(names: &[&'static str]) -> Served<&'static str> {
        names.iter().map(|text| (name(text), *text)).collect()
    }

    #[test]
    fn an_exact_name_wins_over_a_wildcard_and_a_longer_wildcard_over_a_shorter() {
        let served =
            served(&["*.example.org", "example.org", "bot.example.org", "*.rooms.example.org", "*.net"]);
        for (domain, found) in [
            ("example.org", Some("example.org")),
            ("bot.example.org", Some("bot.example.org")),
            ("x.bot.example.org", Some("*.example.org")),
            ("rooms.example.org", Some("*.example.org")),
            ("a.rooms.example.org", Some("*.rooms.example.org")),
            ("b.a.rooms.example.org", Some("*.rooms.example.org")),
            ("x.y.z.example.org", Some("*.example.org")),
            ("xexample.org", None),
            ("org", None),
            ("net", None),
            ("a.net", Some("*.net")),
            ("192.0.2.7", None),
            ("*.example.org", Some("*.example.org")),
            ("*.bot.example.org", None),
        ] {
            assert_eq!(served.get(&name(domain)).copied(), found, "{domain}");
            assert_eq!(served.find(&name(domain)).map(|(name, _)| name.as_str()), found, "{domain}");
        }
    }

    #[test]
    fn a_component_for_a_wildcard_may_show_the_domain_itself() {
        let served = served(&["*.example.org", "*.rooms.example.org", "bot.example.org"]);
        for (domain, found) in [
            ("example.org", Some("*.example.org")),
            ("a.example.org", Some("*.example.org")),
            ("rooms.example.org", Some("*.rooms.example.org")),
            ("bot.example.org", Some("bot.example.org")),
            ("org", None),
        ] {
            assert_eq!(served.announced(&name(domain)).copied(), found, "{domain}");
        }
        assert!(!served.contains(&name("example.org")), "it serves only what is below");
    }

    #[test]
    fn the_longest_domain_is_looked_up_in_few_steps() {
        let served = served(&["*.example.org"]);
        let long = format!("{}example.org", "a.".repeat(500));
        assert_eq!(served.get(&name(&long)).copied(), Some("*.example.org"));
        assert_eq!(served.get(&name(&"a.".repeat(500))), None);
        assert_eq!(served.iter().count(), 1);
    }
}
