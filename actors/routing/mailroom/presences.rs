//! The users who take addresses of a component for available: those to whom it sent presence.
//!
//! Architecture Invariant: plain data.

use std::collections::{BTreeSet, HashMap};

use xmpp::Domain;

/// The presence that users have of each component.
#[derive(Debug, Default)]
pub(super) struct Presences {
    known: HashMap<Domain, Known>,
    /// Bytes of all.
    bytes: usize,
}

/// The presence that users have of one component.
#[derive(Debug, Default)]
struct Known {
    /// Addresses of the component, and the users who know each as available.
    available: BTreeSet<(Box<str>, Box<str>)>,
    bytes: usize,
}

impl Presences {
    /// Notes that a component has told a user whether one of its addresses is available. What does not fit is not noted:
    /// the user is not told when the component is away.
    pub(super) fn note(&mut self, name: &Domain, from: &str, to: &str, is_available: bool) {
        let presence = (Box::from(from), Box::from(to));
        let cost = cost(&presence);
        if !is_available {
            let Some(known) = self.known.get_mut(name) else { return };
            if known.available.remove(&presence) {
                known.bytes -= cost;
                self.bytes -= cost;
            }
            return self.tidy(name);
        }
        let used = self.known.get(name).map_or(0, |known| known.bytes);
        if used + cost > MOST_OF_ONE || self.bytes + cost > MOST_OF_ALL {
            return;
        }
        let known = self.known.entry(name.clone()).or_default();
        if known.available.insert(presence) {
            known.bytes += cost;
            self.bytes += cost;
        }
    }

    /// Takes out some of the presence that users have of a component: the address, and the user.
    pub(super) fn take(&mut self, name: &Domain, most: usize) -> Vec<(Box<str>, Box<str>)> {
        let Some(known) = self.known.get_mut(name) else { return Vec::new() };
        let taken: Vec<_> = std::iter::from_fn(|| known.available.pop_first()).take(most).collect();
        let bytes: usize = taken.iter().map(cost).sum();
        known.bytes -= bytes;
        self.bytes -= bytes;
        self.tidy(name);
        taken
    }

    /// Forgets a component.
    pub(super) fn remove(&mut self, name: &Domain) {
        if let Some(known) = self.known.remove(name) {
            self.bytes -= known.bytes;
        }
    }

    /// Whether no user knows an address of the component as available.
    pub(super) fn is_empty(&self, name: &Domain) -> bool {
        !self.known.contains_key(name)
    }

    /// Whether this holds for all components.
    pub(super) fn are_empty(&self) -> bool {
        self.known.is_empty()
    }

    fn tidy(&mut self, name: &Domain) {
        if self.known.get(name).is_some_and(|known| known.available.is_empty()) {
            self.known.remove(name);
        }
    }
}

fn cost((from, to): &(Box<str>, Box<str>)) -> usize {
    from.len() + to.len() + ENTRY
}

/// Bytes of memory that an entry takes beside its addresses: two pointers with lengths, the share of a node of the tree,
/// and the allocator's overhead of two strings.
const ENTRY: usize = 96;

/// Bytes of the presence of one component: about 7,000 users with addresses of 25 characters.
const MOST_OF_ONE: usize = 1024 * 1024;

/// Bytes of the presence of all components.
const MOST_OF_ALL: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> Domain {
        Domain::new(name).unwrap()
    }

    fn all(presences: &mut Presences, of: &Domain) -> Vec<(String, String)> {
        let taken = presences.take(of, usize::MAX);
        taken.into_iter().map(|(from, to)| (from.into(), to.into())).collect()
    }

    #[test]
    fn users_are_known_until_they_are_told() {
        let (mut presences, bot) = (Presences::default(), name("bot.example"));
        for (to, is_available) in
            [("a@x", true), ("b@x", true), ("a@x", true), ("b@x", false), ("c@x", false), ("c@x/r", true)]
        {
            presences.note(&bot, "bot.example", to, is_available);
        }
        presences.note(&name("other.example"), "other.example", "a@x", true);
        let pair = |to: &str| ("bot.example".to_owned(), to.to_owned());
        assert_eq!(all(&mut presences, &bot), [pair("a@x"), pair("c@x/r")]);
        assert!(all(&mut presences, &bot).is_empty(), "nothing is told twice");
        assert!(presences.is_empty(&bot) && !presences.are_empty());
        presences.remove(&name("other.example"));
        assert!(presences.are_empty());
        assert_eq!(presences.bytes, 0);
    }

    #[test]
    fn some_are_taken_at_a_time() {
        let (mut presences, bot) = (Presences::default(), name("bot.example"));
        for user in 0..5 {
            presences.note(&bot, "bot.example", &format!("{user}@x"), true);
        }
        assert_eq!(presences.take(&bot, 2).len(), 2);
        assert_eq!(presences.take(&bot, 9).len(), 3);
    }

    #[test]
    fn memory_is_bounded_for_each_component_and_for_all() {
        let mut presences = Presences::default();
        let user = "x".repeat(1000);
        for component in 0..20 {
            let component = name(&format!("bot{component}.example"));
            for number in 0..2000 {
                presences.note(&component, "bot", &format!("{number}{user}"), true);
            }
            assert!(presences.known.get(&component).is_none_or(|known| known.bytes <= MOST_OF_ONE));
        }
        assert!((MOST_OF_ALL - 2000..=MOST_OF_ALL).contains(&presences.bytes), "{}", presences.bytes);
        for component in 0..20 {
            presences.remove(&name(&format!("bot{component}.example")));
        }
        assert_eq!(presences.bytes, 0);
    }
}
