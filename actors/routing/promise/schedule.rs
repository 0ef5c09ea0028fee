//! The schedule of the pairs: when a failed pair is tried again (back-off), when its failure is forgotten,
//! and when to look at each pair next.
//!
//! When a pause is over, the pair waits in the retry queue. Retries are started at a limited rate: they are
//! not urgent, and when a hundred thousand domains are unreachable, their attempts would take the processor
//! from the domains that are reachable.
//!
//! Pauses grow while no connection can be opened, and while the remote server says that it lacks resources. While it
//! accepts connections otherwise, they stay short, as it is most often being started. A link that was lost after it had carried stanzas is followed by an attempt at
//! once, as long as the pair has tokens for that.
//!
//! Architecture Invariant: plain data. The caller passes the time, makes the attempts and answers the
//! stanzas.

#[cfg(test)]
mod tests;

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use xmpp::{DomainPair, policy::Rules};

use super::priority::PriorityQueue;
use crate::{
    dial::{backoff, error::AttemptError, token_bucket::TokenBucket},
    routing::capacity,
    settings::Promise as Bounds,
};

/// When each pair is tried again.
#[derive(Debug)]
pub(super) struct Schedule {
    bounds: Bounds,
    entries: HashMap<DomainPair, Entry>,
    /// The wake-ups of the pairs. Only the one in the pair's entry counts.
    timers: BinaryHeap<Reverse<(Instant, DomainPair)>>,
    /// The pairs whose pause is over.
    retries: PriorityQueue,
    /// The failures in a row of the pairs that have a session now. They count again if the session is
    /// short-lived.
    before_session: HashMap<DomainPair, u32>,
    /// The attempts without a pause that are left to pairs whose link was lost lately.
    at_once: HashMap<DomainPair, TokenBucket>,
    /// The pairs in a short pause.
    short_pauses: usize,
}

/// The schedule of one pair.
#[derive(Debug, Default)]
struct Entry {
    /// Failed attempts in a row.
    failures: u32,
    /// The last of these failures.
    last_failure: Option<Box<AttemptError>>,
    /// The end of the pause after a failure; `None`: the pair is not in a pause.
    pause_ends: Option<Instant>,
    /// The pause is a short one: the remote server accepts connections.
    is_short: bool,
    /// The pair is in the retry queue.
    in_retries: bool,
    contact: RemoteContact,
    /// The earliest timer of the pair.
    wake_up: Option<Instant>,
}

/// Whether the remote server contacted us during the attempt. The failure of the attempt may be older than
/// that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum RemoteContact {
    #[default]
    None,
    DuringThisAttempt,
    /// It contacted us during the last attempt, and this attempt was started because of that.
    DuringLastAttempt,
}

/// A pause after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pause {
    pub(super) ends: Instant,
    /// The pair is in the retry queue.
    pub(super) in_retries: bool,
}

/// The action for a pair at a wake-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing waits, and the last failure is too old to be of use.
    Forget,
    /// The pause is over and something waits.
    Retry,
    Nothing,
}

impl Schedule {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            entries: HashMap::new(),
            timers: BinaryHeap::new(),
            retries: PriorityQueue::default(),
            before_session: HashMap::new(),
            at_once: HashMap::new(),
            short_pauses: 0,
        }
    }

    /// Changes the bounds of the back-off, from the next pause on.
    pub(super) fn set_bounds(&mut self, bounds: Bounds) {
        self.bounds = bounds;
    }

    /// The configured local names, each of which has a fair share of the retries.
    pub(super) fn set_names(&mut self, names: Option<Arc<Rules>>) {
        self.retries.set_names(names);
    }

    pub(super) fn insert(&mut self, pair: DomainPair) {
        self.entries.entry(pair).or_default();
    }

    pub(super) fn remove(&mut self, pair: &DomainPair) {
        self.end_pause(pair);
        self.entries.remove(pair);
    }

    /// Removes a pair that has a session now, and keeps its failures in case the session is short-lived.
    pub(super) fn remove_connected(&mut self, pair: &DomainPair) {
        self.end_pause(pair);
        let Some((pair, entry)) = self.entries.remove_entry(pair) else { return };
        if entry.failures > 0 {
            self.before_session.insert(pair, entry.failures);
        }
    }

    /// Notes that a pair has a session now, while stanzas still wait, and keeps its failures in case the session is
    /// short-lived.
    pub(super) fn connected(&mut self, pair: &DomainPair) {
        let Some(entry) = self.entries.get_mut(pair) else { return };
        entry.last_failure = None;
        let failures = std::mem::take(&mut entry.failures);
        if failures > 0 {
            self.before_session.insert(pair.clone(), failures);
        }
    }

    /// Takes the failures in a row from before the session of the pair.
    pub(super) fn take_failures_before_session(&mut self, pair: &DomainPair) -> u32 {
        self.before_session.remove(pair).unwrap_or(0)
    }

    /// Failed attempts in a row.
    pub(super) fn failures(&self, pair: &DomainPair) -> u32 {
        self.entries.get(pair).map_or(0, |entry| entry.failures)
    }

    pub(super) fn set_failures(&mut self, pair: &DomainPair, failures: u32) {
        if let Some(entry) = self.entries.get_mut(pair) {
            entry.failures = failures;
        }
    }

    pub(super) fn last_failure(&self, pair: &DomainPair) -> Option<&AttemptError> {
        self.entries.get(pair).and_then(|entry| entry.last_failure.as_deref())
    }

    /// Starts the pause after a failure. Returns its end.
    pub(super) fn pause(
        &mut self,
        pair: &DomainPair,
        failure: AttemptError,
        now: Instant,
    ) -> Option<Instant> {
        self.end_pause(pair);
        let entry = self.entries.get_mut(pair)?;
        entry.failures += 1;
        entry.contact = RemoteContact::None;
        entry.is_short = failure.may_pass_soon();
        entry.last_failure = Some(Box::new(failure));
        let longest = if entry.is_short {
            self.short_pauses += 1;
            let spread = BETWEEN_SHORT.saturating_mul(u32::try_from(self.short_pauses).unwrap_or(u32::MAX));
            SHORT.max(self.bounds.backoff_first).max(spread).min(self.bounds.backoff_longest)
        } else {
            self.bounds.backoff_longest
        };
        entry.pause_ends = Some(now + backoff::pause(&self.bounds, longest, entry.failures));
        entry.pause_ends
    }

    /// Whether an attempt may follow the loss of a link at once. It counts.
    pub(super) fn may_dial_at_once(&mut self, pair: &DomainPair, now: Instant) -> bool {
        let new = || TokenBucket::new(AT_ONCE, AT_ONCE_PER_SECOND, now);
        let bucket = self.at_once.entry(pair.clone()).or_insert_with(new);
        let may = bucket.has_room(now);
        if may {
            bucket.take(now);
        }
        may
    }

    /// Ends the pause of a pair, if it is in one.
    pub(super) fn end_pause(&mut self, pair: &DomainPair) {
        if let Some(entry) = self.entries.get_mut(pair) {
            entry.pause_ends = None;
            self.short_pauses -= usize::from(std::mem::take(&mut entry.is_short));
        }
    }

    /// The pause that the pair is in.
    pub(super) fn pause_of(&self, pair: &DomainPair) -> Option<Pause> {
        let entry = self.entries.get(pair)?;
        Some(Pause { ends: entry.pause_ends?, in_retries: entry.in_retries })
    }

    /// Whether the pair is in a pause that is not over, or waits for its retry.
    pub(super) fn is_in_pause(&self, pair: &DomainPair, now: Instant) -> bool {
        self.pause_of(pair).is_some_and(|pause| pause.in_retries || now < pause.ends)
    }

    /// Sets the timer for the next wake-up of a pair: at `deadline`, the earliest time at which something
    /// that waits for the pair has to be looked at, or at the end of the pause.
    pub(super) fn plan(&mut self, pair: &DomainPair, deadline: Option<Instant>, idle: bool) {
        let Some(entry) = self.entries.get_mut(pair) else { return };
        let pause = match entry.pause_ends {
            Some(ends) if idle => Some(ends + FORGET_AFTER),
            Some(_) if entry.in_retries => None,
            ends => ends,
        };
        let Some(next) = [deadline, pause].into_iter().flatten().min() else { return };
        if entry.wake_up.is_none_or(|earliest| next < earliest) {
            entry.wake_up = Some(next);
            self.timers.push(Reverse((next, pair.clone())));
        }
    }

    /// Takes the next pair whose timer has run out. The caller plans its next wake-up.
    pub(super) fn next_wake_up(&mut self, now: Instant) -> Option<DomainPair> {
        while self.timers.peek().is_some_and(|Reverse((at, _))| *at <= now) {
            let Reverse((at, pair)) = self.timers.pop()?;
            // A timer that an earlier one has replaced is ignored.
            if let Some(entry) = self.entries.get_mut(&pair)
                && entry.wake_up == Some(at)
            {
                entry.wake_up = None;
                return Some(pair);
            }
        }
        None
    }

    /// The action for a pair at a wake-up.
    pub(super) fn due(&self, pair: &DomainPair, idle: bool, now: Instant) -> Due {
        match self.entries.get(pair).and_then(|entry| entry.pause_ends) {
            Some(ends) if idle && ends + FORGET_AFTER <= now => Due::Forget,
            Some(ends) if !idle && ends <= now => Due::Retry,
            _ => Due::Nothing,
        }
    }

    /// Puts a pair in the retry queue.
    pub(super) fn queue_retry(&mut self, pair: &DomainPair) {
        if let Some(entry) = self.entries.get_mut(pair).filter(|entry| !entry.in_retries) {
            entry.in_retries = true;
            self.retries.push(pair.clone(), entry.failures);
        }
    }

    /// Takes the next known pair out of the retry queue, and whether its pause is over: a pair that was seen
    /// in the meantime is not in a pause any more, or in another one. The caller plans its next wake-up.
    pub(super) fn next_retry(&mut self, now: Instant) -> Option<(DomainPair, bool)> {
        while let Some(pair) = self.retries.pop() {
            if let Some(entry) = self.entries.get_mut(&pair) {
                entry.in_retries = false;
                let over = entry.pause_ends.is_some_and(|ends| ends <= now);
                return Some((pair, over));
            }
        }
        None
    }

    /// Notes that the remote server contacted us while an attempt was under way.
    pub(super) fn remote_seen(&mut self, pair: &DomainPair) {
        if let Some(entry) = self.entries.get_mut(pair).filter(|entry| entry.contact == RemoteContact::None) {
            entry.contact = RemoteContact::DuringThisAttempt;
        }
    }

    /// Whether to try again at once after a failure, because the remote server contacted us during the
    /// attempt. This is so once in a row, after a failure that may be temporary, and if an attempt is
    /// `wanted`.
    pub(super) fn retry_since_seen(
        &mut self,
        pair: &DomainPair,
        failure: &AttemptError,
        wanted: bool,
    ) -> bool {
        let Some(entry) =
            self.entries.get_mut(pair).filter(|entry| entry.contact == RemoteContact::DuringThisAttempt)
        else {
            return false;
        };
        entry.failures = 0;
        if failure.is_definitive() || !wanted {
            return false;
        }
        entry.contact = RemoteContact::DuringLastAttempt;
        entry.last_failure = Some(Box::new(failure.clone()));
        true
    }

    /// Removes timers that no longer count when they are the greater part, and releases memory that is no
    /// longer used. To be called every second.
    pub(super) fn tidy(&mut self, now: Instant) {
        self.at_once.retain(|_, bucket| !bucket.is_full(now));
        capacity::shrink_map(&mut self.at_once);
        if self.timers.len() > 4 * self.entries.len() + TIMERS_AT_LEAST {
            let entries = &self.entries;
            self.timers.retain(|Reverse((at, pair))| {
                entries.get(pair).is_some_and(|entry| entry.wake_up == Some(*at))
            });
        }
        capacity::shrink_heap(&mut self.timers);
        capacity::shrink_map(&mut self.entries);
        capacity::shrink_map(&mut self.before_session);
    }
}

/// Bytes of the schedule of one pair, for the test of the cost of a pair.
#[cfg(test)]
pub(super) const ENTRY_SIZE: usize = size_of::<Entry>();

/// How long a failure is remembered after its pause. A failure within this time doubles the next pause.
const FORGET_AFTER: Duration = Duration::from_secs(60);

/// The longest pause while the remote server accepts connections: below two seconds, with [`super::TICK`].
const SHORT: Duration = Duration::from_millis(1800);

/// Such pauses are longer with more than ninety pairs in one, so that their attempts, each of which may include a
/// TLS handshake, are no more than about fifty a second.
const BETWEEN_SHORT: Duration = Duration::from_millis(20);

/// Attempts of one pair in a burst that follow a lost link without a pause. A link that is reset every second is
/// replaced each time; a peer that ends every link after one stanza is dialled after pauses.
const AT_ONCE: usize = 10;

/// Such attempts of one pair a second, over a long time.
const AT_ONCE_PER_SECOND: f64 = 0.2;

/// Timers below this number are not searched for those that no longer count.
const TIMERS_AT_LEAST: usize = 1024;
