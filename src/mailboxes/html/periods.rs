//! Divides the time of a log into the rows of a table.

/// Periods of the same length that cover a span, at most [`ROWS`].
#[derive(Debug)]
pub(super) struct Periods {
    /// In milliseconds since 1970.
    from: u64,
    /// In milliseconds.
    length: u64,
    number: usize,
}

impl Periods {
    /// Those of a span in milliseconds since 1970. They begin at full hours, days or the like.
    pub(super) fn of((from, to): (u64, u64)) -> Self {
        let number = |length: u64| to / length - from / length + 1;
        let length = LENGTHS.iter().map(|minutes| minutes * MINUTE).find(|length| number(*length) <= ROWS);
        let mut length = length.unwrap_or(WEEK);
        while number(length) > ROWS {
            length *= 2;
        }
        Self { from: from / length * length, length, number: number(length) as usize }
    }

    /// The beginnings of the periods, in milliseconds since 1970.
    pub(super) fn starts(&self) -> impl Iterator<Item = u64> {
        (0..self.number as u64).map(|number| self.from + number * self.length)
    }

    /// The length of a period: `30 minutes`.
    pub(super) fn length_in_words(&self) -> String {
        let units = [(WEEK, "week"), (24 * 60 * MINUTE, "day"), (60 * MINUTE, "hour"), (MINUTE, "minute")];
        let unit = units.into_iter().find(|(length, _)| self.length.is_multiple_of(*length));
        let (unit, name) = unit.unwrap_or((MINUTE, "minute"));
        match self.length / unit {
            1 => name.to_owned(),
            number => format!("{number} {name}s"),
        }
    }

    /// A figure of the points in each period, put together with `add`; `None` for a period without points.
    pub(super) fn sum<'a, P: 'a>(
        &self,
        points: impl Iterator<Item = (u64, &'a P)>,
        figure: impl Fn(&P) -> u64,
        add: impl Fn(u64, u64) -> u64,
    ) -> Vec<Option<u64>> {
        let mut sums = vec![None; self.number];
        for (time, point) in points {
            // A merged point may begin before the first line.
            let period = time.saturating_sub(self.from) / self.length;
            if let Some(sum) = usize::try_from(period).ok().and_then(|period| sums.get_mut(period)) {
                let value = figure(point);
                *sum = Some(sum.map_or(value, |sum| add(sum, value)));
            }
        }
        sums
    }
}

const MINUTE: u64 = 60 * 1000;
const WEEK: u64 = 7 * 24 * 60 * MINUTE;

/// Lengths of periods in minutes.
const LENGTHS: [u64; 12] = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440];

/// Maximum number of rows: the hours of a day, and one more because a log rarely begins at a full hour.
const ROWS: u64 = 25;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_hours_and_a_year_has_weeks() {
        let of = |from: u64, minutes: u64| {
            let periods = Periods::of((from, from + minutes * MINUTE));
            (periods.length_in_words(), periods.number)
        };
        assert_eq!(of(0, 1), ("minute".to_owned(), 2));
        assert_eq!(of(7 * MINUTE, 24 * 60), ("hour".to_owned(), 25));
        assert_eq!(of(0, 100), ("5 minutes".to_owned(), 21));
        assert_eq!(of(0, 365 * 24 * 60), ("4 weeks".to_owned(), 14));
        let all = Periods::of((0, u64::MAX / 2));
        assert!(all.number <= ROWS as usize);
    }

    #[test]
    fn points_are_added_in_their_periods() {
        let periods = Periods::of((0, 3 * MINUTE));
        let points = [(0, 3), (59_999, 5), (60_000, 1), (u64::MAX, 9)];
        let sums = periods.sum(points.iter().map(|(time, value)| (*time, value)), |value| *value, u64::max);
        assert_eq!(sums, [Some(5), Some(1), None, None]);
        assert_eq!(periods.starts().collect::<Vec<_>>(), [0, 60_000, 120_000, 180_000]);
    }
}
