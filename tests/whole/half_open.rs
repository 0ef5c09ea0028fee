//! Connections that begin a handshake and never finish it: they give way to others of their address.

use std::time::Duration;

use testkit::SECRET;

use super::{
    fixture::{Component, Node, Peer, Setup, paused, sleep, timed},
    scene::{INBOX, PEER, Scene, quick},
};

#[test]
fn components_that_never_finish_their_handshake_give_way_to_a_new_one() {
    paused(async |network| {
        let node = Node::start(network, limited("limits.max_components_unauthenticated_per_address")).await;
        let mut held = Vec::new();
        // Two are served, and so many more fill the queue.
        for _ in 0..50 {
            let mut half = node.wire_from(network, node.address(), 5347).await;
            half.send(COMPONENT_HEADER).await;
            held.push(half);
        }
        sleep(Duration::from_millis(10)).await;
        let shaken = async {
            let wire = node.wire_from(network, node.address(), 5347).await;
            Component::shake_hands(wire, INBOX, SECRET).await
        };
        let (component, took) = timed(shaken).await;
        assert!(component.is_ok(), "{:?}", component.err());
        assert!(took < Duration::from_secs(6), "{took:?}");
        drop(held);
    });
}

#[test]
fn a_component_with_the_secret_does_not_give_way() {
    paused(async |network| {
        let node = Node::start(network, limited("limits.max_components_unauthenticated_per_address")).await;
        let first = node.wire_from(network, node.address(), 5347).await;
        let first = Component::shake_hands(first, INBOX, SECRET).await.unwrap();
        for _ in 0..20 {
            let mut half = node.wire_from(network, node.address(), 5347).await;
            half.send(COMPONENT_HEADER).await;
            sleep(Duration::from_secs(1)).await;
        }
        let mut first = Component::over(first, INBOX);
        first.sends_request("nuncio.example", "still here");
        first.receives_id("still here").await;
    });
}

#[test]
fn servers_that_never_finish_their_handshake_give_way_to_a_new_one() {
    paused(async |network| {
        let setup = quick().set("s2s.max_connections_per_address", "2");
        let scene = Scene::of(network, setup.set("s2s.handshake_timeout", "\"30s\"")).await;
        let source = network.address();
        let mut held = Vec::new();
        for begin in ["<stream:stream", "\u{16}\u{3}\u{1}\u{1}\u{0}\u{1}\u{0}\u{0}\u{5c}"] {
            let mut half = Peer::dials_from(network, source, &scene.node).await;
            half.sends(begin).await;
            held.push(half);
        }
        let served = async {
            let mut peer = Peer::dials_from(network, source, &scene.node).await;
            peer.sends_header(PEER, INBOX, "").await;
            peer.expects_header().await;
        };
        let ((), took) = timed(served).await;
        assert!(took < Duration::from_secs(16), "{took:?}");
        drop(held);
    });
}

/// A node on which two connections of an address are served that have not authenticated, for as long as they like.
fn limited(key: &'static str) -> Setup {
    Setup::of("nuncio.example").set(key, "2").set("s2s.handshake_timeout", "\"1h\"")
}

const COMPONENT_HEADER: &str = "<stream:stream xmlns='jabber:component:accept' \
     xmlns:stream='http://etherx.jabber.org/streams' to='inbox.nuncio.example'>";
