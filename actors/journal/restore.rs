//! Reads a store at the start, and saves what can be read of a damaged one.

use std::{collections::BTreeMap, io};

use crate::{
    cipher::Cipher,
    record::{Damage, Record},
    store::{Amount, Changes, Error, Open, Store},
};

/// What was in a store at the start.
#[derive(Debug, Default)]
pub struct Restored {
    /// The stanzas with their keys, in order.
    pub records: Vec<(u64, Record)>,
    /// Everything in the store.
    pub amount: Amount,
    /// The key for the next record. It is greater than all keys in the store.
    pub next: u64,
    /// The number of records that cannot be read. They are removed.
    pub damaged: u64,
    /// The store was damaged, and is a new one now.
    pub set_aside: Option<SetAside>,
    /// Why the store cannot be used at the moment. The stanzas are in memory only, if there are any.
    pub error: Option<Error>,
    /// The keys of records that are to be removed.
    pub(crate) unwanted: Vec<u64>,
}

/// A damaged store.
#[derive(Debug)]
pub struct SetAside {
    /// Its new name.
    pub name: String,
    /// What is wrong with it.
    pub error: Error,
    /// The number of records that could be read, and are in the new store.
    pub saved: u64,
}

/// Opens a store and reads everything. A damaged store is replaced by a new one with what could be read. There is no store
/// if the new one cannot be written.
pub(crate) fn open(
    opener: &mut dyn Open,
    cipher: Option<&Cipher>,
) -> Result<(Option<Box<dyn Store>>, Restored), Error> {
    let mut read = Read::default();
    let damage = match opener.open() {
        Ok(mut store) => match read.all(&mut *store, cipher) {
            Ok(()) => return Ok((Some(store), read.restored())),
            Err(error @ Error::Damaged(_)) => error,
            Err(error) => return Err(error),
        },
        Err(error @ Error::Damaged(_)) => error,
        Err(error) => return Err(error),
    };
    let name = opener.set_aside()?;
    read.unwanted.clear();
    read.salvage(opener, cipher);
    let set_aside = Some(SetAside { name, error: damage, saved: read.records.len() as u64 });
    let written = opener.open().and_then(|mut store| {
        read.write_again(&mut *store, cipher)?;
        Ok(store)
    });
    Ok(match written {
        Ok(store) => (Some(store), Restored { set_aside, ..read.restored() }),
        Err(error) => {
            read.amount = Amount::default();
            (None, Restored { set_aside, error: Some(error), ..read.restored() })
        }
    })
}

/// Opens a store again. Gives everything that is in it.
pub(crate) fn open_again(opener: &mut dyn Open) -> Result<(Box<dyn Store>, Amount), Error> {
    let mut store = opener.open()?;
    let mut amount = Amount::default();
    each(&mut *store, |_, bytes| amount = amount.plus(Amount::one(bytes.len())))?;
    Ok((store, amount))
}

/// Begins a new store with what can be read of the one that was set aside.
pub(crate) fn begin_from_aside(opener: &mut dyn Open) -> Result<(Box<dyn Store>, Amount), Error> {
    let mut copy = Copy::to(opener.open()?);
    // What cannot be read is lost.
    let _ = opener.salvage(&mut |key, bytes| copy.add(key, bytes));
    copy.end().inspect_err(|_| opener.discard())
}

/// A new store in the place of one that is elsewhere.
pub(crate) struct Moved {
    pub(crate) store: Box<dyn Store>,
    /// Everything in it.
    pub(crate) amount: Amount,
    /// The new name of what was in its place.
    pub(crate) found: Option<String>,
}

/// Begins a new store with everything that is in `old`, which is not in its place any more.
pub(crate) fn begin_anew(opener: &mut dyn Open, old: &mut dyn Store) -> Result<Moved, Error> {
    let found = opener.clear_place()?;
    let mut copy = Copy::to(opener.open()?);
    let read = each(old, |key, bytes| copy.add(key, bytes));
    let copied = match read {
        // What cannot be read is lost.
        Ok(()) | Err(Error::Damaged(_)) => copy.end(),
        Err(error) => Err(error),
    };
    let (store, amount) = copied.inspect_err(|_| opener.discard())?;
    Ok(Moved { store, amount, found })
}

/// Records on their way to a new store, as they are.
struct Copy {
    store: Box<dyn Store>,
    changes: Changes,
    /// Bytes in `changes`.
    bytes: usize,
    amount: Amount,
    failure: Option<Error>,
}

impl Copy {
    fn to(store: Box<dyn Store>) -> Self {
        let (changes, amount) = (Changes::default(), Amount::default());
        Self { store, changes, bytes: 0, amount, failure: None }
    }

    fn add(&mut self, key: u64, bytes: &[u8]) {
        if self.failure.is_some() {
            return;
        }
        self.amount = self.amount.plus(Amount::one(bytes.len()));
        self.changes.append.push((key, bytes.to_vec()));
        self.bytes += bytes.len();
        if self.changes.append.len() >= PART || self.bytes >= PART_BYTES {
            self.commit();
        }
    }

    fn commit(&mut self) {
        self.bytes = 0;
        match self.store.commit(&std::mem::take(&mut self.changes)) {
            // A damaged store may have a record twice.
            Ok(replaced) => self.amount = self.amount.minus(replaced),
            Err(error) => self.failure = Some(error),
        }
    }

    fn end(mut self) -> Result<(Box<dyn Store>, Amount), Error> {
        if !self.changes.is_empty() && self.failure.is_none() {
            self.commit();
        }
        match self.failure {
            Some(failure) => Err(failure),
            None => Ok((self.store, self.amount)),
        }
    }
}

/// Calls `visit` for each record of a store, in order. Behind a damaged part it goes on with the records that can be read,
/// and gives the error in the end.
fn each(store: &mut dyn Store, mut visit: impl FnMut(u64, &[u8])) -> Result<(), Error> {
    let (mut from, mut limit, mut gap) = (0_u64, PART, 1_u64);
    let mut damage = Ok(());
    loop {
        match store.read(from, limit) {
            Ok(part) => {
                let Some((last, _)) = part.last() else { return damage };
                let next = last.checked_add(1);
                for (key, bytes) in &part {
                    visit(*key, bytes);
                }
                let Some(next) = next else { return damage };
                (from, limit, gap) = (next, PART.min(limit * 2), 1);
            }
            // The damage may be at the end of the part.
            Err(Error::Damaged(_)) if limit > 1 => limit /= 2,
            Err(error @ Error::Damaged(_)) => {
                damage = damage.and(Err(error));
                // The keys of the damaged page are not known. A page has some dozens of records.
                from = from.saturating_add(gap);
                gap *= 2;
                if gap > LARGEST_GAP {
                    return damage;
                }
            }
            Err(error) => return Err(error),
        }
    }
}

/// The records as they are read.
#[derive(Debug, Default)]
struct Read {
    records: Vec<(u64, Record)>,
    amount: Amount,
    last: u64,
    damaged: u64,
    unwanted: Vec<u64>,
}

impl Read {
    fn all(&mut self, store: &mut dyn Store, cipher: Option<&Cipher>) -> Result<(), Error> {
        let mut is_sealed = false;
        let read = each(store, |key, bytes| {
            self.last = key;
            self.amount = self.amount.plus(Amount::one(bytes.len()));
            match Record::decode(key, bytes, cipher) {
                // It was on the disk only because the memory was full.
                Ok(record) if record.flags.overflow => self.unwanted.push(key),
                Ok(record) => self.records.push((key, record)),
                Err(Damage::Sealed) => is_sealed = true,
                Err(_) => {
                    self.damaged += 1;
                    self.unwanted.push(key);
                }
            }
        });
        match (is_sealed, cipher) {
            (false, _) => read,
            (true, None) => Err(Error::NoKey),
            (true, Some(_)) => Err(Error::OtherKey),
        }
    }

    /// Adds the records of the store that was set aside which could not be read from it.
    fn salvage(&mut self, opener: &mut dyn Open, cipher: Option<&Cipher>) {
        let mut records: BTreeMap<u64, Record> = std::mem::take(&mut self.records).into_iter().collect();
        // If it cannot be read, nothing is added.
        let _ = opener.salvage(&mut |key, bytes| {
            if let Ok(record) = Record::decode(key, bytes, cipher)
                && !record.flags.overflow
            {
                records.entry(key).or_insert(record);
            }
        });
        self.last = self.last.max(records.last_key_value().map_or(0, |(last, _)| *last));
        self.records = records.into_iter().collect();
    }

    /// Writes the records to a new store, under their keys.
    fn write_again(&mut self, store: &mut dyn Store, cipher: Option<&Cipher>) -> Result<(), Error> {
        self.amount = Amount::default();
        for part in self.records.chunks(PART) {
            let mut append = Vec::with_capacity(part.len());
            for (key, record) in part {
                let bytes = record.encode(*key, cipher).map_err(io::Error::other)?;
                self.amount = self.amount.plus(Amount::one(bytes.len()));
                append.push((*key, bytes));
            }
            store.commit(&Changes { append, forget: Vec::new() })?;
        }
        Ok(())
    }

    fn restored(self) -> Restored {
        let Self { records, amount, last, damaged, unwanted } = self;
        let next = last.saturating_add(1);
        Restored { records, amount, next, damaged, unwanted, ..Restored::default() }
    }
}

/// Keys that are skipped at most behind damage: far more than a page has. If there is nothing to read behind it, the file
/// has lost its root.
const LARGEST_GAP: u64 = 1 << 16;

/// Records that are read or written at once.
const PART: usize = 10_000;

/// Bytes of records that are copied at once.
const PART_BYTES: usize = 4 << 20;
