//! Components that move between nodes again and again under load.

use std::time::{Duration, Instant};

use super::fixture::{Cluster, floods};
use crate::delivery::Tally;
use crate::support::{Broker, Component, Network, Node, SECRET, Server, Setup};

#[test]
fn a_component_that_moves_between_two_nodes_under_load_gets_everything_in_order() {
    moves_along(&Cluster::of_two(), &[0, 1, 0, 1, 0], 4_000, Leaves::WhenItHasGotSome).is_exact();
}

#[test]
fn a_component_that_moves_between_three_nodes_under_load_gets_everything_in_order() {
    let path = [0, 1, 2, 0, 2, 1, 0, 1, 2, 1];
    moves_along(&Cluster::of_three(), &path, 6_000, Leaves::WhenItHasGotSome).is_exact();
}

#[test]
fn a_component_that_moves_on_again_and_again_gets_everything_in_order() {
    for (cluster, round) in [(Cluster::of_two(), &[0, 1][..]), (Cluster::of_three(), &[0, 1, 2, 1, 0, 2])] {
        for (moves, pause) in [(60, 0), (40, 20), (20, 100)] {
            let path: Vec<usize> = round.iter().copied().cycle().take(moves).collect();
            let leaves = Leaves::After(Duration::from_millis(pause));
            moves_along(&cluster, &path, 3_000, leaves).is_exact();
        }
    }
}

/// What is on its way to a component that is killed is lost, as on one node.
#[test]
fn a_component_that_is_killed_and_moves_again_and_again_gets_the_rest_once_and_in_order() {
    for (cluster, round) in [(Cluster::of_two(), &[0, 1][..]), (Cluster::of_three(), &[0, 1, 2, 1, 0, 2])] {
        for (moves, pause) in [(40, 0), (20, 50)] {
            let path: Vec<usize> = round.iter().copied().cycle().take(moves).collect();
            let leaves = Leaves::Killed(Duration::from_millis(pause));
            let tally = moves_along(&cluster, &path, 3_000, leaves);
            assert_eq!((tally.out_of_order, tally.repeats), (0, 0));
            let lost: usize = tally.missing().iter().map(|(_, count)| count).sum();
            println!("{} nodes, {pause} ms: {lost} lost with {moves} connections", cluster.nodes.len());
        }
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

/// When and how the component leaves a node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leaves {
    WhenItHasGotSome,
    /// It closes its stream after this time.
    After(Duration),
    /// Its connection ends without a closing tag after this time, and what it has not read is lost.
    Killed(Duration),
}

/// A component gets messages while it is connected to these nodes, one after the other.
fn moves_along(cluster: &Cluster, path: &[usize], messages: usize, leaves: Leaves) -> Tally {
    let other = Node::start(&cluster.network, Setup::of("other.example"));
    let far = other.inbox();
    let mut tally = Tally::of(messages);
    let mut near = cluster.inbox(path[0]);
    // The last one follows the last move, so that no connection loses it.
    let flood = floods(&far, near.name(), 0, messages - 1);
    for (moves, node) in path.iter().enumerate().skip(1) {
        match leaves {
            Leaves::WhenItHasGotSome => tally.waits_for(&mut near, moves * messages / (path.len() + 1)),
            Leaves::After(pause) | Leaves::Killed(pause) => {
                let leaves_at = Instant::now() + pause;
                let left = || leaves_at.saturating_duration_since(Instant::now());
                while let Some(message) = near.next(left()) {
                    tally.takes(&message);
                }
            }
        }
        match leaves {
            Leaves::Killed(_) => drop(near),
            _ => near.closes().iter().for_each(|message| tally.takes(message)),
        }
        near = cluster.inbox(*node);
    }
    assert_eq!(flood.join().unwrap(), messages - 1);
    assert_eq!(floods(&far, near.name(), messages - 1, 1).join().unwrap(), 1);
    match leaves {
        Leaves::Killed(_) => tally.waits_for_number(&mut near, messages - 1),
        _ => tally.waits_for(&mut near, messages),
    }
    for figure in ["difference", "answered", "expired"] {
        assert_eq!(cluster.sum(figure), 0, "{figure}");
    }
    if !matches!(leaves, Leaves::Killed(_)) {
        assert_eq!(cluster.sum("uncertain"), 0);
    }
    tally
}

const NAME: &str = "bot.nuncio.example";

/// Four seconds of them.
const MESSAGES: usize = 4_000;

/// How often a connection is replaced.
const REPLACED: usize = 10;
