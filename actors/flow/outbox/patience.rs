//! How long a full destination may hold up its sources.

use std::time::{Duration, Instant};

/// A time in which sources are held up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) ends: Instant,
    /// What had been written when it began.
    pub(super) written: u64,
    /// Since when one of them has others to write to, who are held up with it.
    pub(super) shared: Option<Instant>,
}

/// How long sources that have others to write to may be held up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    left: Duration,
    at: Instant,
}

impl Patience {
    /// Nobody was held up yet.
    pub(super) fn whole(now: Instant) -> Self {
        Self { left: MOMENT, at: now }
    }

    /// It grows back slowly.
    pub(super) fn left(self, now: Instant) -> Duration {
        (self.left + now.saturating_duration_since(self.at) / RECOVERY).min(MOMENT)
    }

    /// Takes off a time in which somebody was held up.
    pub(super) fn spend(&mut self, since: Instant, now: Instant) {
        let spent = now.saturating_duration_since(since);
        *self = Self { left: self.left(since).saturating_sub(spent), at: now };
    }
}

/// How long a full destination may hold up its sources before it is seen whether it takes anything: TCP opens the window
/// of a peer that reads steadily in large steps.
pub const MOMENT: Duration = Duration::from_secs(2);

/// A moment is made up for in so many: one slow destination takes from the others of a source no more than a ninth.
const RECOVERY: u32 = 8;
