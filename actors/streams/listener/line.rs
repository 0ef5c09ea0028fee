//! The connections of an address that wait until another one of that address has authenticated or ended.
//!
//! A waiting connection holds a socket and no memory for a stream; what the peer sends waits in the kernel. A task
//! watches for its first byte: the peer of an honest connection sends its stream header or its ClientHello at once.
//! One that stays silent is refused, so that silent strangers do not keep others of the same address from being served.

use std::{net::IpAddr, sync::Arc, time::Duration};

use actix::{Context, Handler};
use tokio::net::TcpStream;
use xmpp::stream::{self, Condition};

use super::{Caller, Excess, Heard, Listener, Place, Stage};
use mailbox::Queued;

/// What a waiting connection has sent so far.
#[derive(Debug)]
pub(super) enum Word {
    /// At least one byte.
    Some(TcpStream),
    /// Nothing within [`SILENCE`].
    None(TcpStream),
    /// The connection has ended.
    Over,
}

impl Listener {
    /// Has a connection wait that is counted as waiting already.
    pub(super) fn line_up(&self, socket: TcpStream, caller: Caller) {
        let own = self.own.clone();
        actix_rt::spawn(async move {
            let word = match tokio::time::timeout(SILENCE, socket.peek(&mut [0])).await {
                Ok(Ok(1..)) => Word::Some(socket),
                Ok(Ok(0) | Err(_)) => Word::Over,
                Err(_) => Word::None(socket),
            };
            // A listener that is gone takes no more connections.
            let _ = own.signal(Heard { caller, word });
        });
    }

    /// Serves connections of an address that wait, as long as there is room.
    pub(super) fn serve_waiting(&mut self, site: IpAddr) {
        while self.lines.contains_key(&site) {
            if self.sites.has_failed_too_often(site) {
                return self.clear_line(site, &Excess::Attempts.error());
            }
            if !self.sites.has_room(site) {
                return self.end_a_silent_one(site);
            }
            let Ok(seat) = Arc::clone(&self.limits.seats).try_acquire_owned() else { return };
            let Some(caller) = self.next_in_line(site) else { return };
            let Some(connection) = self.connections.get_mut(&caller) else { continue };
            if let Stage::Waiting(socket) = std::mem::replace(&mut connection.stage, Stage::Silent) {
                (connection.place, connection.seat) = (Place::Served, Some(seat));
                self.sites.change(site, Some(Place::Waiting), Some(Place::Served));
                self.meet(socket, caller);
            }
        }
    }

    /// Refuses those that have waited for too long, and serves others where there is room.
    pub(super) fn look_after_lines(&mut self) {
        let sites: Vec<IpAddr> = self.lines.keys().copied().collect();
        for site in sites {
            let late = stream::Error::new(
                Condition::ResourceConstraint,
                "too many connections from one address: this one has waited for too long",
            );
            while let Some(caller) = self.lines.get(&site).and_then(|line| line.front()).copied() {
                let since = self.connections.get(&caller).map(|connection| connection.since);
                if since.is_some_and(|since| clock::since(since) < self.limits.handshake_timeout) {
                    break;
                }
                self.next_in_line(site);
                self.turn_away(caller, &late);
            }
            self.serve_waiting(site);
        }
    }

    /// Refuses all that wait: the node stops.
    pub(super) fn clear_lines(&mut self) {
        let sites: Vec<IpAddr> = self.lines.keys().copied().collect();
        let stopping = stream::Error::new(Condition::SystemShutdown, "");
        sites.into_iter().for_each(|site| self.clear_line(site, &stopping));
    }

    fn clear_line(&mut self, site: IpAddr, error: &stream::Error) {
        for caller in self.lines.remove(&site).unwrap_or_default() {
            self.turn_away(caller, error);
        }
    }

    fn next_in_line(&mut self, site: IpAddr) -> Option<Caller> {
        let line = self.lines.get_mut(&site)?;
        let next = line.pop_front();
        if line.is_empty() {
            self.lines.remove(&site);
        }
        next
    }

    /// Refuses one that waits. It counts as no failed attempt: it was never served.
    fn turn_away(&mut self, caller: Caller, error: &stream::Error) {
        let Some(connection) = self.connections.remove(&caller) else { return };
        self.sites.change(caller.address.ip(), Some(connection.place), None);
        if let Stage::Waiting(socket) = connection.stage {
            self.refuse(&socket, caller, error);
        }
    }
}

impl Excess {
    /// What the peer is told.
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
        let Heard { caller, word } = heard.open();
        let site = super::site(caller.address.ip());
        match word {
            Word::Some(socket) if !self.stopped => {
                let Some(connection) = self.connections.get_mut(&caller) else { return };
                connection.stage = Stage::Waiting(socket);
                self.lines.entry(site).or_default().push_back(caller);
                self.serve_waiting(site);
            }
            Word::None(socket) => {
                self.refuse(&socket, caller, &Excess::Address.error());
                self.forget(caller, context);
            }
            Word::Some(_) | Word::Over => self.forget(caller, context),
        }
    }
}

/// How long a connection may be silent while others of its address wait. The first byte of an honest peer follows the
/// connection without a round trip; a peer that opens a thousand at once on a busy machine takes a second.
pub(super) const SILENCE: Duration = Duration::from_secs(3);
