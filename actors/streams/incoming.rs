//! A stream that another server opened to us: negotiation, the domain pairs that it proves, and the stanzas
//! it brings.

mod acks;
mod certificate;
mod deadlines;
mod drive;
mod log_limits;
mod machine;
mod messages;
mod reading;
mod receipts;
mod show;

use std::{net::SocketAddr, sync::Arc, time::Instant};

use actix::{Actor, ActorContext, AsyncContext, Context, Handler};
use tokio::sync::watch;
use xmpp::{
    Domain, DomainPair,
    policy::Mechanism,
    stanza::Reason,
    stream::{self, Condition, End, receiving::Handshake},
};

use self::{
    acks::Acks, certificate::PeerCertificate, machine::Machine, reading::Reading, receipts::Receipts,
};
pub(crate) use self::{
    log_limits::LogLimits,
    messages::{Adopt, Authorized, Dismiss, Drain, Show},
};
use crate::{
    dial::remote_policy::RemotePolicies,
    flow::{
        batch::ReadPermit,
        close::CloseMode,
        journal::Keeping,
        link,
        outbox::{self, Outbox},
        route::{Ingress, Refuse, Route},
        trace::Trace,
    },
    observe::{
        fingerprints::Fingerprints,
        metrics::{Count, MetricsHandle, Presence},
        recorder::RecorderHandle,
    },
    settings::Remote,
    streams::{
        accepted,
        connection::{self, CLOSE_WITHIN, Connection, Intake, OFFER_AGAIN},
        resumer::Resumer,
        verifier::{self, Verifier},
    },
};
use mailbox::{Mailbox, Outlet, Queued, drain};
use net::{
    stream::Stream,
    stream_id,
    tls::{self, Tls},
};
use status::{display, report::Direction};

/// The mailboxes of the router that a stream reports to.
#[derive(Debug)]
pub(crate) struct Owners {
    /// Stanzas.
    pub routes: Outlet<Route>,
    /// Refused stanzas.
    pub refused: Outlet<Refuse>,
}

/// Shared dependencies of all incoming streams.
#[derive(Clone, Debug)]
pub(crate) struct Environment {
    /// The policies towards remote domains.
    pub policies: RemotePolicies,
    /// Certificates.
    pub tls: Tls,
    /// The mailboxes that streams report to.
    pub owners: Arc<Owners>,
    /// Verifies dialback keys.
    pub verifier: Mailbox<Verifier>,
    /// Remembers the counts of streams that can be resumed.
    pub resumer: Mailbox<Resumer>,
    /// The promise, which tries reachable domains again.
    pub authorized: Outlet<Authorized>,
    /// Keeps the fingerprints of certificates.
    pub fingerprints: Mailbox<Fingerprints>,
    /// Counts TLS sessions, certificate verdicts and authenticated streams.
    pub metrics: MetricsHandle,
    /// The index of the listening socket that accepted the stream.
    pub socket: usize,
    /// The listener, which counts the streams of an address.
    pub ended: Outlet<accepted::Ended>,
    /// The listener, which counts authenticated streams separately.
    pub authenticated: Outlet<accepted::Authenticated>,
    /// Limits of log lines that peers can cause.
    pub log_limits: LogLimits,
    /// The history of remote domains.
    pub recorder: RecorderHandle,
    /// Takes what waits for a while, if there is a journal.
    pub journal: Option<Keeping>,
}

impl Environment {
    fn count_secured(&self, session: &tls::Session) {
        let (direction, version) = (Direction::Incoming, session.protocol.clone());
        self.metrics.count(Count::Secured { direction, version });
    }
}

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
    remote: Remote,
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
        let remote = environment.policies.default_remote().clone();
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
        accepted::Caller { address: self.connection.address, socket: self.environment.socket }
    }

    fn stream_ended(&mut self, end: &End) {
        self.verifying = None;
        if self.connection.end(CloseMode::after(end, self.machine.status().is_open)) {
            self.verify_unopened(end);
            self.log_closed(&end.to_string());
        }
    }

    fn link_ended(&mut self, reason: &str, context: &mut Context<Self>) {
        self.verifying = None;
        if self.connection.cut() {
            self.log_closed(reason);
        }
        while self.report_handled() {}
        if !self.has_passed_on() {
            // The router still has to take the stanzas that were read, or they are not settled and not written.
            context.run_later(OFFER_AGAIN, |incoming, context| incoming.link_ended("", context));
        } else {
            self.part();
            context.stop();
        }
    }

    /// Ends the protocol without the peer's closing tag.
    fn end(&mut self, reason: &str) {
        if self.connection.end(CloseMode::AtOnce) {
            self.log_closed(reason);
        }
    }

    /// The pairs of the stream, or those that it had before a reload that closes it.
    fn pairs(&self) -> &[DomainPair] {
        match self.machine.pairs() {
            [] => &self.withdrawn,
            pairs => pairs,
        }
    }

    fn log_closed(&self, reason: &str) {
        self.record_end(reason);
        if matches!(self.authentication, Authentication::Pending)
            && !self.environment.log_limits.closed.count_line()
        {
            return;
        }
        let pairs = self.pairs();
        let verdict = &self.certificate.verdict;
        log::info!(
            target: LOG, address:% = self.connection.address,
            pair:% = pairs.first().map_or_else(|| "-".to_owned(), ToString::to_string),
            pairs_not_shown = pairs.len().checked_sub(2).map(|more| more + 1), from:% = name(self.machine.status().claimed),
            to:% = name(self.to.as_ref()),
            certificate = verdict.as_ref().map_or_else(|| "-".to_owned(), display::certificate).as_str(), reason = reason,
            acks = self.acks.report().as_str(), stanzas_in = self.intake.stanzas, refused = self.intake.refused,
            lived:% = format_args!("{}s", clock::since(self.connection.since).as_secs());
            "closed"
        );
    }

    /// Closes our side of the stream.
    fn close(&mut self, error: Option<stream::Error>, context: &mut Context<Self>) {
        self.machine.close(error);
        self.drive(&ReadPermit::free(), context);
        connection::limit_closing(CLOSE_WITHIN, context, Self::give_up_on_tag, Self::cut);
    }

    /// Closes the link of a peer that has not answered our closing tag.
    fn give_up_on_tag(&mut self, _: &mut Context<Self>) {
        self.end("the peer did not close its side");
        self.connection.flush();
    }

    fn cut(&mut self, context: &mut Context<Self>) {
        self.link_ended("", context);
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
                if let Some(pause) = pause {
                    connection::pause_reading(permit, pause, context);
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
                if self.environment.log_limits.insecure.count_line() {
                    log::warn!(
                        target: LOG, address:% = self.connection.address, reason:% = error;
                        "TLS handshake failed"
                    );
                }
                self.link_ended(&error.to_string(), context);
            }
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

impl Handler<Queued<Adopt>> for Incoming {
    type Result = ();

    fn handle(&mut self, adopt: Queued<Adopt>, context: &mut Context<Self>) {
        let Adopt { policies, tls } = adopt.into_message();
        if let Some(chain) = &self.certificate.peer_chain {
            self.machine.certificate_verified(tls.verify_chain(chain));
        }
        let pairs = self.machine.pairs().to_vec();
        let forbidden = self.machine.adopt(Arc::clone(policies.rules()));
        if forbidden.is_some() {
            self.withdrawn = pairs;
        }
        (self.environment.policies, self.environment.tls) = (policies, tls);
        if let Some(pair) = self.machine.pairs().first() {
            self.remote = self.environment.policies.remote(&pair.remote).clone();
            self.reading.throttle.set_rate(self.remote.max_rate);
        }
        match forbidden.filter(|_| !self.connection.has_ended()) {
            Some(error) => self.close(Some(error), context),
            // Dialback keys that are being verified may have been refused.
            None => self.drive(&ReadPermit::free(), context),
        }
    }
}

impl Handler<Queued<Drain>> for Incoming {
    type Result = ();

    fn handle(&mut self, drain: Queued<Drain>, context: &mut Context<Self>) {
        let Drain { within, token } = drain.into_message();
        self.draining = Some(token);
        if !self.connection.has_ended() {
            self.close(Some(stream::Error::new(Condition::SystemShutdown, "")), context);
            connection::limit_closing(within / 5 * 4, context, Self::give_up_on_tag, Self::cut);
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.leave_resumer();
        let is_expected = self.machine.status().has_vouched;
        let _ = self.environment.ended.signal(accepted::Ended { caller: self.caller(), is_expected });
    }
}

fn name(domain: Option<&Domain>) -> &str {
    domain.map_or("-", Domain::as_str)
}

const LOG: &str = "nuncio::incoming";
