//! The way to a remote domain, from its name to a stream that stanzas may use: DNS, TCP, TLS, stream, authentication.
//!
//! One future that reads as the story of a connection. Every target and every address is tried in turn, also when TLS,
//! the stream or authentication failed on the one before (RFC 6120 3.2.1 leaves off at TCP; peers that go no further
//! bounce stanzas that the next target would have taken).
//!
//! Architecture Invariant: no actor, no state that outlives the attempt. Whoever makes an attempt drops it to end it.

use std::{
    collections::VecDeque,
    future::Future,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
};
use xmpp::{
    Domain, DomainPair,
    dialback::Answer,
    policy::{Mechanism, Policy},
    stream::{
        Initiating, Secured,
        initiating::{Cause, Established, Output, Plan, Purpose},
    },
};

use crate::{
    connect,
    dns::Target,
    failure::Failure,
    gate::{self, Gate},
    link::Stream,
    mailbox::Mailbox,
    metrics::{Phase, Saw, Tally},
    recorder::{Event, Notes, What},
    resolver::{self, Resolver},
    settings::Remote,
    terms::Terms,
    tls::{self, Tls},
    trace::redact,
    watch::{Seen, Watch},
    witness::{self, Side, Witness},
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
    /// Whether we can show a certificate for the local domain.
    pub certificate: bool,
    /// Certificates and trust.
    pub tls: Tls,
    /// Who asks the DNS.
    pub resolver: Mailbox<Resolver>,
    /// Who lets us connect; `None`: nobody has to.
    pub gate: Option<Mailbox<Gate>>,
    /// Who remembers certificates.
    pub witness: Mailbox<Witness>,
    /// Who counts.
    pub tally: Tally,
    /// What is remembered of the remote domain.
    pub notes: Notes,
    /// Our own listeners: a domain that leads there is a loop.
    pub bound: Vec<SocketAddr>,
    /// Which log lines these are.
    pub log: &'static str,
    /// Who looks on.
    pub watch: Option<Arc<dyn Watch>>,
}

/// What every attempt is made with.
#[derive(Clone, Debug)]
pub struct Means {
    /// The terms for remote domains.
    pub terms: Terms,
    /// Certificates and trust.
    pub tls: Tls,
    /// Who asks the DNS.
    pub resolver: Mailbox<Resolver>,
    /// Who lets us connect; `None`: nobody has to.
    pub gate: Option<Mailbox<Gate>>,
    /// Who remembers certificates.
    pub witness: Mailbox<Witness>,
    /// Who counts.
    pub tally: Tally,
    /// Attempts for sessions that may be under way at once.
    pub at_once: usize,
    /// What is remembered of remote domains.
    pub notes: Notes,
    /// Our own listeners.
    pub bound: Vec<SocketAddr>,
}

impl Means {
    /// An attempt for a pair, whose lines are logged under `log`.
    pub fn attempt(&self, pair: DomainPair, purpose: Purpose, log: &'static str) -> Attempt {
        let rules = self.terms.rules();
        Attempt {
            remote: self.terms.remote(&pair.remote).clone(),
            certificate: rules.hosted(&pair.local).is_some_and(|hosted| hosted.certificate),
            tls: self.tls.clone(),
            resolver: self.resolver.clone(),
            gate: self.gate.clone(),
            witness: self.witness.clone(),
            tally: self.tally.clone(),
            notes: self.notes.clone(),
            bound: self.bound.clone(),
            pair,
            purpose,
            log,
            watch: None,
        }
    }
}

/// How the promise has attempts made; tests have their own.
pub trait Dial: Send {
    /// Whether the policy lets us federate with a remote domain at all.
    fn permits(&self, remote: &Domain) -> bool;

    /// Whether a local domain is one of ours.
    fn serves(&self, local: &Domain) -> bool;

    /// How many attempts may be under way at once.
    fn at_once(&self) -> usize;

    /// Prepares an attempt to make a session for a pair.
    fn dial(&self, pair: &DomainPair) -> Dialling;
}

/// An attempt on its way.
pub type Making = Pin<Box<dyn Future<Output = Result<Arrival, Failure>>>>;

/// An attempt that is to be made where its session will live.
pub struct Dialling {
    /// Begins it.
    pub begin: Box<dyn FnOnce() -> Making + Send>,
    /// When a session without a stanza is closed.
    pub idle_timeout: Duration,
    /// After how much silence the link is checked.
    pub keepalive: Duration,
    /// How long one write may take.
    pub write_timeout: Duration,
}

impl Dial for Means {
    fn permits(&self, remote: &Domain) -> bool {
        self.terms.rules().permits(remote)
    }

    fn serves(&self, local: &Domain) -> bool {
        self.terms.rules().hosted(local).is_some()
    }

    fn at_once(&self) -> usize {
        self.at_once
    }

    fn dial(&self, pair: &DomainPair) -> Dialling {
        let attempt = self.attempt(pair.clone(), Purpose::Session, "nuncio::outgoing");
        Dialling {
            idle_timeout: attempt.remote.idle_timeout,
            keepalive: attempt.remote.keepalive,
            write_timeout: attempt.remote.write_timeout,
            begin: Box::new(|| Box::pin(attempt.make())),
        }
    }
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
    pub machine: Initiating,
    /// What was negotiated.
    pub established: Established,
    /// The peer.
    pub address: SocketAddr,
    /// When its certificate expires, if the stream rests on it.
    pub expires: Option<SystemTime>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Attempt {
    /// Goes all the way, or says why not.
    pub async fn make(self) -> Result<Arrival, Failure> {
        let tally = self.tally.clone();
        let purpose = match self.purpose {
            Purpose::Session => "session",
            Purpose::Verify(_) => "verification",
        };
        let made = self.go().await;
        let result = made.as_ref().err().map_or("established", Failure::stage);
        tally.saw(Saw::Attempted { purpose, result });
        made
    }

    async fn go(self) -> Result<Arrival, Failure> {
        let began = crate::clock::now();
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
        while let Some(target) = targets.pop_front() {
            let next = match self.try_target(&target).await {
                Ok(arrival) => return Ok(arrival),
                Err(next) => next,
            };
            match elsewhere(&next, &target).filter(|_| redirects < REDIRECTS) {
                // RFC 6120 4.9.3.19. Only the address changes: what the pair and its terms demand stays.
                Some(other) => {
                    redirects += 1;
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
                    failure = further(failure, next);
                }
            }
        }
        Err(failure.unwrap_or(Failure::Crashed))
    }

    /// Who asks us to verify keys decides how often that is, so it is not told at `info`.
    fn level(&self) -> log::Level {
        match self.purpose {
            Purpose::Session => log::Level::Info,
            Purpose::Verify(_) => log::Level::Debug,
        }
    }

    fn count(&self, phase: Phase, began: Instant) {
        self.tally.saw(Saw::Phase { phase, took: crate::clock::now().saturating_duration_since(began) });
    }

    fn show<'a>(&self, seen: impl FnOnce() -> Seen<'a>) {
        if let Some(watch) = &self.watch {
            watch.see(seen());
        }
    }

    /// Notes a step on the way to a session. That others have us verify keys is no such way.
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
            let _ = self.witness.tell(witness::Saw { remote, side: Side::Outgoing, fingerprint });
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
        let domain = self.pair.remote.clone();
        if self.resolver.tell(resolver::Resolve { domain, answer }).is_err() {
            return Err(Failure::Overloaded);
        }
        answered.await.map_err(|_| Failure::Crashed)?.map_err(Failure::Dns)
    }

    /// Finds the addresses of a target.
    ///
    /// # Errors
    ///
    /// It has none, or the DNS does not say.
    pub async fn locate(&self, target: &Target) -> Result<Vec<SocketAddr>, Failure> {
        let (answer, answered) = oneshot::channel();
        if self.resolver.tell(resolver::Locate { host: target.host.clone(), answer }).is_err() {
            return Err(Failure::Overloaded);
        }
        let addresses = answered.await.map_err(|_| Failure::Crashed)?.map_err(Failure::Dns)?;
        Ok(addresses.iter().map(|ip| SocketAddr::new(*ip, target.port)).collect())
    }

    async fn try_target(&self, target: &Target) -> Result<Arrival, Failure> {
        let mut left = self.locate(target).await?;
        let mut failure = None;
        // Each round ends with one address fewer.
        while let Some(first) = left.first() {
            // The others are tried only when this one does not answer.
            let _pass = self.enter(first.ip()).await?;
            if let Some(own) = left.iter().find(|address| connect::is_own(**address, &self.bound)) {
                return Err(further(failure, Failure::Loop(*own)).unwrap_or(Failure::Crashed));
            }
            let began = crate::clock::now();
            let connected = connect::connect(&left, self.remote.connect_timeout).await;
            self.count(Phase::Connect, began);
            let socket = match connected {
                Ok(socket) => socket,
                Err(failures) => {
                    return Err(further(failure, Failure::Connect(failures)).unwrap_or(Failure::Crashed));
                }
            };
            let Ok(address) = socket.peer_addr() else {
                return Err(Failure::Crashed);
            };
            log::log!(
                target: self.log, self.level(), pair:% = self.pair, address:% = address, host = target.host.as_str(),
                direct_tls = target.direct_tls, took:% = millis(began);
                "connected"
            );
            self.note(Event::now(What::Connected).at(address).saying(target.host.as_str()));
            match self.negotiate(socket, address, target.direct_tls).await {
                Ok(arrival) => return Ok(arrival),
                Err(next) => failure = further(failure, next),
            }
            left.retain(|other| *other != address);
        }
        Err(failure.unwrap_or(Failure::Crashed))
    }

    /// Waits until the gate lets us connect.
    async fn enter(&self, address: IpAddr) -> Result<Option<gate::Pass>, Failure> {
        let Some(gate) = &self.gate else { return Ok(None) };
        let (answer, answered) = oneshot::channel();
        let purpose = match self.purpose {
            Purpose::Session => gate::Purpose::Session(self.pair.clone()),
            Purpose::Verify(_) => gate::Purpose::Verification,
        };
        if gate.tell(gate::Enter { address, purpose, answer }).is_err() {
            return Err(Failure::Overloaded);
        }
        let pass = answered.await.map_err(|_| Failure::Crashed)?;
        pass.map(Some).map_err(|gate::Full| Failure::Crowded(address))
    }

    /// Goes from a connection to a stream that serves the purpose, within `handshake_timeout`.
    ///
    /// # Errors
    ///
    /// Says how far it got and why not further.
    pub async fn negotiate(
        &self,
        socket: TcpStream,
        address: SocketAddr,
        direct_tls: bool,
    ) -> Result<Arrival, Failure> {
        let mut negotiation = Negotiation {
            attempt: self,
            address,
            stage: "waiting for the TLS handshake",
            began: crate::clock::now(),
            usable: crate::clock::now(),
        };
        let after = self.remote.handshake_timeout;
        let outcome = tokio::time::timeout(after, negotiation.run(socket, direct_tls)).await;
        outcome.unwrap_or(Err(Failure::TimedOut { address, stage: negotiation.stage, after }))
    }
}

/// One connection on its way to a usable stream.
struct Negotiation<'a> {
    attempt: &'a Attempt,
    address: SocketAddr,
    /// What it waits for, for when the time runs out.
    stage: &'static str,
    began: Instant,
    /// Since when there is a connection, secured or not yet.
    usable: Instant,
}

impl Negotiation<'_> {
    async fn run(&mut self, socket: TcpStream, direct_tls: bool) -> Result<Arrival, Failure> {
        let mut expires = None;
        let (mut stream, secured) = if direct_tls {
            let (stream, session) = self.secure(socket, true).await?;
            expires = session.expires;
            (stream, Some(self::secured(session)))
        } else {
            (Stream::Tcp(socket), None)
        };
        let attempt = self.attempt;
        let mut machine = Initiating::new(Plan {
            pair: attempt.pair.clone(),
            purpose: attempt.purpose.clone(),
            policy: attempt.remote.policy.clone(),
            direct_tls: secured,
            certificate: attempt.certificate,
        });
        let mut verified = None;
        loop {
            while let Some(output) = machine.poll() {
                match output {
                    Output::Transmit(bytes) => {
                        log::trace!(target: attempt.log, pair:% = attempt.pair; "sent {}", redact(&bytes));
                        if let Err(error) = stream.write_all(&bytes).await {
                            return Err(self.last_words(stream, &error).await);
                        }
                    }
                    Output::StartTls => {
                        self.stage = "waiting for the TLS handshake";
                        let Stream::Tcp(socket) = stream else { return Err(Failure::Crashed) };
                        let session;
                        (stream, session) = self.secure(socket, false).await?;
                        expires = session.expires;
                        machine.secured(self::secured(session));
                    }
                    Output::Noted(note) => attempt.show(|| Seen::Noted(&note)),
                    Output::Judged(verdict) => log::debug!(
                        target: attempt.log, pair:% = attempt.pair, certificate:% = in_words(&verdict); "judged"
                    ),
                    Output::Established(established) => {
                        let shown =
                            Protection::of(machine.transport(), &attempt.pair.remote, &attempt.remote.policy);
                        log::info!(
                            target: attempt.log, pair:% = attempt.pair, address:% = self.address,
                            mechanism:% = crate::name_of(established.mechanism), protocol = shown.protocol,
                            cipher = shown.cipher, certificate = shown.certificate.as_str(),
                            fingerprint = shown.fingerprint, took:% = millis(self.began);
                            "authenticated"
                        );
                        attempt.count(Phase::Authenticate, self.usable);
                        let text = format!("by {}", crate::name_of(established.mechanism));
                        attempt.note(Event::now(What::Authenticated).at(self.address).saying(text));
                        attempt.witness(machine.transport());
                        // Dialback rests on DNS, whatever becomes of the certificate.
                        let rests_on_it = established.mechanism == Mechanism::External;
                        return Ok(Arrival::Session(Box::new(Session {
                            stream,
                            machine,
                            established,
                            address: self.address,
                            expires: expires.filter(|_| rests_on_it),
                        })));
                    }
                    Output::Verified(answer) => verified = Some(answer),
                    Output::Unasked { element } => warn_unasked(attempt.log, &attempt.pair, &element),
                    Output::Failed(failure) => {
                        hang_up(stream);
                        return Err(Failure::Stream { address: self.address, failure });
                    }
                    Output::Ended(_) => {
                        hang_up(stream);
                        return verified.map(Arrival::Verified).ok_or_else(|| self.broken(None));
                    }
                }
            }
            if let Some(answer) = verified {
                // The stream has done its work; its closing tag is written, the peer's need not be waited for.
                hang_up(stream);
                return Ok(Arrival::Verified(answer));
            }
            self.stage = machine.stage();
            let mut bytes = BytesMut::with_capacity(READ);
            match stream.read_buf(&mut bytes).await {
                Ok(0) => {
                    hang_up(stream);
                    return Err(self.broken(None));
                }
                Ok(_) => {
                    log::trace!(target: attempt.log, pair:% = attempt.pair; "received {}", redact(&bytes));
                    attempt.show(|| Seen::Received(&bytes));
                    machine.receive(bytes);
                }
                Err(error) => return Err(self.ended(&error)),
            }
        }
    }

    async fn secure(&mut self, socket: TcpStream, direct: bool) -> Result<(Stream, tls::Session), Failure> {
        let attempt = self.attempt;
        let began = crate::clock::now();
        let handshake = attempt.tls.connect(socket, &attempt.pair, direct).await;
        attempt.count(Phase::Tls, began);
        self.usable = crate::clock::now();
        let (stream, session) = handshake.map_err(|error| Failure::Tls { address: self.address, error })?;
        attempt.show(|| Seen::Secured { session: &session, ssl: stream.ssl() });
        attempt.tally.saw(Saw::Secured { side: Side::Outgoing, version: session.protocol.clone() });
        let verdict = session.certificate.as_ref().map_or_else(
            || "none shown".to_owned(),
            |certificate| in_words(&certificate.proves(&attempt.pair.remote, attempt.remote.policy.trust)),
        );
        log::log!(
            target: attempt.log, attempt.level(), pair:% = attempt.pair, protocol = session.protocol.as_str(),
            cipher = session.cipher.as_str(), certificate = verdict.as_str();
            "secured"
        );
        let text = format!("{}, certificate {verdict}", session.protocol);
        attempt.note(Event::now(What::Secured).at(self.address).saying(text));
        Ok((Stream::Tls(Box::new(stream)), session))
    }

    /// With TLS 1.3 a peer that refuses our certificate says so only when something is read.
    fn ended(&self, error: &std::io::Error) -> Failure {
        match tls::Error::later(error) {
            error @ tls::Error::Alert(_) => Failure::Tls { address: self.address, error },
            _ => self.broken(Some(error.kind())),
        }
    }

    /// Explains why nothing more can be written by what the peer said before.
    async fn last_words(&self, mut stream: Stream, error: &std::io::Error) -> Failure {
        let mut scratch = BytesMut::with_capacity(READ);
        match tokio::time::timeout(GOODBYE, stream.read_buf(&mut scratch)).await {
            Ok(Err(reason)) => self.ended(&reason),
            _ => self.ended(error),
        }
    }

    fn broken(&self, error: Option<std::io::ErrorKind>) -> Failure {
        Failure::Broken { address: self.address, stage: self.stage, error }
    }
}

/// What the machine wants to know of a handshake.
pub fn secured(session: tls::Session) -> Secured {
    Secured { certificate: session.certificate, protocol: session.protocol, cipher: session.cipher }
}

/// How a stream is protected, for the log; `-` for what it has not.
#[derive(Debug)]
pub struct Protection<'a> {
    /// `TLSv1.3`
    pub protocol: &'a str,
    /// `TLS_AES_256_GCM_SHA384`
    pub cipher: &'a str,
    /// The verdict.
    pub certificate: String,
    /// SHA-256 of the certificate.
    pub fingerprint: &'a str,
}

impl<'a> Protection<'a> {
    /// That of a stream with `remote`.
    pub fn of(secured: Option<&'a Secured>, remote: &Domain, policy: &Policy) -> Self {
        let certificate = secured.and_then(|secured| secured.certificate.as_ref());
        Self {
            protocol: secured.map_or("-", |secured| &secured.protocol),
            cipher: secured.map_or("-", |secured| &secured.cipher),
            certificate: secured
                .map_or_else(|| "-".to_owned(), |secured| in_words(&secured.proves(remote, policy))),
            fingerprint: certificate.map_or("-", |certificate| &certificate.fingerprint),
        }
    }
}

impl Protection<'_> {
    /// `TLSv1.3, certificate good`
    pub fn in_words(&self) -> String {
        match self.protocol {
            "-" => "in clear text".to_owned(),
            protocol => format!("{protocol}, certificate {}", self.certificate),
        }
    }
}

/// A verdict on a certificate, for the log.
pub fn in_words(verdict: &Result<(), xmpp::certificate::Problem>) -> String {
    verdict.as_ref().map_or_else(ToString::to_string, |()| "good".to_owned())
}

/// Tells the operator that a remote answers what it was not asked, which is either a fault or a forgery.
pub(crate) fn warn_unasked(log: &str, pair: &DomainPair, element: &str) {
    log::warn!(target: log, pair:% = pair, element = element; "not believed, an answer that was not asked for");
}

/// Says goodbye on the transport and gives the peer a moment to read it; nobody waits for that.
fn hang_up(mut stream: Stream) {
    actix_rt::spawn(async move {
        let goodbye = async {
            let _ = stream.shutdown().await;
            let mut scratch = BytesMut::with_capacity(READ);
            while matches!(stream.read_buf(&mut scratch).await, Ok(length) if length > 0) {
                scratch.clear();
            }
        };
        // Whatever the peer does now changes nothing.
        let _ = tokio::time::timeout(GOODBYE, goodbye).await;
    });
}

/// Where a redirect leads, if it may be followed: only what TLS protected comes from the peer for certain.
pub fn elsewhere(failure: &Failure, target: &Target) -> Option<Target> {
    let Failure::Stream { failure, .. } = failure else { return None };
    let Cause::Redirected { host, secured: true } = &failure.cause else { return None };
    let (host, port) = host_and_port(host)?;
    Some(Target { host, port, from_srv: false, ..target.clone() })
}

/// Reads `host`, `host:port`, `[2001:db8::1]` and `[2001:db8::1]:port`.
fn host_and_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
        _ => (text, PORT),
    };
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = literal.unwrap_or(host);
    let known = Domain::new(host).is_ok() || host.parse::<IpAddr>().is_ok();
    known.then(|| (host.to_owned(), port))
}

/// Keeps the failure that got further; of two that got equally far, the later.
fn further(old: Option<Failure>, new: Failure) -> Option<Failure> {
    match old {
        Some(old) if old.progress() > new.progress() => Some(old),
        _ => Some(new),
    }
}

fn list(targets: &[Target]) -> String {
    let names: Vec<String> = targets
        .iter()
        .map(|target| if target.direct_tls { format!("{target}(tls)") } else { target.to_string() })
        .collect();
    names.join(",")
}

/// `12ms`
pub fn millis(since: Instant) -> String {
    format!("{}ms", crate::clock::since(since).as_millis())
}

/// How long a peer gets to close its side of a connection that is of no more use.
const GOODBYE: Duration = Duration::from_millis(500);

/// Redirects that one attempt follows (RFC 6120 4.9.3.19: two to five).
pub const REDIRECTS: usize = 3;

/// Where servers listen (RFC 6120 14.7).
const PORT: u16 = 5269;

/// The elements of a negotiation are small.
const READ: usize = 4096;
