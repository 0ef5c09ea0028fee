//! Counts connection attempts: the time of each phase, the results, the TLS versions and the certificate verdicts. The
//! other figures of a scrape come from the monitor, the router and the promise.

mod attempts;

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

pub(crate) use self::attempts::{AttemptResult, Purpose};
use mailbox::{Outlet, Queued};
use status::report::{Direction, Verdict};

/// Count this observation.
#[derive(Debug)]
pub enum Count {
    /// A phase of an attempt ended, with or without success. A phase that `handshake_timeout` ended is not reported.
    Phase {
        /// The phase.
        phase: Phase,
        /// Its duration.
        took: Duration,
    },
    /// An attempt ended.
    Attempted {
        /// Its purpose.
        purpose: Purpose,
        /// Its result.
        result: AttemptResult,
    },
    /// A TLS handshake succeeded.
    Secured {
        /// The direction of the connection.
        direction: Direction,
        /// `TLSv1.3`
        version: String,
    },
    /// The certificate of a peer was checked against the domain that the peer claims.
    CertificateVerified {
        /// The direction of the connection.
        direction: Direction,
        /// The result of the check.
        verdict: Verdict,
    },
}

/// Show the counts.
#[derive(Debug)]
pub(crate) struct Show {
    /// Gets the counts.
    pub answer: oneshot::Sender<Counts>,
}

/// A phase of a connection attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The DNS lookups.
    Resolve,
    /// The TCP connection.
    Connect,
    /// The TLS handshake.
    Tls,
    /// From the TCP connection, or from TLS, to an authenticated stream.
    Authenticate,
}

impl Phase {
    /// The name in the metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Authenticate => "authenticate",
        }
    }
}

/// The counts since the start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// The time that each phase took.
    pub phases: BTreeMap<Phase, Histogram>,
    /// Attempts by purpose and result.
    pub attempts: BTreeMap<(Purpose, AttemptResult), u64>,
    /// TLS connections by direction and version.
    pub secured: BTreeMap<(&'static str, String), u64>,
    /// Certificates by direction and verdict.
    pub verdicts: BTreeMap<(&'static str, Verdict), u64>,
    /// Incoming streams that are authenticated now.
    pub admitted: usize,
}

/// A histogram of durations.
#[derive(Clone, Debug, Default)]
pub(crate) struct Histogram {
    /// One for each of [`PHASE_BOUNDS`], and one for longer durations.
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

/// The metrics actor.
#[derive(Debug)]
pub(crate) struct Metrics {
    counts: Counts,
    admitted: Arc<AtomicUsize>,
}

impl Metrics {
    /// An actor with all counts zero. The number of authenticated streams is a relaxed atomic that it shares with the
    /// [`MetricsHandle`], like the gauges of the mailboxes: no decision depends on it.
    pub(crate) fn new(admitted: Arc<AtomicUsize>) -> Self {
        Self { counts: Counts::default(), admitted }
    }
}

impl Actor for Metrics {
    type Context = Context<Self>;
}

impl Handler<Queued<Count>> for Metrics {
    type Result = ();

    fn handle(&mut self, count: Queued<Count>, _: &mut Context<Self>) {
        match count.into_message() {
            Count::Phase { phase, took } => self.counts.phases.entry(phase).or_default().observe(took),
            Count::Attempted { purpose, result } => {
                *self.counts.attempts.entry((purpose, result)).or_default() += 1;
            }
            Count::Secured { direction, version } => {
                *self.counts.secured.entry((direction.as_str(), version)).or_default() += 1;
            }
            Count::CertificateVerified { direction, verdict } => {
                *self.counts.verdicts.entry((direction.as_str(), verdict)).or_default() += 1;
            }
        }
    }
}

impl Handler<Queued<Show>> for Metrics {
    type Result = ();

    fn handle(&mut self, show: Queued<Show>, _: &mut Context<Self>) {
        let counts = Counts { admitted: self.admitted.load(Relaxed), ..self.counts.clone() };
        // Whoever asked may have given up.
        let _ = show.into_message().answer.send(counts);
    }
}

/// A handle to the metrics actor. A full mailbox loses observations.
#[derive(Clone, Debug, Default)]
pub struct MetricsHandle {
    /// `None`: nothing is counted.
    metrics: Option<Outlet<Count>>,
    admitted: Arc<AtomicUsize>,
}

impl MetricsHandle {
    /// A handle to `metrics`.
    pub fn new(metrics: Outlet<Count>, admitted: Arc<AtomicUsize>) -> Self {
        Self { metrics: Some(metrics), admitted }
    }

    /// Counts an observation.
    pub fn count(&self, observation: Count) {
        if let Some(metrics) = &self.metrics {
            let _ = metrics.tell(observation);
        }
    }

    /// Counts an authenticated incoming stream for as long as the returned value lives.
    #[must_use]
    pub fn admit(&self) -> Presence {
        self.admitted.fetch_add(1, Relaxed);
        Presence(Arc::clone(&self.admitted))
    }
}

/// An authenticated stream. It is counted until this is dropped.
#[derive(Debug)]
pub struct Presence(Arc<AtomicUsize>);

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// Upper bounds of the histogram, in seconds: from a name server on the same network to `handshake_timeout`.
pub(crate) const PHASE_BOUNDS: [f64; 12] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
