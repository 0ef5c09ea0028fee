//! Reads the gauges of all mailboxes and writes the mailbox lines into the log.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use actix::{Actor, AsyncContext, Context, Handler};
use tokio::sync::oneshot;

use crate::{Gauge, Meter, Queued, Waits, Watch};

/// Write the lines now (SIGUSR1).
#[derive(Debug)]
pub struct Report;

/// Show the figures of every kind (a scrape of the metrics).
#[derive(Debug)]
pub struct Show {
    /// Where the answer goes.
    pub answer: oneshot::Sender<Vec<Figures>>,
}

/// What is known of the mailboxes of one actor kind.
#[derive(Clone, Debug)]
pub struct Figures {
    /// The kind.
    pub actor: &'static str,
    /// Actors that live.
    pub instances: u64,
    /// Messages that wait in all of them.
    pub depth: u64,
    /// Messages that wait in the fullest.
    pub deepest: u64,
    /// The most that waited in one since these figures were last shown.
    pub peak: u64,
    /// Where a mailbox begins to refuse.
    pub capacity: u64,
    /// Since the start.
    pub handled: u64,
    /// Since the start.
    pub refused: u64,
    /// Since the start.
    pub restarts: u64,
    /// Messages since the start by how long they waited: within each of [`WAIT_BOUNDS`], and longer.
    pub waits: [u64; WAIT_BOUNDS.len() + 1],
    /// How long all of them together waited.
    pub waited_seconds: f64,
}

/// The actor that keeps the gauges.
pub struct Monitor {
    every: Option<Duration>,
    gauges: Vec<Weak<Gauge>>,
    kinds: Vec<Kind>,
    last: Instant,
    sweep_at: usize,
}

/// What the last line said of an actor kind, and what was read of it since.
struct Kind {
    meter: Arc<Meter>,
    handled: u64,
    /// Since the last line.
    peak: usize,
    waits: Waits,
    /// Since the last time it was shown.
    shown_peak: usize,
    /// Since the start, as [`Figures`] has it.
    all_waits: [u64; WAIT_BOUNDS.len() + 1],
    waited_seconds: f64,
}

impl Monitor {
    /// Writes a line for each actor kind every so often, or only when asked.
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
            waits: Waits::default(),
            shown_peak: 0,
            all_waits: [0; WAIT_BOUNDS.len() + 1],
            waited_seconds: 0.0,
        }
    }

    /// Takes what the gauges and the meter count from one time to the next, for the line and for whoever is shown it.
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
    }

    fn show(&mut self, gauges: &[&Gauge]) -> Figures {
        self.read(gauges);
        let depths = gauges.iter().map(|gauge| gauge.depth() as u64);
        Figures {
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
            wait_p50:% = brief(waits.percentile(50)),
            wait_p99:% = brief(waits.percentile(99)),
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
            context.run_interval(every, |pulse, _| pulse.report());
        }
    }
}

impl Handler<Queued<Watch>> for Monitor {
    type Result = ();

    fn handle(&mut self, watch: Queued<Watch>, _: &mut Context<Self>) {
        let Watch { gauge } = watch.open();
        if let Some(live) = gauge.upgrade() {
            if !self.kinds.iter().any(|kind| Arc::ptr_eq(&kind.meter, live.meter())) {
                self.kinds.push(Kind::new(Arc::clone(live.meter())));
            }
            self.gauges.push(gauge);
        }
        // Sessions come and go between two lines: the dead ones must not pile up.
        if self.gauges.len() >= self.sweep_at {
            self.gauges.retain(|gauge| gauge.strong_count() > 0);
            self.sweep_at = SWEEP_FROM.max(2 * self.gauges.len());
        }
    }
}

impl Handler<Queued<Report>> for Monitor {
    type Result = ();

    fn handle(&mut self, report: Queued<Report>, _: &mut Context<Self>) {
        report.open();
        self.report();
    }
}

impl Handler<Queued<Show>> for Monitor {
    type Result = ();

    fn handle(&mut self, show: Queued<Show>, _: &mut Context<Self>) {
        let Show { answer } = show.open();
        let mut figures = Vec::with_capacity(self.kinds.len());
        self.each_kind(|kind, gauges| figures.push(kind.show(gauges)));
        // Whoever asked may have given up.
        let _ = answer.send(figures);
    }
}

/// `35us`, `1.2ms`, `3.4s`: two digits are what a person reads.
fn brief(time: Duration) -> String {
    let micros = time.as_nanos() as f64 / 1_000.0;
    match micros {
        0.0 => "0us".to_owned(),
        ..10.0 => format!("{micros:.1}us"),
        ..1_000.0 => format!("{micros:.0}us"),
        ..1_000_000.0 => format!("{:.1}ms", micros / 1_000.0),
        _ => format!("{:.1}s", micros / 1_000_000.0),
    }
}

/// In seconds: what a message in an idle node waits, up to where nobody would call it one that works.
pub const WAIT_BOUNDS: [f64; 11] = [0.00001, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 10.0];

/// Below this many gauges a sweep is not worth its time.
const SWEEP_FROM: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_a_person_reads_it() {
        let written = |nanos| brief(Duration::from_nanos(nanos));
        assert_eq!(written(0), "0us");
        assert_eq!(written(1_500), "1.5us");
        assert_eq!(written(35_000), "35us");
        assert_eq!(written(1_200_000), "1.2ms");
        assert_eq!(written(3_400_000_000), "3.4s");
    }
}
