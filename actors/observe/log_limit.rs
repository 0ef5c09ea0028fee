//! Limits the rate of log lines that unauthenticated peers can cause. The first lines of an interval are written; one
//! line at its end gives the number of the others.
//!
//! The counters are relaxed atomics, like the gauges of the mailboxes: they hold no state of an actor.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// The limit on one kind of log line.
#[derive(Debug)]
pub struct LogLimiter {
    target: &'static str,
    summary: &'static str,
    /// The configured name that all of these lines concern.
    name: Option<String>,
    allowed: u64,
    /// Lines requested in this interval.
    requested: AtomicU64,
    /// The length of the interval.
    seconds: AtomicU64,
}

impl LogLimiter {
    /// A limit for lines of the log target `target`: `allowed` lines in 10 s. `summary` is the text of the line that
    /// counts the suppressed ones. While lines are suppressed, the interval doubles each time, up to 10 min.
    pub fn new(target: &'static str, allowed: u64, summary: &'static str) -> Arc<Self> {
        Self::build(target, allowed, summary, None)
    }

    /// The same for lines that concern one configured name. The summary has the field `name`.
    pub fn about(target: &'static str, allowed: u64, summary: &'static str, name: &str) -> Arc<Self> {
        Self::build(target, allowed, summary, Some(name.to_owned()))
    }

    fn build(target: &'static str, allowed: u64, summary: &'static str, name: Option<String>) -> Arc<Self> {
        let seconds = AtomicU64::new(SHORTEST);
        Arc::new(Self { target, summary, name, allowed, requested: AtomicU64::new(0), seconds })
    }

    /// Counts a line; returns whether it may be written. Call it inside an actix system: the first line of an interval
    /// starts a task that ends it.
    pub fn count_line(self: &Arc<Self>) -> bool {
        let before = self.requested.fetch_add(1, Relaxed);
        if before == 0 {
            let limiter = Arc::clone(self);
            actix_rt::spawn(async move {
                let seconds = limiter.seconds.load(Relaxed);
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                limiter.end_interval(seconds);
            });
        }
        before < self.allowed
    }

    fn end_interval(&self, seconds: u64) {
        let more = self.requested.swap(0, Relaxed).saturating_sub(self.allowed);
        if more > 0 {
            let within = format!("{seconds}s");
            match &self.name {
                Some(name) => {
                    log::warn!(target: self.target, name = name.as_str(), more = more, within:% = within; "{}", self.summary);
                }
                None => log::warn!(target: self.target, more = more, within:% = within; "{}", self.summary),
            }
        }
        self.seconds.store(if more > 0 { LONGEST.min(2 * seconds) } else { SHORTEST }, Relaxed);
    }
}

/// Lines in an interval: enough to see the cause.
pub const FEW: u64 = 10;

/// The first interval, in seconds.
const SHORTEST: u64 = 10;

/// The longest interval, in seconds.
const LONGEST: u64 = 600;

#[cfg(test)]
mod tests {
    use super::*;

    #[actix::test]
    async fn writes_the_first_lines_and_counts_the_rest() {
        tokio::time::pause();
        let limiter = LogLimiter::new("nuncio::test", FEW, "more lines");
        let written = (0..100).filter(|_| limiter.count_line()).count();
        assert_eq!(written as u64, FEW);
        tokio::time::sleep(Duration::from_secs(SHORTEST + 1)).await;
        assert!(limiter.count_line(), "a new interval");
        assert_eq!(limiter.seconds.load(Relaxed), 2 * SHORTEST);
    }
}
