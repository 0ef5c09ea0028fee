//! Visits the targets of a domain and the addresses of each target, and follows redirects.
//!
//! A visit that makes no progress for [`PATIENCE`] is overtaken: the next address or target is visited beside it,
//! in SRV order, up to [`BESIDE`] of them. The first to authenticate wins ([`super::race`]).

use std::{
    net::SocketAddr,
    pin::Pin,
    rc::Rc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::time;

use super::{
    Attempt, Goal,
    budget::Budget,
    race::{Entrant, Race},
    targets::{Targets, list},
    visit::{End, Ended, Place, Strategy, Visitor},
};
use crate::{
    dial::error::AttemptError,
    observe::metrics::{Phase, Purpose},
};
use net::dns::Target;
use status::{
    display::millis,
    event::{Event, EventKind},
};

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
pub struct Walk<'a, G: Goal> {
    attempt: &'a Attempt<G>,
    strategy: Strategy,
    race: Rc<Race>,
    /// The targets that were not visited yet.
    targets: Targets,
    /// The targets that are being visited, in their order.
    places: Vec<Rc<Place>>,
    visits: FuturesUnordered<Visiting<'a, G>>,
    /// The visits that are under way, oldest first.
    entrants: Vec<(Rc<Entrant>, Rc<Place>)>,
    /// The number of visits so far.
    begun: usize,
    /// The error to report if no visit succeeds.
    error: Option<AttemptError>,
}

/// A visit that is under way.
type Visiting<'a, G> = Pin<Box<dyn Future<Output = Box<Ended<<G as Goal>::Outcome>>> + 'a>>;

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
        let preferred = attempt.lost.as_ref().map(|lost| lost.address);
        let targets = match preferred {
            Some(preferred) => attempt.prefer(preferred, targets).await,
            None => targets,
        };
        Ok(Self::over(attempt, strategy, targets))
    }

    /// A walk over targets that are known.
    fn over(attempt: &'a Attempt<G>, strategy: Strategy, targets: Vec<Target>) -> Self {
        let budget = match strategy {
            Strategy::FirstSuccess => Budget::new(&attempt.limits),
            Strategy::EveryAddress => Budget::unlimited(),
        };
        let owner = attempt.owner.clone().map(|owner| (owner, attempt.pair.clone()));
        Self {
            attempt,
            strategy,
            race: Race::new(budget, owner),
            targets: Targets::new(targets),
            places: Vec::new(),
            visits: FuturesUnordered::new(),
            entrants: Vec::new(),
            begun: 0,
            error: None,
        }
    }

    /// The targets that were not visited yet.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        self.targets.left()
    }

    /// Waits for the end of the next visit. `None`: everything was visited, or a limit of the attempt is
    /// reached.
    pub async fn next(&mut self) -> Option<Visit<G::Outcome>> {
        loop {
            if self.entrants.is_empty() {
                self.begin_next()?;
            } else {
                self.overtake();
            }
            // After the time without progress another visit may begin.
            if let Ok(ended) = time::timeout(self.patience(), self.visits.next()).await
                && let Some(visit) = self.take(ended?).await
            {
                return Some(visit);
            }
        }
    }

    /// The error of the visit that got furthest.
    pub(crate) fn into_error(self) -> AttemptError {
        self.error.unwrap_or(AttemptError::Late)
    }

    /// Begins the next visit. `None`: nothing is left, or a limit is reached.
    fn begin_next(&mut self) -> Option<Rc<Place>> {
        let place = match self.place_with_addresses() {
            Some(place) => place,
            None => self.enter()?,
        };
        let entrant = Rc::new(Entrant::new(&self.race, self.begun));
        self.begun += 1;
        place.visits.set(place.visits.get() + 1);
        self.race.visit_begins();
        self.entrants.push((Rc::clone(&entrant), Rc::clone(&place)));
        let visitor = Visitor {
            attempt: self.attempt,
            strategy: self.strategy,
            race: Rc::clone(&self.race),
            place: Rc::clone(&place),
            entrant,
        };
        self.visits.push(Box::pin(visitor.run()));
        Some(place)
    }

    /// The first target with an address that no visit has taken. A target that has two visits leaves the next
    /// one to another target: all of its addresses may be those of one machine.
    fn place_with_addresses(&self) -> Option<Rc<Place>> {
        let last = self.targets.left().len() == 0;
        let place = self
            .places
            .iter()
            .find(|place| place.has_left(&self.race) && (last || place.visits.get() < BESIDE_AT_ONE_TARGET));
        place.cloned()
    }

    /// Takes the next target. `None`: there is none, or a limit is reached.
    fn enter(&mut self) -> Option<Rc<Place>> {
        let attempt = self.attempt;
        let target = self.targets.take_next()?;
        let budget = &self.race.budget;
        if budget.is_spent() || !budget.try_take_lookup() {
            log::log!(
                target: attempt.log, attempt.level(), pair:% = attempt.pair, untried = self.targets.left().len() + 1;
                "gave up: a limit of the attempt is reached"
            );
            self.targets.clear();
            return None;
        }
        let place = Place::new(target, budget.share(self.targets.left().len() == 0));
        self.places.push(Rc::clone(&place));
        Some(place)
    }

    /// The time of the last progress of any visit. The wait for a permit is no lack of progress, unless another
    /// visit waits for its peer.
    fn last_progress(&self) -> Instant {
        if let [(only, _)] = &*self.entrants
            && only.is_waiting()
        {
            return clock::now();
        }
        let times = self.entrants.iter().map(|(entrant, _)| entrant.last_progress());
        times.max().unwrap_or_else(clock::now)
    }

    /// The time without progress after which the next visit begins.
    fn allowed(&self) -> Duration {
        if self.entrants.len() > 1 { PATIENCE_BESIDE } else { PATIENCE }
    }

    /// The time until it is known whether a visit has made progress.
    fn patience(&self) -> Duration {
        let left = self.allowed().saturating_sub(clock::since(self.last_progress()));
        // There is nothing to begin: later there may be.
        if left.is_zero() { PATIENCE } else { left }
    }

    /// Begins the next visit beside those that make no progress, if there are such.
    fn overtake(&mut self) {
        let attempt = self.attempt;
        let (running, stalled) = (self.entrants.len(), clock::since(self.last_progress()) >= self.allowed());
        let may = self.strategy == Strategy::FirstSuccess && !self.race.is_decided();
        if !may || !stalled || running >= BESIDE || self.race.budget.is_spent() {
            return;
        }
        let Some((delay, target)) =
            self.entrants.last().map(|(entrant, place)| (entrant.delay(), place.target.clone()))
        else {
            return;
        };
        let Some(next) = self.begin_next() else { return };
        let sentence = delay.sentence(&attempt.pair.remote);
        log::log!(
            target: attempt.log, attempt.level(), pair:% = attempt.pair, at:% = target, reason = sentence.as_str(),
            next:% = next.target;
            "overtaken: no progress, so the next address or target is tried too"
        );
        let text = format!("{target}: {sentence}; {} is tried too", next.target);
        attempt.record(Event::now(EventKind::Overtaken).saying(text));
    }

    /// Takes the end of a visit. `None`: it has no outcome of its own.
    async fn take(&mut self, ended: Box<Ended<G::Outcome>>) -> Option<Visit<G::Outcome>> {
        let has_won = ended.entrant.has_won();
        let visit = self.end(*ended);
        if has_won {
            // They end at once, as the race is decided.
            while let Some(ended) = self.visits.next().await {
                self.end(*ended);
            }
            self.race.reopen();
        }
        visit
    }

    /// Notes the end of a visit.
    fn end(&mut self, ended: Ended<G::Outcome>) -> Option<Visit<G::Outcome>> {
        let attempt = self.attempt;
        let Ended { place, entrant, address, end } = ended;
        self.entrants.retain(|(other, _)| !Rc::ptr_eq(other, &entrant));
        place.visits.set(place.visits.get().saturating_sub(1));
        let target = place.target.clone();
        let is_last = place.is_exhausted();
        let outcome = match end {
            End::Reached(outcome) => Some(Ok(outcome)),
            End::Failed(error) => {
                self.race.visit_ended();
                if error.is_about_resumption() {
                    // The next attempt does not ask, and is made at once.
                    self.targets.clear();
                    self.places.clear();
                    self.error = Some(error.clone());
                } else {
                    place.note(error.clone(), self.race.had_tls());
                }
                Some(Err(error))
            }
            End::Skipped => {
                self.race.visit_ended();
                log::debug!(
                    target: attempt.log, pair:% = attempt.pair, at:% = target;
                    "skipped: its addresses were tried before"
                );
                None
            }
            End::Outrun => {
                log::log!(
                    target: attempt.log, attempt.level(), pair:% = attempt.pair, at:% = target;
                    "given up: another connection was authenticated first"
                );
                None
            }
        };
        let goes_on = place.visits.get() > 0 || self.strategy == Strategy::EveryAddress && !is_last;
        if let Some(at) = self.places.iter().position(|other| Rc::ptr_eq(other, &place))
            && !goes_on
        {
            self.places.remove(at);
            self.leave(&place);
        }
        outcome.map(|outcome| Visit { target, address, outcome, is_last })
    }

    /// Follows the redirect of a target, or keeps its error.
    fn leave(&mut self, place: &Place) {
        let (attempt, target) = (self.attempt, &place.target);
        let Some(error) = place.take_error() else { return };
        if let Some(other) = self.targets.follow(&error, target) {
            // The peer may redirect us to an address that was tried before: the server may answer differently
            // now.
            self.race.tried.borrow_mut().clear();
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
        self.error = AttemptError::further(self.error.take(), error, self.race.had_tls());
    }
}

/// The time without progress after which a visit is overtaken. A peer that is well answers each step within
/// a round trip and the time to verify a dialback key, most often within a second.
const PATIENCE: Duration = Duration::from_secs(3);

/// The same for a visit that has overtaken another one. The attempt is late already, and the addresses of one
/// target often lead to one machine.
const PATIENCE_BESIDE: Duration = Duration::from_secs(1);

/// Visits beside each other. Each costs the remote a connection and us about 30 KiB.
const BESIDE: usize = 3;

/// Visits beside each other at one target, while other targets are left.
const BESIDE_AT_ONE_TARGET: usize = 2;

#[cfg(test)]
mod tests;
