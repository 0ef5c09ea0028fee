//! Reads the gauges of all mailboxes and writes the mailbox lines into the log.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use actix::{Actor, AsyncContext, Context, Handler};

use crate::mailbox::{Gauge, Meter, Queued};

/// Watch this mailbox until it is gone.
#[derive(Debug)]
pub struct Watch {
    /// The count of its messages.
    pub gauge: Weak<Gauge>,
}

/// Write the lines now (SIGUSR1).
#[derive(Debug)]
pub struct Report;

/// The actor that keeps the gauges.
pub struct Pulse {
    every: Option<Duration>,
    gauges: Vec<Weak<Gauge>>,
    kinds: Vec<Kind>,
    last: Instant,
    sweep_at: usize,
}

/// What the last line said of an actor kind.
struct Kind {
    meter: Arc<Meter>,
    handled: u64,
}

impl Pulse {
    /// Writes a line for each actor kind every so often, or only when asked.
    pub fn new(every: Option<Duration>) -> Self {
        Self { every, gauges: Vec::new(), kinds: Vec::new(), last: Instant::now(), sweep_at: SWEEP_FROM }
    }

    fn report(&mut self) {
        let elapsed = self.last.elapsed().max(Duration::from_millis(1));
        self.last = Instant::now();
        let live: Vec<Arc<Gauge>> = self.gauges.iter().filter_map(Weak::upgrade).collect();
        self.gauges = live.iter().map(Arc::downgrade).collect();
        let mut by_kind: HashMap<&'static str, Vec<&Gauge>> = HashMap::new();
        for gauge in &live {
            by_kind.entry(gauge.meter().kind()).or_default().push(gauge);
        }
        for kind in &mut self.kinds {
            let gauges = by_kind.remove(kind.meter.kind()).unwrap_or_default();
            kind.write_line(&gauges, elapsed);
        }
    }
}

impl Kind {
    fn write_line(&mut self, gauges: &[&Gauge], elapsed: Duration) {
        let depths = gauges.iter().map(|gauge| (gauge.depth(), gauge.name()));
        let depth: usize = depths.clone().map(|(depth, _)| depth).sum();
        let deepest = depths.max_by_key(|(depth, _)| *depth).filter(|(depth, _)| *depth > 0);
        let peak = gauges.iter().map(|gauge| gauge.take_peak()).max().unwrap_or(0);
        let handled = self.meter.handled();
        let rate = (handled - self.handled) as f64 / elapsed.as_secs_f64();
        self.handled = handled;
        let waits = self.meter.take_waits();
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

impl Actor for Pulse {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        if let Some(every) = self.every {
            context.run_interval(every, |pulse, _| pulse.report());
        }
    }
}

impl Handler<Queued<Watch>> for Pulse {
    type Result = ();

    fn handle(&mut self, watch: Queued<Watch>, _: &mut Context<Self>) {
        let Watch { gauge } = watch.open();
        if let Some(live) = gauge.upgrade() {
            if !self.kinds.iter().any(|kind| Arc::ptr_eq(&kind.meter, live.meter())) {
                self.kinds.push(Kind { meter: Arc::clone(live.meter()), handled: 0 });
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

impl Handler<Queued<Report>> for Pulse {
    type Result = ();

    fn handle(&mut self, report: Queued<Report>, _: &mut Context<Self>) {
        report.open();
        self.report();
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
