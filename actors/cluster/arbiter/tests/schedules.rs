//! Random schedules of faults, each determined by a seed.

use super::{
    cluster::{BEAT, Cluster, LEASE, domain, pair},
    node::Process,
};
use crate::{
    arbiter::{Disagreement, Output},
    engine::fake::Faults,
};
use std::time::Duration;

/// After any faults:
/// - At no time do two nodes hold confirmed claims for one pair, or seats of one component, unless the broker lost data.
/// - Each claim is answered in time.
/// - Two nodes with a lease go on with one pair for little more than the time of a lease: the one that was away asks the broker
///   first. Each answer that is lost costs it a beat, and after that it may be cut off until its lease is over.
/// - Once the faults have ended there is one holder for each pair, and one seat for each component that all nodes know.
/// - In the end the broker has no record that nobody needs.
///
/// `NUNCIO_SCHEDULES` sets their number, and `NUNCIO_SEED` the first seed.
#[test]
fn a_cluster_converges_after_any_schedule_of_faults() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (first, count) =
        (number("NUNCIO_SEED").unwrap_or(1), number("NUNCIO_SCHEDULES").unwrap_or(SCHEDULES));
    let mut seen = Seen::default();
    for seed in first..first + count {
        one(&Seed(seed), &mut seen);
    }
    println!("seeds from {first}: {seen:?}");
    if count >= SCHEDULES {
        seen.has_everything();
    }
}

/// How often something happened, so that the schedules are known to contain it.
#[derive(Debug, Default)]
struct Seen {
    longest_overlap: Duration,
    leases_lost: usize,
    deaths: usize,
    /// An orderly stop that left nothing.
    left: usize,
    conflicts: usize,
    seat_conflicts: usize,
    unknown: usize,
    same_name: usize,
    data_losses: usize,
    hangs_beyond_the_lease: usize,
}

impl Seen {
    fn note(&mut self, cluster: &Cluster) {
        self.longest_overlap = self.longest_overlap.max(cluster.longest_overlap);
        self.left += cluster.left;
        self.data_losses += usize::from(cluster.data_was_lost);
        for output in cluster.nodes.iter().flat_map(|node| &node.log) {
            match output {
                Output::LeaseLost => self.leases_lost += 1,
                Output::Died { .. } => self.deaths += 1,
                Output::Conflict { .. } => self.conflicts += 1,
                Output::SeatConflict { .. } => self.seat_conflicts += 1,
                Output::Unknown { .. } => self.unknown += 1,
                Output::Disagrees { about: Disagreement::SameName(_), .. } => self.same_name += 1,
                _ => {}
            }
        }
    }

    fn has_everything(&self) {
        let Self { leases_lost, deaths, left, conflicts, seat_conflicts, unknown, same_name, .. } = *self;
        let Self { data_losses, hangs_beyond_the_lease, .. } = *self;
        let all = [leases_lost, deaths, left, conflicts, seat_conflicts, unknown, same_name];
        assert!(all.into_iter().chain([data_losses, hangs_beyond_the_lease]).all(|count| count > 0));
    }
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

/// What may happen in a schedule.
struct Plan {
    loses_data: bool,
    /// A second process has the name of a node.
    has_impostor: bool,
}

fn one(seed: &Seed, seen: &mut Seen) {
    let mut cluster = Cluster::new(seed.0, 0, Faults::none());
    if !cluster.random().is_multiple_of(4) {
        cluster.broker.faults = Faults::many();
    }
    cluster.skew = [0, 20, 100][(cluster.random() % 3) as usize];
    let plan = Plan {
        loses_data: cluster.random().is_multiple_of(3),
        has_impostor: cluster.random().is_multiple_of(5),
    };
    cluster.is_scattered = cluster.random().is_multiple_of(2);
    let count = 2 + (seed.0 % 3) as usize;
    for index in 0..count {
        cluster.adds(&format!("n{index}"), |_| {});
    }
    for _ in 0..60 {
        step(&mut cluster, &plan, seen);
    }
    ends_faults(&mut cluster, count);
    cluster.passes(Duration::from_secs(90));
    converged(&cluster);
    seen.note(&cluster);
    assert!(
        cluster.longest_overlap < LEASE + BEAT * 2,
        "two nodes had one pair for {:?}",
        cluster.longest_overlap
    );
    if seed.0.is_multiple_of(128) {
        // The sweep begins again an hour after its last pass.
        cluster.passes(Duration::from_secs(2 * 3600));
        converged(&cluster);
        cluster.keeps_nothing_else();
    }
}

fn step(cluster: &mut Cluster, plan: &Plan, seen: &mut Seen) {
    let pairs = ["b.example", "c.example", "d.example"].map(pair);
    let names = ["x.a.example", "y.a.example"].map(domain);
    let count = cluster.nodes.len() as u64;
    let mut below = |limit: u64| (cluster.random() % limit) as usize;
    let (what, pick, time) = (below(36), below(6), below(8000) as u64);
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
        14 if plan.loses_data => {
            cluster.data_was_lost = true;
            cluster.broker.loses_data(now);
        }
        15 if plan.loses_data => cluster.broker.remembers(),
        16 if plan.loses_data => {
            cluster.data_was_lost = true;
            cluster.broker.rolls_back(now);
        }
        17..=19 => cluster.renounces(index, &pairs[pick % 3]),
        20 => cluster.connects(index, &names[pick % 2]),
        21 => cluster.disconnects(index, &names[pick % 2]),
        22 => cluster.stops(index),
        23 => cluster.dies(index),
        24 if cluster.nodes[index].process == Process::Gone => cluster.restarts(index),
        25 if cluster.nodes[index].serves() => {
            // Longer than the lease and the time until the others take it for dead, and back.
            seen.hangs_beyond_the_lease += 1;
            cluster.hangs(index, true);
            cluster.passes(LEASE + Duration::from_millis(time));
            cluster.hangs(index, false);
        }
        26 if plan.has_impostor && pick < 3 => {
            let name = cluster.nodes[index].name.to_string();
            cluster.adds(&name, |_| {});
        }
        _ => cluster.wants(index, &pairs[pick % 3]),
    }
    let time = if what.is_multiple_of(7) { time * 4 } else { time / 4 };
    cluster.passes(Duration::from_millis(time));
}

fn ends_faults(cluster: &mut Cluster, count: usize) {
    let now = cluster.now;
    cluster.broker.faults = Faults::none();
    cluster.broker.starts(now);
    // Of processes with one name, one goes on: whichever.
    while cluster.nodes.len() > count {
        let of_two = |index: &usize| {
            let name = &cluster.nodes[*index].name;
            cluster.nodes.iter().filter(|node| node.name == *name).count() > 1
        };
        let twins: Vec<usize> = (0..cluster.nodes.len()).filter(of_two).collect();
        let pick = (cluster.random() % twins.len() as u64) as usize;
        cluster.kills(twins[pick]);
    }
    for index in 0..cluster.nodes.len() {
        let client = cluster.nodes[index].client;
        cluster.broker.rejoins(client, now);
        cluster.hangs(index, false);
        if cluster.nodes[index].process != Process::Runs {
            cluster.restarts(index);
        }
    }
}

fn converged(cluster: &Cluster) {
    let nodes = &cluster.nodes;
    for node in nodes {
        let wishes = &node.wishes;
        let report = node.arbiter.report(node.clock.shows(cluster.now));
        assert!(report.lease.is_some(), "{}: {report:?}", node.name);
        let alive = report.members.iter().filter(|member| member.alive).count();
        assert_eq!(alive, nodes.len() - 1, "{}", node.name);
        assert_eq!(report.claims, wishes.granted.len(), "{}", node.name);
        assert!(wishes.granted.is_subset(&wishes.wants), "{}", node.name);
        for pair in &wishes.wants {
            let holders: Vec<_> = nodes.iter().filter(|node| node.wishes.granted.contains(pair)).collect();
            assert_eq!(holders.len(), 1, "holders of {pair}");
            let is_reached =
                holders[0].name == node.name || wishes.relays.get(pair) == Some(&holders[0].name);
            assert!(is_reached, "{}: {pair} goes to {:?}", node.name, wishes.relays.get(pair));
        }
        for (name, is_seated) in &wishes.components {
            assert!(is_seated, "{}: {name} has no seat", node.name);
            for other in nodes.iter().filter(|other| other.name != node.name) {
                let known = other.wishes.elsewhere.get(name);
                assert_eq!(known, Some(&node.name), "{}: where is {name}?", other.name);
            }
        }
        for (name, at) in &wishes.elsewhere {
            let is_there =
                nodes.iter().any(|other| other.name == *at && other.wishes.components.contains_key(name));
            assert!(is_there, "{}: {name} is not at {at}", node.name);
        }
    }
}

/// A few seconds.
const SCHEDULES: u64 = 1000;
