//! Bounds the bytes of stanzas in the mailbox of the journal.
//!
//! A stanza that leaves its queue while the journal has not taken it stays in memory. So a disk that is slower than what
//! arrives would cost memory beyond the bounds of all queues.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// Counts the bytes of a message until it is dropped.
#[derive(Debug)]
pub(crate) struct OnTheWay {
    sum: Arc<AtomicU64>,
    bytes: u64,
}

impl OnTheWay {
    /// Counts so many bytes. `None`: with them there would be more than [`MOST`], and there are some already.
    pub(super) fn begin(sum: &Arc<AtomicU64>, bytes: u64) -> Option<Self> {
        let before = sum.fetch_add(bytes, Relaxed);
        let counted = Self { sum: Arc::clone(sum), bytes };
        (before == 0 || before + bytes <= MOST).then_some(counted)
    }
}

impl Drop for OnTheWay {
    fn drop(&mut self) {
        self.sum.fetch_sub(self.bytes, Relaxed);
    }
}

/// Bytes of stanzas on their way to the journal: what queues that are full may have on the way (16 MiB each by default)
/// and what other queues give it meanwhile. What is beyond is offered again later, or stays in memory if there is room.
const MOST: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_the_bound_is_refused_until_the_journal_has_taken_the_rest() {
        let sum = Arc::default();
        let large = OnTheWay::begin(&sum, 2 * MOST).unwrap();
        assert!(OnTheWay::begin(&sum, 1).is_none());
        assert_eq!(sum.load(Relaxed), 2 * MOST, "what was refused does not count");
        drop(large);
        let half = OnTheWay::begin(&sum, MOST / 2).unwrap();
        let other = OnTheWay::begin(&sum, MOST / 2).unwrap();
        assert!(OnTheWay::begin(&sum, 1).is_none());
        drop((half, other));
        assert_eq!(sum.load(Relaxed), 0);
    }
}
