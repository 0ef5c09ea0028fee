//! One link for each pair of domains, whichever node makes it.

use super::fixture::{Cluster, DOMAIN};
use crate::delivery::Tally;
use crate::support::{NEVER, Network, Node, SOON, Server, Setup};

#[test]
fn a_component_that_moves_to_another_node_uses_the_link_of_the_first() {
    let cluster = Cluster::of_two();
    let other = Node::start(&cluster.network, Setup::of("other.example"));
    let mut far = other.inbox();
    let mut tally = Tally::of(40);
    for (part, node) in [0, 1, 0, 1].into_iter().enumerate() {
        let mut near = cluster.inbox(node);
        for number in part * 10..(part + 1) * 10 {
            near.sends_message(far.name(), &number.to_string(), "");
        }
        tally.waits_for(&mut far, (part + 1) * 10);
        near.closes();
    }
    tally.is_exact();
    assert_eq!(incoming(&other), 1, "one link for both nodes");
    assert_eq!((cluster.sum("taken"), cluster.sum("relayed")), (40, 20));
    assert_eq!(cluster.sum("written"), 20, "each stanza stands in the account of the node that took it in");
}

#[test]
fn stanzas_reach_a_component_from_every_node() {
    let cluster = Cluster::of_two();
    let others = [0, 1].map(|node| {
        // Each of these servers knows only one node.
        let network = Network::new();
        network.publish(&format!("inbox.{DOMAIN}"), cluster.nodes[node].address());
        let name = format!("other-{node}.example");
        let mut setup = Setup::of(&name);
        setup = setup.set("s2s.trust", &format!("{:?}", network.file_of(&cluster.network.authority)));
        (Node::start(&network, setup), network)
    });
    for (node, (other, network)) in others.iter().enumerate() {
        // The nodes trust the authority of their own network; dialback leads them to the other server.
        let _ = network;
        for name in other.setup().names() {
            cluster.network.publish(name, other.address());
        }
        let mut near = cluster.inbox(0);
        let mut far = other.inbox();
        far.sends_message(near.name(), &format!("to-{node}"), "");
        near.receives_id(&format!("to-{node}"));
        near.sends_message(far.name(), "back", "");
        far.receives_id("back");
        near.closes();
    }
}

#[test]
fn many_cold_domains_get_one_link_each_though_both_nodes_need_it() {
    of_cold_domains(100);
}

/// So many domains of another server, of which both nodes need a link at once.
pub(crate) fn of_cold_domains(count: usize) {
    // A busy machine needs minutes for thousands of handshakes.
    let patient = |setup: Setup| {
        let setup = setup.set("promise.iq", NEVER).set("s2s.handshake_timeout", NEVER);
        setup.set("s2s.connect_timeout", NEVER).set("s2s.max_connections_per_address", "10000")
    };
    let cluster = Cluster::with(Network::new(), patient);
    // Two servers for the same domains: each sends pings to another node, which answers on a link of its own.
    let servers = [0, 1].map(|node| {
        let name = "far.example";
        let setup = Setup::of(name).named(&format!("far-{node}")).wildcard();
        let setup = setup.block(&format!(
            "[[component]]\nname = \"*.{name}\"\nsecret = \"{}\"\n[[remote]]\nname = \"{DOMAIN}\"\naddress = \
             \"{}:5269\"\n",
            crate::support::SECRET,
            cluster.nodes[node].address()
        ));
        Node::start(&cluster.network, patient(setup.unpublished()))
    });
    for number in 0..count {
        cluster.network.publish(&format!("d{number}.far.example"), servers[0].address());
    }
    let mut senders = servers.iter().map(|server| server.component("d0.far.example")).collect::<Vec<_>>();
    for number in 0..count {
        for sender in &mut senders {
            sender.sends(&format!(
                "<iq type='get' from='u@d{number}.far.example' to='{DOMAIN}' id='{number}'><ping \
                 xmlns='urn:xmpp:ping'/></iq>"
            ));
        }
    }
    // All answers come on the links to the first server.
    let mut answers = 0;
    while answers < 2 * count {
        let answer = senders[0].next(SOON).unwrap_or_else(|| panic!("{answers} answers"));
        assert_eq!(answer.attribute("type"), "result", "{answer}");
        answers += 1;
    }
    let links = incoming_pairs(&servers[0], DOMAIN);
    println!("{count} cold domains from two nodes: {links} links");
    assert_eq!(links, count, "one link for each pair");
}

/// The links with a remote domain that a server has accepted and that are not closed.
pub(super) fn open_links(server: &Node, remote: &str) -> usize {
    let lines = server.process().lines();
    let remote = format!("> {remote}");
    let of_link = lines.iter().filter(|line| line.contains("nuncio::incoming") && line.contains(&remote));
    let count = |word: &str| of_link.clone().filter(|line| line.contains(word)).count();
    count(" authenticated ") - count(" closed ")
}

/// The streams that a server has accepted and authenticated.
fn incoming(server: &Node) -> usize {
    let lines = server.process().lines();
    lines.iter().filter(|line| line.contains("nuncio::incoming") && line.contains("authenticated")).count()
}

/// The pairs with this remote domain that a server has authenticated.
fn incoming_pairs(server: &Node, remote: &str) -> usize {
    let lines = server.process().lines();
    let remote = format!("> {remote}");
    let of_pair = |line: &&String| {
        line.contains("nuncio::incoming") && line.contains("authenticated") && line.contains(&remote)
    };
    lines.iter().filter(of_pair).count()
}

#[test]
fn a_node_that_is_alone_in_its_cluster_waits_for_no_other() {
    let cluster = Cluster::of_two();
    let other = Node::start(&cluster.network, Setup::of("other.example"));
    let mut far = other.inbox();
    assert!(cluster.nodes[1].terminate(SOON).success());
    cluster.nodes[0].eventually_logs(&["node left", "node=b"]);
    cluster.makes_link(0, &mut far);
    assert!(!cluster.nodes[0].settled_account().contains(" relayed="), "nothing goes through another node");
}
