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
        // The other node keeps what it has however long it settles nothing.
        cluster.node.slow_time += Duration::from_secs(86_400);
        for _ in 0..80 {
            one_step(&mut cluster, &mut random).await;
        }
        let outcomes = if random.below(3) == 0 {
            cluster.node.stops().await
        } else {
            cluster.node.remotes_are_up(true);
            cluster.rules(Rule::Granted);
            cluster.b.settles(true);
            cluster.node.outcomes().await
        };
        outcomes.check();
    }
}

async fn one_step(cluster: &mut Cluster, random: &mut Random) {
    match random.below(24) {
        0 | 1 => cluster.rules(Rule::Granted),
        2..=4 => cluster.rules(Rule::HeldBy(ferry("b", &cluster.b))),
        5 => cluster.rules(Rule::Unknown),
        6 => cluster.rules(Rule::Silence),
        7 => cluster.b.settles(false),
        8 | 9 => cluster.b.settles(true),
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
