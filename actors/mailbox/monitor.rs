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

pub use crate::kind::short;
use crate::{Gauge, Queued, Register, kind::Kind};

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
        self.each_kind(|kind, gauges| kind.log(gauges, elapsed, all));
    }

    /// An interval has ended.
    fn interval_ended(&mut self, every: Duration) {
        self.report(false);
        self.intervals += 1;
        let since = every.saturating_mul(self.intervals);
        if since >= IDLE_EVERY {
            self.intervals = 0;
            self.log_idle(since);
        }
    }

    /// Names the kinds without a line since the last call in one line.
    fn log_idle(&mut self, since: Duration) {
        let idle: Vec<_> = self.kinds.iter_mut().filter_map(Kind::take_idle).collect();
        if !idle.is_empty() {
            log::info!(
                target: LOG, idle = idle.join(",").as_str(), since:% = in_minutes(since);
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

pub(crate) const LOG: &str = "nuncio::mailbox";

/// The idle kinds are named after this time: 288 lines a day, by which an idle log differs from that of a node that has
/// stopped.
const IDLE_EVERY: Duration = Duration::from_secs(300);

/// Upper bounds of waiting times in seconds, from that of an idle node to that of a node that no longer
/// works.
pub const WAIT_BOUNDS: [f64; 11] = [0.00001, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 10.0];

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
