//! The hold: batches for which the memory of all queues leaves no room, in order of their arrival over all pairs.
//!
//! A held batch keeps the read permit of its source, so its source is paused. No other bound pauses a source.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use xmpp::DomainPair;

use crate::flow::batch::Batch;
use status::amount::Amount;

/// The held batches.
#[derive(Debug, Default)]
pub(super) struct Hold {
    batches: VecDeque<Held>,
    /// The number of held batches of each pair that has some.
    of_pairs: HashMap<DomainPair, usize>,
}

/// A held batch.
#[derive(Debug)]
pub(in crate::routing::promise) struct Held {
    pub(in crate::routing::promise) batch: Batch,
    pub(in crate::routing::promise) until: Instant,
}

impl Hold {
    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    pub(super) fn has(&self, pair: &DomainPair) -> bool {
        self.of_pairs.contains_key(pair)
    }

    /// The pairs of which something is held.
    pub(super) fn pairs(&self) -> impl Iterator<Item = &DomainPair> {
        self.of_pairs.keys()
    }

    pub(super) fn push_back(&mut self, held: Held) {
        *self.of_pairs.entry(held.batch.pair()).or_default() += 1;
        self.batches.push_back(held);
    }

    /// Puts back the rest of the first batch.
    pub(super) fn push_front(&mut self, held: Held) {
        *self.of_pairs.entry(held.batch.pair()).or_default() += 1;
        self.batches.push_front(held);
    }

    pub(super) fn first(&self) -> Option<&Held> {
        self.batches.front()
    }

    pub(super) fn pop(&mut self) -> Option<Held> {
        let held = self.batches.pop_front()?;
        self.forget(&held.batch.pair());
        Some(held)
    }

    /// Takes out the batches of a pair, in order.
    pub(super) fn take(&mut self, pair: &DomainPair) -> Vec<Batch> {
        if self.of_pairs.remove(pair).is_none() {
            return Vec::new();
        }
        let (taken, left): (Vec<Held>, _) =
            std::mem::take(&mut self.batches).into_iter().partition(|held| held.batch.pair() == *pair);
        self.batches = left.into();
        taken.into_iter().map(|held| held.batch).collect()
    }

    /// Takes out everything, in order.
    pub(super) fn take_all(&mut self) -> Vec<Batch> {
        self.of_pairs = HashMap::new();
        std::mem::take(&mut self.batches).into_iter().map(|held| held.batch).collect()
    }

    /// What is held of a pair.
    pub(super) fn amount(&self, pair: &DomainPair) -> Amount {
        if !self.has(pair) {
            return Amount::default();
        }
        let of_pair = self.batches.iter().filter(|held| held.batch.pair() == *pair);
        of_pair.map(|held| held.batch.amount()).fold(Amount::default(), Amount::plus)
    }

    fn forget(&mut self, pair: &DomainPair) {
        if let Some(count) = self.of_pairs.get_mut(pair) {
            *count -= 1;
            if *count == 0 {
                self.of_pairs.remove(pair);
            }
        }
    }
}

/// How long a batch is held: about the time that a connection takes to set up, with dialback, and that a link takes to
/// read a part of what waits for it.
pub(in crate::routing::promise) const HOLD: Duration = Duration::from_secs(3);
