//! Random schedules of connections of a component, each determined by a seed.

use super::{super::schedules::Random, *};

/// A component that connects, is cut off, closes its stream, is replaced by another connection, reads slowly or not at
/// all, with wide and narrow bounds, and sometimes a stop of the node.
#[actix::test]
async fn every_message_has_one_outcome_in_order_in_any_schedule_of_connections() {
    tokio::time::pause();
    let schedules = std::env::var("NUNCIO_SCHEDULES").ok().and_then(|count| count.parse().ok());
    for seed in 1..=schedules.unwrap_or(SCHEDULES) {
        let mut random = Random(seed);
        let absence = if random.below(2) == 0 {
            ABSENCE
        } else {
            Absence { max_stanzas: 400, max_bytes: 30_000, ..ABSENCE }
        };
        let house = House::on_paused_time(Conflict::Replace, absence);
        let mut schedule = Schedule::new(seed, house).await;
        schedule.random_steps(&mut random).await;
        schedule.ends(random.below(3) == 0).await;
    }
}

pub(super) struct Schedule {
    seed: u64,
    house: House,
    sender: Client,
    bot: Option<(Client, usize)>,
    sent: usize,
    received: Vec<usize>,
    /// Stanzas that may have been in pipes of connections that were cut off, at most.
    in_lost_pipes: usize,
}

impl Schedule {
    pub(super) async fn new(seed: u64, house: House) -> Self {
        let sender = house.connect(OURS, WIDE).await;
        Self { seed, sender, bot: None, sent: 0, received: Vec::new(), in_lost_pipes: 0, house }
    }

    pub(super) async fn random_steps(&mut self, random: &mut Random) {
        for _ in 0..80 {
            self.one_random_step(random).await;
        }
    }

    async fn one_random_step(&mut self, random: &mut Random) {
        match random.below(16) {
            0..=2 => {
                let pipe = [64, 700, 4096, WIDE][random.below(4)];
                self.connects(pipe).await;
            }
            3 => self.is_cut_off(),
            4 => {
                if let Some((bot, _)) = self.bot.take() {
                    self.received.extend(bot.closes().await);
                }
            }
            5..=7 => self.reads(random.below(300)).await,
            8 => passes(random.below(20) as u64).await,
            9 if random.below(4) == 0 => passes(400).await,
            10 => tokio::time::sleep(Duration::from_millis(random.below(100) as u64)).await,
            11 => self.house.adopts(&self.house.names),
            12 if random.below(3) == 0 => self.sends(3000).await,
            _ => self.sends(random.below(60)).await,
        }
        self.house.balances().await;
    }

    async fn sends(&mut self, count: usize) {
        self.sender.sends(BOT, self.sent..self.sent + count).await;
        self.sent += count;
    }

    /// Another connection replaces the one that is there, which reads its rest.
    async fn connects(&mut self, pipe: usize) {
        let next = self.house.connect(BOT, pipe).await;
        if let Some((mut old, _)) = self.bot.take() {
            while let Some(stanza) = old.next().await {
                if stanza.contains("<n>") {
                    self.received.push(number(&stanza));
                }
            }
        }
        self.bot = Some((next, pipe));
    }

    fn is_cut_off(&mut self) {
        if let Some((_, pipe)) = self.bot.take() {
            self.in_lost_pipes += if pipe == WIDE { self.sent } else { pipe / SHORTEST };
        }
    }

    async fn reads(&mut self, most: usize) {
        let Some((bot, _)) = &mut self.bot else { return };
        for _ in 0..most {
            match tokio::time::timeout(Duration::from_millis(20), bot.next()).await {
                Ok(Some(stanza)) if stanza.contains("<n>") => self.received.push(number(&stanza)),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// The last connection gets what waits, or the node stops; then every message has one outcome.
    pub(super) async fn ends(mut self, stops: bool) {
        if stops {
            let (token, _answered) = drain::tokens();
            self.house.core.mailroom.signal(mailroom::Drain { token }).unwrap();
            self.is_cut_off();
        } else {
            self.connects(WIDE).await;
            if let Some((bot, _)) = &mut self.bot {
                self.received.extend(bot.receives_some().await);
            }
        }
        passes(400).await;
        let account = self.house.has_settled().await;
        let mut answered = Vec::new();
        while let Ok(Some(stanza)) = tokio::time::timeout(Duration::from_secs(1), self.sender.next()).await {
            answered.push(number(&stanza));
        }
        let seed = self.seed;
        assert!(
            self.received.is_sorted_by(|one, next| one < next),
            "seed {seed}: out of order or twice: {:?}",
            self.received
        );
        assert_eq!(account.taken().stanzas as usize, self.sent, "seed {seed}");
        let of = |outcome| account.settled(outcome).stanzas as usize;
        assert_eq!(of(Outcome::Answered) + of(Outcome::Expired), answered.len(), "seed {seed}: {account:?}");
        // Some of the uncertain ones have arrived.
        let uncertain = of(Outcome::Uncertain);
        let lost = of(Outcome::Written) + uncertain - self.received.len();
        assert!(lost <= self.in_lost_pipes + uncertain, "seed {seed}: {lost} lost, {account:?}");
        let mut outcomes = [self.received, answered].concat();
        outcomes.sort_unstable();
        assert!(outcomes.is_sorted_by(|one, next| one < next), "seed {seed}: two outcomes for one message");
    }
}

/// Bytes of the shortest message.
const SHORTEST: usize = 70;

/// The number of schedules, which take a few seconds. `NUNCIO_SCHEDULES` sets another.
const SCHEDULES: u64 = 5;
