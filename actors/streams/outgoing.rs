//! The outgoing session of one domain pair: makes the attempt, then owns the authenticated stream and its
//! outbox.
//!
//! While the promise hands over what waited, stanzas from the router are held. Then they are written. While the peer
//! reads slowly, they wait in the promise. After the end of the stream they are kept, and given back when the router
//! has sent its last. The crate's documentation draws the protocol between router, promise and session.

mod acks;
mod attempt;
mod closing;
mod deadlines;
mod inbound;
mod journal;
mod last_ack;
mod leftovers;
mod loss_answers;
mod messages;
mod portions;
mod reload;
mod show;
mod shutdown;
mod supply;
mod writing;

use std::time::{Duration, SystemTime};

use actix::{Actor, ActorContext, Context, Handler, SpawnHandle};
use tokio::task::AbortHandle;
use xmpp::{
    DomainPair,
    stream::{
        self,
        initiating::{self, open::Output},
    },
};

pub(crate) use self::messages::{
    Abandon, Closed, Congested, Dismiss, Established, Failed, Finish, Flush, Forbid, GiveWay, GivenBack,
    Handled, Interruption, Open, Pull, Requested, Retire, Returned, Send, SendFirst, SendPortion, Show,
    Stopped,
};
use self::{
    closing::{Ending, Handback, Redial},
    deadlines::Limits,
    inbound::Inbound,
    last_ack::LastAck,
    leftovers::Leftovers,
    shutdown::{Phase, Shutdown},
    supply::{Asks, Supply},
};
pub(crate) use crate::dial::attempt::Adopt;
use crate::{
    dial::{
        attempt::{Lost, Owner as AttemptOwner, PendingDial, StaticRoute},
        error::AttemptError,
    },
    flow::{
        batch::ReadPermit,
        journal::Keeping,
        link,
        outbox::Timer,
        route::{Return, Route},
    },
    observe::{metrics::MetricsHandle, recorder::RecorderHandle},
    streams::connection::{Connection, WHOLE_CHUNK},
};
use mailbox::{Mailbox, Outlet, Queued};
use net::tls;
use status::event::Event;

/// The mailboxes that a session reports to.
#[derive(Clone, Debug)]
pub struct Owners {
    /// The promise, while the attempt waits for a permit.
    pub attempt: AttemptOwner,
    /// A successful attempt: the promise.
    pub established: Outlet<Established>,
    /// A failed attempt: the promise.
    pub failed: Outlet<Failed>,
    /// The end of the stream: the router.
    pub closed: Outlet<Closed>,
    /// A full outbox: the router.
    pub congested: Outlet<Congested>,
    /// Room for a portion: the promise.
    pub requested: Outlet<Requested>,
    /// Stanzas that a peer does not read: the promise.
    pub given_back: Outlet<GivenBack>,
    /// The end of the stream while the promise sends portions: the promise.
    pub stopped: Outlet<Stopped>,
    /// Stanzas that were not written: the promise.
    pub returned: Outlet<Returned>,
    /// Error answers: the router.
    pub bounces: Outlet<Return>,
    /// Error stanzas of the peer: the router.
    pub routes: Outlet<Route>,
    /// The history of the remote domain.
    pub recorder: RecorderHandle,
    /// Takes what waits for a while; `None`: it is in memory only.
    pub journal: Option<Keeping>,
}

/// The actor of one domain pair.
pub struct Outgoing {
    pair: DomainPair,
    own: Mailbox<Self>,
    owners: Owners,
    metrics: MetricsHandle,
    limits: Limits,
    /// The timer for the deadlines.
    ticking: Option<SpawnHandle>,
    /// The timer of the checks of unacknowledged stanzas.
    look_timer: Timer,
    /// The timer for a look at a peer that reads slowly.
    stall_timer: Timer,
    /// The timer for stanzas that the journal is to get.
    journal_timer: Timer,
    state: State,
    supply: Supply,
    /// The bytes that the link had written at the last look at a peer that reads slowly.
    written_before: u64,
    leftovers: Leftovers,
    shutdown: Shutdown,
}

/// The state of the stream.
enum State {
    /// The actor has not started.
    New(PendingDial),
    /// An attempt is being made.
    Dialing {
        /// Ends the attempt.
        attempt: AbortHandle,
        /// The configuration that came meanwhile; the attempt runs under the one before.
        adopted: Option<Adopt>,
        /// The lost stream that it asks for.
        lost: Option<Lost>,
    },
    /// The stream takes stanzas.
    Open(Session),
    /// The stream takes no more stanzas; the link is still up.
    Closing(Session, Ending),
    /// The link is down.
    Closed(Ending),
    /// The attempt failed: the actor stops.
    Failed,
}

/// The authenticated stream.
struct Session {
    connection: Connection,
    machine: Box<initiating::Open>,
    inbound: Inbound,
    /// When the peer's certificate expires.
    expires: Option<SystemTime>,
    /// The certificates of the peer, to verify them again under a new configuration.
    peer_chain: Option<tls::PeerChain>,
    /// The configured address of the remote, if the attempt used one.
    route: Option<StaticRoute>,
    /// When the peer closes an idle stream, with a margin (XEP-0478).
    peer_idle_timeout: Option<Duration>,
}

impl State {
    fn session(&self) -> Option<&Session> {
        match self {
            Self::Open(session) | Self::Closing(session, _) => Some(session),
            Self::New(_) | Self::Dialing { .. } | Self::Closed(_) | Self::Failed => None,
        }
    }

    fn session_mut(&mut self) -> Option<&mut Session> {
        match self {
            Self::Open(session) | Self::Closing(session, _) => Some(session),
            Self::New(_) | Self::Dialing { .. } | Self::Closed(_) | Self::Failed => None,
        }
    }

    fn ending_mut(&mut self) -> Option<&mut Ending> {
        match self {
            Self::Closing(_, ending) | Self::Closed(ending) => Some(ending),
            Self::New(_) | Self::Dialing { .. } | Self::Open(_) | Self::Failed => None,
        }
    }

    /// An open stream takes no more stanzas.
    fn begin_closing(&mut self, ending: Ending) {
        *self = match std::mem::replace(self, Self::Failed) {
            Self::Open(session) => Self::Closing(session, ending),
            other => other,
        };
    }

    /// The link of a closing stream is down.
    fn finish_closing(&mut self) {
        *self = match std::mem::replace(self, Self::Failed) {
            Self::Closing(_, ending) => Self::Closed(ending),
            other => other,
        };
    }
}

impl Outgoing {
    /// An actor that makes the attempt as soon as it runs.
    pub fn new(pair: DomainPair, pending: PendingDial, owners: Owners, own: Mailbox<Self>) -> Self {
        Self {
            pair,
            own,
            owners,
            metrics: pending.metrics.clone(),
            limits: Limits::from(&pending),
            ticking: None,
            look_timer: Timer::default(),
            stall_timer: Timer::default(),
            journal_timer: Timer::default(),
            state: State::New(pending),
            supply: Supply::new(),
            written_before: 0,
            leftovers: Leftovers::default(),
            shutdown: Shutdown::default(),
        }
    }

    /// Takes the stream of a successful attempt.
    fn establish(
        &mut self,
        dialed: crate::dial::attempt::Session,
        adopted: Option<Adopt>,
        lost: Option<&Lost>,
        context: &mut Context<Self>,
    ) {
        // XEP-0478: the peer closes an idle stream then. We close it earlier, or a stanza may meet a closing
        // stream.
        let idle_seconds = dialed.machine.idle_seconds();
        let peer_idle_timeout = idle_seconds.map(|seconds| Duration::from_secs(seconds).mul_f32(0.9));
        self.limits.idle_timeout = self.limits.idle_timeout.min(peer_idle_timeout.unwrap_or(Duration::MAX));
        let handled = acks::handled(&dialed.machine, lost);
        self.state = State::Open(Session {
            connection: Connection::start(
                dialed.stream,
                dialed.address,
                clock::now(),
                self.own.outlet(),
                dialed.trace,
                acks::outbox(&dialed.machine),
            ),
            machine: dialed.machine,
            inbound: Inbound::new(),
            expires: dialed.expires,
            peer_chain: dialed.peer_chain,
            route: dialed.route,
            peer_idle_timeout,
        });
        self.watch_deadlines(context);
        let established = Established {
            pair: self.pair.clone(),
            session: self.own.clone(),
            handled: handled.as_ref().copied().unwrap_or(Handled::Unknown),
        };
        if self.owners.established.signal(established).is_err() {
            context.stop();
            return;
        }
        if let Err(wrong) = handled {
            self.refuse_count(wrong, context);
        }
        self.drive(&ReadPermit::free(), context);
        if let Some(adopt) = adopted {
            self.adopt(&adopt, context);
        }
    }

    /// Performs the outputs of the machine, then gives the link the next bytes.
    fn drive(&mut self, permit: &ReadPermit, context: &mut Context<Self>) {
        let mut answers = Vec::new();
        let mut last_ack = LastAck::Earlier;
        while let Some(session) = self.state.session_mut()
            && let Some(output) = session.machine.poll()
        {
            last_ack = last_ack.after(&output);
            match output {
                Output::Transmit(bytes) => {
                    // On an open stream the machine writes answers to requests for acks, and the closing tag.
                    session.inbound.count_request(clock::now());
                    if let Some(shown) = session.connection.transmit(bytes) {
                        log::trace!(target: LOG, pair:% = self.pair; "sent {shown}");
                    }
                }
                Output::Unsolicited { element } => {
                    crate::dial::attempt::warn_unsolicited(LOG, &self.pair, &element);
                }
                Output::Answer(stanza) => answers.push(stanza),
                Output::Stray(stray) => self.drop_stray(stray),
                Output::AcksOn { resumable } => self.acks_confirmed(resumable.as_ref()),
                Output::AcksRefused { reason } => self.acks_refused(&reason),
                Output::Acknowledged { h } => self.acknowledged(h, context),
                Output::Ended(end) => {
                    self.pass_on(std::mem::take(&mut answers), permit);
                    self.stream_ended(&end, last_ack, context);
                }
            }
        }
        self.pass_on(answers, permit);
        self.flush(context);
    }

    /// Gives the link the next bytes, and goes on with the stop of the node when nothing is left.
    fn flush(&mut self, context: &mut Context<Self>) {
        let Some(session) = self.state.session_mut() else { return };
        session.connection.flush();
        if self.has_unsettled() {
            self.watch_unwritten(context);
            return self.watch_unacked(context);
        }
        self.shutdown.flushing.clear();
        if self.shutdown.phase == Phase::Finishing {
            self.close_for_shutdown(context);
        }
    }

    /// Whether something waits to be written, or is being written.
    fn has_unwritten(&self) -> bool {
        self.state.session().is_some_and(|session| !session.connection.outbox.is_empty())
    }

    /// Whether something waits, is being written, or is not acknowledged.
    fn has_unsettled(&self) -> bool {
        self.state.session().is_some_and(|session| !session.connection.outbox.is_settled())
    }

    fn record(&self, event: Event) {
        self.owners.recorder.note(&self.pair.remote, event.with(&self.pair.local));
    }
}

impl Actor for Outgoing {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Context<Self>) {
        self.begin();
    }
}

impl Handler<Queued<Retire>> for Outgoing {
    type Result = ();

    fn handle(&mut self, retire: Queued<Retire>, context: &mut Context<Self>) {
        retire.into_message();
        if let Some(ending) = self.state.ending_mut() {
            ending.retire();
        }
        self.give_back(context);
    }
}

impl Handler<Queued<Forbid>> for Outgoing {
    type Result = ();

    fn handle(&mut self, forbid: Queued<Forbid>, context: &mut Context<Self>) {
        forbid.into_message();
        if matches!(self.state, State::Open(_)) {
            let error =
                stream::Error::new(stream::Condition::PolicyViolation, "federation is no longer allowed");
            self.close_stream(Some(error), "the new configuration forbids it", Redial::AfterPause, context);
        }
    }
}

impl Handler<Queued<link::Event>> for Outgoing {
    type Result = ();

    fn handle(&mut self, event: Queued<link::Event>, context: &mut Context<Self>) {
        match event.into_message() {
            link::Event::Received { bytes, permit } => {
                if let Some(session) = self.state.session_mut() {
                    if let Some(shown) = session.connection.received(&bytes) {
                        log::trace!(target: LOG, pair:% = self.pair; "received {shown}");
                    }
                    session.machine.receive(bytes);
                }
                self.drive(&permit, context);
                self.give_back(context);
                self.read_on(permit, context);
            }
            link::Event::Written => {
                if let Some(session) = self.state.session_mut() {
                    session.connection.written();
                }
                self.flush(context);
                self.request();
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
    /// A panic costs this stream only: the actors that wait for its end are informed.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let pair = self.pair.clone();
        match &self.state {
            State::New(_) | State::Dialing { .. } | State::Failed => {
                let _ = self.owners.failed.signal(Failed { pair, failure: AttemptError::Crashed });
            }
            State::Closing(_, ending) | State::Closed(ending)
                if matches!(ending.handback, Handback::Reported | Handback::Stopped | Handback::Retired) =>
            {
                // The router or the promise knows of the end; the promise waits for what is given back, or ignores it.
                let _ = self.owners.returned.signal(Returned::nothing(pair, Some(ending.lived)));
            }
            State::Open(_) | State::Closing(..) | State::Closed(_)
                if matches!(self.supply, Supply::Promise { .. }) =>
            {
                // If it has handed over all, the router learns of the end with its next stanza.
                let _ = self.owners.stopped.signal(Stopped { pair, session: self.own.clone() });
            }
            State::Open(_) | State::Closing(..) | State::Closed(_) => {
                let _ = self.owners.closed.signal(Closed { pair, session: self.own.clone() });
            }
        }
    }
}

const LOG: &str = "nuncio::outgoing";
