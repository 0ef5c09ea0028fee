//! The start of a served connection: waits for its first byte, does the TLS handshake if the peer begins with
//! one, and starts the actor of the stream.

use std::time::{Duration, Instant};

use actix::{Context, Handler};
use tokio::sync::oneshot;

use super::{
    Caller, Detected, Excess, Kind, LOG, Listener, Stage,
    misplaced::{self, Misplaced},
    tell,
};
use crate::{
    observe::metrics::Count,
    streams::{
        accepted::Peer,
        component::{self, Component},
        connection::CLOSE_WITHIN,
        incoming::{self, Incoming},
    },
};
use mailbox::{Queued, drain};
use net::{
    network::Socket,
    stream::Stream,
    stream_id,
    tls::{self, Tls, TlsStream},
};
use status::report::{Direction, TlsReport};

/// The result of the start of a connection.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The peer begins with XML, or has sent nothing in time.
    Plain(Socket),
    Secured(Box<TlsStream>, Box<tls::Session>),
    /// The TLS handshake failed.
    NoTls(NoTls),
    /// A component begins with TLS where none is offered, or with XML where TLS is expected.
    Misplaced(Socket, Misplaced),
    /// The connection ended, for this reason.
    Closed(String),
    /// It had sent no byte while connections of its address with a first byte waited.
    GaveWay(Socket),
}

/// A TLS handshake that failed.
#[derive(Debug)]
pub(super) struct NoTls {
    /// For the log.
    pub(super) reason: String,
    /// For the metrics.
    pub(super) kind: &'static str,
}

/// The protocol that a connection may begin with.
enum Expected {
    /// XML of a component.
    Xml,
    XmlOrTls(Tls),
    Tls(Tls),
    /// TLS, whatever application protocol the peer offers: none is registered for components.
    ComponentTls(Tls),
}

impl Listener {
    /// Serves a connection that is counted already. Until its first byte it needs one task only.
    pub(super) fn serve(&mut self, socket: Socket, caller: Caller) {
        let expected = match &self.kind {
            Kind::Components(_, tls) if self.is_direct_tls(caller) => Expected::ComponentTls(tls.clone()),
            Kind::Components(..) => Expected::Xml,
            Kind::Servers(servers) if self.is_direct_tls(caller) => Expected::Tls(servers.tls.clone()),
            Kind::Servers(servers) => Expected::XmlOrTls(servers.tls.clone()),
        };
        let limits = Limits { within: self.limits.handshake_timeout, stalled: self.stalled() };
        let Some(connection) = self.connections.get_mut(&caller) else { return };
        let (gives_way, others_wait) = oneshot::channel();
        let (own, since) = (self.own.clone(), clock::now());
        (connection.stage, connection.since) = (Stage::Starting(Some(gives_way)), since);
        self.note_unproved(caller, since);
        actix_rt::spawn(async move {
            let outcome = detect(expected, socket, others_wait, limits).await;
            // A listener that is gone takes no connections.
            let _ = own.signal(Detected { caller, since, outcome });
        });
    }

    /// Removes a connection that gets no stream.
    fn end(&mut self, outcome: Outcome, caller: Caller, context: &mut Context<Self>) {
        match outcome {
            Outcome::GaveWay(mut socket) => self.refuse(&mut socket, caller, &Excess::Address.error()),
            Outcome::Closed(reason) => {
                log::debug!(target: LOG, address:% = self.address(caller), reason = reason.as_str(); "closed");
            }
            Outcome::Plain(_) | Outcome::Secured(..) | Outcome::NoTls(_) | Outcome::Misplaced(..) => {}
        }
        self.forget(caller, context);
    }

    fn start_component(
        &mut self,
        environment: component::Environment,
        stream: Stream,
        tls: Option<TlsReport>,
        caller: Caller,
        since: Instant,
    ) {
        let address = self.address(caller);
        let handshake_timeout = environment.handshake_timeout.saturating_sub(clock::since(since));
        let environment = component::Environment { handshake_timeout, ..environment };
        let component = self.workers.start_actor(&self.streams, &address.to_string(), move |own| {
            Component::new(environment, component::Accepted { stream, address, caller, tls }, own)
        });
        if self.stopped {
            let (within, token) = (CLOSE_WITHIN, drain::tokens().0);
            let _ = component.signal(component::Drain { within, token });
        }
        if let Some(connection) = self.connections.get_mut(&caller) {
            connection.stage = Stage::Component(component);
        }
        // It may have been asked to make room before it had a stream.
        self.note_unproved(caller, since);
    }

    fn start_server(
        &mut self,
        environment: incoming::Environment,
        stream: Stream,
        session: Option<tls::Session>,
        caller: Caller,
        since: Instant,
    ) {
        let Caller { peer: Peer::Tcp(address), socket: index } = caller else { return };
        let environment =
            self.environment_for(address, incoming::Environment { socket: index, ..environment });
        let incoming = self.workers.start_actor(&self.streams, &address.to_string(), move |own| {
            Incoming::new(environment, stream, session, address, since, own)
        });
        if self.stopped {
            // It had no stream yet when the others were drained.
            let _ = incoming.signal(incoming::Drain { within: CLOSE_WITHIN, token: drain::tokens().0 });
        }
        if let Some(connection) = self.connections.get_mut(&caller) {
            connection.stage = Stage::Server(incoming);
        }
        self.note_unproved(caller, since);
    }
}

/// The time limits of the start of a connection.
#[derive(Clone, Copy)]
struct Limits {
    /// For all of it.
    within: Duration,
    /// For TLS, if others wait.
    stalled: Duration,
}

/// Waits until others wait, and until this time at least.
async fn give_way(others_wait: oneshot::Receiver<()>, earliest: tokio::time::Instant) {
    // Without a sender the listener asks no more.
    if others_wait.is_terminated() || others_wait.await.is_err() {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep_until(earliest).await;
}

/// Waits for the first byte, then for the TLS handshake if there is one.
async fn detect(
    expected: Expected,
    mut socket: Socket,
    mut others_wait: oneshot::Receiver<()>,
    limits: Limits,
) -> Outcome {
    let (began, within) = (tokio::time::Instant::now(), limits.within);
    let deadline = began + within;
    let first = tokio::select! {
        first = tokio::time::timeout_at(deadline, socket.first_byte()) => first,
        Ok(()) = &mut others_wait => return Outcome::GaveWay(socket),
    };
    match (first, &expected) {
        (Ok(Ok(None)), _) => return Outcome::Closed("the peer closed the connection".to_owned()),
        (Ok(Err(error)), _) => return Outcome::Closed(error.to_string()),
        (Ok(Ok(Some(TLS_HANDSHAKE))), Expected::Xml) => {
            return Outcome::Misplaced(socket, Misplaced::Tls);
        }
        (Ok(Ok(Some(first))), Expected::ComponentTls(_)) if misplaced::begins_xml(first) => {
            return Outcome::Misplaced(socket, Misplaced::ClearText);
        }
        (Ok(Ok(Some(TLS_HANDSHAKE))), Expected::XmlOrTls(_)) => {}
        // The stream of a silent peer ends with an error that gives the reason.
        (_, Expected::Xml | Expected::XmlOrTls(_)) => return Outcome::Plain(socket),
        (_, Expected::Tls(_) | Expected::ComponentTls(_)) => {}
    }
    let (tls, has_protocol) = match expected {
        Expected::Xml => return Outcome::Plain(socket),
        Expected::XmlOrTls(tls) | Expected::Tls(tls) => (tls, true),
        Expected::ComponentTls(tls) => (tls, false),
    };
    let secured = tokio::select! {
        secured = tokio::time::timeout_at(deadline, tls.accept(socket, None, has_protocol)) => secured,
        // Whoever has not ended the handshake by then could not read an answer.
        () = give_way(others_wait, began + limits.stalled) => return Outcome::Closed(Excess::Address.error().to_string()),
    };
    match secured {
        Ok(Ok((stream, session))) => Outcome::Secured(Box::new(stream), Box::new(session)),
        Ok(Err(error)) => Outcome::NoTls(NoTls { reason: error.to_string(), kind: error.as_str() }),
        Err(_) => {
            let reason = format!("no TLS handshake within {} s", within.as_secs_f32());
            Outcome::NoTls(NoTls { reason, kind: "timeout" })
        }
    }
}

impl Handler<Queued<Detected>> for Listener {
    type Result = ();

    fn handle(&mut self, detected: Queued<Detected>, context: &mut Context<Self>) {
        let Detected { caller, since, outcome } = detected.into_message();
        match self.kind.clone() {
            Kind::Servers(environment) => self.detected_server(environment, outcome, caller, since, context),
            Kind::Components(environment, _) => {
                self.detected_component(environment, outcome, caller, since, context);
            }
        }
    }
}

impl Listener {
    /// Removes a connection of a component without TLS handshake, and slows its address down.
    fn forget_failed(&mut self, caller: Caller, context: &mut Context<Self>) {
        if let Some(connection) = self.connections.get_mut(&caller) {
            connection.penalty = FAILED_HANDSHAKE;
        }
        self.forget(caller, context);
    }

    fn detected_component(
        &mut self,
        environment: component::Environment,
        outcome: Outcome,
        caller: Caller,
        since: Instant,
        context: &mut Context<Self>,
    ) {
        let log_limits = environment.log_limits.clone();
        match outcome {
            // A reload has come in between.
            _ if !self.limits.permits(caller.peer) => {
                self.log_forbidden(caller);
                self.forget(caller, context);
            }
            Outcome::Plain(socket) => {
                self.start_component(environment, Stream::Tcp(socket), None, caller, since);
            }
            Outcome::Secured(stream, session) => {
                if log_limits.secured.count_line() {
                    log::info!(
                        target: component::LOG, address:% = self.address(caller),
                        protocol = session.protocol.as_str(), cipher = session.cipher.as_str(),
                        sni = session.sni.as_deref().unwrap_or("-");
                        "secured"
                    );
                }
                environment.metrics.count_secured(Direction::Component, &session.protocol, &session.cipher);
                let tls::Session { protocol, cipher, certificate, .. } = *session;
                let tls = TlsReport::of_component(protocol, cipher, certificate.is_some());
                self.start_component(environment, Stream::Tls(stream), Some(tls), caller, since);
            }
            Outcome::NoTls(NoTls { reason, kind }) => {
                environment.metrics.count(Count::TlsFailed { direction: Direction::Component, kind });
                if log_limits.insecure.count_line() {
                    log::warn!(
                        target: component::LOG, address:% = self.address(caller), reason = reason.as_str();
                        "TLS handshake failed"
                    );
                }
                self.forget_failed(caller, context);
            }
            Outcome::Misplaced(mut socket, misplaced) => {
                let (direction, kind) = (Direction::Component, misplaced.kind());
                environment.metrics.count(Count::TlsFailed { direction, kind });
                if log_limits.insecure.count_line() {
                    log::warn!(
                        target: component::LOG, address:% = self.address(caller);
                        "{}", misplaced.text()
                    );
                }
                tell(&mut socket, &xmpp::component::refusal(stream_id::source()(), &misplaced.error()));
                self.forget_failed(caller, context);
            }
            outcome => self.end(outcome, caller, context),
        }
    }

    fn detected_server(
        &mut self,
        environment: incoming::Environment,
        outcome: Outcome,
        caller: Caller,
        since: Instant,
        context: &mut Context<Self>,
    ) {
        let log_limits = environment.log_limits.clone();
        match outcome {
            Outcome::Plain(socket) => {
                self.start_server(environment, Stream::Tcp(socket), None, caller, since);
            }
            Outcome::Secured(stream, session) => {
                if log_limits.secured.count_line() {
                    log::info!(
                        target: LOG, address:% = self.address(caller), protocol = session.protocol.as_str(),
                        cipher = session.cipher.as_str(), sni = session.sni.as_deref().unwrap_or("-");
                        "secured"
                    );
                }
                let stream = Stream::Tls(stream);
                self.start_server(environment, stream, Some(*session), caller, since);
            }
            Outcome::NoTls(NoTls { reason, kind }) => {
                environment.metrics.count(Count::TlsFailed { direction: Direction::Incoming, kind });
                if log_limits.insecure.count_line() {
                    log::warn!(
                        target: LOG, address:% = self.address(caller), reason = reason.as_str();
                        "TLS handshake failed"
                    );
                }
                self.forget(caller, context);
            }
            outcome => self.end(outcome, caller, context),
        }
    }
}

/// The first byte of a TLS connection: a record of type handshake (RFC 8446 section 5.1). No XML begins with
/// it.
const TLS_HANDSHAKE: u8 = 0x16;

/// How long a connection of a component stays counted among the unauthenticated ones of its address after a TLS handshake
/// that failed: with 64 at one time, an address causes 64 handshakes per second at most.
const FAILED_HANDSHAKE: Duration = Duration::from_secs(1);
