//! Collects what the page shows from a log, in memory that does not grow with the log.

use std::time::{SystemTime, UNIX_EPOCH};

use super::{
    names::Names,
    points::{Balance, Figures, LinkEvents},
    runs::Runs,
    series::Series,
};
use crate::mailboxes::{
    interval::Interval,
    line::MailboxLine,
    record::{Account, Link, NodeEvent, Record},
    stats::Stats,
};

/// What a log says.
#[derive(Debug, Default)]
pub(super) struct Collected {
    /// The newest figures, and the times at which a mailbox was full.
    pub(super) stats: Stats,
    /// In the order of their first lines.
    pub(super) kinds: Vec<Kind>,
    pub(super) names: Names,
    pub(super) links: Series<LinkEvents>,
    /// The account of all domains.
    pub(super) account: Series<Balance>,
    pub(super) interval: Interval,
    pub(super) runs: Runs,
    /// Times without any line about mailboxes although the node ran, in milliseconds since 1970.
    pub(super) silences: Vec<(u64, u64)>,
    /// The time of the first and of the last line about mailboxes or the node, in milliseconds since 1970.
    pub(super) span: Option<(u64, u64)>,
    /// The number of lines with the figures of a kind.
    pub(super) lines: u64,
    last_account: Option<Account>,
}

/// The figures of one kind of actor over time.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) actor: String,
    pub(super) capacity: u64,
    pub(super) lines: u64,
    pub(super) points: Series<Figures>,
    pub(super) deepest: Highest<usize>,
    pub(super) peak: Highest<()>,
    pub(super) wait_p99: Highest<String>,
    pub(super) rate: Highest<()>,
    pub(super) refused: u64,
    pub(super) restarts: u64,
    /// The newest line.
    last: MailboxLine,
    last_time: u64,
}

/// The highest value of a log.
#[derive(Clone, Debug, Default)]
pub(super) struct Highest<T> {
    pub(super) value: f64,
    /// In milliseconds since 1970.
    pub(super) time: u64,
    /// What else the line says.
    pub(super) note: T,
}

impl<T> Highest<T> {
    fn add(&mut self, value: f64, time: u64, note: impl FnOnce() -> T) {
        if value > self.value {
            *self = Self { value, time, note: note() };
        }
    }
}

impl Collected {
    /// Adds the next line of the log.
    pub(super) fn add_line(&mut self, line: &[u8]) {
        self.stats.count_line();
        let Some(record) = Record::parse(line) else { return };
        let time = record.time().map(milliseconds);
        match &record {
            Record::Mailbox(line) => {
                if let Some(time) = time {
                    self.pass_time(time);
                    self.add_figures(line, time);
                }
            }
            Record::Idle { .. } => time.into_iter().for_each(|time| self.pass_time(time)),
            Record::Account { account, .. } => {
                let balance = Balance::since(self.last_account.replace(*account), account);
                if let Some(time) = time {
                    self.account.add(time, balance);
                }
            }
            Record::Link { link, .. } => self.add_link(*link, time),
            Record::Node { event, .. } => {
                if let Some(time) = time {
                    self.add_node_event(*event, time);
                }
            }
        }
        self.stats.add_record(record);
    }

    /// A line about mailboxes was written at `time`.
    fn pass_time(&mut self, time: u64) {
        let Some((first, last)) = &mut self.span else {
            self.span = Some((time, time));
            return;
        };
        if time.saturating_sub(*last) > SILENCE && self.silences.len() < MAX_SILENCES {
            self.silences.push((*last, time));
        }
        (*first, *last) = ((*first).min(time), (*last).max(time));
    }

    fn add_node_event(&mut self, event: NodeEvent, time: u64) {
        let last = self.span.map(|(_, last)| last);
        self.runs.add(event, time, last);
        if event == NodeEvent::Started
            && let Some((_, last)) = &mut self.span
        {
            // The node did not run: this is no silence.
            *last = time.max(*last);
        }
        self.pass_time(time);
    }

    fn add_figures(&mut self, line: &MailboxLine, time: u64) {
        let known = self.kinds.iter().position(|kind| kind.actor == line.actor);
        let known = match known {
            Some(known) => known,
            None if self.kinds.len() < MAX_KINDS => {
                self.kinds.push(Kind::new(line, time));
                self.kinds.len() - 1
            }
            None => return,
        };
        self.lines += 1;
        let kind = &mut self.kinds[known];
        if let Some(pause) = time.checked_sub(kind.last_time) {
            self.interval.add(std::time::Duration::from_millis(pause));
        }
        kind.add(line, time, &mut self.names);
    }

    fn add_link(&mut self, link: Link, time: Option<u64>) {
        if let Some(time) = time {
            self.links.add(time, LinkEvents::of(link));
        }
    }

    /// The time of the first and of the last line that is shown, in milliseconds since 1970.
    pub(super) fn whole_span(&self) -> (u64, u64) {
        let (from, to) = self.span.unwrap_or_default();
        let ends = [self.links.ends(), self.account.ends()].into_iter().flatten();
        ends.fold((from, to), |(from, to), (first, last)| (from.min(first), to.max(last)))
    }

    /// Whether every series has one point at most.
    pub(super) fn is_coarsest(&self) -> bool {
        let longest = self.kinds.iter().map(|kind| kind.points.len()).max().unwrap_or(0);
        longest.max(self.links.len()).max(self.account.len()) <= 1
    }

    /// Halves the number of points of every series.
    pub(super) fn coarsen(&mut self) {
        self.kinds.iter_mut().for_each(|kind| kind.points.coarsen());
        self.links.coarsen();
        self.account.coarsen();
    }
}

impl Kind {
    /// The highest peak divided by the capacity.
    pub(super) fn share(&self) -> f64 {
        if self.capacity == 0 { 0.0 } else { self.peak.value / self.capacity as f64 }
    }

    fn new(line: &MailboxLine, time: u64) -> Self {
        Self {
            actor: line.actor.clone(),
            capacity: line.capacity,
            lines: 0,
            points: Series::default(),
            deepest: Highest::default(),
            peak: Highest::default(),
            wait_p99: Highest::default(),
            rate: Highest::default(),
            refused: 0,
            restarts: 0,
            // Refusals before the first line are not those of the log.
            last: line.clone(),
            last_time: time,
        }
    }

    fn add(&mut self, line: &MailboxLine, time: u64, names: &mut Names) {
        let figures = Figures::of(line, &self.last, names);
        self.lines += 1;
        self.capacity = line.capacity;
        self.deepest.add(line.depth as f64, time, || figures.deepest.map_or(0, |(name, _)| name));
        self.peak.add(line.peak as f64, time, || ());
        let wait = figures.wait_p99.map_or(0.0, f64::from);
        self.wait_p99.add(wait, time, || line.wait_p99.clone());
        self.rate.add(line.rate as f64, time, || ());
        self.refused = self.refused.saturating_add(figures.refused);
        self.restarts = self.restarts.saturating_add(figures.restarts);
        self.points.add(time, figures);
        self.last = line.clone();
        self.last_time = time;
    }
}

/// Milliseconds since 1970.
pub(super) fn milliseconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// A node that runs writes a line about mailboxes at least every five minutes.
const SILENCE: u64 = 6 * 60 * 1000;

/// Maximum number of silences that are shown.
const MAX_SILENCES: usize = 1000;

/// Maximum number of kinds of actors, several times those of a node. More are not a log of a node.
const MAX_KINDS: usize = 64;
