//! The way to a remote domain, from its name to a stream that stanzas may use: DNS, TCP, TLS, stream, authentication.
//!
//! One future that reads as the story of a connection. Every target and every address is tried in turn, also when TLS,
//! the stream or authentication failed on the one before (RFC 6120 3.2.1 leaves off at TCP; peers that go no further
//! bounce stanzas that the next target would have taken), as far as its budget of time and
//! connections goes.
//!
//! Architecture Invariant: no actor, no state that outlives the attempt. Whoever makes an attempt drops it to end it.

mod budget;
mod dialer;
mod fallback;
mod negotiation;
mod purpose;
mod redirect;
mod targets;
mod tcp;

use std::{
    cell::Cell,
    collections::VecDeque,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use tokio::sync::oneshot;
use xmpp::{
    DomainPair,
    dialback::Answer,
    policy::{self, Bounds, Policy},
    stream::{Secured, initiating::Open},
};

pub(crate) use self::negotiation::warn_unasked;
use self::{budget::Budget, targets::list};
pub use self::{
    dialer::{Adopt, Dial, Dialer, Making, PendingDial},
    negotiation::secured,
    purpose::Purpose,
    redirect::{REDIRECTS, elsewhere},
};
use crate::{
    dial::{
        dial_limit::DialLimit,
        failure::Failure,
        observer::{Seen, Watch},
        resolver::{self, Lane, Resolver},
    },
    flow::trace::Trace,
    observe::{
        fingerprints::{self, Fingerprints},
        metrics::{Count, MetricsHandle, Phase},
        recorder::RecorderHandle,
    },
    settings::{HostPort, Remote},
};
use mailbox::Mailbox;
use net::{
    dns::Target,
    happy_eyeballs,
    stream::Stream,
    tls::{self, Tls},
};
use status::{
    display::millis,
    event::{Event, What},
    report::Direction,
};

/// An attempt to be made.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Who wants to speak to whom.
    pub pair: DomainPair,
    /// What for.
    pub purpose: Purpose,
    /// The terms for the remote domain.
    pub remote: Remote,
    /// How long it may take, from the targets on.
    pub within: Duration,
    /// How many connections it may make.
    pub connections: usize,
    /// How many targets it may look up the addresses of.
    pub look_ups: usize,
    /// Whether it may connect to addresses that have a meaning only on this machine or its link.
    pub near: bool,
    /// What the peer may make us read.
    pub bounds: Bounds,
    /// Whether we can show a certificate for the local domain.
    pub certificate: bool,
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
    /// What is remembered of the remote domain.
    pub notes: RecorderHandle,
    /// Our own listeners: a domain that leads there is a loop.
    pub bound: Vec<SocketAddr>,
    /// Whether TLS with the remote has been made. From then on nothing less will do: who may choose the target that
    /// comes next must not choose clear text with it.
    pub met_tls: Cell<bool>,
    /// The last connection failed because EXTERNAL was refused, and dialback is left to try on another one.
    pub dialback_left: Cell<bool>,
    /// The connection that is made now is for dialback: EXTERNAL was refused on the one before.
    pub without_external: Cell<bool>,
    /// Which log lines these are.
    pub log: &'static str,
    /// Who looks on.
    pub watch: Option<Arc<dyn Watch>>,
}

/// Where an attempt arrived.
#[derive(Debug)]
pub enum Arrival {
    /// A stream that takes stanzas.
    Session(Box<Session>),
    /// The answer to a question about a dialback key.
    Verified(Answer),
}

/// An authenticated stream, between two turns of its machine.
pub struct Session {
    /// The socket.
    pub stream: Stream,
    /// The protocol.
    pub machine: Box<Open>,
    /// How far the trace of its bytes is.
    pub trace: Trace,
    /// The peer.
    pub address: SocketAddr,
    /// When its certificate expires, if it showed one.
    pub expires: Option<SystemTime>,
    /// What it showed.
    pub evidence: Option<tls::Evidence>,
    /// Where the configuration sent the attempt.
    pub route: Option<StaticRoute>,
}

/// A way to a remote domain that the configuration prescribes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticRoute {
    /// The address.
    pub address: HostPort,
    /// It speaks TLS from the first byte.
    pub direct_tls: bool,
}

impl StaticRoute {
    /// The way that the terms for a remote domain prescribe; `None`: the DNS says where it is.
    pub fn of(remote: &Remote) -> Option<Self> {
        Some(Self { address: remote.address.clone()?, direct_tls: remote.direct_tls })
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Attempt {
    /// Goes all the way, or says why not.
    pub async fn make(self) -> Result<Arrival, Failure> {
        let purpose = match self.purpose {
            Purpose::Session => "session",
            Purpose::Verify(_) => "verification",
        };
        let mut counted = Counted { tally: self.tally.clone(), purpose, result: "abandoned" };
        let made = self.go().await;
        counted.result = made.as_ref().err().map_or("established", Failure::stage);
        made
    }

    async fn go(self) -> Result<Arrival, Failure> {
        let began = clock::now();
        let targets = self.targets().await;
        self.count(Phase::Resolve, began);
        let targets = targets?;
        log::log!(
            target: self.log, self.level(), pair:% = self.pair, targets:% = list(&targets), took:% = millis(began);
            "resolved"
        );
        self.note(Event::now(What::Resolved).saying(list(&targets)));
        let mut failure = None;
        let (mut redirects, several) = (0, targets.len() > 1);
        let mut targets = VecDeque::from(targets);
        let budget = Budget::new(self.connections, self.look_ups, self.within);
        let mut tried = Vec::new();
        while let Some(target) = targets.pop_front() {
            if budget.is_spent() || !budget.look_up() {
                log::log!(target: self.log, self.level(), pair:% = self.pair, untried = targets.len() + 1; "given up");
                break;
            }
            let share = budget.share(targets.is_empty());
            let outcome = self.try_target(&target, &share, &mut tried).await;
            budget.settle(&share);
            let next = match outcome {
                Ok(arrival) => return Ok(arrival),
                Err(Some(next)) => next,
                Err(None) => {
                    log::debug!(target: self.log, pair:% = self.pair, at:% = target; "its addresses were tried before");
                    continue;
                }
            };
            match elsewhere(&next, &target).filter(|_| redirects < REDIRECTS) {
                // RFC 6120 4.9.3.19. Only the address changes: what the pair and its terms demand stays.
                Some(other) => {
                    redirects += 1;
                    // Where a server sends us is tried, even if that is where we come from: it may say more by then.
                    tried.clear();
                    log::log!(target: self.log, self.level(), pair:% = self.pair, at:% = target, to:% = other; "redirected");
                    targets.push_front(other);
                }
                None => {
                    if several || redirects > 0 {
                        log::log!(
                            target: self.log, self.level(), pair:% = self.pair, at:% = target,
                            reason:% = next.sentence(&self.pair.remote);
                            "target failed"
                        );
                        let text = format!("{target}: {}", next.sentence(&self.pair.remote));
                        self.note(Event::now(What::TargetFailed).saying(text));
                    }
                    // A target that is this node costs no connection, so a stranger could have us look up one after the
                    // other. A session goes on to the next: that costs us what we want to spend.
                    let ends = matches!(next, Failure::Loop(_)) && self.purpose != Purpose::Session;
                    failure = self.further(failure, next);
                    if ends {
                        break;
                    }
                }
            }
        }
        Err(failure.unwrap_or(Failure::Late))
    }

    /// Who asks us to verify keys decides how often that is, so it is not told at `info`.
    fn level(&self) -> log::Level {
        match self.purpose {
            Purpose::Session => log::Level::Info,
            Purpose::Verify(_) => log::Level::Debug,
        }
    }

    fn count(&self, phase: Phase, began: Instant) {
        self.tally.count(Count::Phase { phase, took: clock::now().saturating_duration_since(began) });
    }

    fn show<'a>(&self, seen: impl FnOnce() -> Seen<'a>) {
        if let Some(watch) = &self.watch {
            watch.see(seen());
        }
    }

    /// RecorderHandle a step on the way to a session. That others have us verify keys is no such way.
    fn note(&self, event: Event) {
        if self.purpose == Purpose::Session {
            self.notes.note(&self.pair.remote, event.with(&self.pair.local));
        }
    }

    /// Has the remote's certificate remembered.
    fn witness(&self, transport: Option<&Secured>) {
        if let Some(certificate) = transport.and_then(|secured| secured.certificate.as_ref()) {
            let (remote, fingerprint) = (self.pair.remote.clone(), certificate.fingerprint.clone());
            // A witness who has too much to do remembers the last one.
            let _ = self.witness.tell(fingerprints::Record {
                remote,
                direction: Direction::Outgoing,
                fingerprint,
            });
        }
    }

    /// Finds where the remote offers its service, in the order in which to try.
    ///
    /// # Errors
    ///
    /// It offers none, or the DNS does not say.
    pub async fn targets(&self) -> Result<Vec<Target>, Failure> {
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
        let (domain, lane) = (self.pair.remote.clone(), Lane::from(&self.purpose));
        if self.resolver.tell(resolver::Resolve { domain, lane, answer }).is_err() {
            return Err(Failure::Overloaded);
        }
        let mut targets = answered.await.map_err(|_| Failure::Crashed)?.map_err(Failure::Dns)?;
        if self.remote.policy.tls == policy::Tls::Disabled {
            targets.retain(|target| !target.direct_tls);
            if targets.is_empty() {
                return Err(Failure::TlsForbidden);
            }
        }
        Ok(targets)
    }

    /// Finds the addresses of a target.
    ///
    /// # Errors
    ///
    /// It has none, or the DNS does not say.
    pub async fn locate(&self, target: &Target) -> Result<Vec<SocketAddr>, Failure> {
        let (answer, answered) = oneshot::channel();
        let (host, lane) = (target.host.clone(), Lane::from(&self.purpose));
        if self.resolver.tell(resolver::Locate { host, lane, answer }).is_err() {
            return Err(Failure::Overloaded);
        }
        let addresses = answered.await.map_err(|_| Failure::Crashed)?.map_err(Failure::Dns)?;
        let mut places: Vec<SocketAddr> = Vec::new();
        for ip in addresses {
            // An IPv4 address may be written as an IPv6 one.
            let place = SocketAddr::new(ip.to_canonical(), target.port);
            if !places.contains(&place) {
                places.push(place);
            }
        }
        Ok(places)
    }

    /// Tries the addresses of a target, without those that other names have led to before. `None`: there is no other.
    async fn try_target(
        &self,
        target: &Target,
        share: &Budget,
        tried: &mut Vec<Tried>,
    ) -> Result<Arrival, Option<Failure>> {
        let mut left = self.locate(target).await?;
        if let Some(own) = left.iter().find(|address| happy_eyeballs::is_own(**address, &self.bound)) {
            return Err(Some(Failure::Loop(*own)));
        }
        left = tcp::within_reach(left, self.near)
            .map_err(|near| Failure::Connect(vec![(near, happy_eyeballs::Failure::Near)]))?;
        let new = |place: &SocketAddr, tried: &[Tried]| !tried.contains(&(*place, target.direct_tls));
        left.retain(|place| new(place, tried));
        if left.is_empty() {
            return Err(None);
        }
        let mut failure = None;
        while !left.is_empty() && !share.is_spent() {
            let began = clock::now();
            let (way, failed) = self.find_way(&left, share).await?;
            tried.extend(failed.iter().map(|(place, _)| (*place, target.direct_tls)));
            let Some(way) = way else {
                let next = if failed.is_empty() { Failure::Late } else { Failure::Connect(failed) };
                return Err(self.further(failure, next));
            };
            let Ok(address) = way.socket.peer_addr() else {
                return Err(Some(Failure::Crashed));
            };
            tried.push((address, target.direct_tls));
            log::log!(
                target: self.log, self.level(), pair:% = self.pair, address:% = address, host = target.host.as_str(),
                direct_tls = target.direct_tls, took:% = millis(began);
                "connected"
            );
            self.note(Event::now(What::Connected).at(address).saying(target.host.as_str()));
            let within = self.remote.handshake_timeout.min(share.time_left());
            let outcome = match self.negotiate_within(within, way.socket, address, target.direct_tls).await {
                // The pass is for one connection at a time: the first one has ended.
                Err(refusal) if self.dialback_left.take() && !share.is_spent() => {
                    self.try_dialback(address, target, refusal, share).await
                }
                Err(next) => Err(self.judged(next)),
                arrived => arrived,
            };
            match outcome {
                Ok(arrival) => {
                    let succeeded = matches!(arrival, Arrival::Session(_) | Arrival::Verified(Answer::Valid));
                    if let Some(pass) = way.pass.filter(|_| succeeded) {
                        pass.succeed();
                    }
                    return Ok(arrival);
                }
                Err(next) => failure = self.further(failure, next),
            }
            left.retain(|place| new(place, tried));
        }
        Err(Some(failure.unwrap_or(Failure::Late)))
    }

    /// The terms for the stream, on which the remote cannot go back on TLS.
    fn policy(&self) -> Policy {
        let policy = self.remote.policy.clone();
        if self.met_tls.get() { Policy { tls: policy::Tls::Required, ..policy } } else { policy }
    }

    /// Tells a refusal by somebody who can know who we are from one at the door, which is most often about a rate.
    fn judged(&self, failure: Failure) -> Failure {
        match self.met_tls.get() && failure.is_refusal_by_policy() {
            true => Failure::Refused { failure: Box::new(failure), again: false },
            false => failure,
        }
    }

    /// Keeps the failure that got further; of two that got equally far, the later. That TLS is missing elsewhere is
    /// not what went wrong once it has been made.
    fn further(&self, old: Option<Failure>, new: Failure) -> Option<Failure> {
        match old {
            Some(old) if old.progress() > new.progress() || self.met_tls.get() && new.is_without_tls() => {
                Some(old)
            }
            _ => Some(new),
        }
    }
}

/// A place that was connected to, and whether by direct TLS.
type Tried = (SocketAddr, bool);

/// Tells the metrics how an attempt ended, also when whoever made it has dropped it.
struct Counted {
    tally: MetricsHandle,
    purpose: &'static str,
    result: &'static str,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.tally.count(Count::Attempted { purpose: self.purpose, result: self.result });
    }
}
