//! A priority queue of pairs: the fewer failed attempts in a row, the earlier. A domain that is new, or
//! reachable again, does not wait behind thousands that are unreachable.
//!
//! Every fourth pair comes from a lower priority, so that no pair waits for ever.

use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Unbounded},
    sync::Arc,
};

use xmpp::{DomainPair, policy::Rules};

use super::fair_queue::FairQueue;

/// Pairs by their number of failed attempts in a row.
#[derive(Debug, Default)]
pub(super) struct PriorityQueue {
    /// By number of failures. No level is empty.
    levels: BTreeMap<u32, FairQueue>,
    /// Pairs taken out so far (wraps).
    taken: u32,
    /// The lower level that was served last.
    last: u32,
    /// The configured local names; `None`: each local domain is one.
    names: Option<Arc<Rules>>,
}

impl PriorityQueue {
    /// Pairs that are added from now on have these configured names.
    pub(super) fn set_names(&mut self, names: Option<Arc<Rules>>) {
        self.names = names;
    }

    /// Adds a pair at the end of its level.
    pub(super) fn push(&mut self, pair: DomainPair, failures: u32) {
        let level = self.levels.entry(failures.min(LOWEST)).or_default();
        let local = pair.local.clone();
        level.push(self.names.as_ref().map_or(&local, |names| names.configured(&local)), pair);
    }

    /// Takes out the next pair.
    pub(super) fn pop(&mut self) -> Option<DomainPair> {
        let first = *self.levels.first_key_value()?.0;
        self.taken = self.taken.wrapping_add(1);
        let lower = self.taken.is_multiple_of(SHARE).then(|| self.next_below(first)).flatten();
        if let Some(level) = lower {
            self.last = level;
        }
        let level = lower.unwrap_or(first);
        let queue = self.levels.get_mut(&level)?;
        let pair = queue.pop();
        if queue.is_empty() {
            self.levels.remove(&level);
        }
        pair
    }

    pub(super) fn len(&self) -> usize {
        self.levels.values().map(FairQueue::len).sum()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }

    /// The lower levels are served round robin.
    fn next_below(&self, first: u32) -> Option<u32> {
        let after = |level| self.levels.range((Excluded(level), Unbounded)).next().map(|(level, _)| *level);
        after(self.last.max(first)).or_else(|| after(first))
    }
}

/// The lowest level. After that many failures the pause is the longest in any case.
const LOWEST: u32 = 10;

/// One pair of this many comes from a lower level.
const SHARE: u32 = 4;

#[cfg(test)]
mod tests {
    use xmpp::Domain;

    use super::*;

    fn push(queue: &mut PriorityQueue, remote: &str, failures: u32) {
        let pair =
            DomainPair { local: Domain::new("a.example").unwrap(), remote: Domain::new(remote).unwrap() };
        queue.push(pair, failures);
    }

    fn served(queue: &mut PriorityQueue) -> Vec<String> {
        std::iter::from_fn(|| queue.pop()).map(|pair| pair.remote.to_string()).collect()
    }

    #[test]
    fn pairs_with_fewer_failures_go_first() {
        let mut queue = PriorityQueue::default();
        push(&mut queue, "twice.example", 2);
        push(&mut queue, "once.example", 1);
        push(&mut queue, "new.example", 0);
        assert_eq!(served(&mut queue), ["new.example", "once.example", "twice.example"]);
        assert!(queue.is_empty());
    }

    #[test]
    fn the_domains_of_a_wildcard_have_one_share() {
        use xmpp::policy::Hosted;

        let names = ["*.a.example", "b.example"].map(|name| Domain::named(name).unwrap());
        let hosted = names.map(|name| (name, Hosted { certificate: true }));
        let policy = crate::fixture::policy();
        let rules = Rules::new(hosted, policy, Vec::new(), Vec::new(), Vec::new());
        let mut queue = PriorityQueue::default();
        queue.set_names(Some(Arc::new(rules)));
        let mut push = |local: &str, remote: &str| {
            let [local, remote] = [local, remote].map(|name| Domain::new(name).unwrap());
            queue.push(DomainPair { local, remote }, 0);
        };
        for number in 0..100 {
            push(&format!("s{number}.a.example"), &format!("r{number}.example.net"));
        }
        push("b.example", "friend.example");
        assert_eq!(served(&mut queue)[..2], ["r0.example.net", "friend.example"]);
    }

    #[test]
    fn no_level_starves() {
        let mut queue = PriorityQueue::default();
        push(&mut queue, "nine.example", 9);
        push(&mut queue, "once.example", 1);
        push(&mut queue, "ever.example", u32::MAX);
        for number in 0..20 {
            push(&mut queue, &format!("new{number}.example"), 0);
        }
        let served = served(&mut queue);
        let place = |remote: &str| served.iter().position(|served| served == remote).unwrap() + 1;
        assert_eq!((place("once.example"), place("nine.example"), place("ever.example")), (4, 8, 12));
        assert_eq!(place("new2.example"), 3);
    }
}
