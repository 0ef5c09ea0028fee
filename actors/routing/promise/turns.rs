//! Whose attempt is made next, when more are wanted than may be under way at once.
//!
//! An attempt that is held at the gate of its address costs nothing yet, and leaves its turn to another. One that hangs
//! leaves it too, for it may as well wait beside the others; but it costs a connection, so there is a bound for such,
//! and past that the one that has hung longest gives way for good.

use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant},
};

use xmpp::DomainPair;

use super::lanes::Lanes;
use crate::settings::Dials;

/// The attempts under way, held, hanging and wanted.
#[derive(Debug)]
pub(super) struct Turns {
    dials: Dials,
    under_way: HashMap<DomainPair, Step>,
    /// Those that have a turn, and since when.
    running: BTreeSet<(Instant, DomainPair)>,
    /// Those that left theirs, and since when they had it.
    hanging: BTreeSet<(Instant, DomainPair)>,
    waiting: Lanes,
}

/// How an attempt stands.
#[derive(Clone, Copy, Debug)]
enum Step {
    Running(Instant),
    Held,
    Hanging(Instant),
    /// It was told to give way.
    Ending,
}

impl Turns {
    /// At most `dials.at_once` attempts are under way.
    pub(super) fn new(dials: Dials) -> Self {
        Self {
            dials,
            under_way: HashMap::new(),
            running: BTreeSet::new(),
            hanging: BTreeSet::new(),
            waiting: Lanes::default(),
        }
    }

    /// Other bounds; what is under way goes on.
    pub(super) fn limit(&mut self, dials: Dials) {
        self.dials = dials;
    }

    /// Whether an attempt may begin now; if not, it waits for its turn, with those that failed as often.
    pub(super) fn take(&mut self, pair: &DomainPair, failures: u32, now: Instant) -> bool {
        if self.running.len() < self.dials.at_once {
            self.step(pair, Step::Running(now));
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
    pub(super) fn hold(&mut self, pair: &DomainPair) {
        if matches!(self.under_way.get(pair), Some(Step::Running(_) | Step::Hanging(_))) {
            self.step(pair, Step::Held);
        }
    }

    /// An attempt goes on.
    pub(super) fn resume(&mut self, pair: &DomainPair, now: Instant) {
        if matches!(self.under_way.get(pair), Some(Step::Held)) {
            self.step(pair, Step::Running(now));
        }
    }

    /// An attempt is over.
    pub(super) fn end(&mut self, pair: &DomainPair) {
        let last = self.under_way.remove(pair);
        self.leave(pair, last);
    }

    /// The next of those that wait, if it may begin. It does not count before it takes its turn.
    pub(super) fn next(&mut self) -> Option<DomainPair> {
        if self.running.len() < self.dials.at_once { self.waiting.pop() } else { None }
    }

    /// Takes their turns from attempts that hang, one for each that waits. Gives those that have to end for that.
    pub(super) fn relieve(&mut self, now: Instant) -> Vec<DomainPair> {
        let mut ending = Vec::new();
        for _ in 0..self.waiting.len() {
            match self.running.first().cloned() {
                Some((since, pair)) if since + PATIENCE <= now => self.step(&pair, Step::Hanging(since)),
                _ => break,
            }
            if self.hanging.len() > self.dials.hanging
                && let Some((_, longest)) = self.hanging.first().cloned()
            {
                self.step(&longest, Step::Ending);
                ending.push(longest);
            }
        }
        ending
    }

    fn step(&mut self, pair: &DomainPair, step: Step) {
        let last = self.under_way.insert(pair.clone(), step);
        self.leave(pair, last);
        match step {
            Step::Running(since) => drop(self.running.insert((since, pair.clone()))),
            Step::Hanging(since) => drop(self.hanging.insert((since, pair.clone()))),
            Step::Held | Step::Ending => {}
        }
    }

    fn leave(&mut self, pair: &DomainPair, step: Option<Step>) {
        match step {
            Some(Step::Running(since)) => drop(self.running.remove(&(since, pair.clone()))),
            Some(Step::Hanging(since)) => drop(self.hanging.remove(&(since, pair.clone()))),
            Some(Step::Held | Step::Ending) | None => {}
        }
    }
}

/// How long an attempt has its turn while others wait. With a peer that answers, DNS, TCP, TLS and dialback take a
/// dozen round trips.
const PATIENCE: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use xmpp::Domain;

    use super::*;

    fn pair(local: &str, remote: &str) -> DomainPair {
        DomainPair { local: Domain::new(local).unwrap(), remote: Domain::new(remote).unwrap() }
    }

    fn turns(at_once: usize, hanging: usize) -> Turns {
        Turns::new(Dials { at_once, hanging, per_address: 1, per_attempt: 1 })
    }

    fn served(turns: &mut Turns) -> Vec<String> {
        let now = clock::now();
        let mut served = Vec::new();
        while let Some(next) = turns.next() {
            assert!(turns.take(&next, 0, now));
            served.push(next.remote.to_string());
            turns.end(&next);
        }
        served
    }

    #[test]
    fn local_domains_take_turns() {
        let (mut turns, now) = (turns(1, 0), clock::now());
        let first = pair("flood.example", "d0.example");
        assert!(turns.take(&first, 0, now));
        for remote in ["d1.example", "d2.example", "d3.example"] {
            assert!(!turns.take(&pair("flood.example", remote), 0, now));
        }
        assert!(!turns.take(&pair("calm.example", "friend.example"), 0, now));
        assert_eq!(turns.next(), None);
        turns.end(&first);
        assert_eq!(served(&mut turns), ["d1.example", "friend.example", "d2.example", "d3.example"]);
        assert!(turns.waiting.is_empty());
    }

    #[test]
    fn an_attempt_that_is_held_leaves_its_turn_to_another() {
        let (mut turns, now) = (turns(1, 0), clock::now());
        let (one, other) = (pair("a.example", "one.example"), pair("a.example", "other.example"));
        assert!(turns.take(&one, 0, now) && !turns.take(&other, 0, now));
        turns.hold(&one);
        assert_eq!(turns.next(), Some(other.clone()));
        assert!(turns.take(&other, 0, now));
        // For a moment there are two: the gate has its own bounds.
        turns.resume(&one, now);
        turns.end(&one);
        assert!(!turns.take(&one, 0, now), "the other one's is still under way");
        turns.end(&other);
        assert_eq!(turns.next(), Some(one));
    }

    #[test]
    fn an_attempt_may_end_while_it_is_held() {
        let (mut turns, now) = (turns(1, 0), clock::now());
        let one = pair("a.example", "one.example");
        assert!(turns.take(&one, 0, now));
        turns.hold(&one);
        turns.end(&one);
        assert!(turns.under_way.is_empty() && turns.running.is_empty());
    }

    #[test]
    fn an_attempt_that_hangs_leaves_its_turn_to_one_that_waits() {
        let (mut turns, now) = (turns(2, 2), clock::now());
        let remotes = ["one.example", "two.example", "three.example"].map(|name| pair("a.example", name));
        let [one, two, three] = &remotes;
        assert!(turns.take(one, 0, now) && turns.take(two, 0, now));
        assert!(turns.relieve(now + PATIENCE).is_empty(), "nobody waits");
        assert_eq!(turns.running.len(), 2);
        assert!(!turns.take(three, 0, now));
        assert!(turns.relieve(now + PATIENCE / 2).is_empty(), "too early");
        assert_eq!(turns.next(), None);
        // One turn for one that waits; who has left his goes on.
        assert!(turns.relieve(now + PATIENCE).is_empty());
        assert_eq!((turns.running.len(), turns.hanging.len()), (1, 1));
        assert_eq!(turns.next().as_ref(), Some(three));
        for pair in [one, two] {
            turns.end(pair);
        }
        assert!(turns.under_way.is_empty() && turns.running.is_empty() && turns.hanging.is_empty());
    }

    #[test]
    fn however_many_hang_there_are_turns_for_those_that_wait() {
        let (mut turns, mut now) = (turns(4, 8), clock::now());
        let mut begun = Vec::new();
        let mut ended = 0;
        (0..100).for_each(|number| {
            let pair = pair("a.example", &format!("{number}.example"));
            now += Duration::from_nanos(1);
            if turns.take(&pair, 0, now) {
                begun.push(pair);
            }
        });
        while begun.len() < 100 {
            now += PATIENCE;
            let ending = turns.relieve(now);
            // Those that have hung longest.
            assert!(begun[ended..].starts_with(&ending));
            ended += ending.len();
            ending.iter().for_each(|pair| turns.end(pair));
            let before = begun.len();
            while let Some(next) = turns.next() {
                now += Duration::from_nanos(1);
                assert!(turns.take(&next, 0, now));
                begun.push(next);
            }
            assert_eq!(begun.len(), before + 4);
            assert!(turns.under_way.len() <= 4 + 8);
        }
    }
}
