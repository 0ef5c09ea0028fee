//! A token bucket, which bounds how often others can make the node act.

use std::time::Instant;

/// A number of tokens that is restored at a constant rate.
#[derive(Clone, Debug)]
pub struct TokenBucket {
    capacity: f64,
    per_second: f64,
    spent: f64,
    /// The time for which `spent` holds.
    at: Instant,
}

impl TokenBucket {
    /// A full bucket of `capacity` tokens.
    pub fn new(capacity: usize, per_second: f64, now: Instant) -> Self {
        Self { capacity: capacity as f64, per_second, spent: 0.0, at: now }
    }

    /// Whether a token is left.
    pub fn has_room(&mut self, now: Instant) -> bool {
        self.restore(now);
        self.spent + 1.0 <= self.capacity
    }

    /// Takes a token, whether or not one is left.
    pub fn take(&mut self, now: Instant) {
        self.restore(now);
        self.spent += 1.0;
    }

    /// Gives tokens back, up to the capacity.
    pub fn give_back(&mut self, tokens: usize, now: Instant) {
        self.restore(now);
        self.spent = (self.spent - tokens as f64).max(0.0);
    }

    /// Whether all tokens are there.
    pub fn is_full(&mut self, now: Instant) -> bool {
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
    fn tokens_are_spent_and_restored_with_time() {
        let mut now = clock::now();
        let mut bucket = TokenBucket::new(3, 2.0, now);
        for _ in 0..3 {
            assert!(bucket.has_room(now));
            bucket.take(now);
        }
        assert!(!bucket.has_room(now));
        now += Duration::from_millis(400);
        assert!(!bucket.has_room(now), "0.8 of a token is not enough");
        now += Duration::from_millis(200);
        assert!(bucket.has_room(now) && !bucket.is_full(now));
        now += Duration::from_secs(60);
        assert!(bucket.is_full(now));
    }

    #[test]
    fn tokens_that_are_given_back_never_exceed_the_capacity() {
        let now = clock::now();
        let mut bucket = TokenBucket::new(2, 1.0, now);
        for _ in 0..10_000 {
            assert!(bucket.has_room(now));
            bucket.take(now);
            bucket.give_back(2, now);
        }
        bucket.take(now);
        bucket.take(now);
        assert!(!bucket.has_room(now));
    }
}
