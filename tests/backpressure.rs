//! Who is slow or gone holds up nobody else for longer than a moment.

use std::time::{Duration, Instant};

use crate::support::{Behaviour, Component, Network, Node, Server, Setup};

#[test]
fn a_component_that_does_not_read_holds_up_nobody_else() {
    let network = Network::new();
    let other = Node::start(&network, Setup::of("other.example"));
    let node = Node::start(&network, Setup::of("nuncio.example"));
    let mut sender = other.inbox();
    let mut heard = node.inbox();
    let _deaf = Component::connect_deaf(node.address(), "outbox.nuncio.example");
    // The link of the pair that must go on is there before.
    sender.sends_message(heard.name(), "before", "");
    heard.receives_id("before");

    let from = sender.name().to_owned();
    let filling = "x".repeat(2000);
    let flood = sender.floods(20_000, move |number| {
        format!(
            "<message from='a@{from}' to='b@outbox.nuncio.example' id='{number}'><body>{filling}</body></message>"
        )
    });
    let answer = sender.receives("a stanza back", |stanza| stanza.is("message", "error"));
    let error = answer.expect("error");
    assert_eq!(error.attribute("type"), "wait", "{answer}");
    assert!(error.child("resource-constraint").is_some(), "{answer}");

    let start = Instant::now();
    heard.sends_message(sender.name(), "meanwhile", "");
    sender.receives_id("meanwhile");
    sender.sends_message(heard.name(), "in turn", "");
    heard.receives_id("in turn");
    assert!(start.elapsed() < MOMENT, "only after {:?}", start.elapsed());
    flood.join().unwrap();
}

#[test]
fn a_flood_to_a_silent_domain_holds_up_nobody_else() {
    let network = Network::new();
    network.dns.behaves("mute.example", Behaviour::Silence);
    let other = Node::start(&network, Setup::of("other.example"));
    let node = Node::start(&network, Setup::of("nuncio.example").set("dns.timeout", "\"30s\""));
    let (mut flooding, mut quiet) = (node.inbox(), node.outbox());
    for sender in [&mut flooding, &mut quiet] {
        let pong = sender.asks(other.domain(), PING);
        assert!(pong.is("iq", "result"), "{pong}");
    }

    let from = flooding.name().to_owned();
    let flood = flooding.floods(5_000, move |number| {
        format!("<message from='a@{from}' to='b@mute.example' id='{number}'><body/></message>")
    });
    let start = Instant::now();
    let pong = quiet.asks(other.domain(), PING);
    assert!(pong.is("iq", "result"), "{pong}");
    assert!(start.elapsed() < Duration::from_secs(1), "another component waited {:?}", start.elapsed());
    flood.join().unwrap();
    let pong = flooding.asks(other.domain(), PING);
    assert!(pong.is("iq", "result"), "{pong}");
    assert!(start.elapsed() < MOMENT, "the flooding component waited {:?}", start.elapsed());
}

const PING: &str = "<ping xmlns='urn:xmpp:ping'/>";

/// A cold link may take some seconds, and so may the patience with who is slow.
const MOMENT: Duration = Duration::from_secs(8);
