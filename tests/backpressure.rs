//! Back-pressure: a slow component or a silent domain delays no other traffic.

use crate::support::{Behaviour, Component, NEVER, Network, Node, SOON, Server, Setup};

#[test]
fn a_component_that_does_not_read_delays_no_other() {
    let network = Network::new();
    let other = Node::start(&network, Setup::of("other.example"));
    // The connection is not closed while the test lasts.
    let node = Node::start(
        &network,
        Setup::of("nuncio.example").set("s2s.write_timeout", NEVER).set("absence.max_bytes", "\"4 MiB\""),
    );
    let mut sender = other.inbox();
    let mut heard = node.inbox();
    let _deaf = Component::connect_deaf(node.address(), "outbox.nuncio.example");
    // The link of the other pair is open before the flood.
    sender.sends_message(heard.name(), "before", "");
    heard.receives_id("before");

    let from = sender.name().to_owned();
    let filling = "x".repeat(2000);
    let flood = sender.floods(6_000, move |number| {
        format!(
            "<message from='a@{from}' to='b@outbox.nuncio.example' id='{number}'><body>{filling}</body></message>"
        )
    });
    let answer = sender.receives("a stanza back", |stanza| stanza.is("message", "error"));
    let error = answer.expect("error");
    assert_eq!(error.attribute("type"), "wait", "{answer}");
    assert!(error.child("resource-constraint").is_some(), "{answer}");

    heard.sends_message(sender.name(), "meanwhile", "");
    sender.receives_id("meanwhile");
    sender.sends_message(heard.name(), "in turn", "");
    heard.receives_id("in turn");
    flood.join().unwrap();
}

#[test]
fn a_flood_to_a_silent_domain_delays_no_other_sender() {
    let network = Network::new();
    network.dns.behaves("mute.example", Behaviour::Silence);
    let other = Node::start(&network, Setup::of("other.example"));
    let node = Node::start(
        &network,
        Setup::of("nuncio.example")
            .set("dns.timeout", NEVER)
            .set("s2s.handshake_timeout", NEVER)
            .set("promise.message", NEVER)
            .set("promise.max_stanzas", "1000"),
    );
    let (mut flooding, mut quiet) = (node.inbox(), node.outbox());
    for sender in [&mut flooding, &mut quiet] {
        let pong = sender.asks(other.domain(), PING);
        assert!(pong.is("iq", "result"), "{pong}");
    }

    let from = flooding.name().to_owned();
    let flood = flooding.floods(3_000, move |number| {
        format!("<message from='a@{from}' to='b@mute.example' id='{number}'><body/></message>")
    });
    // More than the queue takes: reading from its source pauses for a while.
    let pong = quiet.asks(other.domain(), PING);
    assert!(pong.is("iq", "result"), "{pong}");
    flood.join().unwrap();
    let pong = flooding.asks(other.domain(), PING);
    assert!(pong.is("iq", "result"), "{pong}");
    // Stanzas that did not fit the queue bounced; the queued ones are not answered while the domain is silent.
    for number in 1_000..3_000 {
        let back = flooding.next(SOON).expect("what did not fit");
        assert_eq!(back.attribute("id"), number.to_string(), "{back}");
        back.expect("error").expect("resource-constraint");
    }
}

const PING: &str = "<ping xmlns='urn:xmpp:ping'/>";
