//! The other nodes: a ferry to each, which lives as long as this node.

use std::{collections::HashMap, sync::Arc, time::Duration};

use ::cluster::{
    arbiter::Ending,
    engine::Event,
    name::{Incarnation, NodeName},
    record::Load,
};
use tokio::sync::mpsc;

use crate::{
    flow,
    observe::log_limit::{FEW, LogLimiter},
    relaying::{
        LOG,
        ferry::{self, Common, Died, Ferry, FerryReport, Joined, LeaseHeld, LeaseLost},
    },
};
use mailbox::{Mailbox, Meter, Queued, drain, panic_guard::PanicGuard, workers::Workers};

/// Starts ferries.
pub(crate) struct Starter {
    /// What they have in common.
    pub(crate) common: Common,
    /// The threads on which they run.
    pub(crate) workers: Workers,
    /// Of their mailboxes.
    pub(crate) meter: Arc<Meter>,
    /// Receives the kind of an actor that panics.
    pub(crate) panic: mpsc::Sender<&'static str>,
}

/// The ferries.
pub(super) struct Peers {
    starter: Starter,
    ferries: HashMap<NodeName, Mailbox<Ferry>>,
    /// The members, apart from this node.
    members: HashMap<NodeName, Incarnation>,
    /// What a new ferry has to know.
    is_up: bool,
    lease: Option<LeaseHeld>,
    stopping: Option<drain::Token>,
    too_many: Arc<LogLimiter>,
    /// Ferries that were started.
    started: u64,
    changes: Arc<LogLimiter>,
}

impl Peers {
    pub(super) fn new(starter: Starter) -> Self {
        let (ferries, members) = (HashMap::new(), HashMap::new());
        let too_many = LogLimiter::new(LOG, FEW, "more frames and claims of nodes beyond the limit");
        let changes = LogLimiter::new(LOG, MOST as u64, "more nodes joined, left or died");
        Self {
            starter,
            ferries,
            members,
            is_up: false,
            lease: None,
            stopping: None,
            too_many,
            started: 0,
            changes,
        }
    }

    /// The ferry to a node, which is started if it is not there. `None` for this node, and beyond [`MOST`] nodes.
    pub(super) fn ferry(&mut self, node: &NodeName) -> Option<Mailbox<Ferry>> {
        if let Some(ferry) = self.ferries.get(node) {
            return Some(ferry.clone());
        }
        if *node == self.starter.common.own {
            return None;
        }
        if self.ferries.len() >= MOST && !self.forgets_a_dead_one() {
            if self.too_many.count_line() {
                log::error!(target: LOG, node:% = node, limit = MOST; "too many nodes: this one is ignored");
            }
            return None;
        }
        let Starter { common, workers, meter, panic } = &self.starter;
        let (common, of, guard) = (common.clone(), node.clone(), PanicGuard::new("ferry", panic.clone()));
        // A node that was forgotten and comes back may know a session of an earlier ferry.
        let last_session = self.started << SESSIONS_BITS;
        self.started += 1;
        let ferry = workers
            .start_actor(meter, node.as_str(), move |own| Ferry::new(common, of, last_session, own, guard));
        if let Some(held) = &self.lease {
            tell(&ferry, held.clone());
        }
        if let Some(token) = &self.stopping {
            tell(&ferry, ferry::StopReceiving { within: Duration::ZERO, token: token.clone() });
        }
        if self.is_up {
            tell(&ferry, ferry::Up);
        }
        self.ferries.insert(node.clone(), ferry.clone());
        Some(ferry)
    }

    /// The ferry to a node, if it has been a member.
    pub(super) fn known(&self, node: &NodeName) -> Option<Mailbox<Ferry>> {
        self.ferries.get(node).cloned()
    }

    /// Forgets the ferry to a node that is no member any more, to make room for another one. It ends with its last relay.
    /// False: all are members.
    fn forgets_a_dead_one(&mut self) -> bool {
        let Some(dead) = self.ferries.keys().find(|node| !self.members.contains_key(*node)).cloned() else {
            return false;
        };
        self.ferries.remove(&dead);
        true
    }

    /// The way to a node, for relays.
    pub(super) fn way(&mut self, node: &NodeName) -> Option<flow::ferry::Ferry> {
        let ferry = self.ferry(node)?;
        Some(flow::ferry::Ferry { node: node.clone(), carry: ferry.outlet() })
    }

    pub(super) fn joined(&mut self, node: &NodeName, incarnation: Incarnation) {
        let Some(ferry) = self.ferry(node) else { return };
        let is_new = self.members.insert(node.clone(), incarnation) != Some(incarnation);
        if is_new && self.changes.count_line() {
            log::info!(target: LOG, node:% = node, run:% = incarnation, nodes = self.members.len() + 1; "node joined");
        }
        tell(&ferry, Joined { incarnation });
    }

    pub(super) fn died(
        &mut self,
        node: &NodeName,
        incarnation: Incarnation,
        last_seen: Duration,
        ending: Ending,
        load: Option<Load>,
    ) {
        if self.members.get(node) == Some(&incarnation) {
            self.members.remove(node);
            if self.changes.count_line() {
                self.log_end(node, incarnation, last_seen, ending, load.unwrap_or_default());
            }
        }
        if let Some(ferry) = self.known(node) {
            tell(&ferry, Died { incarnation });
        }
    }

    fn log_end(&self, node: &NodeName, run: Incarnation, last_seen: Duration, ending: Ending, load: Load) {
        let nodes = self.members.len() + 1;
        if ending == Ending::Left {
            return log::info!(target: LOG, node:% = node, run:% = run, nodes = nodes; "node left");
        }
        let seconds = last_seen.as_secs();
        if ending == Ending::Replaced {
            return log::info!(
                target: LOG, node:% = node, run:% = run, last_seen:% = format_args!("{seconds}s"), reason:% = ending;
                "node began another run"
            );
        }
        log::warn!(
            target: LOG, node:% = node, run:% = run, last_seen:% = format_args!("{seconds}s"), claims = load.links,
            components = load.components, reason:% = ending, nodes = nodes;
            "node died"
        );
    }

    /// Whether the broker is reachable.
    pub(super) fn is_up(&self) -> bool {
        self.is_up
    }

    /// The name of this node.
    pub(super) fn own(&self) -> NodeName {
        self.starter.common.own.clone()
    }

    /// The other nodes that are alive.
    pub(super) fn members(&self) -> Vec<NodeName> {
        self.members.keys().cloned().collect()
    }

    pub(super) fn incarnation(&self, node: &NodeName) -> Option<Incarnation> {
        self.members.get(node).copied()
    }

    pub(super) fn lease_held(&mut self, held: LeaseHeld) {
        self.tell_all(&held);
        self.lease = Some(held);
    }

    pub(super) fn lease_lost(&mut self) {
        self.lease = None;
        self.tell_all(&LeaseLost);
    }

    /// Remembers whether the broker is reachable.
    pub(super) fn set_up(&mut self, event: &Event) {
        self.is_up = matches!(event, Event::Up { .. }) || self.is_up && !matches!(event, Event::Down { .. });
    }

    pub(super) fn stop_receiving(&mut self, within: Duration, token: drain::Token) {
        self.tell_all(&ferry::StopReceiving { within, token });
        // A ferry that is started later has nothing to give back.
        self.stopping = Some(drain::tokens().0);
    }

    pub(super) fn show(&self, answer: &mpsc::Sender<FerryReport>) {
        for ferry in self.ferries.values() {
            // A ferry that is gone ends the process.
            let _ = ferry.signal_quietly(ferry::Show { answer: answer.clone() });
        }
    }

    /// Tells all ferries.
    pub(super) fn tell_all<M: Clone + Send + 'static>(&self, message: &M)
    where
        Ferry: actix::Handler<Queued<M>>,
    {
        for ferry in self.ferries.values() {
            tell(ferry, message.clone());
        }
    }
}

fn tell<M: Send + 'static>(ferry: &Mailbox<Ferry>, message: M)
where
    Ferry: actix::Handler<Queued<M>>,
{
    // A ferry that is gone ends the process.
    let _ = ferry.signal(message);
}

/// The bits of a session's number that count the sessions of one ferry.
const SESSIONS_BITS: u32 = 40;

/// Other nodes at most. Each has a ferry with tables of its own; a broker that is shared by mistake brings frames of many.
pub(crate) const MOST: usize = 64;
