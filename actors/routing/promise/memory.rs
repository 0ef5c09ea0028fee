//! Memory: frees some of it when little is left, and releases what is no longer used.

use xmpp::DomainPair;

use super::{Promise, State, pairs::Pair, waiting::Bound};

impl Promise {
    /// Frees memory when little is left: forgets pairs for which nothing waits, then makes the largest queues
    /// give up their newest stanzas.
    pub(super) fn relieve(&mut self) {
        if !self.waiting.is_crowded() {
            return;
        }
        let forgotten = |(pair, known): &(&DomainPair, &Pair)| {
            matches!(known.state, State::Pausing) && self.waiting.is_idle(pair)
        };
        let forgotten: Vec<DomainPair> =
            self.pairs.iter().filter(forgotten).map(|(pair, _)| pair.clone()).collect();
        for pair in forgotten {
            self.remove(&pair);
        }
        for (weight, pair) in self.waiting.by_weight() {
            let Some(shed) = self.waiting.shed(&pair, weight) else { break };
            self.refuse(&pair, Bound::Memory, shed);
            if self.waiting.is_idle(&pair)
                && matches!(self.pairs.state(&pair), Some(State::AwaitingSlot { .. } | State::Pausing))
            {
                self.remove(&pair);
            }
        }
        self.waiting.end_shedding();
    }

    /// To be called every second.
    pub(super) fn tidy(&mut self) {
        self.waiting.tidy();
        self.relieve();
        self.schedule.tidy(clock::now());
        self.pairs.tidy();
        self.refill_all();
    }
}
