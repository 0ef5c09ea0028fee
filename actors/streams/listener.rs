//! The listening sockets for one kind of peers: accepts, within the limits for an address, and starts an actor for each
//! connection.

mod detect;
mod line;
mod mistakes;
mod probe;
mod show;
mod sites;
mod socket;

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{Actor, AsyncContext, Context, Handler};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    task::JoinHandle,
};
use xmpp::stream::{self, Condition};

use self::{
    detect::Outcome,
    line::Word,
    mistakes::Mistakes,
    sites::{Bounds, Excess, Place, Sites},
    socket::accept,
};
pub use self::{probe::ExpectProbe, socket::bind};
use crate::{
    observe::log_limit::{self, LogLimiter},
    streams::{
        caller::{Caller, Ended, Proved},
        component::{self, Component},
        incoming::{self, Incoming},
    },
};
use mailbox::{Mailbox, Meter, Queued, drain, workers::Workers};
use net::{happy_eyeballs, site::site, stream_id};
use status::report;

/// Stop accepting; the streams go on.
#[derive(Debug)]
pub struct Stop;

/// Go on under these terms; the streams of servers learn of them too.
#[derive(Debug)]
pub struct Adopt {
    /// Of the same kind of peers.
    pub whose: Kind,
    /// What is accepted from now on.
    pub limits: Limits,
}

/// Have every stream closed.
#[derive(Debug)]
pub struct Drain {
    /// How long a program that goes on sending is listened to.
    pub within: Duration,
    /// Dropped when all are over.
    pub token: drain::Token,
}

/// Have streams say how they are.
#[derive(Debug)]
pub struct Show {
    /// Only those of this domain; all of them are asked.
    pub of: Option<xmpp::Domain>,
    /// Without a domain, at most so many, in the order of their addresses.
    pub limit: usize,
    /// Where the streams' answers go.
    pub links: mpsc::Sender<report::Link>,
    /// Where the number of all streams goes, shown or not.
    pub total: oneshot::Sender<usize>,
}

/// An operator wants the streams of this remote domain closed in good order.
#[derive(Debug)]
pub struct Dismiss {
    /// Whose.
    pub remote: xmpp::Domain,
    /// Where each stream that closes leaves a token, which is dropped when it is down.
    pub closing: mpsc::Sender<drain::Token>,
    /// That token.
    pub token: drain::Token,
}

/// A socket that accepts.
#[derive(Debug)]
pub struct Door {
    /// Bound.
    pub socket: TcpListener,
    /// Servers speak TLS from the first byte there (XEP-0368). At the others they may.
    pub direct_tls: bool,
}

/// A connection came, told to ourselves by the accepting task.
#[derive(Debug)]
struct Accepted {
    socket: TcpStream,
    caller: Caller,
}

/// A server's first byte, or its silence, has told how it speaks; its TLS handshake, if any, is done.
#[derive(Debug)]
struct Detected {
    caller: Caller,
    since: Instant,
    outcome: Outcome,
}

/// Whose connections a listener takes.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Servers.
    Servers(incoming::Environment),
    /// Components.
    Components(component::Environment),
}

/// A connection that waits in line has sent its first byte, or has stayed silent.
#[derive(Debug)]
struct Heard {
    caller: Caller,
    word: Word,
}

/// Limits on what is accepted. All but the first two are for connections that have not authenticated.
#[derive(Clone, Debug)]
pub struct Limits {
    /// A seat for each connection but those that wait, of all listeners that share it.
    pub seats: Arc<Semaphore>,
    /// The number of all seats. One address can have three quarters of them.
    pub connections: usize,
    /// Connections that are served at a time; as many more may wait.
    pub unauthenticated: usize,
    /// Connections of one address that are served at a time; an IPv6 /64 is one address. More of them wait.
    pub per_address: usize,
    /// How many times as many are served of an address of which others have authenticated; 1: no more.
    pub growth: usize,
    /// Connections of one address that may end without authentication in a minute.
    pub attempts: usize,
    /// For a first byte and a direct TLS handshake, and for the time in line.
    pub handshake_timeout: Duration,
}

impl Limits {
    fn bounds(&self) -> Bounds {
        Bounds {
            per_address: self.per_address,
            growth: self.growth,
            unauthenticated: self.unauthenticated,
            attempts: self.attempts,
            share: (self.connections / 4).saturating_mul(3) + (self.connections % 4 * 3).div_ceil(4),
        }
    }
}

/// The actor of the listening sockets for one kind of peers. It alone counts them, whichever way they come.
pub struct Listener {
    whose: Kind,
    limits: Limits,
    workers: Workers,
    streams: Arc<Meter>,
    own: Mailbox<Self>,
    meter: Arc<Meter>,
    accepting: Vec<JoinHandle<()>>,
    /// Of each socket: whether it is for TLS from the first byte.
    direct_tls: Vec<bool>,
    connections: HashMap<Caller, Connection>,
    sites: Sites,
    /// The connections of each address that wait and have sent a first byte.
    lines: HashMap<IpAddr, VecDeque<Caller>>,
    /// The connections of each address that may be silent while they are served, the oldest in front.
    silent: HashMap<IpAddr, BTreeSet<(Instant, Caller)>>,
    mistakes: Mistakes,
    refused: Arc<LogLimiter>,
    probes: probe::Expected,
    /// The node is being stopped.
    stopped: bool,
}

struct Connection {
    stage: Stage,
    since: Instant,
    place: Place,
    /// It is no stranger's, though it has not authenticated.
    is_expected: bool,
    /// How long its place stays taken after its end, because it showed a wrong secret.
    penalty: Duration,
    /// Held for its drop; a connection that waits has none.
    seat: Option<OwnedSemaphorePermit>,
}

enum Stage {
    /// In line, without a first byte: a task holds the socket.
    Silent,
    /// In line, with a first byte.
    Waiting(TcpStream),
    /// Served: a task waits for the first byte, which the sender ends, then for TLS.
    Meeting(Option<oneshot::Sender<()>>),
    Server(Mailbox<Incoming>),
    Component(Mailbox<Component>),
}

impl Listener {
    /// An actor that accepts at `doors`; `streams` meters the actors it starts.
    pub fn new(
        doors: Vec<Door>,
        whose: Kind,
        limits: Limits,
        workers: Workers,
        streams: Arc<Meter>,
        own: Mailbox<Self>,
        meter: Arc<Meter>,
    ) -> Self {
        let direct_tls = doors.iter().map(|door| door.direct_tls).collect();
        let doors = doors.into_iter().enumerate();
        let accepting = doors.map(|(number, door)| actix_rt::spawn(accept(door.socket, number, own.clone())));
        let accepting = accepting.collect();
        let now = clock::now();
        Self {
            whose,
            workers,
            streams,
            own,
            meter,
            accepting,
            direct_tls,
            connections: HashMap::new(),
            sites: Sites::new(limits.bounds(), now),
            limits,
            lines: HashMap::new(),
            silent: HashMap::new(),
            mistakes: Mistakes::new(now),
            refused: LogLimiter::new(LOG, log_limit::FEW, "more connections were refused: too many"),
            probes: probe::Expected::default(),
            stopped: false,
        }
    }

    fn take(&mut self, socket: TcpStream, caller: Caller) {
        let ip = caller.address.ip();
        let place = match self.sites.judge(ip, clock::now()) {
            Ok(place) => place,
            Err(excess) => return self.refuse(&socket, caller, &excess.error()),
        };
        // A peer may use a port again before the end of its last connection is told here; the two would be mistaken for
        // one another, and never counted out.
        if self.connections.contains_key(&caller) {
            let error = stream::Error::new(
                Condition::ResourceConstraint,
                "your last connection is still being ended",
            );
            return self.refuse(&socket, caller, &error);
        }
        let seat = match place {
            Place::Waiting => None,
            Place::Served | Place::Proved => match Arc::clone(&self.limits.seats).try_acquire_owned() {
                Ok(seat) => Some(seat),
                Err(_) => return self.refuse(&socket, caller, &Excess::All.error()),
            },
        };
        if let Err(error) = happy_eyeballs::tune(&socket) {
            log::debug!(target: LOG, address:% = caller.address, reason:% = error; "socket options not set");
        }
        self.sites.change(ip, None, Some(place));
        let (stage, since, is_expected, penalty) = (Stage::Silent, clock::now(), false, Duration::ZERO);
        self.connections.insert(caller, Connection { stage, since, place, is_expected, penalty, seat });
        match place {
            Place::Served | Place::Proved => self.meet(socket, caller),
            Place::Waiting => self.line_up(socket, caller),
        }
    }

    /// Says why, as far as the socket takes it at once; nothing is kept for a connection that is turned away.
    fn refuse(&self, socket: &TcpStream, caller: Caller, error: &stream::Error) {
        let Caller { address, door } = caller;
        if self.refused.permits() {
            log::warn!(target: LOG, address:% = address, reason:% = error; "refused a connection");
        }
        let refusal = match &self.whose {
            // A peer that expects TLS would take it for an attack.
            Kind::Servers(_) if self.direct_tls.get(door) == Some(&true) => return,
            Kind::Servers(environment) => {
                stream::refusal(stream_id::source()(), environment.terms.rules(), error)
            }
            Kind::Components(_) => xmpp::component::refusal(stream_id::source()(), error),
        };
        // A peer that does not get it sees the connection closed.
        let _ = socket.try_write(&refusal);
        // What it has sent is read, or the kernel would reset the connection, and the refusal be lost.
        let _ = socket.try_read(&mut [0; READ_BEFORE_CLOSE]);
    }

    /// Counts a connection out that has ended, and serves one that waits in its place.
    fn forget(&mut self, caller: Caller, context: &mut Context<Self>) {
        let Some(connection) = self.connections.remove(&caller) else { return };
        let (ip, place) = (caller.address.ip(), connection.place);
        let is_failed = place != Place::Proved && !connection.is_expected;
        if is_failed && matches!(self.whose, Kind::Servers(_)) {
            self.sites.fail(ip);
        }
        if connection.penalty.is_zero() {
            self.count_out(ip, place);
        } else {
            context.run_later(connection.penalty, move |listener, _| listener.count_out(ip, place));
        }
    }

    fn count_out(&mut self, ip: IpAddr, place: Place) {
        self.sites.change(ip, Some(place), None);
        self.serve_waiting(site(ip));
    }
}

impl Actor for Listener {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        context.run_interval(TICK, |listener, _| listener.look_after_lines());
    }
}

impl Handler<Queued<Accepted>> for Listener {
    type Result = ();

    fn handle(&mut self, accepted: Queued<Accepted>, _: &mut Context<Self>) {
        let Accepted { socket, caller } = accepted.open();
        self.take(socket, caller);
    }
}

impl Handler<Queued<Ended>> for Listener {
    type Result = ();

    fn handle(&mut self, ended: Queued<Ended>, context: &mut Context<Self>) {
        let Ended { caller, is_expected } = ended.open();
        if let Some(connection) = self.connections.get_mut(&caller) {
            connection.is_expected = is_expected;
        }
        self.forget(caller, context);
    }
}

impl Handler<Queued<Proved>> for Listener {
    type Result = ();

    fn handle(&mut self, proved: Queued<Proved>, _: &mut Context<Self>) {
        let Proved { caller } = proved.open();
        let Some(connection) = self.connections.get_mut(&caller) else { return };
        let ip = caller.address.ip();
        let before = std::mem::replace(&mut connection.place, Place::Proved);
        self.sites.change(ip, Some(before), Some(Place::Proved));
        self.serve_waiting(site(ip));
    }
}

impl Handler<Queued<Stop>> for Listener {
    type Result = ();

    fn handle(&mut self, stop: Queued<Stop>, _: &mut Context<Self>) {
        stop.open();
        self.stopped = true;
        self.accepting.iter().for_each(JoinHandle::abort);
        self.clear_lines();
    }
}

impl Handler<Queued<Adopt>> for Listener {
    type Result = ();

    fn handle(&mut self, adopt: Queued<Adopt>, _: &mut Context<Self>) {
        let Adopt { whose, limits } = adopt.open();
        match (&mut self.whose, whose) {
            (Kind::Servers(own), Kind::Servers(new)) => {
                for connection in self.connections.values() {
                    if let Stage::Server(incoming) = &connection.stage {
                        let (terms, tls) = (new.terms.clone(), new.tls.clone());
                        // A stream that has just ended needs no news.
                        let _ = incoming.signal(incoming::Adopt { terms, tls });
                    }
                }
                (*own, self.limits) = (new, limits);
            }
            (Kind::Components(own), Kind::Components(new)) => {
                for connection in self.connections.values() {
                    if let Stage::Component(component) = &connection.stage {
                        // A connection that has just ended needs no news.
                        let _ = component.signal(component::Adopt { environment: Box::new(new.clone()) });
                    }
                }
                (*own, self.limits) = (new, limits);
            }
            // Of one kind it never becomes the other.
            (Kind::Servers(_), Kind::Components(_)) | (Kind::Components(_), Kind::Servers(_)) => {}
        }
        self.sites.adopt(self.limits.bounds());
        self.look_after_lines();
    }
}

impl Handler<Queued<Drain>> for Listener {
    type Result = ();

    fn handle(&mut self, drain: Queued<Drain>, _: &mut Context<Self>) {
        let Drain { within, token } = drain.open();
        for connection in self.connections.values() {
            let token = token.clone();
            // A stream that has just ended has nothing to be closed.
            match &connection.stage {
                Stage::Server(incoming) => drop(incoming.signal(incoming::Drain { within, token })),
                Stage::Component(component) => drop(component.signal(component::Drain { within, token })),
                Stage::Silent | Stage::Waiting(_) | Stage::Meeting(_) => {}
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.meter.count_if_panicking();
        self.accepting.iter().for_each(JoinHandle::abort);
    }
}

const LOG: &str = "nuncio::incoming";

/// How often the connections that wait are looked at.
const TICK: Duration = Duration::from_secs(1);

/// Bytes that are read of a peer that is turned away: a stream header or a ClientHello.
const READ_BEFORE_CLOSE: usize = 4096;
