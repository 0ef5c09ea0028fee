//! The budget of an attempt: connections, lookups and time.

use std::{
    cell::Cell,
    rc::Rc,
    time::{Duration, Instant},
};

use super::Limits;

/// The rest of the limits of an attempt, or of the share of one target.
#[derive(Debug)]
pub(super) struct Budget {
    limited: bool,
    /// The budget of the attempt, if this is the share of a target.
    whole: Option<Rc<Self>>,
    connections: usize,
    lookups: Cell<usize>,
    until: Instant,
    used: Cell<usize>,
    /// The time spent waiting for permits, which does not count.
    waited: Cell<Duration>,
}

impl Budget {
    /// The budget of an attempt that begins now.
    pub(super) fn new(limits: &Limits) -> Self {
        Self::of(limits.connections, limits.lookups, limits.time)
    }

    /// A budget without limits.
    pub(super) fn unlimited() -> Self {
        Self { limited: false, ..Self::of(usize::MAX, usize::MAX, UNLIMITED) }
    }

    fn of(connections: usize, lookups: usize, time: Duration) -> Self {
        Self {
            limited: true,
            whole: None,
            connections,
            lookups: Cell::new(lookups),
            until: clock::now() + time,
            used: Cell::default(),
            waited: Cell::default(),
        }
    }

    /// The share of the next target: half of the rest, so that the targets after it get a share too. The
    /// last one gets everything. The use of a share counts for the whole, so shares may be used side by side.
    pub(super) fn share(self: &Rc<Self>, is_last: bool) -> Self {
        let share = if is_last {
            Self::of(self.connections_left(), 0, self.time_left())
        } else {
            Self::of(self.connections_left().div_ceil(2), 0, self.time_left() / 2)
        };
        Self { limited: self.limited, whole: Some(Rc::clone(self)), ..share }
    }

    /// Takes a lookup, if one is left.
    pub(super) fn try_take_lookup(&self) -> bool {
        let left = self.lookups.get();
        self.lookups.set(left.saturating_sub(1));
        left > 0
    }

    /// Takes a connection, if one is left.
    pub(super) fn try_take_connection(&self) -> bool {
        let may = !self.is_spent() && self.whole.as_ref().is_none_or(|whole| whole.try_take_connection());
        self.used.set(self.used.get() + usize::from(may));
        may
    }

    /// Adds time that was spent waiting for a permit.
    pub(super) fn add_wait(&self, waited: Duration) {
        self.waited.set(self.waited.get() + waited);
    }

    /// Whether the attempt has limits at all.
    pub(super) fn is_limited(&self) -> bool {
        self.limited
    }

    pub(super) fn waited(&self) -> Duration {
        self.waited.get()
    }

    pub(super) fn is_spent(&self) -> bool {
        self.connections_left() == 0
            || self.time_left().is_zero()
            || self.whole.as_ref().is_some_and(|whole| whole.is_spent())
    }

    pub(super) fn time_left(&self) -> Duration {
        let left = (self.until + self.waited.get()).saturating_duration_since(clock::now());
        self.whole.as_ref().map_or(left, |whole| left.min(whole.time_left()))
    }

    fn connections_left(&self) -> usize {
        self.connections - self.used.get()
    }
}

/// A hundred years. A larger number could overflow when it is added to the current time.
const UNLIMITED: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn uses_all(budget: &Budget) -> usize {
        std::iter::from_fn(|| budget.try_take_connection().then_some(())).count()
    }

    #[tokio::test(start_paused = true)]
    async fn each_target_gets_half_of_the_rest_and_the_last_gets_all() {
        let attempt = Rc::new(Budget::of(10, 3, MINUTE));
        let used = [false, false, false, true].map(|is_last| uses_all(&attempt.share(is_last)));
        assert_eq!(used, [5, 3, 1, 1]);
        assert!(attempt.is_spent());
    }

    #[tokio::test(start_paused = true)]
    async fn shares_that_are_used_side_by_side_do_not_exceed_the_whole() {
        let attempt = Rc::new(Budget::of(3, 3, MINUTE));
        let [one, other] = [attempt.share(true), attempt.share(true)];
        assert!(one.try_take_connection() && other.try_take_connection() && one.try_take_connection());
        assert!(!other.try_take_connection() && other.is_spent() && attempt.is_spent());
    }

    #[tokio::test(start_paused = true)]
    async fn lookups_are_limited_for_the_whole_attempt() {
        let attempt = Budget::of(10, 3, MINUTE);
        assert_eq!([(); 5].map(|()| attempt.try_take_lookup()), [true, true, true, false, false]);
        assert!(!attempt.is_spent(), "connections are counted separately");
    }

    #[tokio::test(start_paused = true)]
    async fn time_is_shared_and_waiting_for_a_permit_does_not_count() {
        let attempt = Rc::new(Budget::of(10, 3, MINUTE));
        let first = attempt.share(false);
        assert_eq!(first.time_left(), MINUTE / 2);
        tokio::time::advance(MINUTE).await;
        assert!(first.is_spent() && !first.try_take_connection());
        for budget in [&first, &*attempt] {
            budget.add_wait(MINUTE);
        }
        assert_eq!((first.time_left(), first.try_take_connection()), (MINUTE / 2, true));
        tokio::time::advance(MINUTE / 2).await;
        assert_eq!(attempt.share(true).time_left(), MINUTE / 2);
    }
}
