//! The cost that one attempt may have, however many targets and addresses a domain publishes.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

/// Connections, look-ups and time, for a whole attempt or for one of its targets.
#[derive(Debug)]
pub(super) struct Budget {
    connections: usize,
    look_ups: Cell<usize>,
    until: Instant,
    used: Cell<usize>,
    /// At a gate, which costs nobody anything and is not counted.
    waited: Cell<Duration>,
}

impl Budget {
    pub(super) fn new(connections: usize, look_ups: usize, within: Duration) -> Self {
        Self {
            connections,
            look_ups: Cell::new(look_ups),
            until: clock::now() + within,
            used: Cell::default(),
            waited: Cell::default(),
        }
    }

    /// What a target gets: half of what is left, so that those after it get something too; the last gets it all.
    pub(super) fn share(&self, is_last: bool) -> Self {
        if is_last {
            Self::new(self.connections_left(), 0, self.time_left())
        } else {
            Self::new(self.connections_left().div_ceil(2), 0, self.time_left() / 2)
        }
    }

    /// Counts what a target has used.
    pub(super) fn settle(&self, share: &Self) {
        self.used.set(self.used.get() + share.used.get());
        self.wait(share.waited.get());
    }

    /// Whether the addresses of one more target may be looked up; it is counted.
    pub(super) fn look_up(&self) -> bool {
        let left = self.look_ups.get();
        self.look_ups.set(left.saturating_sub(1));
        left > 0
    }

    /// Whether one more connection may be made; it is counted.
    pub(super) fn connect(&self) -> bool {
        let may = !self.is_spent();
        self.used.set(self.used.get() + usize::from(may));
        may
    }

    /// Does not count a time.
    pub(super) fn wait(&self, waited: Duration) {
        self.waited.set(self.waited.get() + waited);
    }

    pub(super) fn waited(&self) -> Duration {
        self.waited.get()
    }

    pub(super) fn is_spent(&self) -> bool {
        self.connections_left() == 0 || self.time_left().is_zero()
    }

    pub(super) fn time_left(&self) -> Duration {
        (self.until + self.waited.get()).saturating_duration_since(clock::now())
    }

    fn connections_left(&self) -> usize {
        self.connections - self.used.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn uses_all(budget: &Budget) -> usize {
        std::iter::from_fn(|| budget.connect().then_some(())).count()
    }

    #[tokio::test(start_paused = true)]
    async fn every_target_gets_half_of_what_is_left_and_the_last_all() {
        let attempt = Budget::new(10, 3, MINUTE);
        let used = [false, false, false, true].map(|is_last| {
            let share = attempt.share(is_last);
            let used = uses_all(&share);
            attempt.settle(&share);
            used
        });
        assert_eq!(used, [5, 3, 1, 1]);
        assert!(attempt.is_spent());
    }

    #[tokio::test(start_paused = true)]
    async fn look_ups_are_counted_for_the_whole_attempt() {
        let attempt = Budget::new(10, 3, MINUTE);
        assert_eq!([(); 5].map(|()| attempt.look_up()), [true, true, true, false, false]);
        assert!(!attempt.is_spent(), "connections are another matter");
    }

    #[tokio::test(start_paused = true)]
    async fn time_is_shared_and_what_is_waited_at_a_gate_does_not_count() {
        let attempt = Budget::new(10, 3, MINUTE);
        let first = attempt.share(false);
        assert_eq!(first.time_left(), MINUTE / 2);
        tokio::time::advance(MINUTE).await;
        assert!(first.is_spent() && !first.connect());
        first.wait(MINUTE);
        assert_eq!((first.time_left(), first.connect()), (MINUTE / 2, true));
        attempt.settle(&first);
        tokio::time::advance(MINUTE / 2).await;
        assert_eq!(attempt.share(true).time_left(), MINUTE / 2);
    }
}
