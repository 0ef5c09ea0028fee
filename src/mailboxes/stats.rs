//! Statistics of the mailboxes in a log, of a size that does not grow with the log.

use std::{
    collections::VecDeque,
    time::{Duration, SystemTime},
};

use super::{history::History, interval::Interval, line::MailboxLine, record::Record};

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
    /// The time in the last line about mailboxes.
    latest: Option<SystemTime>,
    /// The interval between two lines of a kind.
    interval: Interval,
}

/// Statistics of one kind of actor.
#[derive(Debug)]
pub(super) struct ActorKind {
    /// The newest line, or one in which only the name is known.
    pub(super) last: MailboxLine,
    /// Number of messages that were refused between the last two lines.
    pub(super) newly_refused: u64,
    /// The highest peak in the log.
    pub(super) highest: u64,
    pub(super) history: History,
    /// Whether it has handled nothing since the newest line.
    idle: bool,
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
        if let Some(record) = Record::parse(line) {
            self.add_record(record);
        }
    }

    /// Adds what a line says that was counted already.
    pub(super) fn add_record(&mut self, record: Record) {
        let time = record.time();
        match record {
            Record::Mailbox(line) => self.add(line),
            Record::Idle { kinds, .. } => kinds.iter().for_each(|kind| self.set_idle(kind)),
            Record::Account { .. } | Record::Link { .. } | Record::Node { .. } => return,
        }
        self.latest = time.or(self.latest);
        if let Some(time) = time {
            self.pass_time(time);
        }
    }

    /// Counts a line that says nothing.
    pub(super) fn count_line(&mut self) {
        self.lines += 1;
    }

    /// It is `now`: a kind that has no new line is idle.
    pub(super) fn pass_time(&mut self, now: SystemTime) {
        let most = self.interval.get() * 2 + SLACK;
        for kind in &mut self.kinds {
            let last = kind.last.time.and_then(|last| now.duration_since(last).ok());
            if last.is_some_and(|age| age > most) {
                kind.become_idle();
            }
        }
    }

    /// The same, if the newest line is of the last minutes. In an old log, the newest figures stay.
    pub(super) fn pass_time_if_live(&mut self, now: SystemTime) {
        let age = self.latest.and_then(|latest| now.duration_since(latest).ok());
        if age.is_some_and(|age| age < LIVE) {
            self.pass_time(now);
        }
    }

    fn set_idle(&mut self, actor: &str) {
        match self.kinds.iter().position(|kind| kind.last.actor == actor) {
            Some(known) => self.kinds[known].become_idle(),
            None if self.kinds.len() < MAX_KINDS => {
                let unknown = MailboxLine::unknown(actor);
                self.kinds.push(ActorKind::new(unknown, Position { time: None, line: self.lines }));
            }
            None => {}
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

    /// The time in the last line about mailboxes that has one.
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
        let known = self.kinds.iter().position(|kind| kind.last.actor == line.actor);
        let ended = match known {
            Some(known) => {
                let kind = &mut self.kinds[known];
                if let Some(pause) = kind.pause_before(&line) {
                    self.interval.add(pause);
                    kind.history.push_zeros(self.interval.missing(pause));
                }
                kind.add(line, position)
            }
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
        let is_unknown = line.is_unknown();
        if !is_unknown {
            history.push(line.share());
        }
        let current = line.reached_capacity().then(|| Incident::begin(&line, position, 0));
        Self { highest: line.peak, newly_refused: 0, last: line, history, idle: is_unknown, current }
    }

    /// Whether a mailbox was full according to the newest line.
    pub(super) fn is_full(&self) -> bool {
        self.current.is_some()
    }

    /// Whether it has handled nothing since the newest line. Its figures are those of that line.
    pub(super) fn is_idle(&self) -> bool {
        self.idle
    }

    /// Messages handled per second, at present.
    pub(super) fn rate(&self) -> u64 {
        if self.idle { 0 } else { self.last.rate }
    }

    fn become_idle(&mut self) {
        self.idle = true;
    }

    /// The time between the newest line and the next.
    fn pause_before(&self, next: &MailboxLine) -> Option<Duration> {
        next.time?.duration_since(self.last.time?).ok()
    }

    /// Adds the next line. Returns the incident that it ends.
    fn add(&mut self, line: MailboxLine, position: Position) -> Option<Incident> {
        if self.last.is_unknown() {
            *self = Self::new(line, position);
            return None;
        }
        self.idle = false;
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

/// A line may be this late: a busy machine.
const SLACK: Duration = Duration::from_secs(5);

/// A node that runs writes a line about its mailboxes at least every five minutes.
const LIVE: Duration = Duration::from_secs(6 * 60);

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

    fn at(time: &str, event: &str) -> Vec<u8> {
        format!("2026-11-21T{time}Z INFO  nuncio::mailbox mailbox {event}").into()
    }

    #[test]
    fn an_idle_kind_keeps_its_figures_and_has_no_rate() {
        let busy = "actor=router depth=0 peak=50 capacity=100 rate=7/s refused=0";
        let other = "actor=promise depth=0 peak=1 capacity=100 rate=1/s refused=0";
        let mut stats = stats(&[at("10:00:00", busy), at("10:00:10", busy), at("10:00:10", other)]);
        let idle = |stats: &Stats| stats.kinds().iter().map(ActorKind::is_idle).collect::<Vec<_>>();
        assert_eq!(idle(&stats), [false, false]);
        stats.add_line(&at("10:05:00", "idle=router,service since=5m"));
        assert_eq!(idle(&stats), [true, true, true], "named, older than two intervals, and unknown before");
        let [router, _, service] = stats.kinds() else { panic!("{stats:?}") };
        assert_eq!((router.rate(), router.last.rate, router.last.peak), (0, 7, 50));
        assert!(service.last.is_unknown());
        assert_eq!(stats.latest(), humantime::parse_rfc3339("2026-11-21T10:05:00Z").ok());

        // The figures of the first line are not those since the line before.
        stats.add_line(&at("10:06:40", "actor=service depth=0 peak=1 capacity=10 rate=1/s refused=9"));
        stats.add_line(&at("10:06:40", busy));
        assert!(stats.incidents().0.is_empty());
        let router = &stats.kinds()[0];
        assert_eq!((router.is_idle(), router.rate()), (false, 7));
        let latest: Vec<f64> = router.history.latest(240).collect();
        assert_eq!((latest.len(), latest[1], latest[2], latest[40]), (41, 0.5, 0.0, 0.5), "ten seconds each");
    }

    #[test]
    fn time_passes_only_in_a_log_that_grows() {
        let line = at("10:00:00", "actor=router depth=0 peak=50 capacity=100 rate=7/s");
        let time = |time: &str| humantime::parse_rfc3339(time).unwrap();
        for (now, idle) in
            [("10:00:05Z", false), ("10:00:20Z", false), ("10:00:40Z", true), ("10:06:01Z", false)]
        {
            let mut stats = stats(std::slice::from_ref(&line));
            stats.pass_time_if_live(time(&format!("2026-11-21T{now}")));
            assert_eq!(stats.kinds()[0].is_idle(), idle, "{now}");
        }
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
