//! The one way tests wait.

use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits before it takes something for hanging. No test passes or fails by how fast the machine is: this is
/// far longer than anything takes beside two builds on two cores, and a test that passes never waits this long.
pub(crate) const SOON: Duration = Duration::from_secs(120);

/// A configured time that a test never lives to see the end of: where something must not wait for a timeout of the node, that
/// timeout is set to this, and the test hangs, which [`SOON`] ends, instead of measuring how long it took.
pub(crate) const NEVER: &str = "\"10m\"";

/// Polls until `found` has something, or fails the test after [`SOON`] with `what` did not happen.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, found: impl FnMut() -> Option<T>) -> T {
    within(SOON, what, found)
}

/// Polls until `found` has something, or fails the test after `limit` with `what` did not happen.
#[track_caller]
pub(crate) fn within<T>(limit: Duration, what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(it) = found() {
            return it;
        }
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        thread::sleep(POLL);
    }
}

/// Short against every time a test looks at, long enough to leave the processor to those tested.
const POLL: Duration = Duration::from_millis(10);
