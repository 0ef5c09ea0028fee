//! The file is moved, removed, replaced or overwritten while it is open.

use super::*;
use crate::log::RETRY;

/// An open journal with records 1 to `COUNT`, and one more that is not committed.
fn journal(path: &Path) -> Journal<u64> {
    let (mut journal, _) = open(path, None).unwrap();
    for key in 1..=COUNT {
        journal.write(key, &record(key), key).unwrap();
    }
    journal.commit(clock::now());
    journal.write(COUNT + 1, &record(COUNT + 1), COUNT + 1).unwrap();
    assert!(journal.check_place(clock::now()).is_none(), "it is in its place");
    journal
}

#[test]
fn a_file_that_was_moved_removed_or_replaced_is_followed_by_a_new_one_with_everything() {
    let damages: [fn(&Path); 4] = [
        |path| fs::remove_file(path).unwrap(),
        |path| fs::rename(path, path.with_extension("1")).unwrap(),
        |path| fs::remove_dir_all(path.parent().unwrap()).unwrap(),
        // A backup is restored.
        |path| {
            fs::copy(path, path.with_extension("backup")).unwrap();
            fs::rename(path.with_extension("backup"), path).unwrap();
        },
    ];
    for (nth, damage) in damages.into_iter().enumerate() {
        let directory = Directory::new();
        let path = directory.file("new").join("waiting.redb");
        let mut journal = journal(&path);
        journal.forget(7);
        damage(&path);
        let replaced = journal.check_place(clock::now()).unwrap().unwrap();
        assert_eq!(replaced.found.is_some(), nth == 3, "{nth}");
        assert!(journal.check_place(clock::now()).is_none(), "the new one is in its place");
        assert_eq!(journal.commit(clock::now()).stored, [COUNT + 1]);
        assert!(journal.read(&[1, COUNT + 1], clock::now()).unwrap().iter().all(Option::is_some));
        assert_eq!(journal.stored().records, COUNT);
        drop(journal);
        let expected: Vec<u64> = (1..=COUNT + 1).filter(|key| *key != 7).collect();
        assert_eq!(keys(&open(&path, None).unwrap().1), expected, "{nth}");
    }
}

#[test]
fn while_no_new_file_can_be_begun_the_old_one_is_read_and_nothing_is_lost() {
    let directory = Directory::new();
    let parent = directory.file("new");
    let path = parent.join("waiting.redb");
    let mut journal = journal(&path);
    fs::remove_dir_all(&parent).unwrap();
    fs::write(&parent, "").unwrap();
    let now = clock::now();
    assert!(journal.check_place(now).unwrap().is_err());
    assert_eq!((journal.abandon(), journal.works()), (vec![COUNT + 1], false));
    assert!(journal.is_elsewhere());
    assert!(journal.read(&[5], now).unwrap()[0].is_some());
    assert!(journal.reopen(now + RETRY / 2).is_none(), "too early");
    assert!(journal.reopen(now + RETRY).unwrap().is_err());
    fs::remove_file(&parent).unwrap();
    journal.retry_now(now + RETRY);
    assert!(journal.reopen(now + RETRY).unwrap().unwrap().set_aside.is_none());
    journal.write(COUNT + 1, &record(COUNT + 1), COUNT + 1).unwrap();
    journal.commit(now);
    drop(journal);
    assert_eq!(keys(&open(&path, None).unwrap().1), (1..=COUNT + 1).collect::<Vec<_>>());
}

#[test]
fn a_file_that_another_program_cuts_is_set_aside() {
    let directory = Directory::new();
    let path = directory.file("waiting.redb");
    let mut journal = journal(&path);
    // `copytruncate` of logrotate.
    OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
    let now = clock::now();
    let error = journal.check_place(now).unwrap().unwrap_err();
    assert!(error.to_string().contains("another program has cut or overwritten it"), "{error}");
    assert_eq!(journal.abandon(), [COUNT + 1]);
    let reopened = journal.reopen(now).unwrap().unwrap();
    assert!(reopened.set_aside.is_some() && journal.works());
    for key in 1..=COUNT {
        journal.write(key, &record(key), key).unwrap();
    }
    assert_eq!(journal.commit(now).stored.len() as u64, COUNT);
    drop(journal);
    assert_eq!(keys(&open(&path, None).unwrap().1), (1..=COUNT).collect::<Vec<_>>());
}

const COUNT: u64 = 3000;
