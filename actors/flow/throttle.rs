//! Holds a peer to a rate by reading from it more slowly: TCP does the rest, and nothing is lost.

use std::time::{Duration, Instant};

/// A bucket that fills as bytes come and drains at the rate.
#[derive(Debug)]
pub struct Throttle {
    /// Bytes a second.
    rate: Option<usize>,
    /// When what was taken so far will have drained.
    drained: Instant,
}

impl Throttle {
    /// Holds to `rate` bytes a second; `None` holds to nothing.
    pub fn new(rate: Option<usize>) -> Self {
        Self { rate, drained: clock::now() }
    }

    /// Changes the rate for what comes from now on.
    pub fn set_rate(&mut self, rate: Option<usize>) {
        self.rate = rate;
    }

    /// Counts what was read; tells how long to read nothing.
    pub fn take(&mut self, bytes: usize, now: Instant) -> Option<Duration> {
        let rate = self.rate?;
        let takes = Duration::from_secs_f64(bytes as f64 / rate as f64);
        self.drained = self.drained.max(now) + takes;
        self.drained.checked_duration_since(now + BURST).filter(|wait| !wait.is_zero())
    }
}

/// Elements a second that bring no stanza: refused ones, and those of a negotiation on a stream that is open. A server that
/// proves its 256 pairs, or relays names that we refuse, stays below; each takes up to 10 microseconds, so one peer gets
/// 1 % of a core for them.
pub const UNPRODUCTIVE: usize = 1000;

/// What may come at once: a second's worth, so that who talks now and then is never held up.
const BURST: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_a_flood_is_held_to_the_rate() {
        let start = clock::now();
        let mut throttle = Throttle::new(Some(1000));
        let mut now = start;
        assert_eq!(throttle.take(900, now), None);
        for _ in 0..20 {
            now += throttle.take(500, now).unwrap_or_default();
        }
        // 10,900 bytes at 1000 a second, of which the last second's worth is in the bucket.
        let took = (now - start).as_secs_f64();
        assert!((9.8..10.0).contains(&took), "{took}");
        assert_eq!(throttle.take(500, now + Duration::from_secs(5)), None, "it has drained");
    }

    #[test]
    fn without_a_rate_nothing_is_held() {
        assert_eq!(Throttle::new(None).take(usize::MAX, clock::now()), None);
    }
}
