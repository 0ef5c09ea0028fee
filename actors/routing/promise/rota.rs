//! Pairs in line. Local domains take turns, so that a program which writes to a thousand dead domains delays its own
//! mail and nobody else's; and so do remote domains, of which all below one domain are one, so that whoever has
//! a thousand subdomains delays none but those.

use std::collections::{HashMap, VecDeque};

use xmpp::{Domain, DomainPair};

/// Who is in line, by local domain.
#[derive(Debug, Default)]
pub(super) struct Rota {
    lines: HashMap<Domain, Line>,
    /// The local domains for which something waits, the next in front.
    order: VecDeque<Domain>,
    waiting: usize,
}

/// The pairs of one local domain, by the remote domain's family.
#[derive(Debug, Default)]
struct Line {
    families: HashMap<Box<str>, VecDeque<DomainPair>>,
    /// The families of which something waits, the next in front.
    order: VecDeque<Box<str>>,
}

impl Rota {
    /// At the end of its family's line.
    pub(super) fn push(&mut self, pair: DomainPair) {
        let line = self.lines.entry(pair.local.clone()).or_default();
        if line.order.is_empty() {
            self.order.push_back(pair.local.clone());
        }
        line.push(pair);
        self.waiting += 1;
    }

    /// The first of the local domain, and of its families, whose turn it is.
    pub(super) fn pop(&mut self) -> Option<DomainPair> {
        let local = self.order.pop_front()?;
        let line = self.lines.get_mut(&local)?;
        let pair = line.pop();
        if line.order.is_empty() {
            self.lines.remove(&local);
        } else {
            self.order.push_back(local);
        }
        self.waiting -= usize::from(pair.is_some());
        pair
    }

    pub(super) fn len(&self) -> usize {
        self.waiting
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.order.is_empty() && self.waiting == 0
    }
}

impl Line {
    fn push(&mut self, pair: DomainPair) {
        let name = family(pair.remote.as_str());
        match self.families.get_mut(name) {
            Some(family) => family.push_back(pair),
            None => {
                self.order.push_back(name.into());
                self.families.insert(name.into(), VecDeque::from([pair]));
            }
        }
    }

    fn pop(&mut self) -> Option<DomainPair> {
        let name = self.order.pop_front()?;
        let family = self.families.get_mut(&name)?;
        let pair = family.pop_front();
        if family.is_empty() {
            self.families.remove(&name);
        } else {
            self.order.push_back(name);
        }
        pair
    }
}

/// What a domain has in common with those that the same people can invent: its last two labels. Where a registry sells
/// names below two labels (`co.uk`), strangers share turns, which costs them a wait and nothing else.
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
    fn a_thousand_subdomains_delay_none_but_themselves() {
        let mut rota = Rota::default();
        let push = |rota: &mut Rota, remote: &str| {
            rota.push(DomainPair {
                local: Domain::new("a.example").unwrap(),
                remote: Domain::new(remote).unwrap(),
            });
        };
        for number in 0..1000 {
            push(&mut rota, &format!("d{number}.evil.example"));
        }
        push(&mut rota, "friend.example");
        push(&mut rota, "other.friend.example");
        let mut next = || rota.pop().map(|pair| pair.remote.to_string());
        let first: Vec<String> = (0..5).map_while(|_| next()).collect();
        let wanted = ["d0.evil.example", "friend.example", "d1.evil.example", "other.friend.example"];
        assert_eq!(first[..4], wanted);
        assert_eq!(std::iter::from_fn(next).count(), 997);
        assert!(rota.is_empty());
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
