//! A stream that another server opened to us: negotiation, the domain pairs it proved, reading.

mod deadlines;
mod machine;
mod show;
mod strangers;
mod turn;

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use actix::{Actor, ActorContext, AsyncContext, Context, Handler};
use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use xmpp::{
    Domain,
    certificate::Problem,
    policy::Mechanism,
    stanza::Reason,
    stream::{self, Condition, End, receiving::Handshake},
};

pub use self::strangers::Strangers;
use self::{
    machine::Machine,
    turn::{OFFER_AGAIN, name},
};
use crate::{
    dial::remote_policy::RemotePolicies,
    flow::{
        batch::ReadPermit,
        fan_out::FanOut,
        farewell::Farewell,
        link::{self, Link},
        outbox::{self, Outbox},
        route::{Refuse, Route},
        throttle::{Throttle, UNPRODUCTIVE},
        trace::Trace,
    },
    observe::{
        fingerprints::Fingerprints,
        metrics::{Count, MetricsHandle, Presence},
        recorder::RecorderHandle,
    },
    settings::Remote,
    streams::{
        caller,
        verifier::{self, Verifier},
    },
};
use mailbox::{Mailbox, Meter, Outlet, Queued, drain};
use net::{
    stream::Stream,
    stream_id,
    tls::{self, Tls},
};
use status::{
    display::in_words,
    report::{self, Direction},
};

/// Close the stream: the node stops.
#[derive(Debug)]
pub struct Drain {
    /// How long what is under way is still read.
    pub within: Duration,
    /// Dropped when the stream is over.
    pub token: drain::Token,
}

/// Say how the link is.
#[derive(Debug)]
pub struct Show {
    /// Only if it carries stanzas of this domain.
    pub of: Option<Domain>,
    /// Where the answer goes.
    pub links: mpsc::Sender<report::Link>,
}

/// An operator wants links with this domain closed in good order.
#[derive(Debug)]
pub struct Dismiss {
    /// Whose.
    pub remote: Domain,
    /// Where a stream says that it closes; what is sent is dropped when it is down.
    pub closing: mpsc::Sender<drain::Token>,
    /// To be sent there.
    pub token: drain::Token,
}

/// Go on under these terms, or end where they forbid it.
#[derive(Debug)]
pub struct Adopt {
    /// For remote domains.
    pub terms: RemotePolicies,
    /// Certificates, for TLS that is still to be made.
    pub tls: Tls,
}

/// A remote domain has proved itself on a stream of its own: it is alive.
#[derive(Debug)]
pub struct Authorized {
    /// Which.
    pub remote: Domain,
}

/// The mailboxes that a stream reports to: those of the router.
#[derive(Debug)]
pub struct Owners {
    /// Stanzas.
    pub routes: Outlet<Route>,
    /// Refused stanzas.
    pub refused: Outlet<Refuse>,
}

/// What every incoming stream needs.
#[derive(Clone, Debug)]
pub struct Environment {
    /// On which terms.
    pub terms: RemotePolicies,
    /// Certificates.
    pub tls: Tls,
    /// The mailboxes that it reports to.
    pub owners: Arc<Owners>,
    /// Who asks authoritative servers.
    pub verifier: Mailbox<Verifier>,
    /// Who waits for signs of life: the promise.
    pub authorized: Outlet<Authorized>,
    /// Who remembers certificates.
    pub witness: Mailbox<Fingerprints>,
    /// Who counts.
    pub tally: MetricsHandle,
    /// By which of the listener's sockets it came.
    pub door: usize,
    /// Counts the streams of an address.
    pub ended: Outlet<caller::Ended>,
    /// Counts those that have authenticated apart.
    pub proved: Outlet<caller::Proved>,
    /// Limits what strangers can make the log say.
    pub strangers: Strangers,
    /// What is remembered of remote domains.
    pub notes: RecorderHandle,
}

impl Environment {
    fn count_secured(&self, session: &tls::Session) {
        self.tally
            .count(Count::Secured { direction: Direction::Incoming, version: session.protocol.clone() });
    }
}

/// The actor of one accepted stream.
pub struct Incoming {
    environment: Environment,
    address: SocketAddr,
    own: Mailbox<Self>,
    meter: Arc<Meter>,
    link: Option<Link>,
    machine: Machine,
    trace: Trace,
    outbox: Outbox,
    over: bool,
    /// Whether the peer still has to close its stream, when ours is over.
    farewell: Farewell,
    /// To whom it writes.
    habit: FanOut,
    /// What the router has not taken yet; nothing is read while there is some.
    offered: Option<Route>,
    /// Held while the peer does not read what we answer.
    unread: Option<ReadPermit>,
    to: Option<Domain>,
    /// When the peer's certificate ends.
    expires: Option<SystemTime>,
    /// What the peer showed, for another verdict under other rules.
    evidence: Option<tls::Evidence>,
    since: Instant,
    last_stanza: Instant,
    last_read: Instant,
    /// The terms for the remote, once it is known.
    remote: Remote,
    throttle: Throttle,
    /// For elements that bring no stanza.
    unproductive: Throttle,
    /// The number of the element that has begun and is not whole, and since when.
    unfinished: Option<(u64, Instant)>,
    /// Since when the link has been writing one chunk.
    writing_since: Option<Instant>,
    authorized: bool,
    /// What the peer's certificate is worth to the domain that it calls itself.
    verdict: Option<Result<(), Problem>>,
    /// That was counted.
    judged: bool,
    /// Something was refused, and it is remembered why.
    refused: bool,
    /// Counts it among the authenticated ones.
    presence: Option<Presence>,
    /// By which the last pair was proved.
    mechanism: Option<Mechanism>,
    stanzas_in: u64,
    /// Stanzas that were refused one by one.
    stanzas_refused: u64,
    /// For which reasons, as far as that is remembered: each once.
    refusals_noted: Vec<Reason>,
    bytes_in: u64,
    draining: Option<drain::Token>,
    /// Dropped at the end, so that nobody is asked any more about keys that were shown here.
    asking: Option<watch::Sender<()>>,
}

impl Incoming {
    /// An actor for a stream that has just been accepted; `session` for direct TLS.
    pub fn new(
        environment: Environment,
        stream: Stream,
        mut session: Option<tls::Session>,
        address: SocketAddr,
        since: Instant,
        own: Mailbox<Self>,
        meter: Arc<Meter>,
    ) -> Self {
        let now = clock::now();
        let remote = environment.terms.default_remote().clone();
        session.iter_mut().for_each(|session| environment.tls.update(session));
        let expires = session.as_ref().and_then(|session| session.expires);
        let evidence = session.as_mut().and_then(|session| session.evidence.take());
        session.iter().for_each(|session| environment.count_secured(session));
        let secured = session.map(crate::dial::attempt::secured);
        Self {
            link: Some(Link::start(stream, own.outlet())),
            trace: Trace::new(LOG),
            machine: Machine::Handshake(Box::new(Handshake::new(
                Arc::clone(environment.terms.rules()),
                secured,
                stream_id::source(),
            ))),
            environment,
            address,
            own,
            meter,
            outbox: Outbox::new(outbox::BUDGET),
            over: false,
            farewell: Farewell::Now,
            habit: FanOut::default(),
            offered: None,
            unread: None,
            to: None,
            expires,
            evidence,
            since,
            last_stanza: now,
            last_read: now,
            throttle: Throttle::new(remote.max_rate),
            unproductive: Throttle::new(Some(UNPRODUCTIVE)),
            remote,
            unfinished: None,
            writing_since: None,
            authorized: false,
            verdict: None,
            judged: false,
            refused: false,
            presence: None,
            mechanism: None,
            stanzas_in: 0,
            stanzas_refused: 0,
            refusals_noted: Vec::new(),
            bytes_in: 0,
            draining: None,
            asking: None,
        }
    }

    fn caller(&self) -> caller::Caller {
        caller::Caller { address: self.address, door: self.environment.door }
    }

    fn transmit(&mut self, bytes: Bytes) {
        if let Some(shown) = self.trace.sent(&bytes) {
            log::trace!(target: LOG, address:% = self.address; "sent {shown}");
        }
        self.outbox.push_raw(bytes);
    }

    fn feed_link(&mut self) {
        let Some(link) = &self.link else { return };
        if let Some(chunk) = self.outbox.next_chunk() {
            self.writing_since = Some(clock::now());
            link.write(chunk);
        } else if self.over && self.outbox.is_empty() {
            link.close(self.farewell);
        }
    }

    fn secured(&mut self, mut session: tls::Session, context: &mut Context<Self>) {
        self.environment.tls.update(&mut session);
        self.evidence = session.evidence.take();
        if self.environment.strangers.secured.permits() {
            let claimed = self.machine.claimed();
            let certificate = match (&session.certificate, claimed) {
                (None, _) => "none shown".to_owned(),
                (Some(_), None) => "shown".to_owned(),
                (Some(certificate), Some(remote)) => {
                    in_words(&certificate.proves(remote, self.environment.terms.remote(remote).policy.trust))
                }
            };
            log::info!(
                target: LOG, address:% = self.address, from:% = name(claimed), to:% = name(self.to.as_ref()),
                protocol = session.protocol.as_str(), cipher = session.cipher.as_str(),
                sni = session.sni.as_deref().unwrap_or("-"), certificate = certificate.as_str();
                "secured"
            );
        }
        self.environment.count_secured(&session);
        self.expires = session.expires;
        self.machine.secured(crate::dial::attempt::secured(session));
        self.turn(&ReadPermit::free(), context);
    }

    fn stream_ended(&mut self, end: &End) {
        self.asking = None;
        if !self.over {
            self.over = true;
            self.farewell = Farewell::after(end, self.machine.is_open());
            self.judge_unopened(end);
            self.log_closed(&end.to_string());
        }
    }

    fn link_ended(&mut self, reason: &str, context: &mut Context<Self>) {
        self.asking = None;
        if !self.over {
            self.over = true;
            self.log_closed(reason);
        }
        self.link = None;
        if self.offered.is_none() {
            context.stop();
        } else {
            // What was read is still owed to the router.
            context.run_later(OFFER_AGAIN, |incoming, context| incoming.link_ended("", context));
        }
    }

    fn log_closed(&self, reason: &str) {
        self.note_end(reason);
        if !self.authorized && !self.environment.strangers.closed.permits() {
            return;
        }
        let pairs = self.machine.pairs();
        log::info!(
            target: LOG, address:% = self.address,
            pair:% = pairs.first().map_or_else(|| "-".to_owned(), ToString::to_string),
            pairs_not_shown = pairs.len().saturating_sub(1), from:% = name(self.machine.claimed()),
            to:% = name(self.to.as_ref()),
            certificate = self.verdict.as_ref().map_or_else(|| "-".to_owned(), in_words).as_str(), reason = reason,
            stanzas_in = self.stanzas_in, refused = self.stanzas_refused, lived:% = format_args!("{}s", clock::since(self.since).as_secs());
            "closed"
        );
    }

    fn close(&mut self, error: Option<stream::Error>, context: &mut Context<Self>) {
        self.machine.close(error);
        self.turn(&ReadPermit::free(), context);
        context.run_later(CLOSE_WITHIN, |incoming, context| incoming.give_up_on_tag(context));
    }

    /// Closes the transport of a peer that has not answered our closing tag.
    fn give_up_on_tag(&mut self, context: &mut Context<Self>) {
        let reason = "the peer did not close its side";
        if !self.over {
            self.over = true;
            self.log_closed(reason);
        }
        self.feed_link();
        context.run_later(PARTING, |incoming, context| incoming.link_ended("", context));
    }
}

impl Actor for Incoming {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        let Remote { handshake_timeout, keepalive, idle_timeout, element_timeout, write_timeout, .. } =
            self.remote;
        log::debug!(target: LOG, address:% = self.address; "accepted");
        let left = handshake_timeout.saturating_sub(clock::since(self.since));
        context.run_later(left, move |incoming, context| {
            if incoming.machine.is_verifying() {
                // Our question has a time limit of its own, and the peer is to hear what came of it (XEP-0220 2.5).
                context.run_later(handshake_timeout + ANSWERED_WITHIN, Self::demand_authentication);
            } else {
                incoming.demand_authentication(context);
            }
        });
        let tick = keepalive.min(idle_timeout).min(element_timeout).min(write_timeout) / 2;
        context.run_interval(tick.clamp(TICK_AT_LEAST, TICK_AT_MOST), Self::tick);
        self.turn(&ReadPermit::free(), context);
    }
}

impl Handler<Queued<link::Event>> for Incoming {
    type Result = ();

    fn handle(&mut self, event: Queued<link::Event>, context: &mut Context<Self>) {
        match event.open() {
            link::Event::Received { bytes, pass } => {
                if let Some(shown) = self.trace.received(&bytes) {
                    log::trace!(target: LOG, address:% = self.address; "received {shown}");
                }
                self.last_read = clock::now();
                self.bytes_in += bytes.len() as u64;
                let paused = self.throttle.take(bytes.len(), self.last_read);
                self.machine.receive(bytes);
                self.turn(&pass, context);
                let paused =
                    paused.max(self.unproductive.take(self.machine.take_unproductive(), self.last_read));
                self.watch_element(paused);
                if let Some(pause) = paused {
                    context.run_later(pause, move |_, _| drop(pass));
                }
            }
            link::Event::Written => {
                self.outbox.written(clock::now());
                self.writing_since = None;
                if self.outbox.has_room() {
                    self.unread = None;
                }
                self.feed_link();
            }
            link::Event::Secured(Ok(session)) => self.secured(*session, context),
            link::Event::Secured(Err(error)) => {
                if self.environment.strangers.insecure.permits() {
                    log::warn!(target: LOG, address:% = self.address, reason:% = error; "no TLS");
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
        let verifier::Verified { request, answer } = verified.open();
        self.machine.verified(&request, answer);
        self.turn(&ReadPermit::free(), context);
    }
}

impl Handler<Queued<Adopt>> for Incoming {
    type Result = ();

    fn handle(&mut self, adopt: Queued<Adopt>, context: &mut Context<Self>) {
        let Adopt { terms, tls } = adopt.open();
        if let Some(evidence) = &self.evidence {
            self.machine.judged(tls.judge(evidence));
        }
        let forbidden = self.machine.adopt(Arc::clone(terms.rules()));
        (self.environment.terms, self.environment.tls) = (terms, tls);
        if let Some(pair) = self.machine.pairs().first() {
            self.remote = self.environment.terms.remote(&pair.remote).clone();
            self.throttle.set_rate(self.remote.max_rate);
        }
        match forbidden.filter(|_| !self.over) {
            Some(error) => self.close(Some(error), context),
            // Keys under verification may have been refused.
            None => self.turn(&ReadPermit::free(), context),
        }
    }
}

impl Handler<Queued<Drain>> for Incoming {
    type Result = ();

    fn handle(&mut self, drain: Queued<Drain>, context: &mut Context<Self>) {
        let Drain { within, token } = drain.open();
        self.draining = Some(token);
        if !self.over {
            self.close(Some(stream::Error::new(Condition::SystemShutdown, "")), context);
            context.run_later(within / 5 * 4, |incoming, context| incoming.give_up_on_tag(context));
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.meter.count_if_panicking();
        let is_expected = self.machine.has_vouched();
        let _ = self.environment.ended.signal(caller::Ended { caller: self.caller(), is_expected });
    }
}

const LOG: &str = "nuncio::incoming";

/// What may pass beyond the time of a question until its answer is here.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);

/// How long a peer may take to answer our closing tag.
pub(crate) const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// How long a peer that has not answered it gets to read what is left.
const PARTING: Duration = Duration::from_millis(300);

/// Idleness and silence are looked for this often, depending on how long they are to last.
const TICK_AT_LEAST: Duration = Duration::from_millis(100);
const TICK_AT_MOST: Duration = Duration::from_secs(15);
