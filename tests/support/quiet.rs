//! How many lines of a log strangers can cause.

use std::time::Instant;

/// The most lines of one kind that the node writes from `began` until now: `few` in each ten seconds that were begun, and one
/// that sums up the others. A test that looks at a log asks the clock how long it took; how long that is decides nothing.
pub(crate) fn most_lines(few: usize, began: Instant) -> usize {
    let whiles = 1 + began.elapsed().as_secs() as usize / 10;
    whiles * (few + 1)
}
