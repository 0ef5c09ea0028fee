//! The pauses before attempts to connect to a domain.

use std::time::Duration;

use crate::settings::Promise as Bounds;

/// The pause after a number of failures in a row.
///
/// The upper bound starts at `backoff_first` and doubles with each failure, up to `longest`. The pause is a
/// random time between half of `backoff_first` and that bound ("full jitter"), so that nodes that lost a peer at
/// the same time do not all return at the same time.
pub(crate) fn pause(bounds: &Bounds, longest: Duration, failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(MAX_DOUBLINGS);
    let longest = bounds.backoff_first.saturating_mul(1 << doublings).min(longest);
    let shortest = bounds.backoff_first.min(longest) / 2;
    shortest + (longest - shortest).mul_f64(random())
}

/// The delay of the attempt that follows the loss of a link (RFC 6120 section 3.3: with a random part).
pub(crate) fn after_loss() -> Duration {
    AFTER_LOSS.mul_f64(random())
}

/// From 0 to 1. Without a random number the pause is the longest one.
fn random() -> f64 {
    let mut random = [0; 4];
    match openssl::rand::rand_bytes(&mut random) {
        Ok(()) => f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX),
        Err(_) => 1.0,
    }
}

/// The longest delay after the loss of a link. The attempt begins within 100 ms, with the time that messages
/// take.
const AFTER_LOSS: Duration = Duration::from_millis(80);

/// Avoids an overflow. A million times `backoff_first` exceeds any useful `backoff_longest`.
const MAX_DOUBLINGS: u32 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds() -> Bounds {
        Bounds {
            max_stanzas: 1,
            max_bytes: 1,
            total_bytes: 1,
            message: Duration::ZERO,
            presence: Duration::ZERO,
            iq: Duration::ZERO,
            backoff_first: Duration::from_secs(1),
            backoff_longest: Duration::from_secs(300),
        }
    }

    #[test]
    fn a_pause_exceeds_neither_the_doubled_bound_nor_the_longest() {
        for failures in 1..40 {
            let doubled = Duration::from_secs(1 << (failures - 1).min(10)).min(Duration::from_secs(300));
            for _ in 0..50 {
                assert!(
                    pause(&bounds(), bounds().backoff_longest, failures) <= doubled,
                    "after {failures} failures"
                );
            }
        }
    }

    #[test]
    fn pauses_are_random() {
        for failures in [1, 2, 9] {
            let pauses: std::collections::HashSet<Duration> =
                (0..20).map(|_| pause(&bounds(), bounds().backoff_longest, failures)).collect();
            assert!(pauses.len() > 15, "{} of 20 after {failures} failures", pauses.len());
        }
        let delays: std::collections::HashSet<Duration> = (0..20).map(|_| after_loss()).collect();
        assert!(delays.len() > 15 && delays.iter().all(|delay| *delay < Duration::from_millis(100)));
    }
}
