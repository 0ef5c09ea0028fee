//! Counts connection attempts: the time of each phase, the results, the TLS versions and the certificate verdicts; and
//! resumptions. The other figures of a scrape come from the monitor, the router and the promise.

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
use super::ack_times::{AckHistogram, AckTimes};
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
        /// `TLS_AES_256_GCM_SHA384`
        cipher: String,
    },
    /// A TLS handshake failed.
    TlsFailed {
        /// The direction of the connection.
        direction: Direction,
        /// The kind of the failure.
        kind: &'static str,
    },
    /// The certificate of a peer was checked against the domain that the peer claims.
    CertificateVerified {
        /// The direction of the connection.
        direction: Direction,
        /// The result of the check.
        verdict: Verdict,
    },
    /// A request to resume a lost stream was answered (XEP-0198 section 5).
    Resumption {
        /// The part of this node in the lost stream.
        role: Role,
        /// The answer.
        result: Resumption,
    },
}

/// The part of this node in an acknowledged stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// It sends the stanzas, and asks to resume the stream.
    Sender,
    /// It receives and acknowledges the stanzas, and answers the request.
    Receiver,
}

/// The answer to a request to resume a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resumption {
    /// The stream goes on: `<resumed h='…'/>`.
    Resumed,
    /// The stream does not go on, and the count of its stanzas is known: `<failed h='…'/>`.
    Counted,
    /// The stream is not known: `<failed/>` without a count.
    Unknown,
    /// The request was not permitted, or there was no usable answer.
    Refused,
}

impl Role {
    /// The name in the metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sender => "sender",
            Self::Receiver => "receiver",
        }
    }
}

impl Resumption {
    /// The name in the metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resumed => "resumed",
            Self::Counted => "counted",
            Self::Unknown => "unknown",
            Self::Refused => "refused",
        }
    }
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
    /// The same by direction and cipher.
    pub ciphers: BTreeMap<(&'static str, String), u64>,
    /// TLS handshakes that failed, by direction and kind of failure.
    pub tls_failed: BTreeMap<(&'static str, &'static str), u64>,
    /// Certificates by direction and verdict.
    pub verdicts: BTreeMap<(&'static str, Verdict), u64>,
    /// Requests to resume a stream.
    pub resumptions: BTreeMap<(Role, Resumption), u64>,
    /// The times from a request for acknowledgement to its answer.
    pub acks: AckHistogram,
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
    shared: Arc<SharedFigures>,
}

/// The figures that the streams count themselves. They are relaxed atomics that the actor shares with each
/// [`MetricsHandle`], like the gauges of the mailboxes: no decision depends on them.
#[derive(Debug, Default)]
pub struct SharedFigures {
    admitted: AtomicUsize,
    acks: AckTimes,
}

impl Metrics {
    /// An actor with all counts zero.
    pub(crate) fn new(shared: Arc<SharedFigures>) -> Self {
        Self { counts: Counts::default(), shared }
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
            Count::Secured { direction, version, cipher } => {
                *self.counts.secured.entry((direction.as_str(), version)).or_default() += 1;
                *self.counts.ciphers.entry((direction.as_str(), cipher)).or_default() += 1;
            }
            Count::TlsFailed { direction, kind } => {
                *self.counts.tls_failed.entry((direction.as_str(), kind)).or_default() += 1;
            }
            Count::CertificateVerified { direction, verdict } => {
                *self.counts.verdicts.entry((direction.as_str(), verdict)).or_default() += 1;
            }
            Count::Resumption { role, result } => {
                *self.counts.resumptions.entry((role, result)).or_default() += 1;
            }
        }
    }
}

impl Handler<Queued<Show>> for Metrics {
    type Result = ();

    fn handle(&mut self, show: Queued<Show>, _: &mut Context<Self>) {
        let SharedFigures { admitted, acks } = &*self.shared;
        let counts = Counts { admitted: admitted.load(Relaxed), acks: acks.read(), ..self.counts.clone() };
        // Whoever asked may have given up.
        let _ = show.into_message().answer.send(counts);
    }
}

/// A handle to the metrics actor. A full mailbox loses observations.
#[derive(Clone, Debug, Default)]
pub struct MetricsHandle {
    /// `None`: nothing is counted.
    metrics: Option<Outlet<Count>>,
    shared: Arc<SharedFigures>,
}

impl MetricsHandle {
    /// A handle to `metrics`, which has the same shared figures.
    pub fn new(metrics: Outlet<Count>, shared: Arc<SharedFigures>) -> Self {
        Self { metrics: Some(metrics), shared }
    }

    /// Counts an observation.
    pub fn count(&self, observation: Count) {
        if let Some(metrics) = &self.metrics {
            let _ = metrics.tell(observation);
        }
    }

    /// Counts a TLS handshake that succeeded.
    pub fn count_secured(&self, direction: Direction, version: &str, cipher: &str) {
        let (version, cipher) = (version.to_owned(), cipher.to_owned());
        self.count(Count::Secured { direction, version, cipher });
    }

    /// Counts an authenticated incoming stream for as long as the returned value lives.
    #[must_use]
    pub fn admit(&self) -> Presence {
        self.shared.admitted.fetch_add(1, Relaxed);
        Presence(Arc::clone(&self.shared))
    }

    /// Counts an acknowledgement that came `took` after it was requested.
    pub fn acknowledged(&self, took: Duration) {
        self.shared.acks.observe(took);
    }
}

/// An authenticated stream. It is counted until this is dropped.
#[derive(Debug)]
pub struct Presence(Arc<SharedFigures>);

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.admitted.fetch_sub(1, Relaxed);
    }
}

/// Upper bounds of the histogram, in seconds: from a name server on the same network to `handshake_timeout`.
pub(crate) const PHASE_BOUNDS: [f64; 12] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
