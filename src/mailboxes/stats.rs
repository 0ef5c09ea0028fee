//! Statistics of the mailboxes in a log, of a size that does not grow with the log.

use std::{collections::VecDeque, time::SystemTime};

use super::{history::History, line::MailboxLine};

/// Statistics of all kinds of actors.
#[derive(Debug, Default)]
pub(super) struct Stats {
    /// In the order of their first lines.
    kinds: Vec<ActorKind>,
    /// Incidents that have ended.
    ended: VecDeque<Incident>,
    /// Number of incidents that were dropped for newer ones.
    dropped: u64,
    /// Number of mailbox lines that were ignored because of [`MAX_KINDS`].
    ignored: u64,
    /// Number of lines of the log.
    lines: u64,
    /// The time in the last mailbox line.
    latest: Option<SystemTime>,
}

/// Statistics of one kind of actor.
#[derive(Debug)]
pub(super) struct ActorKind {
    /// The newest line.
    pub(super) last: MailboxLine,
    /// Number of messages that were refused between the last two lines.
    pub(super) newly_refused: u64,
    /// The highest peak in the log.
    pub(super) highest: u64,
    pub(super) history: History,
    /// The incident that has not ended.
    current: Option<Incident>,
}

/// A period in which a mailbox was full, from the first to the last of consecutive lines that say so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Incident {
    pub(super) actor: String,
    pub(super) from: Position,
    pub(super) to: Position,
    pub(super) peak: u64,
    pub(super) capacity: u64,
    /// Number of messages refused in the period.
    pub(super) refused: u64,
    /// The instance with the most waiting messages in one of the lines, and their number.
    pub(super) deepest: Option<(String, u64)>,
}

/// A position in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) time: Option<SystemTime>,
    /// Counted from 1.
    pub(super) line: u64,
}

impl Stats {
    /// Adds the next line of the log.
    pub(super) fn add_line(&mut self, line: &[u8]) {
        self.lines += 1;
        if let Some(line) = MailboxLine::parse(line) {
            self.add(line);
        }
    }

    /// Whether there was no mailbox line.
    pub(super) fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// The kinds of actors in the order of their first lines.
    pub(super) fn kinds(&self) -> &[ActorKind] {
        &self.kinds
    }

    /// The time in the last mailbox line that has one.
    pub(super) fn latest(&self) -> Option<SystemTime> {
        self.latest
    }

    /// Number of lines of the log.
    pub(super) fn lines(&self) -> u64 {
        self.lines
    }

    /// Number of mailbox lines that were ignored because they have more kinds of actors than a node.
    pub(super) fn ignored(&self) -> u64 {
        self.ignored
    }

    /// The remembered incidents, the oldest first, and the number of those that were dropped.
    pub(super) fn incidents(&self) -> (Vec<&Incident>, u64) {
        let current = self.kinds.iter().filter_map(|kind| kind.current.as_ref());
        let mut all: Vec<&Incident> = self.ended.iter().chain(current).collect();
        all.sort_by_key(|incident| incident.from.line);
        (all, self.dropped)
    }

    fn add(&mut self, line: MailboxLine) {
        let position = Position { time: line.time, line: self.lines };
        self.latest = line.time.or(self.latest);
        let known = self.kinds.iter().position(|kind| kind.last.actor == line.actor);
        let ended = match known {
            Some(known) => self.kinds[known].add(line, position),
            None if self.kinds.len() < MAX_KINDS => {
                self.kinds.push(ActorKind::new(line, position));
                None
            }
            None => {
                self.ignored += 1;
                None
            }
        };
        if let Some(incident) = ended {
            if self.ended.len() == MAX_INCIDENTS {
                self.ended.pop_front();
                self.dropped += 1;
            }
            self.ended.push_back(incident);
        }
    }
}

impl ActorKind {
    fn new(line: MailboxLine, position: Position) -> Self {
        let mut history = History::default();
        history.push(line.share());
        let current = line.reached_capacity().then(|| Incident::begin(&line, position, 0));
        Self { highest: line.peak, newly_refused: 0, last: line, history, current }
    }

    /// Whether a mailbox was full according to the newest line.
    pub(super) fn is_full(&self) -> bool {
        self.current.is_some()
    }

    /// Adds the next line. Returns the incident that it ends.
    fn add(&mut self, line: MailboxLine, position: Position) -> Option<Incident> {
        // A lower count means that the node was restarted and counts from zero.
        let increase = line.refused.checked_sub(self.last.refused);
        self.newly_refused = increase.unwrap_or(line.refused);
        self.history.push(line.share());
        self.highest = self.highest.max(line.peak);
        let is_full = line.reached_capacity() || self.newly_refused > 0;
        let mut ended = None;
        match (&mut self.current, is_full) {
            (Some(incident), true) => incident.extend(&line, position, self.newly_refused),
            (None, true) => self.current = Some(Incident::begin(&line, position, self.newly_refused)),
            (_, false) => ended = self.current.take(),
        }
        self.last = line;
        ended
    }
}

impl Incident {
    fn begin(line: &MailboxLine, position: Position, refused: u64) -> Self {
        let mut incident = Self {
            actor: line.actor.clone(),
            from: position,
            to: position,
            peak: 0,
            capacity: line.capacity,
            refused: 0,
            deepest: None,
        };
        incident.extend(line, position, refused);
        incident
    }

    fn extend(&mut self, line: &MailboxLine, position: Position, refused: u64) {
        self.to = position;
        self.peak = self.peak.max(line.peak);
        self.refused = self.refused.saturating_add(refused);
        let named = line.deepest.as_deref().and_then(|deepest| deepest.rsplit_once(':'));
        let deepest = named.and_then(|(name, depth)| Some((name.to_owned(), depth.parse::<u64>().ok()?)));
        if deepest.as_ref().map(|(_, depth)| *depth) > self.deepest.as_ref().map(|(_, depth)| *depth) {
            self.deepest = deepest;
        }
    }
}

/// Maximum number of kinds of actors, several times those of a node. More are not a log of a node.
const MAX_KINDS: usize = 64;

/// Maximum number of incidents that are remembered; older ones are dropped.
const MAX_INCIDENTS: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    fn line(actor: &str, deepest: &str, peak: u64, refused: u64) -> Vec<u8> {
        format!("mailbox actor={actor} depth=1 deepest={deepest} peak={peak} capacity=100 refused={refused}")
            .into()
    }

    fn stats(lines: &[Vec<u8>]) -> Stats {
        let mut stats = Stats::default();
        lines.iter().for_each(|line| stats.add_line(line));
        stats
    }

    #[test]
    fn consecutive_lines_are_one_incident_with_the_fullest_instance() {
        let stats = stats(&[
            line("outgoing", "-", 3, 0),
            line("outgoing", "a.example:40", 100, 0),
            line("router", "-", 1, 0),
            line("outgoing", "b.example:90", 100, 12),
            line("outgoing", "c.example:5", 60, 15),
            line("outgoing", "-", 2, 15),
            line("outgoing", "d.example:100", 100, 15),
        ]);
        let (incidents, dropped) = stats.incidents();
        assert_eq!((incidents.len(), dropped), (2, 0));
        let first = incidents[0];
        assert_eq!((first.from.line, first.to.line), (2, 5));
        assert_eq!((first.peak, first.refused), (100, 15));
        assert_eq!(first.deepest, Some(("b.example".to_owned(), 90)));
        assert_eq!(incidents[1].from.line, 7);
        assert!(stats.kinds()[0].is_full() && !stats.kinds()[1].is_full());
    }

    #[test]
    fn refusals_before_the_log_and_a_restart_are_no_incident() {
        let old = stats(&[line("router", "-", 1, 9), line("router", "-", 1, 9), line("router", "-", 1, 0)]);
        assert!(old.incidents().0.is_empty());
        let restarted = stats(&[line("router", "-", 1, 9), line("router", "-", 1, 4)]);
        assert_eq!(restarted.incidents().0[0].refused, 4, "all of them since the restart");
    }

    #[test]
    fn statistics_of_an_endless_log_do_not_grow() {
        let mut stats = Stats::default();
        for number in 0..10_000 {
            stats.add_line(&line(&format!("actor{number}"), "-", 1, 0));
            stats.add_line(&line("router", "-", if number % 2 == 0 { 100 } else { 1 }, 0));
        }
        assert_eq!(stats.kinds().len(), MAX_KINDS);
        assert_eq!(stats.ignored(), 10_000 - (MAX_KINDS as u64 - 1));
        let (incidents, dropped) = stats.incidents();
        assert_eq!((incidents.len(), dropped), (MAX_INCIDENTS, 5_000 - MAX_INCIDENTS as u64));
    }
}
