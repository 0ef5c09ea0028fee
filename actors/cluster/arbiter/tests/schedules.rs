//! Random schedules of faults, each determined by a seed.

use super::cluster::{Cluster, LEASE, domain, pair};
use crate::engine::fake::Faults;
use std::time::Duration;

/// After any faults: at no time do two nodes hold confirmed claims for one pair (unless the broker lost data), each claim is
/// answered in time, two nodes with a lease go on with one pair for less than the time of a lease (the one that was away asks the
/// broker first), and once the faults have ended there is one holder for each pair, and one seat for each component that
/// all nodes know.
///
/// `NUNCIO_SCHEDULES` sets their number, and `NUNCIO_SEED` the first seed.
#[test]
fn a_cluster_converges_after_any_schedule_of_faults() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first = number("NUNCIO_SEED").unwrap_or(1);
    let mut longest = Duration::ZERO;
    for seed in first..first + number("NUNCIO_SCHEDULES").unwrap_or(SCHEDULES) {
        let seed = Seed(seed);
        longest = longest.max(one(&seed));
    }
    println!("seeds from {first}: two nodes had one pair for {longest:?} at most");
}

/// Prints the seed of a schedule that fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("the schedule of NUNCIO_SEED={} NUNCIO_SCHEDULES=1 fails", self.0);
        }
    }
}

fn one(seed: &Seed) -> Duration {
    let mut cluster = Cluster::new(seed.0, 2 + (seed.0 % 3) as usize, Faults::none());
    if !cluster.random().is_multiple_of(4) {
        cluster.broker.faults = Faults::many();
    }
    let loses_data = cluster.random().is_multiple_of(3);
    for _ in 0..60 {
        step(&mut cluster, loses_data);
    }
    ends_faults(&mut cluster);
    cluster.passes(Duration::from_secs(90));
    converged(&cluster);
    assert!(cluster.longest_overlap < LEASE, "two nodes had one pair for {:?}", cluster.longest_overlap);
    cluster.longest_overlap
}

fn step(cluster: &mut Cluster, loses_data: bool) {
    let pairs = ["b.example", "c.example", "d.example"].map(pair);
    let names = ["x.a.example", "y.a.example"].map(domain);
    let count = cluster.nodes.len() as u64;
    let mut below = |limit: u64| (cluster.random() % limit) as usize;
    let (what, pick, time) = (below(30), below(6), below(8000) as u64);
    let index = below(count);
    let now = cluster.now;
    let client = cluster.nodes[index].client;
    match what {
        0 => cluster.broker.stops(now),
        1..=3 => cluster.broker.starts(now),
        4 => cluster.broker.cuts_off(client, now),
        5..=7 => cluster.broker.rejoins(client, now),
        8 => cluster.hangs(index, true),
        9..=11 => cluster.hangs(index, false),
        12 => cluster.restarts(index),
        13 => cluster.broker.disconnects(client, now),
        14 if loses_data => {
            cluster.data_was_lost = true;
            cluster.broker.loses_data(now);
        }
        15 if loses_data => cluster.broker.remembers(),
        16 if loses_data => {
            cluster.data_was_lost = true;
            cluster.broker.rolls_back(now);
        }
        17..=19 => cluster.renounces(index, &pairs[pick % 3]),
        20 => cluster.connects(index, &names[pick % 2]),
        21 => cluster.disconnects(index, &names[pick % 2]),
        _ => cluster.wants(index, &pairs[pick % 3]),
    }
    let time = if what.is_multiple_of(7) { time * 4 } else { time / 4 };
    cluster.passes(Duration::from_millis(time));
}

fn ends_faults(cluster: &mut Cluster) {
    let now = cluster.now;
    cluster.broker.faults = Faults::none();
    cluster.broker.starts(now);
    for index in 0..cluster.nodes.len() {
        let client = cluster.nodes[index].client;
        cluster.broker.rejoins(client, now);
        cluster.hangs(index, false);
    }
}

fn converged(cluster: &Cluster) {
    let nodes = &cluster.nodes;
    for node in nodes {
        let report = node.arbiter.report(cluster.now);
        assert!(report.lease.is_some(), "{}: {report:?}", node.name);
        assert_eq!(
            report.members.iter().filter(|member| member.alive).count(),
            nodes.len() - 1,
            "{}",
            node.name
        );
        assert_eq!(report.claims, node.granted.len(), "{}", node.name);
        assert!(node.granted.is_subset(&node.wants), "{}", node.name);
        for pair in &node.wants {
            let holders: Vec<_> = nodes.iter().filter(|node| node.granted.contains(pair)).collect();
            assert_eq!(holders.len(), 1, "holders of {pair}");
            let is_reached = holders[0].name == node.name || node.relays.get(pair) == Some(&holders[0].name);
            assert!(is_reached, "{}: {pair} goes to {:?}", node.name, node.relays.get(pair));
        }
        for name in node.components.keys() {
            assert_eq!(node.components.get(name), Some(&true), "{}: {name} has no seat", node.name);
            for other in nodes.iter().filter(|other| other.name != node.name) {
                assert_eq!(other.elsewhere.get(name), Some(&node.name), "{}: where is {name}?", other.name);
            }
        }
        for (name, at) in &node.elsewhere {
            let is_there = nodes.iter().any(|other| other.name == *at && other.components.contains_key(name));
            assert!(is_there, "{}: {name} is not at {at}", node.name);
        }
    }
}

/// A few seconds without optimisation.
const SCHEDULES: u64 = 300;
