//! One connection on its way to a stream that serves the purpose of the attempt.

use std::{
    mem,
    net::SocketAddr,
    time::{Duration, Instant, SystemTime},
};

use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use xmpp::{
    DomainPair,
    certificate::Problem,
    policy::Mechanism,
    stream::{
        End, Secured, Stage,
        initiating::{self, Cause, Goal, Handshake, Note, Open, Output, Plan},
    },
};

use super::{Arrival, Attempt, Purpose, Session, StaticRoute};
use crate::{
    dial::{failure::Failure, observer::Seen},
    flow::{
        farewell::{self, Farewell},
        trace::Trace,
    },
    observe::metrics::{Count, Phase},
};
use net::{stream::Stream, tls};
use status::{
    display::{Protection, in_words, millis, name_of},
    event::{Event, What},
    report::Direction,
};

impl Attempt {
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
        self.negotiate_within(self.remote.handshake_timeout, socket, address, direct_tls).await
    }

    /// The same, within a time of one's own choice.
    pub(super) async fn negotiate_within(
        &self,
        after: Duration,
        socket: TcpStream,
        address: SocketAddr,
        direct_tls: bool,
    ) -> Result<Arrival, Failure> {
        if let Ok(from) = socket.local_addr() {
            self.show(|| Seen::Connected { from });
        }
        let mut negotiation = Negotiation {
            attempt: self,
            address,
            trace: Trace::new(self.log),
            stage: Stage::Tls,
            began: clock::now(),
            usable: clock::now(),
            bad: None,
            distrusted: None,
        };
        let outcome = tokio::time::timeout(after, negotiation.run(socket, direct_tls)).await;
        let Negotiation { stage, distrusted, .. } = negotiation;
        outcome.unwrap_or(Err(Failure::TimedOut { address, stage, after, distrusted }))
    }
}

/// One connection on its way to a usable stream.
struct Negotiation<'a> {
    attempt: &'a Attempt,
    address: SocketAddr,
    /// What the log shows of its bytes.
    trace: Trace,
    /// What it waits for, for when the time runs out.
    stage: Stage,
    began: Instant,
    /// Since when there is a connection, secured or not yet.
    usable: Instant,
    /// What is wrong with the peer's certificate.
    bad: Option<Problem>,
    /// The same, once dialback is tried where the policy would have had EXTERNAL too.
    distrusted: Option<Box<Problem>>,
}

/// The connection of a handshake.
struct Connection {
    stream: Stream,
    /// When the peer's certificate expires.
    expires: Option<SystemTime>,
    /// What the peer showed, for another verdict under other rules.
    evidence: Option<tls::Evidence>,
}

impl Negotiation<'_> {
    async fn run(&mut self, socket: TcpStream, direct_tls: bool) -> Result<Arrival, Failure> {
        let mut connection = Connection { stream: Stream::Tcp(socket), expires: None, evidence: None };
        let mut secured = None;
        if direct_tls {
            (connection, secured) =
                self.secure(connection, true).await.map(|(made, seen)| (made, Some(seen)))?;
        }
        let attempt = self.attempt;
        let plan = Plan {
            pair: attempt.pair.clone(),
            policy: attempt.policy(),
            bounds: attempt.bounds,
            direct_tls: secured,
            certificate: attempt.certificate && !attempt.without_external.get(),
        };
        match attempt.purpose.clone() {
            Purpose::Session => {
                let (open, connection, _) = self.shake_hands(Handshake::session(plan), connection).await?;
                Ok(Arrival::Session(Box::new(self.session(open, connection))))
            }
            Purpose::Verify(request) => {
                let handshake = Handshake::verification(plan, request);
                let (answer, connection, peer_is_open) = self.shake_hands(handshake, connection).await?;
                // The stream has done its work, and its closing tag is written.
                hang_up(connection.stream, Farewell::after(&End::Closed, peer_is_open));
                Ok(Arrival::Verified(answer))
            }
        }
    }

    /// Drives a handshake to its outcome. Gives also whether the peer's closing tag is missing.
    async fn shake_hands<G: Goal>(
        &mut self,
        mut handshake: Handshake<G>,
        mut connection: Connection,
    ) -> Result<(G::Outcome, Connection, bool), Failure> {
        let attempt = self.attempt;
        let wants_external = attempt.remote.policy.allows(Mechanism::External);
        loop {
            while let Some(output) = handshake.poll() {
                match output {
                    Output::Transmit(bytes) => {
                        if let Some(shown) = self.trace.sent(&bytes) {
                            log::trace!(target: attempt.log, pair:% = attempt.pair; "sent {shown}");
                        }
                        if let Err(error) = connection.stream.write_all(&bytes).await {
                            return Err(self.last_words(handshake, connection.stream, &error).await);
                        }
                    }
                    Output::StartTls => {
                        self.stage = Stage::Tls;
                        let secured;
                        (connection, secured) = self.secure(connection, false).await?;
                        handshake.secured(secured);
                    }
                    Output::Noted(note) => {
                        if note == Note::Tried(Mechanism::Dialback) && wants_external {
                            self.distrusted = self.bad.take().map(Box::new);
                        }
                        attempt.show(|| Seen::Noted(&note));
                    }
                    Output::Judged(verdict) => {
                        log::debug!(
                            target: attempt.log, pair:% = attempt.pair, certificate:% = in_words(&verdict); "judged"
                        );
                        self.bad = verdict.err();
                    }
                    Output::Unasked { element } => warn_unasked(attempt.log, &attempt.pair, &element),
                    Output::Completed(outcome) => return Ok((outcome, connection, handshake.is_open())),
                    Output::Failed(failure) => {
                        if matches!(failure.cause, initiating::Cause::ExternalRefused(_)) {
                            self.take_up(&handshake);
                        }
                        let farewell = match failure.cause {
                            Cause::Stream(_) | Cause::Redirected { .. } | Cause::NotXmpp => Farewell::Now,
                            _ if !handshake.is_open() => Farewell::Now,
                            _ => Farewell::AfterTag,
                        };
                        hang_up(connection.stream, farewell);
                        return Err(self.failed(failure));
                    }
                    // An attempt that is not wanted any more is dropped.
                    Output::Ended(_) => return Err(self.broken(None)),
                }
            }
            let mut bytes = BytesMut::with_capacity(READ);
            if handshake.awaits_reason() {
                // An operator is told where it failed, and not that we waited for more.
                match tokio::time::timeout(REASON, connection.stream.read_buf(&mut bytes)).await {
                    Ok(Ok(1..)) => self.receive(&mut handshake, bytes),
                    _ => handshake.conclude(),
                }
                continue;
            }
            self.stage = handshake.stage();
            match connection.stream.read_buf(&mut bytes).await {
                Ok(0) => {
                    self.take_up(&handshake);
                    hang_up(connection.stream, Farewell::Now);
                    return Err(self.lost(&handshake, None));
                }
                Ok(_) => self.receive(&mut handshake, bytes),
                Err(error) => {
                    self.take_up(&handshake);
                    return Err(self.ended(&handshake, &error));
                }
            }
        }
    }

    /// Logs that a session is authenticated, and makes it.
    fn session(&mut self, machine: Box<Open>, connection: Connection) -> Session {
        let attempt = self.attempt;
        let shown = Protection::of(machine.transport(), &attempt.pair.remote, &attempt.remote.policy);
        log::info!(
            target: attempt.log, pair:% = attempt.pair, address:% = self.address,
            mechanism:% = machine.mechanism(), protocol = shown.protocol,
            cipher = shown.cipher, certificate = shown.certificate.as_str(),
            fingerprint = shown.fingerprint, took:% = millis(self.began);
            "authenticated"
        );
        attempt.count(Phase::Authenticate, self.usable);
        let text = format!("by {}", machine.mechanism());
        attempt.note(Event::now(What::Authenticated).at(self.address).saying(text));
        attempt.witness(machine.transport());
        Session {
            stream: connection.stream,
            machine,
            trace: mem::replace(&mut self.trace, Trace::new(attempt.log)),
            address: self.address,
            expires: connection.expires,
            evidence: connection.evidence,
            route: StaticRoute::of(&attempt.remote),
        }
    }

    fn receive<G: Goal>(&mut self, machine: &mut Handshake<G>, bytes: BytesMut) {
        let attempt = self.attempt;
        if let Some(shown) = self.trace.received(&bytes) {
            log::trace!(target: attempt.log, pair:% = attempt.pair; "received {shown}");
        }
        attempt.show(|| Seen::Received(&bytes));
        machine.receive(bytes);
    }

    /// Notes that dialback may succeed on another connection, where it could not follow a refusal of EXTERNAL on this one.
    fn take_up<G: Goal>(&self, machine: &Handshake<G>) {
        self.attempt.dialback_left.set(machine.has_dialback_left());
    }

    async fn secure(
        &mut self,
        connection: Connection,
        direct: bool,
    ) -> Result<(Connection, Secured), Failure> {
        let attempt = self.attempt;
        let Stream::Tcp(socket) = connection.stream else { return Err(Failure::Crashed) };
        let began = clock::now();
        let handshake = attempt.tls.connect(socket, &attempt.pair, direct).await;
        attempt.count(Phase::Tls, began);
        self.usable = clock::now();
        // A peer that gives up with an alert knows TLS too.
        if matches!(handshake, Ok(_) | Err(tls::Error::Alert(_))) {
            attempt.met_tls.set(true);
        }
        let (stream, mut session) =
            handshake.map_err(|error| Failure::Tls { address: self.address, error })?;
        attempt.show(|| Seen::Secured { session: &session, ssl: stream.ssl() });
        attempt
            .tally
            .count(Count::Secured { direction: Direction::Outgoing, version: session.protocol.clone() });
        let judged = session.certificate.as_ref().map_or(Err(Problem::Missing), |certificate| {
            certificate.proves(&attempt.pair.remote, attempt.remote.policy.trust)
        });
        attempt.tally.count(Count::Judged { direction: Direction::Outgoing, verdict: name_of(&judged) });
        let verdict = in_words(&judged);
        log::log!(
            target: attempt.log, attempt.level(), pair:% = attempt.pair, protocol = session.protocol.as_str(),
            cipher = session.cipher.as_str(), certificate = verdict.as_str();
            "secured"
        );
        let text = format!("{}, certificate {verdict}", session.protocol);
        attempt.note(Event::now(What::Secured).at(self.address).saying(text));
        let connection = Connection {
            stream: Stream::Tls(Box::new(stream)),
            expires: session.expires,
            evidence: session.evidence.take(),
        };
        Ok((connection, secured(session)))
    }

    /// With TLS 1.3 a peer that refuses our certificate says so only when something is read.
    fn ended<G: Goal>(&self, machine: &Handshake<G>, error: &std::io::Error) -> Failure {
        match tls::Error::later(error) {
            error @ tls::Error::Alert(_) => Failure::Tls { address: self.address, error },
            _ => self.lost(machine, Some(error.kind())),
        }
    }

    /// Explains why nothing more can be written by what the peer said before.
    async fn last_words<G: Goal>(
        &mut self,
        mut machine: Handshake<G>,
        mut stream: Stream,
        error: &std::io::Error,
    ) -> Failure {
        let until = clock::now() + GOODBYE;
        loop {
            let mut bytes = BytesMut::with_capacity(READ);
            let ended = match tokio::time::timeout(
                until.saturating_duration_since(clock::now()),
                stream.read_buf(&mut bytes),
            )
            .await
            {
                Ok(Ok(1..)) => {
                    self.receive(&mut machine, bytes);
                    None
                }
                Ok(Err(reason)) => Some(self.ended(&machine, &reason)),
                _ => Some(self.ended(&machine, error)),
            };
            if ended.is_some() {
                machine.conclude();
            }
            // What the machine wants to write has no reader any more.
            while let Some(output) = machine.poll() {
                if let Output::Failed(failure) = output {
                    self.take_up(&machine);
                    return self.failed(failure);
                }
            }
            if let Some(failure) = ended {
                self.take_up(&machine);
                return failure;
            }
        }
    }

    /// The connection is gone, which the peer may have explained before, unless it was the network.
    fn lost<G: Goal>(&self, machine: &Handshake<G>, error: Option<std::io::ErrorKind>) -> Failure {
        use std::io::ErrorKind::{HostUnreachable, NetworkDown, NetworkUnreachable, TimedOut};
        let by_network = matches!(error, Some(HostUnreachable | NetworkDown | NetworkUnreachable | TimedOut));
        match machine.lost().filter(|_| !by_network) {
            Some(failure) => self.failed(failure),
            None => self.broken(error),
        }
    }

    fn failed(&self, failure: initiating::Failure) -> Failure {
        let distrusted = self.distrusted.clone();
        Failure::Stream { address: self.address, stage: self.stage, failure, distrusted }
    }

    fn broken(&self, error: Option<std::io::ErrorKind>) -> Failure {
        let distrusted = self.distrusted.clone();
        Failure::Broken { address: self.address, stage: self.stage, error, distrusted }
    }
}

/// What the machine wants to know of a handshake.
pub fn secured(session: tls::Session) -> Secured {
    Secured { certificate: session.certificate, protocol: session.protocol, cipher: session.cipher }
}

/// Tells the operator that a remote answers what it was not asked, which is either a fault or a forgery.
pub(crate) fn warn_unasked(log: &str, pair: &DomainPair, element: &str) {
    log::warn!(target: log, pair:% = pair, element = element; "ignored an unsolicited dialback answer");
}

/// Closes a connection that is of no more use; nobody waits for that.
fn hang_up(mut stream: Stream, farewell: Farewell) {
    actix_rt::spawn(async move {
        // Whatever the peer does now changes nothing.
        let _ = farewell::part(&mut stream, farewell).await;
    });
}

/// How long a peer gets to tell why it gave an odd answer: a round trip to the far side of the world, and a busy server.
const REASON: Duration = Duration::from_secs(1);

/// How long a peer gets to explain why nothing can be written to it.
const GOODBYE: Duration = Duration::from_millis(500);

/// The elements of a negotiation are small.
const READ: usize = 4096;
