//! The scene of the tests of one link: the node `nuncio.example`, and the scripted server `peer.example` with a valid
//! certificate.

use super::fixture::{Identity, Listener, Network, Node, Peer, Setup};

pub(super) struct Scene<'a> {
    pub(super) network: &'a Network,
    pub(super) node: Node,
    pub(super) identity: Identity,
}

impl<'a> Scene<'a> {
    /// With a node that accepts certificates only.
    pub(super) async fn set(network: &'a Network) -> Self {
        Self::of(network, quick()).await
    }

    pub(super) async fn of(network: &'a Network, setup: Setup) -> Self {
        let identity = network.authority.issue(&[PEER]);
        Self { network, node: Node::start(network, setup).await, identity }
    }

    /// A stream from the peer to the component `inbox.`, authenticated by certificate.
    pub(super) async fn peer(&self) -> Peer {
        self.peer_with(&self.identity).await
    }

    /// The same with another certificate.
    pub(super) async fn peer_with(&self, identity: &Identity) -> Peer {
        Peer::authenticates(self.network, &self.node, PEER, INBOX, identity).await
    }

    /// Publishes the peer, which listens.
    pub(super) fn listens(&self) -> Listener {
        Listener::of(self.network, PEER)
    }

    /// The node connects to the peer, which accepts its authentication.
    pub(super) async fn accepts(&self, listener: &Listener) -> Peer {
        let mut peer = listener.accepts().await;
        peer.answers_to_external(PEER, &self.identity).await;
        peer
    }
}

/// A node that accepts certificates only.
pub(super) fn quick() -> Setup {
    Setup::of("nuncio.example").external()
}

/// A message from the peer to the component.
pub(super) fn message(id: &str) -> String {
    format!("<message from='romeo@{PEER}' to='juliet@{INBOX}' id='{id}'><body>hello</body></message>")
}

pub(super) const PEER: &str = "peer.example";
pub(super) const INBOX: &str = "inbox.nuncio.example";
