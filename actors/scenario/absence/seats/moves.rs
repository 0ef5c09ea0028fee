//! Random moves of a component between nodes that all have stanzas for it, each determined by a seed.

use super::{world::World, *};
use crate::scenario::schedules::Random;

/// A component that moves between nodes at random. A component at each node sends to it.
struct Moving {
    world: World,
    senders: Vec<Client>,
    /// What each has sent.
    sent: Vec<usize>,
    /// What it got at any node, in order.
    got: mpsc::Receiver<usize>,
    getting: mpsc::Sender<usize>,
    /// Sends whether it closes its stream: the component leaves.
    here: Option<oneshot::Sender<bool>>,
}

impl Moving {
    async fn start(nodes: usize, absence: &Absence, seed: u64) -> Self {
        let sender = |node: usize| format!("sender{node}.example");
        let mut names = vec![(domain(BOT), Conflict::Refuse, absence.clone())];
        names.extend((0..nodes).map(|node| (domain(&sender(node)), Conflict::Refuse, ABSENCE)));
        let world = World::of(nodes, &names, seed);
        let mut senders = Vec::new();
        for (node, house) in world.houses.iter().enumerate() {
            senders.push(house.connect(&sender(node), WIDE).await);
        }
        let (getting, got) = mpsc::channel(1_000_000);
        Self { world, sent: vec![0; nodes], senders, got, getting, here: None }
    }

    async fn sends(&mut self, node: usize, count: usize) {
        let first = node * EACH + self.sent[node];
        self.sent[node] += count;
        self.senders[node].sends(BOT, first..first + count).await;
    }

    /// The component leaves, if it is connected. `closes`: it closes its stream, and reads to the end.
    fn leaves(&mut self, closes: bool) {
        if let Some(leaving) = self.here.take() {
            // It may be connecting still.
            let _ = leaving.send(closes);
        }
    }

    /// The component connects to a node, which its last connection may not have left. It reads so many bytes at a time.
    async fn comes_to(&mut self, node: usize, pipe: usize) {
        let mut bot = self.world.houses[node].connect(BOT, pipe).await;
        let (leaving, mut left) = oneshot::channel();
        let getting = self.getting.clone();
        self.here = Some(leaving);
        actix_rt::spawn(async move {
            let get = |stanza: &str| {
                if stanza.starts_with("<message") {
                    getting.try_send(number(stanza)).unwrap();
                }
            };
            loop {
                tokio::select! {
                    biased;
                    stanza = bot.next() => match stanza {
                        Some(stanza) => get(&stanza),
                        None => return,
                    },
                    closes = &mut left => {
                        if closes.unwrap_or(true) {
                            // It may read more than that before the closing tag of the node.
                            let _ = bot.socket.write_all(FOOTER.as_bytes()).await;
                            while let Some(stanza) = bot.next().await {
                                get(&stanza);
                            }
                        }
                        return;
                    }
                }
            }
        });
    }

    /// What the component has got from the sender at each node.
    fn got(&mut self) -> Vec<Vec<usize>> {
        let mut of_each = vec![Vec::new(); self.senders.len()];
        while let Ok(number) = self.got.try_recv() {
            of_each[number / EACH].push(number % EACH);
        }
        of_each
    }

    async fn has_settled(&self) {
        for house in &self.world.houses {
            let account = house.has_settled().await;
            for outcome in [Outcome::Answered, Outcome::Expired, Outcome::Dropped] {
                assert_eq!(account.settled(outcome).stanzas, 0, "{account:?}");
            }
            assert_eq!(account.repeated().stanzas, 0);
        }
    }

    async fn moves_at_random(&mut self, random: &mut Random, closes: bool) {
        let nodes = self.senders.len();
        for _ in 0..80 {
            match random.below(8) {
                0 | 1 => {
                    self.leaves(closes);
                    // A narrow connection takes a part of what is sent only.
                    let pipe = [512, WIDE][random.below(2)];
                    self.comes_to(random.below(nodes), pipe).await;
                }
                2 => self.leaves(closes),
                3 => tokio::time::sleep(Duration::from_millis(random.below(60) as u64)).await,
                4 => tokio::time::sleep(Duration::from_micros(random.below(5_000) as u64)).await,
                _ => {
                    let most = if random.below(10) == 0 { 300 } else { 6 };
                    let count = 1 + random.below(most);
                    self.sends(random.below(nodes), count).await;
                }
            }
        }
        self.leaves(closes);
        self.comes_to(random.below(nodes), WIDE).await;
        passes(30).await;
    }
}

#[actix::test]
async fn a_component_that_moves_at_random_gets_everything_of_each_node_once_and_in_order() {
    tokio::time::pause();
    for seed in seeds() {
        let mut random = Random(seed * 7919);
        let mut moving = Moving::start(2 + random.below(2), &ABSENCE, seed).await;
        moving.moves_at_random(&mut random, true).await;
        for (node, got) in moving.got().into_iter().enumerate() {
            assert_eq!(got, (0..moving.sent[node]).collect::<Vec<_>>(), "seed {seed}, node {node}");
        }
        moving.has_settled().await;
    }
}

/// What a connection has that is cut is lost, as on one node.
#[actix::test]
async fn a_component_whose_connections_are_cut_gets_the_rest_once_and_in_order() {
    tokio::time::pause();
    for seed in seeds() {
        let mut random = Random(seed * 104_729);
        let mut moving = Moving::start(2 + random.below(2), &ABSENCE, seed).await;
        moving.moves_at_random(&mut random, false).await;
        for (node, got) in moving.got().into_iter().enumerate() {
            assert!(got.is_sorted_by(|one, next| one < next), "seed {seed}, node {node}: {got:?}");
        }
        moving.has_settled().await;
    }
}

/// `NUNCIO_SCHEDULES=1000` runs more of them, `NUNCIO_SEED=7` a single one.
fn seeds() -> std::ops::RangeInclusive<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    match number("NUNCIO_SEED") {
        Some(seed) => seed..=seed,
        None => 1..=number("NUNCIO_SCHEDULES").unwrap_or(SCHEDULES),
    }
}

/// They take a few seconds in a debug build.
const SCHEDULES: u64 = 10;

/// The numbers of each sender.
const EACH: usize = 1_000_000;
