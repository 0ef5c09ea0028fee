//! The time of the actors: tokio's, so that tests can pause it.

use std::time::Instant;

/// Now.
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// How long ago that was.
pub fn since(then: Instant) -> std::time::Duration {
    now().saturating_duration_since(then)
}
