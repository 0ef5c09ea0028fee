//! The connection of a handshake: its TLS, and its end.

use std::time::SystemTime;

use xmpp::{
    certificate::Problem,
    stream::{
        End, Secured, Stage,
        initiating::{Handshake, Open, Output},
    },
};

use super::{Goal, Negotiation, outrun};
use crate::{
    dial::{attempt::race::Point, error::AttemptError, observer::Step},
    flow::close::{self, CloseMode},
    observe::metrics::{Count, Phase},
};
use net::{network::Socket, stream::Stream, tls};
use status::{
    display,
    event::{Event, EventKind},
    report::{Direction, Verdict},
};

/// The connection of a handshake.
pub struct Transport {
    pub(super) stream: Stream,
    /// The time at which the peer's certificate expires.
    pub(super) expires: Option<SystemTime>,
    /// The certificates of the peer, to verify them again after a reload.
    pub(super) peer_chain: Option<tls::PeerChain>,
}

impl Transport {
    pub(super) fn new(socket: Socket) -> Self {
        Self { stream: Stream::Tcp(socket), expires: None, peer_chain: None }
    }

    /// Closes the connection of a stream whose closing tag is written, in the background. `is_open`: the
    /// closing tag of the peer is missing.
    pub(in crate::dial::attempt) fn close(self, is_open: bool) {
        hang_up(self.stream, CloseMode::after(&End::Closed, is_open));
    }

    /// Closes a connection that has authenticated and is not used. `output` is the step that it would make next.
    pub(super) fn give_up<G: Goal>(self, handshake: Handshake<G::Handshake>, output: Output<G::Completed>) {
        match output {
            Output::Completed(completed) => G::give_up(self, completed, handshake.is_open()),
            _ => outrun::close_handshake(handshake, self.stream),
        }
    }

    /// Closes the connection of a stream that has just opened, in the background.
    pub(in crate::dial::attempt) fn close_open(self, machine: Box<Open>) {
        outrun::close_open(machine, self.stream);
    }
}

impl<G: Goal> Negotiation<'_, G> {
    /// Performs the TLS handshake.
    pub(super) async fn secure(
        &mut self,
        transport: Transport,
        direct: bool,
    ) -> Result<(Transport, Secured), AttemptError> {
        let attempt = self.attempt;
        let Stream::Tcp(socket) = transport.stream else { return Err(AttemptError::Crashed) };
        self.entrant.reach(Point::Negotiating(self.address, Stage::Tls));
        let began = clock::now();
        let handshake = attempt.dialer.tls.connect(socket, &attempt.pair, direct).await;
        attempt.count(Phase::Tls, began);
        self.usable = clock::now();
        // A peer that refuses the handshake with an alert has TLS too.
        if matches!(handshake, Ok(_) | Err(tls::Error::Alert(_))) {
            self.entrant.note_tls();
        }
        let direction = Direction::Outgoing;
        let (stream, mut session) = handshake.map_err(|error| {
            attempt.dialer.metrics.count(Count::TlsFailed { direction, kind: error.as_str() });
            AttemptError::Tls { address: self.address, error }
        })?;
        attempt.observe(|| Step::Secured { session: &session, ssl: stream.ssl() });
        attempt.dialer.metrics.count_secured(direction, &session.protocol, &session.cipher);
        let verdict = session.certificate.as_ref().map_or(Err(Problem::Missing), |certificate| {
            certificate.proves(&attempt.pair.remote, attempt.remote.policy.trust)
        });
        attempt
            .dialer
            .metrics
            .count(Count::CertificateVerified { direction, verdict: Verdict::of(&verdict) });
        let verdict = display::certificate(&verdict);
        log::log!(
            target: attempt.log, attempt.level(), pair:% = attempt.pair, protocol = session.protocol.as_str(),
            cipher = session.cipher.as_str(), certificate = verdict.as_str();
            "secured"
        );
        let text = format!("{}, certificate {verdict}", session.protocol);
        attempt.record(Event::now(EventKind::Secured).at(self.address).saying(text));
        let transport = Transport {
            stream: Stream::Tls(Box::new(stream)),
            expires: session.expires,
            peer_chain: session.peer_chain.take(),
        };
        Ok((transport, secured(session)))
    }
}

/// The part of a TLS session that a stream needs to know.
pub(crate) fn secured(session: tls::Session) -> Secured {
    Secured { certificate: session.certificate, protocol: session.protocol, cipher: session.cipher }
}

/// Closes a connection in the background.
pub(super) fn hang_up(mut stream: Stream, mode: CloseMode) {
    actix_rt::spawn(async move {
        // An error does not matter, as the result of the attempt is known.
        let _ = close::close(&mut stream, mode).await;
    });
}
