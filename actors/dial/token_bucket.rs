//! A budget that comes back with time: bounds how often others can have the node do something.

use std::time::Instant;

/// A number of deeds that may be done at once, and the rate at which it is restored.
#[derive(Clone, Debug)]
pub struct TokenBucket {
    most: f64,
    per_second: f64,
    spent: f64,
    /// The moment for which `spent` holds.
    at: Instant,
}

impl TokenBucket {
    /// A whole budget.
    pub fn new(most: usize, per_second: f64, now: Instant) -> Self {
        Self { most: most as f64, per_second, spent: 0.0, at: now }
    }

    /// Whether one more deed fits.
    pub fn has_room(&mut self, now: Instant) -> bool {
        self.restore(now);
        self.spent + 1.0 <= self.most
    }

    /// Counts a deed.
    pub fn take(&mut self, now: Instant) {
        self.restore(now);
        self.spent += 1.0;
    }

    /// Takes deeds back that turned out to be good.
    pub fn give_back(&mut self, deeds: usize, now: Instant) {
        self.restore(now);
        self.spent = (self.spent - deeds as f64).max(0.0);
    }

    /// Whether nothing is spent.
    pub fn is_whole(&mut self, now: Instant) -> bool {
        self.restore(now);
        self.spent <= 0.0
    }

    fn restore(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.spent = (self.spent - passed * self.per_second).max(0.0);
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_budget_is_spent_and_comes_back_with_time() {
        let mut now = clock::now();
        let mut budget = TokenBucket::new(3, 2.0, now);
        for _ in 0..3 {
            assert!(budget.has_room(now));
            budget.take(now);
        }
        assert!(!budget.has_room(now));
        now += Duration::from_millis(400);
        assert!(!budget.has_room(now), "0.8 of a deed is none");
        now += Duration::from_millis(200);
        assert!(budget.has_room(now) && !budget.is_whole(now));
        now += Duration::from_secs(60);
        assert!(budget.is_whole(now));
    }

    #[test]
    fn good_deeds_cost_nothing_and_never_more_than_all_comes_back() {
        let now = clock::now();
        let mut budget = TokenBucket::new(2, 1.0, now);
        for _ in 0..10_000 {
            assert!(budget.has_room(now));
            budget.take(now);
            budget.give_back(2, now);
        }
        budget.take(now);
        budget.take(now);
        assert!(!budget.has_room(now));
    }
}
