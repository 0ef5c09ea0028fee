//! Rows C: STARTTLS (RFC 6120, section 5; RFC 7590).

mod certificates;
mod negotiation;
mod scan;

use std::{net::Ipv4Addr, time::Duration};

use crate::support::{Auth, Element, Identity, Listener, Network, Node, Peer, Server, Setup};

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
        Self::with(Setup::of("nuncio.example").auth(Auth::External))
    }

    fn with(setup: Setup) -> Self {
        let crate::support::Fixture { network, node, identity } = crate::support::Fixture::with(setup);
        let address = network.address();
        Self { network, node, identity, address }
    }

    /// The peer connects to the node and opens a stream, up to the features.
    #[track_caller]
    fn opens(&self) -> (Peer, Element) {
        let mut peer = Peer::dials(self.node.address());
        peer.sends_header(PEER, INBOX, "");
        peer.expects_header();
        let features = peer.expects("features");
        (peer, features)
    }

    /// As `opens`, up to the start of TLS.
    #[track_caller]
    fn may_proceed(&self) -> Peer {
        let (mut peer, _) = self.opens();
        peer.asks_for_tls();
        peer
    }

    /// The peer listens.
    fn listens(&self) -> Listener {
        self.network.publish(PEER, self.address);
        Listener::at(self.address)
    }

    /// The node connects to the peer, up to its `<starttls/>`.
    #[track_caller]
    fn asked_for_tls(&self, listener: &Listener) -> Peer {
        let mut peer = listener.accepts();
        peer.expects_header();
        peer.sends_header(PEER, INBOX, "id='before-tls'");
        peer.sends_features("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        peer.expects("starttls");
        peer
    }
}

fn names(features: &Element) -> Vec<&str> {
    features.children().map(|feature| feature.name.as_str()).collect()
}

/// A request from the component to the peer.
fn question(id: &str) -> String {
    format!("<iq type='get' id='{id}' from='a@{INBOX}' to='{PEER}'><ping xmlns='urn:xmpp:ping'/></iq>")
}

const PEER: &str = "peer.example";
const INBOX: &str = "inbox.nuncio.example";
const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
const PROCEED: &str = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
const EXTERNAL: &str =
    "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms>";
const DIALBACK: &str = "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>";

/// How long the test waits for data that must not arrive.
const QUIET: Duration = Duration::from_millis(200);
