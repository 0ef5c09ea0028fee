//! A cluster in memory: arbiters, what their nodes want, and a broker, on a time of its own.

use super::node::Node;
use crate::{
    NodeName,
    arbiter::{Arbiter, Config, Output},
    engine::fake::{Broker, Faults, random},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
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
    /// The broker has lost data: two nodes may have confirmed claims for a moment.
    pub(super) data_was_lost: bool,
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
            data_was_lost: false,
        };
        for index in 0..count {
            let node = cluster.started(&format!("n{index}"), |_| {});
            cluster.nodes.push(node);
        }
        cluster
    }

    fn started(&mut self, node: &str, change: impl FnOnce(&mut Config)) -> Node {
        let mut config = Config {
            own: name(node),
            version: 1,
            lease: LEASE,
            secret: "secret".to_owned(),
            names: "names".to_owned(),
        };
        change(&mut config);
        let mut seed = self.random();
        Node {
            name: config.own.clone(),
            client: self.broker.attach(config.own.clone(), self.now),
            arbiter: Arbiter::new(config, self.now, move || random(&mut seed)),
            hangs: false,
            waiting: VecDeque::new(),
            lease: None,
            wants: BTreeSet::new(),
            granted: BTreeSet::new(),
            relays: BTreeMap::new(),
            owed: BTreeMap::new(),
            again: BTreeSet::new(),
            components: BTreeMap::new(),
            seats_owed: BTreeMap::new(),
            seats_again: BTreeSet::new(),
            elsewhere: BTreeMap::new(),
            log: Vec::new(),
        }
    }

    /// Another node, or another process with the name of one.
    pub(super) fn adds(&mut self, node: &str, change: impl FnOnce(&mut Config)) -> usize {
        let node = self.started(node, change);
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// The process is killed and started again.
    pub(super) fn restarts(&mut self, index: usize) {
        self.broker.detach(self.nodes[index].client);
        let node = self.nodes[index].name.to_string();
        self.nodes[index] = self.started(&node, |_| {});
    }

    /// The process is killed and stays away.
    pub(super) fn kills(&mut self, index: usize) -> NodeName {
        self.broker.detach(self.nodes[index].client);
        self.nodes.remove(index).name
    }

    pub(super) fn wants(&mut self, index: usize, pair: &DomainPair) {
        let now = self.now;
        let node = &mut self.nodes[index];
        if !node.hangs && node.wants.insert(pair.clone()) {
            node.claims(pair, now);
            self.settles();
        }
    }

    pub(super) fn renounces(&mut self, index: usize, pair: &DomainPair) {
        let now = self.now;
        let node = &mut self.nodes[index];
        if !node.hangs && node.wants.remove(pair) {
            node.forgets(pair, now);
            self.settles();
        }
    }

    pub(super) fn connects(&mut self, index: usize, component: &Domain) {
        let now = self.now;
        let node = &mut self.nodes[index];
        if !node.hangs && !node.components.contains_key(component) {
            node.components.insert(component.clone(), false);
            node.seats_owed.insert(component.clone(), now);
            node.arbiter.seat(component, now);
            self.settles();
        }
    }

    pub(super) fn disconnects(&mut self, index: usize, component: &Domain) {
        let now = self.now;
        let node = &mut self.nodes[index];
        if !node.hangs && node.components.remove(component).is_some() {
            node.seats_owed.remove(component);
            node.arbiter.unseat(component, now);
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
            let awake = self.nodes.iter().filter(|node| !node.hangs);
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
        let now = self.now;
        let mut changes = false;
        for index in 0..self.nodes.len() {
            let node = &mut self.nodes[index];
            if node.hangs || (node.waiting.is_empty() && node.next() > now && !node.arbiter.has_output()) {
                continue;
            }
            for event in std::mem::take(&mut node.waiting) {
                if let Some(start) = self.trace {
                    println!("{:?} {} < {event:?}", now - start, node.name);
                }
                node.arbiter.handle(event, now);
            }
            if node.arbiter.next_tick() <= now {
                node.arbiter.tick(now);
            }
            node.does_what_is_due(now);
            while let Some(output) = node.arbiter.poll() {
                if let Some(start) = self.trace {
                    println!("{:?} {} {} > {output:?}", now - start, node.name, node.arbiter.incarnation());
                }
                match output {
                    Output::Request(request) => self.broker.request(node.client, request, now),
                    output => {
                        changes = true;
                        let pause = Duration::from_millis(random(&mut self.seed) % 4000);
                        node.takes(output, now, pause);
                    }
                }
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
        for index in 0..self.nodes.len() {
            if self.nodes[index].hangs {
                continue;
            }
            let relays: Vec<_> =
                self.nodes[index].relays.iter().map(|(a, b)| (a.clone(), b.clone())).collect();
            for (pair, to) in relays {
                let wanted = self.nodes[index].wants.contains(&pair);
                let Some(holder) = self.nodes.iter_mut().find(|node| node.name == to && !node.hangs) else {
                    continue;
                };
                if holder.granted.contains(&pair) || holder.owed.contains_key(&pair) || !wanted {
                    continue;
                }
                if holder.relays.contains_key(&pair) {
                    self.nodes[index].ends_relay(&pair, now);
                } else if holder.again.iter().all(|(_, other)| *other != pair) {
                    holder.wants.insert(pair.clone());
                    holder.claims(&pair, now);
                }
            }
        }
    }

    fn checks(&mut self) {
        let now = self.now;
        let mut holders: BTreeMap<&DomainPair, (u32, u32)> = BTreeMap::new();
        for node in &self.nodes {
            if node.lease.is_some_and(|until| until > now) {
                for pair in &node.granted {
                    let count = holders.entry(pair).or_default();
                    count.0 += 1;
                    count.1 += u32::from(node.arbiter.confirms(pair, now));
                }
            }
            if !node.hangs {
                for (pair, since) in &node.owed {
                    assert!(now <= *since + BEAT * 3, "{}: no answer for {pair}", node.name);
                }
                for (name, since) in &node.seats_owed {
                    assert!(now <= *since + BEAT * 3, "{}: no answer for {name}", node.name);
                }
            }
        }
        let mut overlaps = BTreeMap::new();
        for (pair, (granted, confirmed)) in holders {
            assert!(
                confirmed <= 1 || self.data_was_lost,
                "{confirmed} nodes have a confirmed claim for {pair}"
            );
            if granted > 1 {
                let since = self.overlaps.get(pair).copied().unwrap_or(now);
                self.longest_overlap = self.longest_overlap.max(now - since);
                overlaps.insert(pair.clone(), since);
            }
        }
        self.overlaps = overlaps;
    }

    pub(super) fn random(&mut self) -> u64 {
        random(&mut self.seed)
    }
}
