//! The listener for one kind of peers: accepts connections within the limits per address, and starts an actor
//! for each.

mod addresses;
mod detect;
mod limits;
mod messages;
mod misplaced;
mod own_probe;
mod queue;
mod reload;
mod room;
mod show;
mod shutdown;
mod site;
mod socket;
mod wrong_secrets;

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{Actor, AsyncContext, Context, Handler};
use tokio::{
    sync::{OwnedSemaphorePermit, oneshot},
    task::JoinHandle,
};
use xmpp::{
    Domain,
    stream::{self, Condition},
};

use self::{
    addresses::{Addresses, Excess, Standing},
    detect::Outcome,
    own_probe::ExpectedProbes,
    queue::FirstByte,
    site::Site,
    socket::accept,
    wrong_secrets::WrongSecrets,
};
pub(crate) use self::{
    limits::Limits,
    messages::{Adopt, Dismiss, Drain, Show, Stop},
    own_probe::ExpectProbe,
};
use crate::{
    observe::log_limit::{self, LogLimiter},
    streams::{
        accepted::{Authenticated, Caller, Ended},
        component::{self, Component},
        incoming::{self, Incoming},
    },
};
use mailbox::{Mailbox, Meter, Queued, workers::Workers};
use net::{
    network::{self, Credentials, Socket},
    stream_id,
    tls::Tls,
};

/// A listening socket.
#[derive(Debug)]
pub(crate) struct ListeningSocket {
    /// The bound socket.
    pub socket: network::Listener,
    /// Connections start with TLS (XEP-0368). On the other sockets servers may do so.
    pub direct_tls: bool,
}

/// A listening socket, while a task accepts its connections.
struct Place {
    direct_tls: bool,
    /// The path of a Unix socket.
    path: Option<Arc<Path>>,
}

/// The kind of peers of a listener, with the dependencies of their streams.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// Remote servers.
    Servers(incoming::Environment),
    /// External components, and the certificates for connections that start with TLS.
    Components(component::Environment, Tls),
}

/// A connection was accepted. Sent by the accepting task.
#[derive(Debug)]
struct Accepted {
    socket: Socket,
    caller: Caller,
}

/// The start of a connection is over: the first byte was read or the wait for it has ended, and the TLS
/// handshake is done if there was one. Sent by the task of the start.
#[derive(Debug)]
struct Detected {
    caller: Caller,
    since: Instant,
    outcome: Outcome,
}

/// A waiting connection has sent its first byte, or has stayed silent.
#[derive(Debug)]
struct Heard {
    caller: Caller,
    first: FirstByte,
}

/// The actor of the listening sockets for one kind of peers. It counts their connections over all sockets.
pub(crate) struct Listener {
    kind: Kind,
    limits: Limits,
    workers: Workers,
    streams: Arc<Meter>,
    own: Mailbox<Self>,
    accepting: Vec<JoinHandle<()>>,
    sockets: Vec<Place>,
    connections: HashMap<Caller, Tracked>,
    addresses: Addresses,
    /// The waiting connections of each address that have sent a first byte.
    queues: HashMap<Site, VecDeque<Caller>>,
    /// The served connections of each address that have not authenticated, the oldest first; one that was asked to make room
    /// counts from then on.
    unproved: HashMap<Site, BTreeSet<(Instant, Caller)>>,
    wrong_secrets: WrongSecrets,
    refused: Arc<LogLimiter>,
    /// Limits the lines about connections from addresses that may not connect.
    forbidden: Arc<LogLimiter>,
    probes: ExpectedProbes,
    /// The node is being stopped.
    stopped: bool,
}

/// An accepted connection.
struct Tracked {
    stage: Stage,
    since: Instant,
    standing: Standing,
    /// Its end does not count as a failed attempt, though it has not authenticated.
    is_expected: bool,
    /// How long it stays counted after its end, because it showed a wrong secret.
    penalty: Duration,
    /// Held while it is served.
    permit: Option<OwnedSemaphorePermit>,
    /// The time of its entry among the unproved connections.
    unproved_since: Option<Instant>,
    /// The process at the other end of a Unix socket.
    credentials: Option<Credentials>,
}

/// The stage of a connection.
enum Stage {
    /// Waiting, without a first byte: a task holds the socket.
    Silent,
    /// Waiting, with a first byte.
    Waiting(Socket),
    /// Served: a task waits for the first byte, then for TLS. The sender ends the wait.
    Starting(Option<oneshot::Sender<()>>),
    Server(Mailbox<Incoming>),
    Component(Mailbox<Component>),
}

impl Listener {
    /// An actor that accepts at these sockets; `streams` meters the actors that it starts.
    pub(crate) fn new(
        sockets: Vec<ListeningSocket>,
        kind: Kind,
        limits: Limits,
        workers: Workers,
        streams: Arc<Meter>,
        own: Mailbox<Self>,
    ) -> Self {
        let place = |socket: &ListeningSocket| Place {
            direct_tls: socket.direct_tls,
            path: socket.socket.path().map(Arc::from),
        };
        let places = sockets.iter().map(place).collect();
        let sockets = sockets.into_iter().enumerate();
        let accepting =
            sockets.map(|(index, socket)| actix_rt::spawn(accept(socket.socket, index, own.clone())));
        let accepting = accepting.collect();
        let now = clock::now();
        Self {
            kind,
            workers,
            streams,
            own,
            accepting,
            sockets: places,
            connections: HashMap::new(),
            addresses: Addresses::new(limits.bounds(), now),
            limits,
            queues: HashMap::new(),
            unproved: HashMap::new(),
            wrong_secrets: WrongSecrets::new(now),
            refused: LogLimiter::new(
                LOG,
                log_limit::FEW,
                "more connections were refused: too many connections",
            ),
            forbidden: LogLimiter::new(
                component::LOG,
                log_limit::FEW,
                "more connections were refused: their addresses are not in listen.component_allow",
            ),
            probes: ExpectedProbes::default(),
            stopped: false,
        }
    }

    /// Serves a new connection, has it wait, or refuses it.
    fn take(&mut self, mut socket: Socket, caller: Caller) {
        if !self.limits.permits(caller.peer) {
            // It gets no answer, and is not counted: it costs nothing but this.
            return self.log_forbidden(caller);
        }
        let site = caller.site();
        let standing = match self.standing_of(site) {
            Ok(standing) => standing,
            Err(excess) => return self.refuse(&mut socket, caller, &excess.error()),
        };
        // A peer may reuse a port before the end of its last connection is reported here. The two would be
        // mistaken for each other, and stay counted for ever.
        if self.connections.contains_key(&caller) {
            let error = stream::Error::new(
                Condition::ResourceConstraint,
                "your previous connection from this port is still being closed",
            );
            return self.refuse(&mut socket, caller, &error);
        }
        let permit = match standing {
            Standing::Waiting => None,
            Standing::Served | Standing::Proved => {
                match Arc::clone(&self.limits.connection_permits).try_acquire_owned() {
                    Ok(permit) => Some(permit),
                    Err(_) => return self.refuse(&mut socket, caller, &Excess::All.error()),
                }
            }
        };
        if let Err(error) = socket.tune() {
            log::debug!(
                target: LOG, address:% = self.address(caller), reason:% = error;
                "socket options could not be set"
            );
        }
        self.addresses.change(site, None, Some(standing));
        let tracked = Tracked {
            stage: Stage::Silent,
            since: clock::now(),
            standing,
            is_expected: false,
            penalty: Duration::ZERO,
            permit,
            unproved_since: None,
            credentials: socket.credentials(),
        };
        self.connections.insert(caller, tracked);
        match standing {
            Standing::Served | Standing::Proved => self.serve(socket, caller),
            Standing::Waiting => self.await_first_byte(socket, caller),
        }
    }

    /// Refuses a connection. The reason is sent only if the socket takes it at once: a refused connection
    /// uses no memory.
    fn refuse(&self, socket: &mut Socket, caller: Caller, error: &stream::Error) {
        if self.refused.count_line() {
            log::warn!(target: LOG, address:% = self.address(caller), reason:% = error; "refused a connection");
        }
        let refusal = match &self.kind {
            // A peer that expects TLS could not read it.
            _ if self.is_direct_tls(caller) => return,
            Kind::Servers(environment) => {
                stream::refusal(stream_id::source()(), environment.policies.rules(), error)
            }
            Kind::Components(..) => xmpp::component::refusal(stream_id::source()(), error),
        };
        tell(socket, &refusal);
    }

    /// Logs a connection from an address that may not connect, within a limit.
    fn log_forbidden(&self, caller: Caller) {
        if self.forbidden.count_line() {
            log::warn!(
                target: component::LOG, address:% = self.address(caller);
                "refused a connection: its address is not in listen.component_allow"
            );
        }
    }

    /// Whether the connections of a socket start with TLS.
    fn is_direct_tls(&self, caller: Caller) -> bool {
        self.sockets.get(caller.socket).is_some_and(|socket| socket.direct_tls)
    }

    /// Removes a connection that has ended, and serves waiting ones in its place. It counts as a failed attempt if it
    /// did not authenticate, also if it waited and sent no byte: a working peer sends its first byte at once.
    fn forget(&mut self, caller: Caller, context: &mut Context<Self>) {
        self.forget_unproved(caller);
        let Some(connection) = self.connections.remove(&caller) else { return };
        let (site, standing) = (caller.site(), connection.standing);
        let is_failed = standing != Standing::Proved && !connection.is_expected;
        if is_failed && matches!(self.kind, Kind::Servers(_)) {
            self.addresses.fail(site);
        }
        if connection.penalty.is_zero() {
            self.count_out(site, standing);
        } else {
            context.run_later(connection.penalty, move |listener, _| listener.count_out(site, standing));
        }
    }

    fn count_out(&mut self, site: Site, standing: Standing) {
        self.addresses.change(site, Some(standing), None);
        self.serve_waiting(site);
    }
}

/// Writes a refusal, before the connection is closed.
fn tell(socket: &mut Socket, refusal: &[u8]) {
    // A peer that does not get it sees the connection closed.
    let _ = socket.try_write(refusal);
    // Unread bytes would make the kernel reset the connection, and the refusal would be lost.
    let _ = socket.try_read(&mut [0; READ_BEFORE_CLOSE]);
}

impl Actor for Listener {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        context.run_interval(TICK, |listener, _| listener.check_queues());
    }
}

impl Handler<Queued<Accepted>> for Listener {
    type Result = ();

    fn handle(&mut self, accepted: Queued<Accepted>, _: &mut Context<Self>) {
        let Accepted { socket, caller } = accepted.into_message();
        self.take(socket, caller);
    }
}

impl Handler<Queued<Ended>> for Listener {
    type Result = ();

    fn handle(&mut self, ended: Queued<Ended>, context: &mut Context<Self>) {
        let Ended { caller, is_expected } = ended.into_message();
        if let Some(connection) = self.connections.get_mut(&caller) {
            connection.is_expected = is_expected;
        }
        self.forget(caller, context);
    }
}

impl Handler<Queued<Authenticated>> for Listener {
    type Result = ();

    fn handle(&mut self, authenticated: Queued<Authenticated>, _: &mut Context<Self>) {
        let Authenticated { caller, component } = authenticated.into_message();
        self.forget_unproved(caller);
        let Some(connection) = self.connections.get_mut(&caller) else { return };
        let before = std::mem::replace(&mut connection.standing, Standing::Proved);
        if let Some(Credentials { process, user }) = connection.credentials {
            log::info!(
                target: component::LOG, name = component.as_ref().map(Domain::as_str),
                address:% = self.address(caller), pid = process, uid = user;
                "the component is a process of this machine"
            );
        }
        let site = caller.site();
        self.addresses.change(site, Some(before), Some(Standing::Proved));
        self.serve_waiting(site);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.accepting.iter().for_each(JoinHandle::abort);
    }
}

const LOG: &str = "nuncio::incoming";

/// How often the time limits of waiting connections are checked.
const TICK: Duration = Duration::from_secs(1);

/// Bytes that are read from a refused peer: a stream header or a ClientHello.
const READ_BEFORE_CLOSE: usize = 4096;
