//! How full a mailbox was over time, in the space of one line.

use std::collections::VecDeque;

/// The shares (peak by capacity, 0 to 1) that were seen: the latest one by one, and all of them in coarse steps.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    latest: VecDeque<f64>,
    /// The highest of each `step` in a row; the last one still grows.
    all: Vec<f64>,
    /// A power of two.
    step: usize,
    /// How many the last of `all` has seen.
    begun: usize,
}

impl History {
    /// Adds what was seen last.
    pub(super) fn push(&mut self, share: f64) {
        if self.latest.len() == LATEST {
            self.latest.pop_front();
        }
        self.latest.push_back(share);
        self.step = self.step.max(1);
        match self.all.last_mut() {
            Some(last) if self.begun < self.step => *last = last.max(share),
            _ => {
                self.make_room();
                self.all.push(share);
                self.begun = 0;
            }
        }
        self.begun += 1;
    }

    /// The latest, no more than `width`, the newest last.
    pub(super) fn latest(&self, width: usize) -> impl Iterator<Item = f64> {
        let skipped = self.latest.len().saturating_sub(width);
        self.latest.iter().skip(skipped).copied()
    }

    /// All that was ever seen, from the first on; of what falls together the highest.
    pub(super) fn all(&self) -> impl Iterator<Item = f64> {
        self.all.iter().copied()
    }

    /// Halves the number of steps when there are as many as may be.
    fn make_room(&mut self) {
        if self.all.len() == STEPS {
            self.all = self.all.chunks(2).map(|pair| pair.iter().copied().fold(0.0, f64::max)).collect();
            self.step *= 2;
        }
    }
}

/// More columns than most terminals have.
const LATEST: usize = 240;

/// As wide as fits beside the figures in a mail or an issue. Even, so that halving leaves no half step.
const STEPS: usize = 48;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_log_keeps_every_height_and_takes_no_more_room() {
        let mut history = History::default();
        for number in 0..100_000 {
            history.push(if number == 70_000 { 1.0 } else { 0.1 });
        }
        let all: Vec<f64> = history.all().collect();
        assert!((STEPS / 2..=STEPS).contains(&all.len()), "{}", all.len());
        let highest = all.iter().position(|share| *share == 1.0).unwrap();
        let expected = all.len() * 7 / 10;
        assert!(highest.abs_diff(expected) <= 1, "{highest} of {}", all.len());
        assert_eq!(history.latest(1000).count(), LATEST);
    }

    #[test]
    fn the_latest_stand_at_the_end() {
        let mut history = History::default();
        (0..5_u8).for_each(|number| history.push(f64::from(number)));
        assert_eq!(history.latest(2).collect::<Vec<_>>(), [3.0, 4.0]);
        assert_eq!(history.all().count(), 5);
    }
}
