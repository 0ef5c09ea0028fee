//! Nodes whose configurations differ for a while, and nodes that stop while the broker is away.

use std::process::Command;
use std::time::Duration;

use super::fixture::{Cluster, DOMAIN, figure_of, floods, setup};
use crate::delivery::Tally;
use crate::support::{BINARY, Broker, Network, Node, SOON, Server, Setup, within};

#[test]
fn another_dialback_secret_on_one_node_is_an_error_on_both_until_the_other_has_it_too() {
    disagrees_until_both_have(
        |setup| setup.dialback_secret("another secret, which only one node knows yet"),
        &["secret"],
    );
}

#[test]
fn another_component_on_one_node_is_an_error_on_both_until_the_other_has_it_too() {
    disagrees_until_both_have(
        |setup| setup.component(&format!("new.{DOMAIN}")),
        &["domains", "components", "component new.nuncio.example"],
    );
}

/// Node `b` gets other settings, and then node `a`, while stanzas go through both.
fn disagrees_until_both_have(change: impl Fn(Setup) -> Setup, words: &[&str]) {
    let network = Network::new();
    let broker = Broker::start(&network);
    let sockets = ["a", "b"].map(|node| {
        // The path of a socket has at most 107 bytes, and that of the directory of a test may have more.
        let file = format!("nuncio-{}-{}-{node}.sock", std::process::id(), words[0]);
        std::env::temp_dir().join(file).to_str().unwrap().to_owned()
    });
    let with_socket =
        |index: usize, setup: Setup| setup.set("listen.control", &format!("{:?}", sockets[index]));
    let cluster = Cluster::of(network, broker, &["a", "b"], with_socket);
    let other = Node::start(&cluster.network, Setup::of("other.example"));
    let mut far = other.inbox();
    cluster.makes_link(0, &mut far);
    let mut near = cluster.inbox(1);
    let (mut tally, mut back) = (Tally::of(MANY), Tally::of(MANY));
    let flood = [floods(&near, far.name(), 0, MANY), floods(&far, near.name(), 0, MANY)];
    tally.waits_for(&mut far, MANY / 10);
    let reload = |index: usize, name: &str| {
        let changed = change(with_socket(index, setup(name, &cluster.broker)));
        cluster.nodes[index].reconfigures(&cluster.network, &changed);
        cluster.nodes[index].eventually_logs(&["nuncio::node", "reloaded"]);
    };
    reload(1, "b");
    for (index, other) in [(0, "node=b"), (1, "node=a")] {
        let line = cluster.nodes[index].eventually_logs(&["ERROR", "node disagrees", other]);
        assert!(words.iter().all(|word| line.contains(word)), "{line}");
        assert!(shows(&sockets[index]).contains(words[0]), "{}", shows(&sockets[index]));
    }
    reload(0, "a");
    for socket in &sockets {
        within(SOON, "the nodes agree", || (!shows(socket).contains(words[0])).then_some(()));
    }
    flood.into_iter().for_each(|flood| assert_eq!(flood.join().unwrap(), MANY));
    tally.waits_for(&mut far, MANY);
    tally.is_exact();
    back.waits_for(&mut near, MANY);
    back.is_exact();
    assert_eq!((cluster.sum("difference"), cluster.sum("answered")), (0, 0));
}

#[test]
fn a_holder_that_stops_while_the_broker_is_away_ends_in_time_and_nothing_is_lost() {
    let mut cluster = Cluster::with(Network::new(), |setup| setup.set("shutdown_timeout", "\"10s\""));
    let other = Node::start(&cluster.network, Setup::of("other.example"));
    let mut far = other.inbox();
    cluster.makes_link(0, &mut far);
    let mut near = cluster.inbox(1);
    let mut tally = Tally::of(MANY);
    let flood = floods(&near, far.name(), 0, MANY);
    tally.waits_for(&mut far, MANY / 4);
    cluster.broker.dies();
    assert!(cluster.nodes[0].terminate(STOPS).success());
    assert_eq!(flood.join().unwrap(), MANY);
    cluster.broker.starts_again();
    tally.waits_for(&mut far, MANY);
    assert_eq!(tally.out_of_order, 0);
    println!("stopped without the broker: {} repeats", tally.repeats);
    assert!(!near.has_received(), "nothing is answered");
    assert_eq!(figure_of(&cluster.nodes[1].settled_account(), "difference"), 0);
}

#[test]
fn a_node_with_a_journal_that_stops_while_the_broker_is_away_keeps_what_other_nodes_have_not_settled() {
    let mut cluster = Cluster::with(Network::new(), |setup| {
        setup.set("journal.path", "\"waiting.redb\"").set("shutdown_timeout", "\"30s\"")
    });
    let other = Node::start(&cluster.network, Setup::of("other.example"));
    let mut far = other.inbox();
    cluster.makes_link(0, &mut far);
    let mut near = cluster.inbox(1);
    let mut tally = Tally::of(MANY);
    let flood = floods(&near, far.name(), 0, MANY);
    tally.waits_for(&mut far, MANY / 4);
    cluster.broker.dies();
    assert_eq!(flood.join().unwrap(), MANY);
    within(SOON, "the node has all messages", || {
        (figure_of(&cluster.nodes[1].account(), "taken") == MANY).then_some(())
    });
    assert!(cluster.nodes[1].terminate(STOPS).success());
    assert!(near.expects_end().is_empty(), "nothing is answered: it is in the file");
    cluster.broker.starts_again();
    cluster.nodes[1].starts_again();
    tally.waits_for(&mut far, MANY);
    assert_eq!(tally.out_of_order, 0);
    println!("stopped without the broker, with a journal: {} repeats", tally.repeats);
    assert_eq!(cluster.sum("difference"), 0);
}

/// What `nuncio nodes` prints.
fn shows(socket: &str) -> String {
    let shown = Command::new(BINARY).args(["nodes", "--socket", socket, "--wide"]).output().unwrap();
    assert!(shown.status.success(), "{shown:?}");
    String::from_utf8(shown.stdout).unwrap()
}

/// Longer than `shutdown_timeout`: a node that waits for the broker never ends.
const STOPS: Duration = Duration::from_secs(90);

/// Messages on each way: four seconds of them.
const MANY: usize = 4_000;
