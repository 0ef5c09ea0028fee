//! The times from a request for acknowledgement to its answer (XEP-0198 section 4), as a histogram that all links share.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// The times since the start. A busy link gets hundreds of answers each second, so they are counted in relaxed atomics
/// and not by messages; no decision depends on them.
#[derive(Debug, Default)]
pub(super) struct AckTimes {
    /// One for each of [`ACK_BOUNDS`], and one for longer times.
    buckets: [AtomicU64; BUCKETS],
    microseconds: AtomicU64,
}

/// The values of an [`AckTimes`] at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct AckHistogram {
    /// One for each of [`ACK_BOUNDS`], and one for longer times.
    pub buckets: [u64; BUCKETS],
    /// In seconds.
    pub sum: f64,
}

impl AckTimes {
    pub(super) fn observe(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = ACK_BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(ACK_BOUNDS.len());
        if let Some(count) = self.buckets.get(bucket) {
            count.fetch_add(1, Relaxed);
        }
        self.microseconds.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    pub(super) fn read(&self) -> AckHistogram {
        AckHistogram {
            buckets: std::array::from_fn(|nth| self.buckets.get(nth).map_or(0, |count| count.load(Relaxed))),
            sum: Duration::from_micros(self.microseconds.load(Relaxed)).as_secs_f64(),
        }
    }
}

/// Upper bounds of the histogram, in seconds: from a server on the same machine to the default of `ack_timeout`.
pub(crate) const ACK_BOUNDS: [f64; 13] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0];

const BUCKETS: usize = ACK_BOUNDS.len() + 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_is_counted_in_the_bucket_of_its_bound() {
        let times = AckTimes::default();
        for took in [Duration::from_micros(500), Duration::from_millis(2), Duration::from_secs(31)] {
            times.observe(took);
        }
        let read = times.read();
        let filled: Vec<usize> =
            read.buckets.iter().enumerate().filter(|(_, count)| **count == 1).map(|(nth, _)| nth).collect();
        assert_eq!(filled, [0, 2, ACK_BOUNDS.len()]);
        assert!((read.sum - 31.0025).abs() < 1e-9, "{}", read.sum);
    }
}
