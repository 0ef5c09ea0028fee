//! The store in a file: reopened, damaged, locked, full, and of another version.

mod place;
mod salvage;

use std::{
    fs::{self, OpenOptions, Permissions},
    os::unix::fs::{FileExt as _, PermissionsExt as _},
    process,
};

use xmpp::stanza::Kind;

use super::*;
use crate::{
    Journal, Restored,
    fixture::Directory,
    record::{Flags, Record, Source},
    scan::scan,
};

fn record(key: u64) -> Record {
    Record {
        kind: Kind::Message,
        accepted: clock::system(),
        source: Source::Component,
        flags: Flags::default(),
        stanza: format!("<message id='{key}'>{}</message>", "x".repeat(250)).into(),
    }
}

fn open(path: &Path, cipher: Option<&Cipher>) -> Result<(Journal<u64>, Restored), Error> {
    let disk = Disk::new(path.to_owned(), cipher);
    Journal::open(Box::new(disk), cipher.cloned(), 1 << 30, clock::now())
}

/// A file with records 1 to `count`.
fn filled(path: &Path, count: u64, cipher: Option<&Cipher>) {
    let (mut journal, _) = open(path, cipher).unwrap();
    for key in 1..=count {
        journal.write(key, &record(key), key).unwrap();
    }
    assert_eq!(journal.commit(clock::now()).stored.len() as u64, count);
}

fn keys(restored: &Restored) -> Vec<u64> {
    restored.records.iter().map(|(key, _)| *key).collect()
}

#[test]
fn records_are_read_in_order_after_the_file_was_closed() {
    let directory = Directory::new();
    let path = directory.file("waiting.redb");
    filled(&path, 25_000, None);
    let (mut journal, restored) = open(&path, None).unwrap();
    assert_eq!(keys(&restored), (1..=25_000).collect::<Vec<_>>());
    assert_eq!((restored.next, restored.damaged, restored.set_aside.is_none()), (25_001, 0, true));
    (1..25_000).for_each(|key| journal.forget(key));
    let mut commits = 0;
    while journal.has_changes() {
        journal.commit(clock::now());
        commits += 1;
    }
    assert_eq!(commits, 5, "one commit removes 5,000 records at most");
    assert_eq!(journal.stored().records, 1);
    drop(journal);
    assert_eq!(keys(&open(&path, None).unwrap().1), [25_000]);
}

#[test]
fn records_are_read_by_key_with_and_without_a_cipher() {
    for cipher in [None, Some(Cipher::new(&[7; 32]))] {
        let directory = Directory::new();
        let path = directory.file("waiting.redb");
        filled(&path, 100, cipher.as_ref());
        let (mut journal, _) = open(&path, cipher.as_ref()).unwrap();
        let read = journal.read(&[100, 7, 101], clock::now()).unwrap();
        let stanzas: Vec<_> = read.into_iter().map(|record| record.map(|record| record.stanza)).collect();
        assert_eq!(stanzas, [Some(record(100).stanza), Some(record(7).stanza), None]);
    }
}

#[test]
fn a_file_is_readable_as_it_was_at_the_last_commit_if_the_process_is_killed() {
    let directory = Directory::new();
    let (path, copy) = (directory.file("waiting.redb"), directory.file("copy.redb"));
    let (mut journal, _) = open(&path, None).unwrap();
    for group in 0..20 {
        for key in group * 10 + 1..=group * 10 + 10 {
            journal.write(key, &record(key), key).unwrap();
        }
        journal.forget(group * 10);
        journal.commit(clock::now());
        // The file is open and marked as such, as after a crash.
        fs::copy(&path, &copy).unwrap();
        let (_, restored) = open(&copy, None).unwrap();
        assert!(restored.set_aside.is_none());
        let expected: Vec<u64> =
            (1..=group * 10 + 10).filter(|key| key % 10 != 0 || *key == group * 10 + 10).collect();
        assert_eq!(keys(&restored), expected);
    }
}

#[test]
fn a_second_process_is_refused_and_the_first_one_is_named() {
    let directory = Directory::new();
    let path = directory.file("waiting.redb");
    let first = open(&path, None).unwrap();
    let error = open(&path, None).unwrap_err();
    let Error::InUse(holder) = error else { panic!("{error}") };
    // In a container the system may hide the process.
    assert!(holder.is_none_or(|holder| holder == process::id()));
    drop(first);
    open(&path, None).unwrap();
}

#[test]
fn a_file_that_was_cut_is_set_aside_and_a_scan_still_finds_records() {
    let directory = Directory::new();
    let path = directory.file("waiting.redb");
    filled(&path, 5000, None);
    let length = fs::metadata(&path).unwrap().len();
    for parts in [1, 2, 3] {
        OpenOptions::new().write(true).open(&path).unwrap().set_len(length / 4 * parts).unwrap();
        let (mut journal, restored) = open(&path, None).unwrap();
        let set_aside = restored.set_aside.unwrap();
        let mut found = 0;
        scan(fs::File::open(&set_aside.name).unwrap(), None, |_, _| found += 1).unwrap();
        assert!(found > 0, "{parts} quarters");
        journal.write(restored.next, &record(1), 1).unwrap();
        assert_eq!(journal.commit(clock::now()).stored, [1]);
        drop(journal);
        fs::remove_file(&path).unwrap();
        filled(&path, 5000, None);
    }
}

#[test]
fn flipped_bytes_cost_the_records_that_they_are_in_and_never_change_one() {
    let directory = Directory::new();
    let path = directory.file("waiting.redb");
    filled(&path, 2000, None);
    let original = fs::read(&path).unwrap();
    let mut left = 0;
    for round in 0..60_u64 {
        let _ = fs::remove_file(&path);
        fs::write(&path, &original).unwrap();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        for flip in 0..3 {
            // Spread over the file, and the same in each run.
            let at = (round * 3 + flip).wrapping_mul(0x9E37_79B9_7F4A_7C15) % original.len() as u64;
            let byte = original[usize::try_from(at).unwrap()];
            file.write_all_at(&[byte ^ 0x40], at).unwrap();
        }
        match open(&path, None) {
            Ok((mut journal, restored)) => {
                for (key, read) in &restored.records {
                    assert_eq!(read.stanza, record(*key).stanza);
                }
                left += restored.records.len();
                journal.write(restored.next, &record(1), 1).unwrap();
            }
            // A byte that names the format.
            Err(Error::Newer { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert!(left > 60 * 2000 / 4, "{left} records are left");
}

#[test]
fn a_damaged_begin_is_no_obstacle_and_a_foreign_file_is_left_alone() {
    let directory = Directory::new();
    let (empty, zeros, torn) = (directory.file("empty"), directory.file("zeros"), directory.file("torn"));
    fs::write(&empty, "").unwrap();
    fs::write(&zeros, [0; 5000]).unwrap();
    filled(&torn, 3, None);
    OpenOptions::new().write(true).open(&torn).unwrap().write_all_at(b"xxxx", 0).unwrap();
    for (path, set_aside) in [(empty, false), (zeros, true), (torn, true)] {
        let (_, restored) = open(&path, None).unwrap();
        assert_eq!(restored.set_aside.is_some(), set_aside, "{}", path.display());
    }
    let foreign = directory.file("foreign");
    fs::write(&foreign, "not a data base, but a text\n").unwrap();
    fs::set_permissions(&foreign, Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(open(&foreign, None), Err(Error::Foreign)));
    assert_eq!(fs::read_to_string(&foreign).unwrap(), "not a data base, but a text\n");
    assert_eq!(fs::metadata(&foreign).unwrap().permissions().mode() & 0o777, 0o644);
}

#[test]
fn behind_a_damaged_page_the_other_records_are_saved() {
    let directory = Directory::new();
    for part in 1..8 {
        let path = directory.file(&part.to_string());
        filled(&path, 25_000, None);
        let bytes = fs::read(&path).unwrap();
        // The page with a record in this part of the file.
        let record = memchr::memmem::find(&bytes[bytes.len() / 8 * part..], b"xxxx").unwrap();
        let page = (bytes.len() / 8 * part + record) / 4096 * 4096;
        OpenOptions::new().write(true).open(&path).unwrap().write_all_at(&[0xff; 8], page as u64).unwrap();
        let (_, restored) = open(&path, None).unwrap();
        let saved = restored.records.len();
        assert!(restored.set_aside.is_some() && (24_000..25_000).contains(&saved), "{part}: {saved}");
    }
}

#[test]
fn a_file_of_a_newer_version_is_left_alone_and_named() {
    let directory = Directory::new();
    let path = directory.file("waiting.redb");
    filled(&path, 3, None);
    let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let database = Builder::new().create_file(file).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let mut facts = transaction.open_table(FACTS).unwrap();
        facts.insert("format", &2_u64.to_le_bytes()[..]).unwrap();
        facts.insert("version", &b"9.9.9"[..]).unwrap();
    }
    transaction.commit().unwrap();
    drop(database);
    let error = open(&path, None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the file has format 2, written by Nuncio 9.9.9; this version reads format 1"
    );
    // A newer redb.
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&[REDB_NEXT], 64).unwrap();
    let error = open(&path, None).unwrap_err();
    assert!(matches!(error, Error::Newer { format: 4, by: None }), "{error}");
}

#[test]
fn an_encrypted_file_opens_with_its_key_only() {
    let directory = Directory::new();
    let path = directory.file("waiting.redb");
    let (cipher, other) = (Cipher::new(&[1; 32]), Cipher::new(&[2; 32]));
    filled(&path, 3, Some(&cipher));
    let bytes = fs::read(&path).unwrap();
    assert!(!bytes.windows(20).any(|window| window == [b'x'; 20]));
    assert!(matches!(open(&path, None), Err(Error::NoKey)));
    assert!(matches!(open(&path, Some(&other)), Err(Error::OtherKey)));
    let (mut journal, restored) = open(&path, Some(&cipher)).unwrap();
    assert_eq!(keys(&restored), [1, 2, 3]);
    (1..=3).for_each(|key| journal.forget(key));
    journal.commit(clock::now());
    drop(journal);
    // An empty file takes another key, or none.
    filled(&path, 3, Some(&other));
    assert!(matches!(open(&path, Some(&cipher)), Err(Error::OtherKey)));
}

#[test]
fn a_key_may_be_added_while_records_are_in_the_file() {
    let directory = Directory::new();
    let path = directory.file("waiting.redb");
    filled(&path, 2, None);
    let cipher = Cipher::new(&[1; 32]);
    let (mut journal, restored) = open(&path, Some(&cipher)).unwrap();
    journal.write(restored.next, &record(3), 3).unwrap();
    journal.commit(clock::now());
    drop(journal);
    assert!(matches!(open(&path, None), Err(Error::NoKey)));
    let (mut journal, restored) = open(&path, Some(&cipher)).unwrap();
    assert_eq!(keys(&restored), [1, 2, 3]);
    journal.forget(3);
    journal.commit(clock::now());
    drop(journal);
    assert_eq!(keys(&open(&path, None).unwrap().1), [1, 2], "no record needs the key");
}

#[test]
fn a_path_that_cannot_be_used_is_an_error_of_the_configuration() {
    let directory = Directory::new();
    fs::write(directory.file("text"), "").unwrap();
    for path in [
        directory.file("text").join("waiting"),
        directory.file("a").join("b").join("waiting"),
        directory.file(""),
    ] {
        assert!(matches!(open(&path, None), Err(Error::Io(_))), "{}", path.display());
    }
}

/// The first format that redb 2.6 does not read.
const REDB_NEXT: u8 = 4;
