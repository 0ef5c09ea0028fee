//! A fair queue of pairs: round robin over the configured local names, and for each of them over the families of
//! remote domains. All domains of a wildcard are one name.
//!
//! A component that writes to a thousand unreachable domains delays only its own stanzas. All remote domains
//! below one registered domain are one family, so a peer with a thousand subdomains delays only these.

use std::collections::{HashMap, VecDeque};

use xmpp::{Domain, DomainPair};

/// Pairs by local name.
#[derive(Debug, Default)]
pub(super) struct FairQueue {
    locals: HashMap<Domain, Families>,
    /// The local names that have pairs in the queue; the next one is in front.
    order: VecDeque<Domain>,
    len: usize,
}

/// The pairs of one local name, by the family of the remote domain.
#[derive(Debug, Default)]
struct Families {
    pairs: HashMap<Box<str>, VecDeque<DomainPair>>,
    /// The families that have pairs in the queue; the next one is in front.
    order: VecDeque<Box<str>>,
}

impl FairQueue {
    /// Adds a pair at the end of its family. `name` is the configured name of its local domain.
    pub(super) fn push(&mut self, name: &Domain, pair: DomainPair) {
        let families = self.locals.entry(name.clone()).or_default();
        if families.order.is_empty() {
            self.order.push_back(name.clone());
        }
        families.push(pair);
        self.len += 1;
    }

    /// Takes out the next pair.
    pub(super) fn pop(&mut self) -> Option<DomainPair> {
        let local = self.order.pop_front()?;
        let families = self.locals.get_mut(&local)?;
        let pair = families.pop();
        if families.order.is_empty() {
            self.locals.remove(&local);
        } else {
            self.order.push_back(local);
        }
        self.len -= usize::from(pair.is_some());
        pair
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.locals.is_empty() && self.order.is_empty() && self.len == 0
    }
}

impl Families {
    fn push(&mut self, pair: DomainPair) {
        let name = family(pair.remote.as_str());
        match self.pairs.get_mut(name) {
            Some(family) => family.push_back(pair),
            None => {
                self.order.push_back(name.into());
                self.pairs.insert(name.into(), VecDeque::from([pair]));
            }
        }
    }

    fn pop(&mut self) -> Option<DomainPair> {
        let name = self.order.pop_front()?;
        let family = self.pairs.get_mut(&name)?;
        let pair = family.pop_front();
        if family.is_empty() {
            self.pairs.remove(&name);
        } else {
            self.order.push_back(name);
        }
        pair
    }
}

/// The last two labels of a domain: one registrant can create any number of names below them. Where a
/// registry sells names below two labels (`co.uk`), unrelated domains share a family; they wait longer for an
/// attempt and nothing else.
fn family(name: &str) -> &str {
    let mut dots = name.rmatch_indices('.').map(|(place, _)| place);
    match dots.nth(1) {
        Some(dot) => &name[dot + 1..],
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_subdomains_delay_no_other_domain() {
        let mut queue = FairQueue::default();
        let push = |queue: &mut FairQueue, remote: &str| {
            let local = Domain::new("a.example").unwrap();
            queue.push(&local, DomainPair { local: local.clone(), remote: Domain::new(remote).unwrap() });
        };
        for number in 0..1000 {
            push(&mut queue, &format!("d{number}.evil.example"));
        }
        push(&mut queue, "friend.example");
        push(&mut queue, "other.friend.example");
        assert_eq!(queue.len(), 1002);
        let mut next = || queue.pop().map(|pair| pair.remote.to_string());
        let first: Vec<String> = (0..5).map_while(|_| next()).collect();
        let wanted = ["d0.evil.example", "friend.example", "d1.evil.example", "other.friend.example"];
        assert_eq!(first[..4], wanted);
        assert_eq!(std::iter::from_fn(next).count(), 997);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_family_is_the_last_two_labels() {
        for (name, wanted) in [
            ("a.b.evil.example", "evil.example"),
            ("evil.example", "evil.example"),
            ("localhost", "localhost"),
        ] {
            assert_eq!(family(name), wanted);
        }
    }
}
