//! The way of waiting stanzas to the journal: what is to be written, and the handle that a written stanza carries.
//!
//! The writer of a stanza gets its [`RecordHandle`] at once and attaches it to the stanza. The handle goes where the stanza goes,
//! and when it is dropped, the record is removed: a stanza that is settled takes its record with it. A process that is
//! killed drops nothing, so its records stay.
//!
//! An handle that is dropped sends its message after the one that wrote it, whichever thread drops it: the stanza was
//! handed on after it was written. So the journal never learns of the end of a record before its begin, and no answer
//! has to be matched with a stanza that may be elsewhere by then.

mod figures;
mod on_the_way;
mod places;
mod receipt;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{AcqRel, Acquire, Relaxed, Release},
        },
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use journal::record::{Flags, Source};
use xmpp::{Stanza, stanza::Kind};

pub(crate) use self::{
    figures::{COMMIT_BOUNDS, Figures, Shown},
    on_the_way::OnTheWay,
    places::{Iter as PlacesOf, Place, Places},
    receipt::{Change, ParcelChanged, Receipt, Settled, State, Watch},
};
use mailbox::Outlet;
use status::report::Time;

/// Write these stanzas.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) records: Vec<NewRecord>,
    /// Counts their bytes until the journal has taken them.
    pub(crate) on_the_way: OnTheWay,
}

/// The record of a stanza that is settled is not needed any more.
#[derive(Debug)]
pub(crate) struct Forget {
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
    pub(crate) cause: Cause,
    pub(crate) pending: Pending,
}

/// Why a stanza is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// So that it survives a crash. It is in memory too.
    Age,
    /// The queue in memory is full. Such records use a part of the file only.
    Overflow,
}

/// Whoever waits for the commit of a record.
#[derive(Debug)]
pub(crate) struct Pending {
    /// The handle of the stanza.
    pub(crate) slot: Arc<Slot>,
    /// Dropped after the commit, whether it has failed or not.
    pub(crate) _receipt: Receipt,
}

/// Hands stanzas to the journal. Clones belong to the same journal.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    shared: Arc<Shared>,
}

/// The journal, for those who hold stanzas.
#[derive(Clone, Debug)]
pub struct Keeping {
    /// Takes what waits.
    pub(crate) writer: Writer,
    /// Stanzas that wait longer are written.
    pub(crate) after: Duration,
}

impl Keeping {
    /// What was accepted at that time or earlier is to be written now.
    pub(crate) fn until(&self, now: Instant) -> Instant {
        now.checked_sub(self.after).unwrap_or(now) + TOGETHER
    }

    /// Has `write` add to a group what was accepted at a time or earlier, and give the time at which the first of the others
    /// was accepted. Gives the time at which there is more to write.
    pub(crate) fn write_old(
        &self,
        waits: Waits,
        write: impl FnOnce(Instant, &mut Group<'_>) -> Option<Instant>,
    ) -> Option<Instant> {
        let mut group = self.writer.group(waits);
        let younger = write(self.until(clock::now()), &mut group);
        group.send();
        younger.map(|younger| younger + self.after)
    }
}

/// What the journal, the writers and the handles share. All of it is atomics that tell how far the journal is: a message
/// for each record would cost more than its place in the file.
struct Shared {
    /// The key of the next record.
    next: AtomicU64,
    /// Counts the files: after damage a new one is begun, and the records of the old one are lost.
    generation: AtomicU64,
    /// Counts how often a file that failed was opened again.
    reopened: AtomicU64,
    /// The node ends: what is dropped now was not settled.
    is_frozen: AtomicBool,
    /// Bytes of the stanzas that the journal has not taken from its mailbox.
    on_the_way: Arc<AtomicU64>,
    write: Outlet<Write>,
    forget: Outlet<Forget>,
    figures: Figures,
}

/// How far a record is. The journal writes it, and the handle reads it.
pub(crate) struct Slot {
    key: u64,
    state: AtomicU64,
    shared: Arc<Shared>,
}

/// The states of a [`Slot`]; greater ones are [`STORED`] and the generation of the file.
const PENDING: u64 = 0;
const REFUSED: u64 = 1;
const DOUBTFUL: u64 = 2;
const GONE: u64 = 3;
const STORED: u64 = 4;

impl Writer {
    /// A writer for the journal that these outlets reach. `next` is the key of its next record.
    pub(crate) fn new(next: u64, write: Outlet<Write>, forget: Outlet<Forget>) -> Self {
        let shared = Shared {
            next: AtomicU64::new(next),
            generation: AtomicU64::new(0),
            reopened: AtomicU64::new(0),
            is_frozen: AtomicBool::new(false),
            on_the_way: Arc::default(),
            write,
            forget,
            figures: Figures::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Reserves the keys of so many stanzas, which are in order. Gives the first.
    pub(crate) fn reserve(&self, count: usize) -> u64 {
        self.shared.next.fetch_add(count as u64, Relaxed)
    }

    /// Begins a group of stanzas, which are written together and in order.
    pub(crate) fn group(&self, waits: Waits) -> Group<'_> {
        Group { writer: self, waits, cause: Cause::Age, records: Vec::new() }
    }

    /// Begins a group of stanzas for which a queue has no room in memory.
    pub(crate) fn overflow(&self, waits: Waits) -> Group<'_> {
        Group { cause: Cause::Overflow, ..self.group(waits) }
    }

    /// The handle of a record that is in the file already.
    pub(crate) fn handle_of(&self, key: u64, stored: bool) -> RecordHandle {
        let slot = self.slot(key);
        if stored {
            self.set_stored(&slot);
        } else {
            self.set_refused(&slot);
        }
        RecordHandle { slot: Some(slot) }
    }

    fn slot(&self, key: u64) -> Arc<Slot> {
        Arc::new(Slot { key, state: AtomicU64::new(PENDING), shared: Arc::clone(&self.shared) })
    }

    /// The record is in the file.
    pub(crate) fn set_stored(&self, slot: &Slot) {
        let stored = self.shared.stored();
        // If the handle is gone, its message to forget the record follows.
        let _ = slot.state.compare_exchange(PENDING, stored, AcqRel, Acquire);
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
        if slot.state.compare_exchange(PENDING, state, AcqRel, Acquire).is_ok() {
            self.shared.figures.not_kept.fetch_add(1, Relaxed);
        }
    }

    /// All records are lost: the file was damaged, and a new one is begun.
    pub(crate) fn begin_generation(&self) {
        self.shared.generation.fetch_add(1, AcqRel);
    }

    /// A file that failed works again: what it could not take can be offered now.
    pub(crate) fn note_reopened(&self) {
        self.shared.reopened.fetch_add(1, AcqRel);
    }

    /// How often a file that failed has worked again.
    pub(crate) fn reopened(&self) -> u64 {
        self.shared.reopened.load(Acquire)
    }

    /// Whether the journal may not have what it was given: it could not take it, or has lost it.
    pub(crate) fn has_lost(&self) -> bool {
        self.shared.figures.not_kept.load(Relaxed) > 0 || self.shared.generation.load(Acquire) > 0
    }

    /// Leaves all records in the file from now on, because the node ends. A stanza that is dropped together with its actor
    /// was not settled.
    pub(crate) fn freeze(&self) {
        self.shared.is_frozen.store(true, Release);
    }

    /// The figures of the journal.
    pub(crate) fn figures(&self) -> &Figures {
        &self.shared.figures
    }
}

/// What the stanzas of a queue wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waits {
    /// A link to their domain.
    ForLink,
    /// Their component.
    ForComponent,
}

/// Stanzas that are written together.
#[derive(Debug)]
pub(crate) struct Group<'a> {
    writer: &'a Writer,
    waits: Waits,
    cause: Cause,
    records: Vec<NewRecord>,
}

impl Group<'_> {
    /// Adds a stanza that was accepted at `since`, at its place. `is_taken`: it came from a stream. Gives its handle.
    pub(crate) fn add(
        &mut self,
        stanza: &Stanza,
        place: &Place,
        since: Instant,
        is_taken: bool,
        flags: Flags,
        receipt: Receipt,
    ) -> RecordHandle {
        let source = match self.waits {
            _ if !is_taken => Source::Node,
            Waits::ForLink => Source::Component,
            Waits::ForComponent => Source::Server,
        };
        let flags = Flags { for_component: self.waits == Waits::ForComponent, ..flags };
        let key = place.key().unwrap_or_else(|| self.writer.reserve(1));
        let slot = self.writer.slot(key);
        self.records.push(NewRecord {
            key,
            kind: stanza.kind(),
            stanza: stanza.bytes().clone(),
            accepted: Time::of(since).0,
            source,
            flags,
            cause: self.cause,
            pending: Pending { slot: Arc::clone(&slot), _receipt: receipt },
        });
        RecordHandle { slot: Some(slot) }
    }

    /// Sends the group to the journal. If the journal has no room, or too much is on its way to it, the stanzas count as not
    /// written.
    pub(crate) fn send(self) {
        let Self { writer, records, .. } = self;
        if records.is_empty() {
            return;
        }
        let bytes = records.iter().map(|record| record.stanza.len() as u64).sum();
        let refused = match OnTheWay::begin(&writer.shared.on_the_way, bytes) {
            None => Some(records),
            Some(on_the_way) => {
                let sent = writer.shared.write.tell(Write { records, on_the_way });
                sent.err().map(|refused| refused.into_inner().records)
            }
        };
        for record in refused.iter().flatten() {
            writer.set_refused(&record.pending.slot);
        }
    }
}

/// The record of a stanza. It is removed when the handle is dropped.
pub(crate) struct RecordHandle {
    /// Taken when it is dropped.
    slot: Option<Arc<Slot>>,
}

impl RecordHandle {
    /// The key of the record.
    fn key(&self) -> Option<u64> {
        self.slot.as_ref().map(|slot| slot.key)
    }

    /// Whether the stanza survives a crash.
    pub(crate) fn is_stored(&self) -> bool {
        self.slot.as_ref().is_some_and(|slot| slot.state.load(Acquire) == slot.shared.stored())
    }

    /// Whether the stanza has to be written again, with another handle.
    pub(crate) fn is_lost(&self) -> bool {
        self.slot.as_ref().is_none_or(|slot| {
            let state = slot.state.load(Acquire);
            state == REFUSED || state == DOUBTFUL || state >= STORED && state != slot.shared.stored()
        })
    }

    /// Leaves the record in the file: the node stops, and the stanza waits there for its next start.
    pub(crate) fn leave(self) {
        self.into_key();
    }

    /// Leaves the record in the file and gives its key, with which it can be read.
    pub(crate) fn into_key(mut self) -> Option<u64> {
        self.slot.take().map(|slot| slot.key)
    }
}

impl Shared {
    /// The state of a record that is in the present file.
    fn stored(&self) -> u64 {
        STORED + self.generation.load(Acquire)
    }
}

impl Drop for RecordHandle {
    fn drop(&mut self) {
        let Some(slot) = self.slot.take() else { return };
        let state = slot.state.swap(GONE, AcqRel);
        if matches!(state, REFUSED | DOUBTFUL) {
            slot.shared.figures.not_kept.fetch_sub(1, Relaxed);
        }
        // An actor that panics has not settled what it drops.
        let is_settled = !thread::panicking() && !slot.shared.is_frozen.load(Acquire);
        if state != REFUSED && is_settled {
            // There are as many of these messages as records. If the journal is gone, the record stays, and the stanza is
            // sent again after the next start.
            let _ = slot.shared.forget.signal(Forget { key: slot.key });
        }
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("key", &self.key).field("state", &self.state).finish_non_exhaustive()
    }
}

impl fmt::Debug for RecordHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RecordHandle").field(&self.slot).finish()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("next", &self.next).finish_non_exhaustive()
    }
}

/// Whether the journal keeps such a stanza: a message that may be stored. A presence is out of date after a restart, and
/// nobody waits for an IQ any more.
pub(crate) fn is_worth_keeping(stanza: &Stanza) -> bool {
    stanza.kind() == Kind::Message && !stanza.forbids_storing()
}

/// Stanzas that are due so soon are written together.
pub(crate) const TOGETHER: Duration = Duration::from_millis(5);
