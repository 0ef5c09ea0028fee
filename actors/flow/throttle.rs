//! Limits the rate of a peer by reading more slowly. TCP then slows down the peer, and nothing is lost.

use std::time::{Duration, Instant};

/// A leaky bucket: bytes fill it, and it drains at the rate.
#[derive(Debug)]
pub(crate) struct Throttle {
    /// Bytes per second; `None`: no limit.
    rate: Option<usize>,
    /// When the bucket is empty, if nothing more comes.
    drained: Instant,
}

impl Throttle {
    /// Limits to `rate` bytes per second; `None`: no limit.
    pub(crate) fn new(rate: Option<usize>) -> Self {
        Self { rate, drained: clock::now() }
    }

    /// Changes the rate for all that comes from now on.
    pub(crate) fn set_rate(&mut self, rate: Option<usize>) {
        self.rate = rate;
    }

    /// When the bucket is empty, if nothing more comes.
    pub(crate) fn drained(&self) -> Instant {
        self.drained
    }

    /// Takes over what is in another bucket until then.
    pub(crate) fn owe(&mut self, drained: Instant) {
        self.drained = self.drained.max(drained);
    }

    /// Counts bytes that were read. Gives the time in which nothing is to be read.
    pub(crate) fn take(&mut self, bytes: usize, now: Instant) -> Option<Duration> {
        let rate = self.rate?;
        let takes = Duration::from_secs_f64(bytes as f64 / rate as f64);
        self.drained = self.drained.max(now) + takes;
        self.drained.checked_duration_since(now + BURST).filter(|wait| !wait.is_zero())
    }
}

/// Elements per second that bring no stanza: refused stanzas, and negotiation on an open stream. A server
/// that proves its 256 pairs, or relays addresses that we refuse, stays below. Each element takes up to 10
/// microseconds, so one peer gets 1 % of a core for them.
pub(crate) const UNPRODUCTIVE: usize = 1000;

/// The burst that is allowed: one second at the rate, so that a peer with occasional traffic is never paused.
const BURST: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_a_flood_is_limited_to_the_rate() {
        let start = clock::now();
        let mut throttle = Throttle::new(Some(1000));
        let mut now = start;
        assert_eq!(throttle.take(900, now), None);
        for _ in 0..20 {
            now += throttle.take(500, now).unwrap_or_default();
        }
        // 10,900 bytes at 1000 per second; those of the last second are in the bucket.
        let took = (now - start).as_secs_f64();
        assert!((9.8..10.0).contains(&took), "{took}");
        assert_eq!(throttle.take(500, now + Duration::from_secs(5)), None, "it has drained");
    }

    #[test]
    fn without_a_rate_nothing_is_paused() {
        assert_eq!(Throttle::new(None).take(usize::MAX, clock::now()), None);
    }
}
