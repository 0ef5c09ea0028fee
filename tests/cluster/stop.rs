//! A node that stops slowly, and the pairs of which it is the holder.

use super::fixture::Cluster;
use crate::support::{Component, Node, Server, Setup, Wire};

#[test]
fn a_pair_without_a_link_is_free_for_another_node_while_its_holder_still_stops() {
    let cluster = Cluster::of_two();
    // No server listens there.
    cluster.network.publish("closed.example", cluster.network.address());
    let mut near = cluster.inbox(0);
    near.sends_message("closed.example", "one", "");
    cluster.nodes[0].eventually_logs(&["no link", "> closed.example"]);
    near.closes();
    let _slow = stops_slowly(&cluster);
    let mut near = cluster.inbox(1);
    near.sends_message("closed.example", "two", "");
    cluster.nodes[1].eventually_logs(&["resolved", "> closed.example"]);
    assert!(cluster.still_stops());
}

#[test]
fn a_pair_with_a_link_is_free_for_another_node_when_its_holder_has_closed_it() {
    let cluster = Cluster::of_two();
    let other = Node::start(&cluster.network, Setup::of("other.example"));
    let mut far = other.inbox();
    cluster.makes_link(0, &mut far);
    let slow = stops_slowly(&cluster);
    let mut near = cluster.inbox(1);
    near.sends_message(far.name(), "second", "");
    cluster.nodes[1].eventually_logs(&["relaying", "> inbox.other.example"]);
    assert!(cluster.still_stops());
    drop(slow);
    far.receives_id("second");
    let own_link = ["nuncio::outgoing", "authenticated", "> inbox.other.example"];
    assert!(cluster.nodes[1].process().logged(&own_link), "over a link of its own");
    assert!(!near.has_received(), "nothing is answered");
}

/// The first node stops, and waits for a component that does not close its stream.
fn stops_slowly(cluster: &Cluster) -> Wire {
    let node = &cluster.nodes[0];
    let slow = Component::connect_deaf(node.address(), &node.setup().components[1]);
    node.process().signal("TERM");
    slow
}

impl Cluster {
    fn still_stops(&self) -> bool {
        !self.nodes[0].process().logged(&["nuncio::node", "stopped"])
    }
}
