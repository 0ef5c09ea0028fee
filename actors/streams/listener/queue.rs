//! The queue of an address: connections that wait until another one of the address has authenticated or
//! ended.
//!
//! A waiting connection holds a socket, but no memory for a stream. Bytes of the peer wait in the kernel.
//! A task waits for its first byte: a working peer sends its stream header or its ClientHello at once. A
//! connection that stays silent is refused, so that silent connections do not keep others of the same address
//! from being served.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use actix::{Context, Handler};
use xmpp::stream::{self, Condition};

use super::{Caller, Excess, Heard, Kind, Listener, Site, Stage, Standing};
use mailbox::Queued;
use net::network::Socket;

/// The result of the wait for a first byte.
#[derive(Debug)]
pub(super) enum FirstByte {
    /// At least one byte has arrived.
    Arrived(Socket),
    /// No byte arrived within [`SILENCE`].
    Late(Socket),
    /// The connection has ended.
    Closed,
}

impl Listener {
    /// Waits for the first byte of a connection that is counted as waiting.
    pub(super) fn await_first_byte(&self, mut socket: Socket, caller: Caller) {
        let own = self.own.clone();
        actix_rt::spawn(async move {
            let first = match tokio::time::timeout(SILENCE, socket.first_byte()).await {
                Ok(Ok(Some(_))) => FirstByte::Arrived(socket),
                Ok(Ok(None) | Err(_)) => FirstByte::Closed,
                Err(_) => FirstByte::Late(socket),
            };
            // A listener that is gone takes no connections.
            let _ = own.signal(Heard { caller, first });
        });
    }

    /// Serves waiting connections of an address, as long as there is room.
    pub(super) fn serve_waiting(&mut self, site: Site) {
        while self.queues.contains_key(&site) {
            if self.addresses.has_failed_too_often(site) {
                return self.clear_queue(site, &Excess::Attempts.error());
            }
            if !self.addresses.has_room(site) {
                return self.make_room(site);
            }
            let Ok(permit) = Arc::clone(&self.limits.connection_permits).try_acquire_owned() else { return };
            let Some(caller) = self.next_in_queue(site) else { return };
            let Some(connection) = self.connections.get_mut(&caller) else { continue };
            if let Stage::Waiting(socket) = std::mem::replace(&mut connection.stage, Stage::Silent) {
                (connection.standing, connection.permit) = (Standing::Served, Some(permit));
                self.addresses.change(site, Some(Standing::Waiting), Some(Standing::Served));
                self.serve(socket, caller);
            }
        }
    }

    /// Refuses connections that have waited for too long, and serves others where there is room.
    pub(super) fn check_queues(&mut self) {
        let sites: Vec<Site> = self.queues.keys().copied().collect();
        for site in sites {
            let late = stream::Error::new(
                Condition::ResourceConstraint,
                "too many connections from one address: this one waited for too long",
            );
            while let Some(caller) = self.queues.get(&site).and_then(|queue| queue.front()).copied() {
                let since = self.connections.get(&caller).map(|connection| connection.since);
                if since.is_some_and(|since| clock::since(since) < self.limits.handshake_timeout) {
                    break;
                }
                self.first_in_queue(site);
                self.refuse_waiting(caller, &late);
            }
            self.serve_waiting(site);
        }
    }

    /// Refuses all waiting connections: the node stops.
    pub(super) fn clear_queues(&mut self) {
        let sites: Vec<Site> = self.queues.keys().copied().collect();
        let stopping = stream::Error::new(Condition::SystemShutdown, "");
        sites.into_iter().for_each(|site| self.clear_queue(site, &stopping));
    }

    fn clear_queue(&mut self, site: Site, error: &stream::Error) {
        for caller in self.queues.remove(&site).unwrap_or_default() {
            self.refuse_waiting(caller, error);
        }
    }

    /// The standing of a new connection. If the queue of components at its address is full, the first one in it gives way:
    /// it has waited for longest, and its component has most likely given up.
    pub(super) fn standing_of(&mut self, site: Site) -> Result<Standing, Excess> {
        let standing = self.addresses.standing_of(site, clock::now());
        if matches!((&standing, &self.kind), (Err(Excess::Address), Kind::Components(..)))
            && let Some(first) = self.first_in_queue(site)
        {
            self.refuse_waiting(first, &Excess::Address.error());
            return self.addresses.standing_of(site, clock::now());
        }
        standing
    }

    /// Takes the connection that is served next out of the queue. Of components the last one is next, so that connections
    /// that never finish their handshake delay no component for long; they wait only behind such. Servers open many
    /// connections at once, and are served in turn.
    fn next_in_queue(&mut self, site: Site) -> Option<Caller> {
        match self.kind {
            Kind::Servers(_) => self.first_in_queue(site),
            Kind::Components(..) => self.take_from_queue(site, VecDeque::pop_back),
        }
    }

    fn first_in_queue(&mut self, site: Site) -> Option<Caller> {
        self.take_from_queue(site, VecDeque::pop_front)
    }

    fn take_from_queue(
        &mut self,
        site: Site,
        take: fn(&mut VecDeque<Caller>) -> Option<Caller>,
    ) -> Option<Caller> {
        let queue = self.queues.get_mut(&site)?;
        let next = take(queue);
        if queue.is_empty() {
            self.queues.remove(&site);
        }
        next
    }

    /// Refuses a waiting connection. It does not count as a failed attempt: the peer has sent its first byte in time,
    /// and it was the node that did not serve it.
    fn refuse_waiting(&mut self, caller: Caller, error: &stream::Error) {
        let Some(connection) = self.connections.remove(&caller) else { return };
        self.addresses.change(caller.site(), Some(connection.standing), None);
        if let Stage::Waiting(mut socket) = connection.stage {
            self.refuse(&mut socket, caller, error);
        }
    }
}

impl Excess {
    /// The stream error for the peer.
    pub(super) fn error(self) -> stream::Error {
        match self {
            Self::Attempts => stream::Error::new(
                Condition::PolicyViolation,
                "too many connections from one address within a minute",
            ),
            Self::Address => {
                stream::Error::new(Condition::PolicyViolation, "too many connections from one address")
            }
            Self::All => stream::Error::new(Condition::ResourceConstraint, "too many connections"),
        }
    }
}

impl Handler<Queued<Heard>> for Listener {
    type Result = ();

    fn handle(&mut self, heard: Queued<Heard>, context: &mut Context<Self>) {
        let Heard { caller, first } = heard.into_message();
        let site = caller.site();
        match first {
            FirstByte::Arrived(socket) if !self.stopped => {
                let Some(connection) = self.connections.get_mut(&caller) else { return };
                connection.stage = Stage::Waiting(socket);
                self.queues.entry(site).or_default().push_back(caller);
                self.serve_waiting(site);
            }
            FirstByte::Late(mut socket) => {
                self.refuse(&mut socket, caller, &Excess::Address.error());
                self.forget(caller, context);
            }
            FirstByte::Arrived(_) | FirstByte::Closed => self.forget(caller, context),
        }
    }
}

/// How long a connection may be silent while others of its address wait. A working peer sends its first byte
/// without a round trip; a peer that opens a thousand connections at once on a busy machine takes a second.
pub(super) const SILENCE: Duration = Duration::from_secs(3);
