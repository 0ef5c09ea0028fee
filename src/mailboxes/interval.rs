//! The interval between two lines of a kind of actor, estimated from a log: `log_mailboxes` is not in it.

use std::time::Duration;

/// Counts the pauses between lines of the same kind, by their length in seconds.
#[derive(Debug)]
pub(super) struct Interval {
    /// The number of pauses of each length, up to [`LONGEST`].
    counts: Vec<u32>,
    total: u32,
    /// The present estimate in seconds.
    estimate: u32,
}

impl Default for Interval {
    fn default() -> Self {
        Self { counts: vec![0; LONGEST as usize + 1], total: 0, estimate: DEFAULT }
    }
}

impl Interval {
    /// Adds the pause between two lines of a kind.
    pub(super) fn add(&mut self, pause: Duration) {
        let seconds = pause.as_secs_f64().round();
        if !(1.0..=f64::from(LONGEST)).contains(&seconds) {
            return;
        }
        let seconds = seconds as u32;
        if let Some(count) = self.counts.get_mut(seconds as usize) {
            *count = count.saturating_add(1);
            self.total = self.total.saturating_add(1);
        }
        // The search is repeated only when its result may change.
        if self.total.is_power_of_two() || self.total.is_multiple_of(CHECK_EVERY) {
            self.estimate = self.shortest_common();
        }
    }

    /// The interval.
    pub(super) fn get(&self) -> Duration {
        Duration::from_secs(u64::from(self.estimate))
    }

    /// The number of lines that are missing in a pause, since the kind was idle.
    pub(super) fn missing(&self, pause: Duration) -> u64 {
        let intervals = (pause.as_secs_f64() / f64::from(self.estimate)).round() as u64;
        intervals.saturating_sub(1)
    }

    /// The shortest pause that is common: a line on SIGUSR1 makes pauses shorter, and idleness makes them longer.
    fn shortest_common(&self) -> u32 {
        let common =
            self.counts.iter().zip(0..).find(|(count, _)| u64::from(**count) * COMMON > self.total.into());
        // A kind that works once a minute shows nothing about shorter intervals: most nodes have the default.
        common.map_or(DEFAULT, |(_, seconds)| seconds)
    }
}

/// The default of `log_mailboxes`, in seconds.
const DEFAULT: u32 = 10;

/// The longest pause that is counted, in seconds. A longer interval is of no use.
const LONGEST: u32 = 3600;

/// One in so many pauses has a common length.
const COMMON: u64 = 20;

/// Pauses between two estimates.
const CHECK_EVERY: u32 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pauses: impl IntoIterator<Item = f64>) -> Interval {
        let mut interval = Interval::default();
        pauses.into_iter().for_each(|pause| interval.add(Duration::from_secs_f64(pause)));
        interval
    }

    #[test]
    fn the_shortest_common_pause_is_the_interval() {
        assert_eq!(Interval::default().get(), Duration::from_secs(10));
        assert_eq!(of([60.0]).get(), Duration::from_secs(60));
        let mixed = (0..1000).map(|number| match number % 100 {
            0 => 3.0,
            1..50 => 9.9,
            _ => 70.0,
        });
        assert_eq!(of(mixed).get(), Duration::from_secs(10));
        assert_eq!(of([1e9, 0.0]).get(), Duration::from_secs(10));
    }

    #[test]
    fn lines_that_are_missing_are_counted() {
        let interval = Interval::default();
        let missing = |seconds| interval.missing(Duration::from_secs_f64(seconds));
        assert_eq!(
            [missing(0.0), missing(9.1), missing(11.0), missing(20.2), missing(310.0)],
            [0, 0, 0, 1, 30]
        );
    }
}
