//! Reads the gauges of all mailboxes, writes the mailbox lines of the log, and answers scrapes of the
//! metrics.
//!
//! An actor kind that is idle has no line of its own: one line names all idle kinds from time to time.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use actix::{Actor, AsyncContext, Context, Handler};
use tokio::sync::oneshot;

pub use crate::kind::{Figures, KindStats, WAIT_BOUNDS, short};
use crate::{
    Gauge, Queued, Register,
    kind::{Kind, LOG},
};

/// Message: write the mailbox lines of all actor kinds now (SIGUSR1).
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

/// The actor that observes all mailboxes.
pub struct Monitor {
    every: Option<Duration>,
    gauges: Vec<Weak<Gauge>>,
    kinds: Vec<Kind>,
    last: Instant,
    /// The number of intervals since the last line about the idle kinds.
    intervals: u32,
    sweep_at: usize,
}

impl Monitor {
    /// Makes a monitor that writes the lines of the actor kinds that are not idle every `every`, or all of them only on
    /// request.
    pub fn new(every: Option<Duration>) -> Self {
        Self {
            every,
            gauges: Vec::new(),
            kinds: Vec::new(),
            last: clock::now(),
            intervals: 0,
            sweep_at: SWEEP_FROM,
        }
    }

    /// Writes a line for each kind, or only for those that are not idle.
    fn report(&mut self, all: bool) {
        let elapsed = clock::since(self.last).max(Duration::from_millis(1));
        self.last = clock::now();
        self.each_kind(|kind, gauges| match all {
            true => kind.log(gauges, elapsed),
            false => kind.interval_ended(gauges, elapsed),
        });
    }

    /// An interval has ended.
    fn interval_ended(&mut self, every: Duration) {
        self.report(false);
        self.intervals += 1;
        if every.saturating_mul(self.intervals) >= IDLE_EVERY {
            self.log_idle(every);
            self.intervals = 0;
        }
    }

    /// Names the kinds that were idle in all intervals since the last call; if there are none, those that are idle now. So a
    /// node that runs writes a line in each of these periods.
    fn log_idle(&self, every: Duration) {
        let all_the_time = |kind: &&Kind| kind.idle_intervals() >= self.intervals;
        let mut idle: Vec<&Kind> = self.kinds.iter().filter(all_the_time).collect();
        if idle.is_empty() {
            idle = self.kinds.iter().filter(|kind| kind.idle_intervals() > 0).collect();
        }
        let intervals = idle.iter().map(|kind| kind.idle_intervals().min(self.intervals)).min();
        if let Some(intervals) = intervals {
            let names: Vec<_> = idle.iter().map(|kind| kind.meter().kind()).collect();
            log::info!(
                target: LOG, idle = names.join(",").as_str(),
                since:% = in_minutes(every.saturating_mul(intervals));
                "mailbox"
            );
        }
    }

    fn each_kind(&mut self, mut visit: impl FnMut(&mut Kind, &[&Gauge])) {
        let live: Vec<Arc<Gauge>> = self.gauges.iter().filter_map(Weak::upgrade).collect();
        self.gauges = live.iter().map(Arc::downgrade).collect();
        let mut by_kind: HashMap<&'static str, Vec<&Gauge>> = HashMap::new();
        for gauge in &live {
            by_kind.entry(gauge.meter().kind()).or_default().push(gauge);
        }
        for kind in &mut self.kinds {
            let gauges = by_kind.remove(kind.meter().kind()).unwrap_or_default();
            visit(kind, &gauges);
        }
    }
}

impl Actor for Monitor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        if let Some(every) = self.every {
            context.run_interval(every, move |monitor, _| monitor.interval_ended(every));
        }
    }
}

impl Handler<Queued<Register>> for Monitor {
    type Result = ();

    fn handle(&mut self, watch: Queued<Register>, _: &mut Context<Self>) {
        let Register { gauge } = watch.into_message();
        if let Some(live) = gauge.upgrade() {
            if !self.kinds.iter().any(|kind| Arc::ptr_eq(kind.meter(), live.meter())) {
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
        self.report(true);
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

/// `5m`, or `301s` if it is not a number of minutes.
fn in_minutes(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds % 60 == 0 => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}

/// The idle kinds are named after this time: 288 lines a day, by which an idle log differs from that of a node that has
/// stopped.
const IDLE_EVERY: Duration = Duration::from_secs(300);

/// The number of gauges from which stopped ones are removed.
const SWEEP_FROM: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_an_idle_line_is_in_minutes_if_it_can_be() {
        let written = |seconds| in_minutes(Duration::from_secs(seconds));
        assert_eq!([written(300), written(301), written(3600)], ["5m", "301s", "60m"]);
    }
}
