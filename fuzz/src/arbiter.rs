//! Records at the broker: any bytes are a record or an error, and whatever stands in the tables, an arbiter goes on.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use bytes::Bytes;
use cluster::{
    arbiter::{Arbiter, Config, Output},
    engine::{Answer, Bucket, EngineError, Entry, Event, Op},
    ferry::codec::Versions,
    name::NodeName,
    names::Names,
    record::{ClaimRecord, NodeRecord, Process, key},
};
use xmpp::{Domain, DomainPair};

use crate::fixture::domain;

/// The input is a sequence of acts: a byte that says which, and a line with its value.
pub(crate) fn run(input: &[u8]) {
    check(input);
    let mut scene = Scene::new();
    for act in input.split(|byte| *byte == b'\n').take(ACTS) {
        let Some((act, value)) = act.split_first() else { continue };
        check(value);
        scene.act(*act, value);
    }
}

/// What was read is written as something that is read in the same way.
fn check(value: &[u8]) {
    if let Ok(record) = NodeRecord::decode(value) {
        let again = record.encode();
        // JSON may double the length of a text.
        if again.len() <= LONGEST_RECORD {
            assert_eq!(NodeRecord::decode(&again).expect("its own record"), record);
        }
    }
    if let Ok(record) = ClaimRecord::decode(value) {
        let again = record.encode();
        if again.len() <= LONGEST_RECORD {
            assert_eq!(ClaimRecord::decode(&again).expect("its own record"), record);
        }
        assert_eq!(key(&record.what).len(), 32);
    }
}

fn names(text: &str) -> Names {
    Names::new([text.to_owned()])
}

/// An arbiter, and a broker whose tables the input writes.
struct Scene {
    arbiter: Arbiter,
    now: Instant,
    up: bool,
    revision: u64,
    tables: BTreeMap<(Bucket, String), Entry>,
    last_request: u64,
    /// What was asked and is not answered.
    open: Vec<(u64, Bucket, Op)>,
    granted: BTreeMap<DomainPair, bool>,
}

impl Scene {
    fn new() -> Self {
        let config = Config {
            own: NodeName::new("a").expect("a name"),
            versions: Versions::OWN,
            lease: Duration::from_secs(15),
            secret: "s".into(),
            names: names("n"),
            process: Process {
                host: "host".into(),
                pid: 1,
                place: "here".into(),
                since: "2026-12-01T15:00:00Z".into(),
            },
        };
        #[expect(clippy::disallowed_methods, reason = "the machine gets the time; any will do")]
        let now = Instant::now();
        let mut random = 0;
        let random = move || {
            random += 1;
            random
        };
        let arbiter = Arbiter::new(config, now, random, |process| process.pid % 2 == 0);
        Self {
            arbiter,
            now,
            up: false,
            revision: 0,
            tables: BTreeMap::new(),
            last_request: 0,
            open: Vec::new(),
            granted: BTreeMap::new(),
        }
    }

    fn act(&mut self, act: u8, value: &[u8]) {
        let (first, rest) = (value.first().copied().unwrap_or(0), value.get(1..).unwrap_or_default());
        match act % 16 {
            0 => self.comes_up(first),
            1 => {
                self.up = false;
                // The client answers each open request before it reports the loss.
                for (id, ..) in std::mem::take(&mut self.open) {
                    self.handle(Event::Answered { id, answer: Err(EngineError::Unreachable) });
                }
                self.handle(Event::Down { reason: "a test".into() });
            }
            2..=4 => self.answers(first),
            5 => self.refuses(rest),
            6 => self.passes(Duration::from_millis(u64::from(first) * 100)),
            7 => self.passes(Duration::from_secs(u64::from(first) * 60)),
            // Anybody who can reach the broker writes whatever they want.
            8 => self.writes(Bucket::Nodes, NODES[usize::from(first) % NODES.len()], rest),
            9 => self.writes(Bucket::Seats, &key(component(first).as_str()), rest),
            10 => self.writes(Bucket::Claims, &key(&pair(first).to_string()), rest),
            11 => {
                self.granted.entry(pair(first)).or_insert(false);
                self.arbiter.claim(&pair(first), self.now);
            }
            12 => {
                self.granted.remove(&pair(first));
                self.arbiter.renounce(&pair(first), self.now);
            }
            13 => self.arbiter.seat(&component(first), self.now),
            14 => self.arbiter.unseat(&component(first), self.now),
            _ if first % 8 == 0 => self.arbiter.stop(self.now),
            _ => self.arbiter.reconfigure(format!("s{first}"), names(&format!("n{first}")), self.now),
        }
        self.settles();
    }

    fn comes_up(&mut self, generation: u8) {
        self.up = true;
        if generation % 4 == 3 {
            self.tables.clear();
        }
        let created = generation % 4 == 3;
        self.handle(Event::Up { generation: [u64::from(generation / 4); 3], created });
        for ((bucket, key), entry) in self.tables.clone() {
            if bucket != Bucket::Claims {
                let (revision, value) = (entry.revision, Some(entry.value));
                self.handle(Event::Changed { bucket, key, revision, value });
            }
        }
    }

    /// The oldest requests are answered as the tables say.
    fn answers(&mut self, count: u8) {
        for _ in 0..=count % 8 {
            if self.open.is_empty() || !self.up {
                return;
            }
            let (id, bucket, op) = self.open.remove(0);
            let answer = self.executes(bucket, op);
            self.handle(Event::Answered { id, answer: Ok(answer) });
        }
    }

    fn refuses(&mut self, reason: &[u8]) {
        if let Some((id, ..)) = self.open.pop() {
            let reason = String::from_utf8_lossy(reason).into_owned();
            self.handle(Event::Answered { id, answer: Err(EngineError::Refused(reason)) });
        }
    }

    fn executes(&mut self, bucket: Bucket, op: Op) -> Answer {
        let known = |scene: &Self, key: &String| scene.tables.get(&(bucket, key.clone())).cloned();
        match op {
            Op::Read { key } => Answer::Entry(known(self, &key)),
            Op::List => Answer::Entries(self.of(bucket).collect()),
            Op::Next { after } => Answer::Next(
                self.of(bucket).filter(|(_, entry)| entry.revision > after).min_by_key(|(_, it)| it.revision),
            ),
            Op::Create { key, value } if known(self, &key).is_none() => self.written(bucket, key, value),
            Op::Update { key, value, revision }
                if known(self, &key).is_some_and(|entry| entry.revision == revision) =>
            {
                self.written(bucket, key, value)
            }
            Op::Delete { key, revision }
                if known(self, &key).is_some_and(|entry| entry.revision == revision) =>
            {
                self.revision += 1;
                self.tables.remove(&(bucket, key));
                Answer::Deleted
            }
            Op::Create { .. } | Op::Update { .. } | Op::Delete { .. } => Answer::Conflict,
        }
    }

    fn of(&self, bucket: Bucket) -> impl Iterator<Item = (String, Entry)> + '_ {
        let of_table = self.tables.iter().filter(move |((table, _), _)| *table == bucket);
        of_table.map(|((_, key), entry)| (key.clone(), entry.clone()))
    }

    fn written(&mut self, bucket: Bucket, key: String, value: Bytes) -> Answer {
        self.revision += 1;
        let revision = self.revision;
        self.tables.insert((bucket, key), Entry { revision, value });
        Answer::Written { revision }
    }

    /// Another node, or anybody, writes a record. An empty one is deleted.
    fn writes(&mut self, bucket: Bucket, key: &str, value: &[u8]) {
        let value = (!value.is_empty()).then(|| Bytes::copy_from_slice(value));
        match &value {
            Some(value) => drop(self.written(bucket, key.to_owned(), value.clone())),
            None => {
                self.revision += 1;
                self.tables.remove(&(bucket, key.to_owned()));
            }
        }
        if self.up && bucket != Bucket::Claims {
            let (key, revision) = (key.to_owned(), self.revision);
            self.handle(Event::Changed { bucket, key, revision, value });
        }
    }

    fn handle(&mut self, event: Event) {
        self.arbiter.handle(event, self.now);
        self.settles();
    }

    /// Time passes, from one thing that is due to the next.
    fn passes(&mut self, time: Duration) {
        let end = self.now + time;
        for _ in 0..TICKS {
            let next = self.arbiter.next_tick().max(self.now + Duration::from_millis(1));
            if next > end {
                break;
            }
            self.now = next;
            self.arbiter.tick(self.now);
            self.settles();
        }
        self.now = end;
        self.arbiter.tick(end);
    }

    /// Takes what comes out.
    fn settles(&mut self) {
        let mut outputs = 0;
        while let Some(output) = self.arbiter.poll() {
            outputs += 1;
            assert!(outputs < MOST_OUTPUTS, "there is no end of outputs");
            match output {
                Output::Request(request) => {
                    assert!(request.id > self.last_request, "the number {} comes twice", request.id);
                    self.last_request = request.id;
                    if self.up {
                        self.open.push((request.id, request.bucket, request.op));
                    } else {
                        let answer = Err(EngineError::Unreachable);
                        self.arbiter.handle(Event::Answered { id: request.id, answer }, self.now);
                    }
                }
                Output::Granted { pair } => {
                    let granted = self.granted.get_mut(&pair).expect("what was claimed");
                    *granted = true;
                }
                Output::HeldBy { pair, node } => {
                    assert_ne!(node.as_str(), "a", "this node is no other one");
                    assert_eq!(self.granted.remove(&pair), Some(false), "the answer to an open claim");
                }
                Output::Unknown { pair, .. } => {
                    assert!(self.granted.remove(&pair).is_some(), "the answer to a claim");
                }
                Output::Conflict { pair, node } => {
                    assert_ne!(node.as_str(), "a", "this node is no other one");
                    assert_eq!(self.granted.remove(&pair), Some(true), "what was granted");
                }
                Output::LeaseHeld { until, .. } => assert!(until > self.now, "a lease that is held"),
                _ => {}
            }
        }
    }
}

fn pair(choice: u8) -> DomainPair {
    DomainPair { local: domain("a.example"), remote: component(choice) }
}

fn component(choice: u8) -> Domain {
    domain(["c0.example", "c1.example", "c2.example"][usize::from(choice) % 3])
}

/// The keys of the records of nodes: this node's own is among them.
const NODES: [&str; 5] = ["a", "b", "c", "B", ""];

/// Acts of one input at most: they are lines, and most of them are short.
const ACTS: usize = 300;

/// Ticks at most while time passes.
const TICKS: usize = 2_000;

/// Outputs after one event at most: a node has few claims here.
const MOST_OUTPUTS: usize = 2_000;

/// As in the crate `cluster`.
const LONGEST_RECORD: usize = 8 * 1024;
