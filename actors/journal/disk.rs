//! The store in a file: redb, an embedded data base in one file with durable commits.
//!
//! redb verifies the checksums of its pages only when it repairs a file, and some of its functions panic when a page is
//! damaged. So each call is guarded: a panic becomes [`Error::Damaged`], and each record has a checksum of its own.
//!
//! After an error of the system every further call fails, also when there is space again: the caller opens the file again.

mod tree;

use std::{
    cell::Cell,
    fs::{self, File},
    io,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
};

use redb::{Builder, Database, ReadableTable, ReadableTableMetadata, TableDefinition, WriteTransaction};

use crate::{
    cipher::Cipher,
    file::{self, Identity},
    store::{Amount, Changes, Error, FORMAT, Open, Place, Store},
};

/// Opens the store in a file.
#[derive(Clone, Debug)]
pub struct Disk {
    path: PathBuf,
    /// That of the cipher; `None`: new records are not encrypted.
    fingerprint: Option<Vec<u8>>,
    /// The damaged file that was set aside last.
    aside: Option<PathBuf>,
}

impl Disk {
    /// The store in this file, which is made if it does not exist. Its directory is made too, if its parent exists.
    pub fn new(path: PathBuf, cipher: Option<&Cipher>) -> Self {
        Self { path, fingerprint: cipher.map(|cipher| cipher.fingerprint().to_vec()), aside: None }
    }
}

impl Open for Disk {
    fn open(&mut self) -> Result<Box<dyn Store>, Error> {
        let file = file::open_private(&self.path)?;
        if let Some(format) = file::newer_format(&file)? {
            return Err(Error::Newer { format, by: None });
        }
        let (metadata, watched) = (file.metadata()?, file.try_clone()?);
        let (length, identity) = (metadata.len(), Identity::of(&metadata));
        // Some network file systems give a file another number each time.
        let is_watchable = fs::metadata(&self.path).is_ok_and(|found| Identity::of(&found) == identity);
        let opened = guarded(|| {
            let mut database = Builder::new()
                .create_with_file_format_v3(true)
                .set_cache_size(CACHE)
                .create_file(file)
                .map_err(explain)?;
            if prepare(&database, self.fingerprint.as_deref())? == 0 && length > COMPACT_ABOVE {
                // The file does not shrink by itself.
                database.compact().map_err(explain)?;
            }
            Ok(database)
        });
        match opened {
            Ok(database) => Ok(Box::new(OpenDisk {
                database: Some(database),
                path: self.path.clone(),
                watched: is_watchable.then_some((identity, watched)),
            })),
            Err(Error::InUse(_)) => Err(Error::InUse(file::holder(&self.path))),
            Err(error) => Err(error),
        }
    }

    fn set_aside(&mut self) -> io::Result<String> {
        let aside = file::set_aside(&self.path, "damaged")?;
        let name = aside.display().to_string();
        self.aside = Some(aside);
        Ok(name)
    }

    fn salvage(&mut self, found: &mut dyn FnMut(u64, &[u8])) -> io::Result<()> {
        let Some(aside) = &self.aside else { return Ok(()) };
        tree::walk(&File::open(aside)?, found)
    }

    fn clear_place(&mut self) -> io::Result<Option<String>> {
        if !exists(&self.path) {
            return Ok(None);
        }
        Ok(Some(file::set_aside(&self.path, "replaced")?.display().to_string()))
    }

    fn discard(&mut self) {
        // If it stays, it is moved away at the next attempt.
        let _ = fs::remove_file(&self.path);
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }
}

/// Checks the format and the key, and makes what is missing. Gives the number of records.
fn prepare(database: &Database, fingerprint: Option<&[u8]>) -> Result<u64, Error> {
    let transaction = database.begin_write().map_err(explain)?;
    let (records, is_changed) = check(&transaction, fingerprint)?;
    if is_changed {
        transaction.commit().map_err(explain)?;
    } else {
        transaction.abort().map_err(explain)?;
    }
    Ok(records)
}

/// Gives the number of records, and whether the transaction has changes.
fn check(transaction: &WriteTransaction, fingerprint: Option<&[u8]>) -> Result<(u64, bool), Error> {
    let mut facts = transaction.open_table(FACTS).map_err(explain)?;
    let records = transaction.open_table(RECORDS).map_err(explain)?.len().map_err(explain)?;
    let fact = |name: &str| -> Result<Option<Vec<u8>>, Error> {
        Ok(facts.get(name).map_err(explain)?.map(|value| value.value().to_vec()))
    };
    let (format, version, key) = (fact("format")?, fact("version")?, fact("key")?);
    let format = format.map(|bytes| bytes.first_chunk().copied().map(u64::from_le_bytes).unwrap_or_default());
    if let Some(format) = format.filter(|format| *format > FORMAT) {
        let by = version.map(|version| String::from_utf8_lossy(&version).escape_debug().to_string());
        return Err(Error::Newer { format, by });
    }
    let current = FORMAT.to_le_bytes();
    let wanted = [
        ("format", format.map(|format| format.to_le_bytes().to_vec()), Some(&current[..])),
        ("version", version, Some(env!("CARGO_PKG_VERSION").as_bytes())),
        ("key", key, fingerprint),
    ];
    let mut is_changed = false;
    for (name, found, wanted) in wanted {
        if found.as_deref() == wanted {
            continue;
        }
        is_changed = true;
        match wanted {
            Some(value) => drop(facts.insert(name, value).map_err(explain)?),
            None => drop(facts.remove(name).map_err(explain)?),
        }
    }
    Ok((records, is_changed))
}

/// An open file.
#[derive(Debug)]
struct OpenDisk {
    /// Taken when it is dropped.
    database: Option<Database>,
    path: PathBuf,
    /// What tells the file from others, and the file; `None`: the file system does not tell.
    watched: Option<(Identity, File)>,
}

impl OpenDisk {
    fn database(&self) -> Result<&Database, Error> {
        self.database.as_ref().ok_or_else(|| Error::Io(io::ErrorKind::NotConnected.into()))
    }
}

impl Store for OpenDisk {
    fn commit(&mut self, changes: &Changes) -> Result<Amount, Error> {
        guarded(|| {
            let mut transaction = self.database()?.begin_write().map_err(explain)?;
            // After a crash the file is open in milliseconds, whatever its size.
            transaction.set_quick_repair(true);
            let mut removed = Amount::default();
            {
                let mut records = transaction.open_table(RECORDS).map_err(explain)?;
                for (key, record) in &changes.append {
                    if let Some(replaced) = records.insert(key, &**record).map_err(explain)? {
                        removed = removed.plus(Amount::one(replaced.value().len()));
                    }
                }
                for key in &changes.forget {
                    if let Some(record) = records.remove(key).map_err(explain)? {
                        removed = removed.plus(Amount::one(record.value().len()));
                    }
                }
            }
            transaction.commit().map_err(explain)?;
            Ok(removed)
        })
    }

    fn read(&mut self, from: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, Error> {
        guarded(|| {
            let transaction = self.database()?.begin_read().map_err(explain)?;
            let records = transaction.open_table(RECORDS).map_err(explain)?;
            let (mut read, mut bytes) = (Vec::new(), 0);
            for record in records.range(from..).map_err(explain)? {
                let (key, record) = record.map_err(explain)?;
                bytes += record.value().len();
                read.push((key.value(), record.value().to_vec()));
                if read.len() >= limit || bytes >= READ {
                    break;
                }
            }
            Ok(read)
        })
    }

    fn get(&mut self, keys: &[u64]) -> Result<Vec<Option<Vec<u8>>>, Error> {
        guarded(|| {
            let transaction = self.database()?.begin_read().map_err(explain)?;
            let records = transaction.open_table(RECORDS).map_err(explain)?;
            let get = |key: &u64| -> Result<Option<Vec<u8>>, Error> {
                Ok(records.get(key).map_err(explain)?.map(|record| record.value().to_vec()))
            };
            keys.iter().map(get).collect()
        })
    }

    fn place(&mut self) -> Place {
        self.watched.as_ref().map_or(Place::Here, |(identity, file)| file::place(&self.path, *identity, file))
    }
}

impl Drop for OpenDisk {
    fn drop(&mut self) {
        // Closing writes to the file. After an error there is nothing that could be lost by that.
        let database = self.database.take();
        let _ = guarded(|| {
            drop(database);
            Ok(())
        });
    }
}

thread_local! {
    /// This thread calls redb.
    static IS_GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic of this thread is one that means that the file is damaged: it is caught, and the error is reported. For
/// panic hooks.
pub fn is_guarded() -> bool {
    IS_GUARDED.get()
}

/// Calls redb. Its panics mean that the file is damaged.
fn guarded<T>(call: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    IS_GUARDED.set(true);
    let outcome = panic::catch_unwind(AssertUnwindSafe(call));
    IS_GUARDED.set(false);
    outcome.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a page is not valid");
        Err(Error::Damaged(text.escape_debug().to_string()))
    })
}

fn explain(error: impl Into<redb::Error>) -> Error {
    match error.into() {
        redb::Error::Io(error)
            if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
        {
            Error::Damaged(error.to_string())
        }
        redb::Error::Io(error) => Error::Io(error),
        redb::Error::PreviousIo => Error::Io(io::Error::other("an earlier write has failed")),
        redb::Error::DatabaseAlreadyOpen => Error::InUse(None),
        // Tables with other types, locks that a panic has poisoned, pages with a wrong checksum.
        error => Error::Damaged(error.to_string()),
    }
}

/// Whether a file exists at `path` in which a store may be.
pub fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// The stanzas.
const RECORDS: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("records");

/// The format, the version that wrote the file, and the fingerprint of the key.
const FACTS: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("facts");

/// Bytes of the page cache. redb takes 1 GiB by default, and keeps pages that were written. Records are written once and
/// read once, so a small one suffices; with 2 MiB, commits took 15 % longer.
const CACHE: usize = 4 << 20;

/// Bytes of records that are read at once, at least one record.
const READ: usize = 4 << 20;

/// Bytes of an empty file above which it is made small at the start. Below, a file does no harm.
const COMPACT_ABOVE: u64 = 16 << 20;

#[cfg(test)]
mod tests;
