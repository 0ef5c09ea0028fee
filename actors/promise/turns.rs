//! Whose attempt is made next, when more are wanted than may be under way at once.
//!
//! An attempt that is held at the gate of its address costs nothing yet, and leaves its turn to another.

use std::collections::HashSet;

use xmpp::DomainPair;

use super::lanes::Lanes;

/// The attempts under way, held and wanted.
#[derive(Debug)]
pub(super) struct Turns {
    at_once: usize,
    running: usize,
    held: HashSet<DomainPair>,
    waiting: Lanes,
}

impl Turns {
    /// At most `at_once` attempts are under way.
    pub(super) fn new(at_once: usize) -> Self {
        Self { at_once, running: 0, held: HashSet::new(), waiting: Lanes::default() }
    }

    /// Other bounds; what is under way goes on.
    pub(super) fn limit(&mut self, at_once: usize) {
        self.at_once = at_once;
    }

    /// Whether an attempt may begin now; if not, it waits for its turn, with those that failed as often.
    pub(super) fn take(&mut self, pair: &DomainPair, failures: u32) -> bool {
        if self.running < self.at_once {
            self.running += 1;
            return true;
        }
        self.waiting.push(pair.clone(), failures);
        false
    }

    /// One that waits may wait with those that never failed.
    pub(super) fn prefer(&mut self, pair: &DomainPair) {
        self.waiting.push(pair.clone(), 0);
    }

    /// An attempt waits at the gate of its address.
    pub(super) fn hold(&mut self, pair: DomainPair) {
        if self.held.insert(pair) {
            self.running -= 1;
        }
    }

    /// An attempt goes on.
    pub(super) fn resume(&mut self, pair: &DomainPair) {
        if self.held.remove(pair) {
            self.running += 1;
        }
    }

    /// An attempt is over.
    pub(super) fn end(&mut self, pair: &DomainPair) {
        if !self.held.remove(pair) {
            self.running -= 1;
        }
    }

    /// The next of those that wait, if it may begin. It does not count before it takes its turn.
    pub(super) fn next(&mut self) -> Option<DomainPair> {
        if self.running < self.at_once { self.waiting.pop() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use xmpp::Domain;

    use super::*;

    fn pair(local: &str, remote: &str) -> DomainPair {
        DomainPair { local: Domain::new(local).unwrap(), remote: Domain::new(remote).unwrap() }
    }

    fn served(turns: &mut Turns) -> Vec<String> {
        let mut served = Vec::new();
        while let Some(next) = turns.next() {
            assert!(turns.take(&next, 0));
            served.push(next.remote.to_string());
            turns.end(&next);
        }
        served
    }

    #[test]
    fn local_domains_take_turns() {
        let mut turns = Turns::new(1);
        let first = pair("flood.example", "d0.example");
        assert!(turns.take(&first, 0));
        for remote in ["d1.example", "d2.example", "d3.example"] {
            assert!(!turns.take(&pair("flood.example", remote), 0));
        }
        assert!(!turns.take(&pair("calm.example", "friend.example"), 0));
        assert_eq!(turns.next(), None);
        turns.end(&first);
        assert_eq!(served(&mut turns), ["d1.example", "friend.example", "d2.example", "d3.example"]);
        assert!(turns.waiting.is_empty());
    }

    #[test]
    fn an_attempt_that_is_held_leaves_its_turn_to_another() {
        let mut turns = Turns::new(1);
        let (one, other) = (pair("a.example", "one.example"), pair("a.example", "other.example"));
        assert!(turns.take(&one, 0) && !turns.take(&other, 0));
        turns.hold(one.clone());
        assert_eq!(turns.next(), Some(other.clone()));
        assert!(turns.take(&other, 0));
        // For a moment there are two: the gate has its own bounds.
        turns.resume(&one);
        turns.end(&one);
        assert!(!turns.take(&one, 0), "the other one's is still under way");
        turns.end(&other);
        assert_eq!(turns.next(), Some(one));
    }

    #[test]
    fn an_attempt_may_end_while_it_is_held() {
        let mut turns = Turns::new(1);
        let one = pair("a.example", "one.example");
        assert!(turns.take(&one, 0));
        turns.hold(one.clone());
        turns.end(&one);
        assert_eq!((turns.running, turns.held.len()), (0, 0));
    }
}
