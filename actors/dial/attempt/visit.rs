//! One visit of a walk: connects to the addresses of a target, one after the other, until the goal is reached.

use std::{
    cell::{Cell, RefCell},
    mem,
    net::SocketAddr,
    rc::Rc,
};

use super::{
    Attempt, Goal,
    budget::Budget,
    negotiation::{Connection, Negotiated},
    race::{Entrant, Race},
    tcp,
};
use crate::dial::{error::AttemptError, observer::Step};
use net::dns::Target;
use status::{
    display::millis,
    event::{Event, EventKind},
};

/// The targets and addresses that a walk tries, and when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// The strategy of a node, which stops at the first success. A visit is a target: its addresses race,
    /// until one succeeds. A visit that makes no progress is overtaken. Addresses that failed before are left
    /// out, TLS is required once the remote had it, and the limits of the attempt apply.
    FirstSuccess,
    /// The strategy of a probe, which reports every address. A visit is an address, independent of the others
    /// and without limits.
    EveryAddress,
}

/// A target that is being visited.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) target: Target,
    /// The share of the limits of the attempt that its visits may use.
    pub(super) share: Budget,
    /// The visits that are under way.
    pub(super) visits: Cell<usize>,
    addresses: RefCell<Addresses>,
    error: RefCell<Option<AttemptError>>,
}

/// The addresses of a target that no visit has taken.
#[derive(Debug)]
enum Addresses {
    /// They are to be looked up.
    Unknown,
    Left(Vec<SocketAddr>),
}

/// A visit that can be made.
pub(super) struct Visitor<'a, G> {
    pub(super) attempt: &'a Attempt<G>,
    pub(super) strategy: Strategy,
    pub(super) race: Rc<Race>,
    pub(super) place: Rc<Place>,
    pub(super) entrant: Rc<Entrant>,
}

/// The end of a visit.
pub(super) struct Ended<T> {
    pub(super) place: Rc<Place>,
    pub(super) entrant: Rc<Entrant>,
    /// The address, if the visit was to one address only.
    pub(super) address: Option<SocketAddr>,
    pub(super) end: End<T>,
}

/// How a visit has ended.
pub(super) enum End<T> {
    /// It reached the goal.
    Reached(T),
    Failed(AttemptError),
    /// Its addresses were tried before.
    Skipped,
    /// Another visit reached the goal first.
    Outrun,
}

impl Place {
    pub(super) fn new(target: Target, share: Budget) -> Rc<Self> {
        let (visits, error) = Default::default();
        Rc::new(Self { target, share, visits, addresses: RefCell::new(Addresses::Unknown), error })
    }

    /// A target whose addresses were looked up.
    #[cfg(test)]
    pub(super) fn located(target: Target, share: Budget, addresses: Vec<SocketAddr>) -> Rc<Self> {
        let place = Self::new(target, share);
        place.put(addresses);
        place
    }

    /// Whether a further visit could try an address.
    pub(super) fn has_left(&self, race: &Race) -> bool {
        let tried = race.tried.borrow();
        match &*self.addresses.borrow() {
            Addresses::Unknown => false,
            Addresses::Left(left) => {
                !self.share.is_spent() && left.iter().any(|address| !tried.contains(&self.key(*address)))
            }
        }
    }

    /// Whether every address was taken by a visit.
    pub(super) fn is_exhausted(&self) -> bool {
        matches!(&*self.addresses.borrow(), Addresses::Left(left) if left.is_empty())
    }

    /// Keeps the error of a visit, if it is further than those before.
    pub(super) fn note(&self, error: AttemptError, had_tls: bool) {
        let old = self.error.take();
        self.error.replace(AttemptError::further(old, error, had_tls));
    }

    /// Takes the error of the visits.
    pub(super) fn take_error(&self) -> Option<AttemptError> {
        self.error.take()
    }

    fn key(&self, address: SocketAddr) -> (SocketAddr, bool) {
        (address, self.target.direct_tls)
    }

    fn put(&self, addresses: Vec<SocketAddr>) {
        self.addresses.replace(Addresses::Left(addresses));
    }

    fn take(&self) -> Vec<SocketAddr> {
        match &mut *self.addresses.borrow_mut() {
            Addresses::Unknown => Vec::new(),
            Addresses::Left(left) => mem::take(left),
        }
    }
}

impl<G: Goal> Visitor<'_, G> {
    /// Makes the visit. It ends when another one has authenticated.
    ///
    /// The end is in a box, as a walk has place for one while it waits.
    pub(super) async fn run(self) -> Box<Ended<G::Outcome>> {
        let mut address = None;
        let end = tokio::select! {
            biased;
            end = self.visit(&mut address) => end,
            () = self.entrant.outrun() => End::Outrun,
        };
        Box::new(Ended { place: self.place, entrant: self.entrant, address, end })
    }

    /// `only` is the address, if it is the only one.
    async fn visit(&self, only: &mut Option<SocketAddr>) -> End<G::Outcome> {
        let attempt = self.attempt;
        if let Err(error) = self.look_up().await {
            return End::Failed(error);
        }
        let mut addresses = self.choose();
        if !addresses.is_empty() {
            attempt.observe(|| Step::Visiting(&addresses));
        }
        *only = addresses.first().copied().filter(|_| addresses.len() == 1);
        self.leave_out_tried(&mut addresses);
        if addresses.is_empty() {
            return End::Skipped;
        }
        let mut error = None;
        while !addresses.is_empty() && !self.place.share.is_spent() {
            match self.try_one(&addresses).await {
                Ok(outcome) => return End::Reached(outcome),
                Err(Tried::AllFailed(next)) => {
                    error = AttemptError::further(error, next, self.race.had_tls());
                    break;
                }
                Err(Tried::Denied(denied)) => return End::Failed(denied),
                Err(Tried::One(next)) if next.is_about_resumption() => {
                    // Another connection of this attempt would ask again.
                    attempt.count_refused_resumption();
                    return End::Failed(next);
                }
                Err(Tried::One(next)) => {
                    error = AttemptError::further(error, next, self.race.had_tls());
                }
            }
            addresses = match self.strategy {
                Strategy::FirstSuccess => self.place.take(),
                Strategy::EveryAddress => Vec::new(),
            };
            self.leave_out_tried(&mut addresses);
        }
        End::Failed(error.unwrap_or(AttemptError::Late))
    }

    /// Looks up the addresses of the target, if that was not done before.
    async fn look_up(&self) -> Result<(), AttemptError> {
        if matches!(&*self.place.addresses.borrow(), Addresses::Left(_)) {
            return Ok(());
        }
        let attempt = self.attempt;
        attempt.observe(|| Step::Entered(&self.place.target));
        let found = attempt.addresses(&self.place.target).await;
        let mut addresses = found.inspect_err(|_| self.place.put(Vec::new()))?;
        if let Some(lost) = &attempt.lost {
            // The sort is stable.
            addresses.sort_by_key(|address| *address != lost.address);
        }
        attempt.observe(|| Step::Located(&addresses));
        self.place.put(addresses);
        Ok(())
    }

    /// Takes the addresses of the visit.
    fn choose(&self) -> Vec<SocketAddr> {
        let mut addresses = self.place.take();
        if self.strategy == Strategy::EveryAddress && !addresses.is_empty() {
            self.race.forget();
            self.place.put(addresses.split_off(1));
        }
        addresses
    }

    /// Connects to one of `addresses`, and negotiates. Other visits may take the rest meanwhile.
    async fn try_one(&self, addresses: &[SocketAddr]) -> Result<G::Outcome, Tried> {
        let (attempt, target, share) = (self.attempt, &self.place.target, &self.place.share);
        let began = clock::now();
        let connected = attempt.connect_any(addresses, share, &self.entrant).await;
        let (connected, failed) = connected.map_err(Tried::Denied)?;
        self.race.tried.borrow_mut().extend(failed.iter().map(|(address, _)| self.place.key(*address)));
        let Some(tcp::Connected { socket, permit }) = connected else {
            let error = if failed.is_empty() { AttemptError::Late } else { AttemptError::Connect(failed) };
            return Err(Tried::AllFailed(error));
        };
        let Ok(address) = socket.peer_addr() else {
            return Err(Tried::Denied(AttemptError::Crashed));
        };
        self.race.tried.borrow_mut().push(self.place.key(address));
        self.give_back(addresses);
        attempt.observe(|| Step::Connected { address, took: clock::since(began) });
        log::log!(
            target: attempt.log, attempt.level(), pair:% = attempt.pair, address:% = address,
            host = target.host.as_str(), direct_tls = target.direct_tls, took:% = millis(began);
            "connected"
        );
        attempt.record(Event::now(EventKind::Connected).at(address).saying(target.host.as_str()));
        let connection = Connection {
            entrant: &self.entrant,
            socket,
            address,
            direct_tls: target.direct_tls,
            within: attempt.remote.handshake_timeout.min(share.time_left()),
            without_external: false,
        };
        // In boxes that exist from here on: many visits wait for a permit, and what follows takes most of the space.
        let Negotiated { outcome, dialback_left } = Box::pin(attempt.negotiate(connection)).await;
        let falls_back = self.strategy == Strategy::FirstSuccess && dialback_left && !share.is_spent();
        let outcome = match outcome {
            // The permit is for one connection at a time, and the first one has ended.
            Err(refusal) if falls_back => Box::pin(self.fall_back(address, refusal)).await,
            Err(next) => Err(self.with_policy_cause(next)),
            reached => reached,
        };
        let outcome = outcome.map_err(Tried::One)?;
        if let Some(permit) = permit.filter(|_| G::is_success(&outcome)) {
            permit.succeed();
        }
        Ok(outcome)
    }

    /// Gives the addresses back that were not tried.
    fn give_back(&self, taken: &[SocketAddr]) {
        if self.strategy == Strategy::FirstSuccess {
            let mut left = taken.to_vec();
            self.leave_out_tried(&mut left);
            left.extend(self.place.take());
            self.place.put(left);
        }
    }

    fn leave_out_tried(&self, addresses: &mut Vec<SocketAddr>) {
        let tried = self.race.tried.borrow();
        addresses.retain(|address| !tried.contains(&self.place.key(*address)));
    }

    /// Marks a refusal by a peer over TLS, so that a node counts how often it is refused. In clear text,
    /// `policy-violation` is most often a rate limit.
    fn with_policy_cause(&self, error: AttemptError) -> AttemptError {
        let counts = self.strategy == Strategy::FirstSuccess && self.race.had_tls();
        match counts && error.is_refusal_by_policy() {
            true => AttemptError::Refused { error: Box::new(error), again: false },
            false => error,
        }
    }
}

/// The failure to reach the goal at some addresses.
enum Tried {
    /// No address could be connected to.
    AllFailed(AttemptError),
    /// No address may be connected to.
    Denied(AttemptError),
    /// One was connected to, and the negotiation failed.
    One(AttemptError),
}

impl AttemptError {
    /// The error of the connection that got further; of two that got equally far, the later one. Missing TLS
    /// elsewhere explains nothing once the remote had TLS.
    pub(super) fn further(old: Option<Self>, new: Self, had_tls: bool) -> Option<Self> {
        match old {
            Some(old) if old.progress() > new.progress() || had_tls && new.is_without_tls() => Some(old),
            _ => Some(new),
        }
    }
}
