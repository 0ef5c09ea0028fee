//! One domain pair's way out: makes the attempt, then owns the authenticated stream and what waits to be written to it.
//!
//! What happens to a stanza is decided by one enum, as in ejabberd's `s2s_out`: while the promise hands over what
//! waited, the router's own stanzas are held; then everything is sent; after the end everything is kept to be given
//! back. The whole story of the three actors is told in the crate's documentation.

mod answers;
mod attempting;
mod blame;
mod change;
mod deadlines;
mod ending;
mod show;
mod writing;

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use actix::{Actor, ActorContext, Context, Handler, SpawnHandle};
use tokio::{sync::mpsc, task::AbortHandle};
use xmpp::{
    DomainPair,
    policy::Mechanism,
    stream::{
        self,
        initiating::{Open as Machine, open::Output},
    },
};

pub use self::attempting::GiveWay;
use self::{
    answers::Inbound,
    ending::{Ending, WHOLE_CHUNK},
};
pub use crate::dial::attempt::Adopt;
use crate::{
    dial::{
        attempt::{self, PendingDial, Session, StaticRoute},
        error::AttemptError,
    },
    flow::{
        batch::{Batch, ReadPermit},
        farewell::Farewell,
        link::{self, Link},
        outbox::{self, Alarm, Outbox},
        route::{Return, Route},
        trace::Trace,
    },
    observe::recorder::RecorderHandle,
};
use mailbox::{Mailbox, Meter, Outlet, Queued, drain};
use net::tls;
use status::{event::Event, report};

/// Write this before anything that the router sends: it has waited in the promise.
#[derive(Debug)]
pub struct SendFirst {
    /// To the remote domain of the pair.
    pub batch: Batch,
}

/// All that waited has been sent: what comes from the router may pass.
#[derive(Debug)]
pub struct Open;

/// Write this.
#[derive(Debug)]
pub struct Send {
    /// To the remote domain of the pair.
    pub batch: Batch,
}

/// Nobody will send anything more: give back what is left, and stop.
#[derive(Debug)]
pub struct Retire;

/// The node stops: empty the outbox, and answer what comes faster than it can be written. Past the deadline give up the
/// link, so that what is left can be answered too.
#[derive(Debug)]
pub struct Flush {
    /// How long that may take.
    pub within: Duration,
    /// Dropped when nothing waits any more: written, or given back and dealt with.
    pub token: drain::Token,
}

/// What is not written by now is given back.
#[derive(Debug)]
pub struct Abandon {
    /// Dropped when it has been dealt with.
    pub token: drain::Token,
}

/// Close the stream in good order.
#[derive(Debug)]
pub struct Finish {
    /// How long what is left may take to be written, and the peer to close its side.
    pub within: Duration,
    /// Dropped when the link is down.
    pub token: drain::Token,
}

/// Say how the link is.
#[derive(Debug)]
pub struct Show {
    /// Where the answer goes.
    pub links: mpsc::Sender<report::Link>,
}

/// An operator wants the link closed in good order.
#[derive(Debug)]
pub struct Dismiss {
    /// Dropped when it is down.
    pub token: drain::Token,
}

/// The rules are others now, and forbid this link: close it.
#[derive(Debug)]
pub struct Forbid;

/// The attempt succeeded.
#[derive(Debug)]
pub struct Established {
    /// Whose.
    pub pair: DomainPair,
    /// Where stanzas go from now on.
    pub session: Mailbox<Outgoing>,
}

/// The attempt failed; the actor is gone.
#[derive(Debug)]
pub struct Failed {
    /// Whose.
    pub pair: DomainPair,
    /// Why.
    pub failure: AttemptError,
}

/// The stream takes no more stanzas: whatever still arrives is given back after [`Retire`].
#[derive(Debug)]
pub struct Closed {
    /// Whose.
    pub pair: DomainPair,
    /// Which session.
    pub session: Mailbox<Outgoing>,
}

/// What a session that retires had not written, in order.
#[derive(Debug)]
pub struct Returned {
    /// Whose.
    pub pair: DomainPair,
    /// To be delivered before everything that came later.
    pub batches: Vec<Batch>,
    /// How long the stream stood, unless we ended it ourselves because it was idle.
    pub lived: Option<Duration>,
    /// It ended without closing tags on both sides.
    pub cut: bool,
    /// Of those who wait for the end of this session: dropped when all that it left has been answered or waits again.
    pub tokens: Vec<drain::Token>,
}

impl Returned {
    /// What a session gives back that has panicked.
    pub fn nothing(pair: DomainPair, lived: Option<Duration>) -> Self {
        Self { pair, batches: Vec::new(), lived, cut: true, tokens: Vec::new() }
    }
}

/// Whom a session reports to.
#[derive(Clone, Debug)]
pub struct Owners {
    /// Permits that the attempt waits for: the promise.
    pub attempt: attempt::Owner,
    /// The attempt's end: the promise.
    pub established: Outlet<Established>,
    /// The promise.
    pub failed: Outlet<Failed>,
    /// The router.
    pub closed: Outlet<Closed>,
    /// The promise.
    pub returned: Outlet<Returned>,
    /// Error answers: the router.
    pub bounces: Outlet<Return>,
    /// Error stanzas of the peer: the router.
    pub routes: Outlet<Route>,
    /// What is remembered of the remote domain.
    pub notes: RecorderHandle,
}

/// The actor of one domain pair.
pub struct Outgoing {
    pair: DomainPair,
    own: Mailbox<Self>,
    owners: Owners,
    meter: Arc<Meter>,
    dialling: Option<PendingDial>,
    /// Ends the attempt that is being made.
    attempt: Option<AbortHandle>,
    idle_timeout: Duration,
    keepalive: Duration,
    write_timeout: Duration,
    /// The peer's certificate has to be good, whatever authenticates.
    strict: bool,
    /// Came while the attempt was made under the terms before.
    adopted: Option<Adopt>,
    /// Looks at deadlines.
    ticking: Option<SpawnHandle>,
    on_route: OnRoute,
    wire: Option<Wire>,
    outbox: Outbox,
    /// When the patience with a full outbox is looked at.
    alarm: Alarm,
    /// Came when it could no longer be written; given back in the end, in order.
    leftovers: Vec<Batch>,
    /// The node stops: what does not go out at once is answered while somebody is there to hear it.
    stopping: bool,
    flushing: Vec<drain::Token>,
    finishing: Vec<drain::Token>,
    end: Option<Ending>,
}

/// What becomes of a stanza from the router.
enum OnRoute {
    /// The promise is still handing over what waited: held, with its pass.
    Hold(Vec<Batch>),
    /// Written, or kept when the stream has ended.
    Pass,
}

/// The stream while the link stands.
struct Wire {
    link: Link,
    machine: Box<Machine>,
    trace: Trace,
    max_stanza: Option<usize>,
    address: SocketAddr,
    mechanism: Mechanism,
    bytes_in: u64,
    inbound: Inbound,
    since: Instant,
    last_stanza: Instant,
    last_write: Instant,
    /// When the peer's certificate expires.
    expires: Option<SystemTime>,
    /// What the peer showed, for another verdict under other rules.
    evidence: Option<tls::Evidence>,
    /// Where the configuration sent the attempt.
    route: Option<StaticRoute>,
    /// When the peer closes an idle stream, with something to spare (XEP-0478).
    peer_idles: Option<Duration>,
    /// Since when the link has been writing one chunk.
    writing_since: Option<Instant>,
    /// The protocol is done; the link is closed once the outbox is empty.
    over: bool,
    /// Whether the peer still has to close its stream then.
    farewell: Farewell,
}

impl Outgoing {
    /// An actor that makes the attempt as soon as it runs.
    pub fn new(
        pair: DomainPair,
        dialling: PendingDial,
        owners: Owners,
        own: Mailbox<Self>,
        meter: Arc<Meter>,
    ) -> Self {
        Self {
            pair,
            own,
            owners,
            meter,
            idle_timeout: dialling.idle_timeout,
            keepalive: dialling.keepalive,
            write_timeout: dialling.write_timeout,
            strict: dialling.strict,
            adopted: None,
            ticking: None,
            dialling: Some(dialling),
            attempt: None,
            on_route: OnRoute::Hold(Vec::new()),
            wire: None,
            outbox: Outbox::new(outbox::BUDGET),
            alarm: Alarm::default(),
            leftovers: Vec::new(),
            stopping: false,
            flushing: Vec::new(),
            finishing: Vec::new(),
            end: None,
        }
    }

    fn establish(&mut self, session: Session, context: &mut Context<Self>) {
        let now = clock::now();
        // XEP-0478: the peer closes then. Ours has to come first, or a stanza may meet a closing stream.
        let idle_seconds = session.machine.idle_seconds();
        let peer_idles = idle_seconds.map(|seconds| Duration::from_secs(seconds).mul_f32(0.9));
        self.idle_timeout = self.idle_timeout.min(peer_idles.unwrap_or(Duration::MAX));
        self.wire = Some(Wire {
            link: Link::start(session.stream, self.own.outlet()),
            trace: session.trace,
            max_stanza: session.machine.max_stanza(),
            address: session.address,
            mechanism: session.machine.mechanism(),
            machine: session.machine,
            bytes_in: 0,
            inbound: Inbound::default(),
            since: now,
            last_stanza: now,
            last_write: now,
            expires: session.expires,
            evidence: session.evidence,
            route: session.route,
            peer_idles,
            writing_since: None,
            over: false,
            farewell: Farewell::Now,
        });
        self.watch_deadlines(context);
        let established = Established { pair: self.pair.clone(), session: self.own.clone() };
        if self.owners.established.signal(established).is_err() {
            context.stop();
            return;
        }
        self.turn(&ReadPermit::free(), context);
        if let Some(adopt) = self.adopted.take() {
            self.adopt(&adopt, context);
        }
    }

    /// Lets the machine say what is to be done, then gives the link what waits.
    fn turn(&mut self, pass: &ReadPermit, context: &mut Context<Self>) {
        let mut answers = Vec::new();
        while let Some(output) = self.wire.as_mut().and_then(|wire| wire.machine.poll()) {
            match output {
                Output::Transmit(bytes) => {
                    if let Some(shown) = self.wire.as_mut().and_then(|wire| wire.trace.sent(&bytes)) {
                        log::trace!(target: LOG, pair:% = self.pair; "sent {shown}");
                    }
                    self.outbox.push_raw(bytes);
                }
                Output::Unasked { element } => crate::dial::attempt::warn_unasked(LOG, &self.pair, &element),
                Output::Answer(stanza) => answers.push(stanza),
                Output::Stray(stray) => self.drop_stray(stray),
                Output::Ended(end) => {
                    self.pass_on(std::mem::take(&mut answers), pass);
                    self.stream_ended(&end, context);
                }
            }
        }
        self.pass_on(answers, pass);
        self.feed_link();
    }

    fn feed_link(&mut self) {
        let Some(wire) = &mut self.wire else { return };
        if let Some(chunk) = self.outbox.next_chunk() {
            let now = clock::now();
            wire.last_write = now;
            wire.writing_since = Some(now);
            wire.link.write(chunk);
        }
        if self.outbox.is_empty() {
            self.flushing.clear();
            if wire.over {
                wire.link.close(wire.farewell);
            }
        }
    }

    fn note(&self, event: Event) {
        self.owners.notes.note(&self.pair.remote, event.with(&self.pair.local));
    }
}

impl Actor for Outgoing {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Context<Self>) {
        self.begin();
    }
}

impl Handler<Queued<SendFirst>> for Outgoing {
    type Result = ();

    fn handle(&mut self, send: Queued<SendFirst>, _: &mut Context<Self>) {
        let SendFirst { batch } = send.open();
        self.write_first(batch);
    }
}

impl Handler<Queued<Open>> for Outgoing {
    type Result = ();

    fn handle(&mut self, open: Queued<Open>, context: &mut Context<Self>) {
        open.open();
        if let OnRoute::Hold(held) = std::mem::replace(&mut self.on_route, OnRoute::Pass) {
            for batch in held {
                self.write(batch, context);
            }
        }
        self.report_end(context);
    }
}

impl Handler<Queued<Send>> for Outgoing {
    type Result = ();

    fn handle(&mut self, send: Queued<Send>, context: &mut Context<Self>) {
        let Send { batch } = send.open();
        match &mut self.on_route {
            OnRoute::Hold(held) => held.push(batch),
            OnRoute::Pass => self.write(batch, context),
        }
    }
}

impl Handler<Queued<Retire>> for Outgoing {
    type Result = ();

    fn handle(&mut self, retire: Queued<Retire>, context: &mut Context<Self>) {
        retire.open();
        if let Some(end) = &mut self.end {
            end.retired = true;
        }
        self.give_back(context);
    }
}

impl Handler<Queued<Flush>> for Outgoing {
    type Result = ();

    fn handle(&mut self, flush: Queued<Flush>, context: &mut Context<Self>) {
        let Flush { within, token } = flush.open();
        self.stopping = true;
        if self.outbox.is_empty() {
            return;
        }
        self.flushing.push(token);
        self.expect_progress(within, context);
    }
}

impl Handler<Queued<Abandon>> for Outgoing {
    type Result = ();

    fn handle(&mut self, abandon: Queued<Abandon>, context: &mut Context<Self>) {
        let Abandon { token } = abandon.open();
        if !self.outbox.is_empty() {
            self.flushing.push(token);
            self.link_ended(
                WHOLE_CHUNK,
                "this server is being stopped and the peer reads too slowly",
                context,
            );
        }
    }
}

impl Handler<Queued<Finish>> for Outgoing {
    type Result = ();

    fn handle(&mut self, finish: Queued<Finish>, context: &mut Context<Self>) {
        let Finish { within, token } = finish.open();
        if self.wire.is_none() {
            return;
        }
        self.finishing.push(token);
        if self.end.is_none() {
            let error = stream::Error::new(stream::Condition::SystemShutdown, "");
            self.close_stream(Some(error), "this server is being stopped", context);
            self.end_link_in(within, context);
        }
    }
}

impl Handler<Queued<Forbid>> for Outgoing {
    type Result = ();

    fn handle(&mut self, forbid: Queued<Forbid>, context: &mut Context<Self>) {
        forbid.open();
        if self.end.is_none() && self.wire.is_some() {
            let error = stream::Error::new(stream::Condition::PolicyViolation, "not federated with any more");
            self.close_stream(Some(error), "the new configuration forbids it", context);
        }
    }
}

impl Handler<Queued<link::Event>> for Outgoing {
    type Result = ();

    fn handle(&mut self, event: Queued<link::Event>, context: &mut Context<Self>) {
        match event.open() {
            link::Event::Received { bytes, pass } => {
                if let Some(wire) = &mut self.wire {
                    if let Some(shown) = wire.trace.received(&bytes) {
                        log::trace!(target: LOG, pair:% = self.pair; "received {shown}");
                    }
                    wire.bytes_in += bytes.len() as u64;
                    wire.machine.receive(bytes);
                }
                self.turn(&pass, context);
                self.read_on(pass, context);
            }
            link::Event::Written => {
                self.outbox.written(clock::now());
                if let Some(wire) = &mut self.wire {
                    wire.writing_since = None;
                }
                self.feed_link();
                self.give_back(context);
            }
            link::Event::Eof => self.link_ended(WHOLE_CHUNK, "the peer closed the connection", context),
            link::Event::Secured(_) => {}
            link::Event::Ended { written, error } => {
                let reason = error.map_or_else(|| "closed".to_owned(), |error| error.to_string());
                self.link_ended(written, &reason, context);
            }
        }
    }
}

impl Drop for Outgoing {
    /// A panic costs this stream and no more: whoever waits for its end hears of it.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        self.meter.count_if_panicking();
        if let Some(end) = self.end.as_ref().filter(|end| end.reported && !end.returned) {
            // The router knows of the end, and has forgotten it or will find it gone; the promise waits, or does not mind.
            let nothing = Returned::nothing(self.pair.clone(), Some(end.lived));
            let _ = self.owners.returned.signal(nothing);
        } else if self.wire.is_none() && self.end.is_none() {
            let _ =
                self.owners.failed.signal(Failed { pair: self.pair.clone(), failure: AttemptError::Crashed });
        } else {
            let _ = self.owners.closed.signal(Closed { pair: self.pair.clone(), session: self.own.clone() });
        }
    }
}

const LOG: &str = "nuncio::outgoing";
