//! Waiting for a condition, with an end.

use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits before it fails. No test depends on the speed of the machine: this is far longer than anything
/// takes beside two builds on two cores, and a passing test never waits this long.
pub const SOON: Duration = Duration::from_secs(120);

/// A timeout of the node, in TOML, that is longer than [`SOON`]. To show that something does not wait for a timeout, a test
/// sets the timeout to this: if the node waits nevertheless, the test fails after [`SOON`].
pub const NEVER: &str = "\"10m\"";

/// Polls until `found` returns something, or fails the test after [`SOON`], naming `what` did not happen.
#[track_caller]
pub fn eventually<T>(what: &str, found: impl FnMut() -> Option<T>) -> T {
    within(SOON, what, found)
}

/// Polls until `found` returns something, or fails the test after `limit`, naming `what` did not happen.
#[track_caller]
pub fn within<T>(limit: Duration, what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(it) = found() {
            return it;
        }
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        thread::sleep(POLL);
    }
}

/// Short compared with the times in tests, long enough to leave the processor to the servers.
const POLL: Duration = Duration::from_millis(10);
