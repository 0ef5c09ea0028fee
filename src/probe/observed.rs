//! Observes the attempt of a node: its events, and the observations of one connection.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use openssl::x509::X509;
use tokio::sync::mpsc;
use xmpp::{
    policy::Mechanism,
    sasl,
    stream::{Header, features::Features, initiating::Note},
};

use crate::control::client;
use actors::attempt::{Observer, observer};
use net::{
    dns::{Exchange, Target},
    tls,
};
use status::request::Request;

/// An observed event.
#[derive(Debug)]
pub(crate) enum Event {
    /// A DNS query was answered.
    Asked(Exchange),
    /// The walk has come to a target.
    Entered(Target),
    /// The addresses of the target are known.
    Located(Vec<SocketAddr>),
    /// The walk connects to an address.
    Visiting(SocketAddr),
    /// A TCP connection was opened.
    Connected(Duration),
    /// TLS was established.
    Secured(Box<Presented>),
    /// Bytes of a stream were received.
    Received(Vec<u8>),
    /// A step of the negotiation.
    Noted(Note),
}

/// The TLS session of a peer and the certificates that it presented.
#[derive(Debug)]
pub(crate) struct Presented {
    pub(crate) session: tls::Session,
    /// Its own certificate first.
    pub(crate) chain: Vec<X509>,
}

/// Sends the events of an attempt.
#[derive(Debug)]
pub(crate) struct EventSender {
    events: mpsc::Sender<Event>,
    /// The control socket of the running node, which is told about connections to it.
    announce_at: Option<PathBuf>,
}

impl EventSender {
    /// A sender and the receiver of its events.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Event>) {
        let (events, receiver) = mpsc::channel(MAX_UNREAD);
        (Self { events, announce_at: None }, receiver)
    }

    /// A sender that also announces connections at this control socket, so that the running node does not
    /// record them.
    pub(crate) fn announcing(&self, socket: Option<PathBuf>) -> Self {
        Self { events: self.events.clone(), announce_at: socket }
    }
}

impl Observer for EventSender {
    fn observe(&self, step: observer::Step<'_>) {
        use observer::Step;
        let event = match step {
            Step::Negotiating { from } => {
                // It fails if no node runs, or if a node of another user runs, whose records are elsewhere.
                let announced = self
                    .announce_at
                    .as_ref()
                    .map(|socket| client::exchange(socket, &Request::ExpectProbe { address: from }));
                if let Some(Err(reason)) = announced {
                    log::debug!(target: LOG, reason = reason.as_str(); "cannot announce the connection to the node");
                }
                return;
            }
            Step::Queried(asked) => Event::Asked(asked.clone()),
            Step::Entered(target) => Event::Entered(target.clone()),
            Step::Located(addresses) => Event::Located(addresses.to_vec()),
            // The strategy of the probe visits one address at a time.
            Step::Visiting(addresses) => match addresses {
                [address, ..] => Event::Visiting(*address),
                [] => return,
            },
            Step::Connected { took, .. } => Event::Connected(took),
            Step::Secured { session, ssl } => {
                let chain = ssl.peer_cert_chain().map(|chain| chain.iter().map(ToOwned::to_owned).collect());
                let chain = chain.unwrap_or_default();
                Event::Secured(Box::new(Presented { session: session.clone(), chain }))
            }
            Step::Received(bytes) => Event::Received(bytes.iter().copied().take(MAX_BYTES).collect()),
            Step::Noted(note) => Event::Noted(note.clone()),
        };
        // If a peer causes more events than fit, the rest is not shown; the attempt goes on.
        let _ = self.events.try_send(event);
    }
}

/// Observations of one connection.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    /// The first bytes of the peer.
    pub(crate) received: Vec<u8>,
    /// The last stream header.
    pub(crate) header: Option<Header>,
    /// The last stream features before authentication.
    pub(crate) offered: Option<Features>,
    /// The mechanisms that were tried.
    pub(crate) tried: Vec<Mechanism>,
    /// The answer of the peer that refused our certificate.
    pub(crate) external_refused: Option<sasl::Failure>,
    /// TLS and certificates.
    pub(crate) presented: Option<Presented>,
    /// The report contains a fatal finding about the certificate.
    pub(crate) certificate_reported: bool,
}

impl Observed {
    /// Adds bytes of the peer, up to [`MAX_BYTES`].
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        let room = MAX_BYTES.saturating_sub(self.received.len());
        self.received.extend(bytes.iter().take(room));
    }
}

const LOG: &str = "nuncio::probe";

/// Maximum number of events that wait to be shown. A negotiation has about a dozen.
const MAX_UNREAD: usize = 1024;

/// Bytes that are kept, enough to recognise HTTP.
const MAX_BYTES: usize = 256;
