//! The rules one by one, with two or three nodes.

use super::cluster::{BEAT, Cluster, LEASE, domain, name, names, pair};
use crate::{
    Incarnation,
    arbiter::{Disagreement, Output, members::MOST},
    engine::{Bucket, fake::Faults},
    ferry::codec::Versions,
    record::{self, ClaimRecord, NodeRecord},
};
use std::time::Duration;

/// Nodes that have joined, after the time in which a new table grants nothing.
fn joined(count: usize) -> Cluster {
    let mut cluster = Cluster::new(1, count, Faults::none());
    cluster.passes(BEAT * 3);
    for node in &cluster.nodes {
        assert_eq!(node.arbiter.report(cluster.now).members.len(), count - 1);
    }
    cluster
}

fn moment() -> Duration {
    Duration::from_millis(10)
}

#[test]
fn the_first_node_that_claims_holds_and_the_others_relay() {
    let mut cluster = joined(3);
    let pair = pair("b.example");
    for index in [1, 0, 2] {
        cluster.wants(index, &pair);
        cluster.passes(moment());
    }
    assert!(cluster.nodes[1].wishes.granted.contains(&pair));
    for index in [0, 2] {
        assert_eq!(cluster.nodes[index].wishes.relays.get(&pair), Some(&name("n1")));
    }
}

#[test]
fn nothing_is_granted_for_two_beats_after_a_table_was_created() {
    let mut cluster = Cluster::new(1, 1, Faults::none());
    let pair = pair("b.example");
    cluster.wants(0, &pair);
    cluster.passes(BEAT * 2 - moment());
    assert!(cluster.nodes[0].wishes.granted.is_empty());
    cluster.passes(moment() * 40);
    assert!(cluster.nodes[0].wishes.granted.contains(&pair));
}

#[test]
fn a_pair_that_is_renounced_is_free_at_once() {
    let mut cluster = joined(2);
    let pair = pair("b.example");
    cluster.wants(0, &pair);
    cluster.passes(moment());
    cluster.renounces(0, &pair);
    cluster.passes(moment());
    assert!(cluster.broker.records(Bucket::Claims).is_empty());
    cluster.wants(1, &pair);
    cluster.passes(moment());
    assert!(cluster.nodes[1].wishes.granted.contains(&pair));
}

/// The lease of a node ends before another takes its place.
#[test]
fn what_a_hung_node_held_passes_on_after_its_lease_and_it_gives_way_afterwards() {
    let mut cluster = joined(2);
    let pair = pair("b.example");
    cluster.wants(0, &pair);
    cluster.passes(moment());
    cluster.wants(1, &pair);
    cluster.passes(moment());
    assert_eq!(cluster.nodes[1].wishes.relays.get(&pair), Some(&name("n0")));
    cluster.hangs(0, true);
    let lease = cluster.nodes[0].lease.unwrap();
    cluster.passes(LEASE - BEAT * 2);
    assert!(cluster.nodes[1].wishes.granted.is_empty());
    cluster.passes(BEAT * 3);
    assert!(cluster.nodes[1].wishes.granted.contains(&pair) && lease < cluster.now);
    cluster.hangs(0, false);
    cluster.passes(BEAT);
    assert!(cluster.nodes[0].log.iter().any(|output| matches!(output, Output::LeaseLost)));
    assert!(cluster.nodes[0].log.contains(&Output::Conflict { pair: pair.clone(), node: name("n1") }));
    assert_eq!(cluster.nodes[0].wishes.relays.get(&pair), Some(&name("n1")));
    assert!(cluster.longest_overlap < Duration::from_secs(1), "{:?}", cluster.longest_overlap);
}

#[test]
fn what_a_restarted_node_held_is_void_at_once() {
    let mut cluster = joined(2);
    let pair = pair("b.example");
    cluster.wants(0, &pair);
    cluster.passes(moment());
    cluster.restarts(0);
    cluster.passes(BEAT);
    cluster.wants(1, &pair);
    cluster.passes(moment());
    assert!(cluster.nodes[1].wishes.granted.contains(&pair));
}

#[test]
fn a_node_that_stops_leaves_nothing_and_is_missed_at_once() {
    let mut cluster = joined(2);
    let (pair, component) = (pair("b.example"), domain("x.a.example"));
    cluster.wants(0, &pair);
    cluster.connects(0, &component);
    cluster.passes(moment());
    assert_eq!(cluster.nodes[1].wishes.elsewhere.get(&component), Some(&name("n0")));
    let now = cluster.now;
    cluster.nodes[0].arbiter.stop(now);
    cluster.passes(BEAT);
    assert!(cluster.nodes[0].log.contains(&Output::Left));
    for bucket in [Bucket::Claims, Bucket::Seats] {
        assert!(cluster.broker.records(bucket).is_empty());
    }
    assert_eq!(cluster.broker.records(Bucket::Nodes).len(), 1);
    assert!(cluster.nodes[1].log.iter().any(|output| matches!(output, Output::Died { .. })));
    assert!(cluster.nodes[1].wishes.elsewhere.is_empty());
}

/// DESIGN: a request that timed out is executed later.
#[test]
fn a_create_that_is_executed_late_leaves_no_claim_that_nobody_holds() {
    let mut cluster = joined(2);
    let pair = pair("b.example");
    cluster.broker.faults.late = 1000;
    cluster.broker.faults.late_by = Duration::from_secs(5);
    cluster.wants(0, &pair);
    cluster.passes(moment());
    cluster.broker.faults.late = 0;
    cluster.renounces(0, &pair);
    cluster.passes(Duration::from_secs(8));
    assert_eq!(cluster.broker.records(Bucket::Claims).len(), 1, "the late request");
    cluster.passes(LEASE);
    assert!(cluster.broker.records(Bucket::Claims).is_empty());
}

/// A delete that had no answer must not hit the claim after it was granted again.
#[test]
fn a_delete_that_is_executed_late_does_not_hit_a_later_grant() {
    let mut cluster = joined(2);
    let pair = pair("b.example");
    cluster.wants(0, &pair);
    cluster.passes(moment());
    cluster.broker.faults.late = 1000;
    cluster.broker.faults.late_by = Duration::from_secs(5);
    cluster.renounces(0, &pair);
    cluster.passes(moment());
    cluster.broker.faults.late = 0;
    cluster.wants(0, &pair);
    cluster.passes(Duration::from_secs(4));
    assert!(cluster.nodes[0].wishes.granted.contains(&pair));
    for _ in 0..100 {
        cluster.passes(Duration::from_millis(100));
        assert_eq!(cluster.broker.records(Bucket::Claims).len(), 1);
    }
}

#[test]
fn claims_and_seats_are_written_again_when_the_broker_lost_them() {
    let mut cluster = joined(2);
    let (pair, component) = (pair("b.example"), domain("x.a.example"));
    cluster.wants(0, &pair);
    cluster.connects(0, &component);
    cluster.passes(moment());
    let now = cluster.now;
    cluster.data_was_lost = true;
    cluster.broker.loses_data(now);
    cluster.wants(1, &pair);
    cluster.passes(BEAT * 3);
    assert!(
        cluster.nodes[0].wishes.granted.contains(&pair) && cluster.nodes[0].wishes.components[&component]
    );
    assert_eq!(cluster.nodes[1].wishes.relays.get(&pair), Some(&name("n0")));
    assert_eq!(cluster.nodes[1].wishes.elsewhere.get(&component), Some(&name("n0")));
    assert_eq!(cluster.longest_overlap, Duration::ZERO);
}

#[test]
fn a_claim_that_the_broker_lost_unnoticed_is_found_by_comparison() {
    let mut cluster = joined(2);
    let pair = pair("b.example");
    cluster.broker.remembers();
    cluster.wants(0, &pair);
    cluster.passes(moment());
    let now = cluster.now;
    cluster.data_was_lost = true;
    cluster.broker.rolls_back(now);
    cluster.passes(BEAT * 2);
    assert_eq!(cluster.broker.records(Bucket::Claims).len(), 1);
}

#[test]
fn a_claim_is_answered_while_the_broker_is_away() {
    let mut cluster = joined(2);
    let pair = pair("b.example");
    let now = cluster.now;
    cluster.broker.stops(now);
    cluster.wants(0, &pair);
    cluster.passes(BEAT * 3);
    let unknown =
        |output: &Output| matches!(output, Output::Unknown { why, .. } if why.contains("message broker"));
    assert!(cluster.nodes[0].log.iter().any(unknown), "{:?}", cluster.nodes[0].log);
}

#[test]
fn a_short_restart_of_the_broker_is_not_noticed_by_a_claim() {
    let mut cluster = joined(2);
    let pair = pair("b.example");
    let now = cluster.now;
    cluster.broker.stops(now);
    cluster.wants(0, &pair);
    cluster.passes(Duration::from_secs(4));
    let now = cluster.now;
    cluster.broker.starts(now);
    cluster.passes(Duration::from_secs(1));
    assert!(cluster.nodes[0].wishes.granted.contains(&pair));
    assert!(
        !cluster.nodes[0]
            .log
            .iter()
            .any(|output| matches!(output, Output::Unknown { .. } | Output::LeaseLost))
    );
}

#[test]
fn nodes_that_do_not_fit_together_are_told_apart() {
    let mut cluster = joined(1);
    cluster.adds("n1", |config| config.secret = "another".to_owned());
    cluster.adds("n2", |config| config.names = names("others"));
    cluster.passes(BEAT * 2);
    let disagrees = |node: &str, about| Output::Disagrees { node: name(node), about };
    let others = Box::new(names("names").difference(names("others").summary()).unwrap());
    assert_eq!(others.to_string(), "only this node has names; only that node has others");
    for output in [disagrees("n1", Disagreement::Secret), disagrees("n2", Disagreement::Names(others))] {
        assert_eq!(cluster.nodes[0].log.iter().filter(|other| **other == output).count(), 1, "{output:?}");
    }
}

#[test]
fn nodes_that_are_configured_anew_one_after_the_other_disagree_until_the_last_one_is() {
    let mut cluster = joined(2);
    let told = |cluster: &Cluster, node: usize, wanted: &dyn Fn(&Output) -> bool| {
        cluster.nodes[node].log.iter().filter(|output| wanted(output)).count()
    };
    let disagrees = |other: &'static str| move |output: &Output| matches!(output, Output::Disagrees { node, about: Disagreement::Names(_) } if *node == name(other));
    let agrees = |other: &'static str| move |output: &Output| matches!(output, Output::Agrees { node } if *node == name(other));
    for (round, text) in ["more names", "other names"].into_iter().enumerate() {
        for (node, times) in [(1, [round + 1, round]), (0, [round + 1, round + 1])] {
            let now = cluster.now;
            cluster.nodes[node].arbiter.reconfigure("secret".to_owned(), names(text), now);
            cluster.passes(BEAT * 2);
            for (node, other) in [(0, "n1"), (1, "n0")] {
                assert_eq!(told(&cluster, node, &disagrees(other)), times[0], "{round} {node}");
                assert_eq!(told(&cluster, node, &agrees(other)), times[1], "{round} {node}");
            }
        }
    }
}

#[test]
fn a_claim_is_granted_as_soon_as_the_table_of_nodes_was_read() {
    let mut cluster = joined(1);
    // The first reads of the second node have no answer.
    cluster.broker.faults.answer_lost = 1000;
    let node = cluster.adds("n1", |_| {});
    cluster.passes(Duration::from_millis(1));
    cluster.broker.faults.answer_lost = 0;
    let pair = pair("b.example");
    cluster.wants(node, &pair);
    cluster.passes(Duration::from_secs(5));
    assert!(cluster.nodes[node].wishes.granted.contains(&pair), "{:?}", cluster.nodes[node].log);
}

#[test]
fn a_node_with_other_versions_of_frames_is_told_apart_until_it_is_upgraded() {
    let mut cluster = joined(1);
    let theirs = Versions { oldest: 2, newest: 3 };
    let other = cluster.adds("n1", |config| config.versions = theirs);
    cluster.passes(BEAT);
    let own = Versions::OWN;
    let differs = Output::Disagrees { node: name("n1"), about: Disagreement::Versions { theirs, own } };
    let log = &cluster.nodes[0].log;
    let told = |wanted: &Output| log.iter().filter(|output| *output == wanted).count();
    assert_eq!(told(&differs), 1, "{log:?}");
    let joined = log.iter().position(|output| matches!(output, Output::Joined { version: None, .. }));
    assert!(
        joined < log.iter().position(|output| *output == differs),
        "what differs is told of a known node"
    );
    let text = Disagreement::Versions { theirs, own }.to_string();
    assert!(text.contains("versions 2 to 3") && text.contains("version 1"), "{text}");
    assert!(
        cluster.nodes[other].log.iter().any(|output| {
            matches!(output, Output::Disagrees { about: Disagreement::Versions { .. }, .. })
        })
    );
    cluster.restarts(other);
    cluster.passes(BEAT);
    let log = &cluster.nodes[0].log;
    assert!(matches!(log.last(), Some(Output::Joined { version: Some(1), .. })), "{log:?}");
}

#[test]
fn names_that_a_writer_of_the_table_invents_take_bounded_memory() {
    let mut cluster = joined(2);
    let record = |run| NodeRecord {
        incarnation: Incarnation(run),
        beat: 1,
        versions: Versions::OWN,
        refills: false,
        secret: "secret".to_owned(),
        names: names("names").summary().clone(),
        process: None,
        load: None,
    };
    let now = cluster.now;
    for number in 0..3 * MOST as u64 {
        cluster.broker.writes(Bucket::Nodes, &format!("x{number}"), record(number).encode(), now);
    }
    cluster.passes(BEAT);
    let members = |cluster: &Cluster| cluster.nodes[0].arbiter.report(cluster.now).members;
    assert_eq!(members(&cluster).len(), MOST);
    let beyond =
        |output: &Output| matches!(output, Output::Disagrees { about: Disagreement::TooMany(_), .. });
    assert!(cluster.nodes[0].log.iter().any(beyond));
    // They do not beat: another node finds room when they are dead.
    cluster.passes(LEASE * 2);
    cluster.adds("n9", |_| {});
    cluster.passes(LEASE * 2);
    assert!(members(&cluster).iter().any(|member| member.node == name("n9") && member.alive));
    // And their records do not stay.
    cluster.passes(Duration::from_secs(5 * 3600));
    assert_eq!(cluster.broker.records(Bucket::Nodes).len(), 3);
    assert_eq!(members(&cluster).len(), 2);
}

#[test]
fn seats_of_runs_that_are_over_are_deleted() {
    let mut cluster = joined(3);
    cluster.connects(2, &domain("x.a.example"));
    cluster.connects(1, &domain("y.a.example"));
    cluster.passes(moment());
    cluster.kills(2);
    cluster.passes(LEASE * 5);
    let records = cluster.broker.records(Bucket::Seats);
    assert_eq!(records.len(), 1, "{records:?}");
}

#[test]
fn the_sweep_deletes_claims_of_runs_that_are_over() {
    let mut cluster = joined(3);
    for (index, remote) in ["b.example", "c.example", "d.example"].iter().enumerate() {
        cluster.wants(index, &pair(remote));
    }
    cluster.passes(moment());
    let dead = cluster.kills(2);
    cluster.passes(LEASE * 6);
    let records = cluster.broker.records(Bucket::Claims);
    let nodes: Vec<_> = records.iter().map(|(_, value)| ClaimRecord::decode(value).unwrap().node).collect();
    assert!(nodes.len() == 2 && !nodes.contains(&dead), "{nodes:?}");
}

#[test]
fn a_node_whose_record_cannot_be_read_any_more_is_dead_after_its_lease() {
    let mut cluster = joined(2);
    let dead = cluster.kills(1);
    let now = cluster.now;
    cluster.broker.writes(Bucket::Nodes, dead.as_str(), r#"{"form":9}"#.into(), now);
    cluster.passes(LEASE * 3);
    let log = &cluster.nodes[0].log;
    let died = |output: &Output| matches!(output, Output::Died { node, .. } if *node == dead);
    assert!(log.iter().any(died), "{log:?}");
    let report = cluster.nodes[0].arbiter.report(cluster.now);
    assert_eq!(report.disagreements, [(dead, Disagreement::Form)]);
}

#[test]
fn the_sweep_deletes_a_claim_that_came_back_with_older_data_of_the_broker() {
    let mut cluster = joined(2);
    let pair = pair("b.example");
    cluster.wants(0, &pair);
    cluster.passes(moment());
    cluster.broker.remembers();
    cluster.renounces(0, &pair);
    // The first pass has ended, and the next one begins in an hour.
    cluster.passes(LEASE * 6);
    assert_eq!(cluster.broker.records(Bucket::Claims).len(), 0);
    let now = cluster.now;
    cluster.broker.rolls_back(now);
    assert_eq!(cluster.broker.records(Bucket::Claims).len(), 1);
    cluster.passes(LEASE * 6);
    assert_eq!(cluster.broker.records(Bucket::Claims).len(), 0);
}

#[test]
fn a_node_is_dead_after_its_lease_whenever_the_others_read_all_records() {
    for beats in 0..12 {
        let mut cluster = joined(3);
        cluster.passes(BEAT * beats);
        let dead = cluster.kills(2);
        cluster.passes(LEASE + BEAT);
        for node in &cluster.nodes[..2] {
            let died = |output: &Output| matches!(output, Output::Died { node, .. } if *node == dead);
            assert!(node.log.iter().any(died), "{beats} beats after the start: {:?}", node.log);
        }
    }
}

#[test]
fn a_claim_that_is_no_record_is_replaced_or_deleted() {
    let mut cluster = joined(2);
    let (wanted, other) = (pair("b.example"), pair("c.example"));
    let now = cluster.now;
    for (pair, value) in [(&wanted, "nonsense"), (&other, r#"{"form":1,"what":"something else"}"#)] {
        cluster.broker.writes(Bucket::Claims, &record::key(&pair.to_string()), value.into(), now);
    }
    cluster.wants(1, &wanted);
    cluster.passes(moment());
    assert!(cluster.nodes[1].wishes.granted.contains(&wanted));
    cluster.passes(LEASE * 6);
    let records = cluster.broker.records(Bucket::Claims);
    assert_eq!(records.len(), 1, "{records:?}");
    assert_eq!(ClaimRecord::decode(&records[0].1).unwrap().what, wanted.to_string());
}

#[test]
fn a_claim_of_a_newer_version_is_unknown_and_stays() {
    let mut cluster = joined(1);
    let pair = pair("b.example");
    let value = r#"{"form":9}"#;
    let now = cluster.now;
    cluster.broker.writes(Bucket::Claims, &record::key(&pair.to_string()), value.into(), now);
    cluster.wants(0, &pair);
    cluster.passes(moment());
    let why = cluster.nodes[0].log.iter().find_map(|output| match output {
        Output::Unknown { why, .. } => Some(why.clone()),
        _ => None,
    });
    assert!(why.as_ref().is_some_and(|why| why.contains("form 9")), "{why:?}");
    cluster.passes(LEASE * 6);
    assert_eq!(cluster.broker.records(Bucket::Claims).len(), 1);
}

#[test]
fn a_thousand_claims_of_two_nodes_at_once_have_one_holder_each() {
    let mut cluster = joined(2);
    let pairs: Vec<_> = (0..1000).map(|number| pair(&format!("r{number}.example"))).collect();
    for pair in &pairs {
        cluster.wants(0, pair);
        cluster.wants(1, pair);
    }
    cluster.passes(BEAT);
    for pair in &pairs {
        assert_eq!(
            cluster.nodes.iter().filter(|node| node.wishes.granted.contains(pair)).count(),
            1,
            "{pair}"
        );
    }
    assert_eq!(cluster.nodes[0].wishes.granted.len() + cluster.nodes[1].wishes.granted.len(), 1000);
}
