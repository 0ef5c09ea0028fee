//! Limits the rate at which the stanzas of a component are read (`max_rate`).

use std::time::{Duration, Instant};

use actix::{AsyncContext, Context};

use super::Component;
use crate::{
    flow::{batch::ReadPermit, throttle::Throttle},
    settings::Rate,
};

/// The limit of one connection.
#[derive(Debug)]
pub(super) struct RateLimit {
    rate: Option<Rate>,
    throttle: Throttle,
    /// The end of the last pause.
    paused_until: Option<Instant>,
    /// Nothing is read while this is held.
    held: Option<ReadPermit>,
    /// The component is gone: what it sent before is read without a pause.
    is_over: bool,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self { rate: None, throttle: Throttle::new(None), paused_until: None, held: None, is_over: false }
    }
}

impl RateLimit {
    /// Changes the rate; `None`: no limit. A new rate ends a pause for the old one.
    pub(super) fn set(&mut self, rate: Option<Rate>) {
        if self.rate == rate {
            return;
        }
        self.rate = rate;
        self.throttle = Throttle::new(rate.map(|(Rate::Stanzas(most) | Rate::Bytes(most))| most));
        (self.paused_until, self.held) = (None, None);
    }

    /// Ends the pause, and makes no further one.
    pub(super) fn end(&mut self) {
        self.is_over = true;
        (self.paused_until, self.held) = (None, None);
    }

    /// When everything that was read would have been read at the rate.
    pub(super) fn debt(&self) -> Option<Instant> {
        self.rate.map(|_| self.throttle.drained())
    }

    /// Begins with the debt of an earlier connection.
    pub(super) fn owe(&mut self, debt: Instant) {
        self.throttle.owe(debt);
    }

    /// Counts what was read. Gives the time in which nothing is to be read.
    fn pause_after(&mut self, bytes: usize, stanzas: u64, now: Instant) -> Option<Duration> {
        let amount = match self.rate? {
            Rate::Bytes(_) => bytes,
            Rate::Stanzas(_) => usize::try_from(stanzas).unwrap_or(usize::MAX),
        };
        self.throttle.take(amount, now)
    }
}

impl Component {
    /// Sets the rate that the configuration has for the component.
    pub(super) fn limit_rate(&mut self) {
        let name = self.binding.name();
        self.rate_limit.set(name.and_then(|name| self.environment.rates.get(name)).copied());
    }

    /// The number of stanzas that were read, refused ones too.
    pub(super) fn stanzas_read(&self) -> u64 {
        self.intake.stanzas + self.intake.refused
    }

    /// The time in which nothing is to be read after a read of so many bytes and stanzas: for `max_rate`, or because too
    /// many elements were refused.
    pub(super) fn pause_after(&mut self, bytes: usize, stanzas: u64) -> Option<Duration> {
        let unproductive = self.intake.pause_after(self.machine.take_unproductive());
        let now = clock::now();
        let pause = unproductive.max(self.rate_limit.pause_after(bytes, stanzas, now));
        let pause = pause.filter(|_| !self.rate_limit.is_over);
        self.rate_limit.paused_until = pause.map(|pause| now + pause);
        pause
    }

    /// Reads nothing for this time, or until the rate changes.
    pub(super) fn pause_reading(&mut self, permit: ReadPermit, pause: Duration, context: &mut Context<Self>) {
        self.rate_limit.held = Some(permit);
        self.connection.watch_end();
        context.run_later(pause, |component, _| {
            if !component.is_read_paused() {
                component.rate_limit.held = None;
            }
        });
    }

    /// Whether nothing is read at the moment because of [`Self::pause_after`].
    pub(super) fn is_read_paused(&self) -> bool {
        self.rate_limit.paused_until.is_some_and(|end| clock::now() < end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seconds that reads of 1,000 bytes with 10 stanzas take.
    fn takes(rate: Option<Rate>, reads: u32) -> f64 {
        let mut limit = RateLimit::default();
        limit.set(rate);
        let start = clock::now();
        let mut now = start;
        for _ in 0..reads {
            now += limit.pause_after(1000, 10, now).unwrap_or_default();
        }
        (now - start).as_secs_f64()
    }

    #[test]
    fn a_new_rate_ends_the_pause_and_the_debt_of_the_old_one() {
        let mut limit = RateLimit::default();
        limit.set(Some(Rate::Stanzas(1)));
        let now = clock::now();
        assert!(limit.pause_after(1000, 600, now).is_some());
        limit.held = Some(ReadPermit::free());
        limit.set(Some(Rate::Stanzas(1)));
        assert!(limit.held.is_some(), "the same rate changes nothing");
        limit.set(Some(Rate::Stanzas(100)));
        assert!(limit.held.is_none());
        assert_eq!(limit.pause_after(1000, 10, now), None);
    }

    #[test]
    fn reads_are_slowed_down_to_stanzas_or_to_bytes_per_second() {
        // A burst of one second passes.
        assert!((8.9..=9.0).contains(&takes(Some(Rate::Stanzas(10)), 10)));
        assert!((3.9..=4.0).contains(&takes(Some(Rate::Bytes(2000)), 10)));
        assert!(takes(None, 10) < 0.001);
    }
}
