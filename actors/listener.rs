//! The listening sockets for one kind of peers: accepts, within the limits for an address, and starts an actor for each
//! connection.

mod meeting;
mod probe;
mod show;
mod socket;

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{Actor, Context, Handler};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    task::JoinHandle,
};
use xmpp::stream::{self, Condition};

use self::{meeting::Outcome, socket::accept};
pub use self::{probe::ExpectProbe, socket::bind};

use crate::{
    component::{self, Component},
    connect, drain, ids,
    incoming::{self, Incoming},
    link::Stream,
    mailbox::{Mailbox, Meter, Queued},
    quiet::{self, Quiet},
    report,
    workers::Workers,
};

/// Stop accepting; the streams go on.
#[derive(Debug)]
pub struct Stop;

/// Go on under these terms; the streams of servers learn of them too.
#[derive(Debug)]
pub struct Adopt {
    /// Of the same kind of peers.
    pub whose: For,
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

/// A stream of this listener is over.
#[derive(Debug)]
pub struct Ended {
    /// Whose.
    pub caller: Caller,
}

/// The program at the other end has shown the secret of a name.
#[derive(Debug)]
pub struct Proved {
    /// Which.
    pub caller: Caller,
}

/// Who is at the other end of a connection. A peer may use one port for two of our sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Caller {
    /// The peer's end.
    pub address: SocketAddr,
    /// By which of the sockets it came.
    pub door: usize,
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
struct Met {
    caller: Caller,
    since: Instant,
    outcome: Outcome,
}

/// Whose connections a listener takes.
#[derive(Clone, Debug)]
pub enum For {
    /// Servers.
    Servers(incoming::Surroundings),
    /// Components.
    Components(component::Surroundings),
}

/// Limits on what is accepted.
#[derive(Clone, Debug)]
pub struct Limits {
    /// A seat for each stream, of all listeners that share it.
    pub seats: Arc<Semaphore>,
    /// Streams of one address at a time; an IPv6 /64 is one address. Of programs, only those count that
    /// have not shown a secret yet.
    pub per_address: usize,
    /// Attempts of one address in a minute.
    pub attempts: usize,
    /// For a first byte and a direct TLS handshake.
    pub handshake_timeout: Duration,
}

/// The actor of the listening sockets for one kind of peers. It alone counts them, whichever way they come.
pub struct Listener {
    whose: For,
    limits: Limits,
    workers: Workers,
    streams: Arc<Meter>,
    own: Mailbox<Self>,
    meter: Arc<Meter>,
    accepting: Vec<JoinHandle<()>>,
    /// Of each socket: whether it is for TLS from the first byte.
    direct_tls: Vec<bool>,
    connections: HashMap<Caller, Connection>,
    per_address: HashMap<IpAddr, usize>,
    /// Of this minute, which began then.
    attempts: (Instant, HashMap<IpAddr, usize>),
    refused: Arc<Quiet>,
    probes: probe::Expected,
    /// The node is being stopped.
    stopped: bool,
}

struct Connection {
    stage: Stage,
    since: Instant,
    /// Among those of its address.
    counted: bool,
    // Held for its drop.
    _seat: OwnedSemaphorePermit,
}

enum Stage {
    Meeting,
    Server(Mailbox<Incoming>),
    Component(Mailbox<Component>),
}

impl Listener {
    /// An actor that accepts at `doors`; `streams` meters the actors it starts.
    pub fn new(
        doors: Vec<Door>,
        whose: For,
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
        Self {
            whose,
            limits,
            workers,
            streams,
            own,
            meter,
            accepting,
            direct_tls,
            connections: HashMap::new(),
            per_address: HashMap::new(),
            attempts: (Instant::now(), HashMap::new()),
            refused: Quiet::new(LOG, quiet::FEW, "more connections were refused: too many"),
            probes: probe::Expected::default(),
            stopped: false,
        }
    }

    fn take(&mut self, socket: TcpStream, caller: Caller) {
        let Caller { address, door } = caller;
        let direct_tls = self.direct_tls.get(door).copied().unwrap_or_default();
        let site = site(address.ip());
        if !self.may_try(site) {
            let text = "too many connections from one address within a minute";
            return self.refuse(&socket, caller, &stream::Error::new(Condition::PolicyViolation, text));
        }
        // A peer may use a port again before the end of its last connection is told here; the two would be mistaken for
        // one another, and never counted out.
        if self.connections.contains_key(&caller) {
            let error = stream::Error::new(
                Condition::ResourceConstraint,
                "your last connection is still being ended",
            );
            return self.refuse(&socket, caller, &error);
        }
        if self.per_address.get(&site).is_some_and(|count| *count >= self.limits.per_address) {
            let error =
                stream::Error::new(Condition::PolicyViolation, "too many connections from one address");
            return self.refuse(&socket, caller, &error);
        }
        let Ok(seat) = Arc::clone(&self.limits.seats).try_acquire_owned() else {
            let error = stream::Error::new(Condition::ResourceConstraint, "too many connections");
            return self.refuse(&socket, caller, &error);
        };
        *self.per_address.entry(site).or_default() += 1;
        if let Err(error) = connect::tune(&socket) {
            log::debug!(target: LOG, address:% = address, reason:% = error; "socket options not set");
        }
        match &self.whose {
            For::Servers(surroundings) => {
                self.meet(surroundings.tls.clone(), socket, caller, direct_tls, seat);
            }
            For::Components(surroundings) => {
                let surroundings = component::Surroundings { door, ..surroundings.clone() };
                let meter = Arc::clone(&self.streams);
                let component = self.workers.start_actor(&self.streams, &address.to_string(), move |own| {
                    Component::new(surroundings, Stream::Tcp(socket), address, own, meter)
                });
                let (stage, since) = (Stage::Component(component), Instant::now());
                self.connections.insert(caller, Connection { stage, since, counted: true, _seat: seat });
            }
        }
    }

    fn may_try(&mut self, site: IpAddr) -> bool {
        let (since, counts) = &mut self.attempts;
        if since.elapsed() >= MINUTE {
            (*since, *counts) = (Instant::now(), HashMap::new());
        }
        let count = counts.entry(site).or_default();
        *count += 1;
        *count <= self.limits.attempts
    }

    /// Says why in passing, as far as the socket takes it at once; nothing is kept for who is turned away.
    fn refuse(&self, socket: &TcpStream, caller: Caller, error: &stream::Error) {
        let Caller { address, door } = caller;
        if self.refused.permits() {
            log::warn!(target: LOG, address:% = address, reason:% = error; "refused a connection");
        }
        let refusal = match &self.whose {
            // Who expects TLS would take it for an attack.
            For::Servers(_) if self.direct_tls.get(door) == Some(&true) => return,
            For::Servers(surroundings) => stream::refusal(ids::source()(), surroundings.terms.rules(), error),
            For::Components(_) => xmpp::component::refusal(ids::source()(), error),
        };
        // Whoever does not get it sees the connection closed.
        let _ = socket.try_write(&refusal);
    }

    fn forget(&mut self, caller: Caller) {
        if self.connections.remove(&caller).is_some_and(|connection| connection.counted) {
            self.count_out(caller.address);
        }
    }

    fn count_out(&mut self, address: SocketAddr) {
        let site = site(address.ip());
        if let Some(count) = self.per_address.get_mut(&site) {
            *count -= 1;
            if *count == 0 {
                self.per_address.remove(&site);
            }
        }
    }
}

/// What counts as one address: a host has a whole IPv6 /64 to itself.
pub(crate) fn site(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(v6) => v6
            .to_ipv4_mapped()
            .map_or_else(|| IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()), IpAddr::V4),
    }
}

impl Actor for Listener {
    type Context = Context<Self>;
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

    fn handle(&mut self, ended: Queued<Ended>, _: &mut Context<Self>) {
        let Ended { caller } = ended.open();
        self.forget(caller);
    }
}

impl Handler<Queued<Proved>> for Listener {
    type Result = ();

    fn handle(&mut self, proved: Queued<Proved>, _: &mut Context<Self>) {
        let Proved { caller } = proved.open();
        let connection = self.connections.get_mut(&caller);
        if connection.is_some_and(|connection| std::mem::take(&mut connection.counted)) {
            self.count_out(caller.address);
        }
    }
}

impl Handler<Queued<Stop>> for Listener {
    type Result = ();

    fn handle(&mut self, stop: Queued<Stop>, _: &mut Context<Self>) {
        stop.open();
        self.stopped = true;
        self.accepting.iter().for_each(JoinHandle::abort);
    }
}

impl Handler<Queued<Adopt>> for Listener {
    type Result = ();

    fn handle(&mut self, adopt: Queued<Adopt>, _: &mut Context<Self>) {
        let Adopt { whose, limits } = adopt.open();
        match (&mut self.whose, whose) {
            (For::Servers(own), For::Servers(new)) => {
                for connection in self.connections.values() {
                    if let Stage::Server(incoming) = &connection.stage {
                        let (terms, tls) = (new.terms.clone(), new.tls.clone());
                        // A stream that has just ended needs no news.
                        let _ = incoming.signal(incoming::Adopt { terms, tls });
                    }
                }
                (*own, self.limits) = (new, limits);
            }
            (For::Components(own), For::Components(new)) => (*own, self.limits) = (new, limits),
            // Of one kind it never becomes the other.
            (For::Servers(_), For::Components(_)) | (For::Components(_), For::Servers(_)) => {}
        }
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
                Stage::Meeting => {}
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

/// What attempts are counted in.
const MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::site;

    #[test]
    fn a_host_is_an_ipv4_address_or_an_ipv6_network() {
        let sites = |one: &str, other: &str| site(one.parse().unwrap()) == site(other.parse().unwrap());
        assert!(sites("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"));
        assert!(!sites("2001:db8:1:2::1", "2001:db8:1:3::1"));
        assert!(sites("192.0.2.7", "::ffff:192.0.2.7"));
        assert!(!sites("192.0.2.7", "192.0.2.8"));
        assert!(!sites("::ffff:192.0.2.7", "::ffff:192.0.2.8"));
    }
}
