//! How the others see that a node has ended, and what nodes must have in common, one by one.

use super::cluster::{BEAT, Cluster, LEASE, domain, name, names, pair};
use crate::{
    arbiter::{Disagreement, Ending, MemberReport, Output},
    engine::{Bucket, fake::Faults},
    record::Load,
};

/// Two nodes that have joined.
fn two() -> Cluster {
    let mut cluster = Cluster::new(1, 2, Faults::none());
    cluster.passes(BEAT * 3);
    cluster
}

/// How the runs of other nodes ended, as a node has told.
fn endings(cluster: &Cluster, index: usize) -> Vec<Ending> {
    let ending = |output: &Output| match output {
        Output::Died { ending, .. } => Some(*ending),
        _ => None,
    };
    cluster.nodes[index].log.iter().filter_map(ending).collect()
}

/// The first node's view of the other one.
fn other(cluster: &Cluster) -> MemberReport {
    cluster.nodes[0].arbiter.report(cluster.now).members.remove(0)
}

#[test]
fn a_node_that_stops_in_order_has_left_and_is_back_when_it_starts_again() {
    let mut cluster = two();
    let now = cluster.now;
    cluster.nodes[1].arbiter.stop(now);
    cluster.passes(BEAT);
    assert_eq!(endings(&cluster, 0), [Ending::Left]);
    assert!(!other(&cluster).alive && other(&cluster).has_left);
    cluster.restarts(1);
    cluster.passes(BEAT * 2);
    assert!(other(&cluster).alive && !other(&cluster).has_left);
    assert_eq!(endings(&cluster, 0), [Ending::Left]);
}

#[test]
fn a_node_that_leaves_while_another_one_is_cut_off_has_left_for_that_one_too() {
    let mut cluster = two();
    let (now, cut_off) = (cluster.now, cluster.nodes[0].client);
    cluster.broker.cuts_off(cut_off, now);
    cluster.nodes[1].arbiter.stop(now);
    cluster.passes(BEAT);
    let now = cluster.now;
    cluster.broker.rejoins(cut_off, now);
    cluster.passes(LEASE + BEAT * 2);
    assert_eq!(endings(&cluster, 0), [Ending::Left]);
}

#[test]
fn a_node_that_is_killed_has_died() {
    let mut cluster = two();
    cluster.kills(1);
    cluster.passes(LEASE + BEAT);
    assert_eq!(endings(&cluster, 0), [Ending::Silent]);
    assert!(!other(&cluster).alive && !other(&cluster).has_left);
}

#[test]
fn a_dead_node_whose_record_an_operator_deletes_has_left() {
    let mut cluster = two();
    cluster.kills(1);
    cluster.passes(LEASE + BEAT);
    let now = cluster.now;
    cluster.broker.deletes(Bucket::Nodes, "n1", now);
    cluster.passes(BEAT);
    assert!(other(&cluster).has_left);
    assert_eq!(endings(&cluster, 0), [Ending::Silent]);
}

#[test]
fn a_node_that_is_killed_and_started_again_has_begun_another_run() {
    let mut cluster = two();
    cluster.restarts(1);
    cluster.passes(BEAT * 2);
    assert_eq!(endings(&cluster, 0), [Ending::Replaced]);
}

#[test]
fn a_node_whose_record_the_broker_lost_has_not_left() {
    let mut cluster = two();
    cluster.kills(1);
    let now = cluster.now;
    cluster.data_was_lost = true;
    cluster.broker.loses_data(now);
    cluster.passes(LEASE + BEAT * 4);
    assert_eq!(endings(&cluster, 0), [Ending::Lost]);
    assert!(!other(&cluster).has_left);
}

#[test]
fn nodes_that_live_through_a_loss_of_data_neither_leave_nor_die() {
    let mut cluster = two();
    let now = cluster.now;
    cluster.data_was_lost = true;
    cluster.broker.loses_data(now);
    cluster.passes(LEASE + BEAT * 4);
    assert!(endings(&cluster, 0).is_empty() && endings(&cluster, 1).is_empty());
}

#[test]
fn a_reload_that_changes_the_names_is_told_on_both_nodes_until_they_are_the_same_again() {
    let mut cluster = two();
    for time in 1..3 {
        for (text, differs) in [("others", true), ("names", false)] {
            let now = cluster.now;
            cluster.nodes[1].arbiter.reconfigure("secret".to_owned(), names(text), now);
            cluster.passes(BEAT * 2);
            for (index, node) in ["n1", "n0"].into_iter().enumerate() {
                let difference = [names("names"), names("others")];
                let [here, there] = if index == 0 { [0, 1] } else { [1, 0] };
                let difference = difference[here].difference(difference[there].summary()).unwrap();
                let about = Disagreement::Names(Box::new(difference));
                let told = Output::Disagrees { node: name(node), about: about.clone() };
                let count = cluster.nodes[index].log.iter().filter(|output| **output == told).count();
                assert_eq!(count, time, "at the node that is not {node}");
                let report = cluster.nodes[index].arbiter.report(cluster.now);
                let reported = differs.then(|| (name(node), about));
                assert_eq!(report.disagreements, Vec::from_iter(reported));
            }
        }
    }
}

#[test]
fn what_a_node_has_shows_in_its_record_and_when_it_dies() {
    let mut cluster = two();
    for remote in ["b.example", "c.example"] {
        cluster.wants(1, &pair(remote));
    }
    cluster.connects(1, &domain("x.a.example"));
    cluster.passes(BEAT * 2);
    let load = Some(Load { links: 2, components: 1 });
    assert_eq!(other(&cluster).load, load);
    cluster.kills(1);
    cluster.passes(LEASE + BEAT);
    let died = |output: &Output| matches!(output, Output::Died { load: told, .. } if *told == load);
    assert!(cluster.nodes[0].log.iter().any(died), "{:?}", cluster.nodes[0].log);
}
