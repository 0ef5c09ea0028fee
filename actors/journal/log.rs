//! The journal: collects changes, commits them together, and opens the store again after an error.
//!
//! A commit takes from a third of a millisecond to some milliseconds, whatever its size. Everything that arrives during one
//! commit belongs to the next, so no timer is needed.
//!
//! While the store does not work, nothing is collected: the stanzas wait in memory as without a journal, and are written
//! when it works again.

mod failing;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, mem,
    time::{Duration, Instant, SystemTime},
};

use self::failing::{Failing, Why};
pub use self::failing::{Reopened, Replaced};
use crate::{
    cipher::Cipher,
    record::{HEAD, Record},
    restore::{self, Restored},
    store::{Amount, Changes, Error, Open, Store},
};

/// The journal. `T` stands for a record that is not committed yet; its owner learns the result by it.
#[derive(Debug)]
pub struct Journal<T> {
    opener: Box<dyn Open>,
    cipher: Option<Cipher>,
    /// Bytes of records that the store may have.
    max_bytes: u64,
    state: State,
    stored: Amount,
    /// Records for the next commit, by key.
    pending: BTreeMap<u64, Pending<T>>,
    pending_bytes: u64,
    /// Keys of stored records to remove with the next commit.
    forgotten: BTreeSet<u64>,
}

/// A record for the next commit.
#[derive(Debug)]
struct Pending<T> {
    bytes: Vec<u8>,
    token: T,
    /// The store may have the record already, since a commit has failed.
    may_be_stored: bool,
}

#[derive(Debug)]
enum State {
    Works(Box<dyn Store>),
    Fails(Failing),
    Closed,
}

/// Why a record is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The store does not work.
    Failing,
    /// The store has as many bytes as it may have.
    Full,
}

/// The result of a commit.
#[derive(Debug)]
pub struct Committed<T> {
    /// These records survive a crash from now on.
    pub stored: Vec<T>,
    /// These do not, as far as is known.
    pub failed: Vec<T>,
    /// Why the commit failed.
    pub error: Option<Error>,
}

impl<T> Journal<T> {
    /// Opens the store and reads what is in it. A damaged store is set aside, and what could be read of it is written to
    /// a new one. If the disk fails, the journal begins without a store.
    ///
    /// # Errors
    /// The store cannot be used, and an operator has to decide what to do: another process uses it, a newer version has
    /// written it, its records have another key, or its path cannot be used.
    pub fn open(
        mut opener: Box<dyn Open>,
        cipher: Option<Cipher>,
        max_bytes: u64,
        now: Instant,
    ) -> Result<(Self, Restored), Error> {
        let (store, mut restored) = match restore::open(&mut *opener, cipher.as_ref()) {
            Ok(opened) => opened,
            Err(Error::Io(error)) if !is_for_the_operator(&error) => {
                let next = key_beyond_all(clock::system());
                (None, Restored { next, error: Some(error.into()), ..Restored::default() })
            }
            Err(error) => return Err(error),
        };
        let state = match store {
            Some(store) => State::Works(store),
            None => State::fails(now),
        };
        let journal = Self {
            opener,
            cipher,
            max_bytes,
            state,
            stored: restored.amount,
            pending: BTreeMap::new(),
            pending_bytes: 0,
            forgotten: mem::take(&mut restored.unwanted).into_iter().collect(),
        };
        Ok((journal, restored))
    }

    /// Takes a record for the next commit. The key is a new one, or one that was [forgotten](Self::forget): a stanza is
    /// written again, under its key, if it is not known to be in the store.
    ///
    /// # Errors
    /// It is not taken; gives it back.
    pub fn write(&mut self, key: u64, record: &Record, token: T) -> Result<(), (Refusal, T)> {
        if !self.works() {
            return Err((Refusal::Failing, token));
        }
        // OpenSSL fails only if the system has no random numbers.
        let Ok(bytes) = record.encode(key, self.cipher.as_ref()) else {
            return Err((Refusal::Failing, token));
        };
        let size = bytes.len() as u64;
        if self.stored.bytes + self.pending_bytes + size > self.max_bytes {
            return Err((Refusal::Full, token));
        }
        self.pending_bytes += size;
        let may_be_stored = self.forgotten.remove(&key);
        self.pending.insert(key, Pending { bytes, token, may_be_stored });
        Ok(())
    }

    /// Whether there is room for an overflow record of about so many bytes. A quarter of the store is for other records, so
    /// that a queue that overflows does not use up the room in which the stanzas of others survive a crash.
    pub fn has_room_for_overflow(&self, stanza: usize) -> bool {
        let size = (stanza + HEAD + Cipher::OVERHEAD) as u64;
        self.stored.bytes + self.pending_bytes + size <= self.max_bytes / 4 * 3
    }

    /// Reads committed records by key. One that is missing or damaged is `None`. After an error the store is closed until
    /// [`reopen`](Self::reopen).
    ///
    /// # Errors
    /// The store does not work; with the error if it has just failed.
    pub fn read(&mut self, keys: &[u64], now: Instant) -> Result<Vec<Option<Record>>, Option<Error>> {
        let (State::Works(store) | State::Fails(Failing { why: Why::Elsewhere(store), .. })) =
            &mut self.state
        else {
            return Err(None);
        };
        match store.get(keys) {
            Ok(found) => {
                let decode = |(key, bytes): (&u64, Option<Vec<u8>>)| {
                    Record::decode(*key, &bytes?, self.cipher.as_ref()).ok()
                };
                Ok(keys.iter().zip(found).map(decode).collect())
            }
            Err(error) => {
                self.state = State::fails(now);
                Err(Some(error))
            }
        }
    }

    /// Gives up what was to be committed, after the store has failed. Gives the tokens of the records.
    pub fn abandon(&mut self) -> Vec<T> {
        if self.works() {
            return Vec::new();
        }
        self.pending_bytes = 0;
        mem::take(&mut self.pending).into_values().map(|pending| pending.token).collect()
    }

    /// Removes a record with the next commit. A record that is not committed yet is never written.
    pub fn forget(&mut self, key: u64) {
        let pending = self.pending.remove(&key);
        if let Some(pending) = &pending {
            self.pending_bytes -= pending.bytes.len() as u64;
        }
        if pending.is_none_or(|pending| pending.may_be_stored) {
            self.forgotten.insert(key);
        }
    }

    /// Whether so much is collected that the next commit should not wait for more.
    pub fn is_due(&self) -> bool {
        self.pending_bytes >= GROUP
    }

    /// Whether a commit would change anything.
    pub fn has_changes(&self) -> bool {
        self.works() && !(self.pending.is_empty() && self.forgotten.is_empty())
    }

    /// Commits the new records, and removes some of the forgotten ones: [`has_changes`](Self::has_changes) tells whether
    /// more are left. After an error the store is closed until [`reopen`](Self::reopen).
    pub fn commit(&mut self, now: Instant) -> Committed<T> {
        let mut committed = Committed { stored: Vec::new(), failed: Vec::new(), error: None };
        let State::Works(store) = &mut self.state else { return committed };
        let (mut changes, mut added) = (Changes::default(), Amount::default());
        let mut tokens = Vec::with_capacity(self.pending.len());
        for (key, Pending { bytes, token, .. }) in mem::take(&mut self.pending) {
            added = added.plus(Amount::one(bytes.len()));
            changes.append.push((key, bytes));
            tokens.push(token);
        }
        self.pending_bytes = 0;
        while changes.forget.len() < REMOVALS
            && let Some(key) = self.forgotten.pop_first()
        {
            changes.forget.push(key);
        }
        if changes.is_empty() {
            return committed;
        }
        match store.commit(&changes) {
            Ok(removed) => {
                self.stored = self.stored.plus(added).minus(removed);
                committed.stored = tokens;
            }
            Err(error) => {
                // The records may be in the store or not. Those that nobody writes again are forgotten later.
                self.forgotten.extend(changes.forget);
                committed.failed = tokens;
                committed.error = Some(error);
                self.state = State::fails(now);
            }
        }
        committed
    }

    /// Closes the store for good. What was not committed is lost.
    pub fn close(&mut self) {
        self.state = State::Closed;
        self.pending.clear();
        self.pending_bytes = 0;
    }

    /// When [`reopen`](Self::reopen) should be called next; `None`: the store works, or is closed.
    pub fn next_attempt(&self) -> Option<Instant> {
        match &self.state {
            State::Works(_) | State::Closed => None,
            State::Fails(Failing { retry, .. }) => Some(*retry),
        }
    }

    /// Whether the store works, as far as is known.
    pub fn works(&self) -> bool {
        matches!(self.state, State::Works(_))
    }

    /// The records in the store.
    pub fn stored(&self) -> Amount {
        self.stored
    }

    /// The name of the store.
    pub fn name(&self) -> String {
        self.opener.name()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Failing => "the journal does not work",
            Self::Full => "the journal is full",
        })
    }
}

/// Whether an operator has to change the configuration or the permissions. A full or broken disk is no reason not to start.
fn is_for_the_operator(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{IsADirectory, NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem};
    matches!(error.kind(), IsADirectory | NotADirectory | NotFound | PermissionDenied | ReadOnlyFilesystem)
}

/// A key that is greater than all keys in a store that cannot be read: nobody writes a million records in a millisecond.
fn key_beyond_all(now: SystemTime) -> u64 {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis() << 20).unwrap_or(u64::MAX >> 1)
}

/// Records that one commit removes: some milliseconds of work, so that new records do not wait for long.
const REMOVALS: usize = 5_000;

/// Bytes of records in one commit, so that the first of them does not wait long for the last. The thread of the journal
/// keeps about twice that memory.
const GROUP: u64 = 2 << 20;

/// The interval between attempts to open a store that does not work.
pub(crate) const RETRY: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
