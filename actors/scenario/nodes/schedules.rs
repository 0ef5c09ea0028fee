//! Random schedules of claims, conflicts and failures of nodes, each determined by a seed.

use super::*;
use crate::scenario::schedules::{Random, one_random_step};

#[actix::test]
async fn every_stanza_has_one_outcome_in_any_schedule_of_claims_and_relays() {
    tokio::time::pause();
    let schedules = std::env::var("NUNCIO_SCHEDULES").ok().and_then(|count| count.parse().ok());
    for seed in 1..=schedules.unwrap_or(SCHEDULES) {
        let mut random = Random(seed.wrapping_mul(0x51_7c_c1));
        let acks = [Acks::No, Acks::Plain, Acks::Resumable][random.below(3)];
        let behaviour = Behaviour { acks, ..Behaviour::default() };
        let mut cluster = Cluster::start_with(behaviour, None).await;
        let mut stall = Stall::default();
        for _ in 0..80 {
            one_step(&mut cluster, &mut random, &mut stall).await;
        }
        let outcomes = if random.below(3) == 0 {
            cluster.node.stops().await
        } else {
            cluster.node.remotes_are_up(true);
            cluster.rules(Rule::Granted);
            cluster.settles(true, &mut stall);
            cluster.node.outcomes().await
        };
        outcomes.check();
    }
}

/// Since when the other node settles nothing. It keeps what it has however long that is.
#[derive(Default)]
struct Stall(Option<Instant>);

impl Cluster {
    /// The other node settles everything from now on, or nothing: what it has is late by that time.
    fn settles(&mut self, is_settling: bool, stall: &mut Stall) {
        self.b.settles(is_settling);
        let begun = if is_settling { stall.0.take() } else { stall.0.replace(clock::now()) };
        self.node.slow_time += begun.map_or(Duration::ZERO, clock::since);
    }
}

async fn one_step(cluster: &mut Cluster, random: &mut Random, stall: &mut Stall) {
    match random.below(24) {
        0 | 1 => cluster.rules(Rule::Granted),
        2..=4 => cluster.rules(Rule::HeldBy(ferry("b", &cluster.b))),
        5 => cluster.rules(Rule::Unknown),
        6 => cluster.rules(Rule::Silence),
        7 => cluster.settles(false, stall),
        8 | 9 => cluster.settles(true, stall),
        10 => cluster.b.settles_first(random.below(5)),
        11 => cluster.b.dies(random.below(3)),
        12 => {
            let last = cluster.noted().into_iter().filter_map(|noted| match noted {
                Noted::Claimed(number) => Some(number),
                _ => None,
            });
            if let Some(number) = last.max() {
                let remote = ["b.example", "c.example", "d.example"][random.below(3)];
                cluster.conflicts(remote, number);
            }
        }
        13 => cluster.b.allows([64 * 1024, 1 << 20][random.below(2)]),
        _ => one_random_step(&mut cluster.node, random).await,
    }
}

/// The number of schedules, which take a few seconds. `NUNCIO_SCHEDULES` sets another.
const SCHEDULES: u64 = 8;
