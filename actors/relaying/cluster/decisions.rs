//! What the actor does with each decision of the arbiter.

use std::time::{Duration, Instant};

use ::cluster::{
    arbiter::{Namesake, Output},
    engine::{Answer, Bucket, EngineError, Event},
    name::{Incarnation, NodeName},
};
use xmpp::DomainPair;

use super::{Cluster, own_run::Held, tell};
use crate::{
    flow::claims::{Conflict, Freeze, Granted, HeldBy, SeatAt, SeatTaken, Seated, Unknown},
    relaying::{LOG, ferry},
};

impl Cluster {
    /// Does what the arbiter has decided.
    pub(super) fn perform(&mut self, output: Output, now: Instant) {
        if !matches!(output, Output::Request(_)) {
            log::debug!(target: LOG, decision:? = output; "decided");
        }
        match output {
            Output::Request(request) => {
                let id = request.id;
                if self.engine.request(request).is_err() {
                    let answer: Result<Answer, EngineError> = Err(EngineError::Unreachable);
                    self.arbiter.handle(Event::Answered { id, answer }, now);
                }
            }
            Output::Granted { pair } => {
                if let Some(&number) = self.claims.get(&pair) {
                    tell(&self.receivers.granted, Granted { pair, number });
                }
            }
            Output::HeldBy { pair, node } => self.held_by(pair, &node),
            Output::Unknown { pair, why } => {
                if let Some(number) = self.claims.remove(&pair) {
                    tell(&self.receivers.unknown, Unknown { pair, number, why });
                }
            }
            Output::Conflict { pair, node } => {
                if let Some(number) = self.claims.remove(&pair) {
                    if self.log_limits.conflicts.count_line() {
                        log::warn!(target: LOG, pair:% = pair, node:% = node; "link held by another node: it is closed here");
                    }
                    tell(&self.receivers.conflict, Conflict { pair, number, node });
                }
            }
            Output::Seated { name } => {
                self.seats.granted(&name);
                tell(&self.receivers.seated, Seated { name });
            }
            Output::SeatTaken { name, node } | Output::SeatConflict { name, node } => {
                self.seats.lost(&name);
                tell(&self.receivers.seat_taken, SeatTaken { name, node });
            }
            Output::SeatUnknown { name, why } => self.seat_unknown(name, &why, now),
            Output::SeatAt { name, node } => {
                let seat = node.and_then(|node| self.peers.way(&node));
                tell(&self.receivers.seat_at, SeatAt { name, seat });
            }
            Output::Joined { node, incarnation, version } => {
                // Without a version that both have, what is for the node waits here.
                if version.is_some() {
                    self.peers.joined(&node, incarnation);
                }
            }
            Output::Died { node, incarnation, last_seen, ending, load } => {
                self.peers.died(&node, incarnation, last_seen, ending, load);
            }
            Output::LeaseHeld { incarnation, until } => self.lease_held(incarnation, until, now),
            Output::LeaseLost => self.lease_lost(),
            Output::Refused { bucket, reason } => self.refused(bucket, &reason),
            Output::Waits { namesake, within } => self.waits(&namesake, within),
            Output::Disagrees { node, about } => {
                if self.log_limits.disagreements.count_line() {
                    log::error!(target: LOG, node:% = node, reason:% = about; "node disagrees");
                }
            }
            Output::Agrees { node } => {
                log::info!(target: LOG, node:% = node; "node agrees again");
            }
            Output::Left => self.leaving = None,
        }
    }

    fn held_by(&mut self, pair: DomainPair, node: &NodeName) {
        let Some(number) = self.claims.remove(&pair) else { return };
        match self.peers.way(node) {
            Some(ferry) => tell(&self.receivers.held_by, HeldBy { pair, number, ferry }),
            None => {
                let why = format!(
                    "node {node} has the link, and more nodes than this one can talk to are in the cluster"
                );
                tell(&self.receivers.unknown, Unknown { pair, number, why });
            }
        }
    }

    fn waits(&self, namesake: &Namesake, within: Duration) {
        let node = self.peers.own();
        let (earlier, within) = (namesake.to_string(), format!("{:.1}s", within.as_secs_f64()));
        log::info!(
            target: LOG, node:% = node, earlier:% = earlier, within:% = within;
            "waiting: the record of this node is of an earlier run, of which is not known whether it has ended"
        );
    }

    fn lease_held(&mut self, incarnation: Incarnation, until: Instant, now: Instant) {
        let plain = clock::now();
        let until = plain + until.saturating_duration_since(now);
        let lease = match self.run.held(incarnation, until, plain) {
            Held::Extended => return,
            Held::Began { lease, ended } => {
                if let Some(run) = ended {
                    self.tell_lease_lost(run);
                }
                lease
            }
        };
        log::info!(target: LOG, run:% = incarnation; "lease held");
        if !std::mem::replace(&mut self.joined, true) {
            let (node, nodes) = (self.peers.own(), self.peers.members().len() + 1);
            log::info!(target: LOG, cluster = self.name.as_str(), node:% = node, nodes = nodes; "cluster joined");
        }
        self.peers.lease_held(ferry::LeaseHeld { incarnation, lease });
    }

    fn refused(&self, bucket: Bucket, reason: &str) {
        if self.log_limits.refusals[bucket as usize].count_line() {
            log::error!(
                target: LOG, node:% = self.peers.own(), table = bucket.name(), reason = reason;
                "message broker refuses a record: `nuncio check` says which setting of the broker is wrong"
            );
        }
    }

    fn lease_lost(&mut self) {
        if let Some(run) = self.run.lost() {
            self.tell_lease_lost(run);
        }
    }

    fn tell_lease_lost(&mut self, run: Incarnation) {
        log::warn!(target: LOG, run:% = run; "lease lost: this node claims no more links, and unsettled stanzas of other nodes go back to them");
        self.peers.lease_lost();
        if let Some(freeze) = &self.receivers.freeze {
            log::warn!(target: LOG, "links are closed, as cluster.on_engine_loss = \"freeze\" says");
            freeze.iter().for_each(|receiver| tell(receiver, Freeze));
        }
    }
}
