//! The journal over a store that fails on request.

use std::time::UNIX_EPOCH;

use bytes::Bytes;
use xmpp::stanza::Kind;

use super::*;
use crate::{
    fake::{Failure, Fake},
    record::{Flags, Source},
};

fn record(stanza: &str) -> Record {
    Record {
        kind: Kind::Message,
        accepted: UNIX_EPOCH,
        source: Source::Component,
        flags: Flags::default(),
        stanza: stanza.to_owned().into(),
    }
}

fn open(fake: &Fake) -> (Journal<u64>, Restored) {
    Journal::open(Box::new(fake.clone()), None, 1 << 20, clock::now()).unwrap()
}

/// Writes records with these keys, each with its key as the token.
fn write(journal: &mut Journal<u64>, keys: impl IntoIterator<Item = u64>) {
    for key in keys {
        journal.write(key, &record("<message/>"), key).unwrap();
    }
}

fn keys(restored: &Restored) -> Vec<u64> {
    restored.records.iter().map(|(key, _)| *key).collect()
}

#[test]
fn what_was_collected_is_in_one_commit_and_is_read_in_order() {
    let fake = Fake::default();
    let (mut journal, restored) = open(&fake);
    assert_eq!((keys(&restored), restored.next), (vec![], 1));
    write(&mut journal, [1, 2, 3]);
    assert!(journal.has_changes());
    let committed = journal.commit(clock::now());
    assert_eq!((committed.stored, fake.commits()), (vec![1, 2, 3], 1));
    assert_eq!(journal.stored().records, 3);
    drop(journal);
    let (_, restored) = open(&fake);
    assert_eq!((keys(&restored), restored.next, restored.amount.records), (vec![1, 2, 3], 4, 3));
}

#[test]
fn a_forgotten_record_is_removed_with_the_next_commit_or_is_never_written() {
    let fake = Fake::default();
    let (mut journal, _) = open(&fake);
    write(&mut journal, [1, 2]);
    journal.forget(1);
    assert_eq!(journal.commit(clock::now()).stored, [2]);
    journal.forget(2);
    assert!(journal.has_changes());
    assert_eq!(fake.keys(), [2]);
    journal.commit(clock::now());
    assert!(fake.keys().is_empty());
    assert_eq!(journal.stored(), Amount::default());
    assert!(!journal.has_changes());
    journal.commit(clock::now());
    assert_eq!(fake.commits(), 2, "nothing has changed");
}

#[test]
fn a_failed_commit_stops_the_journal_until_the_store_is_open_again() {
    for failure in [Failure::Before, Failure::After] {
        let (fake, now) = (Fake::default(), clock::now());
        let (mut journal, _) = open(&fake);
        write(&mut journal, [1]);
        journal.commit(now);
        fake.fail_each(Some(1), failure);
        fake.set_broken(true);
        write(&mut journal, [2]);
        journal.forget(1);
        let committed = journal.commit(now);
        assert_eq!((committed.stored, committed.failed), (vec![], vec![2]));
        assert!(committed.error.is_some());
        assert_eq!(journal.write(3, &record("x"), 3), Err((Refusal::Failing, 3)));
        assert!(!journal.has_changes());
        assert!(journal.reopen(now + RETRY / 2).is_none(), "too early");
        journal.reopen(now + RETRY).unwrap().unwrap_err();
        assert_eq!(journal.next_attempt(), Some(now + RETRY * 2));
        fake.set_broken(false);
        fake.fail_each(None, failure);
        let reopened = journal.reopen(now + RETRY * 2).unwrap().unwrap();
        assert_eq!((reopened.failed_for, reopened.set_aside.is_none()), (RETRY * 2, true));
        assert!(journal.reopen(now + RETRY * 3).is_none(), "it works");
        // The owner of the failed record writes its stanza again, and gives the old record up.
        write(&mut journal, [4]);
        journal.forget(2);
        assert_eq!(journal.commit(now).stored, [4]);
        assert_eq!(fake.keys(), [4], "{failure:?}");
        assert_eq!(journal.stored().records, 1, "{failure:?}");
    }
}

#[test]
fn a_record_is_written_again_under_its_key_and_removed_with_its_stanza() {
    for (failure, is_settled_before) in
        [(Failure::Before, true), (Failure::Before, false), (Failure::After, true), (Failure::After, false)]
    {
        let (fake, now) = (Fake::default(), clock::now());
        let (mut journal, _) = open(&fake);
        fake.fail_each(Some(1), failure);
        write(&mut journal, [1]);
        assert_eq!(journal.commit(now).failed, [1]);
        fake.fail_each(None, failure);
        journal.reopen(now + RETRY).unwrap().unwrap();
        journal.forget(1);
        write(&mut journal, [1]);
        if !is_settled_before {
            assert_eq!(journal.commit(now).stored, [1]);
            assert_eq!((fake.keys(), journal.stored().records), (vec![1], 1), "{failure:?}");
        }
        journal.forget(1);
        journal.commit(now);
        assert_eq!((fake.keys(), journal.stored()), (vec![], Amount::default()), "{failure:?}");
    }
}

#[test]
fn records_are_never_lost_by_commits_that_fail_now_and_then() {
    let (fake, mut now) = (Fake::default(), clock::now());
    fake.fail_each(Some(3), Failure::Before);
    let (mut journal, _) = open(&fake);
    let (mut next, mut stored) = (1, Vec::new());
    while stored.len() < 100 {
        if journal.write(next, &record("x"), next).is_ok() {
            stored.extend(journal.commit(now).stored);
        }
        next += 1;
        now += RETRY;
        let _ = journal.reopen(now);
    }
    assert_eq!(fake.keys(), stored);
    assert_eq!(journal.stored().records, 100);
}

#[test]
fn a_full_store_refuses_new_records_until_old_ones_are_removed() {
    let fake = Fake::default();
    let (mut journal, _) = Journal::open(Box::new(fake), None, 100, clock::now()).unwrap();
    write(&mut journal, [1, 2]);
    assert_eq!(journal.write(3, &record("<message/>"), 3), Err((Refusal::Full, 3)));
    journal.commit(clock::now());
    assert_eq!(journal.write(4, &record("<message/>"), 4), Err((Refusal::Full, 4)));
    journal.forget(1);
    journal.commit(clock::now());
    write(&mut journal, [5]);
}

#[test]
fn many_bytes_are_a_reason_not_to_wait_for_more() {
    let (mut journal, _) = Journal::open(Box::new(Fake::default()), None, 1 << 30, clock::now()).unwrap();
    let large = record(&"x".repeat(512 << 10));
    for key in 1..=4 {
        assert!(!journal.is_due());
        journal.write(key, &large, key).unwrap();
    }
    assert!(journal.is_due());
    journal.commit(clock::now());
    assert!(!journal.is_due());
}

#[test]
fn a_record_with_a_wrong_checksum_is_left_out_counted_and_removed() {
    let fake = Fake::default();
    let (mut journal, _) = open(&fake);
    write(&mut journal, 1..=5);
    journal.commit(clock::now());
    drop(journal);
    fake.corrupt(3);
    let (mut journal, restored) = open(&fake);
    assert_eq!((keys(&restored), restored.damaged, restored.next), (vec![1, 2, 4, 5], 1, 6));
    assert_eq!(journal.stored().records, 5);
    journal.commit(clock::now());
    assert_eq!(fake.keys(), [1, 2, 4, 5]);
    assert_eq!(journal.stored().records, 4);
}

#[test]
fn what_can_be_read_of_a_damaged_store_is_in_the_new_one() {
    let fake = Fake::default();
    let (mut journal, _) = open(&fake);
    write(&mut journal, 1..=5);
    journal.commit(clock::now());
    drop(journal);
    fake.damage_from(4);
    let (journal, restored) = open(&fake);
    assert_eq!((keys(&restored), restored.next), (vec![1, 2, 3], 4));
    assert_eq!((restored.set_aside.unwrap().name, fake.set_aside()), ("fake.damaged".into(), 1));
    assert_eq!((fake.keys(), journal.stored().records), (vec![1, 2, 3], 3));
}

#[test]
fn records_of_a_damaged_store_are_kept_in_memory_if_no_new_store_can_be_written() {
    let fake = Fake::default();
    let (mut journal, _) = open(&fake);
    write(&mut journal, 1..=5);
    journal.commit(clock::now());
    drop(journal);
    fake.damage_from(4);
    fake.fail_each(Some(1), Failure::Before);
    let (journal, restored) = open(&fake);
    assert_eq!(keys(&restored), [1, 2, 3]);
    assert!(restored.error.is_some() && !journal.works());
    assert_eq!(journal.stored(), Amount::default());
}

#[test]
fn records_that_were_on_the_disk_for_lack_of_memory_are_not_restored() {
    let fake = Fake::default();
    let (mut journal, _) = open(&fake);
    let overflow = Record { flags: Flags { overflow: true, ..Flags::default() }, ..record("x") };
    journal.write(1, &overflow, 1).unwrap();
    write(&mut journal, [2]);
    journal.commit(clock::now());
    drop(journal);
    let (mut journal, restored) = open(&fake);
    assert_eq!((keys(&restored), restored.damaged), (vec![2], 0));
    journal.commit(clock::now());
    assert_eq!(fake.keys(), [2]);
}

#[test]
fn the_node_starts_when_the_disk_is_full() {
    let fake = Fake::default();
    let (mut journal, _) = open(&fake);
    write(&mut journal, [1, 2]);
    journal.commit(clock::now());
    drop(journal);
    fake.set_broken(true);
    let (mut journal, restored) = open(&fake);
    assert!(!journal.works() && restored.error.is_some());
    // What is in the store is not known, and must not be overwritten.
    fake.set_broken(false);
    journal.reopen(clock::now() + RETRY).unwrap().unwrap();
    write(&mut journal, [restored.next]);
    journal.commit(clock::now());
    assert_eq!(fake.keys(), [1, 2, restored.next]);
    assert_eq!(journal.stored().records, 3);
}

#[test]
fn a_store_that_is_damaged_while_it_is_used_is_replaced_by_an_empty_one() {
    let (fake, now) = (Fake::default(), clock::now());
    let (mut journal, _) = open(&fake);
    write(&mut journal, 1..=3);
    journal.commit(now);
    fake.fail_each(Some(2), Failure::Before);
    fake.damage_from(2);
    write(&mut journal, [4]);
    assert_eq!(journal.commit(now).failed, [4]);
    let reopened = journal.reopen(now + RETRY).unwrap().unwrap();
    assert!(reopened.set_aside.is_some());
    assert_eq!((journal.stored(), fake.keys()), (Amount::default(), vec![]));
}

#[test]
fn records_are_read_by_key_and_one_that_is_missing_or_damaged_is_left_out() {
    let fake = Fake::default();
    let (mut journal, _) = open(&fake);
    for key in 1..=3 {
        journal.write(key, &record(&format!("<message id='{key}'/>")), key).unwrap();
    }
    journal.commit(clock::now());
    fake.corrupt(2);
    let read = journal.read(&[3, 2, 9, 1], clock::now()).unwrap();
    let ids: Vec<Option<Bytes>> = read.into_iter().map(|record| record.map(|record| record.stanza)).collect();
    assert_eq!(ids, [Some("<message id='3'/>".into()), None, None, Some("<message id='1'/>".into())]);
}

#[test]
fn after_a_failed_read_the_store_is_opened_again_and_what_was_collected_is_given_back() {
    let fake = Fake::default();
    let (mut journal, _) = open(&fake);
    write(&mut journal, [1]);
    journal.commit(clock::now());
    write(&mut journal, [2, 3]);
    assert!(journal.abandon().is_empty(), "the store works");
    fake.fail_each_read(Some(1));
    let now = clock::now();
    assert!(matches!(journal.read(&[1], now), Err(Some(_))));
    assert!(matches!(journal.read(&[1], now), Err(None)));
    assert_eq!((journal.abandon(), journal.works()), (vec![2, 3], false));
    fake.fail_each_read(None);
    assert!(journal.reopen(now + RETRY).unwrap().is_ok());
    assert_eq!(journal.read(&[1], now).unwrap(), [Some(record("<message/>"))]);
    assert_eq!(fake.keys(), [1]);
}

#[test]
fn overflow_records_leave_a_quarter_of_the_room_to_others() {
    let fake = Fake::default();
    let (mut journal, _) = Journal::<u64>::open(Box::new(fake), None, 1000, clock::now()).unwrap();
    assert!(journal.has_room_for_overflow(600) && !journal.has_room_for_overflow(750));
    journal.write(1, &record(&format!("<message>{}</message>", "x".repeat(500))), 1).unwrap();
    assert!(journal.has_room_for_overflow(50) && !journal.has_room_for_overflow(250));
    assert!(journal.write(2, &record(&format!("<message>{}</message>", "x".repeat(250))), 2).is_ok());
}

#[test]
fn a_record_that_is_written_again_is_not_removed_for_its_first_copy() {
    let fake = Fake::default();
    let (mut journal, _) = open(&fake);
    write(&mut journal, [1]);
    journal.commit(clock::now());
    // Nobody knew whether the first copy was there, so it was forgotten.
    journal.forget(1);
    write(&mut journal, [1]);
    assert_eq!((journal.commit(clock::now()).stored, fake.keys()), (vec![1], vec![1]));
    journal.forget(1);
    journal.commit(clock::now());
    assert!(fake.keys().is_empty());
}
