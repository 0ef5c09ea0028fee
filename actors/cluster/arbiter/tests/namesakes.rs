//! Two runs of one node: one after the other, and beside each other by mistake.

use super::cluster::{BEAT, Cluster, LEASE, name, pair};
use crate::{
    arbiter::{Disagreement, Output},
    engine::{Bucket, fake::Faults},
};
use std::time::Duration;

/// Two nodes that have joined, on one machine or each on its own.
fn two(is_scattered: bool) -> Cluster {
    let mut cluster = Cluster::new(1, 0, Faults::none());
    cluster.is_scattered = is_scattered;
    for node in ["n0", "n1"] {
        cluster.adds(node, |_| {});
    }
    cluster.passes(BEAT * 3);
    cluster
}

/// A moment, in which requests are answered.
fn moment() -> Duration {
    Duration::from_millis(100)
}

fn has_lease(cluster: &Cluster, index: usize) -> bool {
    cluster.nodes[index].arbiter.report(cluster.now).lease.is_some()
}

/// How often a process has told that another one has its name.
fn told(cluster: &Cluster, index: usize) -> usize {
    let same = |output: &&Output| matches!(output, Output::Disagrees { node, about: Disagreement::SameName(_) } if *node == name("n0"));
    cluster.nodes[index].log.iter().filter(same).count()
}

/// Whether nobody has noticed anything of the second process.
fn is_undisturbed(cluster: &Cluster, index: usize) -> bool {
    let lost = |output: &Output| matches!(output, Output::LeaseLost | Output::Disagrees { .. });
    let died = |output: &Output| matches!(output, Output::Died { .. });
    has_lease(cluster, index)
        && !cluster.nodes[index].log.iter().any(lost)
        && !cluster.nodes[1].log.iter().any(died)
}

#[test]
fn a_node_that_was_killed_has_its_name_at_once_when_it_is_started_again_on_its_machine() {
    let mut cluster = two(false);
    cluster.restarts(0);
    // It has to connect.
    cluster.passes(moment() * 5);
    assert!(has_lease(&cluster, 0));
    let waits = |output: &Output| matches!(output, Output::Waits { .. } | Output::Disagrees { .. });
    assert!(!cluster.nodes[0].log.iter().any(waits), "{:?}", cluster.nodes[0].log);
}

#[test]
fn where_nobody_sees_the_process_a_node_that_was_killed_has_its_name_after_two_beats() {
    let mut cluster = two(true);
    cluster.restarts(0);
    cluster.passes(BEAT * 2 - moment());
    assert!(!has_lease(&cluster, 0));
    let waits = |output: &Output| matches!(output, Output::Waits { within, .. } if *within == BEAT * 2);
    assert!(cluster.nodes[0].log.iter().any(waits), "{:?}", cluster.nodes[0].log);
    cluster.passes(moment() * 3);
    assert!(has_lease(&cluster, 0) && told(&cluster, 0) == 0);
}

#[test]
fn of_two_processes_with_one_name_the_first_keeps_it_and_the_second_says_so_each_minute() {
    for is_scattered in [false, true] {
        let mut cluster = two(is_scattered);
        let pair = pair("b.example");
        cluster.wants(0, &pair);
        let second = cluster.adds("n0", |_| {});
        cluster.passes(BEAT * 4);
        cluster.wants(second, &pair);
        cluster.passes(BEAT * 3);
        assert!(is_undisturbed(&cluster, 0) && !has_lease(&cluster, second));
        assert!(cluster.nodes[0].arbiter.confirms(&pair, cluster.now));
        let unknown = |output: &Output| matches!(output, Output::Unknown { .. });
        assert!(cluster.nodes[second].log.iter().any(unknown), "it claims nothing");
        assert_eq!(told(&cluster, second), 1);
        cluster.passes(Duration::from_secs(121));
        assert!(is_undisturbed(&cluster, 0));
        assert_eq!(told(&cluster, second), 3);
    }
}

#[test]
fn what_the_second_process_says_names_the_first_one_and_what_to_do() {
    let mut cluster = two(true);
    let second = cluster.adds("n0", |_| {});
    cluster.passes(BEAT * 4);
    let report = cluster.nodes[second].arbiter.report(cluster.now);
    let run = cluster.nodes[0].arbiter.incarnation();
    let [(node, about)] = &report.disagreements[..] else { panic!("{report:?}") };
    let text = about.to_string();
    assert_eq!(*node, name("n0"));
    let first = format!("process 0 on host host, started at 2026-12-01T15:00:00Z (run {run})");
    assert!(text.contains(&first) && text.contains("cluster.node"), "{text}");
    assert!(cluster.nodes[0].arbiter.report(cluster.now).disagreements.is_empty());
}

#[test]
fn the_second_process_has_the_name_at_once_when_the_first_one_stops_in_order() {
    let mut cluster = two(true);
    let second = cluster.adds("n0", |_| {});
    cluster.passes(BEAT * 4);
    cluster.stops(0);
    cluster.passes(moment() * 5);
    assert!(cluster.nodes[0].log.contains(&Output::Left) && has_lease(&cluster, second));
    assert!(cluster.nodes[second].log.contains(&Output::Agrees { node: name("n0") }));
}

#[test]
fn the_second_process_has_the_name_when_the_first_one_is_killed() {
    for (is_scattered, within) in [(false, BEAT + moment()), (true, LEASE + moment() * 2)] {
        let mut cluster = two(is_scattered);
        let second = cluster.adds("n0", |_| {});
        cluster.passes(BEAT * 4);
        cluster.dies(0);
        cluster.passes(within);
        assert!(has_lease(&cluster, second), "on one machine: {}", !is_scattered);
        let report = cluster.nodes[second].arbiter.report(cluster.now);
        assert!(report.disagreements.is_empty() && report.namesake.is_none(), "{report:?}");
    }
}

#[test]
fn an_outage_of_the_broker_does_not_give_the_name_to_the_second_process() {
    let mut cluster = two(true);
    let second = cluster.adds("n0", |_| {});
    cluster.passes(BEAT * 4);
    let now = cluster.now;
    cluster.broker.stops(now);
    cluster.passes(LEASE * 4);
    let now = cluster.now;
    cluster.broker.starts(now);
    cluster.passes(LEASE);
    // It has lost its lease, as every node has.
    assert!(has_lease(&cluster, 0) && !has_lease(&cluster, second));
}

#[test]
fn a_loss_of_data_does_not_give_the_name_to_the_second_process() {
    for seed in 0..20 {
        let mut cluster = two(true);
        let second = cluster.adds("n0", |_| {});
        cluster.passes(BEAT * 4 + Duration::from_millis(137 * seed));
        let now = cluster.now;
        cluster.data_was_lost = true;
        cluster.broker.loses_data(now);
        cluster.passes(LEASE);
        assert!(is_undisturbed(&cluster, 0) && !has_lease(&cluster, second));
    }
}

#[test]
fn a_process_whose_name_another_one_has_got_waits_for_it_in_turn() {
    let mut cluster = two(true);
    let pair = pair("b.example");
    cluster.wants(0, &pair);
    cluster.passes(moment());
    let (now, cut_off) = (cluster.now, cluster.nodes[0].client);
    let second = cluster.adds("n0", |_| {});
    cluster.passes(BEAT * 3);
    cluster.broker.cuts_off(cut_off, now);
    cluster.passes(LEASE * 2);
    assert!(has_lease(&cluster, second), "the others take the first one for dead");
    let now = cluster.now;
    cluster.broker.rejoins(cut_off, now);
    cluster.passes(BEAT * 4);
    assert!(!has_lease(&cluster, 0) && has_lease(&cluster, second) && told(&cluster, 0) == 1);
    assert!(!cluster.nodes[0].arbiter.claims.confirms(&pair), "it was confirmed in the run before");
    cluster.kills(second);
    cluster.passes(LEASE + BEAT * 4);
    let now = cluster.now;
    assert!(cluster.nodes[0].arbiter.confirms(&pair, now), "it has its name and its claim again");
}

#[test]
fn a_late_write_of_a_process_that_was_killed_is_no_sign_of_another_one() {
    let mut cluster = two(true);
    let (_, record) = cluster.broker.records(Bucket::Nodes).into_iter().find(|(key, _)| key == "n0").unwrap();
    cluster.restarts(0);
    cluster.passes(BEAT);
    let now = cluster.now;
    cluster.broker.writes(Bucket::Nodes, "n0", record, now);
    cluster.passes(BEAT * 2 + moment() * 2);
    assert!(has_lease(&cluster, 0) && told(&cluster, 0) == 0);
}

#[test]
fn a_record_that_cannot_be_read_holds_up_a_start_for_two_beats_only() {
    let mut cluster = two(true);
    cluster.dies(0);
    let now = cluster.now;
    cluster.broker.writes(Bucket::Nodes, "n0", r#"{"form":9}"#.into(), now);
    cluster.restarts(0);
    cluster.passes(BEAT);
    assert!(!has_lease(&cluster, 0));
    cluster.passes(BEAT + moment() * 2);
    assert!(has_lease(&cluster, 0));
}

#[test]
fn a_process_that_stops_before_it_has_its_name_deletes_nothing_of_the_one_that_has_it() {
    let mut cluster = two(true);
    cluster.broker.faults.request_lost = 1000;
    let second = cluster.adds("n0", |_| {});
    cluster.passes(Duration::from_secs(1));
    cluster.stops(second);
    cluster.broker.faults.request_lost = 0;
    cluster.passes(BEAT * 2);
    assert!(cluster.nodes[second].log.contains(&Output::Left), "{:?}", cluster.nodes[second].log);
    assert_eq!(cluster.broker.records(Bucket::Nodes).len(), 2);
    assert!(is_undisturbed(&cluster, 0));
}

#[test]
fn a_process_that_stops_while_it_waits_for_its_name_leaves_at_once() {
    let mut cluster = two(true);
    let second = cluster.adds("n0", |_| {});
    cluster.passes(BEAT * 4);
    cluster.stops(second);
    cluster.passes(BEAT + moment());
    assert!(cluster.nodes[second].log.contains(&Output::Left));
    assert_eq!(cluster.broker.records(Bucket::Nodes).len(), 2);
    assert!(is_undisturbed(&cluster, 0));
}
