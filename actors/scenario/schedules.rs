//! Everything at once, in an order that a seed decides.

use super::*;

/// Arrivals of every kind, failures of every kind, recoveries, cuts, remotes that dawdle, an operator's hand, narrow
/// bounds, time, and now and then a stop.
#[actix::test]
async fn any_schedule_of_failures_adds_up() {
    tokio::time::pause();
    let schedules = std::env::var("NUNCIO_SCHEDULES").ok().and_then(|count| count.parse().ok());
    for seed in 1..=schedules.unwrap_or(SCHEDULES) {
        let mut random = Random(seed);
        let pipe = if random.below(2) == 0 { 700 } else { 64 * 1024 };
        let bounds = if random.below(2) == 0 { bounds() } else { narrow_bounds() };
        let mut node = Node::start_within(pipe, bounds).await;
        for _ in 0..80 {
            takes_its_course(&mut node, &mut random).await;
        }
        let outcomes = if random.below(3) == 0 {
            node.stops().await
        } else {
            node.remotes_are(true);
            node.outcomes().await
        };
        outcomes.adds_up();
    }
}

async fn takes_its_course(node: &mut Node, random: &mut Random) {
    let remote = ["b.example", "c.example", "d.example"][random.below(3)];
    let moment = Duration::from_millis(random.below(100) as u64);
    let while_ = Duration::from_secs(random.below(20) as u64);
    match random.below(15) {
        0 => node.remotes_are(false),
        1 | 2 => node.remotes_are(true),
        3 => node.remotes_can_be_reached(Reach::Nowhere),
        4 => node.cuts_every_link(),
        5 => node.shows_life(remote),
        6 => tokio::time::sleep(while_).await,
        7 => tokio::time::sleep(moment).await,
        8 if random.below(4) == 0 => tokio::time::sleep(Duration::from_secs(200)).await,
        9 => drop(node.closes(remote).await),
        10 => node.remotes_dawdle(Reading::Slow, while_).await,
        11 => node.remotes_dawdle(Reading::Deaf, while_).await,
        _ => {
            let kinds: Vec<Kind> =
                (0..=random.below(60)).map(|_| Kind::ALL[random.below(Kind::ALL.len())]).collect();
            node.sends_all(remote, &kinds).await;
        }
    }
}

/// So that queues overflow and give up what they hold.
fn narrow_bounds() -> settings::Promise {
    settings::Promise { max_stanzas: 30, max_bytes: 8 << 10, total_bytes: 24 << 10, ..bounds() }
}

/// xorshift64: schedules that come again with their seed.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17) ^ (self.0 >> 3) ^ 0x5bd1;
        (self.0 >> 20) as usize % end
    }
}

/// A few seconds' worth; more with `NUNCIO_SCHEDULES`.
const SCHEDULES: u64 = 8;
