//! Servers without stream management: they get none of its elements, and stanzas are exchanged as before.

use crate::support::{
    Certificate, Component, Jabberd2, Network, Node, Passed, Purpose, SM, Server, Setup, Tenant, Wiretap,
};

#[test]
fn ejabberd_gets_no_element_of_stream_management() {
    let ejabberd = Tenant::with(&Certificate::Common(Purpose::Both));
    let setup = Setup::of(&ejabberd.neighbour("nuncio")).unpublished().set("s2s.keepalive", "\"1s\"");
    exchanges(ejabberd.network(), setup, &ejabberd);
}

#[test]
fn ejabberd_gets_none_after_dialback() {
    let ejabberd = Tenant::with(&Certificate::SelfSigned);
    let setup = Setup::of(&ejabberd.neighbour("nuncio"))
        .certificate(Certificate::SelfSigned)
        .unpublished()
        .set("s2s.keepalive", "\"1s\"");
    exchanges(ejabberd.network(), setup, &ejabberd);
}

#[test]
fn jabberd2_gets_no_element_of_stream_management() {
    let network = Network::new();
    let jabberd2 = Jabberd2::start(&network, Setup::of("jabberd.example"));
    let setup = Setup::of("nuncio.example").unpublished().set("s2s.keepalive", "\"1s\"");
    exchanges(&network, setup, &jabberd2);
}

/// Stanzas in both directions through relays that read every stream.
fn exchanges(network: &Network, setup: Setup, peer: &dyn Server) {
    let node = Node::start(network, setup);
    let identity = |server: &dyn Server| server.setup().identity(&network.authority).expect("a certificate");
    let relay = |server: &dyn Server, other: &dyn Server| {
        let relay = Wiretap::start(network.address(), server.address(), identity(server), identity(other));
        for name in server.setup().names() {
            network.dns.clear(name);
            network.publish(name, relay.address());
        }
        relay
    };
    let to_peer = relay(peer, &node);
    let to_node = relay(&node, peer);
    let (mut here, mut there) = (node.inbox(), peer.inbox());
    exchange(&mut here, &mut there, 20);
    let (mut here, mut there) = (node.outbox(), peer.outbox());
    exchange(&mut there, &mut here, 20);
    // The keepalive of an idle link.
    std::thread::sleep(std::time::Duration::from_secs(3));
    exchange(&mut here, &mut there, 1);
    let to_peer = to_peer.passed();
    let to_node = to_node.passed();
    for (passed, by_initiator) in [(&to_peer, true), (&to_node, false)] {
        let ours: Vec<&Passed> =
            passed.iter().filter(|passed| passed.from_initiator == by_initiator).collect();
        assert!(ours.iter().any(|passed| passed.over_tls), "streams over TLS were read");
        let unasked = |passed: &&&Passed| passed.element.namespace == SM;
        let unasked: Vec<_> = ours.iter().filter(unasked).collect();
        assert!(unasked.is_empty(), "{unasked:?}");
        // Otherwise the peer has learned stream management, and this test shows nothing.
        let theirs = passed.iter().filter(|passed| passed.from_initiator != by_initiator);
        let offers = theirs.filter(|passed| passed.element.child("sm").is_some()).count();
        assert_eq!(offers, 0, "the peer offers stream management");
    }
    let account = node.account();
    assert!(account.contains("difference=0"), "{account}");
}

/// Messages there, and an answer to each.
#[track_caller]
fn exchange(one: &mut Component, other: &mut Component, count: usize) {
    for number in 0..count {
        let id = format!("{number} from {}", one.name());
        one.sends_message(other.name(), &id, "there");
        other.receives_id(&id);
        other.sends_message(one.name(), &format!("{id}, back"), "back");
        one.receives_id(&format!("{id}, back"));
    }
}
