//! What can be counted about links being made, and how all figures of a node are shown to a monitoring system.
//!
//! This actor counts what nobody else has figures of: how long each phase of an attempt took, how attempts ended, which
//! TLS versions are spoken, what certificates are worth. A scrape asks it, the pulse, the router and the promise.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use actix::{Actor, Context, Handler};
use tokio::sync::oneshot;

use mailbox::{Outlet, Queued};
use status::report::Direction;

/// This happened on the way to a link.
#[derive(Debug)]
pub enum Saw {
    /// A phase of an attempt came to its end, well or not. One that `handshake_timeout` cut off is not told.
    Phase {
        /// Which.
        phase: Phase,
        /// How long it took.
        took: Duration,
    },
    /// An attempt is over.
    Attempted {
        /// What for: `session` or `verification`.
        purpose: &'static str,
        /// `established`, or the stage at which it failed.
        result: &'static str,
    },
    /// TLS is up.
    Secured {
        /// Who opened the connection.
        side: Direction,
        /// `TLSv1.3`
        version: String,
    },
    /// The certificate that came with it was judged, for the domain that the peer should be or says it is.
    Judged {
        /// Who opened the connection.
        side: Direction,
        /// `good`, `expired` …
        verdict: &'static str,
    },
}

/// Show what was counted.
#[derive(Debug)]
pub struct Show {
    /// Where the answer goes.
    pub answer: oneshot::Sender<Counts>,
}

/// A part of the way to a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Asking the DNS.
    Resolve,
    /// TCP.
    Connect,
    /// The TLS handshake.
    Tls,
    /// From the connection, or from TLS, to a stream that takes stanzas.
    Authenticate,
}

impl Phase {
    /// Its name in the metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Authenticate => "authenticate",
        }
    }
}

/// What was counted since the start.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// The time that each phase took.
    pub phases: BTreeMap<Phase, Histogram>,
    /// Attempts by purpose and result.
    pub attempts: BTreeMap<(&'static str, &'static str), u64>,
    /// TLS connections by direction and version.
    pub secured: BTreeMap<(&'static str, String), u64>,
    /// Certificates by direction and verdict.
    pub verdicts: BTreeMap<(&'static str, &'static str), u64>,
    /// Incoming streams that are authenticated now.
    pub admitted: usize,
}

/// Times by how long they were.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    /// One more than there are bounds: the last has what is longer than all of them.
    pub buckets: [u64; PHASE_BOUNDS.len() + 1],
    /// In seconds.
    pub sum: f64,
}

impl Histogram {
    fn observe(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = PHASE_BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(PHASE_BOUNDS.len());
        self.buckets[bucket] += 1;
        self.sum += seconds;
    }
}

/// The actor that counts.
#[derive(Debug)]
pub struct Metrics {
    counts: Counts,
    admitted: Arc<AtomicUsize>,
}

impl Metrics {
    /// One that has counted nothing. The number of authenticated streams is a relaxed atomic that it shares with the
    /// [`MetricsHandle`], like the gauges of the mailboxes: it measures, and nobody decides by it.
    pub fn new(admitted: Arc<AtomicUsize>) -> Self {
        Self { counts: Counts::default(), admitted }
    }
}

impl Actor for Metrics {
    type Context = Context<Self>;
}

impl Handler<Queued<Saw>> for Metrics {
    type Result = ();

    fn handle(&mut self, saw: Queued<Saw>, _: &mut Context<Self>) {
        match saw.open() {
            Saw::Phase { phase, took } => self.counts.phases.entry(phase).or_default().observe(took),
            Saw::Attempted { purpose, result } => {
                *self.counts.attempts.entry((purpose, result)).or_default() += 1;
            }
            Saw::Secured { side, version } => {
                *self.counts.secured.entry((side.as_str(), version)).or_default() += 1;
            }
            Saw::Judged { side, verdict } => {
                *self.counts.verdicts.entry((side.as_str(), verdict)).or_default() += 1;
            }
        }
    }
}

impl Handler<Queued<Show>> for Metrics {
    type Result = ();

    fn handle(&mut self, show: Queued<Show>, _: &mut Context<Self>) {
        let counts = Counts { admitted: self.admitted.load(Relaxed), ..self.counts.clone() };
        // Whoever asked may have given up.
        let _ = show.open().answer.send(counts);
    }
}

/// How others tell what they saw; what a full mailbox does not take is not counted.
#[derive(Clone, Debug, Default)]
pub struct MetricsHandle {
    /// `None`: nobody counts.
    metrics: Option<Outlet<Saw>>,
    admitted: Arc<AtomicUsize>,
}

impl MetricsHandle {
    /// For those who tell `metrics`.
    pub fn new(metrics: Outlet<Saw>, admitted: Arc<AtomicUsize>) -> Self {
        Self { metrics: Some(metrics), admitted }
    }

    /// Tells.
    pub fn saw(&self, saw: Saw) {
        if let Some(metrics) = &self.metrics {
            let _ = metrics.tell(saw);
        }
    }

    /// An incoming stream is authenticated, for as long as the answer is held.
    #[must_use]
    pub fn admit(&self) -> Presence {
        self.admitted.fetch_add(1, Relaxed);
        Presence(Arc::clone(&self.admitted))
    }
}

/// An authenticated stream; it counts until it is dropped.
#[derive(Debug)]
pub struct Presence(Arc<AtomicUsize>);

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// In seconds: from a name server next door to `handshake_timeout`.
pub(crate) const PHASE_BOUNDS: [f64; 12] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
