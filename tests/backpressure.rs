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
    let flood = sender.floods(6_000, move |number| {
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
    let node = Node::start(
        &network,
        Setup::of("nuncio.example").set("dns.timeout", "\"60s\"").set("s2s.handshake_timeout", "\"60s\""),
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
    let start = Instant::now();
    let pong = quiet.asks(other.domain(), PING);
    assert!(pong.is("iq", "result"), "{pong}");
    assert!(start.elapsed() < SHORT_MOMENT, "another component waited {:?}", start.elapsed());
    flood.join().unwrap();
    let pong = flooding.asks(other.domain(), PING);
    assert!(pong.is("iq", "result"), "{pong}");
    assert!(start.elapsed() < MOMENT, "the flooding component waited {:?}", start.elapsed());
}

const PING: &str = "<ping xmlns='urn:xmpp:ping'/>";

/// Far less than the minute that the silent domain is waited for, and the two that a deaf component
/// is; long enough for a machine that is busy with other tests.
const MOMENT: Duration = Duration::from_secs(20);

/// Less than a full queue holds up its own sources.
const SHORT_MOMENT: Duration = Duration::from_millis(2500);
