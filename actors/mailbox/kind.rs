//! The figures of the mailboxes of one actor kind, since its last line in the log and since the start.

use std::{mem, sync::Arc, time::Duration};

use crate::{Gauge, Meter, WaitTimes, meter::WaitTotals};

/// The statistics of the mailboxes of one actor kind.
#[derive(Clone, Debug)]
pub struct KindStats {
    /// The actor kind.
    pub actor: &'static str,
    /// The number of running actors.
    pub instances: u64,
    /// The number of waiting messages in all of their mailboxes.
    pub depth: u64,
    /// The number of waiting messages in the fullest mailbox.
    pub deepest: u64,
    /// The maximum number of waiting messages in one mailbox since the last scrape.
    pub peak: u64,
    /// The capacity of each mailbox in messages.
    pub capacity: u64,
    /// The number of handled messages since the start.
    pub handled: u64,
    /// The number of refused messages since the start.
    pub refused: u64,
    /// The number of actors that panicked since the start.
    pub restarts: u64,
    /// The number of messages since the start by waiting time: one bucket for each of [`WAIT_BOUNDS`], and
    /// one above.
    pub waits: [u64; WAIT_BOUNDS.len() + 1],
    /// The sum of all waiting times in seconds.
    pub waited_seconds: f64,
}

/// The figures of the mailboxes of one actor kind. Two of them, one after the other, show what happened between them.
#[derive(Clone, Debug)]
pub struct Figures {
    /// The figures that a scrape has too. The peak is that since the last line.
    pub stats: KindStats,
    /// The instance with the fullest mailbox, if a message waits.
    pub deepest: Option<String>,
    /// The number of messages by waiting time since the start: upper bounds, at most 25 % too high, and counts. Times
    /// without a message are left out.
    pub times: Vec<(Duration, u64)>,
}

/// One actor kind.
pub(crate) struct Kind {
    meter: Arc<Meter>,
    /// At the last interval.
    seen: Seen,
    /// In the last line; `None` before the first one.
    last_line: Option<LastLine>,
    /// The number of intervals for which the kind has been idle.
    idle_intervals: u32,
    /// The maximum queue length since the last line.
    peak: usize,
    waits: WaitTimes,
    /// The maximum queue length since the last scrape.
    shown_peak: usize,
    /// The waiting times since the start, as in [`KindStats`].
    all_waits: [u64; WAIT_BOUNDS.len() + 1],
    waited_seconds: f64,
    totals: WaitTotals,
}

/// Counters of a meter at the last interval.
#[derive(Default)]
struct Seen {
    handled: u64,
    handled_work: u64,
    quiet_sent: u64,
}

/// Figures of the last line that change without a handled message.
#[derive(PartialEq, Eq)]
struct LastLine {
    instances: usize,
    refused: u64,
    restarts: u64,
}

impl Kind {
    pub(crate) fn new(meter: Arc<Meter>) -> Self {
        Self {
            meter,
            seen: Seen::default(),
            last_line: None,
            idle_intervals: 0,
            peak: 0,
            waits: WaitTimes::default(),
            shown_peak: 0,
            all_waits: [0; WAIT_BOUNDS.len() + 1],
            waited_seconds: 0.0,
            totals: WaitTotals::default(),
        }
    }

    pub(crate) fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// Takes the peaks and waiting times since the last call, for both the next line and the next scrape.
    fn read(&mut self, gauges: &[&Gauge]) {
        let peak = gauges.iter().map(|gauge| gauge.take_peak()).max().unwrap_or(0);
        self.peak = self.peak.max(peak);
        self.shown_peak = self.shown_peak.max(peak);
        let waits = self.meter.take_waits();
        for (time, count) in waits.times() {
            let seconds = time.as_secs_f64();
            let bound = WAIT_BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(WAIT_BOUNDS.len());
            self.all_waits[bound] += u64::from(count);
            self.waited_seconds += seconds * f64::from(count);
        }
        self.waits.add(&waits);
        self.totals.add(&waits);
    }

    /// The figures for a command. They do not change what the next line and the next scrape show.
    pub(crate) fn look(&mut self, gauges: &[&Gauge]) -> Figures {
        let shown_peak = self.shown_peak;
        let mut stats = self.show(gauges);
        self.shown_peak = shown_peak.max(usize::try_from(stats.peak).unwrap_or(usize::MAX));
        stats.peak = self.peak as u64;
        let deepest = gauges.iter().max_by_key(|gauge| gauge.depth()).filter(|gauge| gauge.depth() > 0);
        Figures { stats, deepest: deepest.map(|gauge| gauge.name().to_owned()), times: self.totals.times() }
    }

    /// The figures for a scrape.
    pub(crate) fn show(&mut self, gauges: &[&Gauge]) -> KindStats {
        self.read(gauges);
        let depths = gauges.iter().map(|gauge| gauge.depth() as u64);
        KindStats {
            actor: self.meter.kind(),
            instances: gauges.len() as u64,
            depth: depths.clone().sum(),
            deepest: depths.max().unwrap_or(0),
            peak: mem::take(&mut self.shown_peak) as u64,
            capacity: self.meter.capacity() as u64,
            handled: self.meter.handled(),
            refused: self.meter.refused(),
            restarts: self.meter.restarts(),
            waits: self.all_waits,
            waited_seconds: self.waited_seconds,
        }
    }

    /// Ends an interval of `elapsed`: writes a line, unless the kind is idle.
    pub(crate) fn interval_ended(&mut self, gauges: &[&Gauge], elapsed: Duration) {
        if self.end_interval(gauges, elapsed, false) {
            self.idle_intervals = self.idle_intervals.saturating_add(1);
        }
    }

    /// Writes a line, and begins a new interval.
    pub(crate) fn log(&mut self, gauges: &[&Gauge], elapsed: Duration) {
        self.end_interval(gauges, elapsed, true);
    }

    /// Writes a line if the kind is not idle or `always`. Returns whether it is idle.
    fn end_interval(&mut self, gauges: &[&Gauge], elapsed: Duration, always: bool) -> bool {
        self.read(gauges);
        // The waiting times of a line are those of its interval; of an idle one they are those of quiet messages.
        let waits = mem::take(&mut self.waits);
        let before = self.seen.handled;
        let is_idle = self.is_idle(gauges);
        if !is_idle {
            self.idle_intervals = 0;
        }
        if always || !is_idle {
            let rate = self.seen.handled.saturating_sub(before) as f64 / elapsed.as_secs_f64();
            self.write_line(gauges, rate, &waits);
        }
        is_idle
    }

    /// The number of intervals, up to now, in which the kind was idle.
    pub(crate) fn idle_intervals(&self) -> u32 {
        self.idle_intervals
    }

    /// Whether the kind has handled no work since the last call, nothing waits, and nothing was refused or restarted since
    /// the last line.
    fn is_idle(&mut self, gauges: &[&Gauge]) -> bool {
        // In this order: a quiet message that is handled meanwhile must not look like work that waits.
        let quiet_done = self.meter.quiet_done();
        let depth: usize = gauges.iter().map(|gauge| gauge.depth()).sum();
        let now = Seen {
            handled: self.meter.handled(),
            handled_work: self.meter.handled_work().max(self.seen.handled_work),
            quiet_sent: self.meter.quiet_sent(),
        };
        let quiet_waits = now.quiet_sent.saturating_sub(quiet_done);
        let before = mem::replace(&mut self.seen, now);
        // A question that waits for a whole interval means that the actor handles nothing.
        let is_stuck = quiet_done < before.quiet_sent;
        let last_line = LastLine::of(&self.meter, gauges);
        before.handled_work == self.seen.handled_work
            && depth as u64 <= quiet_waits
            && !is_stuck
            && self.last_line.as_ref() == Some(&last_line)
    }

    fn write_line(&mut self, gauges: &[&Gauge], rate: f64, waits: &WaitTimes) {
        self.last_line = Some(LastLine::of(&self.meter, gauges));
        let peak = mem::take(&mut self.peak);
        let depths = gauges.iter().map(|gauge| (gauge.depth(), gauge.name()));
        let depth: usize = depths.clone().map(|(depth, _)| depth).sum();
        let deepest = depths.max_by_key(|(depth, _)| *depth).filter(|(depth, _)| *depth > 0);
        log::info!(
            target: LOG,
            actor = self.meter.kind(),
            instances = gauges.len(),
            depth = depth,
            deepest:% = deepest.map_or_else(|| "-".to_owned(), |(depth, name)| format!("{name}:{depth}")),
            peak = peak,
            capacity = self.meter.capacity(),
            handled = self.seen.handled,
            rate:% = format_args!("{rate:.0}/s"),
            wait_p50:% = short(waits.percentile(50)),
            wait_p99:% = short(waits.percentile(99)),
            refused = self.meter.refused(),
            restarts = self.meter.restarts();
            "mailbox"
        );
    }
}

impl LastLine {
    fn of(meter: &Meter, gauges: &[&Gauge]) -> Self {
        Self { instances: gauges.len(), refused: meter.refused(), restarts: meter.restarts() }
    }
}

/// Writes a time with one unit and at most one decimal: `35us`, `1.2ms`, `3.4s`.
pub fn short(time: Duration) -> String {
    let micros = time.as_nanos() as f64 / 1_000.0;
    match micros {
        0.0 => "0us".to_owned(),
        ..10.0 => format!("{micros:.1}us"),
        ..1_000.0 => format!("{micros:.0}us"),
        ..1_000_000.0 => format!("{:.1}ms", micros / 1_000.0),
        _ => format!("{:.1}s", micros / 1_000_000.0),
    }
}

pub(crate) const LOG: &str = "nuncio::mailbox";

/// Upper bounds of waiting times in seconds, from that of an idle node to that of a node that no longer
/// works.
pub const WAIT_BOUNDS: [f64; 11] = [0.00001, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 10.0];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Queued, meter::Purpose};

    /// A mailbox with one place, and its kind after the first line.
    fn logged() -> (Arc<Gauge>, Kind) {
        let meter = Meter::new("idle", 1, None);
        let gauge = Gauge::new(&meter, "idle");
        let mut kind = Kind::new(meter);
        assert!(!kind.is_idle(&[&gauge]), "the first line is always written");
        kind.write_line(&[&gauge], 0.0, &WaitTimes::default());
        assert!(kind.is_idle(&[&gauge]));
        (gauge, kind)
    }

    fn quiet(gauge: &Arc<Gauge>) -> Queued<u32> {
        Gauge::count(gauge, 7, Purpose::Quiet)
    }

    #[test]
    fn a_kind_is_idle_until_it_handles_work() {
        let (gauge, mut kind) = logged();
        let message = Gauge::admit(&gauge, 7).unwrap();
        assert!(!kind.is_idle(&[&gauge]), "it waits");
        assert!(!kind.is_idle(&[&gauge]), "it waits still");
        message.into_message();
        assert!(!kind.is_idle(&[&gauge]), "it was handled");
        assert!(kind.is_idle(&[&gauge]));
    }

    #[test]
    fn quiet_messages_are_no_work_unless_they_keep_waiting() {
        let (gauge, mut kind) = logged();
        for _ in 0..3 {
            quiet(&gauge).into_message();
            let waiting = quiet(&gauge);
            assert!(kind.is_idle(&[&gauge]));
            drop(waiting);
        }
        assert_eq!((gauge.meter().handled(), gauge.depth()), (3, 0));
        let stuck = quiet(&gauge);
        assert!(kind.is_idle(&[&gauge]), "it may be handled in a moment");
        assert!(!kind.is_idle(&[&gauge]), "it waits for a whole interval");
        stuck.into_message();
        assert!(kind.is_idle(&[&gauge]));
    }

    #[test]
    fn work_behind_a_quiet_message_is_seen() {
        let (gauge, mut kind) = logged();
        let (_question, work) = (quiet(&gauge), Gauge::count(&gauge, 8, Purpose::Work));
        assert!(!kind.is_idle(&[&gauge]));
        drop(work);
        kind.read(&[&gauge]);
        assert_eq!(kind.peak, 2, "the peak counts all that waits");
    }

    #[test]
    fn a_refusal_and_a_change_of_the_instances_end_idleness() {
        let (gauge, mut kind) = logged();
        assert!(!kind.is_idle(&[]), "an actor has stopped");
        assert!(kind.is_idle(&[&gauge]), "another was started before the next line");
        let full = Gauge::admit(&gauge, 7).unwrap();
        assert!(Gauge::admit(&gauge, 8).is_err());
        drop(full);
        assert!(!kind.is_idle(&[&gauge]));
        kind.write_line(&[&gauge], 0.0, &WaitTimes::default());
        assert!(kind.is_idle(&[&gauge]));
        gauge.meter().count_panic();
        assert!(!kind.is_idle(&[&gauge]));
    }

    #[test]
    fn idle_intervals_are_counted_until_there_is_work() {
        let (gauge, mut kind) = logged();
        let second = Duration::from_secs(1);
        for expected in 1..4 {
            kind.interval_ended(&[&gauge], second);
            assert_eq!(kind.idle_intervals(), expected);
        }
        kind.log(&[&gauge], second);
        assert_eq!(kind.idle_intervals(), 3, "a line on request is no work");
        Gauge::admit(&gauge, 7).unwrap().into_message();
        kind.interval_ended(&[&gauge], second);
        assert_eq!(kind.idle_intervals(), 0);
    }

    #[test]
    fn a_look_changes_neither_lines_nor_scrapes() {
        let meter = Meter::new("looked-at", 8, None);
        let gauge = Gauge::new(&meter, "one");
        let mut kind = Kind::new(meter);
        drop([1, 2, 3].map(|number| Gauge::admit(&gauge, number).map(Queued::into_message)));
        let waiting = [4, 5].map(|number| Gauge::admit(&gauge, number).ok());
        for _ in 0..2 {
            let Figures { stats, deepest, times } = kind.look(&[&gauge]);
            assert_eq!((stats.handled, stats.depth, stats.peak), (3, 2, 2));
            assert_eq!(deepest.as_deref(), Some("one"));
            assert_eq!(times.iter().map(|(_, count)| count).sum::<u64>(), 3);
        }
        drop(waiting);
        assert_eq!(kind.look(&[&gauge]).deepest, None);
        let shown = kind.show(&[&gauge]);
        assert_eq!((shown.peak, shown.waits.iter().sum::<u64>()), (2, 3));
        assert_eq!((kind.show(&[&gauge]).peak, kind.peak), (0, 2));
    }

    #[test]
    fn a_time_is_written_with_one_unit() {
        let written = |nanos| short(Duration::from_nanos(nanos));
        assert_eq!(written(0), "0us");
        assert_eq!(written(1_500), "1.5us");
        assert_eq!(written(35_000), "35us");
        assert_eq!(written(1_200_000), "1.2ms");
        assert_eq!(written(3_400_000_000), "3.4s");
    }
}
