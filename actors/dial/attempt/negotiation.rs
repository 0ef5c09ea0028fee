//! One connection: TLS, the stream and authentication, up to the goal of the attempt.

mod failure;
mod transport;

use std::{
    fmt, future, mem,
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use xmpp::{
    DomainPair,
    certificate::Problem,
    policy::{self, Mechanism},
    stream::{
        Secured, Stage,
        initiating::{self, Cause, Handshake, Note, Open, Output, Plan},
    },
};

pub(super) use self::transport::Transport;
use self::transport::hang_up;
pub(crate) use self::transport::secured;
use super::{
    Attempt,
    outrun::{self, Claim},
    race::{Entrant, Point},
    session::{Session, StaticRoute},
};
use crate::{
    dial::{error::AttemptError, observer::Step},
    flow::{close::CloseMode, trace::Trace},
    observe::metrics::{Phase, Purpose},
};
use net::{network::Socket, stream::Stream};
use status::{
    display::{self, Protection, millis},
    event::{Event, EventKind},
};

/// The goal of an attempt: the result of its handshake, and the outcome of the attempt.
pub trait Goal: Clone + fmt::Debug {
    /// The kind of the goal.
    const PURPOSE: Purpose;

    /// The outcome of the attempt.
    type Outcome: fmt::Debug;

    /// The result of the handshake.
    type Completed: fmt::Debug;

    /// The goal of the handshake.
    type Handshake: initiating::Goal<Outcome = Self::Completed>;

    /// Begins the handshake.
    fn handshake(&self, plan: Plan) -> Handshake<Self::Handshake>;

    /// Makes the outcome. `is_open`: the closing tag of the peer is missing.
    fn complete(
        negotiation: Negotiation<'_, Self>,
        transport: Transport,
        completed: Self::Completed,
        is_open: bool,
    ) -> Self::Outcome;

    /// Closes a connection that has reached the goal after another one.
    fn give_up(transport: Transport, completed: Self::Completed, is_open: bool);

    /// Whether the outcome justifies more connections to the same address.
    fn is_success(outcome: &Self::Outcome) -> bool;
}

/// A connection on which to negotiate, and the terms.
pub(super) struct Connection<'a> {
    /// The visit that has it.
    pub(super) entrant: &'a Entrant,
    pub(super) socket: Socket,
    pub(super) address: SocketAddr,
    /// TLS comes first (XEP-0368).
    pub(super) direct_tls: bool,
    /// The time limit.
    pub(super) within: Duration,
    /// EXTERNAL is left out.
    pub(super) without_external: bool,
}

/// The result of a negotiation.
pub(super) struct Negotiated<T> {
    pub(super) outcome: Result<T, AttemptError>,
    /// EXTERNAL was refused, and dialback may succeed on another connection.
    pub(super) dialback_left: bool,
}

impl<G: Goal> Attempt<G> {
    /// Negotiates on a new connection to `address` until the goal is reached, at most for
    /// `handshake_timeout`.
    ///
    /// # Errors
    /// The goal was not reached.
    pub async fn negotiate_on(
        &self,
        socket: Socket,
        address: SocketAddr,
        direct_tls: bool,
    ) -> Result<G::Outcome, AttemptError> {
        let (within, entrant) = (self.remote.handshake_timeout, &Entrant::alone());
        let connection = Connection { entrant, socket, address, direct_tls, within, without_external: false };
        self.negotiate(connection).await.outcome
    }

    pub(super) async fn negotiate(&self, connection: Connection<'_>) -> Negotiated<G::Outcome> {
        let Connection { entrant, socket, address, direct_tls, within, without_external } = connection;
        if let Ok(from) = socket.local_addr() {
            self.observe(|| Step::Negotiating { from });
        }
        let mut negotiation = Negotiation {
            attempt: self,
            entrant,
            address,
            without_external,
            trace: Trace::new(self.log),
            stage: Stage::Tls,
            answer_by: None,
            began: clock::now(),
            usable: clock::now(),
            problem: None,
            distrusted: None,
            dialback_left: false,
        };
        let result = tokio::time::timeout(within, negotiation.run(socket, direct_tls)).await;
        let dialback_left = negotiation.dialback_left;
        let outcome = match result {
            Ok(Ok((completed, transport, is_open))) => {
                Ok(G::complete(negotiation, transport, completed, is_open))
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(AttemptError::TimedOut { at: negotiation.at(), after: within }),
        };
        Negotiated { outcome, dialback_left }
    }
}

/// The state of a negotiation.
pub struct Negotiation<'a, G> {
    attempt: &'a Attempt<G>,
    entrant: &'a Entrant,
    address: SocketAddr,
    without_external: bool,
    trace: Trace,
    /// The point at which the stream is.
    stage: Stage,
    /// The time limit for the answer about a lost stream, once it was asked for.
    answer_by: Option<Instant>,
    began: Instant,
    /// The time at which the connection, or TLS on it, was established.
    usable: Instant,
    /// The problem with the peer's certificate.
    problem: Option<Problem>,
    /// The same, once it is the reason why dialback is tried instead of EXTERNAL.
    distrusted: Option<Box<Problem>>,
    dialback_left: bool,
}

impl<G: Goal> Negotiation<'_, G> {
    /// Negotiates until the handshake is complete. Also returns whether the closing tag of the peer is
    /// missing.
    async fn run(
        &mut self,
        socket: Socket,
        direct_tls: bool,
    ) -> Result<(G::Completed, Transport, bool), AttemptError> {
        let mut transport = Transport::new(socket);
        let mut direct = None;
        let (attempt, entrant) = (self.attempt, self.entrant);
        if direct_tls {
            let secured;
            (transport, secured) = self.secure(transport, true).await?;
            direct = Some(secured);
        }
        let mut handshake = attempt.goal.handshake(self.plan(direct));
        let allows_external = attempt.remote.policy.allows(Mechanism::External);
        loop {
            while let Some(output) = handshake.poll() {
                if outrun::is_behind_authentication(&output, handshake.stage(), G::PURPOSE) {
                    match Claim::of(entrant, &transport.stream) {
                        Claim::Won => {}
                        Claim::Outrun => {
                            transport.give_up::<G>(handshake, output);
                            // The visit ends here.
                            return future::pending().await;
                        }
                        Claim::Downgraded => {
                            transport.give_up::<G>(handshake, output);
                            let remote = attempt.pair.remote.clone();
                            let cause = Cause::TlsUnavailable;
                            return Err(self.failed(initiating::Failure { remote, cause }));
                        }
                    }
                }
                match output {
                    Output::Transmit(bytes) => {
                        if let Some(shown) = self.trace.sent(&bytes) {
                            log::trace!(target: attempt.log, pair:% = attempt.pair; "sent {shown}");
                        }
                        if let Err(error) = transport.stream.write_all(&bytes).await {
                            return Err(self.explain_write_error(handshake, transport.stream, &error).await);
                        }
                    }
                    Output::StartTls => {
                        self.stage = Stage::Tls;
                        let secured;
                        (transport, secured) = self.secure(transport, false).await?;
                        handshake.secured(secured);
                    }
                    Output::Noted(note) => {
                        if note == Note::Tried(Mechanism::Dialback) && allows_external {
                            self.distrusted = self.problem.take().map(Box::new);
                        }
                        attempt.observe(|| Step::Noted(&note));
                    }
                    Output::CertificateVerified(verdict) => {
                        log::debug!(
                            target: attempt.log, pair:% = attempt.pair, certificate:% = display::certificate(&verdict); "verified the certificate"
                        );
                        self.problem = verdict.err();
                    }
                    Output::Unsolicited { element } => warn_unsolicited(attempt.log, &attempt.pair, &element),
                    Output::Completed(completed) => return Ok((completed, transport, handshake.is_open())),
                    Output::Failed(failure) => {
                        if matches!(failure.cause, Cause::ExternalRefused(_)) {
                            self.note_dialback_left(&handshake);
                        }
                        hang_up(transport.stream, failure::close_mode(&failure, handshake.is_open()));
                        return Err(self.failed(failure));
                    }
                    // The attempt closes no handshake; it is dropped instead.
                    Output::Ended(_) => return Err(self.broken(None)),
                }
            }
            let mut bytes = BytesMut::with_capacity(READ);
            if handshake.awaits_reason() {
                // The stage stays that of the failure.
                match tokio::time::timeout(REASON, transport.stream.read_buf(&mut bytes)).await {
                    Ok(Ok(1..)) => self.receive(&mut handshake, bytes),
                    _ => handshake.conclude(),
                }
                continue;
            }
            self.stage = handshake.stage();
            entrant.reach(Point::Negotiating(self.address, self.stage));
            let read = tokio::select! {
                biased;
                read = self.read(&mut transport.stream, &mut bytes) => read,
                () = entrant.outrun() => {
                    outrun::close_handshake(handshake, transport.stream);
                    // The visit ends here.
                    return future::pending().await;
                }
            };
            let Some(read) = read else {
                hang_up(transport.stream, CloseMode::AtOnce);
                return Err(AttemptError::TimedOut { at: self.at(), after: ANSWER_WITHIN });
            };
            match read {
                Ok(0) => {
                    self.note_dialback_left(&handshake);
                    hang_up(transport.stream, CloseMode::AtOnce);
                    return Err(self.lost(&handshake, None));
                }
                Ok(_) => self.receive(&mut handshake, bytes),
                Err(error) => {
                    self.note_dialback_left(&handshake);
                    return Err(self.read_error(&handshake, &error));
                }
            }
        }
    }

    /// The plan of the handshake. `direct_tls`: the TLS with which the connection began.
    fn plan(&self, direct_tls: Option<Secured>) -> Plan {
        let attempt = self.attempt;
        let mut policy = attempt.remote.policy.clone();
        if self.entrant.requires_tls() {
            policy.tls = policy::Tls::Required;
        }
        Plan {
            pair: attempt.pair.clone(),
            policy,
            bounds: attempt.bounds,
            direct_tls,
            certificate: attempt.certificate && !self.without_external,
            acks: attempt.ack_options(),
        }
    }

    /// Reads from the peer. `None`: the time for the answer about a lost stream is over.
    async fn read(&mut self, stream: &mut Stream, bytes: &mut BytesMut) -> Option<std::io::Result<usize>> {
        let read = stream.read_buf(bytes);
        if self.stage != Stage::Resumption {
            return Some(read.await);
        }
        let until = *self.answer_by.get_or_insert_with(|| clock::now() + ANSWER_WITHIN);
        tokio::time::timeout(until.saturating_duration_since(clock::now()), read).await.ok()
    }

    /// Logs the authentication, and makes the session.
    pub(super) fn into_session(mut self, transport: Transport, machine: Box<Open>) -> Session {
        let attempt = self.attempt;
        let shown = Protection::of(machine.transport(), &attempt.pair.remote, &attempt.remote.policy);
        log::info!(
            target: attempt.log, pair:% = attempt.pair, address:% = self.address,
            mechanism:% = machine.mechanism(), protocol = shown.protocol,
            cipher = shown.cipher, certificate = shown.certificate.as_str(),
            fingerprint = shown.fingerprint, took:% = millis(self.began);
            "authenticated"
        );
        attempt.count_resumption(machine.resumption());
        attempt.count(Phase::Authenticate, self.usable);
        let text = format!("by {}", machine.mechanism());
        attempt.record(Event::now(EventKind::Authenticated).at(self.address).saying(text));
        attempt.remember_certificate(machine.transport());
        let Transport { stream, expires, peer_chain } = transport;
        Session {
            stream,
            machine,
            trace: mem::replace(&mut self.trace, Trace::new(attempt.log)),
            address: self.address,
            expires,
            peer_chain,
            route: StaticRoute::of(&attempt.remote),
        }
    }

    fn receive(&mut self, handshake: &mut Handshake<G::Handshake>, bytes: BytesMut) {
        let attempt = self.attempt;
        if let Some(shown) = self.trace.received(&bytes) {
            log::trace!(target: attempt.log, pair:% = attempt.pair; "received {shown}");
        }
        attempt.observe(|| Step::Received(&bytes));
        handshake.receive(bytes);
    }

    fn note_dialback_left(&mut self, handshake: &Handshake<G::Handshake>) {
        self.dialback_left = handshake.has_dialback_left();
    }
}

/// Warns about an answer to a question that we did not ask. The remote server has a bug, or the answer is forged.
pub(crate) fn warn_unsolicited(log: &str, pair: &DomainPair, element: &str) {
    log::warn!(target: log, pair:% = pair, element = element; "ignored an unsolicited dialback answer");
}

/// The time for a peer to send its reason after an unexpected answer: a long round trip, and a busy server.
const REASON: Duration = Duration::from_secs(1);

/// The capacity of one read in bytes. The elements of a negotiation are small.
const READ: usize = 4096;

/// The time for a peer to answer the question about a lost stream. COMPAT: Prosody (0.12, 13) does not answer at all, but
/// gives no stream a name either.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
