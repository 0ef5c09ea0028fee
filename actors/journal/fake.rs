//! A store in memory that fails on request, for tests. Its content survives that it is closed.

#![expect(clippy::unwrap_used, reason = "for tests only")]

use std::{collections::BTreeMap, io, sync::mpsc, thread};

use crate::store::{Amount, Changes, Error, Open, Place, Store};

/// A store in memory. Clones have the same content, which a thread of its own owns.
#[derive(Clone, Debug)]
pub struct Fake {
    calls: mpsc::Sender<Call>,
}

/// Something to do with the content.
type Call = Box<dyn FnOnce(&mut Content) + Send>;

/// How a commit fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing is changed.
    Before,
    /// All changes are made, and the caller does not learn it.
    After,
}

#[derive(Debug, Default)]
struct Content {
    records: BTreeMap<u64, Vec<u8>>,
    commits: u64,
    /// Every commit with a number that is a multiple of this one fails.
    fail_each: Option<(u64, Failure)>,
    /// Calls that read records by key.
    reads: u64,
    /// Every one of them with a number that is a multiple of this one fails.
    fail_each_read: Option<u64>,
    /// Opening fails.
    is_broken: bool,
    /// The open store is not in its place any more.
    is_elsewhere: bool,
    /// Reading fails from this key on.
    damaged_from: Option<u64>,
    set_aside: Vec<BTreeMap<u64, Vec<u8>>>,
}

impl Default for Fake {
    fn default() -> Self {
        let (calls, received) = mpsc::channel::<Call>();
        // The thread ends with the last clone.
        thread::spawn(move || {
            let mut content = Content::default();
            received.iter().for_each(|call| call(&mut content));
        });
        Self { calls }
    }
}

impl Fake {
    fn with<T: Send + 'static>(&self, act: impl FnOnce(&mut Content) -> T + Send + 'static) -> T {
        let (answer, answered) = mpsc::channel();
        self.calls.send(Box::new(move |content| drop(answer.send(act(content))))).unwrap();
        answered.recv().unwrap()
    }

    /// Has each `n`-th commit fail, and all calls of that open store after it; `None`: no commit.
    pub fn fail_each(&self, n: Option<u64>, failure: Failure) {
        self.with(move |content| content.fail_each = n.map(|n| (n, failure)));
    }

    /// Has each `n`-th call fail that reads records by key, and all calls of that open store after it; `None`: no call.
    pub fn fail_each_read(&self, n: Option<u64>) {
        self.with(move |content| content.fail_each_read = n);
    }

    /// Has the store refuse to open, or open again.
    pub fn set_broken(&self, is_broken: bool) {
        self.with(move |content| content.is_broken = is_broken);
    }

    /// Has the open store be somewhere else, or in its place again.
    pub fn set_elsewhere(&self, is_elsewhere: bool) {
        self.with(move |content| content.is_elsewhere = is_elsewhere);
    }

    /// Has the records from this key on be unreadable.
    pub fn damage_from(&self, key: u64) {
        self.with(move |content| content.damaged_from = Some(key));
    }

    /// Changes the bytes of a record.
    pub fn corrupt(&self, key: u64) {
        self.with(move |content| {
            if let Some(last) = content.records.get_mut(&key).and_then(|record| record.last_mut()) {
                *last ^= 1;
            }
        });
    }

    /// The keys of all records, in order.
    pub fn keys(&self) -> Vec<u64> {
        self.with(|content| content.records.keys().copied().collect())
    }

    /// The number of commits.
    pub fn commits(&self) -> u64 {
        self.with(|content| content.commits)
    }

    /// The number of stores that were set aside.
    pub fn set_aside(&self) -> usize {
        self.with(|content| content.set_aside.len())
    }
}

impl Open for Fake {
    fn open(&mut self) -> Result<Box<dyn Store>, Error> {
        if self.with(|content| content.is_broken) {
            return Err(Error::Io(io::ErrorKind::StorageFull.into()));
        }
        Ok(Box::new(OpenFake { fake: self.clone(), is_closed: false }))
    }

    fn set_aside(&mut self) -> io::Result<String> {
        self.with(|content| {
            content.set_aside.push(std::mem::take(&mut content.records));
            content.damaged_from = None;
        });
        Ok("fake.damaged".into())
    }

    fn name(&self) -> String {
        "fake".into()
    }
}

#[derive(Debug)]
struct OpenFake {
    fake: Fake,
    is_closed: bool,
}

impl Store for OpenFake {
    fn commit(&mut self, changes: &Changes) -> Result<Amount, Error> {
        let (changes, is_closed) = (changes.clone(), self.is_closed);
        let removed = self.fake.with(move |content| content.commit(changes, is_closed));
        self.is_closed |= removed.is_none();
        removed.ok_or_else(|| Error::Io(io::ErrorKind::StorageFull.into()))
    }

    fn read(&mut self, from: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, Error> {
        self.fake.with(move |content| content.read(from, limit))
    }

    fn get(&mut self, keys: &[u64]) -> Result<Vec<Option<Vec<u8>>>, Error> {
        let keys = keys.to_vec();
        let found = self.fake.with(move |content| content.get(&keys)).filter(|_| !self.is_closed);
        self.is_closed |= found.is_none();
        found.ok_or_else(|| Error::Io(io::Error::other("a failure of the test")))
    }

    fn place(&mut self) -> Place {
        match self.fake.with(|content| content.is_elsewhere) {
            true => Place::Elsewhere,
            false => Place::Here,
        }
    }
}

impl Content {
    /// Makes the changes, and gives the amount that was removed or replaced; `None` if the commit fails.
    fn commit(&mut self, changes: Changes, is_closed: bool) -> Option<Amount> {
        self.commits += 1;
        let failure = self.fail_each.filter(|(n, _)| self.commits.is_multiple_of(*n));
        let failure = failure.map(|(_, failure)| failure);
        if is_closed || failure == Some(Failure::Before) {
            return None;
        }
        let mut removed = Amount::default();
        for (key, record) in changes.append {
            if let Some(replaced) = self.records.insert(key, record) {
                removed = removed.plus(Amount::one(replaced.len()));
            }
        }
        for key in changes.forget {
            if let Some(record) = self.records.remove(&key) {
                removed = removed.plus(Amount::one(record.len()));
            }
        }
        (failure != Some(Failure::After)).then_some(removed)
    }

    /// The records with these keys; `None` if reading fails.
    fn get(&mut self, keys: &[u64]) -> Option<Vec<Option<Vec<u8>>>> {
        self.reads += 1;
        let fails = self.fail_each_read.is_some_and(|n| self.reads.is_multiple_of(n));
        (!fails).then(|| keys.iter().map(|key| self.records.get(key).cloned()).collect())
    }

    fn read(&self, from: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, Error> {
        let records: Vec<_> =
            self.records.range(from..).take(limit).map(|(key, record)| (*key, record.clone())).collect();
        match self.damaged_from {
            Some(damaged) if records.first().is_some_and(|(key, _)| *key >= damaged) => {
                Err(Error::Damaged("a page of the test".into()))
            }
            Some(damaged) => Ok(records.into_iter().take_while(|(key, _)| *key < damaged).collect()),
            None => Ok(records),
        }
    }
}
