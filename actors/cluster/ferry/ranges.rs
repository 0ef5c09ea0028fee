//! Sets of numbers of parcels, as ranges.

use std::collections::BTreeMap;

/// A set of numbers that mostly follow each other. It costs memory for each gap only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges {
    /// First and last number of each range. There is a gap between two ranges.
    ranges: BTreeMap<u64, u64>,
}

impl Ranges {
    /// No number.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the numbers from `first` to `last`; none if `first` is larger.
    pub fn insert(&mut self, mut first: u64, mut last: u64) {
        if first > last {
            return;
        }
        if let Some((&start, &end)) = self.ranges.range(..=first).next_back()
            && end >= first.saturating_sub(1)
        {
            (first, last) = (start, last.max(end));
        }
        while let Some((&start, &end)) = self.ranges.range(first..=last.saturating_add(1)).next() {
            self.ranges.remove(&start);
            last = last.max(end);
        }
        self.ranges.insert(first, last);
    }

    /// Adds the numbers of another set.
    pub fn merge(&mut self, other: &Self) {
        for (first, last) in other.iter() {
            self.insert(first, last);
        }
    }

    /// Whether it has this number.
    pub fn contains(&self, number: u64) -> bool {
        self.ranges.range(..=number).next_back().is_some_and(|(_, &last)| last >= number)
    }

    /// Whether it has no number.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The number of ranges.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// The lowest number.
    pub fn lowest(&self) -> Option<u64> {
        self.ranges.first_key_value().map(|(&first, _)| first)
    }

    /// The highest number.
    pub fn highest(&self) -> Option<u64> {
        self.ranges.last_key_value().map(|(_, &last)| last)
    }

    /// First and last number of each range, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.ranges.iter().map(|(&first, &last)| (first, last))
    }
}

impl FromIterator<(u64, u64)> for Ranges {
    fn from_iter<I: IntoIterator<Item = (u64, u64)>>(ranges: I) -> Self {
        let mut set = Self::new();
        for (first, last) in ranges {
            set.insert(first, last);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn has_the_numbers_that_were_added(ranges in prop::collection::vec((0_u64..60, 0_u64..8), 0..40)) {
            let mut model = BTreeSet::new();
            let mut set = Ranges::new();
            for (first, length) in ranges {
                set.insert(first, first + length);
                model.extend(first..=first + length);
            }
            for number in 0..70 {
                prop_assert_eq!(set.contains(number), model.contains(&number));
            }
            prop_assert_eq!(set.lowest(), model.first().copied());
            prop_assert_eq!(set.highest(), model.last().copied());
            // There is a gap between two ranges.
            let all: Vec<_> = set.iter().collect();
            prop_assert!(all.windows(2).all(|two| two[0].1 + 1 < two[1].0));
        }
    }

    #[test]
    fn takes_the_largest_numbers() {
        let mut set: Ranges = [(u64::MAX, u64::MAX), (0, 0), (5, 4)].into_iter().collect();
        assert_eq!(set.len(), 2);
        set.insert(1, u64::MAX - 1);
        assert_eq!(set.iter().collect::<Vec<_>>(), [(0, u64::MAX)]);
    }
}
