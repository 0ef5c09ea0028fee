//! Nodes with `on_engine_loss = "freeze"`: without a lease they have no links.

use super::fixture::{Cluster, floods};
use super::links::open_links;
use crate::delivery::Tally;
use crate::support::{Component, Network, Node, SOON, Server, Setup, within};

#[test]
fn a_node_that_freezes_closes_its_links_when_its_lease_is_over_and_loses_nothing() {
    let mut cluster = frozen();
    let other = Node::start(&cluster.network, Setup::of("other.example"));
    let mut far = other.inbox();
    let mut near = cluster.inbox(0);
    let mut tally = Tally::of(MANY);
    let flood = floods(&near, far.name(), 0, MANY);
    tally.waits_for(&mut far, MANY / 20);
    cluster.broker.dies();
    let lost = cluster.nodes[0].eventually_logs(&["lease lost"]);
    cluster.nodes[0].eventually_logs(&["links are closed", "freeze"]);
    let closed = cluster.nodes[0].eventually_logs(&["nuncio::outgoing", " closed ", far.name()]);
    assert!(closed.contains("lease"), "{closed}");
    println!("{lost}\n{closed}");
    within(SOON, "no link is left", || (open_links(&other, near.name()) == 0).then_some(()));
    // The rest waits, and nothing is dialled for it.
    assert_eq!(flood.join().unwrap(), MANY);
    let before = dials(&cluster.nodes[0]);
    still_sends(&mut near, &far);
    assert_eq!((open_links(&other, near.name()), dials(&cluster.nodes[0])), (0, before));
    cluster.broker.starts_again();
    tally.waits_for(&mut far, MANY);
    tally.is_exact();
    far.receives_id("late");
    assert!(!near.has_received(), "nothing is answered");
    assert_eq!(open_links(&other, near.name()), 1);
    assert_eq!(cluster.sum("difference"), 0);
}

#[test]
fn a_node_that_freezes_gives_back_what_another_node_has_lent_and_it_arrives_once() {
    let mut cluster = frozen();
    let other = Node::start(&cluster.network, Setup::of("other.example"));
    let mut far = other.inbox();
    cluster.makes_link(0, &mut far);
    let mut near = cluster.inbox(1);
    let mut tally = Tally::of(MANY);
    let flood = floods(&near, far.name(), 0, MANY);
    tally.waits_for(&mut far, MANY / 20);
    cluster.broker.dies();
    for node in &cluster.nodes {
        node.eventually_logs(&["lease lost"]);
    }
    within(SOON, "no link is left", || (open_links(&other, near.name()) == 0).then_some(()));
    assert_eq!(flood.join().unwrap(), MANY);
    assert_eq!(open_links(&other, near.name()), 0);
    cluster.broker.starts_again();
    tally.waits_for(&mut far, MANY);
    assert_eq!((tally.out_of_order, tally.unstamped), (0, 0));
    println!("frozen, with a relay: {} repeats", tally.repeats);
    assert!(!near.has_received(), "nothing is answered");
    assert_eq!((open_links(&other, near.name()), cluster.sum("difference")), (1, 0));
}

fn frozen() -> Cluster {
    Cluster::with(Network::new(), |setup| setup.set("cluster.on_engine_loss", "\"freeze\""))
}

/// The attempts to make a link.
fn dials(node: &Node) -> usize {
    node.process().lines().iter().filter(|line| line.contains(" resolved ")).count()
}

/// Sends one more, and waits until the node has it.
fn still_sends(near: &mut Component, far: &Component) {
    near.sends_message(far.name(), "late", "");
    // The node answers this itself, behind the message.
    near.asks(super::fixture::DOMAIN, "<ping xmlns='urn:xmpp:ping'/>");
}

/// Messages: longer than a lease of the tests.
const MANY: usize = 14_000;
