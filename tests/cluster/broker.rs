//! The broker ends, loses its data, or cannot be reached by one node, while stanzas are on their way.

use super::fixture::{Cluster, floods, setup};
use super::links::open_links;
use crate::delivery::Tally;
use crate::support::{Broker, Network, Node, Proxy, SOON, Server, Setup, within};

#[test]
fn stanzas_between_nodes_wait_for_a_broker_that_is_started_again() {
    let mut cluster = Cluster::of_two();
    through_a_broker_that_ends(&mut cluster, |broker| {
        broker.dies();
        broker.starts_again();
    });
}

#[test]
fn stanzas_between_nodes_survive_the_loss_of_all_data_of_the_broker() {
    let mut cluster = Cluster::of_two();
    through_a_broker_that_ends(&mut cluster, |broker| {
        broker.dies();
        broker.loses_its_data();
        broker.starts_again();
    });
}

#[test]
fn a_link_that_is_up_does_not_need_the_broker() {
    let mut cluster = Cluster::of_two();
    let other = Node::start(&cluster.network, Setup::of("other.example"));
    let mut far = other.inbox();
    let near = cluster.inbox(0);
    let mut tally = Tally::of(2_000);
    let flood = floods(&near, far.name(), 0, 2_000);
    tally.waits_for(&mut far, 500);
    cluster.broker.dies();
    assert_eq!(flood.join().unwrap(), 2_000);
    tally.waits_for(&mut far, 2_000);
    tally.is_exact();
    cluster.broker.starts_again();
}

#[test]
fn a_node_that_was_cut_off_from_the_broker_loses_nothing_and_gives_up_a_second_link() {
    let network = Network::new();
    let broker = Broker::start(&network);
    let proxy = Proxy::at_port(4222, network.address(), broker.address());
    let far_away =
        setup("a", &broker).set("cluster.servers", &format!("[\"nats://{}:4222\"]", proxy.address()));
    let nodes = vec![Node::start(&network, far_away), Node::start(&network, setup("b", &broker))];
    let cluster = Cluster { network, broker, nodes };
    cluster.is_joined();
    let other = Node::start(&cluster.network, Setup::of("other.example"));
    let mut far = other.inbox();
    let near = cluster.inbox(0);
    let mut tally = Tally::of(2_000);
    let flood = floods(&near, far.name(), 0, 1_000);
    tally.waits_for(&mut far, 500);
    proxy.refuses();
    proxy.cuts();
    assert_eq!(flood.join().unwrap(), 1_000);
    tally.waits_for(&mut far, 1_000);
    cluster.nodes[1].eventually_logs(&["node died", "node=a"]);
    // The node that was cut off goes on with its link. The other one makes a second link when it needs one.
    near.closes();
    let near = cluster.inbox(1);
    let flood = floods(&near, far.name(), 1_000, 500);
    tally.waits_for(&mut far, 1_500);
    assert_eq!(flood.join().unwrap(), 500);
    assert_eq!(open_links(&other, near.name()), 2, "one more than before");
    proxy.accepts();
    within(SOON, "the nodes are together again", || {
        (cluster.nodes[1].process().count("node joined") > 1).then_some(())
    });
    within(SOON, "the second link is closed", || (open_links(&other, near.name()) == 1).then_some(()));
    near.closes();
    let near = cluster.inbox(0);
    let flood = floods(&near, far.name(), 1_500, 500);
    tally.waits_for(&mut far, 2_000);
    assert_eq!(flood.join().unwrap(), 500);
    tally.is_exact();
    assert_eq!(open_links(&other, near.name()), 1);
}

/// The component sends at the node that has no link.
fn through_a_broker_that_ends(cluster: &mut Cluster, end: impl Fn(&mut Broker)) {
    let other = Node::start(&cluster.network, Setup::of("other.example"));
    let mut far = other.inbox();
    cluster.makes_link(0, &mut far);
    let mut near = cluster.inbox(1);
    let mut tally = Tally::of(3_000);
    let flood = floods(&near, far.name(), 0, 3_000);
    tally.waits_for(&mut far, 500);
    end(&mut cluster.broker);
    assert_eq!(flood.join().unwrap(), 3_000);
    tally.waits_for(&mut far, 3_000);
    tally.is_exact();
    assert!(!near.has_received(), "nothing is answered");
    assert_eq!(cluster.sum("difference"), 0);
}
