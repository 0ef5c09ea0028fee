//! The values of the page at one point in time. Merged points have the highest value of each figure, and sums of events.

use super::{names::Names, series::Point};
use crate::mailboxes::{
    line::MailboxLine,
    record::{Account, Direction, Link},
};

/// The figures of a mailbox line.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Figures {
    pub(super) instances: u64,
    pub(super) depth: u64,
    pub(super) peak: u64,
    /// Messages per second.
    pub(super) rate: u64,
    /// In microseconds.
    pub(super) wait_p50: Option<f32>,
    /// In microseconds.
    pub(super) wait_p99: Option<f32>,
    /// Since the line before.
    pub(super) refused: u64,
    /// Since the line before.
    pub(super) restarts: u64,
    /// The number of the name of the fullest instance, and the messages that wait there.
    pub(super) deepest: Option<(usize, u64)>,
}

impl Figures {
    /// Those of a line that follows `last`.
    pub(super) fn of(line: &MailboxLine, last: &MailboxLine, names: &mut Names) -> Self {
        let deepest = line.deepest.as_deref().and_then(|deepest| deepest.rsplit_once(':'));
        let deepest = deepest.and_then(|(name, depth)| Some((names.number(name), depth.parse().ok()?)));
        Self {
            instances: line.instances,
            depth: line.depth,
            peak: line.peak,
            rate: line.rate,
            wait_p50: microseconds(&line.wait_p50),
            wait_p99: microseconds(&line.wait_p99),
            refused: increase(last.refused, line.refused),
            restarts: increase(last.restarts, line.restarts),
            deepest,
        }
    }
}

impl Point for Figures {
    fn merge(&mut self, later: Self) {
        self.instances = self.instances.max(later.instances);
        self.depth = self.depth.max(later.depth);
        self.peak = self.peak.max(later.peak);
        self.rate = self.rate.max(later.rate);
        self.wait_p50 = longest(self.wait_p50, later.wait_p50);
        self.wait_p99 = longest(self.wait_p99, later.wait_p99);
        self.refused = self.refused.saturating_add(later.refused);
        self.restarts = self.restarts.saturating_add(later.restarts);
        let depth = |deepest: Option<(usize, u64)>| deepest.map(|(_, depth)| depth);
        if depth(later.deepest) > depth(self.deepest) {
            self.deepest = later.deepest;
        }
    }
}

/// Links that were opened and closed: outgoing, incoming, of components.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LinkEvents {
    pub(super) opened: [u64; 3],
    pub(super) closed: [u64; 3],
    pub(super) failed: u64,
}

impl LinkEvents {
    /// One event.
    pub(super) fn of(link: Link) -> Self {
        let mut events = Self::default();
        let place = |direction| match direction {
            Direction::Outgoing => 0,
            Direction::Incoming => 1,
            Direction::Component => 2,
        };
        match link {
            Link::Opened(direction) => events.opened[place(direction)] = 1,
            Link::Closed(direction) => events.closed[place(direction)] = 1,
            Link::Failed => events.failed = 1,
        }
        events
    }
}

impl Point for LinkEvents {
    fn merge(&mut self, later: Self) {
        for (sum, more) in self.opened.iter_mut().zip(later.opened) {
            *sum += more;
        }
        for (sum, more) in self.closed.iter_mut().zip(later.closed) {
            *sum += more;
        }
        self.failed += later.failed;
    }
}

/// The changes of the account since the line before, and what waits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Balance {
    pub(super) taken: u64,
    pub(super) written: u64,
    pub(super) answered: u64,
    pub(super) dropped: u64,
    pub(super) waiting: u64,
    pub(super) difference: u64,
}

impl Balance {
    /// The changes since the last line. The first line of a log shows none.
    pub(super) fn since(last: Option<Account>, now: &Account) -> Self {
        let last = last.unwrap_or(*now);
        Self {
            taken: increase(last.taken, now.taken),
            written: increase(last.written, now.written),
            answered: increase(last.answered, now.answered),
            dropped: increase(last.dropped, now.dropped),
            waiting: now.waiting,
            difference: now.difference,
        }
    }
}

impl Point for Balance {
    fn merge(&mut self, later: Self) {
        for (sum, more) in [
            (&mut self.taken, later.taken),
            (&mut self.written, later.written),
            (&mut self.answered, later.answered),
            (&mut self.dropped, later.dropped),
        ] {
            *sum = sum.saturating_add(more);
        }
        self.waiting = self.waiting.max(later.waiting);
        self.difference = self.difference.max(later.difference);
    }
}

/// What a counter has counted since the line before. A lower count is that of a node that was restarted, or of written
/// stanzas that wait again: a sixteenth less is no restart.
fn increase(last: u64, now: u64) -> u64 {
    match now.checked_sub(last) {
        Some(more) => more,
        None if now >= last - last / 16 => 0,
        None => now,
    }
}

/// A time as the node writes it, `1.2ms`, in microseconds.
fn microseconds(time: &str) -> Option<f32> {
    let digits = time.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let value: f32 = digits.parse().ok().filter(|value: &f32| value.is_finite() && *value >= 0.0)?;
    let factor = match &time[digits.len()..] {
        "us" => 1.0,
        "ms" => 1_000.0,
        "s" => 1_000_000.0,
        _ => return None,
    };
    Some(value * factor)
}

fn longest(one: Option<f32>, other: Option<f32>) -> Option<f32> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.max(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_microseconds() {
        let read = ["35us", "1.2ms", "3.4s", "0us", "-", "1e39s", "-3us", "us", "1h", ""].map(microseconds);
        let expected = [Some(35.0), Some(1200.0), Some(3_400_000.0), Some(0.0)];
        assert_eq!(read[..4], expected);
        assert_eq!(read[4..], [None; 6]);
    }

    #[test]
    fn a_restarted_node_counts_from_zero() {
        assert_eq!([increase(5, 7), increase(700, 3), increase(0, 0)], [2, 3, 0]);
        assert_eq!(increase(1000, 990), 0, "written stanzas wait again");
    }

    #[test]
    fn the_fullest_instance_of_merged_points_is_kept() {
        let mut names = Names::default();
        let line = |deepest: &str| MailboxLine {
            deepest: Some(deepest.to_owned()),
            capacity: 9,
            ..MailboxLine::unknown("outgoing")
        };
        let mut of = |deepest| Figures::of(&line(deepest), &line("-:0"), &mut names);
        let (mut first, second, third) = (of("a > b:3"), of("c:9"), of("d:4"));
        first.merge(second);
        first.merge(third);
        let (name, depth) = first.deepest.unwrap();
        assert_eq!((names.name(name), depth), ("c", 9));
    }
}
