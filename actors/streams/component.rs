//! The connection of an external component, which serves one of our domains, or several (XEP-0114).

mod bind;
mod closing;
mod drive;
mod ending;
mod journal;
mod leftovers;
mod liveness;
mod log_limits;
mod machine;
mod messages;
mod ping;
mod rate;
mod reload;
mod remaining;
mod seat_relay;
mod show;
mod supply;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use actix::{Actor, AsyncContext, Context, Handler};
use xmpp::{
    Domain,
    component::{Handshake, Names},
    policy::Bounds,
    stream::Condition,
};

use self::{
    bind::Binding,
    closing::Silence,
    ending::{CloseCause, Closing, Ended, broken},
    leftovers::Leftovers,
    liveness::Liveness,
    machine::Machine,
    ping::Ping,
    rate::RateLimit,
    supply::Supply,
};
pub use self::{
    log_limits::LogLimits,
    messages::{
        Adopt, Answered, BindDecided, BindRequested, Congested, Dismiss, Drain, Expel, Finish, Forbid,
        GiveWay, Gone, MakeRoom, Open, Pinged, Presence, PresenceSent, Prove, Pull, ReadAll, Rejected,
        Requested, Retire, Returned, Send, SendPortion, Show,
    },
};
use crate::{
    flow::{
        batch::ReadPermit,
        journal::Keeping,
        link,
        outbox::{self, Outbox},
        route::{Ingress, Refuse, Return, Route},
        trace::Trace,
    },
    observe::{log_limit::LogLimiter, metrics::MetricsHandle},
    settings::Rate,
    streams::{
        accepted::{self, Caller},
        carrier,
        connection::{self, Connection, Intake, WHOLE_CHUNK},
        relay::Custody,
    },
};
use mailbox::{Mailbox, Outlet, Queued, drain};
use net::{stream::Stream, stream_id};
use status::{
    address::Address,
    report::{EndCause, TlsReport},
};

/// The mailboxes of the router and of the mailroom that a connection reports to.
#[derive(Debug)]
pub struct Owners {
    /// Stanzas.
    pub routes: Outlet<Route>,
    /// Refused stanzas.
    pub refused: Outlet<Refuse>,
    /// Requests to serve a name.
    pub bind_requested: Outlet<BindRequested>,
    /// Ends of connections that served a name.
    pub gone: Outlet<Gone>,
    /// Connections that served a name and have read everything.
    pub read_all: Outlet<ReadAll>,
    /// Connections that sent a ping.
    pub pinged: Outlet<Pinged>,
    /// Connections that answered a ping.
    pub answered: Outlet<Answered>,
    /// Wrong secrets.
    pub rejected: Outlet<Rejected>,
    /// Full outboxes.
    pub congested: Outlet<Congested>,
    /// The mailroom: requests for portions.
    pub requested: Outlet<Requested>,
    /// The mailroom: stanzas that were not written.
    pub returned: Outlet<Returned>,
    /// The mailroom: presence of the component.
    pub presence_sent: Outlet<PresenceSent>,
}

/// Shared dependencies of all component connections.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The configured names, with their secrets and limits.
    pub names: Names,
    /// The components with a limited rate, by the name under which each is configured.
    pub rates: Arc<HashMap<Domain, Rate>>,
    /// The components for which stanzas are sent again that were written lately when the connection was lost.
    pub redelivered: Arc<HashSet<Domain>>,
    /// Bytes of the longest stanza, where a name has no limit of its own.
    pub max_stanza: usize,
    /// Bounds of one stream.
    pub bounds: Bounds,
    /// A component that does not take one chunk in this time does not read.
    pub write_timeout: Duration,
    /// A component that has sent nothing for this time is pinged.
    pub keepalive: Duration,
    /// The time limit of the handshake.
    pub handshake_timeout: Duration,
    /// The mailboxes that connections report to.
    pub owners: Arc<Owners>,
    /// The listener, which counts the connections of an address.
    pub ended: Outlet<accepted::Ended>,
    /// The listener, which counts authenticated connections separately.
    pub authenticated: Outlet<accepted::Authenticated>,
    /// The listener, which slows down an address that tries secrets.
    pub wrong_secret: Outlet<accepted::WrongSecret>,
    /// Counts TLS handshakes.
    pub metrics: MetricsHandle,
    /// Limits of log lines about connections that serve no name.
    pub log_limits: LogLimits,
    /// The address from which the node pings a component. `None`: the component's own name.
    pub asker: Option<Domain>,
    /// Limits the log lines about refused stanzas, which users of components can cause.
    pub bad_stanzas: Arc<LogLimiter>,
    /// Takes what waits for a while; `None`: it is in memory only.
    pub journal: Option<Keeping>,
}

/// A connection that was accepted.
#[derive(Debug)]
pub struct Accepted {
    /// The connection.
    pub stream: Stream,
    /// The address of the peer.
    pub address: Address,
    /// The connection, as the listener counts it.
    pub caller: Caller,
    /// Its encryption, if it has one.
    pub tls: Option<TlsReport>,
}

/// The mailboxes that the relay of a component reports to.
#[derive(Clone, Debug)]
pub struct RelayOwners {
    /// The router: the end of the relay.
    pub gone: Outlet<Gone>,
    /// The router: as much is unsettled as may be.
    pub congested: Outlet<Congested>,
    /// The mailroom: requests for portions.
    pub requested: Outlet<Requested>,
    /// The mailroom: stanzas that were not settled.
    pub returned: Outlet<Returned>,
    /// The router: error answers.
    pub bounces: Outlet<Return>,
    /// Takes what waits for a while; `None`: it is in memory only.
    pub journal: Option<Keeping>,
}

/// The connection of a component, or the relay to the node to which it is connected.
pub(crate) type Carrier = carrier::Carrier<Component, SeatRelay>;

/// The relay of one component: it takes the place of the connection, which is to another node.
pub struct SeatRelay {
    name: Domain,
    own: Mailbox<Self>,
    owners: RelayOwners,
    custody: Custody,
    state: seat_relay::State,
}

/// The actor of one component connection.
pub struct Component {
    environment: Environment,
    own: Mailbox<Self>,
    caller: Caller,
    tls: Option<TlsReport>,
    connection: Connection<Address>,
    machine: Machine,
    intake: Intake,
    binding: Binding,
    supply: Supply,
    /// A timer runs after which old stanzas are given to the journal.
    is_unwritten_watched: bool,
    leftovers: Leftovers,
    /// The permit of a read whose answers found no room in the outbox.
    unread_answers: Option<ReadPermit>,
    silence: Silence,
    ping: Ping,
    liveness: Liveness,
    rate_limit: RateLimit,
    closing: Closing,
    /// Dropped with the actor.
    draining: Option<drain::Token>,
}

impl Component {
    /// An actor for a connection that has just been accepted.
    pub fn new(environment: Environment, accepted: Accepted, own: Mailbox<Self>) -> Self {
        let Accepted { stream, address, caller, tls } = accepted;
        let outbox = Outbox::of_component(outbox::BUDGET);
        Self {
            connection: Connection::start(
                stream,
                address,
                clock::now(),
                own.outlet(),
                Trace::new(LOG),
                outbox,
            ),
            machine: Machine::Handshake(Handshake::new(
                Arc::clone(&environment.names),
                environment.max_stanza,
                environment.bounds,
                stream_id::source(),
            )),
            intake: Intake::new(Ingress::Local),
            binding: Binding::Unclaimed,
            supply: Supply::new(),
            is_unwritten_watched: false,
            leftovers: Leftovers::default(),
            unread_answers: None,
            silence: Silence::default(),
            ping: Ping::default(),
            liveness: Liveness::new(),
            rate_limit: RateLimit::default(),
            closing: Closing::default(),
            draining: None,
            environment,
            own,
            caller,
            tls,
        }
    }
}

impl Actor for Component {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        context.run_later(self.environment.handshake_timeout, |component, context| {
            if !component.binding.was_bound() && !component.connection.has_ended() {
                let text = format!("no handshake in time, {}", component.machine.stage());
                component.close_with(EndCause::ProtocolError, Condition::ConnectionTimeout, text, context);
            }
        });
        context.run_interval(connection::tick(self.environment.write_timeout), |component, context| {
            if component.connection.is_stalled(component.environment.write_timeout) {
                component.give_up_on_reader(context);
            }
        });
        context.run_interval(connection::tick(self.environment.keepalive), Self::check_liveness);
        context.run_interval(WATCH_PAUSES, |component, _| {
            if !component.is_processed() {
                component.connection.watch_end();
            }
        });
        self.drive(&ReadPermit::free(), context);
    }
}

impl Handler<Queued<link::Event>> for Component {
    type Result = ();

    fn handle(&mut self, event: Queued<link::Event>, context: &mut Context<Self>) {
        match event.into_message() {
            link::Event::Received { bytes, permit } => {
                if let Some(shown) = self.connection.received(&bytes) {
                    log::trace!(target: LOG, address:% = self.connection.address; "received {shown}");
                }
                self.silence.note_read(&permit, self.machine.is_accepting());
                if !self.connection.is_remaining() {
                    self.liveness.note_read();
                    self.report_answer();
                }
                let (length, before) = (bytes.len(), self.stanzas_read());
                self.machine.receive(bytes);
                self.drive(&permit, context);
                if let Some(pause) = self.pause_after(length, self.stanzas_read() - before) {
                    self.pause_reading(permit, pause, context);
                }
            }
            // What was written is given back, or uncertain.
            link::Event::Written if self.connection.is_remaining() => {}
            link::Event::Written => {
                self.connection.written();
                if self.connection.outbox.has_room() {
                    self.unread_answers = None;
                }
                self.connection.flush();
                self.request();
            }
            link::Event::Secured(_) => {}
            link::Event::PeerEnded { end, written } => self.peer_ended(end, written, context),
            link::Event::Eof => {
                let lost = || {
                    Ended::new(
                        EndCause::Lost,
                        "the component ended the connection without closing its stream",
                    )
                };
                let ended = self.closing.cause().unwrap_or_else(lost);
                self.link_ended(WHOLE_CHUNK, ended, context);
            }
            link::Event::Ended { written, error } => {
                if error.is_some() && !self.connection.has_ended() {
                    self.mark_recent_uncertain();
                }
                let lost = || {
                    Ended::new(EndCause::Lost, error.map_or_else(|| "closed".to_owned(), |it| broken(&it)))
                };
                let ended = self.closing.cause().unwrap_or_else(lost);
                self.link_ended(written, ended, context);
            }
        }
    }
}

impl Handler<Queued<Retire>> for Component {
    type Result = ();

    fn handle(&mut self, retire: Queued<Retire>, context: &mut Context<Self>) {
        retire.into_message();
        self.binding.retire();
        self.supply.release();
        self.give_back(context);
    }
}

impl Handler<Queued<Drain>> for Component {
    type Result = ();

    fn handle(&mut self, drain: Queued<Drain>, context: &mut Context<Self>) {
        let Drain { within, token } = drain.into_message();
        self.draining = Some(token);
        self.close_when_quiet(within, context);
        context.run_later(within, Self::cut);
    }
}

impl Handler<Queued<Expel>> for Component {
    type Result = ();

    fn handle(&mut self, expel: Queued<Expel>, context: &mut Context<Self>) {
        expel.into_message();
        if !self.connection.has_ended() {
            self.close_with(EndCause::Reload, Condition::HostGone, ending::NOT_SERVED, context);
        }
    }
}

impl Handler<Queued<GiveWay>> for Component {
    type Result = ();

    fn handle(&mut self, give_way: Queued<GiveWay>, context: &mut Context<Self>) {
        give_way.into_message();
        if !self.connection.has_ended() {
            let text = "replaced by another connection of this component";
            self.close_with(EndCause::Replaced, Condition::Conflict, text, context);
        }
    }
}

impl Handler<Queued<MakeRoom>> for Component {
    type Result = ();

    fn handle(&mut self, room: Queued<MakeRoom>, context: &mut Context<Self>) {
        let MakeRoom { error } = room.into_message();
        // A component that has shown its secret may wait for the decision about its name.
        if matches!(self.binding, Binding::Unclaimed) && !self.connection.has_ended() {
            self.close_at_once(error, context);
        }
    }
}

impl Handler<Queued<Dismiss>> for Component {
    type Result = ();

    fn handle(&mut self, dismiss: Queued<Dismiss>, context: &mut Context<Self>) {
        let Dismiss { token } = dismiss.into_message();
        self.binding.dismiss(token);
        if !self.connection.has_ended() {
            self.close(CloseCause::operator(), context);
        }
    }
}

impl Drop for Component {
    fn drop(&mut self) {
        if std::thread::panicking()
            && self.binding.was_bound()
            && let Some(name) = self.binding.name().cloned()
        {
            let (component, cause) = (Carrier::from(self.own.clone()), EndCause::Internal);
            let reason = "internal error of this node".to_owned();
            let gone = Gone { name: name.clone(), component, cause, reason, is_read: false };
            let _ = self.environment.owners.gone.signal(gone);
            // The mailroom may await what this connection has not written.
            let _ = self.environment.owners.returned.signal(Returned::nothing(name, self.own.clone().into()));
        }
        self.report_read_all();
        let ended = accepted::Ended { caller: self.caller, is_expected: false };
        let _ = self.environment.ended.signal(ended);
    }
}

pub(crate) const LOG: &str = "nuncio::component";

pub(crate) use self::seat_relay::LOG as RELAY_LOG;

/// How often it is checked whether reading is paused because stanzas of the component have no place, so that its end has to
/// be watched for.
const WATCH_PAUSES: Duration = Duration::from_secs(1);
