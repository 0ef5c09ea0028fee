//! One link for each pair of domains, whichever node makes it.

use super::fixture::Cluster;
use crate::delivery::Tally;
use crate::support::{Node, Server, Setup};

#[test]
fn a_component_that_moves_to_another_node_uses_the_link_of_the_first() {
    let cluster = Cluster::of_two();
    let other = Node::start(&cluster.network, Setup::of("other.example"));
    let mut far = other.inbox();
    let mut tally = Tally::of(40);
    for (part, node) in [0, 1, 0, 1].into_iter().enumerate() {
        let mut near = cluster.component(node, "inbox");
        for number in part * 10..(part + 1) * 10 {
            near.sends_message(far.name(), &number.to_string(), "");
        }
        tally.waits_for(&mut far, (part + 1) * 10);
        near.closes();
    }
    tally.is_exact();
    let accepted = other.process().count("authenticated");
    println!("{accepted} streams");
}
