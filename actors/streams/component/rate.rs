//! Limits the rate at which the stanzas of a component are read (`max_rate`).

use std::time::{Duration, Instant};

use super::Component;
use crate::{flow::throttle::Throttle, settings::Rate};

/// The limit of one connection.
#[derive(Debug)]
pub(super) struct RateLimit {
    rate: Option<Rate>,
    throttle: Throttle,
    /// The end of the last pause.
    paused_until: Option<Instant>,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self { rate: None, throttle: Throttle::new(None), paused_until: None }
    }
}

impl RateLimit {
    /// Changes the rate for what comes from now on; `None`: no limit.
    pub(super) fn set(&mut self, rate: Option<Rate>) {
        self.rate = rate;
        self.throttle.set_rate(rate.map(|(Rate::Stanzas(most) | Rate::Bytes(most))| most));
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
        self.rate_limit.paused_until = pause.map(|pause| now + pause);
        pause
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
    fn reads_are_slowed_down_to_stanzas_or_to_bytes_per_second() {
        // A burst of one second passes.
        assert!((8.9..=9.0).contains(&takes(Some(Rate::Stanzas(10)), 10)));
        assert!((3.9..=4.0).contains(&takes(Some(Rate::Bytes(2000)), 10)));
        assert!(takes(None, 10) < 0.001);
    }
}
