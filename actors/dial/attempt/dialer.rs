//! The dialer: all that connection attempts share, and the attempts that it makes.

use std::{future::Future, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use xmpp::{Domain, DomainPair, dialback, policy::Rules};

use super::{Attempt, Goal, Limits, Lost, OpenSession, Owner, Session, VerifyKey, redirect::REDIRECTS};
use crate::{
    dial::{dial_limit::DialLimit, error::AttemptError, remote_policy::RemotePolicies, resolver::Resolver},
    observe::{fingerprints::Fingerprints, metrics::MetricsHandle, recorder::RecorderHandle},
    settings::{Dials, HostPort, Repeat},
};
use mailbox::Mailbox;
use net::{dns::MOST_TARGETS, network::Network, tls::Tls};

/// The actors and the settings that all attempts share.
#[derive(Clone, Debug)]
pub struct Dialer {
    /// The policies for remote domains.
    pub policies: RemotePolicies,
    /// Certificates and trust.
    pub tls: Tls,
    /// Opens connections.
    pub network: Network,
    /// Answers DNS lookups.
    pub resolver: Mailbox<Resolver>,
    /// Gives permits to connect. `None`: no limit.
    pub dial_limit: Option<Mailbox<DialLimit>>,
    /// Remembers certificates.
    pub fingerprints: Mailbox<Fingerprints>,
    /// Counts attempts.
    pub metrics: MetricsHandle,
    /// The limits for attempts.
    pub dials: Dials,
    /// Records the history of remote domains.
    pub recorder: RecorderHandle,
    /// The addresses of our own listeners. A domain that leads there is a loop.
    pub bound: Arc<[SocketAddr]>,
}

/// The interface of the promise to the dialer; tests have implementations of their own.
pub trait Dial: Send {
    /// Whether the policy allows federation with a remote domain.
    fn permits(&self, remote: &Domain) -> bool;

    /// The address of a remote domain in the configuration; `None`: the DNS has it.
    fn address(&self, _remote: &Domain) -> Option<HostPort> {
        None
    }

    /// Whether a domain is a local one.
    fn serves(&self, local: &Domain) -> bool;

    /// The rules with the configured local names; `None`: each local domain is one.
    fn rules(&self) -> Option<Arc<Rules>> {
        None
    }

    /// The limits for attempts.
    fn dials(&self) -> Dials;

    /// Prepares an attempt to open a session for a pair, which asks the peer how much of the `lost` stream has
    /// arrived.
    fn dial(&self, pair: &DomainPair, lost: Option<Lost>) -> PendingDial;

    /// The rule for stanzas to a remote domain that may have arrived.
    fn repeat(&self, _remote: &Domain) -> Repeat {
        Repeat::default()
    }

    /// The policies for sessions that are open already; `None` if theirs stay.
    fn policies(&self) -> Option<Adopt> {
        None
    }
}

/// Apply these policies to an open session. A session that they do not admit is closed.
#[derive(Clone, Debug)]
pub struct Adopt {
    /// The policies for remote domains.
    pub policies: RemotePolicies,
    /// Trust.
    pub tls: Tls,
}

/// An attempt that is being made.
pub(super) type Dialing = Pin<Box<dyn Future<Output = Result<Session, AttemptError>>>>;

/// An attempt that begins on the thread of its session.
pub struct PendingDial {
    /// Begins the attempt.
    pub begin: Box<dyn FnOnce(Owner) -> Dialing + Send>,
    /// The time until it begins.
    pub delay: Duration,
    /// The time without a stanza after which the session is closed.
    pub idle_timeout: Duration,
    /// The time of silence after which the connection is checked.
    pub keepalive: Duration,
    /// The time limit for one write.
    pub write_timeout: Duration,
    /// The certificate of the peer must be valid, also if dialback authenticates it.
    pub strict: bool,
    /// The time limit for the answer to a request for acknowledgement.
    pub ack_timeout: Duration,
    /// The time for which a lost stream is asked for; zero: it is not.
    pub resume_timeout: Duration,
    /// The lost stream that the attempt asks for.
    pub lost: Option<Lost>,
    /// Counts acknowledgements.
    pub metrics: MetricsHandle,
}

impl Dialer {
    /// An attempt to open a session, which logs with target `log`.
    pub fn session(&self, pair: DomainPair, log: &'static str) -> Attempt<OpenSession> {
        let limits = Limits {
            time: self.policies.remote(&pair.remote).attempt_timeout,
            connections: self.dials.per_attempt,
            lookups: MOST_TARGETS + REDIRECTS,
            allows_local_scope: true,
        };
        self.attempt(OpenSession, pair, limits, log)
    }

    /// An attempt to verify a dialback key, which logs with target `log`.
    pub fn verification(&self, request: dialback::Request, log: &'static str) -> Attempt<VerifyKey> {
        let pair = request.pair.clone();
        let limits = Limits {
            time: self.policies.remote(&pair.remote).handshake_timeout,
            connections: self.dials.per_attempt.min(VERIFICATION_CONNECTIONS),
            lookups: VERIFICATION_LOOKUPS,
            allows_local_scope: true,
        };
        self.attempt(VerifyKey { request }, pair, limits, log)
    }

    fn attempt<G: Goal>(&self, goal: G, pair: DomainPair, limits: Limits, log: &'static str) -> Attempt<G> {
        let rules = self.policies.rules();
        Attempt {
            goal,
            remote: Arc::clone(self.policies.remote(&pair.remote)),
            limits,
            bounds: *rules.bounds(),
            certificate: rules.hosted(&pair.local).is_some_and(|hosted| hosted.certificate),
            dialer: self.clone(),
            owner: None,
            lost: None,
            pair,
            log,
            observer: None,
        }
    }
}

impl Dial for Dialer {
    fn permits(&self, remote: &Domain) -> bool {
        self.policies.rules().permits(remote)
    }

    fn address(&self, remote: &Domain) -> Option<HostPort> {
        self.policies.remote(remote).address.clone()
    }

    fn serves(&self, local: &Domain) -> bool {
        self.policies.rules().hosted(local).is_some()
    }

    fn rules(&self) -> Option<Arc<Rules>> {
        Some(Arc::clone(self.policies.rules()))
    }

    fn dials(&self) -> Dials {
        self.dials
    }

    fn dial(&self, pair: &DomainPair, lost: Option<Lost>) -> PendingDial {
        let attempt = self.session(pair.clone(), "nuncio::outgoing");
        PendingDial {
            delay: Duration::ZERO,
            idle_timeout: attempt.remote.idle_timeout,
            keepalive: attempt.remote.keepalive,
            write_timeout: attempt.remote.write_timeout,
            strict: attempt.remote.policy.strict_certificates,
            ack_timeout: attempt.remote.ack_timeout,
            resume_timeout: attempt.remote.resume_timeout,
            lost: lost.clone(),
            metrics: self.metrics.clone(),
            begin: Box::new(move |owner| Box::pin(Attempt { owner: Some(owner), lost, ..attempt }.make())),
        }
    }

    fn repeat(&self, remote: &Domain) -> Repeat {
        self.policies.remote(remote).repeat
    }

    fn policies(&self) -> Option<Adopt> {
        Some(Adopt { policies: self.policies.clone(), tls: self.tls.clone() })
    }
}

/// Connections for one dialback key: two servers with an IPv6 and an IPv4 address each. Anybody can send a
/// key, and its domain can lead to a third party.
const VERIFICATION_CONNECTIONS: usize = 4;

/// Targets whose addresses are looked up for one dialback key. With the lookups of the targets themselves, a
/// key costs at most ten queries, apart from aliases.
const VERIFICATION_LOOKUPS: usize = 4;
