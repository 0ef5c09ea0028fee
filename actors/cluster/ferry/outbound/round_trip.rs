//! The time from a frame to its answer, and the time after which an answer is overdue (RFC 6298).

use std::time::{Duration, Instant};

use crate::ferry::frame::Echo;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RoundTrip {
    measured: Option<Measured>,
}

#[derive(Clone, Copy, Debug)]
struct Measured {
    smoothed: Duration,
    variation: Duration,
}

impl RoundTrip {
    /// Takes an answer into account. What cannot be is ignored: the clocks of both nodes run, and one may be wrong.
    pub(super) fn measure(&mut self, began: Instant, echo: Echo, now: Instant) {
        let since_began = Duration::from_micros(echo.at).saturating_add(Duration::from_micros(echo.held));
        let Some(sample) = now.saturating_duration_since(began).checked_sub(since_began) else { return };
        self.measured = Some(match self.measured {
            None => Measured { smoothed: sample, variation: sample / 2 },
            Some(Measured { smoothed, variation }) => Measured {
                smoothed: (smoothed * 7 + sample) / 8,
                variation: (variation * 3 + smoothed.abs_diff(sample)) / 4,
            },
        });
    }

    pub(super) fn smoothed(&self) -> Option<Duration> {
        self.measured.map(|measured| measured.smoothed)
    }

    /// The time after which a frame without an answer is sent again, before it is doubled.
    pub(super) fn timeout(&self) -> Duration {
        let Some(Measured { smoothed, variation }) = self.measured else { return FIRST };
        (smoothed + variation * 4).max(SHORTEST)
    }
}

/// The timeout before anything was measured, as in RFC 6298 section 2.1.
const FIRST: Duration = Duration::from_secs(1);

/// The shortest timeout. The receiver answers within 20 ms; a busy machine takes longer.
const SHORTEST: Duration = Duration::from_millis(250);
