//! Events at the broker that no node causes: its servers die again and again, hang, or lose their data, and an operator
//! deletes tables or writes nonsense into them.

use std::thread::JoinHandle;

use super::fixture::{Cluster, DOMAIN, floods};
use crate::delivery::Tally;
use crate::support::{Broker, Component, NatsOperator, Network, Node, SOON, Server, Setup, within};

#[test]
fn nothing_is_lost_when_the_leader_of_the_broker_dies_again_and_again() {
    let mut cluster = of_three_servers();
    let mut load = Load::start(&cluster, 15_000);
    for round in 1..=DEATHS {
        load.passes(round * load.count / (DEATHS + 2));
        let leader = cluster.broker.leader_of("claims");
        cluster.broker.kills(leader);
        cluster.broker.starts_again();
    }
    load.arrives(&cluster);
}

#[test]
fn nothing_is_lost_when_a_server_of_the_broker_hangs_for_seconds() {
    let cluster = of_three_servers();
    let mut load = Load::start(&cluster, 12_000);
    for server in 0..3 {
        load.passes((2 * server + 1) * load.count / 8);
        cluster.broker.servers()[server].hangs(true);
        std::thread::sleep(HANGS);
        cluster.broker.servers()[server].hangs(false);
    }
    load.arrives(&cluster);
}

#[test]
fn nothing_is_lost_when_a_follower_of_the_broker_loses_its_data() {
    let mut cluster = of_three_servers();
    let mut load = Load::start(&cluster, 10_000);
    for round in 1..=2 {
        load.passes(round * load.count / 5);
        let follower = (cluster.broker.leader_of("claims") + 1) % 3;
        cluster.broker.kills(follower);
        cluster.broker.wipes(follower);
        cluster.broker.starts_again();
    }
    load.arrives(&cluster);
}

#[test]
fn nothing_is_lost_when_the_only_server_of_the_broker_hangs_for_seconds() {
    let cluster = Cluster::of_three();
    let mut load = Load::start(&cluster, 8_000);
    for round in 1..=2 {
        load.passes(round * load.count / 5);
        cluster.broker.servers()[0].hangs(true);
        std::thread::sleep(HANGS);
        cluster.broker.servers()[0].hangs(false);
    }
    load.arrives(&cluster);
}

#[test]
fn tables_that_an_operator_deletes_under_load_are_made_again_and_nothing_is_lost() {
    let cluster = Cluster::of_three();
    let cold = |number: usize| format!("cold-{number}.other.example");
    let mut load = Load::start_with(&cluster, 20_000, |setup| {
        (0..3).fold(setup, |setup, number| setup.component(&cold(number)))
    });
    for (number, table) in ["claims", "seats", "nodes"].into_iter().enumerate() {
        load.passes((number + 1) * load.count / 10);
        NatsOperator::connect(cluster.broker.address()).deletes(table);
        // A pair without a link needs all of them.
        let mut far = load.other.component(&cold(number));
        load.third.sends_message(far.name(), "cold", "");
        far.receives_id("cold");
    }
    load.arrives(&cluster);
}

#[test]
fn nonsense_in_the_tables_costs_no_stanza() {
    let cluster = Cluster::of_three();
    let mut load = Load::start_with(&cluster, 12_000, |setup| setup.component("cold.other.example"));
    load.passes(load.count / 20);
    let mut operator = NatsOperator::connect(cluster.broker.address());
    for value in [&b"nonsense"[..], b"", b"\0\xff", b"{\"form\":1}", b"[]"] {
        for (table, key) in [("nodes", "x"), ("nodes", "X.y"), ("seats", "x"), ("claims", "x")] {
            operator.puts(table, key, value);
        }
        // The records of living nodes: each writes its own again with its next beat.
        for node in ["a", "b", "c"] {
            operator.puts("nodes", node, value);
        }
    }
    operator.puts("nodes", "x", record(200, 255, 7).as_bytes());
    let line = cluster.nodes[0].eventually_logs(&["node disagrees", "node=x", "200 to 255"]);
    assert!(line.contains("ERROR"), "{line}");
    let mut far = load.other.component("cold.other.example");
    load.third.sends_message(far.name(), "cold", "");
    far.receives_id("cold");
    load.arrives(&cluster);
    assert!(!cluster.nodes.iter().any(|node| node.process().logged(&["node died", "reason=\"it is silent"])));
}

/// The record of a node, whose messages have these versions.
fn record(oldest: u8, newest: u8, beat: u64) -> String {
    format!(
        "{{\"form\":1,\"incarnation\":\"77\",\"beat\":{beat},\"version\":{newest},\"oldest_version\":{oldest},\
         \"secret\":\"another\",\"names\":\"others\"}}"
    )
}

/// Numbered messages on three ways: from node `b` through node `a` to another server, from there to node `b`, and from one
/// component to another at another node.
struct Load {
    other: Node,
    far: Component,
    near: Component,
    /// The component `outbox`, at node `c`.
    third: Component,
    tallies: [Tally; 3],
    floods: Vec<JoinHandle<usize>>,
    count: usize,
}

impl Load {
    fn start(cluster: &Cluster, count: usize) -> Self {
        Self::start_with(cluster, count, |setup| setup)
    }

    fn start_with(cluster: &Cluster, count: usize, settings: impl FnOnce(Setup) -> Setup) -> Self {
        let other = Node::start(&cluster.network, settings(Setup::of("other.example")));
        let mut far = other.inbox();
        cluster.makes_link(0, &mut far);
        let near = cluster.inbox(1);
        let third = cluster.nodes[2].component(&format!("outbox.{DOMAIN}"));
        let floods = [(&near, &far), (&far, &near), (&near, &third)];
        let floods = floods.map(|(from, to)| floods_between(from, to, count)).into();
        let tallies = [(); 3].map(|()| Tally::of(count));
        Self { other, far, near, third, tallies, floods, count }
    }

    /// Waits until so many messages have arrived on each way.
    fn passes(&mut self, count: usize) {
        let receivers = [&mut self.far, &mut self.near, &mut self.third];
        for (tally, receiver) in self.tallies.iter_mut().zip(receivers) {
            tally.waits_for(receiver, count);
        }
    }

    /// Waits until all have arrived, each once and in order.
    fn arrives(mut self, cluster: &Cluster) {
        self.passes(self.count);
        for flood in std::mem::take(&mut self.floods) {
            assert_eq!(flood.join().unwrap(), self.count);
        }
        self.tallies.iter().for_each(Tally::is_exact);
        for figure in ["difference", "answered", "expired", "uncertain"] {
            assert_eq!(cluster.sum(figure), 0, "{figure}");
        }
        within(SOON, "one link of the pair", || {
            (super::links::open_links(&self.other, self.near.name()) == 1).then_some(())
        });
    }
}

fn floods_between(from: &Component, to: &Component, count: usize) -> JoinHandle<usize> {
    floods(from, to.name(), 0, count)
}

/// Three nodes, and a broker of three servers. An election must not be the end of a lease, however busy the machine is.
fn of_three_servers() -> Cluster {
    let network = Network::new();
    let broker = Broker::of_three(&network);
    let servers: Vec<String> = (0..3).map(|first| broker.addresses_from(first)).collect();
    Cluster::of(network, broker, &["a", "b", "c"], |index, setup| {
        setup.set("cluster.servers", &servers[index]).set("cluster.lease", "\"30s\"")
    })
}

/// How often the leader dies.
const DEATHS: usize = 5;

/// How long a server hangs: less than the lease.
const HANGS: std::time::Duration = std::time::Duration::from_secs(3);
