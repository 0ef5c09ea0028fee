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

/// A node, with what its promise and router would do.
pub(super) struct Node {
    pub(super) name: NodeName,
    pub(super) arbiter: Arbiter,
    pub(super) client: ClientId,
    /// The process is stopped (SIGSTOP). Its events wait.
    pub(super) hangs: bool,
    pub(super) waiting: VecDeque<Event>,
    pub(super) lease: Option<Instant>,
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
    pub(super) log: Vec<Output>,
}

impl Node {
    pub(super) fn next(&self) -> Instant {
        let again = self.again.first().map(|(at, _)| *at);
        let seats = self.seats_again.first().map(|(at, _)| *at);
        [again, seats].into_iter().flatten().fold(self.arbiter.next_tick(), Instant::min)
    }

    pub(super) fn claims(&mut self, pair: &DomainPair, now: Instant) {
        self.relays.remove(pair);
        self.owed.insert(pair.clone(), now);
        self.arbiter.claim(pair, now);
    }

    pub(super) fn forgets(&mut self, pair: &DomainPair, now: Instant) {
        self.relays.remove(pair);
        self.owed.remove(pair);
        self.granted.remove(pair);
        self.again.retain(|(_, other)| other != pair);
        self.arbiter.renounce(pair, now);
    }

    pub(super) fn ends_relay(&mut self, pair: &DomainPair, now: Instant) {
        if self.relays.remove(pair).is_some() && self.wants.contains(pair) {
            self.again.insert((now + Duration::from_millis(500), pair.clone()));
        }
    }

    pub(super) fn does_what_is_due(&mut self, now: Instant) {
        while self.again.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, pair)) = self.again.pop_first() else { return };
            if self.wants.contains(&pair) && !self.granted.contains(&pair) && !self.owed.contains_key(&pair) {
                self.claims(&pair, now);
            }
        }
        while self.seats_again.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, name)) = self.seats_again.pop_first() else { return };
            if self.components.get(&name) == Some(&false) && !self.seats_owed.contains_key(&name) {
                self.seats_owed.insert(name.clone(), now);
                self.arbiter.seat(&name, now);
            }
        }
    }

    pub(super) fn takes(&mut self, output: Output, now: Instant, pause: Duration) {
        self.log.push(output.clone());
        match output {
            Output::Request(_)
            | Output::Disagrees { .. }
            | Output::Agrees { .. }
            | Output::Left
            | Output::Joined { .. } => {}
            Output::Granted { pair } => {
                assert!(self.owed.remove(&pair).is_some(), "{}: {pair} was not asked for", self.name);
                self.granted.insert(pair);
            }
            Output::HeldBy { pair, node } => {
                assert!(self.owed.remove(&pair).is_some(), "{}: {pair} was not asked for", self.name);
                assert_ne!(node, self.name);
                self.relays.insert(pair, node);
            }
            Output::Unknown { pair, .. } => {
                assert!(self.owed.remove(&pair).is_some(), "{}: {pair} was not asked for", self.name);
                self.granted.remove(&pair);
                self.again.insert((now + pause, pair));
            }
            Output::Conflict { pair, node } => {
                assert!(self.granted.remove(&pair), "{}: {pair} was not granted", self.name);
                self.owed.remove(&pair);
                self.relays.insert(pair, node);
            }
            Output::Seated { name } => {
                assert!(self.seats_owed.remove(&name).is_some(), "{}: {name} was not asked for", self.name);
                self.components.insert(name, true);
            }
            Output::SeatTaken { name, .. } | Output::SeatConflict { name, .. } => {
                self.seats_owed.remove(&name);
                self.components.remove(&name);
            }
            Output::SeatUnknown { name, .. } => {
                self.seats_owed.remove(&name);
                self.components.insert(name.clone(), false);
                self.seats_again.insert((now + pause, name));
            }
            Output::SeatAt { name, node: Some(node) } => {
                assert_ne!(node, self.name);
                assert_ne!(self.elsewhere.insert(name, node.clone()), Some(node), "told twice");
            }
            Output::SeatAt { name, node: None } => {
                assert!(self.elsewhere.remove(&name).is_some(), "{name} was nowhere");
            }
            Output::Died { node, .. } => {
                let lost: Vec<_> =
                    self.relays.iter().filter(|(_, to)| **to == node).map(|(pair, _)| pair.clone()).collect();
                lost.iter().for_each(|pair| self.ends_relay(pair, now));
            }
            Output::LeaseHeld { until, .. } => self.lease = Some(until),
            Output::LeaseLost => self.lease = None,
        }
    }
}
