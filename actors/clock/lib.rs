//! The time of a node. It is the time of the tokio runtime, so tests can pause it.
//!
//! All code of the node reads the time here. Clippy rejects `Instant::now` and `SystemTime::now` elsewhere.

use std::time::{Duration, Instant, SystemTime};

/// The current monotonic time.
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The time that has passed since `then`; zero if `then` is in the future.
pub fn since(then: Instant) -> Duration {
    now().saturating_duration_since(then)
}

/// The current time of the calendar, for reports, time stamps and certificates.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the clock of the system")]
pub fn system() -> SystemTime {
    SystemTime::now()
}
