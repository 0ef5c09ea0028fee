//! Pairs in line, in lanes: those without failed attempts before those with, and of these those with fewer before
//! those with more. So a domain that is new, or back, does not wait behind thousands that are away.
//!
//! Each lane has its share, so that none starves.

use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Unbounded},
};

use xmpp::DomainPair;

use super::rota::Rota;

/// Who is in line, by failed attempts in a row.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    /// None is empty.
    lanes: BTreeMap<u32, Rota>,
    served: u32,
    /// The lane that had the last turn of those behind the first.
    last: u32,
}

impl Lanes {
    /// At the end of its lane.
    pub(super) fn push(&mut self, pair: DomainPair, failures: u32) {
        self.lanes.entry(failures.min(MOST_FAILURES)).or_default().push(pair);
    }

    /// The first of the lane whose turn it is.
    pub(super) fn pop(&mut self) -> Option<DomainPair> {
        let first = *self.lanes.first_key_value()?.0;
        self.served = self.served.wrapping_add(1);
        let behind = self.served.is_multiple_of(SHARE).then(|| self.next_behind(first)).flatten();
        if let Some(lane) = behind {
            self.last = lane;
        }
        let lane = behind.unwrap_or(first);
        let rota = self.lanes.get_mut(&lane)?;
        let pair = rota.pop();
        if rota.is_empty() {
            self.lanes.remove(&lane);
        }
        pair
    }

    pub(super) fn len(&self) -> usize {
        self.lanes.values().map(Rota::len).sum()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// The lanes behind the first have their turns one after the other.
    fn next_behind(&self, first: u32) -> Option<u32> {
        let after = |lane| self.lanes.range((Excluded(lane), Unbounded)).next().map(|(lane, _)| *lane);
        after(self.last.max(first)).or_else(|| after(first))
    }
}

/// With that many failures the pause is the longest anyway, and they are alike.
const MOST_FAILURES: u32 = 10;

/// One turn in so many is for a lane behind the first.
const SHARE: u32 = 4;

#[cfg(test)]
mod tests {
    use xmpp::Domain;

    use super::*;

    fn push(lanes: &mut Lanes, remote: &str, failures: u32) {
        let pair =
            DomainPair { local: Domain::new("a.example").unwrap(), remote: Domain::new(remote).unwrap() };
        lanes.push(pair, failures);
    }

    fn served(lanes: &mut Lanes) -> Vec<String> {
        std::iter::from_fn(|| lanes.pop()).map(|pair| pair.remote.to_string()).collect()
    }

    #[test]
    fn those_that_never_failed_go_first_and_then_those_that_failed_least() {
        let mut lanes = Lanes::default();
        push(&mut lanes, "twice.example", 2);
        push(&mut lanes, "once.example", 1);
        push(&mut lanes, "new.example", 0);
        assert_eq!(served(&mut lanes), ["new.example", "once.example", "twice.example"]);
        assert!(lanes.is_empty());
    }

    #[test]
    fn no_lane_starves_however_much_comes_before_it() {
        let mut lanes = Lanes::default();
        push(&mut lanes, "nine.example", 9);
        push(&mut lanes, "once.example", 1);
        push(&mut lanes, "ever.example", u32::MAX);
        for number in 0..20 {
            push(&mut lanes, &format!("new{number}.example"), 0);
        }
        let served = served(&mut lanes);
        let place = |remote: &str| served.iter().position(|served| served == remote).unwrap() + 1;
        assert_eq!((place("once.example"), place("nine.example"), place("ever.example")), (4, 8, 12));
        assert_eq!(place("new2.example"), 3);
    }
}
