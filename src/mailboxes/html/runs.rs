//! When the node was started and stopped, and the times at which it did not run.

use serde::Serialize;

use crate::mailboxes::record::NodeEvent;

/// The runs of a node in a log. Times are in milliseconds since 1970.
#[derive(Debug, Default)]
pub(super) struct Runs {
    marks: Vec<Mark>,
    gaps: Vec<Gap>,
    /// Marks that were too many to keep.
    dropped: u64,
    /// The time at which the node stopped, if it has not started since.
    stopped: Option<u64>,
}

/// A start or a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Mark {
    pub(super) time: u64,
    pub(super) event: NodeEvent,
    /// For a start: since when the node did not run, as far as the log says it.
    pub(super) down_since: Option<u64>,
}

/// A time at which the node did not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Gap {
    pub(super) from: u64,
    pub(super) to: u64,
    /// Whether the node wrote that it stopped. Otherwise `from` is the time of its last line.
    pub(super) is_told: bool,
}

impl Runs {
    /// Adds an event. `last` is the time of the last line before it that is shown.
    pub(super) fn add(&mut self, event: NodeEvent, time: u64, last: Option<u64>) {
        let stopped = self.stopped.take();
        let down_since = match event {
            NodeEvent::Stopped => {
                self.stopped = Some(time);
                None
            }
            NodeEvent::Started => stopped.or(last),
        };
        if self.marks.len() >= MOST {
            self.dropped += 1;
            return;
        }
        if let Some(from) = down_since.filter(|from| *from < time) {
            self.gaps.push(Gap { from, to: time, is_told: stopped.is_some() });
        }
        self.marks.push(Mark { time, event, down_since });
    }

    /// Starts and stops, in the order of the log.
    pub(super) fn marks(&self) -> &[Mark] {
        &self.marks
    }

    /// The times at which the node did not run.
    pub(super) fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// The gap that ends at this time.
    pub(super) fn gap_before(&self, time: u64) -> Option<&Gap> {
        self.gaps.iter().find(|gap| gap.to == time)
    }

    /// The number of later starts and stops that are not kept.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }
}

/// Maximum number of starts and stops. A service manager that restarts a broken node every few seconds makes more.
const MOST: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use NodeEvent::{Started, Stopped};

    #[test]
    fn a_stop_and_a_start_enclose_the_time_in_which_the_node_did_not_run() {
        let mut runs = Runs::default();
        runs.add(Started, 100, None);
        runs.add(Stopped, 500, Some(490));
        runs.add(Started, 900, Some(500));
        assert_eq!(runs.gaps(), [Gap { from: 500, to: 900, is_told: true }]);
        let events: Vec<_> =
            runs.marks().iter().map(|mark| (mark.event, mark.time, mark.down_since)).collect();
        assert_eq!(events, [(Started, 100, None), (Stopped, 500, None), (Started, 900, Some(500))]);
    }

    #[test]
    fn a_node_that_was_killed_did_not_run_since_its_last_line() {
        let mut runs = Runs::default();
        runs.add(Started, 100, None);
        runs.add(Started, 900, Some(490));
        assert_eq!(runs.gaps(), [Gap { from: 490, to: 900, is_told: false }]);
        assert_eq!(runs.gap_before(900), runs.gaps().first());
    }

    #[test]
    fn endless_restarts_take_limited_memory() {
        let mut runs = Runs::default();
        for number in 0..5000 {
            runs.add(Started, number * 10, (number > 0).then(|| number * 10 - 5));
        }
        assert_eq!((runs.marks().len(), runs.gaps().len(), runs.dropped()), (MOST, MOST - 1, 4000));
    }
}
