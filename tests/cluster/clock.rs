//! Nodes whose calendar clock jumps, as after a correction of the time: nothing between nodes depends on it.

use std::fs;
use std::path::{Path, PathBuf};

use super::fixture::{Cluster, DOMAIN, floods};
use crate::delivery::Tally;
use crate::support::{Broker, Network, Node, Server, Setup, needs};

#[test]
fn the_calendar_clock_of_a_node_jumps_by_hours_and_a_day_and_nobody_takes_it_for_dead() {
    needs("command -v faketime", "faketime");
    let network = Network::new();
    let broker = Broker::start(&network);
    let clock = network.directory("clock").join("a");
    fs::write(&clock, "+0").unwrap();
    let cluster =
        Cluster::of(
            network,
            broker,
            &["a", "b"],
            |index, setup| {
                if index == 0 { with_clock(setup, &clock) } else { setup }
            },
        );
    let other = Node::start(&cluster.network, Setup::of("other.example"));
    let mut far = other.inbox();
    cluster.makes_link(0, &mut far);
    // Both ways through node `a`, and one that waits there.
    let mut near = cluster.inbox(1);
    far.sends_message(&format!("outbox.{DOMAIN}"), "waiting", "");
    let (mut tally, mut back) = (Tally::of(MANY), Tally::of(MANY));
    let flood = [floods(&near, far.name(), 0, MANY), floods(&far, near.name(), 0, MANY)];
    for (number, jump) in ["+1h", "-1h", "+25h", "-25h", "+0"].into_iter().enumerate() {
        fs::write(&clock, jump).unwrap();
        let enough = (number + 1) * MANY / 6;
        tally.waits_for(&mut far, enough);
        back.waits_for(&mut near, enough);
        assert_eq!(differ(&cluster.nodes), jump != "+0", "{jump}");
    }
    flood.into_iter().for_each(|flood| assert_eq!(flood.join().unwrap(), MANY));
    tally.waits_for(&mut far, MANY);
    tally.is_exact();
    back.waits_for(&mut near, MANY);
    back.is_exact();
    cluster.nodes[1].outbox().receives_id("waiting");
    for node in &cluster.nodes {
        for line in ["lease lost", "node died", "node began another run", "ferry ended"] {
            assert_eq!(node.process().count(line), 0, "{line}");
        }
    }
    for figure in ["difference", "answered", "expired"] {
        assert_eq!(cluster.sum(figure), 0, "{figure}");
    }
}

/// Whether the times of two nodes differ by more than half an hour.
fn differ(nodes: &[Node]) -> bool {
    let [one, other] = [0, 1].map(|node| minutes(&nodes[node].account()));
    one.abs_diff(other) > 30
}

/// The time of a line in minutes of its month.
fn minutes(line: &str) -> usize {
    let [day, hour, minute] = [8..10, 11..13, 14..16].map(|digits| line[digits].parse::<usize>().unwrap());
    (day * 24 + hour) * 60 + minute
}

/// The node reads its calendar clock from libfaketime, which adds what the file says. Other clocks are as they are.
fn with_clock(setup: Setup, file: &Path) -> Setup {
    setup
        .environment("LD_PRELOAD", library().to_str().unwrap())
        .environment("FAKETIME_TIMESTAMP_FILE", file.to_str().unwrap())
        .environment("FAKETIME_NO_CACHE", "1")
        .environment("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .environment("DONT_FAKE_MONOTONIC", "1")
}

fn library() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").unwrap().flatten();
    let mut files = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    files.find(|file| file.exists()).expect("the library of the Debian package `libfaketime`")
}

/// Messages on each way: five seconds of them for each jump.
const MANY: usize = 30_000;
