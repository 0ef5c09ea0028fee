//! What everything that waits may take of the memory, and what is given up when it takes more.
//!
//! `total_bytes` bounds the stanzas and all that is kept beside them, so a hundred thousand domains of which each has
//! one short message waiting are within it as well.

use std::cmp::Reverse;

use xmpp::DomainPair;

use super::{Pair, Promise, State, queue::Queue};
use crate::routing::shrink;

impl Promise {
    /// Does something with what waits for a pair.
    pub(super) fn change<T>(&mut self, key: &DomainPair, change: impl FnOnce(&mut Queue) -> T) -> Option<T> {
        let queue = &mut self.pairs.get_mut(key)?.queue;
        let before = queue.weight();
        let outcome = change(queue);
        self.weight = self.weight - before + queue.weight();
        Some(outcome)
    }

    /// What all queues may still take.
    pub(super) fn free(&self) -> usize {
        self.bounds.total_bytes.saturating_sub(self.all())
    }

    pub(super) fn has_room_for_a_pair(&self) -> bool {
        self.free() >= PAIR_COST
    }

    fn all(&self) -> usize {
        self.weight + self.pairs.len() * PAIR_COST
    }

    /// Past four fifths of the whole the largest queues give up their newest, after what is only remembered of pairs.
    pub(super) fn relieve_if_crowded(&mut self) {
        let total = self.bounds.total_bytes;
        if self.all() <= total / 5 * 4 {
            self.crowded = 0;
            return;
        }
        // To look at all pairs takes time: not at each stanza, should it not help.
        if self.crowded > 0 && self.all() <= self.crowded + total / 20 {
            return;
        }
        self.forget_where(|pair| matches!(pair.state, State::Pausing { .. }) && pair.is_idle());
        self.shed(self.all().saturating_sub(total / 4 * 3));
        self.crowded = if self.all() > total / 5 * 4 { self.all() } else { 0 };
    }

    fn shed(&mut self, mut surplus: usize) {
        let mut sizes: Vec<(usize, DomainPair)> =
            self.pairs.iter().map(|(key, pair)| (pair.queue.weight(), key.clone())).collect();
        sizes.sort_unstable_by_key(|(size, _)| Reverse(*size));
        for (size, key) in sizes {
            // Half of what it has, so that no queue pays for all.
            let share = surplus.min(size / 2);
            if share == 0 {
                return;
            }
            let before = self.all();
            let shed = self.change(&key, |queue| queue.shed(size - share)).unwrap_or_default();
            self.refuse(&key, shed);
            // A pair of which nothing is left is not worth its own cost.
            let left = |pair: &Pair| {
                pair.is_idle() && matches!(pair.state, State::AwaitingTurn | State::Pausing { .. })
            };
            if self.pairs.get(&key).is_some_and(left) {
                self.remove(&key);
            }
            surplus = surplus.saturating_sub(before - self.all());
        }
    }

    fn forget_where(&mut self, forgotten: impl Fn(&Pair) -> bool) {
        let keys: Vec<DomainPair> =
            self.pairs.iter().filter(|(_, pair)| forgotten(pair)).map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.remove(&key);
        }
    }

    /// What a flood took is given back when it is over.
    pub(super) fn give_back_memory(&mut self) {
        // Of some nothing waits any more.
        self.crowded = 0;
        self.relieve_if_crowded();
        if self.agenda.len() > 4 * self.pairs.len() + AGENDA_AT_LEAST {
            // Of pairs that are gone, mostly.
            let pairs = &self.pairs;
            let current = |entry: &Reverse<(_, DomainPair)>| {
                pairs.get(&entry.0.1).is_some_and(|pair| pair.scheduled == Some(entry.0.0))
            };
            self.agenda.retain(current);
        }
        shrink::heap(&mut self.agenda);
        shrink::map(&mut self.pairs);
        shrink::map(&mut self.remotes);
        shrink::map(&mut self.restless);
    }
}

/// What a pair takes that has anything waiting or is remembered, beside its stanzas: measured 1500, of which its own
/// state is a quarter (the rest: its names, its places in the two maps, in the agenda and in line, a queue that is not
/// empty, and the account of the remote domain).
const PAIR_COST: usize = 1536;

/// Below this many entries it is not worth looking for those that have become pointless.
const AGENDA_AT_LEAST: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_counted_with_more_than_its_state() {
        let entries = 2 * size_of::<DomainPair>() + size_of::<(std::time::Instant, DomainPair)>();
        assert!(size_of::<Pair>() + 2 * entries < PAIR_COST, "{}", size_of::<Pair>());
    }
}
