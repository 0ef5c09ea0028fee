//! The figures of the journal for metrics and reports: relaxed atomics, because the journal cannot answer while it waits for
//! the disk, and because no decision depends on them but how long an acknowledgement waits for a journal that hangs.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use super::Waits;
use status::amount::Amount;

/// The figures as they change.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// The store works.
    pub(crate) up: AtomicBool,
    /// The journal does not answer.
    hangs: AtomicBool,
    pub(crate) records: AtomicU64,
    pub(crate) bytes: AtomicU64,
    /// Stanzas that should be in the file and are not.
    pub(crate) not_kept: AtomicU64,
    /// Stanzas that were written since the start.
    pub(crate) written: AtomicU64,
    /// Stanzas that were acknowledged to other servers before they were settled or written.
    acknowledged_early: AtomicU64,
    /// Stanzas that are in the file only, because their queues are full in memory: those that wait for a link.
    for_links: Overflow,
    /// Those that wait for a component.
    for_components: Overflow,
    /// Commits by their time: one for each of [`COMMIT_BOUNDS`], and one for longer times.
    commits: [AtomicU64; BUCKETS],
    microseconds: AtomicU64,
}

/// Stanzas that are in the file only.
#[derive(Debug, Default)]
struct Overflow {
    stanzas: AtomicU64,
    bytes: AtomicU64,
}

/// The figures at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shown {
    pub(crate) up: bool,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) not_kept: u64,
    pub(crate) written: u64,
    pub(crate) acknowledged_early: u64,
    /// Stanzas that are in the file only.
    pub(crate) overflow_stanzas: u64,
    /// Their bytes.
    pub(crate) overflow_bytes: u64,
    /// One for each of [`COMMIT_BOUNDS`], and one for longer times.
    pub(crate) commits: [u64; BUCKETS],
    /// The time of all commits in seconds.
    pub(crate) commit_seconds: f64,
}

impl Figures {
    /// Counts a commit.
    pub(crate) fn committed(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = COMMIT_BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(COMMIT_BOUNDS.len());
        if let Some(count) = self.commits.get(bucket) {
            count.fetch_add(1, Relaxed);
        }
        self.microseconds.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Sets whether the journal does not answer.
    pub(crate) fn show_hanging(&self, hangs: bool) {
        self.hangs.store(hangs, Relaxed);
    }

    /// Whether the journal does not answer.
    pub(crate) fn hangs(&self) -> bool {
        self.hangs.load(Relaxed)
    }

    /// Counts stanzas that were acknowledged though they may be neither settled nor written.
    pub(crate) fn acknowledged_early(&self, stanzas: u32) {
        self.acknowledged_early.fetch_add(u64::from(stanzas), Relaxed);
    }

    /// Sets what is in the file only, of the stanzas that wait for this.
    pub(crate) fn show_overflow(&self, waits: Waits, amount: Amount) {
        let overflow = match waits {
            Waits::ForLink => &self.for_links,
            Waits::ForComponent => &self.for_components,
        };
        overflow.stanzas.store(amount.stanzas, Relaxed);
        overflow.bytes.store(amount.bytes, Relaxed);
    }

    pub(crate) fn read(&self) -> Shown {
        let overflow = self.for_links.amount().plus(self.for_components.amount());
        Shown {
            up: self.up.load(Relaxed) && !self.hangs.load(Relaxed),
            records: self.records.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            not_kept: self.not_kept.load(Relaxed),
            written: self.written.load(Relaxed),
            acknowledged_early: self.acknowledged_early.load(Relaxed),
            overflow_stanzas: overflow.stanzas,
            overflow_bytes: overflow.bytes,
            commits: std::array::from_fn(|nth| self.commits.get(nth).map_or(0, |count| count.load(Relaxed))),
            commit_seconds: Duration::from_micros(self.microseconds.load(Relaxed)).as_secs_f64(),
        }
    }
}

impl Overflow {
    fn amount(&self) -> Amount {
        Amount { stanzas: self.stanzas.load(Relaxed), bytes: self.bytes.load(Relaxed) }
    }
}

/// Upper bounds of the times of commits, in seconds: from a fast disk to one that hangs.
pub(crate) const COMMIT_BOUNDS: [f64; 10] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0];

const BUCKETS: usize = COMMIT_BOUNDS.len() + 1;
