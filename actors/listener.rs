//! A listening socket: accepts, within the limits for an address, and starts an actor for each connection.

mod meeting;
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

pub use self::socket::bind;
use self::{meeting::Outcome, socket::accept};

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
    /// The peer's end.
    pub address: SocketAddr,
}

/// A connection came, told to ourselves by the accepting task.
#[derive(Debug)]
struct Accepted {
    socket: TcpStream,
    address: SocketAddr,
}

/// A server's first byte, or its silence, has told how it speaks; its TLS handshake, if any, is done.
#[derive(Debug)]
struct Met {
    address: SocketAddr,
    since: Instant,
    outcome: Outcome,
}

/// Whose connections a listener takes.
#[derive(Clone, Debug)]
pub enum For {
    /// Servers, with STARTTLS, or TLS from the first byte when that is what they send.
    Servers(incoming::Surroundings),
    /// Servers, TLS from the first byte (XEP-0368).
    ServersOverTls(incoming::Surroundings),
    /// Components.
    Components(component::Surroundings),
}

/// Limits on what is accepted.
#[derive(Clone, Debug)]
pub struct Limits {
    /// A seat for each stream, of all listeners that share it.
    pub seats: Arc<Semaphore>,
    /// Streams of one address at a time at this socket; an IPv6 /64 is one address.
    pub per_address: usize,
    /// Attempts of one address in a minute.
    pub attempts: usize,
    /// For a first byte and a direct TLS handshake.
    pub handshake_timeout: Duration,
}

/// The actor of one listening socket.
pub struct Listener {
    whose: For,
    limits: Limits,
    workers: Workers,
    streams: Arc<Meter>,
    own: Mailbox<Self>,
    meter: Arc<Meter>,
    accepting: JoinHandle<()>,
    connections: HashMap<SocketAddr, Connection>,
    per_address: HashMap<IpAddr, usize>,
    /// Of this minute, which began then.
    attempts: (Instant, HashMap<IpAddr, usize>),
    refused: Arc<Quiet>,
    /// The node is being stopped.
    stopped: bool,
}

struct Connection {
    stage: Stage,
    since: Instant,
    // Held for its drop.
    _seat: OwnedSemaphorePermit,
}

enum Stage {
    Meeting,
    Server(Mailbox<Incoming>),
    Component(Mailbox<Component>),
}

impl Listener {
    /// An actor that accepts on `socket`; `streams` meters the actors it starts.
    pub fn new(
        socket: TcpListener,
        whose: For,
        limits: Limits,
        workers: Workers,
        streams: Arc<Meter>,
        own: Mailbox<Self>,
        meter: Arc<Meter>,
    ) -> Self {
        let accepting = actix_rt::spawn(accept(socket, own.clone()));
        Self {
            whose,
            limits,
            workers,
            streams,
            own,
            meter,
            accepting,
            connections: HashMap::new(),
            per_address: HashMap::new(),
            attempts: (Instant::now(), HashMap::new()),
            refused: Quiet::new(LOG, quiet::FEW, "more connections were refused: too many"),
            stopped: false,
        }
    }

    fn take(&mut self, socket: TcpStream, address: SocketAddr) {
        let site = site(address.ip());
        if !self.may_try(site) {
            let text = "too many connections from one address within a minute";
            return self.refuse(&socket, address, &stream::Error::new(Condition::PolicyViolation, text));
        }
        // A peer may use a port again before the end of its last connection is told here; the two would be mistaken for
        // one another, and never counted out.
        if self.connections.contains_key(&address) {
            let error = stream::Error::new(
                Condition::ResourceConstraint,
                "your last connection is still being ended",
            );
            return self.refuse(&socket, address, &error);
        }
        if self.per_address.get(&site).is_some_and(|count| *count >= self.limits.per_address) {
            let error =
                stream::Error::new(Condition::PolicyViolation, "too many connections from one address");
            return self.refuse(&socket, address, &error);
        }
        let Ok(seat) = Arc::clone(&self.limits.seats).try_acquire_owned() else {
            let error = stream::Error::new(Condition::ResourceConstraint, "too many connections");
            return self.refuse(&socket, address, &error);
        };
        *self.per_address.entry(site).or_default() += 1;
        if let Err(error) = connect::tune(&socket) {
            log::debug!(target: LOG, address:% = address, reason:% = error; "socket options not set");
        }
        match &self.whose {
            For::Servers(surroundings) => {
                self.meet(surroundings.tls.clone(), socket, address, false, seat);
            }
            For::ServersOverTls(surroundings) => {
                self.meet(surroundings.tls.clone(), socket, address, true, seat);
            }
            For::Components(surroundings) => {
                let (surroundings, meter) = (surroundings.clone(), Arc::clone(&self.streams));
                let component = self.workers.start_actor(&self.streams, &address.to_string(), move |own| {
                    Component::new(surroundings, Stream::Tcp(socket), address, own, meter)
                });
                self.connections.insert(
                    address,
                    Connection { stage: Stage::Component(component), since: Instant::now(), _seat: seat },
                );
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
    fn refuse(&self, socket: &TcpStream, address: SocketAddr, error: &stream::Error) {
        if self.refused.permits() {
            log::warn!(target: LOG, address:% = address, reason:% = error; "refused a connection");
        }
        if let For::Servers(surroundings) = &self.whose {
            let refusal = stream::refusal(ids::source()(), surroundings.terms.rules(), error);
            // Whoever does not get it sees the connection closed.
            let _ = socket.try_write(&refusal);
        }
    }

    fn forget(&mut self, address: SocketAddr) {
        if self.connections.remove(&address).is_none() {
            return;
        }
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
        let Accepted { socket, address } = accepted.open();
        self.take(socket, address);
    }
}

impl Handler<Queued<Ended>> for Listener {
    type Result = ();

    fn handle(&mut self, ended: Queued<Ended>, _: &mut Context<Self>) {
        let Ended { address } = ended.open();
        self.forget(address);
    }
}

impl Handler<Queued<Stop>> for Listener {
    type Result = ();

    fn handle(&mut self, stop: Queued<Stop>, _: &mut Context<Self>) {
        stop.open();
        self.stopped = true;
        self.accepting.abort();
    }
}

impl Handler<Queued<Adopt>> for Listener {
    type Result = ();

    fn handle(&mut self, adopt: Queued<Adopt>, _: &mut Context<Self>) {
        let Adopt { whose, limits } = adopt.open();
        match (&mut self.whose, whose) {
            (For::Servers(own) | For::ServersOverTls(own), For::Servers(new) | For::ServersOverTls(new)) => {
                for connection in self.connections.values() {
                    if let Stage::Server(incoming) = &connection.stage {
                        let (terms, tls) = (new.terms.clone(), new.tls.clone());
                        // A stream that has just ended needs no news.
                        let _ = incoming.signal(incoming::Adopt { terms, tls });
                    }
                }
                (*own, self.limits) = (new, limits);
            }
            (For::Components(own), For::Components(new)) => {
                *own = new;
                self.limits.handshake_timeout = limits.handshake_timeout;
            }
            // Of one kind it never becomes the other.
            (For::Servers(_) | For::ServersOverTls(_), For::Components(_)) | (For::Components(_), _) => {}
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
                Stage::Server(incoming) => drop(incoming.signal(incoming::Drain { token })),
                Stage::Component(component) => drop(component.signal(component::Drain { within, token })),
                Stage::Meeting => {}
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.meter.count_if_panicking();
        self.accepting.abort();
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
