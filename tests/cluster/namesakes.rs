//! Two processes with the name of one node: one after the other, and beside each other by mistake.

use super::fixture::{Cluster, floods, setup};
use crate::delivery::Tally;
use crate::support::{Node, SOON, Server, Setup};

#[test]
fn of_two_processes_with_one_name_the_first_serves_on_and_the_second_has_the_name_when_the_first_has_stopped()
{
    let cluster = Cluster::of_two();
    let other = Node::start(&cluster.network, Setup::of("other.example"));
    let mut far = other.inbox();
    cluster.makes_link(0, &mut far);
    let near = cluster.inbox(1);
    let mut tally = Tally::of(MANY);
    let flood = floods(&near, far.name(), 0, MANY);
    tally.waits_for(&mut far, MANY / 10);
    let twin = setup("twin", &cluster.broker).set("cluster.node", "\"a\"");
    let twin = Node::start(&cluster.network, twin);
    let first = format!("process {} on host ", cluster.nodes[0].process().id());
    let line = twin.eventually_logs(&["ERROR", "node disagrees", "node=a", &first]);
    assert!(line.contains("cluster.node"), "it says what to do: {line}");
    assert_eq!(flood.join().unwrap(), MANY);
    tally.waits_for(&mut far, MANY);
    tally.is_exact();
    for node in &cluster.nodes {
        for disturbed in ["lease lost", "node died", "node began another run", "node disagrees"] {
            assert!(!node.process().logged(&[disturbed]), "{disturbed}");
        }
    }
    assert!(!twin.process().logged(&["lease held"]));
    assert!(cluster.nodes[0].terminate(SOON).success());
    twin.eventually_logs(&["INFO", "lease held"]);
    twin.eventually_logs(&["INFO", "node agrees again", "node=a"]);
}

#[test]
fn a_node_that_was_killed_and_started_again_waits_for_no_other_run() {
    let mut cluster = Cluster::of_two();
    for _ in 0..3 {
        cluster.kills(0);
        cluster.starts_again(0);
        cluster.nodes[0].eventually_logs(&["cluster joined"]);
        assert!(
            !cluster.nodes[0].process().logged(&["of an earlier run"]),
            "it has seen that the process has ended"
        );
    }
    assert_eq!(cluster.nodes[1].process().count("node began another run"), 3);
    assert!(!cluster.nodes[1].process().logged(&["node died"]));
}

/// Messages: three seconds of them, in which the second process starts and finds the first.
const MANY: usize = 12_000;
