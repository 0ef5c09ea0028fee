//! The tables of the broker in memory.

use crate::engine::{Answer, Bucket, Entry, Op, Request};
use bytes::Bytes;
use std::collections::BTreeMap;

#[derive(Clone, Default)]
struct Table {
    exists: bool,
    records: BTreeMap<String, Entry>,
    revision: u64,
    generation: u64,
}

/// All tables.
#[derive(Clone, Default)]
pub(super) struct Tables {
    tables: [Table; 3],
    /// Tables that were created so far.
    created: u64,
}

/// A record was written or deleted.
pub(super) struct Change {
    pub(super) bucket: Bucket,
    pub(super) key: String,
    pub(super) revision: u64,
    pub(super) value: Option<Bytes>,
}

impl Tables {
    /// Executes a request. `None`: the table does not exist, so there is no answer.
    pub(super) fn execute(&mut self, request: &Request) -> Option<(Answer, Option<Change>)> {
        let bucket = request.bucket;
        let table = &mut self.tables[bucket as usize];
        if !table.exists {
            return None;
        }
        let revision_of = |key: &str| table.records.get(key).map_or(0, |entry| entry.revision);
        let (key, expected, value) = match &request.op {
            Op::Read { key } => return Some((Answer::Entry(table.records.get(key).cloned()), None)),
            Op::List => return Some((Answer::Entries(table.all()), None)),
            Op::Next { after } => {
                let later = table.all().into_iter().filter(|(_, entry)| entry.revision > *after);
                return Some((Answer::Next(later.min_by_key(|(_, entry)| entry.revision)), None));
            }
            Op::Create { key, value } => (key, 0, Some(value)),
            Op::Update { key, value, revision } => (key, *revision, Some(value)),
            Op::Delete { key, revision } => (key, *revision, None),
        };
        if revision_of(key) != expected {
            return Some((Answer::Conflict, None));
        }
        table.revision += 1;
        let revision = table.revision;
        let answer = match value {
            Some(value) => {
                table.records.insert(key.clone(), Entry { revision, value: value.clone() });
                Answer::Written { revision }
            }
            None => {
                table.records.remove(key);
                Answer::Deleted
            }
        };
        Some((answer, Some(Change { bucket, key: key.clone(), revision, value: value.cloned() })))
    }

    /// Creates the tables that are missing. Whether there were any.
    pub(super) fn create(&mut self) -> bool {
        let mut any = false;
        for table in &mut self.tables {
            if !table.exists {
                self.created += 1;
                *table = Table { exists: true, generation: self.created, ..Table::default() };
                any = true;
            }
        }
        any
    }

    /// All tables are gone.
    pub(super) fn lose(&mut self) {
        self.tables = Default::default();
    }

    pub(super) fn generation(&self) -> [u64; 3] {
        self.tables.each_ref().map(|table| table.generation)
    }

    /// Whether these are older data of the same tables.
    pub(super) fn is_of(&self, later: &Self) -> bool {
        self.generation() == later.generation()
    }

    pub(super) fn all(&self, bucket: Bucket) -> Vec<(String, Entry)> {
        self.tables[bucket as usize].all()
    }
}

impl Table {
    fn all(&self) -> Vec<(String, Entry)> {
        self.records.iter().map(|(key, entry)| (key.clone(), entry.clone())).collect()
    }
}
