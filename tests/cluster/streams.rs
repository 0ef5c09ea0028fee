//! Streams of other servers that acknowledge: resumed at the same node, or followed by one to another node.

use super::fixture::{Cluster, DOMAIN, floods};
use crate::delivery::{Tally, floods_in_step};
use crate::support::{Auth, Broker, Network, Node, Prosody, Proxy, Reset, Server, Setup};

#[test]
fn a_stream_that_is_resumed_at_its_node_loses_and_repeats_nothing_for_a_component_at_another_node() {
    let cluster = hidden();
    let proxy = Proxy::start(cluster.network.address(), cluster.nodes[0].address());
    cluster.network.publish(&near_name(), proxy.address());
    let other = Node::start(&cluster.network, Setup::of("other.example").set("s2s.ack_timeout", "\"2s\""));
    let far = other.inbox();
    let mut near = cluster.inbox(1);
    let mut tally = Tally::of(MANY);
    let flood = floods_in_step(&far, near.name(), MANY, &tally, IN_FLIGHT);
    for cut in 0..3 {
        tally.waits_for(&mut near, (cut + 1) * MANY / 5);
        proxy.resets(if cut == 1 { Reset::Initiator } else { Reset::Both });
    }
    tally.waits_for(&mut near, MANY);
    assert_eq!(flood.join().unwrap(), MANY);
    tally.is_exact();
    other.eventually_logs(&["nuncio::promise", "resumed", "handled="]);
    assert_eq!(cluster.sum("taken"), MANY, "each stanza was taken in once");
    assert_eq!((cluster.sum("difference"), cluster.sum("written")), (0, 0));
}

#[test]
fn a_stream_that_is_followed_by_one_to_another_node_loses_nothing_and_repeats_are_stamped() {
    let cluster = hidden();
    let proxies =
        [0, 1].map(|node: usize| Proxy::start(cluster.network.address(), cluster.nodes[node].address()));
    for (priority, proxy) in proxies.iter().enumerate() {
        let target = format!("node-{priority}.{DOMAIN}");
        let service = format!("_xmpp-server._tcp.{}", near_name());
        cluster.network.dns.srv(&service, u16::try_from(priority).unwrap(), 0, 5269, &target);
        cluster.network.dns.a(&target, proxy.address());
    }
    let other = Node::start(&cluster.network, Setup::of("other.example").set("s2s.ack_timeout", "\"2s\""));
    let mut far = other.inbox();
    let mut near = cluster.inbox(0);
    let mut tally = Tally::of(MANY);
    let flood = floods(&far, near.name(), 0, MANY);
    for cut in 0..4 {
        tally.waits_for(&mut near, (cut + 1) * MANY / 6);
        // The other server connects to the other node.
        proxies[cut % 2].refuses();
        proxies[(cut + 1) % 2].accepts();
        proxies[cut % 2].cuts();
    }
    assert_eq!(flood.join().unwrap(), MANY);
    tally.waits_for(&mut near, MANY);
    tally.is_complete();
    println!("four streams to two nodes in turn: {} repeats", tally.repeats);
    assert_eq!(tally.out_of_order, 0);
    assert!(!far.has_received(), "nothing is answered");
    assert_eq!(
        cluster.sum("taken"),
        MANY + tally.repeats,
        "each stanza that was sent was taken in by a node"
    );
    assert_eq!(cluster.sum("difference"), 0);
}

#[test]
fn a_server_with_streams_to_both_nodes_reaches_components_at_either() {
    let cluster = hidden();
    let names = ["inbox", "outbox"].map(|label| format!("{label}.{DOMAIN}"));
    for (node, name) in names.iter().enumerate() {
        cluster.network.publish(name, cluster.nodes[node].address());
    }
    let other = Node::start(&cluster.network, Setup::of("other.example"));
    let fars = [other.inbox(), other.outbox()];
    // Each component is connected to the node to which the other server has no stream for it.
    let mut nears = [cluster.nodes[1].component(&names[0]), cluster.nodes[0].component(&names[1])];
    let floods: Vec<_> =
        fars.iter().zip(&nears).map(|(far, near)| floods(far, near.name(), 0, MANY)).collect();
    for near in &mut nears {
        let mut tally = Tally::of(MANY);
        tally.waits_for(near, MANY);
        tally.is_exact();
    }
    floods.into_iter().for_each(|flood| assert_eq!(flood.join().unwrap(), MANY));
    assert_eq!((cluster.sum("taken"), cluster.sum("relayed")), (2 * MANY, 2 * MANY));
}

/// Prosody does not resume: it answers its own stanzas that were not acknowledged.
#[test]
fn prosody_gets_its_acknowledgements_from_the_node_with_its_stream() {
    let cluster = hidden();
    let proxy = Proxy::start(cluster.network.address(), cluster.nodes[0].address());
    cluster.network.publish(&near_name(), proxy.address());
    let setup = Setup::of("prosody.example").auth(Auth::External).smacks();
    let prosody = Prosody::start(&cluster.network, setup);
    let mut far = prosody.inbox();
    let mut near = cluster.inbox(1);
    let (mut tally, mut is_cut) = (Tally::of(MANY), false);
    let flood = floods(&far, near.name(), 0, MANY);
    let mut answered = 0;
    while tally.arrived + answered < MANY {
        if tally.arrived > MANY / 2 && !std::mem::replace(&mut is_cut, true) {
            proxy.cuts();
        }
        if let Some(message) = near.next(std::time::Duration::from_millis(100)) {
            tally.takes(&message);
        }
        while far.has_received() {
            let answer = far.next(crate::support::SOON).unwrap();
            assert_eq!(answer.attribute("type"), "error", "{answer}");
            let number: usize = answer.attribute("id").parse().unwrap();
            // It may have arrived, and the acknowledgement was lost with the connection.
            answered += usize::from(!tally.has(number));
        }
    }
    assert_eq!(flood.join().unwrap(), MANY);
    println!("Prosody: {answered} answered by Prosody itself, {} repeats", tally.repeats);
    assert_eq!(tally.repeats, 0);
    assert_eq!(cluster.sum("difference"), 0);
}

/// Two nodes that no other server knows of.
fn hidden() -> Cluster {
    let network = Network::new();
    let broker = Broker::start(&network);
    Cluster::of(network, broker, &["a", "b"], |_, setup| setup.unpublished().set("s2s.ack_timeout", "\"2s\""))
}

fn near_name() -> String {
    format!("inbox.{DOMAIN}")
}

/// Messages that were sent and have not arrived: some are on the way at each cut, and more follow.
const IN_FLIGHT: usize = 100;

/// Messages of each test: two seconds of them.
const MANY: usize = 2_000;
