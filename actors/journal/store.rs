//! A store of records: what the journal needs of a data base. The journal can be kept elsewhere with another
//! implementation, for example in a cluster.

use std::{fmt, io};

/// Keeps records by key, durably. It does not look into them.
pub trait Store: fmt::Debug + Send {
    /// Writes and removes records in one durable step: after it, all changes survive a crash, or none of them was made.
    /// Removing a record that does not exist changes nothing. A new record
    /// replaces one with its key. Gives the amount of those that were removed or replaced.
    ///
    /// # Errors
    /// The changes may have been made or not. The store has to be opened again.
    fn commit(&mut self, changes: &Changes) -> Result<Amount, Error>;

    /// The records from the key `from` on, in order: at most `limit`, and not all of them if they have many bytes. An
    /// empty list means that there are no more.
    ///
    /// # Errors
    /// A part of the store cannot be read.
    fn read(&mut self, from: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, Error>;

    /// The records with these keys, in the order of the keys; `None` for each that is not in the store.
    ///
    /// # Errors
    /// A part of the store cannot be read. The store has to be opened again.
    fn get(&mut self, keys: &[u64]) -> Result<Vec<Option<Vec<u8>>>, Error>;

    /// Whether the store is still where it was opened.
    fn place(&mut self) -> Place {
        Place::Here
    }
}

/// Where an open store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Where it was opened.
    Here,
    /// Somewhere else, or nowhere: it was moved, removed or replaced. It can be read until it is closed.
    Elsewhere,
    /// Another program has cut or overwritten it.
    Overwritten,
}

/// Opens a store, at the start and after an error.
pub trait Open: fmt::Debug + Send {
    /// Opens the store.
    ///
    /// # Errors
    /// The store cannot be used.
    fn open(&mut self) -> Result<Box<dyn Store>, Error>;

    /// Sets a damaged store aside, so that the next [`open`](Self::open) makes an empty one. Gives its new name.
    ///
    /// # Errors
    /// The store cannot be renamed.
    fn set_aside(&mut self) -> io::Result<String>;

    /// Finds the records of the store that was set aside last, as far as it is certain that they were not removed. Calls
    /// `found` with the key and the bytes of each; damaged ones may be among them.
    ///
    /// # Errors
    /// The store cannot be read.
    fn salvage(&mut self, found: &mut dyn FnMut(u64, &[u8])) -> io::Result<()> {
        let _ = found;
        Ok(())
    }

    /// Moves away what is in the place of a store that is elsewhere now. Gives its new name, if there is something.
    ///
    /// # Errors
    /// It cannot be renamed.
    fn clear_place(&mut self) -> io::Result<Option<String>> {
        Ok(None)
    }

    /// Removes a store that was opened and could not be filled.
    fn discard(&mut self) {}

    /// The store, for the log and for error texts.
    fn name(&self) -> String;
}

/// Changes that a commit makes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// New records with their keys, in order.
    pub append: Vec<(u64, Vec<u8>)>,
    /// The keys of records to remove.
    pub forget: Vec<u64>,
}

impl Changes {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.append.is_empty() && self.forget.is_empty()
    }
}

/// A number of records and of their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// The number of records.
    pub records: u64,
    /// The sum of their lengths in bytes.
    pub bytes: u64,
}

impl Amount {
    /// One record with so many bytes.
    pub fn one(bytes: usize) -> Self {
        Self { records: 1, bytes: bytes as u64 }
    }

    /// The sum of both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { records: self.records + other.records, bytes: self.bytes + other.bytes }
    }

    /// The difference of both; not below zero.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self {
            records: self.records.saturating_sub(other.records),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }
}

/// Why a store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has opened it.
    #[error("the file is in use by {}", Process(.0))]
    InUse(Option<u32>),
    /// A newer version of the program has written it.
    #[error("the file has format {format}, written by {}; this version reads format {FORMAT}", Version(.by))]
    Newer {
        /// The format of the file.
        format: u64,
        /// The version that has written it, if the file says so.
        by: Option<String>,
    },
    /// Its records are encrypted with another key.
    #[error("records are encrypted with another key")]
    OtherKey,
    /// Its records are encrypted, and no key is given.
    #[error("records are encrypted, and no key file is given")]
    NoKey,
    /// It has something else in it.
    #[error("the file is not a journal; move it away, or correct the path")]
    Foreign,
    /// Its content is not consistent.
    #[error("the file is damaged: {0}")]
    Damaged(String),
    /// The system reports an error: no space, no permission, a broken disk.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Names a process in a text.
struct Process<'a>(&'a Option<u32>);

impl fmt::Display for Process<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(process) => write!(f, "process {process}"),
            None => f.write_str("another process"),
        }
    }
}

/// Names a version in a text.
struct Version<'a>(&'a Option<String>);

impl fmt::Display for Version<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(version) => write!(f, "Nuncio {version}"),
            None => f.write_str("a newer version of Nuncio"),
        }
    }
}

/// The format of a store that this version writes.
pub(crate) const FORMAT: u64 = 1;
