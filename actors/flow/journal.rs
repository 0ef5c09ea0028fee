//! The way of waiting stanzas to the journal: what is to be written, and the entry that a written stanza carries.
//!
//! The writer of a stanza gets its [`Entry`] at once and attaches it to the stanza. The entry goes where the stanza goes,
//! and when it is dropped, the record is removed: a stanza that is settled takes its record with it. A process that is
//! killed drops nothing, so its records stay.
//!
//! An entry that is dropped sends its message after the one that wrote it, whichever thread drops it: the stanza was
//! handed on after it was written. So the journal never learns of the end of a record before its begin, and no answer
//! has to be matched with a stanza that may be elsewhere by then.

mod figures;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{
            AtomicU64,
            Ordering::{AcqRel, Acquire, Relaxed},
        },
    },
    time::{Instant, SystemTime},
};

use bytes::Bytes;
use journal::record::{Flags, Source};
use xmpp::{Stanza, stanza::Kind};

pub(crate) use self::figures::{COMMIT_BOUNDS, Figures, Shown};
use mailbox::{Outlet, Refused};
use status::report::Time;

/// Write these stanzas.
#[derive(Debug)]
pub struct Write {
    pub(crate) records: Vec<NewRecord>,
}

/// The record of a stanza that is settled is not needed any more.
#[derive(Debug)]
pub struct Forget {
    pub(crate) key: u64,
}

/// A stanza to be written.
#[derive(Debug)]
pub(crate) struct NewRecord {
    pub(crate) key: u64,
    pub(crate) kind: Kind,
    pub(crate) stanza: Bytes,
    pub(crate) accepted: SystemTime,
    pub(crate) source: Source,
    pub(crate) flags: Flags,
    pub(crate) slot: Arc<Slot>,
}

/// Hands stanzas to the journal. Clones belong to the same journal.
#[derive(Clone, Debug)]
pub struct Writer {
    shared: Arc<Shared>,
}

/// What the journal, the writers and the entries share. All of it is atomics that tell how far the journal is: a message
/// for each record would cost more than its place in the file.
struct Shared {
    /// The key of the next record.
    next: AtomicU64,
    /// Counts the files: after damage a new one is begun, and the records of the old one are lost.
    generation: AtomicU64,
    write: Outlet<Write>,
    forget: Outlet<Forget>,
    figures: Figures,
}

/// How far a record is. The journal writes it, and the entry reads it.
#[derive(Debug, Default)]
pub(crate) struct Slot(AtomicU64);

/// The values of a [`Slot`]; greater ones are [`STORED`] and the generation of the file.
const PENDING: u64 = 0;
const REFUSED: u64 = 1;
const DOUBTFUL: u64 = 2;
const GONE: u64 = 3;
const STORED: u64 = 4;

impl Writer {
    /// A writer for the journal that these outlets reach. `next` is the key of its next record.
    pub(crate) fn new(next: u64, write: Outlet<Write>, forget: Outlet<Forget>) -> Self {
        let (next, generation) = (AtomicU64::new(next), AtomicU64::new(0));
        Self { shared: Arc::new(Shared { next, generation, write, forget, figures: Figures::default() }) }
    }

    /// Begins a group of stanzas, which are written together and in order.
    pub(crate) fn group(&self) -> Group<'_> {
        Group { writer: self, records: Vec::new() }
    }

    /// The entry of a record that is in the file already.
    pub(crate) fn entry_of(&self, key: u64, stored: bool) -> Entry {
        let slot = Arc::<Slot>::default();
        if stored {
            self.set_stored(&slot);
        } else {
            self.set_refused(&slot);
        }
        self.entry(key, slot)
    }

    fn entry(&self, key: u64, slot: Arc<Slot>) -> Entry {
        Entry { inner: Some(Box::new(Inner { key, slot, shared: Arc::clone(&self.shared) })) }
    }

    /// The record is in the file.
    pub(crate) fn set_stored(&self, slot: &Slot) {
        let stored = STORED + self.shared.generation.load(Acquire);
        // If the entry is gone, its message to forget the record follows.
        let _ = slot.0.compare_exchange(PENDING, stored, AcqRel, Acquire);
    }

    /// The record is not in the file.
    pub(crate) fn set_refused(&self, slot: &Slot) {
        self.set_failed(slot, REFUSED);
    }

    /// Nobody knows whether the record is in the file: the commit failed.
    pub(crate) fn set_doubtful(&self, slot: &Slot) {
        self.set_failed(slot, DOUBTFUL);
    }

    fn set_failed(&self, slot: &Slot, state: u64) {
        if slot.0.compare_exchange(PENDING, state, AcqRel, Acquire).is_ok() {
            self.shared.figures.not_kept.fetch_add(1, Relaxed);
        }
    }

    /// All records are lost: the file was damaged, and a new one is begun.
    pub(crate) fn begin_generation(&self) {
        self.shared.generation.fetch_add(1, AcqRel);
    }

    /// The figures of the journal.
    pub(crate) fn figures(&self) -> &Figures {
        &self.shared.figures
    }
}

/// Stanzas that are written together.
#[derive(Debug)]
pub(crate) struct Group<'a> {
    writer: &'a Writer,
    records: Vec<NewRecord>,
}

impl Group<'_> {
    /// Adds a stanza that was accepted at `since`. Gives its entry.
    pub(crate) fn add(&mut self, stanza: &Stanza, since: Instant, source: Source, flags: Flags) -> Entry {
        let key = self.writer.shared.next.fetch_add(1, Relaxed);
        let slot = Arc::<Slot>::default();
        self.records.push(NewRecord {
            key,
            kind: stanza.kind(),
            stanza: stanza.bytes().clone(),
            accepted: Time::of(since).0,
            source,
            flags,
            slot: Arc::clone(&slot),
        });
        self.writer.entry(key, slot)
    }

    /// Sends the group to the journal. If the journal has no room, the stanzas count as not written.
    pub(crate) fn send(self) {
        let Self { writer, records } = self;
        if records.is_empty() {
            return;
        }
        if let Err(Refused::Full(Write { records }) | Refused::Gone(Write { records })) =
            writer.shared.write.tell(Write { records })
        {
            records.iter().for_each(|record| writer.set_refused(&record.slot));
        }
    }
}

/// The record of a stanza. It is removed when the entry is dropped.
pub struct Entry {
    /// Taken when it is dropped.
    inner: Option<Box<Inner>>,
}

struct Inner {
    key: u64,
    slot: Arc<Slot>,
    shared: Arc<Shared>,
}

impl Entry {
    /// Whether the stanza survives a crash.
    pub(crate) fn is_stored(&self) -> bool {
        self.inner.as_ref().is_some_and(|inner| {
            inner.slot.0.load(Acquire) == STORED + inner.shared.generation.load(Acquire)
        })
    }

    /// Whether the stanza has to be written again, with another entry.
    pub(crate) fn is_lost(&self) -> bool {
        self.inner.as_ref().is_none_or(|inner| {
            let state = inner.slot.0.load(Acquire);
            state == REFUSED
                || state == DOUBTFUL
                || state >= STORED && state != STORED + inner.shared.generation.load(Acquire)
        })
    }

    /// Leaves the record in the file: the node stops, and the stanza waits there for its next start.
    pub(crate) fn leave(mut self) {
        self.inner = None;
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let Some(inner) = self.inner.take() else { return };
        let state = inner.slot.0.swap(GONE, AcqRel);
        if matches!(state, REFUSED | DOUBTFUL) {
            inner.shared.figures.not_kept.fetch_sub(1, Relaxed);
        }
        if state != REFUSED {
            // There are as many of these messages as records. If the journal is gone, the record stays, and the stanza is
            // sent again after the next start.
            let _ = inner.shared.forget.signal(Forget { key: inner.key });
        }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Entry").field(&self.inner.as_ref().map(|inner| inner.key)).finish()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("next", &self.next).finish_non_exhaustive()
    }
}

/// The entries of the stanzas of a batch, in their order. Empty if no stanza has one, as in most batches.
#[derive(Debug, Default)]
pub(crate) struct Entries(Vec<Option<Entry>>);

impl Entries {
    /// Adds the entry of the stanza that follows `before` others.
    pub(crate) fn push(&mut self, before: usize, entry: Option<Entry>) {
        if entry.is_some() || !self.0.is_empty() {
            let missing = before.saturating_sub(self.0.len());
            self.0.extend((0..missing).map(|_| None));
            self.0.push(entry);
        }
    }

    /// Splits off the entries of the stanzas after the first `count`.
    pub(crate) fn split_off(&mut self, count: usize) -> Self {
        Self(if count < self.0.len() { self.0.split_off(count) } else { Vec::new() })
    }

    /// Adds the entries of stanzas that follow `before` others.
    pub(crate) fn append(&mut self, before: usize, other: Self) {
        for (place, entry) in other.0.into_iter().enumerate() {
            self.push(before + place, entry);
        }
    }

    /// The entries of `count` stanzas: none, or one for each.
    pub(crate) fn of(mut self, count: usize) -> std::vec::IntoIter<Option<Entry>> {
        if !self.0.is_empty() {
            self.0.resize_with(count, || None);
        }
        self.0.into_iter()
    }
}

/// Whether the journal keeps such a stanza: a message that is not forbidden to be stored (XEP-0334 sections 4.1 and 4.2).
/// A presence is out of date after a restart, and nobody waits for an IQ any more.
pub(crate) fn is_worth_keeping(stanza: &Stanza) -> bool {
    let forbids = |hint| stanza.has_child(hint, "urn:xmpp:hints");
    stanza.kind() == Kind::Message && !["no-store", "no-permanent-store"].into_iter().any(forbids)
}
