//! Components that move between nodes again and again under load.

use super::fixture::{Cluster, floods};
use crate::delivery::Tally;
use crate::support::{Broker, Component, Network, Node, SECRET, Server, Setup};

#[test]
fn a_component_that_moves_between_two_nodes_under_load_gets_everything_in_order() {
    moves(&Cluster::of_two(), &[0, 1, 0, 1, 0], 4_000, Leaves::WhenItHasGotSome).is_exact();
}

#[test]
fn a_component_that_moves_between_three_nodes_under_load_gets_everything_in_order() {
    moves(&Cluster::of_three(), &[0, 1, 2, 0, 2, 1, 0, 1, 2, 1], 6_000, Leaves::WhenItHasGotSome).is_exact();
}

/// The order is not kept in all of these moves (actors/handover.md).
#[test]
fn a_component_that_moves_on_as_soon_as_it_is_connected_gets_everything_once() {
    for (cluster, round) in [(Cluster::of_two(), &[0, 1][..]), (Cluster::of_three(), &[0, 1, 2, 1, 0, 2])] {
        let path: Vec<usize> = round.iter().copied().cycle().take(30).collect();
        let tally = moves(&cluster, &path, 3_000, Leaves::AtOnce);
        println!("{} nodes: {} out of order", cluster.nodes.len(), tally.out_of_order);
        assert_eq!((tally.missing(), tally.repeats), (vec![], 0));
    }
}

#[test]
fn connections_at_two_nodes_that_replace_each_other_under_load_lose_nothing() {
    let network = Network::new();
    let broker = Broker::start(&network);
    let block = format!("[[component]]\nname = {NAME:?}\nsecret = {SECRET:?}\nconflict = \"replace\"\n");
    let cluster = Cluster::of(network, broker, &["a", "b"], |_, setup| setup.wildcard().block(&block));
    cluster.nodes.iter().for_each(|node| cluster.network.publish(NAME, node.address()));
    let other = Node::start(&cluster.network, Setup::of("other.example"));
    let far = other.inbox();
    let mut tally = Tally::of(MESSAGES);
    let flood = floods(&far, NAME, 0, MESSAGES);
    let mut near = cluster.nodes[0].component(NAME);
    for number in 1..=REPLACED {
        tally.waits_for(&mut near, number * MESSAGES / (REPLACED + 2));
        let next = cluster.nodes[number % 2].component(NAME);
        near.expects_end().iter().for_each(|message| tally.takes(message));
        near = next;
    }
    assert_eq!(flood.join().unwrap(), MESSAGES);
    tally.waits_for(&mut near, MESSAGES);
    tally.is_exact();
    assert_eq!((cluster.sum("difference"), cluster.sum("answered")), (0, 0));
}

#[test]
fn of_two_connections_at_two_nodes_one_serves_the_name_however_often_the_other_comes() {
    let cluster = Cluster::of_two();
    let other = Node::start(&cluster.network, Setup::of("other.example"));
    let far = other.inbox();
    let mut near = cluster.inbox(0);
    let mut tally = Tally::of(MESSAGES);
    let flood = floods(&far, near.name(), 0, MESSAGES);
    for _ in 0..3 {
        let second = Component::try_connect(cluster.nodes[1].address(), near.name(), SECRET);
        let error = second.err().expect("the name is taken");
        assert!(error.contains("conflict"), "{error}");
    }
    assert_eq!(flood.join().unwrap(), MESSAGES);
    tally.waits_for(&mut near, MESSAGES);
    tally.is_exact();
}

/// When the component leaves a node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leaves {
    WhenItHasGotSome,
    AtOnce,
}

/// A component gets messages while it is connected to these nodes, one after the other.
fn moves(cluster: &Cluster, path: &[usize], messages: usize, leaves: Leaves) -> Tally {
    let other = Node::start(&cluster.network, Setup::of("other.example"));
    let far = other.inbox();
    let mut tally = Tally::of(messages);
    let mut near = cluster.inbox(path[0]);
    let flood = floods(&far, near.name(), 0, messages);
    for (moves, node) in path.iter().enumerate().skip(1) {
        if leaves == Leaves::WhenItHasGotSome {
            tally.waits_for(&mut near, moves * messages / (path.len() + 1));
        }
        near.closes().iter().for_each(|message| tally.takes(message));
        near = cluster.inbox(*node);
    }
    assert_eq!(flood.join().unwrap(), messages);
    tally.waits_for(&mut near, messages);
    for figure in ["difference", "answered", "expired", "uncertain"] {
        assert_eq!(cluster.sum(figure), 0, "{figure}");
    }
    tally
}

const NAME: &str = "bot.nuncio.example";

/// Four seconds of them.
const MESSAGES: usize = 4_000;

/// How often a connection is replaced.
const REPLACED: usize = 10;
