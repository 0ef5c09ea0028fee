//! A node of the cluster in memory: its arbiter, and what its promise and router would do.

use crate::{
    NodeName,
    arbiter::{Arbiter, Output},
    engine::{Event, fake::ClientId},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::{Duration, Instant},
};
use xmpp::{Domain, DomainPair};

/// A node, with what its promise and router would do. Times are those of its own clock.
pub(super) struct Node {
    pub(super) name: NodeName,
    pub(super) arbiter: Arbiter,
    pub(super) pid: u32,
    pub(super) clock: Clock,
    pub(super) client: ClientId,
    pub(super) process: Process,
    /// The process hangs (SIGSTOP). Its events wait.
    pub(super) hangs: bool,
    pub(super) waiting: VecDeque<Event>,
    pub(super) lease: Option<Instant>,
    pub(super) wishes: Wishes,
    pub(super) log: Vec<Output>,
}

/// How far the process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Process {
    Runs,
    /// An orderly stop.
    Stops,
    /// It was killed, or has left.
    Gone,
}

/// The clock of a node, which is fast or slow.
#[derive(Clone, Copy)]
pub(super) struct Clock {
    pub(super) since: Instant,
    /// Its seconds in a second.
    pub(super) rate: f64,
}

impl Clock {
    /// What it shows.
    pub(super) fn shows(&self, now: Instant) -> Instant {
        if self.rate == 1.0 { now } else { self.since + (now - self.since).mul_f64(self.rate) }
    }

    /// When it shows this time, or a moment later.
    pub(super) fn when(&self, shown: Instant) -> Instant {
        if self.rate == 1.0 {
            return shown;
        }
        self.since + shown.saturating_duration_since(self.since).div_f64(self.rate) + Duration::from_micros(1)
    }
}

/// What the node has, and what it waits for.
#[derive(Default)]
pub(super) struct Wishes {
    /// Pairs for which stanzas come.
    pub(super) wants: BTreeSet<DomainPair>,
    pub(super) granted: BTreeSet<DomainPair>,
    pub(super) relays: BTreeMap<DomainPair, NodeName>,
    /// Claims without an answer.
    pub(super) owed: BTreeMap<DomainPair, Instant>,
    pub(super) again: BTreeSet<(Instant, DomainPair)>,
    /// Components that are connected, and whether the node has the seat.
    pub(super) components: BTreeMap<Domain, bool>,
    pub(super) seats_owed: BTreeMap<Domain, Instant>,
    pub(super) seats_again: BTreeSet<(Instant, Domain)>,
    /// Components of other nodes.
    pub(super) elsewhere: BTreeMap<Domain, NodeName>,
}

impl Node {
    /// Whether it does anything now.
    pub(super) fn is_awake(&self) -> bool {
        !self.hangs && self.process != Process::Gone
    }

    /// Whether stanzas and components come to it.
    pub(super) fn serves(&self) -> bool {
        !self.hangs && self.process == Process::Runs
    }

    /// When it has something to do.
    pub(super) fn next(&self) -> Instant {
        let again = self.wishes.again.first().map(|(at, _)| *at);
        let seats = self.wishes.seats_again.first().map(|(at, _)| *at);
        self.clock.when([again, seats].into_iter().flatten().fold(self.arbiter.next_tick(), Instant::min))
    }

    pub(super) fn claims(&mut self, pair: &DomainPair, now: Instant) {
        self.wishes.relays.remove(pair);
        self.wishes.owed.insert(pair.clone(), now);
        self.arbiter.claim(pair, now);
    }

    pub(super) fn forgets(&mut self, pair: &DomainPair, now: Instant) {
        self.wishes.relays.remove(pair);
        self.wishes.owed.remove(pair);
        self.wishes.granted.remove(pair);
        self.wishes.again.retain(|(_, other)| other != pair);
        self.arbiter.renounce(pair, now);
    }

    pub(super) fn ends_relay(&mut self, pair: &DomainPair, now: Instant) {
        if self.wishes.relays.remove(pair).is_some() && self.wishes.wants.contains(pair) {
            self.wishes.again.insert((now + Duration::from_millis(500), pair.clone()));
        }
    }

    pub(super) fn does_what_is_due(&mut self, now: Instant) {
        while self.wishes.again.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, pair)) = self.wishes.again.pop_first() else { return };
            let Wishes { wants, granted, owed, .. } = &self.wishes;
            if wants.contains(&pair) && !granted.contains(&pair) && !owed.contains_key(&pair) {
                self.claims(&pair, now);
            }
        }
        while self.wishes.seats_again.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, name)) = self.wishes.seats_again.pop_first() else { return };
            let Wishes { components, seats_owed, .. } = &mut self.wishes;
            if components.get(&name) == Some(&false) && !seats_owed.contains_key(&name) {
                seats_owed.insert(name.clone(), now);
                self.arbiter.seat(&name, now);
            }
        }
    }

    pub(super) fn takes(&mut self, output: Output, now: Instant, pause: Duration) {
        self.log.push(output.clone());
        let (own, wishes) = (&self.name, &mut self.wishes);
        match output {
            Output::Request(_)
            | Output::Waits { .. }
            | Output::Disagrees { .. }
            | Output::Agrees { .. }
            | Output::Joined { .. }
            | Output::Refused { .. } => {}
            Output::Left => self.process = Process::Gone,
            Output::Granted { pair } => {
                assert!(wishes.owed.remove(&pair).is_some(), "{own}: {pair} was not asked for");
                wishes.granted.insert(pair);
            }
            Output::HeldBy { pair, node } => {
                assert!(wishes.owed.remove(&pair).is_some(), "{own}: {pair} was not asked for");
                assert_ne!(node, *own);
                wishes.relays.insert(pair, node);
            }
            Output::Unknown { pair, .. } => {
                assert!(wishes.owed.remove(&pair).is_some(), "{own}: {pair} was not asked for");
                wishes.granted.remove(&pair);
                wishes.again.insert((now + pause, pair));
            }
            Output::Conflict { pair, node } => {
                assert!(wishes.granted.remove(&pair), "{own}: {pair} was not granted");
                wishes.owed.remove(&pair);
                wishes.relays.insert(pair, node);
            }
            Output::Seated { name } => {
                assert!(wishes.seats_owed.remove(&name).is_some(), "{own}: {name} was not asked for");
                wishes.components.insert(name, true);
            }
            Output::SeatTaken { name, .. } | Output::SeatConflict { name, .. } => {
                wishes.seats_owed.remove(&name);
                wishes.components.remove(&name);
            }
            Output::SeatUnknown { name, .. } => {
                wishes.seats_owed.remove(&name);
                wishes.components.insert(name.clone(), false);
                wishes.seats_again.insert((now + pause, name));
            }
            Output::SeatAt { name, node: Some(node) } => {
                assert_ne!(node, *own);
                assert_ne!(wishes.elsewhere.insert(name, node.clone()), Some(node), "told twice");
            }
            Output::SeatAt { name, node: None } => {
                assert!(wishes.elsewhere.remove(&name).is_some(), "{name} was nowhere");
            }
            Output::Died { node, .. } => {
                let lost = wishes.relays.iter().filter(|(_, to)| **to == node);
                let lost: Vec<_> = lost.map(|(pair, _)| pair.clone()).collect();
                lost.iter().for_each(|pair| self.ends_relay(pair, now));
            }
            Output::LeaseHeld { until, .. } => self.lease = Some(self.clock.when(until)),
            Output::LeaseLost => self.lease = None,
        }
    }
}
