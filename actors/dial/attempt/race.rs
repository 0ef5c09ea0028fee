//! The state that the visits of one attempt share: its limits, the progress of each visit, and the first one that
//! authenticates.
//!
//! The race is decided when a visit has authenticated, before it asks for acknowledgements or for a lost stream
//! (XEP-0198). So at most one connection of an attempt asks for a stream. The other visits end then; those with
//! an open stream close it.

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::sync::Notify;
use xmpp::{DomainPair, stream::Stage};

use super::{Owner, Resumed, Waiting, budget::Budget};
use crate::dial::error::{At, AttemptError};
use net::happy_eyeballs::ConnectError;

/// The state that the visits of one attempt share.
#[derive(Debug)]
pub(super) struct Race {
    /// The limits of the attempt.
    pub(super) budget: Rc<Budget>,
    /// The addresses that were connected to, and whether with direct TLS.
    pub(super) tried: RefCell<Vec<(SocketAddr, bool)>>,
    /// TLS with the remote has succeeded once. From then on it is required: an attacker who can make us use
    /// another target must not downgrade the connection with it.
    had_tls: Cell<bool>,
    /// The number of the visit that authenticated first.
    winner: Cell<Option<usize>>,
    /// Wakes the others when one has authenticated.
    decided: Notify,
    waits: Waits,
}

/// The visits that wait for a permit. The owner knows while all of them do: then the attempt makes no connection.
#[derive(Debug)]
struct Waits {
    owner: Option<(Owner, DomainPair)>,
    running: Cell<usize>,
    waiting: Cell<usize>,
    /// Since when all wait.
    since: Cell<Option<Instant>>,
}

/// One visit in the race.
#[derive(Debug)]
pub(super) struct Entrant {
    race: Rc<Race>,
    number: usize,
    point: Cell<Point>,
    /// The time at which it reached this point.
    since: Cell<Instant>,
}

/// How far a visit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Point {
    /// It looks up the addresses of its target.
    Lookup,
    /// It waits for a permit to connect.
    Permit,
    /// It connects; the first of the addresses.
    Connecting(SocketAddr),
    /// It negotiates with this address.
    Negotiating(SocketAddr, Stage),
}

impl Race {
    /// A race within the limits of `budget`. `owner` is told when the attempt waits for a permit.
    pub(super) fn new(budget: Budget, owner: Option<(Owner, DomainPair)>) -> Rc<Self> {
        let (running, waiting, since) = Default::default();
        Rc::new(Self {
            budget: Rc::new(budget),
            tried: RefCell::default(),
            had_tls: Cell::default(),
            winner: Cell::default(),
            decided: Notify::new(),
            waits: Waits { owner, running, waiting, since },
        })
    }

    /// Whether a visit has authenticated.
    pub(super) fn is_decided(&self) -> bool {
        self.winner.get().is_some()
    }

    /// Begins again after the end of every visit: the one that authenticated has failed.
    pub(super) fn reopen(&self) {
        self.winner.set(None);
        self.waits.waiting.set(0);
        self.waits.running.set(0);
    }

    /// Forgets the addresses that were tried, and that there was TLS.
    pub(super) fn forget(&self) {
        self.tried.borrow_mut().clear();
        self.had_tls.set(false);
    }

    pub(super) fn had_tls(&self) -> bool {
        self.had_tls.get()
    }

    /// Counts a visit that begins.
    pub(super) fn visit_begins(&self) {
        self.waits.running.set(self.waits.running.get() + 1);
        self.update_waits();
    }

    /// Counts a visit that has ended, and waits for no permit.
    pub(super) fn visit_ended(&self) {
        self.waits.running.set(self.waits.running.get().saturating_sub(1));
        self.update_waits();
    }

    /// Counts a visit that waits for a permit from now on.
    fn wait_begins(&self) {
        self.waits.waiting.set(self.waits.waiting.get() + 1);
        self.update_waits();
    }

    /// Counts a visit that no longer waits for a permit.
    fn wait_ended(&self) {
        self.waits.waiting.set(self.waits.waiting.get().saturating_sub(1));
        self.update_waits();
    }

    /// Informs the owner when all visits wait, and when one of them goes on. The time between does not count.
    fn update_waits(&self) {
        let Waits { owner, running, waiting, since } = &self.waits;
        let all_wait = running.get() > 0 && waiting.get() == running.get();
        match (since.get(), all_wait) {
            (None, true) => {
                since.set(Some(clock::now()));
                if let Some((owner, pair)) = owner {
                    // An owner that is gone needs to know nothing.
                    let _ = owner.waiting.signal(Waiting { pair: pair.clone() });
                }
            }
            (Some(began), false) => {
                since.set(None);
                self.budget.add_wait(clock::since(began));
                if let Some((owner, pair)) = owner {
                    let _ = owner.resumed.signal(Resumed { pair: pair.clone() });
                }
            }
            (Some(_), true) | (None, false) => {}
        }
    }
}

impl Entrant {
    /// A visit with its number, which is unique in the race.
    pub(super) fn new(race: &Rc<Race>, number: usize) -> Self {
        let (point, since) = (Cell::new(Point::Lookup), Cell::new(clock::now()));
        Self { race: Rc::clone(race), number, point, since }
    }

    /// A visit without others.
    pub(super) fn alone() -> Self {
        Self::new(&Race::new(Budget::unlimited(), None), 0)
    }

    /// Notes that the visit has come to this point.
    pub(super) fn reach(&self, point: Point) {
        if self.point.replace(point) != point {
            self.since.set(clock::now());
        }
    }

    /// The visit waits for a permit to connect from now on.
    pub(super) fn wait_begins(&self) {
        self.reach(Point::Permit);
        self.race.wait_begins();
    }

    /// The visit no longer waits for a permit.
    pub(super) fn wait_ended(&self) {
        self.race.wait_ended();
    }

    /// The time of its last progress.
    pub(super) fn last_progress(&self) -> Instant {
        self.since.get()
    }

    /// Whether it waits for a permit to connect.
    pub(super) fn is_waiting(&self) -> bool {
        self.point.get() == Point::Permit
    }

    /// The error that describes the point at which the visit waits, and the time.
    pub(super) fn delay(&self) -> AttemptError {
        // Whole seconds are precise enough.
        let after = Duration::from_secs(clock::since(self.since.get()).as_secs());
        match self.point.get() {
            Point::Lookup | Point::Permit => AttemptError::Late,
            Point::Connecting(address) => AttemptError::Connect(vec![(address, ConnectError::Silent(after))]),
            Point::Negotiating(address, stage) => {
                AttemptError::TimedOut { at: At { address, stage, distrusted: None }, after }
            }
        }
    }

    /// The visit has authenticated. Gives whether it is the first; the others end then.
    pub(super) fn wins(&self) -> bool {
        let race = &self.race;
        if !race.is_decided() {
            race.winner.set(Some(self.number));
            race.decided.notify_waiters();
        }
        self.has_won()
    }

    /// Whether the visit was the first to authenticate.
    pub(super) fn has_won(&self) -> bool {
        self.race.winner.get() == Some(self.number)
    }

    /// Waits until another visit has authenticated.
    pub(super) async fn outrun(&self) {
        loop {
            // Made before the look: it is complete if the race is decided in between.
            let decided = self.race.decided.notified();
            if self.race.winner.get().is_some_and(|winner| winner != self.number) {
                return;
            }
            decided.await;
        }
    }

    /// Notes that the remote has TLS.
    pub(super) fn note_tls(&self) {
        self.race.had_tls.set(true);
    }

    /// Whether TLS is required, whatever the policy says.
    pub(super) fn requires_tls(&self) -> bool {
        self.race.had_tls()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn race() -> Rc<Race> {
        Race::new(Budget::unlimited(), None)
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_visit_that_authenticates_wins_and_the_others_learn_it() {
        let race = race();
        let [one, other] = [1, 2].map(|number| Entrant::new(&race, number));
        assert!(!race.is_decided());
        assert!(other.wins() && other.wins() && !one.wins() && !one.has_won());
        one.outrun().await;
        let second = Duration::from_secs(1);
        assert!(tokio::time::timeout(second, other.outrun()).await.is_err(), "it has won");
        race.reopen();
        assert!(!race.is_decided() && one.wins());
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_point_is_progress() {
        let entrant = Entrant::new(&race(), 0);
        let began = clock::now();
        let address = ([192, 0, 2, 7], 5269).into();
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(entrant.last_progress(), began);
        for point in [Point::Permit, Point::Connecting(address), Point::Negotiating(address, Stage::Header)] {
            entrant.reach(point);
            tokio::time::advance(Duration::from_secs(3)).await;
            entrant.reach(point);
            assert_eq!(clock::since(entrant.last_progress()), Duration::from_secs(3));
        }
        let delay = entrant.delay().to_string();
        let expected = "192.0.2.7:5269 within 3 s while we were waiting for the stream header";
        assert!(delay.contains(expected), "{delay}");
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_all_visits_wait_for_a_permit_does_not_count() {
        let race = Race::new(
            Budget::new(&super::super::Limits {
                time: Duration::from_secs(10),
                connections: 1,
                lookups: 1,
                allows_local_scope: true,
            }),
            None,
        );
        let second = Duration::from_secs(1);
        race.visit_begins();
        race.visit_begins();
        race.wait_begins();
        tokio::time::advance(second).await;
        assert_eq!(race.budget.time_left(), 9 * second, "the other visit goes on");
        race.wait_begins();
        tokio::time::advance(second).await;
        race.wait_ended();
        assert_eq!(race.budget.time_left(), 9 * second);
        race.visit_ended();
        tokio::time::advance(second).await;
        race.wait_ended();
        assert_eq!(race.budget.time_left(), 9 * second, "only the one that waits was left");
    }
}
