//! A sender and a receiver with acks over connections that are lost: cut at any byte, resumed, forgotten,
//! refused with and without a count.
//!
//! After every step each stanza is in exactly one place: not sent, unacknowledged at the sender, or
//! acknowledged; what is acknowledged was accepted by the receiver; and the receiver has accepted a prefix of
//! all stanzas, in order, without a gap. None is accepted twice unless its fate was unknown.
mod receiver;
mod sender;

use receiver::Receiver;
use sender::Sender;

/// A driver for each side, and what the steps of a run have led to.
#[derive(Default)]
struct World {
    sender: Sender,
    receiver: Receiver,
    seen: Seen,
}

/// Events of a run, so that a test can see that they happen.
#[derive(Debug, Default)]
struct Seen {
    steps: usize,
    cuts: usize,
    resumed: usize,
    counted: usize,
    /// The receiver has forgotten the stream.
    unknown: usize,
    /// The connection was lost before the receiver gave an id.
    nameless: usize,
    closed: usize,
    repeated: usize,
}

impl Seen {
    fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.cuts += other.cuts;
        self.resumed += other.resumed;
        self.counted += other.counted;
        self.unknown += other.unknown;
        self.nameless += other.nameless;
        self.closed += other.closed;
        self.repeated += other.repeated;
    }
}

/// Numbers that are the same for the same seed.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `limit`.
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    /// The length of a read: a few bytes, or most of a negotiation.
    fn bytes(&mut self) -> usize {
        if self.is_one_in(3) { self.below(40) } else { self.below(1500) }
    }

    fn is_one_in(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }
}

impl World {
    /// Takes one step of a run. `forgets`: the receiver may lose its memory.
    fn step(&mut self, random: &mut Random, forgets: bool) {
        self.seen.steps += 1;
        match random.below(100) {
            0..20 => self.sender.produce(random.below(4)),
            20..40 => {
                self.sender.send(random.below(5));
            }
            40..50 => self.sender.ask(),
            50..66 => {
                self.carry_right(random.bytes());
            }
            66..78 => {
                self.carry_left(random.bytes());
            }
            78..88 => self.receiver.handle(random.below(6)),
            88..90 => self.receiver.answer(random.is_one_in(2)),
            90..94 => self.cut(random.is_one_in(2)),
            94 if random.is_one_in(2) => self.sender.close(),
            94 => self.receiver.close(),
            95 if forgets => {
                self.receiver.forget();
                self.cut(false);
            }
            96 => self.receiver.expire(),
            _ => self.connect(random),
        }
        self.check();
    }

    /// Opens a connection if there is none. In most cases the negotiation takes place at once.
    fn connect(&mut self, random: &mut Random) {
        if self.sender.is_connected() {
            return;
        }
        self.sender.connect();
        self.receiver.connect(self.sender.asks());
        for _ in 0..random.below(8) {
            self.carry_right(usize::MAX);
            self.receiver.answer(random.is_one_in(2));
            self.carry_left(usize::MAX);
        }
    }

    /// Carries at most so many bytes. Gives how many there were.
    fn carry_right(&mut self, most: usize) -> usize {
        let bytes = self.sender.take_bytes(most);
        self.receiver.receive(&bytes);
        bytes.len()
    }

    /// The same in the other direction.
    fn carry_left(&mut self, most: usize) -> usize {
        let bytes = self.receiver.take_bytes(most);
        self.sender.receive(&bytes, &mut self.seen);
        if self.sender.is_over() {
            self.seen.closed += 1;
            self.sender.forget_connection(true, &mut self.seen);
            self.receiver.lose(false, Vec::new());
        }
        bytes.len()
    }

    /// Loses the connection, and the bytes on it. `half_open`: the receiver does not notice.
    fn cut(&mut self, half_open: bool) {
        if !self.sender.is_connected() {
            return;
        }
        self.seen.cuts += 1;
        let on_the_way = self.sender.take_bytes(usize::MAX);
        self.sender.forget_connection(false, &mut self.seen);
        self.receiver.lose(half_open, on_the_way);
    }

    /// Carries and handles everything, until all stanzas are acknowledged.
    fn come_to_rest(&mut self) {
        for _ in 0..1000 {
            if self.sender.is_done() {
                break;
            }
            self.connect(&mut Random::new(0));
            self.sender.send(usize::MAX);
            self.sender.ask();
            self.carry_right(usize::MAX);
            self.receiver.answer(true);
            self.receiver.handle(usize::MAX);
            self.carry_left(usize::MAX);
            self.check();
        }
        assert!(self.sender.is_done(), "{:?}", self.sender);
        assert_eq!(self.receiver.accepted(), self.sender.produced(), "all arrived");
        self.seen.repeated = self.receiver.repeated();
    }

    fn check(&mut self) {
        let acknowledged = self.sender.check();
        let accepted = self.receiver.check(self.sender.uncertain());
        assert!(acknowledged <= accepted, "{acknowledged} acknowledged, {accepted} accepted");
    }
}

/// Runs a world for each seed, so many steps each.
fn run(seeds: std::ops::Range<u64>, steps: usize, forgets: bool) -> Seen {
    let mut seen = Seen::default();
    for seed in seeds {
        // Shown if the test fails.
        eprintln!("seed {seed}");
        let mut random = Random::new(seed);
        let mut world = World::default();
        for _ in 0..steps {
            world.step(&mut random, forgets);
        }
        world.come_to_rest();
        seen.add(&world.seen);
    }
    eprintln!("{seen:?}");
    seen
}

/// Worlds of 250 steps: `NUNCIO_WORLDS=40000` makes ten million steps.
fn worlds() -> u64 {
    std::env::var("NUNCIO_WORLDS").ok().and_then(|count| count.parse().ok()).unwrap_or(300)
}

// H3, H4, H7, H15, H16, H18, H20
#[test]
fn nothing_is_lost_and_nothing_comes_twice_if_the_receiver_remembers() {
    let seen = run(0..worlds(), 250, false);
    assert!(seen.cuts > 300 && seen.resumed > 100 && seen.counted > 100 && seen.closed > 100, "{seen:?}");
    assert!(seen.unknown == 0 && (seen.repeated == 0 || seen.nameless > 0), "{seen:?}");
}

// H6
#[test]
fn nothing_is_lost_if_the_receiver_forgets() {
    let seen = run(1 << 32..(1 << 32) + worlds(), 250, true);
    assert!(seen.unknown > 100 && seen.repeated > 100, "{seen:?}");
}

/// A fixed conversation that is cut behind each of its bytes in turn.
#[test]
fn a_cut_at_any_byte_loses_nothing_and_repeats_nothing() {
    let mut cut_at = 0;
    while converses(usize::MAX, Some(cut_at)) {
        cut_at += 1;
    }
    assert!(cut_at > 1000, "the conversation has {cut_at} bytes");
}

#[test]
fn the_split_of_the_bytes_makes_no_difference() {
    for most in [1, 2, 3, 7, 127, usize::MAX] {
        assert!(!converses(most, None));
    }
}

/// Sends ten stanzas with a request behind each second one, in reads of at most `most` bytes, and loses the
/// connection behind a byte. Gives whether the conversation had so many bytes.
fn converses(most: usize, cut_at: Option<usize>) -> bool {
    let mut world = World::default();
    let mut left = cut_at.unwrap_or(usize::MAX);
    world.sender.produce(10);
    world.sender.connect();
    world.receiver.connect(false);
    loop {
        while world.sender.send(2) > 0 {
            world.sender.ask();
        }
        let before = left;
        left -= world.carry_right(most.min(left));
        left -= world.carry_left(most.min(left));
        world.receiver.answer(true);
        world.receiver.handle(1);
        world.check();
        if left == 0 {
            let is_certain = world.sender.is_certain();
            // All four ways, in turn.
            world.cut(cut_at.is_some_and(|at| at % 2 == 0));
            if cut_at.is_some_and(|at| at % 4 < 2) {
                world.receiver.expire();
            }
            world.come_to_rest();
            assert!(!is_certain || world.receiver.repeated() == 0, "cut behind byte {cut_at:?}");
            return true;
        }
        if left == before && !world.receiver.has_offered() {
            world.come_to_rest();
            assert_eq!((world.receiver.repeated(), world.seen.cuts), (0, 0));
            return false;
        }
    }
}
