//! A cluster in memory: arbiters, what their nodes want, and a broker, on a time of its own.

use super::node::{Clock, Node, Process, Wishes};
use crate::{
    NodeName,
    arbiter::{Arbiter, Config, Output},
    engine::{
        Bucket,
        fake::{Broker, Faults, random},
    },
    ferry::codec::Versions,
    names::Names,
    record,
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use xmpp::{Domain, DomainPair};

/// As configured by default.
pub(super) const LEASE: Duration = Duration::from_secs(15);
pub(super) const BEAT: Duration = Duration::from_secs(3);

pub(super) struct Cluster {
    pub(super) now: Instant,
    pub(super) broker: Broker,
    pub(super) nodes: Vec<Node>,
    seed: u64,
    /// With `NUNCIO_TRACE`, all events and outputs are printed with the time since then.
    trace: Option<Instant>,
    /// Since when two nodes have a pair.
    overlaps: BTreeMap<DomainPair, Instant>,
    pub(super) longest_overlap: Duration,
    /// How much clocks may be fast or slow, in a thousand.
    pub(super) skew: u64,
    /// Processes that stopped in order and left nothing.
    pub(super) left: usize,
    /// Names that two processes had at the same time.
    twins: BTreeSet<NodeName>,
    /// The broker has lost data: two nodes may have confirmed claims for a moment.
    pub(super) data_was_lost: bool,
    /// Each process is on a machine of its own: no other one can see whether it has ended.
    pub(super) is_scattered: bool,
    /// Which processes have ended.
    ended: Arc<Vec<AtomicBool>>,
    processes: u32,
}

/// Processes of a test at most.
const PROCESSES: usize = 512;

/// The names that nodes serve.
pub(super) fn names(text: &str) -> Names {
    Names::new([text.to_owned()])
}

pub(super) fn name(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

pub(super) fn pair(remote: &str) -> DomainPair {
    DomainPair { local: domain("a.example"), remote: domain(remote) }
}

pub(super) fn domain(text: &str) -> Domain {
    Domain::new(text).unwrap()
}

impl Cluster {
    /// A cluster of nodes `n0`, `n1` and so on, which start at the same time.
    pub(super) fn new(seed: u64, count: usize, faults: Faults) -> Self {
        let mut cluster = Self {
            now: clock::now(),
            broker: Broker::new(seed, faults),
            nodes: Vec::new(),
            seed: seed ^ 0x5eed,
            trace: std::env::var_os("NUNCIO_TRACE").map(|_| clock::now()),
            overlaps: BTreeMap::new(),
            longest_overlap: Duration::ZERO,
            skew: 0,
            left: 0,
            twins: BTreeSet::new(),
            data_was_lost: false,
            is_scattered: false,
            ended: Arc::new((0..PROCESSES).map(|_| AtomicBool::new(false)).collect()),
            processes: 0,
        };
        for index in 0..count {
            let node = cluster.started(&format!("n{index}"), |_| {});
            cluster.nodes.push(node);
        }
        cluster
    }

    fn started(&mut self, node: &str, change: impl FnOnce(&mut Config)) -> Node {
        let pid = self.processes;
        self.processes += 1;
        let machine = if self.is_scattered { pid } else { 0 };
        let place = format!("machine {machine}");
        let process = record::Process {
            host: "host".to_owned(),
            pid,
            place: place.clone(),
            since: "2026-12-01T15:00:00Z".to_owned(),
        };
        let mut config = Config {
            own: name(node),
            versions: Versions::OWN,
            lease: LEASE,
            secret: "secret".to_owned(),
            names: names("names"),
            process,
        };
        change(&mut config);
        let mut seed = self.random();
        let off = (self.random() % (2 * self.skew + 1)) as f64 - self.skew as f64;
        let clock = Clock { since: self.now, rate: 1.0 + off / 1000.0 };
        let ended = Arc::clone(&self.ended);
        let has_ended =
            move |other: &record::Process| other.place == place && ended[other.pid as usize].load(Relaxed);
        Node {
            name: config.own.clone(),
            client: self.broker.attach(config.own.clone(), self.now),
            arbiter: Arbiter::new(config, self.now, move || random(&mut seed), has_ended),
            pid,
            clock,
            process: Process::Runs,
            hangs: false,
            waiting: VecDeque::new(),
            lease: None,
            wishes: Wishes::default(),
            log: Vec::new(),
        }
    }

    /// Another node, or another process with the name of one.
    pub(super) fn adds(&mut self, node: &str, change: impl FnOnce(&mut Config)) -> usize {
        let node = self.started(node, change);
        if self.nodes.iter().any(|other| other.name == node.name) {
            self.twins.insert(node.name.clone());
        }
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn ends(&mut self, index: usize) {
        self.broker.detach(self.nodes[index].client);
        self.ended[self.nodes[index].pid as usize].store(true, Relaxed);
    }

    /// The process is killed and started again.
    pub(super) fn restarts(&mut self, index: usize) {
        self.ends(index);
        let node = self.nodes[index].name.to_string();
        self.nodes[index] = self.started(&node, |_| {});
    }

    /// The process is killed and stays away.
    pub(super) fn kills(&mut self, index: usize) -> NodeName {
        self.ends(index);
        self.nodes.remove(index).name
    }

    /// The process is killed, until it is started again.
    pub(super) fn dies(&mut self, index: usize) {
        self.ends(index);
        self.nodes[index].process = Process::Gone;
        self.nodes[index].lease = None;
    }

    /// The process stops in order.
    pub(super) fn stops(&mut self, index: usize) {
        let now = self.now;
        let node = &mut self.nodes[index];
        if node.serves() {
            node.process = Process::Stops;
            // Its links and connections have ended.
            let elsewhere = std::mem::take(&mut node.wishes.elsewhere);
            node.wishes = Wishes { elsewhere, ..Wishes::default() };
            node.arbiter.stop(node.clock.shows(now));
            self.settles();
        }
    }

    pub(super) fn wants(&mut self, index: usize, pair: &DomainPair) {
        let now = self.now;
        let node = &mut self.nodes[index];
        if node.serves() && node.wishes.wants.insert(pair.clone()) {
            node.claims(pair, node.clock.shows(now));
            self.settles();
        }
    }

    pub(super) fn renounces(&mut self, index: usize, pair: &DomainPair) {
        let now = self.now;
        let node = &mut self.nodes[index];
        if node.serves() && node.wishes.wants.remove(pair) {
            node.forgets(pair, node.clock.shows(now));
            self.settles();
        }
    }

    pub(super) fn connects(&mut self, index: usize, component: &Domain) {
        let now = self.now;
        let node = &mut self.nodes[index];
        if node.serves() && !node.wishes.components.contains_key(component) {
            let now = node.clock.shows(now);
            node.wishes.components.insert(component.clone(), false);
            node.wishes.seats_owed.insert(component.clone(), now);
            node.arbiter.seat(component, now);
            self.settles();
        }
    }

    pub(super) fn disconnects(&mut self, index: usize, component: &Domain) {
        let now = self.now;
        let node = &mut self.nodes[index];
        if node.serves() && node.wishes.components.remove(component).is_some() {
            node.wishes.seats_owed.remove(component);
            node.arbiter.unseat(component, node.clock.shows(now));
            self.settles();
        }
    }

    pub(super) fn hangs(&mut self, index: usize, hangs: bool) {
        self.nodes[index].hangs = hangs;
        self.settles();
    }

    /// Lets time pass.
    pub(super) fn passes(&mut self, time: Duration) {
        let end = self.now + time;
        let mut steps_at_once = 0;
        loop {
            let awake = self.nodes.iter().filter(|node| node.is_awake());
            let ticks = awake.map(Node::next).chain(self.broker.next()).min();
            let Some(next) = ticks.filter(|at| *at <= end) else { break };
            steps_at_once = if next > self.now { 0 } else { steps_at_once + 1 };
            assert!(steps_at_once < 10_000, "time does not go on");
            self.now = self.now.max(next);
            while let Some((client, event)) = self.broker.poll(self.now) {
                if let Some(node) = self.nodes.iter_mut().find(|node| node.client == client) {
                    node.waiting.push_back(event);
                }
            }
            self.settles();
        }
        self.now = end;
        self.settles();
        self.carries();
        self.checks();
    }

    /// Gives each node its events, and checks what must hold at any time.
    fn settles(&mut self) {
        let global = self.now;
        let mut changes = false;
        for index in 0..self.nodes.len() {
            let node = &mut self.nodes[index];
            if !node.is_awake()
                || (node.waiting.is_empty() && node.next() > global && !node.arbiter.has_output())
            {
                continue;
            }
            let now = node.clock.shows(global);
            for event in std::mem::take(&mut node.waiting) {
                if let Some(start) = self.trace {
                    println!("{:?} {} < {event:?}", global - start, node.name);
                }
                node.arbiter.handle(event, now);
            }
            if node.arbiter.next_tick() <= now {
                node.arbiter.tick(now);
            }
            node.does_what_is_due(now);
            while let Some(output) = node.arbiter.poll() {
                if let Some(start) = self.trace {
                    println!(
                        "{:?} {} {} > {output:?}",
                        global - start,
                        node.name,
                        node.arbiter.incarnation()
                    );
                }
                match output {
                    Output::Request(request) => self.broker.request(node.client, request, global),
                    output => {
                        changes = true;
                        self.left += usize::from(output == Output::Left);
                        let pause = Duration::from_millis(random(&mut self.seed) % 4000);
                        node.takes(output, now, pause);
                    }
                }
            }
            if node.process == Process::Gone {
                self.broker.detach(node.client);
                self.ended[node.pid as usize].store(true, Relaxed);
            }
        }
        if changes {
            self.carries();
            self.checks();
        }
    }

    /// A node to which another one relays wants the pair too. If it relays it itself, it ends the relay of the other.
    fn carries(&mut self) {
        let now = self.now;
        let mut ended = Vec::new();
        for index in 0..self.nodes.len() {
            if !self.nodes[index].serves() {
                continue;
            }
            let relays = &self.nodes[index].wishes.relays;
            let relays: Vec<_> = relays.iter().map(|(a, b)| (a.clone(), b.clone())).collect();
            for (pair, to) in relays {
                let wanted = self.nodes[index].wishes.wants.contains(&pair);
                // Of two processes with one name, the other nodes reach the one that has the lease.
                let named = (0..self.nodes.len())
                    .filter(|other| self.nodes[*other].name == to && self.nodes[*other].serves());
                let Some(at) = named.max_by_key(|other| self.nodes[*other].lease) else { continue };
                let holder = &mut self.nodes[at];
                let now_there = holder.clock.shows(now);
                let Wishes { granted, owed, relays, again, .. } = &holder.wishes;
                if granted.contains(&pair) || owed.contains_key(&pair) || !wanted {
                    continue;
                }
                if relays.contains_key(&pair) {
                    ended.push((index, pair));
                } else if again.iter().all(|(_, other)| *other != pair) {
                    holder.wishes.wants.insert(pair.clone());
                    holder.claims(&pair, now_there);
                }
            }
        }
        // Of two nodes that relay to each other, each ends the relay of the other.
        for (index, pair) in ended {
            let node = &mut self.nodes[index];
            node.ends_relay(&pair, node.clock.shows(now));
        }
    }

    fn checks(&mut self) {
        let global = self.now;
        let mut holders: BTreeMap<&DomainPair, Vec<(&NodeName, bool)>> = BTreeMap::new();
        let mut seated: BTreeMap<&Domain, BTreeSet<&NodeName>> = BTreeMap::new();
        for node in &self.nodes {
            let now = node.clock.shows(global);
            // A new run of a node makes the claims of the one before void at once. If the process of that one goes on, since
            // two have one name by mistake, it learns that with its next beat.
            let is_twin = self.twins.contains(&node.name);
            if node.lease.is_some_and(|until| until > global) {
                for pair in &node.wishes.granted {
                    let is_confirmed = !is_twin && node.arbiter.confirms(pair, now);
                    holders.entry(pair).or_default().push((&node.name, is_confirmed));
                }
                for (name, _) in node.wishes.components.iter().filter(|(_, is_seated)| **is_seated) {
                    if !is_twin && node.arbiter.confirms_seat(name, now) {
                        seated.entry(name).or_default().insert(&node.name);
                    }
                }
            }
            if node.serves() {
                for (pair, since) in &node.wishes.owed {
                    assert!(now <= *since + BEAT * 3, "{}: no answer for {pair}", node.name);
                }
                for (name, since) in &node.wishes.seats_owed {
                    assert!(now <= *since + BEAT * 3, "{}: no answer for {name}", node.name);
                }
            }
        }
        for (name, nodes) in seated {
            assert!(nodes.len() <= 1 || self.data_was_lost, "{nodes:?} have a confirmed seat of {name}");
        }
        let mut overlaps = BTreeMap::new();
        for (pair, nodes) in holders {
            let confirmed: BTreeSet<_> = nodes.iter().filter(|(_, is)| *is).map(|(node, _)| *node).collect();
            assert!(
                confirmed.len() <= 1 || self.data_was_lost,
                "{confirmed:?} have a confirmed claim for {pair}"
            );
            if nodes.len() > 1 {
                let since = self.overlaps.get(pair).copied().unwrap_or(global);
                self.longest_overlap = self.longest_overlap.max(global - since);
                overlaps.insert(pair.clone(), since);
            }
        }
        self.overlaps = overlaps;
    }

    /// The broker has a record for each claim and seat that is held and for each node that runs, and no other.
    pub(super) fn keeps_nothing_else(&self) {
        let count = |bucket| self.broker.records(bucket).len();
        let running = || self.nodes.iter().filter(|node| node.serves());
        let sum = |of: fn(&Node) -> usize| running().map(of).sum::<usize>();
        assert_eq!(count(Bucket::Nodes), running().count(), "{:?}", self.broker.records(Bucket::Nodes));
        assert_eq!(count(Bucket::Claims), sum(|node| node.wishes.granted.len()), "claims");
        assert_eq!(count(Bucket::Seats), sum(|node| node.wishes.components.len()), "seats");
    }

    pub(super) fn random(&mut self) -> u64 {
        random(&mut self.seed)
    }
}
