//! Rows B: streams (RFC 6120, section 4).

mod closing;
mod errors;
mod headers;
mod liveness;
mod negotiation;
mod redirects;
mod stanzas;
mod styles;

use std::{net::Ipv4Addr, time::Duration};

use crate::support::{Auth, Component, Identity, Listener, Network, Node, Peer, SOON, Server, Setup};

/// A node, and a peer with a valid certificate for `peer.example`.
struct Fixture {
    network: Network,
    node: Node,
    identity: Identity,
    /// The address of the peer, if it listens.
    address: Ipv4Addr,
}

impl Fixture {
    fn new() -> Self {
        Self::with(setup())
    }

    fn with(setup: Setup) -> Self {
        let crate::support::Fixture { network, node, identity } = crate::support::Fixture::with(setup);
        let address = network.address();
        Self { network, node, identity, address }
    }

    /// The peer connects to the node.
    #[track_caller]
    fn dials(&self) -> Peer {
        Peer::dials(self.node.address())
    }

    /// The peer connects to the node and sends a header with these additional attributes.
    #[track_caller]
    fn opens(&self, attributes: &str) -> Peer {
        let mut peer = self.dials();
        peer.sends(&header(attributes));
        peer
    }

    /// The peer connects to the node and authenticates.
    #[track_caller]
    fn authenticated(&self) -> Peer {
        self.authenticated_with("")
    }

    /// As `authenticated`, with additional attributes on the last header.
    #[track_caller]
    fn authenticated_with(&self, more: &str) -> Peer {
        let mut peer = self.dials();
        self.authenticates(&mut peer, more);
        peer
    }

    /// A connected peer authenticates.
    #[track_caller]
    fn authenticates(&self, peer: &mut Peer, more: &str) {
        peer.starts_tls(PEER, INBOX, Some(&self.identity));
        peer.proves_by_external(PEER, INBOX, more);
    }

    /// The peer connects to the node and authenticates, with `header` as the header of each stream.
    #[track_caller]
    fn authenticated_by(&self, header: &str) -> Peer {
        let mut peer = self.dials();
        let opens = |peer: &mut Peer| {
            peer.sends(header);
            peer.expects_header();
            peer.expects("features");
        };
        opens(&mut peer);
        peer.asks_for_tls();
        peer.secures_as_client(Some(&self.identity), INBOX);
        opens(&mut peer);
        peer.sends_external();
        opens(&mut peer);
        peer
    }

    /// The peer listens.
    fn listens(&self) -> Listener {
        self.network.publish(PEER, self.address);
        Listener::at(self.address)
    }

    /// The node connects to the peer, which accepts its authentication.
    #[track_caller]
    fn accepts(&self, listener: &Listener) -> Peer {
        let mut peer = listener.accepts();
        peer.answers_to_external(PEER, &self.identity);
        peer
    }

    /// Sends a legitimate stanza, which must be the first that arrives.
    #[track_caller]
    fn receives_only_a_valid_stanza(&self, inbox: &mut Component) {
        let mut peer = self.authenticated();
        peer.sends(&message("valid"));
        let first = inbox.next(SOON).expect("the valid stanza");
        assert_eq!(first.attribute("id"), "valid", "{first}");
    }
}

fn setup() -> Setup {
    Setup::of("nuncio.example").auth(Auth::External)
}

/// A header with the namespaces of a stream between servers.
fn header(attributes: &str) -> String {
    format!(
        "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' {attributes}>"
    )
}

/// A message from the peer to the component.
fn message(id: &str) -> String {
    format!("<message from='romeo@{PEER}' to='juliet@{INBOX}' id='{id}'><body>hello</body></message>")
}

/// The component sends a request to the peer.
#[track_caller]
fn ask(inbox: &mut Component, id: &str) {
    inbox.sends(&format!(
        "<iq type='get' id='{id}' from='juliet@{INBOX}' to='{PEER}'><ping xmlns='urn:xmpp:ping'/></iq>"
    ));
}

const PEER: &str = "peer.example";
const INBOX: &str = "inbox.nuncio.example";

/// The attributes with which the peer opens a stream to the component's domain.
const NAMED: &str = "version='1.0' from='peer.example' to='inbox.nuncio.example'";

/// How long the test waits for data that must not arrive.
const QUIET: Duration = Duration::from_millis(200);
