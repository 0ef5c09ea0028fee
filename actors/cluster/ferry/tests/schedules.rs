//! Random schedules of faults, each determined by a seed.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    channel::{Channel, Faults},
    *,
};

#[test]
fn everything_arrives_once_and_in_order_over_any_channel() {
    for seed in seeds() {
        let mut run = Run::new(seed);
        run.works_for(200);
        run.channel_becomes_good();
        run.settles_everything();
        assert_eq!(run.outbound.unsettled(), 0, "seed {seed}");
        assert_eq!(run.outbound.unsettled_bytes(), 0, "seed {seed}");
        assert_eq!(run.returned.len() + run.came_back.len(), run.given.len(), "seed {seed}");
        assert_eq!(run.came_back, run.given_back, "seed {seed}");
        assert_eq!(run.inbound.unsettled(), 0, "seed {seed}");
    }
}

#[test]
fn an_end_gives_back_exactly_what_is_not_settled() {
    for seed in seeds() {
        let mut run = Run::new(seed);
        let steps = run.random.below(150);
        run.works_for(steps);
        let doubtful: BTreeSet<u64> =
            run.unsettled.iter().copied().filter(|number| number % 3 == 0).collect();
        let end = run.inbound.end(|number| doubtful.contains(&number));
        let settled: BTreeSet<u64> = run.settled.iter().copied().collect();
        let ended = run.outbound.end(Some(&over(&end)));
        let returned: BTreeSet<u64> = run.returned.iter().copied().chain(ended.reported.settled).collect();
        assert_eq!(returned, settled, "seed {seed}");
        for GivenBack { custody, stanzas } in ended.reported.returned {
            assert_eq!(run.came_back.insert(custody, stanzas), None, "seed {seed}");
        }
        assert_eq!(run.came_back, run.given_back, "seed {seed}");
        let unsettled: Vec<_> = ended.unsettled.iter().map(|unsettled| unsettled.custody).collect();
        let is_left = |number: &u64| !settled.contains(number) && !run.given_back.contains_key(number);
        let expected: Vec<_> = run.given.iter().copied().filter(is_left).collect();
        assert_eq!(unsettled, expected, "seed {seed}");
        for unsettled in ended.unsettled {
            assert_eq!(unsettled.in_doubt, doubtful.contains(&unsettled.custody), "seed {seed}");
        }
    }
}

#[test]
fn a_lost_node_gives_back_all_that_is_not_known_to_be_settled() {
    for seed in seeds() {
        let mut run = Run::new(seed);
        let steps = run.random.below(150);
        run.works_for(steps);
        let known: BTreeSet<u64> = run.returned.iter().chain(run.came_back.keys()).copied().collect();
        let ended = run.outbound.end(None);
        assert!(ended.reported.settled.is_empty() && ended.reported.returned.is_empty());
        let unsettled: Vec<_> = ended.unsettled.iter().map(|unsettled| unsettled.custody).collect();
        let expected: Vec<_> = run.given.iter().copied().filter(|number| !known.contains(number)).collect();
        assert_eq!(unsettled, expected, "seed {seed}");
        // What the other node has got was sent.
        let without_doubt = ended.unsettled.iter().filter(|unsettled| !unsettled.in_doubt);
        assert!(without_doubt.into_iter().all(|unsettled| unsettled.custody > run.delivered), "seed {seed}");
    }
}

/// Each lost frame costs a bounded number of further ones, in both directions.
#[test]
fn lost_frames_do_not_lead_to_a_flood() {
    for seed in seeds() {
        let mut run = Run::new(seed);
        let faults = Faults { lost: 10, repeated: 0, reordered: 0, delay: Duration::from_millis(3) };
        run.there.set(faults);
        run.back.set(faults);
        run.works_for(200);
        run.channel_becomes_good();
        run.settles_everything();
        let lost = run.there.dropped + run.back.dropped;
        let useful = run.given.len() as u64;
        assert!(
            run.there.sent <= 3 * useful + 8 * lost + 20,
            "seed {seed}: {} frames for {useful} parcels, {lost} lost",
            run.there.sent
        );
        // Each frame there causes at most one report, and so does each settlement.
        assert!(run.back.sent <= 2 * (run.there.sent + useful) + 20, "seed {seed}: {}", run.back.sent);
    }
}

/// While no frame arrives at all, the sender repeats at most one in each time-out.
#[test]
fn a_dead_channel_gets_a_frame_in_five_seconds() {
    let mut run = Run::new(1);
    run.there.set(Faults { lost: 100, repeated: 0, reordered: 0, delay: Duration::ZERO });
    for _ in 0..500 {
        run.gives_a_parcel();
    }
    run.exchanges();
    let at_once = run.there.sent;
    let start = run.now;
    while run.now < start + Duration::from_secs(600) {
        run.advances();
    }
    let repeated = run.there.sent - at_once;
    assert!((100..=130).contains(&repeated), "{repeated}");
}

/// A session in the hands of a random generator.
struct Run {
    seed: u64,
    random: Random,
    now: Instant,
    outbound: Outbound<u64>,
    inbound: Inbound,
    there: Channel,
    back: Channel,
    window: usize,
    /// Numbers that the sender took.
    given: Vec<u64>,
    /// The number that was delivered last.
    delivered: u64,
    /// Delivered, not settled.
    unsettled: Vec<u64>,
    settled: Vec<u64>,
    /// What came back as settled.
    returned: Vec<u64>,
    /// Given back, with the stanzas if it is a part.
    given_back: BTreeMap<u64, Option<Ranges>>,
    /// What came back so.
    came_back: BTreeMap<u64, Option<Ranges>>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        #[expect(clippy::disallowed_methods, reason = "the machines get the time; any will do")]
        let now = Instant::now();
        let window = [2_000, 20_000, 1 << 20][random.below(3) as usize];
        // Sometimes less than the window, so that the receiver becomes full.
        let limit = [1_500, 10_000, 1 << 20][random.below(3) as usize];
        let (outbound, inbound) = ends(window, limit, now);
        let faults = Faults {
            lost: random.below(40),
            repeated: random.below(40),
            reordered: random.below(60),
            delay: Duration::from_micros(random.below(60_000)),
        };
        Self {
            seed,
            random,
            now,
            outbound,
            inbound,
            there: Channel::new(faults),
            back: Channel::new(faults),
            window,
            given: Vec::new(),
            delivered: 0,
            unsettled: Vec::new(),
            settled: Vec::new(),
            returned: Vec::new(),
            given_back: BTreeMap::new(),
            came_back: BTreeMap::new(),
        }
    }

    fn works_for(&mut self, steps: u64) {
        for _ in 0..steps {
            match self.random.below(8) {
                0..=2 if self.outbound.has_room() => {
                    for _ in 0..=self.random.below(6) {
                        self.gives_a_parcel();
                    }
                }
                3 | 4 => self.settles_one(),
                5 => self.now += Duration::from_micros(self.random.below(10_000)),
                6 if self.random.percent(10) => {
                    self.now += Duration::from_secs(self.random.below(20));
                    self.outbound.reconnected(self.now);
                }
                _ => self.advances(),
            }
            self.exchanges();
        }
    }

    fn gives_a_parcel(&mut self) {
        let number = self.given.len() as u64 + 1;
        let length = if self.random.percent(3) { 100_000 } else { self.random.below(1_000) as usize };
        let parcel = parcel(number, length);
        let bytes = parcel.bytes();
        assert_eq!(self.outbound.send(parcel, bytes, number, self.now), number);
        self.given.push(number);
        assert_eq!(self.outbound.has_room(), self.outbound.unsettled_bytes() < self.window);
    }

    fn settles_one(&mut self) {
        if !self.unsettled.is_empty() {
            let index = self.random.below(self.unsettled.len() as u64) as usize;
            let number = self.unsettled.swap_remove(index);
            if self.random.percent(30) {
                let part = self.random.percent(50).then(|| [(0, self.random.below(9))].into_iter().collect());
                self.given_back.insert(number, part.clone());
                self.inbound.give_back(number, part, self.now);
            } else {
                self.settled.push(number);
                self.inbound.settle(number, self.now);
            }
            // Once more has no effect.
            self.inbound.settle(number, self.now);
            self.inbound.give_back(number, None, self.now);
        }
    }

    /// Lets the time pass until something may happen.
    fn advances(&mut self) {
        let times =
            [self.there.next(), self.back.next(), self.outbound.next_tick(), self.inbound.next_tick()];
        if let Some(next) = times.into_iter().flatten().min() {
            self.now = self.now.max(next);
        }
        self.exchanges();
    }

    /// Brings over what has arrived, and sends what the ends want.
    fn exchanges(&mut self) {
        let (seed, now) = (self.seed, self.now);
        for frame in self.there.arrived(now) {
            let delivered = self.inbound.handle(parcels(&frame), now);
            for (number, parcel) in delivered.unwrap_or_else(|lie| panic!("seed {seed}: {lie}")) {
                assert_eq!(number, self.delivered + 1, "seed {seed}");
                let text = String::from_utf8(parcel.batches[0].stanzas[0].to_vec()).expect("text");
                let text = text.trim_start_matches("<iq>").trim_end_matches("</iq>");
                assert_eq!(text.trim().parse(), Ok(number), "seed {seed}");
                self.delivered = number;
                self.unsettled.push(number);
            }
        }
        for frame in self.back.arrived(now) {
            let returned = self.outbound.handle(&control(&frame), now);
            let returned = returned.unwrap_or_else(|lie| panic!("seed {seed}: {lie}"));
            assert!(returned.settled.is_sorted(), "seed {seed}");
            self.returned.extend(returned.settled);
            for GivenBack { custody, stanzas } in returned.returned {
                assert_eq!(self.came_back.insert(custody, stanzas), None, "seed {seed}");
            }
        }
        while let Some(frame) = self.outbound.poll(now) {
            assert!(frame.len() <= crate::ferry::FRAME || parcels(&frame).parcels.len() == 1, "seed {seed}");
            self.there.send(&frame, &mut self.random, now);
        }
        while let Some(frame) = self.inbound.poll(now) {
            self.back.send(&frame, &mut self.random, now);
        }
    }

    fn channel_becomes_good(&mut self) {
        let faults = Faults { lost: 0, repeated: 0, reordered: 0, delay: Duration::from_micros(300) };
        self.there.set(faults);
        self.back.set(faults);
    }

    /// Until nothing is left to do. What is lost shows within a bound of steps.
    fn settles_everything(&mut self) {
        for _ in 0..20_000 {
            self.settles_one();
            self.exchanges();
            let is_idle = self.outbound.next_tick().is_none() && self.inbound.next_tick().is_none();
            if is_idle && self.outbound.unsettled() == 0 && self.there.next().is_none() {
                return;
            }
            self.advances();
        }
        panic!("seed {}: {} are unsettled, {:?}", self.seed, self.outbound.unsettled(), self.inbound);
    }
}

/// `NUNCIO_SCHEDULES=100000` runs more of them, `NUNCIO_SEED=7` a single one.
fn seeds() -> std::ops::RangeInclusive<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    match number("NUNCIO_SEED") {
        Some(seed) => seed..=seed,
        None => 1..=number("NUNCIO_SCHEDULES").unwrap_or(SCHEDULES),
    }
}

/// They take a few seconds in a debug build.
const SCHEDULES: u64 = 100;
