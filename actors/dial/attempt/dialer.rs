//! What attempts are made with, and how the promise has them made.

use std::{cell::Cell, future::Future, net::SocketAddr, pin::Pin, time::Duration};

use xmpp::{Domain, DomainPair};

use super::{Arrival, Attempt, Purpose, redirect::REDIRECTS};
use crate::{
    dial::{dial_limit::DialLimit, failure::Failure, remote_policy::Terms, resolver::Resolver},
    observe::{fingerprints::Fingerprints, metrics::MetricsHandle, recorder::RecorderHandle},
    settings::Dials,
};
use mailbox::Mailbox;
use net::{dns::MOST_TARGETS, tls::Tls};

/// What every attempt is made with.
#[derive(Clone, Debug)]
pub struct Dialer {
    /// The terms for remote domains.
    pub terms: Terms,
    /// Certificates and trust.
    pub tls: Tls,
    /// Who asks the DNS.
    pub resolver: Mailbox<Resolver>,
    /// Who lets us connect; `None`: nobody has to.
    pub gate: Option<Mailbox<DialLimit>>,
    /// Who remembers certificates.
    pub witness: Mailbox<Fingerprints>,
    /// Who counts.
    pub tally: MetricsHandle,
    /// How much may be dialled.
    pub dials: Dials,
    /// What is remembered of remote domains.
    pub notes: RecorderHandle,
    /// Our own listeners.
    pub bound: Vec<SocketAddr>,
}

/// How the promise has attempts made; tests have their own.
pub trait Dial: Send {
    /// Whether the policy lets us federate with a remote domain at all.
    fn permits(&self, remote: &Domain) -> bool;

    /// Whether a local domain is one of ours.
    fn serves(&self, local: &Domain) -> bool;

    /// How many attempts may be under way at once.
    fn dials(&self) -> Dials;

    /// Prepares an attempt to make a session for a pair.
    fn dial(&self, pair: &DomainPair) -> PendingDial;

    /// What sessions that were begun before are to go on under; `None`: as they began.
    fn terms(&self) -> Option<Adopt> {
        None
    }
}

/// Go on under these terms, or end where they forbid it.
#[derive(Clone, Debug)]
pub struct Adopt {
    /// For remote domains.
    pub terms: Terms,
    /// Trust.
    pub tls: Tls,
}

/// An attempt on its way.
pub type Making = Pin<Box<dyn Future<Output = Result<Arrival, Failure>>>>;

/// An attempt that is to be made where its session will live.
pub struct PendingDial {
    /// Begins it.
    pub begin: Box<dyn FnOnce() -> Making + Send>,
    /// When a session without a stanza is closed.
    pub idle_timeout: Duration,
    /// After how much silence the link is checked.
    pub keepalive: Duration,
    /// How long one write may take.
    pub write_timeout: Duration,
    /// The peer's certificate has to be good, whatever authenticates.
    pub strict: bool,
}

impl Dialer {
    /// An attempt for a pair, whose lines are logged under `log`.
    pub fn attempt(&self, pair: DomainPair, purpose: Purpose, log: &'static str) -> Attempt {
        let rules = self.terms.rules();
        let remote = self.terms.remote(&pair.remote).clone();
        let per_attempt = self.dials.per_attempt;
        let (within, connections, look_ups) = match &purpose {
            Purpose::Session => (remote.attempt_timeout, per_attempt, MOST_TARGETS + REDIRECTS),
            Purpose::Verify(_) => {
                let connections = per_attempt.min(VERIFICATION_CONNECTIONS);
                (remote.handshake_timeout, connections, VERIFICATION_LOOK_UPS)
            }
        };
        Attempt {
            within,
            connections,
            look_ups,
            near: true,
            bounds: *rules.bounds(),
            remote,
            certificate: rules.hosted(&pair.local).is_some_and(|hosted| hosted.certificate),
            tls: self.tls.clone(),
            resolver: self.resolver.clone(),
            gate: self.gate.clone(),
            witness: self.witness.clone(),
            tally: self.tally.clone(),
            notes: self.notes.clone(),
            bound: self.bound.clone(),
            met_tls: Cell::new(false),
            dialback_left: Cell::new(false),
            without_external: Cell::new(false),
            pair,
            purpose,
            log,
            watch: None,
        }
    }
}

impl Dial for Dialer {
    fn permits(&self, remote: &Domain) -> bool {
        self.terms.rules().permits(remote)
    }

    fn serves(&self, local: &Domain) -> bool {
        self.terms.rules().hosted(local).is_some()
    }

    fn dials(&self) -> Dials {
        self.dials
    }

    fn dial(&self, pair: &DomainPair) -> PendingDial {
        let attempt = self.attempt(pair.clone(), Purpose::Session, "nuncio::outgoing");
        PendingDial {
            idle_timeout: attempt.remote.idle_timeout,
            keepalive: attempt.remote.keepalive,
            write_timeout: attempt.remote.write_timeout,
            strict: attempt.remote.policy.strict_certificates,
            begin: Box::new(|| Box::pin(attempt.make())),
        }
    }

    fn terms(&self) -> Option<Adopt> {
        Some(Adopt { terms: self.terms.clone(), tls: self.tls.clone() })
    }
}

/// Connections that one dialback key may cause: two servers with an IPv6 and an IPv4 address each. Anybody can show a key,
/// and its domain can lead to a third party.
const VERIFICATION_CONNECTIONS: usize = 4;

/// Targets whose addresses are looked up for one dialback key. With those for the targets themselves that makes ten
/// questions at most, aliases aside.
const VERIFICATION_LOOK_UPS: usize = 4;
