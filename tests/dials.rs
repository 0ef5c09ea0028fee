//! Attempts to make links are bounded, in all and to one address, and leave turns to others.

use std::time::Duration;

use crate::support::{Listener, Network, Node, Peer, Server, Setup, eventually};

#[test]
fn one_address_meets_a_few_connections_at_once() {
    let network = Network::new();
    let address = network.address();
    let listener = Listener::at(address);
    let pattern = format!("[[remote]]\nname = \"*.host.example\"\naddress = \"{address}:5269\"");
    let setup = Setup::of("nuncio.example").set("limits.max_dials_per_address", "3").block(&pattern);
    let node = Node::start(&network, setup);
    let mut sender = node.inbox();
    for number in 0..10 {
        sender.sends_message(&format!("d{number}.host.example"), &number.to_string(), "");
    }
    let mut inside: Vec<Peer> = (0..3).map(|_| listener.accepts()).collect();
    // Each that leaves lets one in, and only one.
    for _ in 0..7 {
        assert!(stays_away(&listener), "more than three at once");
        drop(inside.remove(0));
        inside.push(listener.accepts());
    }
}

#[test]
fn those_who_wait_go_on_as_soon_as_a_reload_makes_room() {
    let network = Network::new();
    let address = network.address();
    let silent = Listener::at(address);
    let setup = |most| {
        let pattern = format!("[[remote]]\nname = \"*.silent.example\"\naddress = \"{address}:5269\"");
        Setup::of("nuncio.example").set("limits.max_dials_per_address", most).block(&pattern)
    };
    let node = Node::start(&network, setup("1"));
    let mut sender = node.inbox();
    for number in 0..3 {
        sender.sends_message(&format!("d{number}.silent.example"), &number.to_string(), "");
    }
    let first = silent.accepts();
    assert!(stays_away(&silent), "more than one at once");
    node.reconfigures(&network, &setup("3"));
    let _others = [silent.accepts(), silent.accepts()];
    drop(first);
}

#[test]
fn a_host_of_a_hundred_silent_domains_leaves_turns_to_others() {
    let network = Network::new();
    let other = Node::start(&network, Setup::of("other.example"));
    let address = network.address();
    let silent = Listener::at(address);
    let pattern = format!("[[remote]]\nname = \"*.silent.example\"\naddress = \"{address}:5269\"");
    let setup = Setup::of("nuncio.example").set("limits.max_dials", "4").block(&pattern);
    let setup = setup.set("limits.max_dials_per_address", "3").set("s2s.handshake_timeout", "\"60s\"");
    let node = Node::start(&network, setup);
    let (mut sender, mut receiver) = (node.inbox(), other.inbox());
    for number in 0..100 {
        sender.sends_message(&format!("d{number}.silent.example"), &number.to_string(), "");
    }
    let inside: Vec<Peer> = (0..3).map(|_| silent.accepts()).collect();
    // Cold, and behind a hundred that will not come about within the minute.
    sender.sends_message(receiver.name(), "cold", "");
    receiver.receives_id("cold");
    drop(inside);
}

#[test]
fn too_many_domains_at_one_dead_address_are_told_so() {
    let network = Network::new();
    let address = network.address();
    let silent = Listener::at(address);
    let pattern = format!("[[remote]]\nname = \"*.silent.example\"\naddress = \"{address}:5269\"");
    let setup = Setup::of("nuncio.example").set("limits.max_dials_per_address", "1").block(&pattern);
    let node = Node::start(&network, setup.log("warn,nuncio::account=info,nuncio::node=info"));
    let mut sender = node.inbox();
    let from = sender.name().to_owned();
    let flood = sender.floods(1_100, move |number| {
        format!(
            "<iq type='get' from='a@{from}' to='d{number}.silent.example' id='{number}'><ping xmlns='urn:xmpp:ping'/></iq>"
        )
    });
    let _inside = silent.accepts();
    let answer = sender.receives("an answer", |stanza| stanza.is("iq", "error"));
    let error = answer.expect("error");
    error.expect("resource-constraint");
    assert_eq!(error.expect("text").text(), format!("too many connections to {address} wait to be made"));
    flood.join().unwrap();
}

/// Whether nobody connects for a moment.
fn stays_away(listener: &Listener) -> bool {
    let end = std::time::Instant::now() + Duration::from_millis(200);
    eventually("a moment passes, or somebody connects", || {
        let came = listener.accepted().is_some();
        (came || std::time::Instant::now() > end).then_some(!came)
    })
}
