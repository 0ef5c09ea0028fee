//! A store that does not work, or is not in its place any more: it is opened again, or a new one is begun.

use std::{
    mem,
    time::{Duration, Instant},
};

use super::{Journal, RETRY, State};
use crate::{
    restore::{self, Moved, SetAside},
    store::{Error, Place, Store},
};

/// A store that does not work.
#[derive(Debug)]
pub(super) struct Failing {
    pub(super) since: Instant,
    pub(super) retry: Instant,
    pub(super) why: Why,
}

/// What is wrong with a store.
#[derive(Debug)]
pub(super) enum Why {
    /// It has reported an error.
    Error,
    /// It is not in its place any more, and no other can be begun there. It can be read.
    Elsewhere(Box<dyn Store>),
    /// Another program has overwritten it.
    Overwritten,
    /// It was damaged and is set aside, and no other can be begun.
    SetAside(SetAside),
}

/// The store works again.
#[derive(Debug)]
pub struct Reopened {
    /// How long it did not.
    pub failed_for: Duration,
    /// It was damaged, and is a new one now.
    pub set_aside: Option<SetAside>,
}

/// A new store was begun in the place of one that is elsewhere. It has everything that was in that.
#[derive(Debug)]
pub struct Replaced {
    /// The new name of what was in its place.
    pub found: Option<String>,
}

impl State {
    /// The store has reported an error.
    pub(super) fn fails(now: Instant) -> Self {
        Self::Fails(Failing { since: now, retry: now + RETRY, why: Why::Error })
    }
}

impl<T> Journal<T> {
    /// Checks that the store is where it was opened. If it was moved, removed or replaced, a new one is begun in its place with
    /// everything that is in it. `None`: nothing is wrong.
    ///
    /// # Errors
    /// No new one can be begun, or another program has overwritten the store: it does not work until
    /// [`reopen`](Self::reopen). Nothing more is collected; [`abandon`](Self::abandon) gives what was.
    pub fn check_place(&mut self, now: Instant) -> Option<Result<Replaced, Error>> {
        let State::Works(store) = &mut self.state else { return None };
        match store.place() {
            Place::Here => None,
            Place::Overwritten => {
                self.state = State::Fails(Failing { since: now, retry: now, why: Why::Overwritten });
                Some(Err(overwritten()))
            }
            Place::Elsewhere => {
                let State::Works(old) = mem::replace(&mut self.state, State::Closed) else { return None };
                Some(self.begin_anew(old, now, now))
            }
        }
    }

    /// Whether the store is not in its place, and no other could be begun there: what is in it is lost when it is closed.
    pub fn is_elsewhere(&self) -> bool {
        matches!(&self.state, State::Fails(Failing { why: Why::Elsewhere(_), .. }))
    }

    /// Has the next [`reopen`](Self::reopen) open a store that does not work, whatever the time.
    pub fn retry_now(&mut self, now: Instant) {
        if let State::Fails(failing) = &mut self.state {
            failing.retry = failing.retry.min(now);
        }
    }

    /// Opens the store again if it does not work and it is time for that. `None`: it works or is closed, or it is too early.
    ///
    /// # Errors
    /// It still does not work.
    pub fn reopen(&mut self, now: Instant) -> Option<Result<Reopened, Error>> {
        if self.next_attempt().is_none_or(|retry| retry > now) {
            return None;
        }
        let State::Fails(Failing { since, why, .. }) = mem::replace(&mut self.state, State::Closed) else {
            return None;
        };
        let set_aside = match why {
            Why::Elsewhere(old) => self.begin_anew(old, since, now).map(|_| None),
            Why::Overwritten => self.set_aside(overwritten(), Why::Overwritten, since, now).map(Some),
            Why::SetAside(set_aside) => self.begin_from_aside(set_aside, since, now).map(Some),
            Why::Error => self.open_again(since, now),
        };
        let failed_for = now.saturating_duration_since(since);
        Some(set_aside.map(|set_aside| Reopened { failed_for, set_aside }))
    }

    /// Opens the store again. A damaged one is set aside.
    fn open_again(&mut self, since: Instant, now: Instant) -> Result<Option<SetAside>, Error> {
        match restore::open_again(&mut *self.opener) {
            Ok((store, amount)) => {
                (self.state, self.stored) = (State::Works(store), amount);
                Ok(None)
            }
            Err(error @ Error::Damaged(_)) => self.set_aside(error, Why::Error, since, now).map(Some),
            Err(error) => Err(self.fail(Why::Error, since, now, error)),
        }
    }

    /// Sets a damaged store aside, and begins a new one with what can be read of it.
    fn set_aside(&mut self, error: Error, why: Why, since: Instant, now: Instant) -> Result<SetAside, Error> {
        match self.opener.set_aside() {
            Ok(name) => self.begin_from_aside(SetAside { name, error, saved: 0 }, since, now),
            Err(error) => Err(self.fail(why, since, now, error.into())),
        }
    }

    /// Begins a new store with what can be read of the one that was set aside.
    fn begin_from_aside(
        &mut self,
        set_aside: SetAside,
        since: Instant,
        now: Instant,
    ) -> Result<SetAside, Error> {
        match restore::begin_from_aside(&mut *self.opener) {
            Ok((store, amount)) => {
                (self.state, self.stored) = (State::Works(store), amount);
                Ok(SetAside { saved: amount.records, ..set_aside })
            }
            Err(error) => Err(self.fail(Why::SetAside(set_aside), since, now, error)),
        }
    }

    /// Begins a new store in the place of one that is elsewhere.
    fn begin_anew(
        &mut self,
        mut old: Box<dyn Store>,
        since: Instant,
        now: Instant,
    ) -> Result<Replaced, Error> {
        match restore::begin_anew(&mut *self.opener, &mut *old) {
            Ok(Moved { store, amount, found }) => {
                (self.state, self.stored) = (State::Works(store), amount);
                Ok(Replaced { found })
            }
            Err(error) => Err(self.fail(Why::Elsewhere(old), since, now, error)),
        }
    }

    fn fail(&mut self, why: Why, since: Instant, now: Instant, error: Error) -> Error {
        self.state = State::Fails(Failing { since, retry: now + RETRY, why });
        error
    }
}

/// Another program has written to the store.
fn overwritten() -> Error {
    Error::Damaged("another program has cut or overwritten it while this node uses it".into())
}
