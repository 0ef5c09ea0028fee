//! 3B: streams (RFC 6120, section 4).

mod closing;
mod errors;
mod headers;
mod liveness;
mod negotiation;
mod redirects;
mod stanzas;
mod styles;

use std::{net::Ipv4Addr, time::Duration};

use crate::support::{Auth, Component, Identity, Listener, Network, Node, Peer, Server, Setup};

/// A node, and a peer with a good certificate for `peer.example`.
struct Stage {
    network: Network,
    node: Node,
    identity: Identity,
    /// Where the peer listens, when it does.
    address: Ipv4Addr,
}

impl Stage {
    fn set() -> Self {
        Self::with(setup())
    }

    fn with(setup: Setup) -> Self {
        let network = Network::new();
        let node = Node::start(&network, setup);
        let identity = network.authority.issue(&[PEER]);
        let address = network.address();
        Self { network, node, identity, address }
    }

    /// The peer dials the node.
    #[track_caller]
    fn dials(&self) -> Peer {
        Peer::dials(self.node.address())
    }

    /// The peer dials the node and sends a header with these attributes, besides those that make it a stream.
    #[track_caller]
    fn opens(&self, attributes: &str) -> Peer {
        let mut peer = self.dials();
        peer.sends(&header(attributes));
        peer
    }

    /// The peer dials the node and authenticates itself.
    #[track_caller]
    fn authenticated(&self) -> Peer {
        self.authenticated_with("")
    }

    /// As `authenticated`, with more attributes on the header of the stream that stanzas come on.
    #[track_caller]
    fn authenticated_with(&self, more: &str) -> Peer {
        let mut peer = self.dials();
        self.authenticates(&mut peer, more);
        peer
    }

    /// A peer that has dialled the node proves who it is.
    #[track_caller]
    fn authenticates(&self, peer: &mut Peer, more: &str) {
        peer.starts_tls(PEER, INBOX, Some(&self.identity));
        peer.expects("features");
        peer.sends("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>");
        peer.expects("success");
        peer.restarts();
        peer.sends_header(PEER, INBOX, more);
        peer.expects_header();
        peer.expects("features");
    }

    /// The peer waits to be dialled.
    fn listens(&self) -> Listener {
        self.network.publish(PEER, self.address);
        Listener::at(self.address)
    }

    /// The node dials the peer, which takes it.
    #[track_caller]
    fn accepts(&self, listener: &Listener) -> Peer {
        let mut peer = listener.accepts();
        peer.answers_to_external(PEER, &self.identity);
        peer
    }

    /// Sends one honest stanza, which must be the first that arrives: all before it went nowhere.
    #[track_caller]
    fn receives_only_the_truth(&self, inbox: &mut Component) {
        let mut peer = self.authenticated();
        peer.sends(&message("truth"));
        let first = inbox.next(Duration::from_secs(20)).expect("the honest stanza");
        assert_eq!(first.attribute("id"), "truth", "{first}");
    }
}

fn setup() -> Setup {
    Setup::of("nuncio.example").auth(Auth::External)
}

/// A header that declares what a stream between servers needs.
fn header(attributes: &str) -> String {
    format!(
        "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' {attributes}>"
    )
}

/// From the peer to the component.
fn message(id: &str) -> String {
    format!("<message from='romeo@{PEER}' to='juliet@{INBOX}' id='{id}'><body>hello</body></message>")
}

/// The component asks the peer.
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

/// Long enough for something to come that should not.
const QUIET: Duration = Duration::from_millis(200);
