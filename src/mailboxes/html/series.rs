//! Values over time in bounded memory: when there are too many points, neighbours are merged.

/// Values at one point in time.
pub(super) trait Point {
    /// Adds the values of a later point of the same period.
    fn merge(&mut self, later: Self);
}

/// Points in the order of their times.
#[derive(Clone, Debug)]
pub(super) struct Series<P> {
    /// The length of a period in milliseconds. Each period has one point at most.
    unit: u64,
    /// Each with the number of its period since 1970.
    points: Vec<(u64, P)>,
}

impl<P> Default for Series<P> {
    fn default() -> Self {
        Self { unit: 1000, points: Vec::new() }
    }
}

impl<P: Point> Series<P> {
    /// Adds a point at a time in milliseconds since 1970.
    pub(super) fn add(&mut self, time: u64, point: P) {
        let period = time / self.unit;
        match self.points.last_mut() {
            Some((last, values)) if *last == period => values.merge(point),
            Some((last, _)) if *last > period => self.insert(period, point),
            _ => self.points.push((period, point)),
        }
        if self.points.len() > MOST {
            self.coarsen();
        }
    }

    /// A line that is older than the one before: the clock was set back.
    fn insert(&mut self, period: u64, point: P) {
        match self.points.binary_search_by_key(&period, |(period, _)| *period) {
            Ok(at) => self.points[at].1.merge(point),
            Err(at) => self.points.insert(at, (period, point)),
        }
    }

    /// Doubles the length of the periods until there are half as many points, or one.
    pub(super) fn coarsen(&mut self) {
        let most = self.points.len().div_ceil(2).max(1);
        while self.points.len() > most {
            self.unit = self.unit.saturating_mul(2);
            let mut merged: Vec<(u64, P)> = Vec::with_capacity(self.points.len());
            for (period, point) in self.points.drain(..) {
                match merged.last_mut() {
                    Some((last, values)) if *last == period / 2 => values.merge(point),
                    _ => merged.push((period / 2, point)),
                }
            }
            self.points = merged;
        }
    }

    /// The number of points.
    pub(super) fn len(&self) -> usize {
        self.points.len()
    }

    /// The times of the first and of the last point in milliseconds since 1970.
    pub(super) fn ends(&self) -> Option<(u64, u64)> {
        let ((first, _), (last, _)) = (self.points.first()?, self.points.last()?);
        Some((first * self.unit, last * self.unit))
    }

    /// The length of a period in milliseconds.
    pub(super) fn unit(&self) -> u64 {
        self.unit
    }

    /// The times of the points in milliseconds since 1970, and their values.
    pub(super) fn points(&self) -> impl Iterator<Item = (u64, &P)> {
        self.points.iter().map(|(period, point)| (period * self.unit, point))
    }

    /// The number of each point's period, counted from that of the point before; the first is counted from `from`, a time
    /// in milliseconds.
    pub(super) fn steps(&self, from: u64) -> Vec<u64> {
        let mut before = from / self.unit;
        let step = |(period, _): &(u64, P)| {
            let step = period.saturating_sub(before);
            before = *period;
            step
        };
        self.points.iter().map(step).collect()
    }

    /// One value of each point.
    pub(super) fn column<T>(&self, value: impl Fn(&P) -> T) -> Vec<T> {
        self.points.iter().map(|(_, point)| value(point)).collect()
    }
}

/// Maximum number of points: a day of lines every ten seconds, and some on SIGUSR1.
const MOST: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Highest(u64);

    impl Point for Highest {
        fn merge(&mut self, later: Self) {
            self.0 = self.0.max(later.0);
        }
    }

    #[test]
    fn a_day_keeps_every_line_and_a_longer_log_its_maximum() {
        let mut series = Series::default();
        for number in 0..8640 {
            series.add(number * 10_000, Highest(number));
        }
        assert_eq!((series.points.len(), series.unit()), (8640, 1000));
        assert_eq!(series.points().nth(7), Some((70_000, &Highest(7))));
        for number in 8640..1_000_000 {
            series.add(number * 10_000, Highest(number % 700_001));
        }
        assert!((MOST / 4..=MOST).contains(&series.points.len()), "{}", series.points.len());
        assert_eq!(series.column(|point| point.0).into_iter().max(), Some(700_000));
    }

    #[test]
    fn a_clock_that_is_set_back_keeps_the_order() {
        let mut series = Series::default();
        for (second, value) in [(10, 1), (20, 2), (12, 3), (20, 9), (10, 4)] {
            series.add(second * 1000, Highest(value));
        }
        assert_eq!(series.steps(8_000), [2, 2, 8]);
        assert_eq!(series.column(|point| point.0), [4, 3, 9]);
    }

    #[test]
    fn points_far_apart_are_merged_in_few_steps() {
        let mut series = Series::default();
        for time in 0..=MOST as u64 {
            series.add(time * (u64::MAX / 20_000), Highest(time));
        }
        assert!(series.points.len() <= MOST);
        series.coarsen();
        assert_eq!(series.column(|point| point.0).into_iter().max(), Some(MOST as u64));
    }
}
