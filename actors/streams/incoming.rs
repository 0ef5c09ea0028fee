//! A stream that another server opened to us: negotiation, the domain pairs that it proves, and the stanzas
//! it brings.

mod acks;
mod certificate;
mod closing;
mod deadlines;
mod drive;
mod environment;
mod log_limits;
mod machine;
mod messages;
mod reading;
mod receipts;
mod reload;
mod show;

use std::{net::SocketAddr, sync::Arc, time::Instant};

use actix::{Actor, AsyncContext, Context, Handler};
use tokio::sync::watch;
use xmpp::{Domain, DomainPair, policy::Mechanism, stanza::Reason, stream::receiving::Handshake};

use self::{
    acks::Acks, certificate::PeerCertificate, machine::Machine, reading::Reading, receipts::Receipts,
};
pub(crate) use self::{
    deadlines::stalled,
    environment::{Environment, Owners},
    log_limits::LogLimits,
    messages::{Adopt, Authorized, Dismiss, Drain, MakeRoom, Show},
};
use crate::{
    flow::{
        batch::ReadPermit,
        link,
        outbox::{self, Outbox},
        route::Ingress,
        trace::Trace,
    },
    observe::metrics::{Count, Presence},
    settings::Remote,
    streams::{
        accepted,
        connection::{Connection, Intake},
        verifier,
    },
};
use mailbox::{Mailbox, Queued, drain};
use net::{stream::Stream, stream_id, tls};
use status::report::Direction;

/// The actor of one accepted stream.
pub(crate) struct Incoming {
    environment: Environment,
    own: Mailbox<Self>,
    connection: Connection,
    machine: Machine,
    intake: Intake,
    reading: Reading,
    acks: Acks,
    /// The peer has requested an ack, which waits until the router has taken everything that was read before.
    ack_due: bool,
    receipts: Receipts,
    authentication: Authentication,
    certificate: PeerCertificate,
    /// The policy for the remote: the default one until the remote has authenticated.
    remote: Arc<Remote>,
    /// The pairs before a reload that closes the stream: the machine drops those that the policy forbids.
    withdrawn: Vec<DomainPair>,
    /// Our domain that the peer wants.
    to: Option<Domain>,
    refusals: Refusals,
    /// Dropped with the actor.
    draining: Option<drain::Token>,
    /// Dropped at the end of the stream: that cancels the verification of dialback keys that were shown on
    /// it.
    verifying: Option<watch::Sender<()>>,
}

/// Whether the peer has authenticated.
enum Authentication {
    /// It has not.
    Pending,
    /// It has proved at least one domain pair.
    Done {
        /// The mechanism that proved the last pair.
        mechanism: Mechanism,
        /// Counts the stream as authenticated until it is dropped.
        _presence: Presence,
    },
}

/// Refusals that are in the history of the remote domain.
#[derive(Default)]
struct Refusals {
    /// A request of the peer was refused, and the history has the reason.
    is_recorded: bool,
    /// The reasons for refused stanzas, each once.
    stanzas: Vec<Reason>,
}

impl Incoming {
    /// An actor for a stream that was accepted at `since`. With direct TLS it has a `session` already.
    pub(crate) fn new(
        environment: Environment,
        stream: Stream,
        mut session: Option<tls::Session>,
        address: SocketAddr,
        since: Instant,
        own: Mailbox<Self>,
    ) -> Self {
        let remote = Arc::clone(environment.policies.default_remote());
        let mut certificate = PeerCertificate::default();
        if let Some(session) = &mut session {
            environment.tls.update(session);
            environment.count_secured(session);
            certificate = PeerCertificate::of(session);
        }
        let secured = session.map(crate::dial::attempt::secured);
        let outbox = Outbox::new(outbox::BUDGET);
        Self {
            connection: Connection::start(stream, address, since, own.outlet(), Trace::new(LOG), outbox),
            machine: Machine::Handshake(Box::new(Handshake::new(
                Arc::clone(environment.policies.rules()),
                secured,
                stream_id::source(),
            ))),
            intake: Intake::new(Ingress::Remote),
            reading: Reading::new(remote.max_rate),
            acks: Acks::default(),
            ack_due: false,
            receipts: Receipts::new(environment.journal.as_ref(), own.outlet()),
            authentication: Authentication::Pending,
            certificate,
            remote,
            withdrawn: Vec::new(),
            to: None,
            refusals: Refusals::default(),
            draining: None,
            verifying: None,
            environment,
            own,
        }
    }

    fn caller(&self) -> accepted::Caller {
        let peer = accepted::Peer::Tcp(self.connection.address);
        accepted::Caller { peer, socket: self.environment.socket }
    }

    /// The pairs of the stream, or those that it had before a reload that closes it.
    fn pairs(&self) -> &[DomainPair] {
        match self.machine.pairs() {
            [] => &self.withdrawn,
            pairs => pairs,
        }
    }
}

impl Actor for Incoming {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        log::debug!(target: LOG, address:% = self.connection.address; "accepted");
        self.watch_deadlines(context);
        self.drive(&ReadPermit::free(), context);
    }
}

impl Handler<Queued<link::Event>> for Incoming {
    type Result = ();

    fn handle(&mut self, event: Queued<link::Event>, context: &mut Context<Self>) {
        match event.into_message() {
            link::Event::Received { bytes, permit } => {
                if let Some(shown) = self.connection.received(&bytes) {
                    log::trace!(target: LOG, address:% = self.connection.address; "received {shown}");
                }
                self.reading.last = clock::now();
                let pause = self.reading.throttle.take(bytes.len(), self.reading.last);
                self.machine.receive(bytes);
                self.drive(&permit, context);
                let pause = pause.max(self.intake.pause_after(self.machine.take_unproductive()));
                self.reading.watch_element(&self.machine, pause);
                if let Some(pause) = pause.filter(|_| !self.reading.is_peer_gone) {
                    self.reading.paused = Some(permit);
                    self.connection.watch_end();
                    context.run_later(pause, |incoming, _| incoming.reading.paused = None);
                }
            }
            link::Event::Written => {
                self.connection.written();
                if self.connection.outbox.has_room() {
                    self.reading.unread = None;
                }
                self.connection.flush();
            }
            link::Event::Secured(Ok(session)) => self.secured(*session, context),
            link::Event::Secured(Err(error)) => {
                let (direction, kind) = (Direction::Incoming, error.as_str());
                self.environment.metrics.count(Count::TlsFailed { direction, kind });
                if self.environment.log_limits.insecure.count_line() {
                    log::warn!(
                        target: LOG, address:% = self.connection.address, reason:% = error;
                        "TLS handshake failed"
                    );
                }
                self.link_ended(&error.to_string(), context);
            }
            link::Event::PeerEnded { .. } => self.reading.read_rest(),
            link::Event::Eof => self.link_ended("the peer closed the connection", context),
            link::Event::Ended { error, .. } => {
                let reason = error.map_or_else(|| "closed".to_owned(), |error| error.to_string());
                self.link_ended(&reason, context);
            }
        }
    }
}

impl Handler<Queued<verifier::Verified>> for Incoming {
    type Result = ();

    fn handle(&mut self, verified: Queued<verifier::Verified>, context: &mut Context<Self>) {
        let verifier::Verified { request, answer } = verified.into_message();
        self.machine.verified(&request, answer);
        self.drive(&ReadPermit::free(), context);
    }
}

fn name(domain: Option<&Domain>) -> &str {
    domain.map_or("-", Domain::as_str)
}

const LOG: &str = "nuncio::incoming";
