//! Slots: how many attempts to connect run at once, and which pair gets the next free slot.
//!
//! An attempt that waits for the dial limit of its address costs nothing yet, so its slot goes to another
//! pair. An attempt that hangs also loses its slot when others wait. It still costs a connection, so the
//! number of hanging attempts is bounded; past the bound the one that has hung longest is ended.
//!
//! Architecture Invariant: plain data. The caller passes the time and starts and ends the attempts.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use xmpp::{DomainPair, policy::Rules};

use super::priority::PriorityQueue;
use crate::settings::Dials;

/// The attempts under way, and the pairs that wait for a slot.
#[derive(Debug)]
pub(super) struct Slots {
    limits: Dials,
    attempts: HashMap<DomainPair, Attempt>,
    /// The attempts that hold a slot, by the time at which they got it.
    running: BTreeSet<(Instant, DomainPair)>,
    /// The attempts that lost their slot, by the time at which they got it.
    hanging: BTreeSet<(Instant, DomainPair)>,
    waiting: PriorityQueue,
}

#[derive(Clone, Copy, Debug)]
enum Attempt {
    /// Holds a slot since then.
    Running(Instant),
    /// Waits for a permit of the dial limit and holds no slot.
    Suspended,
    /// Got its slot then and lost it to another pair.
    Hanging(Instant),
    /// Was asked to end.
    Ending,
}

impl Slots {
    /// At most `limits.at_once` attempts hold a slot.
    pub(super) fn new(limits: Dials) -> Self {
        Self {
            limits,
            attempts: HashMap::new(),
            running: BTreeSet::new(),
            hanging: BTreeSet::new(),
            waiting: PriorityQueue::default(),
        }
    }

    /// The configured local names, each of which has a fair share of the slots.
    pub(super) fn set_names(&mut self, names: Option<Arc<Rules>>) {
        self.waiting.set_names(names);
    }

    /// Changes the limits. Attempts that are under way go on.
    pub(super) fn set_limits(&mut self, limits: Dials) {
        self.limits = limits;
    }

    /// Takes a slot for an attempt. If no slot is free, queues the pair behind those with as many failures
    /// and returns false.
    pub(super) fn acquire(&mut self, pair: &DomainPair, failures: u32, now: Instant) -> bool {
        if self.running.len() < self.limits.at_once {
            self.set(pair, Attempt::Running(now));
            return true;
        }
        self.waiting.push(pair.clone(), failures);
        false
    }

    /// Queues a pair that waits already once more, with the pairs that never failed.
    pub(super) fn prefer(&mut self, pair: &DomainPair) {
        self.waiting.push(pair.clone(), 0);
    }

    /// Frees the slot of an attempt that waits for the dial limit of its address.
    pub(super) fn suspend(&mut self, pair: &DomainPair) {
        if matches!(self.attempts.get(pair), Some(Attempt::Running(_) | Attempt::Hanging(_))) {
            self.set(pair, Attempt::Suspended);
        }
    }

    /// Gives a suspended attempt a slot again, even if none is free: the dial limit has its own bounds.
    pub(super) fn resume(&mut self, pair: &DomainPair, now: Instant) {
        if matches!(self.attempts.get(pair), Some(Attempt::Suspended)) {
            self.set(pair, Attempt::Running(now));
        }
    }

    /// Removes an attempt that has ended.
    pub(super) fn release(&mut self, pair: &DomainPair) {
        let last = self.attempts.remove(pair);
        self.unindex(pair, last);
    }

    /// Takes the next waiting pair out of the queue if a slot is free. The slot is taken by
    /// [`Self::acquire`].
    pub(super) fn next_waiting(&mut self) -> Option<DomainPair> {
        if self.running.len() < self.limits.at_once { self.waiting.pop() } else { None }
    }

    /// Takes slots from attempts that hang, at most one for each waiting pair. Returns the attempts that have
    /// to end because too many hang.
    pub(super) fn reclaim(&mut self, now: Instant) -> Vec<DomainPair> {
        let mut ending = Vec::new();
        for _ in 0..self.waiting.len() {
            match self.running.first().cloned() {
                Some((since, pair)) if since + SLOT_TIME <= now => self.set(&pair, Attempt::Hanging(since)),
                _ => break,
            }
            if self.hanging.len() > self.limits.hanging
                && let Some((_, longest)) = self.hanging.first().cloned()
            {
                self.set(&longest, Attempt::Ending);
                ending.push(longest);
            }
        }
        ending
    }

    fn set(&mut self, pair: &DomainPair, attempt: Attempt) {
        let last = self.attempts.insert(pair.clone(), attempt);
        self.unindex(pair, last);
        match attempt {
            Attempt::Running(since) => drop(self.running.insert((since, pair.clone()))),
            Attempt::Hanging(since) => drop(self.hanging.insert((since, pair.clone()))),
            Attempt::Suspended | Attempt::Ending => {}
        }
    }

    fn unindex(&mut self, pair: &DomainPair, attempt: Option<Attempt>) {
        match attempt {
            Some(Attempt::Running(since)) => drop(self.running.remove(&(since, pair.clone()))),
            Some(Attempt::Hanging(since)) => drop(self.hanging.remove(&(since, pair.clone()))),
            Some(Attempt::Suspended | Attempt::Ending) | None => {}
        }
    }
}

/// How long an attempt keeps its slot while others wait. With a peer that answers, DNS, TCP, TLS and dialback
/// take about twelve round trips.
const SLOT_TIME: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use xmpp::Domain;

    use super::*;

    fn pair(local: &str, remote: &str) -> DomainPair {
        DomainPair { local: Domain::new(local).unwrap(), remote: Domain::new(remote).unwrap() }
    }

    fn slots(at_once: usize, hanging: usize) -> Slots {
        Slots::new(Dials { at_once, hanging, per_address: 1, per_attempt: 1 })
    }

    fn served(slots: &mut Slots) -> Vec<String> {
        let now = clock::now();
        let mut served = Vec::new();
        while let Some(next) = slots.next_waiting() {
            assert!(slots.acquire(&next, 0, now));
            served.push(next.remote.to_string());
            slots.release(&next);
        }
        served
    }

    #[test]
    fn local_domains_alternate() {
        let (mut slots, now) = (slots(1, 0), clock::now());
        let first = pair("flood.example", "d0.example");
        assert!(slots.acquire(&first, 0, now));
        for remote in ["d1.example", "d2.example", "d3.example"] {
            assert!(!slots.acquire(&pair("flood.example", remote), 0, now));
        }
        assert!(!slots.acquire(&pair("calm.example", "friend.example"), 0, now));
        assert_eq!(slots.next_waiting(), None);
        slots.release(&first);
        assert_eq!(served(&mut slots), ["d1.example", "friend.example", "d2.example", "d3.example"]);
        assert!(slots.waiting.is_empty());
    }

    #[test]
    fn a_suspended_attempt_frees_its_slot() {
        let (mut slots, now) = (slots(1, 0), clock::now());
        let (one, other) = (pair("a.example", "one.example"), pair("a.example", "other.example"));
        assert!(slots.acquire(&one, 0, now) && !slots.acquire(&other, 0, now));
        slots.suspend(&one);
        assert_eq!(slots.next_waiting(), Some(other.clone()));
        assert!(slots.acquire(&other, 0, now));
        // Two attempts run for a moment.
        slots.resume(&one, now);
        slots.release(&one);
        assert!(!slots.acquire(&one, 0, now), "the other attempt still runs");
        slots.release(&other);
        assert_eq!(slots.next_waiting(), Some(one));
    }

    #[test]
    fn a_suspended_attempt_may_end() {
        let (mut slots, now) = (slots(1, 0), clock::now());
        let one = pair("a.example", "one.example");
        assert!(slots.acquire(&one, 0, now));
        slots.suspend(&one);
        slots.release(&one);
        assert!(slots.attempts.is_empty() && slots.running.is_empty());
    }

    #[test]
    fn a_lower_limit_ends_no_attempt_and_holds_for_the_next() {
        let (mut slots, now) = (slots(2, 0), clock::now());
        let [one, two, three] =
            ["one.example", "two.example", "three.example"].map(|name| pair("a.example", name));
        assert!(slots.acquire(&one, 0, now) && slots.acquire(&two, 0, now) && !slots.acquire(&three, 0, now));
        slots.set_limits(Dials { at_once: 1, hanging: 0, per_address: 1, per_attempt: 1 });
        slots.release(&one);
        assert_eq!((slots.next_waiting(), slots.running.len()), (None, 1));
        slots.release(&two);
        assert_eq!(slots.next_waiting(), Some(three));
    }

    #[test]
    fn a_preferred_pair_goes_before_those_that_failed() {
        let (mut slots, now) = (slots(1, 0), clock::now());
        let [one, two, three] =
            ["one.example", "two.example", "three.example"].map(|name| pair("a.example", name));
        assert!(slots.acquire(&one, 0, now));
        assert!(!slots.acquire(&two, 5, now) && !slots.acquire(&three, 5, now));
        slots.prefer(&three);
        slots.release(&one);
        assert_eq!(slots.next_waiting(), Some(three));
    }

    #[test]
    fn a_hanging_attempt_loses_its_slot_to_one_that_waits() {
        let (mut slots, now) = (slots(2, 2), clock::now());
        let remotes = ["one.example", "two.example", "three.example"].map(|name| pair("a.example", name));
        let [one, two, three] = &remotes;
        assert!(slots.acquire(one, 0, now) && slots.acquire(two, 0, now));
        assert!(slots.reclaim(now + SLOT_TIME).is_empty(), "no pair waits");
        assert_eq!(slots.running.len(), 2);
        assert!(!slots.acquire(three, 0, now));
        assert!(slots.reclaim(now + SLOT_TIME / 2).is_empty(), "too early");
        assert_eq!(slots.next_waiting(), None);
        // One slot for one waiting pair; the attempt that lost it goes on.
        assert!(slots.reclaim(now + SLOT_TIME).is_empty());
        assert_eq!((slots.running.len(), slots.hanging.len()), (1, 1));
        assert_eq!(slots.next_waiting().as_ref(), Some(three));
        for pair in [one, two] {
            slots.release(pair);
        }
        assert!(slots.attempts.is_empty() && slots.running.is_empty() && slots.hanging.is_empty());
    }

    #[test]
    fn waiting_pairs_get_slots_however_many_attempts_hang() {
        let (mut slots, mut now) = (slots(4, 8), clock::now());
        let mut begun = Vec::new();
        let mut ended = 0;
        (0..100).for_each(|number| {
            let pair = pair("a.example", &format!("{number}.example"));
            now += Duration::from_nanos(1);
            if slots.acquire(&pair, 0, now) {
                begun.push(pair);
            }
        });
        while begun.len() < 100 {
            now += SLOT_TIME;
            let ending = slots.reclaim(now);
            // The attempts that have hung longest.
            assert!(begun[ended..].starts_with(&ending));
            ended += ending.len();
            ending.iter().for_each(|pair| slots.release(pair));
            let before = begun.len();
            while let Some(next) = slots.next_waiting() {
                now += Duration::from_nanos(1);
                assert!(slots.acquire(&next, 0, now));
                begun.push(next);
            }
            assert_eq!(begun.len(), before + 4);
            assert!(slots.attempts.len() <= 4 + 8);
        }
    }
}
