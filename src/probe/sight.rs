//! What is seen of the node's own way while it is gone, in the order of events.

use std::path::PathBuf;

use openssl::x509::X509;
use tokio::sync::mpsc;
use xmpp::{
    policy::Mechanism,
    sasl,
    stream::{Header, features::Features, initiating::Note},
};

use crate::control::client;
use actors::dial::observer::{Seen, Watch};
use net::{dns::Asked, tls};
use status::request::Request;

/// Something that was seen.
#[derive(Debug)]
pub(crate) enum Event {
    /// An answer of the DNS.
    Asked(Asked),
    /// TLS stands.
    Secured(Box<Shown>),
    /// Bytes of a stream.
    Received(Vec<u8>),
    /// A step of the negotiation.
    Noted(Note),
}

/// What a peer showed in TLS.
#[derive(Debug)]
pub(crate) struct Shown {
    /// As the node sees it.
    pub(crate) session: tls::Session,
    /// All of its certificates, its own first.
    pub(crate) chain: Vec<X509>,
}

/// Who looks on.
#[derive(Debug)]
pub(crate) struct Spectator {
    events: mpsc::Sender<Event>,
    /// The control socket of the running node, where connections to it are announced.
    announces: Option<PathBuf>,
}

impl Spectator {
    /// One who tells what it sees.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Event>) {
        let (events, seen) = mpsc::channel(MOST_UNSEEN);
        (Self { events, announces: None }, seen)
    }

    /// One who also announces connections at this control socket, so that the running node keeps no records of them.
    pub(crate) fn announcing(&self, socket: Option<PathBuf>) -> Self {
        Self { events: self.events.clone(), announces: socket }
    }
}

impl Watch for Spectator {
    fn see(&self, seen: Seen<'_>) {
        let event = match seen {
            Seen::Connected { from } => {
                // Where no node runs, or another user's, there is nobody who would record it here.
                let announced = self
                    .announces
                    .as_ref()
                    .map(|socket| client::exchange(socket, &Request::ExpectProbe { address: from }));
                if let Some(Err(why)) = announced {
                    log::debug!(target: super::LOG, reason = why.as_str(); "the connection was not announced");
                }
                return;
            }
            Seen::Asked(asked) => Event::Asked(asked.clone()),
            Seen::Secured { session, ssl } => {
                let chain = ssl.peer_cert_chain().map(|chain| chain.iter().map(ToOwned::to_owned).collect());
                Event::Secured(Box::new(Shown { session: session.clone(), chain: chain.unwrap_or_default() }))
            }
            Seen::Received(bytes) => Event::Received(bytes.iter().copied().take(BEGINNING).collect()),
            Seen::Noted(note) => Event::Noted(note.clone()),
        };
        // A peer that sends more than can be shown is cut short here, not there.
        let _ = self.events.try_send(event);
    }
}

/// What was seen of one connection.
#[derive(Debug, Default)]
pub(crate) struct Sight {
    /// The first bytes that came.
    pub(crate) heard: Vec<u8>,
    /// The last stream header.
    pub(crate) greeting: Option<Header>,
    /// The last features before authentication.
    pub(crate) offered: Option<Features>,
    /// What was tried to authenticate us.
    pub(crate) tried: Vec<Mechanism>,
    /// How our certificate was refused.
    pub(crate) external_refused: Option<sasl::Failure>,
    /// TLS.
    pub(crate) shown: Option<Shown>,
    /// Its certificate was told to be the end of the way.
    pub(crate) condemned: bool,
}

impl Sight {
    /// Keeps the beginning of what comes.
    pub(crate) fn hear(&mut self, bytes: &[u8]) {
        let room = BEGINNING.saturating_sub(self.heard.len());
        self.heard.extend(bytes.iter().take(room));
    }
}

/// Events that nobody has looked at yet. A negotiation has some dozen.
const MOST_UNSEEN: usize = 1024;

/// Enough to tell a web server from an XMPP server.
const BEGINNING: usize = 256;
