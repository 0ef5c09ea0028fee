//! The entries of the resumer against a model: random losses, claims, second losses and yields. A count that is given is
//! always the true one, and no stream takes stanzas under an id that another one holds.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    time::Instant,
};

use xmpp::{Domain, DomainPair, policy::Mechanism};

use super::{
    entries::{COUNTED_FOR, Decision},
    *,
};
use crate::streams::{accepted::Peer, incoming::Incoming};
use mailbox::{Mailbox, Meter};

/// The true state of one stream.
#[derive(Default)]
struct Truth {
    handled: u32,
    /// The connection that takes stanzas.
    holder: Option<u16>,
    /// The answers that are under way to connections: whether each resumes.
    answered: HashMap<u16, bool>,
    /// The claims that wait, by their numbers.
    waiting: HashMap<u64, u16>,
    /// Connections that claim and are not answered.
    claimants: HashSet<u16>,
    is_asked: bool,
    is_forgotten: bool,
}

struct Model {
    entries: Entries,
    stream: Mailbox<Incoming>,
    truths: Vec<Truth>,
    connections: u16,
    claims: u64,
    now: Instant,
    random: u64,
}

impl Model {
    fn new(seed: u64) -> Self {
        let meter = Meter::new("incoming", 1, None);
        Self {
            entries: Entries::new(usize::MAX),
            stream: mailbox::open(&meter, "incoming").0,
            truths: Vec::new(),
            connections: 0,
            claims: 0,
            now: clock::now(),
            random: seed.wrapping_mul(2).wrapping_add(1),
        }
    }

    /// A number below `bound`.
    fn draw(&mut self, bound: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) % bound
    }

    fn connect(&mut self) -> u16 {
        self.connections += 1;
        self.connections
    }

    fn step(&mut self) {
        if self.truths.len() < 3 {
            return self.enrol();
        }
        let stream = self.draw(3) as usize;
        match self.draw(9) {
            0..3 => self.takes(stream),
            3 => self.parts(stream),
            4 | 5 => self.claims(stream),
            6 => self.reads_answer(stream),
            7 => self.loses_claimant(stream),
            _ => self.gives_up(stream),
        }
        if self.draw(500) == 0 {
            self.forgets(stream);
        }
        if self.truths.iter().all(|truth| truth.is_forgotten) {
            self.truths.clear();
        }
    }

    fn enrol(&mut self) {
        let holder = self.connect();
        let id = id(self.truths.len());
        self.truths.push(Truth { holder: Some(holder), ..Truth::default() });
        self.entries.enrol(Enrol { id, holder: caller(holder), stream: self.stream.outlet() });
    }

    fn takes(&mut self, stream: usize) {
        let stanzas = self.draw(5) as u32;
        let truth = &mut self.truths[stream];
        if truth.holder.is_some() {
            truth.handled = truth.handled.wrapping_add(stanzas);
        }
    }

    /// The holder has lost its connection, or yields.
    fn parts(&mut self, stream: usize) {
        let truth = &mut self.truths[stream];
        if let Some(holder) = truth.holder.take() {
            truth.is_asked = false;
            let state = Parted {
                identity: identity(),
                handled: truth.handled,
                resumable_for: Some(Duration::from_secs(120)),
            };
            let answer = self.entries.part(id(stream), caller(holder), state, self.now);
            self.sees(stream, answer);
        }
    }

    /// A panic of the holder.
    fn forgets(&mut self, stream: usize) {
        let truth = &mut self.truths[stream];
        if let Some(holder) = truth.holder.take() {
            truth.is_forgotten = true;
            let answer = self.entries.forget(&id(stream), caller(holder));
            self.sees(stream, answer);
        }
    }

    fn claims(&mut self, stream: usize) {
        let claimant = self.connect();
        self.claims += 1;
        let claim = Claim {
            id: id(stream),
            claimant: caller(claimant),
            identity: identity(),
            stream: self.stream.outlet(),
            answer: self.stream.outlet(),
        };
        self.truths[stream].claimants.insert(claimant);
        match self.entries.claim(claim, self.claims, self.now) {
            Decision::Answer(answer) => self.sees(stream, Some(answer)),
            Decision::Ask { replaced, .. } => {
                let truth = &mut self.truths[stream];
                truth.waiting.insert(self.claims, claimant);
                truth.is_asked = true;
                self.sees(stream, replaced);
            }
        }
    }

    /// An answer is under way.
    fn sees(&mut self, stream: usize, answer: Option<Answer>) {
        let Some(Answer { claim, outcome }) = answer else { return };
        let truth = &mut self.truths[stream];
        let Peer::Tcp(claimant) = claim.claimant.peer else { panic!("an address") };
        let claimant = claimant.port();
        assert!(truth.claimants.remove(&claimant), "a claim is answered once");
        let is_resumed = match outcome {
            Outcome::Resumed { handled, .. } | Outcome::Counted { handled } => {
                assert_eq!(truth.holder, None, "a count is final");
                assert!(!truth.answered.values().any(|is_resumed| *is_resumed), "nobody else may go on");
                assert_eq!(handled, truth.handled);
                assert!(!truth.is_forgotten);
                matches!(outcome, Outcome::Resumed { .. })
            }
            Outcome::Overtaken => {
                let later = truth.claimants.iter().any(|other| *other > claimant);
                assert!(later, "another claim waits");
                false
            }
            Outcome::NotYet => false,
            Outcome::Unknown => {
                assert!(truth.is_forgotten, "a peer that gets this forgets the stream");
                false
            }
            Outcome::Refused => panic!("all have the same identity"),
        };
        truth.answered.insert(claimant, is_resumed);
    }

    /// A claiming connection reads its answer.
    fn reads_answer(&mut self, stream: usize) {
        let truth = &mut self.truths[stream];
        let Some(&claimant) = truth.answered.keys().min() else { return };
        if truth.answered.remove(&claimant) == Some(true) {
            assert_eq!(truth.holder, None, "one stream holds the id");
            truth.holder = Some(claimant);
        }
    }

    /// A claiming connection is lost, before or after it is answered.
    fn loses_claimant(&mut self, stream: usize) {
        let truth = &mut self.truths[stream];
        let all = truth.claimants.iter().chain(truth.answered.keys());
        let Some(&claimant) = all.min() else { return };
        truth.claimants.remove(&claimant);
        // A claim that was answered with nothing is over.
        if truth.answered.remove(&claimant) != Some(false) {
            let answer = self.entries.withdraw(id(stream), caller(claimant), self.now);
            self.sees(stream, answer);
        }
    }

    /// The two seconds of the oldest claim are over.
    fn gives_up(&mut self, stream: usize) {
        let Some(number) = self.truths[stream].waiting.keys().min().copied() else { return };
        self.truths[stream].waiting.remove(&number);
        let answer = self.entries.give_up(&id(stream), number);
        self.sees(stream, answer);
    }

    /// Every claim has its answer in the end, and the last count is given.
    fn ends(mut self) {
        for stream in 0..self.truths.len() {
            while !self.truths[stream].waiting.is_empty() {
                self.gives_up(stream);
            }
            assert!(self.truths[stream].claimants.is_empty());
            while !self.truths[stream].answered.is_empty() {
                self.reads_answer(stream);
            }
            self.parts(stream);
            if !self.truths[stream].is_forgotten {
                self.claims(stream);
                let truth = &self.truths[stream];
                assert!(truth.answered.values().any(|is_resumed| *is_resumed), "{}", truth.is_asked);
            }
        }
        self.entries.expire(self.now + 2 * COUNTED_FOR);
    }
}

fn id(stream: usize) -> Arc<str> {
    format!("stream {stream}").into()
}

fn caller(connection: u16) -> Caller {
    let address: SocketAddr = ([127, 0, 0, 1], connection).into();
    Caller { peer: Peer::Tcp(address), socket: 0 }
}

fn identity() -> Identity {
    let domain = |name| Domain::new(name).unwrap();
    let pair = DomainPair { local: domain("a.example"), remote: domain("b.example") };
    Identity::new([(&pair, Mechanism::External)], None)
}

#[actix::test]
async fn every_count_is_the_true_one_whatever_comes_between() {
    for seed in 0..200 {
        let mut model = Model::new(seed);
        for _ in 0..2000 {
            model.step();
        }
        println!("seed {seed}");
        model.ends();
    }
}
