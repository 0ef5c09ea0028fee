//! Random schedules of failures, each determined by a seed.

use super::{
    remotes::{Acks, Resumption},
    *,
};

/// Stanzas of every kind and of many bytes, failures of every kind, recoveries, cuts, slow remote servers, remote servers that
/// acknowledge stanzas and remember lost streams or not, commands of an operator, narrow bounds, pauses, and
/// sometimes a stop of the node.
#[actix::test]
async fn every_stanza_has_one_outcome_in_any_schedule_of_failures() {
    tokio::time::pause();
    let schedules = std::env::var("NUNCIO_SCHEDULES").ok().and_then(|count| count.parse().ok());
    for seed in 1..=schedules.unwrap_or(SCHEDULES) {
        let mut random = Random(seed);
        let pipe = if random.below(2) == 0 { 700 } else { 64 * 1024 };
        let bounds = if random.below(2) == 0 { bounds() } else { narrow_bounds() };
        let acks = [Acks::No, Acks::Plain, Acks::Resumable, Acks::Refused][random.below(4)];
        let behaviour = Behaviour { acks, ..Behaviour::default() };
        let mut node = Node::start_with(pipe, bounds, behaviour).await;
        for _ in 0..80 {
            one_random_step(&mut node, &mut random).await;
        }
        let outcomes = if random.below(3) == 0 {
            node.stops().await
        } else {
            node.remotes_are_up(true);
            node.outcomes().await
        };
        outcomes.check();
    }
}

pub(super) async fn one_random_step(node: &mut Node, random: &mut Random) {
    let remote = ["b.example", "c.example", "d.example"][random.below(3)];
    let moment = Duration::from_millis(random.below(100) as u64);
    let while_ = Duration::from_secs(random.below(20) as u64);
    match random.below(17) {
        0 => node.remotes_are_up(false),
        1 | 2 => node.remotes_are_up(true),
        3 => node.set_reachability(Reachability::NoSuchDomain),
        4 => node.cuts_every_link(),
        5 => node.remote_authenticates(remote),
        6 => tokio::time::sleep(while_).await,
        7 => tokio::time::sleep(moment).await,
        8 if random.below(4) == 0 => tokio::time::sleep(Duration::from_secs(200)).await,
        9 => drop(node.operator_closes(remote).await),
        10 => node.remotes_read(Reading::Slow, while_).await,
        11 => node.remotes_read(Reading::Stopped, while_).await,
        12 => node.set_resumption(Resumption::ALL[random.below(Resumption::ALL.len())]),
        // More than an outbox takes, sometimes.
        13 => node.sends_long(remote, random.below(200)).await,
        _ => {
            let kinds: Vec<Kind> =
                (0..=random.below(60)).map(|_| Kind::ALL[random.below(Kind::ALL.len())]).collect();
            node.sends_all(remote, &kinds).await;
        }
    }
}

/// With these bounds queues are full and shed stanzas.
fn narrow_bounds() -> settings::Promise {
    settings::Promise { max_stanzas: 30, max_bytes: 8 << 10, total_bytes: 24 << 10, ..bounds() }
}

/// A generator of reproducible pseudo-random numbers.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17) ^ (self.0 >> 3) ^ 0x5bd1;
        (self.0 >> 20) as usize % end
    }
}

/// The number of schedules, which take a few seconds. `NUNCIO_SCHEDULES` sets another.
const SCHEDULES: u64 = 8;
