//! The first moment of a server's connection: does it speak TLS at once, or XML?

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{Context, Handler};
use tokio::{net::TcpStream, sync::OwnedSemaphorePermit};
use tokio_openssl::SslStream;

use super::{Caller, Connection, For, LOG, Listener, Met, Stage};
use crate::{
    drain,
    incoming::{self, Incoming},
    link::Stream,
    mailbox::Queued,
    tls::{self, Guarded, Tls},
};

/// What came of the first moment.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It speaks XML first, or nothing.
    Plain(TcpStream),
    Secured(Box<SslStream<Guarded>>, Box<tls::Session>),
    /// TLS did not come about, and why.
    NoTls(String),
    /// The connection ended, and why.
    Over(String),
}

impl Listener {
    /// Finds out how a server speaks, in a task: one that says nothing costs no more than that.
    pub(super) fn meet(
        &mut self,
        tls: Tls,
        socket: TcpStream,
        caller: Caller,
        direct_tls: bool,
        seat: OwnedSemaphorePermit,
    ) {
        let (own, within, since) = (self.own.clone(), self.limits.handshake_timeout, Instant::now());
        self.connections
            .insert(caller, Connection { stage: Stage::Meeting, since, counted: true, _seat: seat });
        actix_rt::spawn(async move {
            let outcome = meet(&tls, socket, direct_tls, within).await;
            // A listener that is gone takes no more connections.
            let _ = own.signal(Met { caller, since, outcome });
        });
    }

    fn start_server(
        &mut self,
        surroundings: incoming::Surroundings,
        stream: Stream,
        session: Option<tls::Session>,
        caller: Caller,
        since: Instant,
    ) {
        let Caller { address, door } = caller;
        let surroundings = self.surroundings_for(address, incoming::Surroundings { door, ..surroundings });
        let meter = Arc::clone(&self.streams);
        let incoming = self.workers.start_actor(&self.streams, &address.to_string(), move |own| {
            Incoming::new(surroundings, stream, session, address, since, own, meter)
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

/// Waits for the first byte of a server that may speak either way, then for TLS if it is to be made.
async fn meet(tls: &Tls, socket: TcpStream, direct_tls: bool, within: Duration) -> Outcome {
    let deadline = tokio::time::Instant::now() + within;
    if !direct_tls {
        let mut first = [0];
        match tokio::time::timeout_at(deadline, socket.peek(&mut first)).await {
            Ok(Ok(0)) => return Outcome::Over("the peer closed the connection".to_owned()),
            Ok(Ok(_)) if first == [TLS_HANDSHAKE] => {}
            // To one that stayed silent the stream says why it closes.
            Ok(Ok(_)) | Err(_) => return Outcome::Plain(socket),
            Ok(Err(error)) => return Outcome::Over(error.to_string()),
        }
    }
    match tokio::time::timeout_at(deadline, tls.accept(socket, None, true)).await {
        Ok(Ok((stream, session))) => Outcome::Secured(Box::new(stream), Box::new(session)),
        Ok(Err(error)) => Outcome::NoTls(error.to_string()),
        Err(_) => Outcome::NoTls(format!("no TLS handshake within {} s", within.as_secs_f32())),
    }
}

impl Handler<Queued<Met>> for Listener {
    type Result = ();

    fn handle(&mut self, met: Queued<Met>, _: &mut Context<Self>) {
        let Met { caller, since, outcome } = met.open();
        let address = caller.address;
        let For::Servers(surroundings) = &self.whose else { return };
        let surroundings = surroundings.clone();
        let strangers = surroundings.strangers.clone();
        match outcome {
            Outcome::Plain(socket) => {
                self.start_server(surroundings, Stream::Tcp(socket), None, caller, since);
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
                self.start_server(surroundings, stream, Some(*session), caller, since);
            }
            Outcome::NoTls(reason) => {
                if strangers.insecure.permits() {
                    log::warn!(target: LOG, address:% = address, reason = reason.as_str(); "no TLS");
                }
                self.forget(caller);
            }
            Outcome::Over(reason) => {
                log::debug!(target: LOG, address:% = address, reason = reason.as_str(); "closed");
                self.forget(caller);
            }
        }
    }
}

/// The first byte of a TLS connection: a record of type handshake (RFC 8446 section 5.1). No XML begins with it.
const TLS_HANDSHAKE: u8 = 0x16;
