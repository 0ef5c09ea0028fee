//! The time for which a full outbox may hold up the senders.

use std::time::{Duration, Instant};

/// A hold: the outbox is full, and senders are not read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hold {
    pub(super) ends: Instant,
    /// Bytes that had been written when it began.
    pub(super) written: u64,
    /// Since when a sender is held up that also writes to other destinations.
    pub(super) fans_out_since: Option<Instant>,
}

/// The time for which senders with several destinations may be held up. It is used up by holds and recovers
/// slowly.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    left: Duration,
    at: Instant,
}

impl Allowance {
    /// All of it.
    pub(super) fn full(now: Instant) -> Self {
        Self { left: LONGEST_HOLD, at: now }
    }

    /// The time that is left.
    pub(super) fn left(self, now: Instant) -> Duration {
        (self.left + now.saturating_duration_since(self.at) / RECOVERY).min(LONGEST_HOLD)
    }

    /// Takes off the time of a hold.
    pub(super) fn spend(&mut self, since: Instant, now: Instant) {
        let spent = now.saturating_duration_since(since);
        *self = Self { left: self.left(since).saturating_sub(spent), at: now };
    }
}

/// The time after which it is checked whether the destination has read enough. TCP opens the window of a peer
/// that reads steadily in large steps.
pub const LONGEST_HOLD: Duration = Duration::from_secs(2);

/// Hold time recovers at 1/8 of real time, so one slow destination delays a sender's others by at most 1/9.
const RECOVERY: u32 = 8;
