//! A broker of three servers that keep each table three times: nodes use different servers, and servers die.

use super::fixture::{Cluster, floods};
use super::links::open_links;
use crate::delivery::Tally;
use crate::support::{Broker, Network, Node, SOON, Server, Setup, within};

#[test]
fn nothing_is_lost_when_the_leader_and_then_a_follower_of_the_broker_die() {
    // An election must not be the end of a lease, however busy the machine is.
    let mut cluster = of_three(|broker, first| broker.addresses_from(first), "\"30s\"");
    let cold = |number: usize| format!("cold-{number}.other.example");
    let setup = (0..2).fold(Setup::of("other.example"), |setup, number| setup.component(&cold(number)));
    let other = Node::start(&cluster.network, setup);
    let (mut far, mut warm_far) = (other.inbox(), other.outbox());
    cluster.makes_link(0, &mut far);
    // Goes through node `a`, and over a link of node `c` itself.
    let (near, mut warm) = (cluster.inbox(1), cluster.nodes[2].outbox());
    let floods = [floods(&near, far.name(), 0, MESSAGES), floods(&warm, warm_far.name(), 0, MESSAGES)];
    let (mut tally, mut warm_tally) = (Tally::of(MESSAGES), Tally::of(MESSAGES));
    tally.waits_for(&mut far, MESSAGES / 20);
    let leader = cluster.broker.leader_of("claims");
    for (number, server) in [leader, (leader + 1) % 3].into_iter().enumerate() {
        cluster.broker.kills(server);
        let mut cold = other.component(&cold(number));
        warm.sends_message(cold.name(), "claimed", "");
        cold.receives_id("claimed");
        cluster.broker.starts_again();
        cluster.broker.leader_of("claims");
    }
    for flood in floods {
        assert_eq!(flood.join().unwrap(), MESSAGES);
    }
    warm_tally.waits_for(&mut warm_far, MESSAGES);
    warm_tally.is_exact();
    tally.waits_for(&mut far, MESSAGES);
    tally.is_exact();
    assert_eq!((cluster.sum("difference"), cluster.sum("answered")), (0, 0));
    assert!(!other.process().logged(&["nuncio::incoming", " closed "]), "links do not need the broker");
}

#[test]
fn a_node_that_is_cut_off_with_its_server_of_the_broker_loses_nothing_and_one_link_is_left() {
    let mut cluster = of_three(Broker::address_of, "\"10s\"");
    let other = Node::start(&cluster.network, Setup::of("other.example"));
    let mut far = other.inbox();
    let near = cluster.inbox(0);
    let mut tally = Tally::of(2_000);
    let flood = floods(&near, far.name(), 0, 1_000);
    tally.waits_for(&mut far, 500);
    cluster.broker.kills(0);
    assert_eq!(flood.join().unwrap(), 1_000);
    tally.waits_for(&mut far, 1_000);
    for node in &cluster.nodes[1..] {
        node.eventually_logs(&["node died", "node=a"]);
    }
    near.closes();
    let near = cluster.inbox(1);
    let flood = floods(&near, far.name(), 1_000, 500);
    tally.waits_for(&mut far, 1_500);
    assert_eq!(flood.join().unwrap(), 500);
    assert_eq!(open_links(&other, near.name()), 2, "that of the node that is cut off, and a second one");
    cluster.broker.starts_again();
    within(SOON, "the second link is closed", || (open_links(&other, near.name()) == 1).then_some(()));
    near.closes();
    let near = cluster.inbox(0);
    let flood = floods(&near, far.name(), 1_500, 500);
    tally.waits_for(&mut far, 2_000);
    assert_eq!(flood.join().unwrap(), 500);
    tally.is_exact();
    assert_eq!(open_links(&other, near.name()), 1);
    assert_eq!(cluster.sum("difference"), 0);
}

/// Three nodes, and a broker of three servers. `servers` gives those of each node.
fn of_three(servers: impl Fn(&Broker, usize) -> String, lease: &str) -> Cluster {
    let network = Network::new();
    let broker = Broker::of_three(&network);
    let servers: Vec<String> = (0..3).map(|first| servers(&broker, first)).collect();
    Cluster::of(network, broker, &["a", "b", "c"], |index, setup| {
        setup.set("cluster.servers", &servers[index]).set("cluster.lease", lease)
    })
}

/// As long as two servers of the broker need to die and to come back, and some more.
const MESSAGES: usize = 20_000;
