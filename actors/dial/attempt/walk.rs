//! Visits the targets of a domain and the addresses of each target, and follows redirects.

use std::{collections::VecDeque, mem, net::SocketAddr};

use super::{
    Attempt, Goal,
    budget::Budget,
    negotiation::{Connection, Negotiated},
    targets::{Targets, list},
    tcp,
};
use crate::{
    dial::{error::AttemptError, observer::Step},
    observe::metrics::{Phase, Purpose},
};
use net::dns::Target;
use status::{
    display::millis,
    event::{Event, EventKind},
};

/// The targets and addresses that a walk tries, and when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// The strategy of a node, which stops at the first success. A visit is a target: its addresses race,
    /// until one succeeds. Addresses that failed before are left out, TLS is required once the remote had it,
    /// and the limits of the attempt apply.
    FirstSuccess,
    /// The strategy of a probe, which reports every address. A visit is an address, independent of the others
    /// and without limits.
    EveryAddress,
}

/// The result of a visit.
#[derive(Debug)]
pub struct Visit<T> {
    /// The target.
    pub target: Target,
    /// The address, if the visit was to one address only.
    pub address: Option<SocketAddr>,
    /// The outcome of the goal. An error is also kept by the walk.
    pub outcome: Result<T, AttemptError>,
    /// Whether this is the last visit of the target.
    pub is_last: bool,
}

/// A walk over the targets of a domain.
pub struct Walk<'a, G> {
    pub(super) attempt: &'a Attempt<G>,
    strategy: Strategy,
    budget: Budget,
    /// The targets that were not visited yet.
    targets: Targets,
    /// The target that is being visited.
    current: Option<Current>,
    /// The addresses that were connected to, and whether with direct TLS.
    tried: Vec<(SocketAddr, bool)>,
    /// TLS with the remote has succeeded once. From then on it is required: an attacker who can make us use
    /// another target must not downgrade the connection with it.
    had_tls: bool,
    /// The error to report if no visit succeeds.
    error: Option<AttemptError>,
}

/// A target that is being visited.
struct Current {
    target: Target,
    /// The addresses that were not visited yet.
    addresses: VecDeque<SocketAddr>,
    error: Option<AttemptError>,
}

impl<'a, G: Goal> Walk<'a, G> {
    /// Looks up the targets.
    ///
    /// # Errors
    /// There is no target, or the DNS did not answer.
    pub async fn begin(attempt: &'a Attempt<G>, strategy: Strategy) -> Result<Self, AttemptError> {
        let began = clock::now();
        let targets = attempt.targets().await;
        attempt.count(Phase::Resolve, began);
        let targets = targets?;
        log::log!(
            target: attempt.log, attempt.level(), pair:% = attempt.pair, targets:% = list(&targets),
            took:% = millis(began);
            "resolved"
        );
        attempt.record(Event::now(EventKind::Resolved).saying(list(&targets)));
        Ok(Self::over(attempt, strategy, targets))
    }

    /// A walk over targets that are known.
    fn over(attempt: &'a Attempt<G>, strategy: Strategy, targets: Vec<Target>) -> Self {
        Self {
            attempt,
            strategy,
            budget: match strategy {
                Strategy::FirstSuccess => Budget::new(&attempt.limits),
                Strategy::EveryAddress => Budget::unlimited(),
            },
            targets: Targets::new(targets),
            current: None,
            tried: Vec::new(),
            had_tls: false,
            error: None,
        }
    }

    /// The targets that were not visited yet.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        self.targets.left()
    }

    /// Makes the next visit. `None`: everything was visited, or a limit of the attempt is reached.
    pub async fn next(&mut self) -> Option<Visit<G::Outcome>> {
        loop {
            let Some(mut current) = self.current.take() else {
                let (target, addresses) = self.enter().await?;
                let (addresses, error) = match addresses {
                    Ok(addresses) => (addresses.into(), None),
                    Err(error) => (VecDeque::new(), Some(error)),
                };
                let failed = error.clone();
                self.current = Some(Current { target: target.clone(), addresses, error });
                match failed {
                    None => continue,
                    Some(error) => {
                        return Some(Visit { target, address: None, outcome: Err(error), is_last: true });
                    }
                }
            };
            let addresses = self.choose(&mut current.addresses);
            if addresses.is_empty() {
                self.leave(current);
                continue;
            }
            let (target, is_last) = (current.target.clone(), current.addresses.is_empty());
            let share = self.budget.share(is_last && self.targets.left().len() == 0);
            self.attempt.observe(|| Step::Visiting(&addresses));
            let address = addresses.first().copied().filter(|_| addresses.len() == 1);
            let outcome = self.visit(&target, addresses, &share).await;
            self.budget.settle(&share);
            let outcome = match outcome {
                Ok(outcome) => Some(Ok(outcome)),
                Err(Some(error)) => {
                    current.error = self.further(current.error.take(), error.clone());
                    Some(Err(error))
                }
                Err(None) => {
                    log::debug!(
                        target: self.attempt.log, pair:% = self.attempt.pair, at:% = target;
                        "skipped: its addresses were tried before"
                    );
                    None
                }
            };
            self.current = Some(current);
            if let Some(outcome) = outcome {
                return Some(Visit { target, address, outcome, is_last });
            }
        }
    }

    /// The error of the visit that got furthest.
    pub(crate) fn into_error(self) -> AttemptError {
        self.error.unwrap_or(AttemptError::Late)
    }

    /// Looks up the addresses of the next target. `None`: there is none, or a limit is reached.
    async fn enter(&mut self) -> Option<(Target, Result<Vec<SocketAddr>, AttemptError>)> {
        let attempt = self.attempt;
        let target = self.targets.take_next()?;
        if self.budget.is_spent() || !self.budget.try_take_lookup() {
            log::log!(
                target: attempt.log, attempt.level(), pair:% = attempt.pair, untried = self.targets.left().len() + 1;
                "gave up: a limit of the attempt is reached"
            );
            self.targets.clear();
            return None;
        }
        attempt.observe(|| Step::Entered(&target));
        let addresses = attempt.addresses(&target).await;
        if let Ok(addresses) = &addresses {
            attempt.observe(|| Step::Located(addresses));
        }
        Some((target, addresses))
    }

    /// Takes the addresses of the next visit.
    fn choose(&mut self, left: &mut VecDeque<SocketAddr>) -> Vec<SocketAddr> {
        match self.strategy {
            Strategy::FirstSuccess => mem::take(left).into(),
            Strategy::EveryAddress => {
                self.tried.clear();
                self.had_tls = false;
                left.pop_front().into_iter().collect()
            }
        }
    }

    /// Follows the redirect of a target, or keeps its error.
    fn leave(&mut self, current: Current) {
        let (attempt, target) = (self.attempt, current.target);
        let Some(error) = current.error else { return };
        if let Some(other) = self.targets.follow(&error, &target) {
            // The peer may redirect us to an address that was tried before: the server may answer differently
            // now.
            self.tried.clear();
            log::log!(
                target: attempt.log, attempt.level(), pair:% = attempt.pair, at:% = target, to:% = other;
                "redirected"
            );
            return;
        }
        if self.targets.are_several() {
            let sentence = error.sentence(&attempt.pair.remote);
            log::log!(
                target: attempt.log, attempt.level(), pair:% = attempt.pair, at:% = target, reason = sentence.as_str();
                "target failed"
            );
            attempt.record(Event::now(EventKind::TargetFailed).saying(format!("{target}: {sentence}")));
        }
        // A target at our own listener costs no connection, so a peer could make a verification look up many
        // of them. A session goes on: we started it ourselves.
        if matches!(error, AttemptError::Loop(_)) && G::PURPOSE == Purpose::Verification {
            self.targets.clear();
        }
        let before = self.error.take();
        self.error = self.further(before, error);
    }

    /// Connects to `addresses` of a target until the goal is reached. `Err(None)`: all of them were tried
    /// before.
    async fn visit(
        &mut self,
        target: &Target,
        mut addresses: Vec<SocketAddr>,
        share: &Budget,
    ) -> Result<G::Outcome, Option<AttemptError>> {
        let attempt = self.attempt;
        self.skip_tried(target, &mut addresses);
        if addresses.is_empty() {
            return Err(None);
        }
        let mut error = None;
        while !addresses.is_empty() && !share.is_spent() {
            let began = clock::now();
            let (connected, failed) = attempt.connect_any(&addresses, share).await?;
            self.tried.extend(failed.iter().map(|(address, _)| (*address, target.direct_tls)));
            let Some(tcp::Connected { socket, permit }) = connected else {
                let next = if failed.is_empty() { AttemptError::Late } else { AttemptError::Connect(failed) };
                return Err(self.further(error, next));
            };
            let Ok(address) = socket.peer_addr() else {
                return Err(Some(AttemptError::Crashed));
            };
            self.tried.push((address, target.direct_tls));
            attempt.observe(|| Step::Connected { address, took: clock::since(began) });
            log::log!(
                target: attempt.log, attempt.level(), pair:% = attempt.pair, address:% = address,
                host = target.host.as_str(), direct_tls = target.direct_tls, took:% = millis(began);
                "connected"
            );
            attempt.record(Event::now(EventKind::Connected).at(address).saying(target.host.as_str()));
            let connection = Connection {
                socket,
                address,
                direct_tls: target.direct_tls,
                within: attempt.remote.handshake_timeout.min(share.time_left()),
                requires_tls: self.had_tls,
                without_external: false,
            };
            let Negotiated { outcome, had_tls, dialback_left } = attempt.negotiate(connection).await;
            self.had_tls |= had_tls;
            let falls_back = self.strategy == Strategy::FirstSuccess && dialback_left && !share.is_spent();
            let outcome = match outcome {
                // The permit is for one connection at a time, and the first one has ended.
                Err(refusal) if falls_back => self.fall_back(address, target, refusal, share).await,
                Err(next) => Err(self.with_policy_cause(next)),
                reached => reached,
            };
            match outcome {
                Ok(outcome) => {
                    if let Some(permit) = permit.filter(|_| G::is_success(&outcome)) {
                        permit.succeed();
                    }
                    return Ok(outcome);
                }
                Err(next) => error = self.further(error, next),
            }
            self.skip_tried(target, &mut addresses);
        }
        Err(Some(error.unwrap_or(AttemptError::Late)))
    }

    /// Marks a refusal by a peer over TLS, so that a node counts how often it is refused. In clear text,
    /// `policy-violation` is most often a rate limit.
    fn with_policy_cause(&self, error: AttemptError) -> AttemptError {
        let counts = self.strategy == Strategy::FirstSuccess && self.had_tls;
        match counts && error.is_refusal_by_policy() {
            true => AttemptError::Refused { error: Box::new(error), again: false },
            false => error,
        }
    }

    fn skip_tried(&self, target: &Target, addresses: &mut Vec<SocketAddr>) {
        addresses.retain(|address| !self.tried.contains(&(*address, target.direct_tls)));
    }

    /// The error of the connection that got further; of two that got equally far, the later one. Missing TLS
    /// elsewhere explains nothing once the remote had TLS.
    fn further(&self, old: Option<AttemptError>, new: AttemptError) -> Option<AttemptError> {
        match old {
            Some(old) if old.progress() > new.progress() || self.had_tls && new.is_without_tls() => Some(old),
            _ => Some(new),
        }
    }

    pub(super) fn requires_tls(&self) -> bool {
        self.had_tls
    }

    pub(super) fn note_tls(&mut self, had_tls: bool) {
        self.had_tls |= had_tls;
    }
}

#[cfg(test)]
mod tests;
