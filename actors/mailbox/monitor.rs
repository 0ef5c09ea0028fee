//! Reads the gauges of all mailboxes, writes the mailbox lines of the log, and answers scrapes of the
//! metrics.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use actix::{Actor, AsyncContext, Context, Handler};
use tokio::sync::oneshot;

use crate::{Gauge, Meter, Queued, Register, WaitTimes, meter::WaitTotals};

/// Message: write the mailbox lines now (SIGUSR1).
#[derive(Debug)]
pub struct Report;

/// Message: report the statistics of every actor kind (a scrape of the metrics).
#[derive(Debug)]
pub struct Show {
    /// Receives the answer.
    pub answer: oneshot::Sender<Vec<KindStats>>,
}

/// Message: report the figures of every actor kind (a command of the operator). What lines and scrapes show does not change.
#[derive(Debug)]
pub struct Look {
    /// Receives the answer.
    pub answer: oneshot::Sender<Vec<Figures>>,
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

/// The actor that observes all mailboxes.
pub struct Monitor {
    every: Option<Duration>,
    gauges: Vec<Weak<Gauge>>,
    kinds: Vec<Kind>,
    last: Instant,
    sweep_at: usize,
}

/// The values of one actor kind in its last line, and the values read since.
struct Kind {
    meter: Arc<Meter>,
    handled: u64,
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

impl Monitor {
    /// Makes a monitor that writes a line for each actor kind every `every`, or only on request.
    pub fn new(every: Option<Duration>) -> Self {
        Self { every, gauges: Vec::new(), kinds: Vec::new(), last: clock::now(), sweep_at: SWEEP_FROM }
    }

    fn report(&mut self) {
        let elapsed = clock::since(self.last).max(Duration::from_millis(1));
        self.last = clock::now();
        self.each_kind(|kind, gauges| kind.write_line(gauges, elapsed));
    }

    fn each_kind(&mut self, mut visit: impl FnMut(&mut Kind, &[&Gauge])) {
        let live: Vec<Arc<Gauge>> = self.gauges.iter().filter_map(Weak::upgrade).collect();
        self.gauges = live.iter().map(Arc::downgrade).collect();
        let mut by_kind: HashMap<&'static str, Vec<&Gauge>> = HashMap::new();
        for gauge in &live {
            by_kind.entry(gauge.meter().kind()).or_default().push(gauge);
        }
        for kind in &mut self.kinds {
            let gauges = by_kind.remove(kind.meter.kind()).unwrap_or_default();
            visit(kind, &gauges);
        }
    }
}

impl Kind {
    fn new(meter: Arc<Meter>) -> Self {
        Self {
            meter,
            handled: 0,
            peak: 0,
            waits: WaitTimes::default(),
            shown_peak: 0,
            all_waits: [0; WAIT_BOUNDS.len() + 1],
            waited_seconds: 0.0,
            totals: WaitTotals::default(),
        }
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
    fn look(&mut self, gauges: &[&Gauge]) -> Figures {
        let shown_peak = self.shown_peak;
        let mut stats = self.show(gauges);
        self.shown_peak = shown_peak.max(usize::try_from(stats.peak).unwrap_or(usize::MAX));
        stats.peak = self.peak as u64;
        let deepest = gauges.iter().max_by_key(|gauge| gauge.depth()).filter(|gauge| gauge.depth() > 0);
        Figures { stats, deepest: deepest.map(|gauge| gauge.name().to_owned()), times: self.totals.times() }
    }

    /// The figures for a scrape.
    fn show(&mut self, gauges: &[&Gauge]) -> KindStats {
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

    fn write_line(&mut self, gauges: &[&Gauge], elapsed: Duration) {
        self.read(gauges);
        let (peak, waits) = (mem::take(&mut self.peak), mem::take(&mut self.waits));
        let depths = gauges.iter().map(|gauge| (gauge.depth(), gauge.name()));
        let depth: usize = depths.clone().map(|(depth, _)| depth).sum();
        let deepest = depths.max_by_key(|(depth, _)| *depth).filter(|(depth, _)| *depth > 0);
        let handled = self.meter.handled();
        let rate = (handled - self.handled) as f64 / elapsed.as_secs_f64();
        self.handled = handled;
        log::info!(
            target: "nuncio::mailbox",
            actor = self.meter.kind(),
            instances = gauges.len(),
            depth = depth,
            deepest:% = deepest.map_or_else(|| "-".to_owned(), |(depth, name)| format!("{name}:{depth}")),
            peak = peak,
            capacity = self.meter.capacity(),
            handled = handled,
            rate:% = format_args!("{rate:.0}/s"),
            wait_p50:% = short(waits.percentile(50)),
            wait_p99:% = short(waits.percentile(99)),
            refused = self.meter.refused(),
            restarts = self.meter.restarts();
            "mailbox"
        );
    }
}

impl Actor for Monitor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        if let Some(every) = self.every {
            context.run_interval(every, |monitor, _| monitor.report());
        }
    }
}

impl Handler<Queued<Register>> for Monitor {
    type Result = ();

    fn handle(&mut self, watch: Queued<Register>, _: &mut Context<Self>) {
        let Register { gauge } = watch.into_message();
        if let Some(live) = gauge.upgrade() {
            if !self.kinds.iter().any(|kind| Arc::ptr_eq(&kind.meter, live.meter())) {
                self.kinds.push(Kind::new(Arc::clone(live.meter())));
            }
            self.gauges.push(gauge);
        }
        // Sessions start and stop between two lines: the gauges of stopped ones must not accumulate.
        if self.gauges.len() >= self.sweep_at {
            self.gauges.retain(|gauge| gauge.strong_count() > 0);
            self.sweep_at = SWEEP_FROM.max(2 * self.gauges.len());
        }
    }
}

impl Handler<Queued<Report>> for Monitor {
    type Result = ();

    fn handle(&mut self, report: Queued<Report>, _: &mut Context<Self>) {
        report.into_message();
        self.report();
    }
}

impl Handler<Queued<Show>> for Monitor {
    type Result = ();

    fn handle(&mut self, show: Queued<Show>, _: &mut Context<Self>) {
        let Show { answer } = show.into_message();
        let mut kinds = Vec::with_capacity(self.kinds.len());
        self.each_kind(|kind, gauges| kinds.push(kind.show(gauges)));
        // The scrape may have ended by a timeout.
        let _ = answer.send(kinds);
    }
}

impl Handler<Queued<Look>> for Monitor {
    type Result = ();

    fn handle(&mut self, look: Queued<Look>, _: &mut Context<Self>) {
        let Look { answer } = look.into_message();
        let mut kinds = Vec::with_capacity(self.kinds.len());
        self.each_kind(|kind, gauges| kinds.push(kind.look(gauges)));
        // The command may have ended by a timeout.
        let _ = answer.send(kinds);
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

/// Upper bounds of waiting times in seconds, from that of an idle node to that of a node that no longer
/// works.
pub const WAIT_BOUNDS: [f64; 11] = [0.00001, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 10.0];

/// The number of gauges from which stopped ones are removed.
const SWEEP_FROM: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_changes_neither_lines_nor_scrapes() {
        let meter = Meter::new("looked-at", 8, None);
        let gauge = Gauge::new(&meter, "one");
        let mut kind = Kind::new(Arc::clone(&meter));
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
