//! The start of a connection that is served: waits for its first byte, makes TLS if the peer speaks that at once, and
//! starts the actor of the stream.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{Context, Handler};
use tokio::{net::TcpStream, sync::oneshot};

use super::{Caller, Detected, Excess, Kind, LOG, Listener, Stage, line::SILENCE, site};
use crate::streams::{
    component::{self, Component},
    incoming::{self, Incoming},
};
use mailbox::{Queued, drain};
use net::{
    stream::Stream,
    tls::{self, Secure, Tls},
};

/// The result of the start.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The peer speaks XML, or has sent nothing in its time.
    Plain(TcpStream),
    Secured(Box<Secure>, Box<tls::Session>),
    /// TLS could not be made, and why.
    NoTls(String),
    /// The connection ended, and why.
    Over(String),
    /// It was silent while others of its address waited with something to say.
    GaveWay(TcpStream),
}

/// How a peer may speak at a socket.
enum Speech {
    Xml,
    XmlOrTls(Tls),
    Tls(Tls),
}

impl Listener {
    /// Serves a connection that is counted already. Until the first byte it costs a task and no more.
    pub(super) fn meet(&mut self, socket: TcpStream, caller: Caller) {
        let speech = match &self.whose {
            Kind::Components(_) => Speech::Xml,
            Kind::Servers(servers) if self.direct_tls.get(caller.door) == Some(&true) => {
                Speech::Tls(servers.tls.clone())
            }
            Kind::Servers(servers) => Speech::XmlOrTls(servers.tls.clone()),
        };
        let Some(connection) = self.connections.get_mut(&caller) else { return };
        let (gives_way, others_wait) = oneshot::channel();
        let (own, within, since) = (self.own.clone(), self.limits.handshake_timeout, clock::now());
        (connection.stage, connection.since) = (Stage::Meeting(Some(gives_way)), since);
        self.silent.entry(site(caller.address.ip())).or_default().insert((since, caller));
        actix_rt::spawn(async move {
            let outcome = meet(speech, socket, others_wait, within).await;
            // A listener that is gone takes no more connections.
            let _ = own.signal(Detected { caller, since, outcome });
        });
    }

    /// Ends a connection of the address that has been served for a while without a byte, for one that has sent some.
    pub(super) fn end_a_silent_one(&mut self, site: IpAddr) {
        while let Some((since, caller)) = self.silent.get(&site).and_then(BTreeSet::first).copied() {
            if clock::since(since) < SILENCE {
                return;
            }
            self.has_spoken(caller, since);
            let stage = self.connections.get_mut(&caller).map(|connection| &mut connection.stage);
            let Some(Stage::Meeting(gives_way)) = stage else { continue };
            // A task that has the first byte does not listen any more.
            if gives_way.take().is_some_and(|gives_way| gives_way.send(()).is_ok()) {
                return;
            }
        }
    }

    /// Forgets that a connection may be silent.
    fn has_spoken(&mut self, caller: Caller, since: Instant) {
        let site = site(caller.address.ip());
        if let Some(silent) = self.silent.get_mut(&site) {
            silent.remove(&(since, caller));
            if silent.is_empty() {
                self.silent.remove(&site);
            }
        }
    }

    /// Counts out a connection that came to nothing.
    fn end(&mut self, outcome: Outcome, caller: Caller, context: &mut Context<Self>) {
        match outcome {
            Outcome::GaveWay(socket) => self.refuse(&socket, caller, &Excess::Address.error()),
            Outcome::Over(reason) | Outcome::NoTls(reason) => {
                log::debug!(target: LOG, address:% = caller.address, reason = reason.as_str(); "closed");
            }
            Outcome::Plain(_) | Outcome::Secured(..) => {}
        }
        self.forget(caller, context);
    }

    fn start_component(
        &mut self,
        environment: component::Environment,
        socket: TcpStream,
        caller: Caller,
        since: Instant,
    ) {
        let Caller { address, door } = caller;
        let handshake_timeout = environment.handshake_timeout.saturating_sub(clock::since(since));
        let environment = component::Environment { door, handshake_timeout, ..environment };
        let meter = Arc::clone(&self.streams);
        let component = self.workers.start_actor(&self.streams, &address.to_string(), move |own| {
            Component::new(environment, Stream::Tcp(socket), address, own, meter)
        });
        if self.stopped {
            let (within, token) = (incoming::CLOSE_WITHIN, drain::tokens().0);
            let _ = component.signal(component::Drain { within, token });
        }
        if let Some(connection) = self.connections.get_mut(&caller) {
            connection.stage = Stage::Component(component);
        }
    }

    fn start_server(
        &mut self,
        environment: incoming::Environment,
        stream: Stream,
        session: Option<tls::Session>,
        caller: Caller,
        since: Instant,
    ) {
        let Caller { address, door } = caller;
        let environment = self.surroundings_for(address, incoming::Environment { door, ..environment });
        let meter = Arc::clone(&self.streams);
        let incoming = self.workers.start_actor(&self.streams, &address.to_string(), move |own| {
            Incoming::new(environment, stream, session, address, since, own, meter)
        });
        if self.stopped {
            // It was in its first moment when the others were told; nobody waits for it.
            let _ =
                incoming.signal(incoming::Drain { within: incoming::CLOSE_WITHIN, token: drain::tokens().0 });
        }
        if let Some(connection) = self.connections.get_mut(&caller) {
            connection.stage = Stage::Server(incoming);
        }
    }
}

/// Waits for the first byte, then for TLS if it is to be made.
async fn meet(
    speech: Speech,
    socket: TcpStream,
    others_wait: oneshot::Receiver<()>,
    within: Duration,
) -> Outcome {
    let deadline = tokio::time::Instant::now() + within;
    let mut first = [0];
    let peeked = tokio::select! {
        peeked = tokio::time::timeout_at(deadline, socket.peek(&mut first)) => peeked,
        Ok(()) = others_wait => return Outcome::GaveWay(socket),
    };
    match (peeked, &speech) {
        (Ok(Ok(0)), _) => return Outcome::Over("the peer closed the connection".to_owned()),
        (Ok(Err(error)), _) => return Outcome::Over(error.to_string()),
        (Ok(Ok(_)), Speech::XmlOrTls(_)) if first == [TLS_HANDSHAKE] => {}
        // A peer that stayed silent is told by the stream why it closes.
        (_, Speech::Xml | Speech::XmlOrTls(_)) => return Outcome::Plain(socket),
        (_, Speech::Tls(_)) => {}
    }
    let (Speech::XmlOrTls(tls) | Speech::Tls(tls)) = speech else { return Outcome::Plain(socket) };
    match tokio::time::timeout_at(deadline, tls.accept(socket, None, true)).await {
        Ok(Ok((stream, session))) => Outcome::Secured(Box::new(stream), Box::new(session)),
        Ok(Err(error)) => Outcome::NoTls(error.to_string()),
        Err(_) => Outcome::NoTls(format!("no TLS handshake within {} s", within.as_secs_f32())),
    }
}

impl Handler<Queued<Detected>> for Listener {
    type Result = ();

    fn handle(&mut self, met: Queued<Detected>, context: &mut Context<Self>) {
        let Detected { caller, since, outcome } = met.open();
        let address = caller.address;
        self.has_spoken(caller, since);
        let (environment, outcome) = match (self.whose.clone(), outcome) {
            (Kind::Servers(environment), outcome) => (environment, outcome),
            (Kind::Components(environment), Outcome::Plain(socket)) => {
                return self.start_component(environment, socket, caller, since);
            }
            (Kind::Components(_), outcome) => return self.end(outcome, caller, context),
        };
        let strangers = environment.strangers.clone();
        match outcome {
            Outcome::Plain(socket) => {
                self.start_server(environment, Stream::Tcp(socket), None, caller, since);
            }
            Outcome::Secured(stream, session) => {
                if strangers.secured.permits() {
                    log::info!(
                        target: LOG, address:% = address, protocol = session.protocol.as_str(),
                        cipher = session.cipher.as_str(), sni = session.sni.as_deref().unwrap_or("-");
                        "secured"
                    );
                }
                let stream = Stream::Tls(stream);
                self.start_server(environment, stream, Some(*session), caller, since);
            }
            Outcome::NoTls(reason) => {
                if strangers.insecure.permits() {
                    log::warn!(target: LOG, address:% = address, reason = reason.as_str(); "no TLS");
                }
                self.forget(caller, context);
            }
            outcome => self.end(outcome, caller, context),
        }
    }
}

/// The first byte of a TLS connection: a record of type handshake (RFC 8446 section 5.1). No XML begins with it.
const TLS_HANDSHAKE: u8 = 0x16;
