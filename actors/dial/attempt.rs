//! A connection attempt: from the name of a remote domain to an authenticated stream, or to an answer about a
//! dialback key. The steps are DNS, TCP, TLS, stream and authentication.
//!
//! An attempt [walks](Walk) over the targets of the domain and the addresses of each target until one
//! succeeds. It goes on to the next one after every failure, also of TLS, the stream or authentication,
//! within its [limits](Limits). RFC 6120 section 3.2.1 requires this for TCP only, but a server that stops
//! there returns stanzas that the next target would have accepted.
//!
//! A target that makes no progress does not hold up the attempt: after 3 s the next one is tried beside it, and
//! the first that authenticates wins.
//!
//! Architecture Invariant: an attempt is a future and not an actor, and nothing outlives it. Dropping it ends
//! it.

mod budget;
mod dialer;
mod fallback;
mod goal;
mod negotiation;
mod outrun;
mod owner;
mod race;
mod redirect;
mod resumption;
mod session;
mod targets;
mod tcp;
mod visit;
mod walk;

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;
use xmpp::{
    DomainPair,
    policy::{self, Bounds},
    stream::Secured,
};

pub(crate) use self::{
    dialer::Adopt,
    negotiation::{secured, warn_unsolicited},
    owner::{Owner, Resumed, Waiting},
    session::StaticRoute,
};
pub use self::{
    dialer::{Dial, Dialer, PendingDial},
    goal::{OpenSession, VerifyKey},
    negotiation::Goal,
    redirect::redirect,
    resumption::Lost,
    session::Session,
    visit::Strategy,
    walk::{Visit, Walk},
};
use crate::{
    dial::{
        error::AttemptError,
        observer::{Observer, Step},
        resolver,
    },
    observe::{
        fingerprints,
        metrics::{AttemptResult, Count, MetricsHandle, Phase, Purpose},
    },
    settings::Remote,
};
use net::{address, dns::Target, happy_eyeballs};
use status::{event::Event, report::Direction};

/// A connection attempt with a goal: [`OpenSession`] or [`VerifyKey`].
#[derive(Clone, Debug)]
pub struct Attempt<G> {
    /// The goal of the attempt.
    pub goal: G,
    /// Our domain and the remote one.
    pub pair: DomainPair,
    /// The policy for the remote domain.
    pub remote: Arc<Remote>,
    /// The limits of the attempt.
    pub limits: Limits,
    /// The limits of the elements that we read.
    pub bounds: Bounds,
    /// Whether we have a certificate for the local domain.
    pub certificate: bool,
    /// The actors and the settings that all attempts share.
    pub dialer: Dialer,
    /// The owner, which must know while the attempt waits for a permit. `None` if nothing depends on it.
    pub owner: Option<Owner>,
    /// The lost stream to ask for. Its address is tried first.
    pub lost: Option<Lost>,
    /// The target of the log lines.
    pub log: &'static str,
    /// Observes each step. A node has no observer.
    pub observer: Option<Arc<dyn Observer>>,
}

/// The limits of one attempt. They bound its cost, however many targets and addresses a domain publishes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The time limit, counted from the answer of the DNS with the targets. Waiting for a permit does not
    /// count.
    pub time: Duration,
    /// The limit of connections.
    pub connections: usize,
    /// The limit of targets whose addresses are looked up.
    pub lookups: usize,
    /// Whether loopback and link-local addresses are allowed.
    pub allows_local_scope: bool,
}

impl<G: Goal> Attempt<G> {
    /// Connects to the remote domain.
    ///
    /// # Errors
    /// The DNS gave no target, or no target could be used. Of several failures this is the one of the
    /// connection that got furthest.
    pub async fn make(self) -> Result<G::Outcome, AttemptError> {
        let (metrics, purpose) = (self.dialer.metrics.clone(), G::PURPOSE);
        let mut count = ResultCount { metrics, purpose, result: AttemptResult::Abandoned };
        let made = self.first_success().await;
        count.result = made.as_ref().err().map_or(AttemptResult::Established, AttemptError::result);
        made
    }

    async fn first_success(&self) -> Result<G::Outcome, AttemptError> {
        let mut walk = Walk::begin(self, Strategy::FirstSuccess).await?;
        while let Some(visit) = walk.next().await {
            if let Ok(outcome) = visit.outcome {
                return Ok(outcome);
            }
        }
        Err(walk.into_error())
    }

    /// Looks up the targets of the remote domain, in the order in which to try them.
    async fn targets(&self) -> Result<Vec<Target>, AttemptError> {
        if let Some(address) = &self.remote.address {
            return Ok(vec![Target {
                host: address.host.clone(),
                port: address.port,
                direct_tls: self.remote.direct_tls,
                priority: 0,
                weight: 0,
                from_srv: false,
            }]);
        }
        let (answer, answered) = oneshot::channel();
        let request = resolver::Resolve { domain: self.pair.remote.clone(), purpose: G::PURPOSE, answer };
        if self.dialer.resolver.tell(request).is_err() {
            return Err(AttemptError::Overloaded);
        }
        let mut targets = answered.await.map_err(|_| AttemptError::Crashed)?.map_err(AttemptError::Dns)?;
        if self.remote.policy.tls == policy::Tls::Disabled {
            targets.retain(|target| !target.direct_tls);
            if targets.is_empty() {
                return Err(AttemptError::TlsForbidden);
            }
        }
        Ok(targets)
    }

    /// Looks up the addresses of a target, without duplicates.
    ///
    /// # Errors
    /// The lookup failed, an address is that of our own listener, or no address may be connected to.
    async fn addresses(&self, target: &Target) -> Result<Vec<SocketAddr>, AttemptError> {
        let (answer, answered) = oneshot::channel();
        let request = resolver::Locate { host: target.host.clone(), purpose: G::PURPOSE, answer };
        if self.dialer.resolver.tell(request).is_err() {
            return Err(AttemptError::Overloaded);
        }
        let found = answered.await.map_err(|_| AttemptError::Crashed)?.map_err(AttemptError::Dns)?;
        let mut addresses: Vec<SocketAddr> = Vec::new();
        for ip in found {
            // An IPv4 address may be written as an IPv6 one.
            let address = SocketAddr::new(ip.to_canonical(), target.port);
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        if let Some(own) = addresses.iter().find(|own| address::is_own(**own, &self.dialer.bound)) {
            return Err(AttemptError::Loop(*own));
        }
        tcp::allowed(addresses, self.limits.allows_local_scope)
            .map_err(|first| AttemptError::Connect(vec![(first, happy_eyeballs::ConnectError::LocalScope)]))
    }

    /// The log level. Other servers decide how often we verify keys, so `info` has lines of sessions only.
    fn level(&self) -> log::Level {
        match G::PURPOSE {
            Purpose::Session => log::Level::Info,
            Purpose::Verification => log::Level::Debug,
        }
    }

    fn count(&self, phase: Phase, began: Instant) {
        self.dialer.metrics.count(Count::Phase { phase, took: clock::since(began) });
    }

    fn observe<'a>(&self, step: impl FnOnce() -> Step<'a>) {
        if let Some(observer) = &self.observer {
            observer.observe(step());
        }
    }

    /// Records a step towards a session in the history of the remote domain. Verifications, which other
    /// servers cause, are not recorded here.
    fn record(&self, event: Event) {
        if G::PURPOSE == Purpose::Session {
            self.dialer.recorder.note(&self.pair.remote, event.with(&self.pair.local));
        }
    }

    /// Has the certificate of the authenticated remote domain remembered.
    fn remember_certificate(&self, transport: Option<&Secured>) {
        if let Some(certificate) = transport.and_then(|secured| secured.certificate.as_ref()) {
            let (remote, fingerprint) = (self.pair.remote.clone(), certificate.fingerprint.clone());
            let record = fingerprints::Record { remote, direction: Direction::Outgoing, fingerprint };
            // Without the record a change of the certificate is logged later, or not at all.
            let _ = self.dialer.fingerprints.tell(record);
        }
    }
}

/// Counts the result of an attempt when it is dropped, so that an attempt that is dropped early counts too.
struct ResultCount {
    metrics: MetricsHandle,
    purpose: Purpose,
    result: AttemptResult,
}

impl Drop for ResultCount {
    fn drop(&mut self) {
        self.metrics.count(Count::Attempted { purpose: self.purpose, result: self.result });
    }
}
