//! How full a mailbox was over time, in bounded memory.

use std::collections::VecDeque;

/// Shares (peak divided by capacity, 0 to 1): the latest ones, and the maxima of all of them in steps.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    latest: VecDeque<f64>,
    /// The maximum of each `step` consecutive shares; the last one may still change.
    all: Vec<f64>,
    /// Number of shares of a step, a power of two.
    step: usize,
    /// Number of shares in the last step.
    in_last: usize,
}

impl History {
    /// Adds the next share.
    pub(super) fn push(&mut self, share: f64) {
        if self.latest.len() == LATEST {
            self.latest.pop_front();
        }
        self.latest.push_back(share);
        self.step = self.step.max(1);
        match self.all.last_mut() {
            Some(last) if self.in_last < self.step => *last = last.max(share),
            _ => {
                self.make_room();
                self.all.push(share);
                self.in_last = 0;
            }
        }
        self.in_last += 1;
    }

    /// Adds this number of zeros. The time that it takes does not grow with their number.
    pub(super) fn push_zeros(&mut self, mut number: u64) {
        for _ in 0..number.min(LATEST as u64) {
            if self.latest.len() == LATEST {
                self.latest.pop_front();
            }
            self.latest.push_back(0.0);
        }
        self.step = self.step.max(1);
        while number > 0 {
            if self.all.is_empty() || self.in_last >= self.step {
                self.make_room();
                self.all.push(0.0);
                self.in_last = 0;
            }
            let room = (self.step - self.in_last) as u64;
            let added = room.min(number);
            self.in_last += added as usize;
            number -= added;
        }
    }

    /// The latest `width` shares, the newest last.
    pub(super) fn latest(&self, width: usize) -> impl Iterator<Item = f64> {
        let skipped = self.latest.len().saturating_sub(width);
        self.latest.iter().skip(skipped).copied()
    }

    /// The maxima of all steps, the oldest first.
    pub(super) fn all(&self) -> impl Iterator<Item = f64> {
        self.all.iter().copied()
    }

    /// Merges pairs of steps if there are [`STEPS`].
    fn make_room(&mut self) {
        if self.all.len() == STEPS {
            self.all = self.all.chunks(2).map(|pair| pair.iter().copied().fold(0.0, f64::max)).collect();
            self.step *= 2;
        }
    }
}

/// Number of latest shares that are kept, more than the columns of most terminals.
const LATEST: usize = 240;

/// Maximum number of steps, a width that fits beside the figures in a mail. It is even, so that steps can be
/// merged in pairs.
const STEPS: usize = 48;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_log_keeps_its_maximum_in_bounded_memory() {
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
    fn many_zeros_are_added_as_single_ones_would_be() {
        let filled = |zeros: u64, one_by_one: bool| {
            let mut history = History::default();
            history.push(0.5);
            match one_by_one {
                true => (0..zeros).for_each(|_| history.push(0.0)),
                false => history.push_zeros(zeros),
            }
            history.push(0.25);
            (history.all().collect::<Vec<_>>(), history.latest(1000).collect::<Vec<_>>())
        };
        for zeros in [0, 1, 2, 46, 47, 48, 95, 96, 97, 1_000, 12_345] {
            assert_eq!(filled(zeros, true), filled(zeros, false), "{zeros}");
        }
        // A clock that was wrong.
        assert!(filled(u64::from(u32::MAX), false).0.len() <= STEPS);
    }

    #[test]
    fn the_newest_share_is_last() {
        let mut history = History::default();
        (0..5_u8).for_each(|number| history.push(f64::from(number)));
        assert_eq!(history.latest(2).collect::<Vec<_>>(), [3.0, 4.0]);
        assert_eq!(history.all().count(), 5);
    }
}
