//! What a log has said of the mailboxes so far, in a space that does not grow with the log.

use std::{collections::VecDeque, time::SystemTime};

use super::{history::History, reading::Reading};

/// The mailboxes of a node as its log tells them.
#[derive(Debug, Default)]
pub(super) struct Board {
    /// In the order in which they first appeared.
    kinds: Vec<Kind>,
    over: VecDeque<Incident>,
    /// How many incidents were forgotten for newer ones.
    forgotten: u64,
    /// How many lines were passed over since there are more actor kinds than any node has.
    surplus: u64,
    /// Lines of the log, ours or not.
    lines: u64,
    latest: Option<SystemTime>,
}

/// One kind of actor.
#[derive(Debug)]
pub(super) struct Kind {
    /// What its newest line says.
    pub(super) last: Reading,
    /// How many messages were refused between the last two lines.
    pub(super) refused_now: u64,
    /// The highest peak of the log, and where it stands.
    pub(super) highest: (u64, Place),
    pub(super) history: History,
    /// An incident that is not over.
    full: Option<Incident>,
}

/// A time in which a mailbox was full: from the first line that says so to the last in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Incident {
    pub(super) actor: String,
    pub(super) from: Place,
    pub(super) to: Place,
    pub(super) peak: u64,
    pub(super) capacity: u64,
    /// Messages turned away meanwhile.
    pub(super) refused: u64,
    /// The instance in which most waited when a line was written, and how many.
    pub(super) deepest: Option<(String, u64)>,
}

/// Where something stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) time: Option<SystemTime>,
    /// Counted from 1.
    pub(super) line: u64,
}

impl Board {
    /// Takes the next line of the log.
    pub(super) fn see(&mut self, line: &[u8]) {
        self.lines += 1;
        if let Some(reading) = Reading::of(line) {
            self.take(reading);
        }
    }

    /// Whether no mailbox line was seen.
    pub(super) fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// Each kind of actor, in the order in which they first appeared.
    pub(super) fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// When the newest line was written.
    pub(super) fn latest(&self) -> Option<SystemTime> {
        self.latest
    }

    /// How many lines the log has.
    pub(super) fn lines(&self) -> u64 {
        self.lines
    }

    /// How many mailbox lines were passed over for naming more kinds of actors than there can be.
    pub(super) fn surplus(&self) -> u64 {
        self.surplus
    }

    /// The times in which a mailbox was full that are remembered, the oldest first; and how many are not.
    pub(super) fn incidents(&self) -> (Vec<&Incident>, u64) {
        let under_way = self.kinds.iter().filter_map(|kind| kind.full.as_ref());
        let mut all: Vec<&Incident> = self.over.iter().chain(under_way).collect();
        all.sort_by_key(|incident| incident.from.line);
        (all, self.forgotten)
    }

    fn take(&mut self, reading: Reading) {
        let place = Place { time: reading.time, line: self.lines };
        self.latest = reading.time.or(self.latest);
        let known = self.kinds.iter().position(|kind| kind.last.actor == reading.actor);
        let ended = match known {
            Some(known) => self.kinds[known].take(reading, place),
            None if self.kinds.len() < MOST_KINDS => {
                self.kinds.push(Kind::new(reading, place));
                None
            }
            None => {
                self.surplus += 1;
                None
            }
        };
        if let Some(incident) = ended {
            if self.over.len() == MOST_INCIDENTS {
                self.over.pop_front();
                self.forgotten += 1;
            }
            self.over.push_back(incident);
        }
    }
}

impl Kind {
    fn new(reading: Reading, place: Place) -> Self {
        let mut history = History::default();
        history.push(reading.share());
        let full = reading.reached_capacity().then(|| Incident::begin(&reading, place, 0));
        Self { highest: (reading.peak, place), refused_now: 0, last: reading, history, full }
    }

    /// Whether the newest line says that a mailbox was full.
    pub(super) fn is_full(&self) -> bool {
        self.full.is_some()
    }

    /// Takes the next line, and answers the incident that is over with it.
    fn take(&mut self, reading: Reading, place: Place) -> Option<Incident> {
        // Fewer than before: the node was started anew, and counts from nothing.
        let grown = reading.refused.checked_sub(self.last.refused);
        self.refused_now = grown.unwrap_or(reading.refused);
        self.history.push(reading.share());
        if reading.peak > self.highest.0 {
            self.highest = (reading.peak, place);
        }
        let is_full = reading.reached_capacity() || self.refused_now > 0;
        let mut ended = None;
        match (&mut self.full, is_full) {
            (Some(incident), true) => incident.go_on(&reading, place, self.refused_now),
            (None, true) => self.full = Some(Incident::begin(&reading, place, self.refused_now)),
            (_, false) => ended = self.full.take(),
        }
        self.last = reading;
        ended
    }
}

impl Incident {
    fn begin(reading: &Reading, place: Place, refused: u64) -> Self {
        let mut incident = Self {
            actor: reading.actor.clone(),
            from: place,
            to: place,
            peak: 0,
            capacity: reading.capacity,
            refused: 0,
            deepest: None,
        };
        incident.go_on(reading, place, refused);
        incident
    }

    fn go_on(&mut self, reading: &Reading, place: Place, refused: u64) {
        self.to = place;
        self.peak = self.peak.max(reading.peak);
        self.refused = self.refused.saturating_add(refused);
        let named = reading.deepest.as_deref().and_then(|deepest| deepest.rsplit_once(':'));
        let deepest = named.and_then(|(name, depth)| Some((name.to_owned(), depth.parse::<u64>().ok()?)));
        if deepest.as_ref().map(|(_, depth)| *depth) > self.deepest.as_ref().map(|(_, depth)| *depth) {
            self.deepest = deepest;
        }
    }
}

/// Several times what a node has; more is a log that is none.
const MOST_KINDS: usize = 64;

/// More than anyone reads; the newest are the ones that matter.
const MOST_INCIDENTS: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    fn line(actor: &str, deepest: &str, peak: u64, refused: u64) -> Vec<u8> {
        format!("mailbox actor={actor} depth=1 deepest={deepest} peak={peak} capacity=100 refused={refused}")
            .into()
    }

    fn board(lines: &[Vec<u8>]) -> Board {
        let mut board = Board::default();
        lines.iter().for_each(|line| board.see(line));
        board
    }

    #[test]
    fn lines_in_a_row_are_one_incident_that_names_the_fullest_instance() {
        let board = board(&[
            line("outgoing", "-", 3, 0),
            line("outgoing", "a.example:40", 100, 0),
            line("router", "-", 1, 0),
            line("outgoing", "b.example:90", 100, 12),
            line("outgoing", "c.example:5", 60, 15),
            line("outgoing", "-", 2, 15),
            line("outgoing", "d.example:100", 100, 15),
        ]);
        let (incidents, forgotten) = board.incidents();
        assert_eq!((incidents.len(), forgotten), (2, 0));
        let first = incidents[0];
        assert_eq!((first.from.line, first.to.line), (2, 5));
        assert_eq!((first.peak, first.refused), (100, 15));
        assert_eq!(first.deepest, Some(("b.example".to_owned(), 90)));
        assert_eq!(incidents[1].from.line, 7);
        assert!(board.kinds()[0].is_full() && !board.kinds()[1].is_full());
    }

    #[test]
    fn refusals_from_before_the_log_and_a_new_start_are_no_incident() {
        let old = board(&[line("router", "-", 1, 9), line("router", "-", 1, 9), line("router", "-", 1, 0)]);
        assert!(old.incidents().0.is_empty());
        let anew = board(&[line("router", "-", 1, 9), line("router", "-", 1, 4)]);
        assert_eq!(anew.incidents().0[0].refused, 4, "all of them since the start");
    }

    #[test]
    fn a_log_without_end_takes_no_more_room() {
        let mut board = Board::default();
        for number in 0..10_000 {
            board.see(&line(&format!("actor{number}"), "-", 1, 0));
            board.see(&line("router", "-", if number % 2 == 0 { 100 } else { 1 }, 0));
        }
        assert_eq!(board.kinds().len(), MOST_KINDS);
        assert_eq!(board.surplus(), 10_000 - (MOST_KINDS as u64 - 1));
        let (incidents, forgotten) = board.incidents();
        assert_eq!((incidents.len(), forgotten), (MOST_INCIDENTS, 5_000 - MOST_INCIDENTS as u64));
    }
}
