//! A store in memory that fails on request, for tests. Its content survives that it is closed.

#![expect(
    clippy::disallowed_types,
    reason = "the test, the journal and the store that is open share the content"
)]
#![expect(clippy::missing_panics_doc, clippy::unwrap_used, reason = "for tests only")]

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex},
};

use crate::store::{Amount, Changes, Error, Open, Store};

/// A store in memory. Clones share the content.
#[derive(Clone, Debug, Default)]
pub struct Fake {
    shared: Arc<Mutex<Shared>>,
}

/// How a commit fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing is changed.
    Before,
    /// All changes are made, and the caller does not learn it.
    After,
}

#[derive(Debug, Default)]
struct Shared {
    records: BTreeMap<u64, Vec<u8>>,
    commits: u64,
    /// Every commit with a number that is a multiple of this one fails.
    fail_each: Option<(u64, Failure)>,
    /// Opening fails.
    is_broken: bool,
    /// Reading fails from this key on.
    damaged_from: Option<u64>,
    set_aside: Vec<BTreeMap<u64, Vec<u8>>>,
}

impl Fake {
    /// Has each `n`-th commit fail, and all calls of that open store after it; `None`: no commit.
    pub fn fail_each(&self, n: Option<u64>, failure: Failure) {
        self.shared.lock().unwrap().fail_each = n.map(|n| (n, failure));
    }

    /// Has the store refuse to open, or open again.
    pub fn set_broken(&self, is_broken: bool) {
        self.shared.lock().unwrap().is_broken = is_broken;
    }

    /// Has the records from this key on be unreadable.
    pub fn damage_from(&self, key: u64) {
        self.shared.lock().unwrap().damaged_from = Some(key);
    }

    /// Changes the bytes of a record.
    pub fn corrupt(&self, key: u64) {
        let mut shared = self.shared.lock().unwrap();
        if let Some(last) = shared.records.get_mut(&key).and_then(|record| record.last_mut()) {
            *last ^= 1;
        }
    }

    /// The keys of all records, in order.
    pub fn keys(&self) -> Vec<u64> {
        self.shared.lock().unwrap().records.keys().copied().collect()
    }

    /// The number of commits.
    pub fn commits(&self) -> u64 {
        self.shared.lock().unwrap().commits
    }

    /// The number of stores that were set aside.
    pub fn set_aside(&self) -> usize {
        self.shared.lock().unwrap().set_aside.len()
    }
}

impl Open for Fake {
    fn open(&mut self) -> Result<Box<dyn Store>, Error> {
        if self.shared.lock().unwrap().is_broken {
            return Err(Error::Io(io::ErrorKind::StorageFull.into()));
        }
        Ok(Box::new(OpenFake { shared: Arc::clone(&self.shared), is_closed: false }))
    }

    fn set_aside(&mut self) -> io::Result<String> {
        let mut shared = self.shared.lock().unwrap();
        let records = std::mem::take(&mut shared.records);
        shared.set_aside.push(records);
        shared.damaged_from = None;
        Ok("fake.damaged".into())
    }

    fn name(&self) -> String {
        "fake".into()
    }
}

#[derive(Debug)]
struct OpenFake {
    shared: Arc<Mutex<Shared>>,
    is_closed: bool,
}

impl Store for OpenFake {
    fn commit(&mut self, changes: &Changes) -> Result<Amount, Error> {
        let mut shared = self.shared.lock().unwrap();
        shared.commits += 1;
        let commits = shared.commits;
        let failure =
            shared.fail_each.filter(|(n, _)| commits.is_multiple_of(*n)).map(|(_, failure)| failure);
        if self.is_closed || failure == Some(Failure::Before) {
            self.is_closed = true;
            return Err(Error::Io(io::ErrorKind::StorageFull.into()));
        }
        shared.records.extend(changes.append.iter().cloned());
        let mut removed = Amount::default();
        for key in &changes.forget {
            if let Some(record) = shared.records.remove(key) {
                removed = removed.plus(Amount::one(record.len()));
            }
        }
        if failure == Some(Failure::After) {
            self.is_closed = true;
            return Err(Error::Io(io::ErrorKind::StorageFull.into()));
        }
        Ok(removed)
    }

    fn read(&mut self, from: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, Error> {
        let shared = self.shared.lock().unwrap();
        let records: Vec<_> =
            shared.records.range(from..).take(limit).map(|(key, record)| (*key, record.clone())).collect();
        match shared.damaged_from {
            Some(damaged) if records.first().is_some_and(|(key, _)| *key >= damaged) => {
                Err(Error::Damaged("a page of the test".into()))
            }
            Some(damaged) => Ok(records.into_iter().take_while(|(key, _)| *key < damaged).collect()),
            None => Ok(records),
        }
    }
}
