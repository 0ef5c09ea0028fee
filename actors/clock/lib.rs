//! The clock of a node. It follows the tokio runtime, so tests can pause and advance it.
//!
//! All code of the node reads the time here; clippy rejects `Instant::now` and `SystemTime::now` elsewhere.
//!
//! ```
//! use std::time::Duration;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
//! let start = clock::now();
//! tokio::time::sleep(Duration::from_secs(3600)).await; // returns at once on a paused clock
//! assert_eq!(clock::since(start), Duration::from_secs(3600));
//! # });
//! # Ok::<(), std::io::Error>(())
//! ```

mod suspension;

use std::time::{Duration, Instant, SystemTime};

#[cfg(feature = "test-util")]
pub use suspension::suspend;
pub use suspension::suspended;

/// The current monotonic time.
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The time that has passed since `then`; zero if `then` is in the future.
pub fn since(then: Instant) -> Duration {
    now().saturating_duration_since(then)
}

/// The current monotonic time of a clock that runs on while the machine is suspended, as [`now`] does not. For what other
/// machines measure too: to them, a machine that is suspended has been away for that time.
pub fn with_suspension() -> Instant {
    now() + suspended()
}

/// The current calendar time, for reports, time stamps and the validity of certificates.
///
/// Tests cannot pause it, but they can have it follow the paused clock.
#[expect(clippy::disallowed_methods, reason = "the only place that reads the system clock")]
pub fn system() -> SystemTime {
    #[cfg(feature = "test-util")]
    if let Some((start, began)) = FOLLOWED.get() {
        return began + since(start);
    }
    SystemTime::now()
}

/// Has the calendar time follow the clock of the tokio runtime, on this thread and from now on.
#[cfg(feature = "test-util")]
pub fn follow() {
    FOLLOWED.set(Some((now(), system())));
}

#[cfg(feature = "test-util")]
thread_local! {
    static FOLLOWED: std::cell::Cell<Option<(Instant, SystemTime)>> = const { std::cell::Cell::new(None) };
}
