//! What was written to a link and may not have arrived: of stanzas nobody says between servers that he has them (without
//! XEP-0198), so it is known by the time and by what two kernels can hold.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use net::happy_eyeballs;
use status::amount::Amount;

/// What was written lately, in order.
#[derive(Debug, Default)]
pub(super) struct Doubt {
    recent: VecDeque<(Instant, Amount)>,
    bytes: u64,
}

impl Doubt {
    /// Remembers what was written, and forgets what has arrived by now.
    pub(super) fn remember(&mut self, amount: Amount, now: Instant) {
        self.bytes += amount.bytes;
        match self.recent.back_mut() {
            Some((at, last)) if last.bytes < GRAIN && now.saturating_duration_since(*at) < SECOND => {
                *last = last.plus(amount);
            }
            _ => self.recent.push_back((now, amount)),
        }
        self.forget(now);
    }

    /// Gives what may not have arrived at an end without a goodbye.
    pub(super) fn take(&mut self, now: Instant) -> Amount {
        self.forget(now);
        let doubtful = self.recent.drain(..).map(|(_, amount)| amount).fold(Amount::default(), Amount::plus);
        self.bytes = 0;
        doubtful
    }

    fn forget(&mut self, now: Instant) {
        while let Some((at, oldest)) = self.recent.front()
            && (now.saturating_duration_since(*at) > ACKNOWLEDGED || self.bytes - oldest.bytes >= HELD)
        {
            self.bytes -= oldest.bytes;
            self.recent.pop_front();
        }
    }
}

/// What was written longer ago has been acknowledged by the peer's kernel, or the link would have ended: after
/// `TCP_USER_TIMEOUT`, which for a peer that has closed its window is looked at with each probe only.
const ACKNOWLEDGED: Duration = Duration::from_secs(2 * happy_eyeballs::UNACKNOWLEDGED_FOR.as_secs());

/// Bytes that can be on their way at most: 4 MiB in our kernel, the most that Linux lets a socket send ahead (`tcp_wmem`),
/// and 16 MiB that a peer's has received and its server has not read: 6 MiB with Linux (`tcp_rmem`), 16 with Windows.
const HELD: u64 = 20 * 1024 * 1024;

/// What is written within a second, or so many bytes, is remembered as one.
const SECOND: Duration = Duration::from_secs(1);
const GRAIN: u64 = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: Amount = Amount { stanzas: 1, bytes: 1024 };

    #[test]
    fn what_two_kernels_cannot_hold_has_arrived() {
        let (mut doubt, now) = (Doubt::default(), clock::now());
        for _ in 0..100 * 1024 {
            doubt.remember(KIB, now);
        }
        let doubtful = doubt.take(now);
        assert!((HELD..HELD + GRAIN + KIB.bytes).contains(&doubtful.bytes), "{doubtful:?}");
        assert_eq!(doubtful.stanzas, doubtful.bytes / KIB.bytes);
        assert_eq!(doubt.take(now), Amount::default());
    }

    #[test]
    fn what_was_written_long_ago_has_arrived() {
        let (mut doubt, now) = (Doubt::default(), clock::now());
        doubt.remember(KIB, now);
        doubt.remember(KIB, now + ACKNOWLEDGED);
        assert_eq!(doubt.take(now + ACKNOWLEDGED + SECOND), KIB);
    }
}
