//! Log lines that strangers can cause: the first few are written, the rest of a while are counted and told in one.
//!
//! The counters are relaxed atomics, as those of the mailboxes are: they say how much was logged and hold no state of
//! any actor.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// One kind of line.
#[derive(Debug)]
pub struct LogLimiter {
    log: &'static str,
    what: &'static str,
    /// The name that all of these lines are about.
    about: Option<String>,
    few: u64,
    /// Lines that were to be written in this while.
    asked: AtomicU64,
    /// Seconds that it lasts.
    seconds: AtomicU64,
}

impl LogLimiter {
    /// For lines of the target `log`, of which `few` are written in ten seconds; `what` is what sums up the others. As
    /// long as there are others, each while is twice as long as the one before.
    pub fn new(log: &'static str, few: u64, what: &'static str) -> Arc<Self> {
        Self::with(log, few, what, None)
    }

    /// The same for lines that are all about one configured name.
    pub fn about(log: &'static str, few: u64, what: &'static str, name: &str) -> Arc<Self> {
        Self::with(log, few, what, Some(name.to_owned()))
    }

    fn with(log: &'static str, few: u64, what: &'static str, about: Option<String>) -> Arc<Self> {
        Arc::new(Self { log, what, about, few, asked: AtomicU64::new(0), seconds: AtomicU64::new(SHORTEST) })
    }

    /// Whether one more line may be written. To be called in an actix system.
    pub fn permits(self: &Arc<Self>) -> bool {
        let before = self.asked.fetch_add(1, Relaxed);
        if before == 0 {
            let quiet = Arc::clone(self);
            actix_rt::spawn(async move {
                let seconds = quiet.seconds.load(Relaxed);
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                quiet.sum_up(seconds);
            });
        }
        before < self.few
    }

    fn sum_up(&self, seconds: u64) {
        let more = self.asked.swap(0, Relaxed).saturating_sub(self.few);
        if more > 0 {
            let within = format_args!("{seconds}s");
            match &self.about {
                Some(name) => {
                    log::warn!(target: self.log, name = name.as_str(), more = more, within:% = within; "{}", self.what);
                }
                None => log::warn!(target: self.log, more = more, within:% = within; "{}", self.what),
            }
        }
        self.seconds.store(if more > 0 { LONGEST.min(2 * seconds) } else { SHORTEST }, Relaxed);
    }
}

/// Lines in a while, of what is not expected: enough to see what goes on.
pub const FEW: u64 = 10;

/// A while at first, in seconds.
const SHORTEST: u64 = 10;

/// A while in a flood that does not end.
const LONGEST: u64 = 600;

#[cfg(test)]
mod tests {
    use super::*;

    #[actix::test]
    async fn lets_a_few_through_and_counts_the_rest() {
        tokio::time::pause();
        let quiet = LogLimiter::new("nuncio::test", FEW, "more knocks");
        let written = (0..100).filter(|_| quiet.permits()).count();
        assert_eq!(written as u64, FEW);
        tokio::time::sleep(Duration::from_secs(SHORTEST + 1)).await;
        assert!(quiet.permits(), "a new while");
        assert_eq!(quiet.seconds.load(Relaxed), 2 * SHORTEST);
    }
}
