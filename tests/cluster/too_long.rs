//! Stanzas that are longer than the broker permits, and a broker that is started again with a larger `max_payload`.

use super::fixture::{Cluster, setup};
use crate::support::{Broker, Component, Network, Node, SOON, Server, Setup, within};

#[test]
fn a_stanza_that_is_too_long_for_the_broker_costs_only_itself_until_max_payload_is_raised() {
    let network = Network::new();
    let broker = Broker::configured(&network, 1, |place| place.plain() + "max_payload: 65536\n");
    let nodes = ["a", "b"].map(|name| Node::start(&network, setup(name, &broker)));
    let mut cluster = Cluster { network, broker, nodes: nodes.into() };
    cluster.is_joined();
    let other = Node::start(&cluster.network, Setup::of("other.example"));
    let mut far = other.inbox();
    // Node `a` has the link, and the component `inbox`; node `b` has relays to both.
    let mut first = cluster.nodes[0].outbox();
    first.sends_message(far.name(), "first", "");
    far.receives_id("first");
    first.closes();
    let mut near = cluster.inbox(0);
    cluster.nodes[1].eventually_logs(&["component connected to another node: relaying", "name=inbox."]);
    let mut sender = cluster.nodes[1].outbox();
    let body = "x".repeat(60_000);
    let names = [far.name().to_owned(), near.name().to_owned()];
    for name in &names {
        sender.sends_message(name, "before", "");
        sender.sends_message(name, "long", &body);
        sender.sends_message(name, "behind", "");
        is_answered(&mut sender, name);
    }
    for receiver in [&mut far, &mut near] {
        receiver.receives_id("before");
        let next = receiver.next(SOON).expect("the next one");
        assert_eq!(next.attribute("id"), "behind");
    }
    let relays = |line: &str| cluster.nodes[1].process().count(line);
    assert_eq!(relays("link held by another node: relaying"), 1, "the relay is still the first one");
    cluster.broker.dies();
    cluster.broker.adds_to_configuration("max_payload: 1048576\n");
    let connected = |node: &Node| node.process().count("message broker connected");
    let before: Vec<usize> = cluster.nodes.iter().map(connected).collect();
    cluster.broker.starts_again();
    within(SOON, "the nodes are connected to the broker again", || {
        cluster.nodes.iter().zip(&before).all(|(node, before)| connected(node) > *before).then_some(())
    });
    for name in &names {
        sender.sends_message(name, "permitted", &body);
    }
    for receiver in [&mut far, &mut near] {
        receiver.receives_id("permitted");
    }
    assert_eq!((cluster.sum("difference"), cluster.sum("answered")), (0, 2));
}

/// The long message to this name was answered.
fn is_answered(sender: &mut Component, name: &str) {
    let answer = sender.receives("the answer to the long message", |stanza| {
        stanza.attribute("type") == "error" && stanza.attribute("from").contains(name)
    });
    let error = answer.child("error").expect("an error");
    assert_eq!(error.attribute("type"), "modify");
    assert!(error.child("policy-violation").is_some());
    let text = error.child("text").expect("a text").text();
    assert!(
        text.contains("is longer than the message broker of this server's cluster permits (57344)"),
        "{text}"
    );
}
