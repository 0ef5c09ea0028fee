//! How long a domain is left alone after failed attempts.

use std::time::Duration;

use crate::settings::Promise as Bounds;

/// The pause after that many failures in a row: doubled each time up to the longest, and of that a random part
/// ("full jitter"), so that nodes that lost a peer together do not return to it together. The least is half of the first.
pub fn pause(bounds: &Bounds, failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(MOST_DOUBLINGS);
    let longest = bounds.backoff_first.saturating_mul(1 << doublings).min(bounds.backoff_longest);
    let mut random = [0; 4];
    // Without randomness the pause is merely the longest.
    let part = match openssl::rand::rand_bytes(&mut random) {
        Ok(()) => f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX),
        Err(_) => 1.0,
    };
    let least = bounds.backoff_first.min(longest) / 2;
    least + (longest - least).mul_f64(part)
}

/// A million times the first pause: any longest one is shorter.
const MOST_DOUBLINGS: u32 = 20;

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
    fn a_pause_never_passes_the_doubled_one_nor_the_longest() {
        for failures in 1..40 {
            let doubled = Duration::from_secs(1 << (failures - 1).min(10)).min(Duration::from_secs(300));
            for _ in 0..50 {
                assert!(pause(&bounds(), failures) <= doubled, "after {failures} failures");
            }
        }
    }

    #[test]
    fn pauses_differ() {
        for failures in [1, 2, 9] {
            let pauses: std::collections::HashSet<Duration> =
                (0..20).map(|_| pause(&bounds(), failures)).collect();
            assert!(pauses.len() > 15, "{} of 20 after {failures} failures", pauses.len());
        }
    }
}
