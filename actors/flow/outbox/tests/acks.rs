//! An outbox on a stream with acknowledgements.

use std::{sync::Arc, time::Duration};

use super::*;
use crate::flow::{account::Totals, batch::Sends};

/// A batch that is counted in these totals.
fn counted(ids: std::ops::Range<usize>, all: &Arc<Totals>) -> Batch {
    let batch = batch(ids);
    Batch { entry: account::Entry::take_in(all, &Arc::default(), batch.amount()), ..batch }
}

/// An outbox with these stanzas, for a peer that confirmed acknowledgements, and the totals.
fn confirmed(resumes: bool, ids: std::ops::Range<usize>) -> (Outbox, Arc<Totals>) {
    let (mut outbox, all) = (Outbox::with_acks(BUDGET, 0), Arc::default());
    outbox.confirm_acks(resumes);
    if !ids.is_empty() {
        outbox.push(counted(ids, &all), clock::now()).unwrap();
    }
    (outbox, all)
}

fn open_ids(remains: &Remains) -> Vec<String> {
    remains.open.iter().flat_map(|batch| ids(&batch.stanzas)).collect()
}

fn unwritten_ids(remains: &Remains) -> Vec<String> {
    remains.unwritten.iter().flat_map(|batch| ids(&batch.stanzas)).collect()
}

/// The number of stanzas that are written, acknowledged, unacknowledged, and that wait.
fn account(all: &Totals) -> [u64; 4] {
    assert_eq!(all.difference(), Amount::default());
    let written = all.settled(Outcome::Written).stanzas;
    [written, all.acknowledged().stanzas, all.unacked().stanzas, all.waiting().stanzas]
}

#[test]
fn a_request_ends_the_chunk_and_the_answer_settles_the_stanzas() {
    let (mut outbox, all) = confirmed(false, 0..3);
    let now = clock::now();
    let chunk = outbox.next_chunk(now).unwrap();
    assert_eq!((chunk.len(), chunk[3].as_ref()), (4, REQUEST));
    outbox.written(now);
    assert_eq!((account(&all), outbox.unacked(), outbox.is_settled()), ([3, 0, 3, 0], 3, false));
    outbox.push(counted(3..4, &all), now).unwrap();
    assert_eq!(outbox.next_chunk(now).unwrap().len(), 1, "one request at a time");
    outbox.written(now);
    let later = now + Duration::from_millis(7);
    assert_eq!(outbox.acknowledged(3, later).unwrap(), Some(Duration::from_millis(7)));
    assert_eq!(account(&all), [4, 3, 1, 0]);
    assert_eq!(outbox.next_chunk(later).unwrap(), [REQUEST], "for the fourth");
    outbox.written(later);
    outbox.acknowledged(4, later).unwrap();
    assert!(outbox.is_settled() && outbox.next_chunk(later).is_none());
    assert_eq!(account(&all), [4, 4, 0, 0]);
    assert!(outbox.acknowledged(5, later).is_err() && outbox.acknowledged(3, later).is_err());
}

#[test]
fn an_acknowledgement_can_come_before_the_link_reports_the_chunk() {
    let (mut outbox, all) = confirmed(false, 0..4);
    let now = clock::now();
    outbox.next_chunk(now).unwrap();
    outbox.acknowledged(2, now).unwrap();
    assert_eq!((account(&all), outbox.unacked()), ([0, 0, 0, 4], 2));
    outbox.written(now);
    assert_eq!(account(&all), [4, 2, 2, 0]);
    let remains = outbox.remains(0);
    assert_eq!((open_ids(&remains), remains.first), (vec!["2".to_owned(), "3".to_owned()], 3));
    assert_eq!((account(&all), outbox.is_settled()), ([2, 2, 0, 2], true));
}

#[test]
fn the_end_of_a_link_leaves_what_is_not_acknowledged_in_front_of_what_is_not_written() {
    let (mut outbox, all) = confirmed(true, 0..3);
    let now = clock::now();
    outbox.next_chunk(now).unwrap();
    outbox.written(now);
    outbox.acknowledged(1, now).unwrap();
    outbox.push(counted(3..6, &all), now).unwrap();
    let chunk = outbox.next_chunk(now).unwrap();
    outbox.push(counted(6..8, &all), now).unwrap();
    // The whole of number 3 and a byte of number 4 are on the wire; number 3 was acknowledged.
    outbox.acknowledged(4, now).unwrap();
    let remains = outbox.remains(chunk[0].len() + 1);
    assert_eq!((open_ids(&remains), remains.first), (vec!["4".to_owned()], 5));
    assert_eq!(unwritten_ids(&remains), ["5", "6", "7"]);
    assert_eq!((remains.uncertain, remains.touched.len()), (0, 0));
    assert_eq!(account(&all), [4, 4, 0, 4]);
    assert_eq!(remains.open[0].sends, Sends { times: 1, may_have_arrived: false });
    assert_eq!(remains.unwritten[0].sends, Sends::default());
    assert_eq!(outbox.mark_recent_uncertain(now), 0);
}

#[test]
fn a_full_window_lets_only_bytes_of_the_protocol_pass() {
    let (mut outbox, _) = confirmed(true, 0..0);
    let now = clock::now();
    outbox.push_first(batch(0..5000));
    while outbox.next_chunk(now).is_some() {
        outbox.written(now);
    }
    let sent = outbox.unacked();
    assert!((500..4000).contains(&sent), "{sent}");
    outbox.acknowledged(sent, now + Duration::from_millis(10)).unwrap();
    while outbox.next_chunk(now).is_some() {
        outbox.written(now);
    }
    let second = outbox.unacked();
    assert!(second > sent * 19 / 10, "the window has doubled: {sent}, {second}");
    assert!(!outbox.is_empty());
}

#[test]
fn a_window_of_one_stanza_is_enough_for_the_longest() {
    let (mut outbox, _) = confirmed(false, 0..0);
    let long = Element::new("message", "jabber:server").with("from", "a@a.example").with("to", "b@b.example");
    let long = Stanza::from_element(&long.with_text("x".repeat(1 << 20))).unwrap();
    outbox.push_first(Batch::of(long.clone()));
    outbox.push_first(Batch::of(long));
    let now = clock::now();
    assert_eq!(outbox.next_chunk(now).unwrap().len(), 2, "a stanza and a request");
    outbox.written(now);
    assert!(outbox.next_chunk(now).is_none());
    outbox.acknowledged(1, now).unwrap();
    assert_eq!(outbox.next_chunk(now).unwrap().len(), 2);
}

#[test]
fn a_relaxed_peer_is_asked_a_second_after_the_first_stanza() {
    let (mut outbox, _) = confirmed(true, 0..2);
    let now = clock::now();
    assert_eq!(outbox.next_chunk(now).unwrap().len(), 2);
    outbox.written(now);
    assert!(outbox.next_chunk(now).is_none());
    outbox.look_at_unacked(now + Duration::from_secs(1));
    assert_eq!(outbox.next_chunk(now).unwrap(), [REQUEST]);
}

#[test]
fn what_stays_unacknowledged_keeps_no_other_memory() {
    let (mut outbox, _) = confirmed(true, 0..1);
    let now = clock::now();
    let address = outbox.next_chunk(now).unwrap()[0].as_ptr();
    outbox.written(now);
    outbox.look_at_unacked(now);
    outbox.push(batch(1..2), now).unwrap();
    let second = outbox.next_chunk(now).unwrap()[0].as_ptr();
    outbox.written(now);
    outbox.look_at_unacked(now);
    let remains = outbox.remains(0);
    assert_ne!(remains.open[0].stanzas[0].bytes().as_ptr(), address, "copied at the second look");
    let places: Vec<_> =
        remains.open.iter().flat_map(|batch| &batch.stanzas).map(|s| s.bytes().as_ptr()).collect();
    assert_eq!(places[1], second);
}

#[test]
fn an_idle_link_keeps_little_memory_for_acknowledgements() {
    let (mut outbox, _) = confirmed(true, 0..100);
    let now = clock::now();
    outbox.next_chunk(now).unwrap();
    outbox.written(now);
    outbox.acknowledged(100, now).unwrap();
    assert!(size_of::<Unacked>() <= 256, "{}", size_of::<Unacked>());
    assert_eq!((outbox.items.capacity(), outbox.unacked.unwrap().capacity()), (0, 0));
}

#[test]
fn the_last_request_goes_before_the_closing_tag_and_nothing_behind_it() {
    for resumes in [false, true] {
        let (mut outbox, _) = confirmed(resumes, 0..2);
        let now = clock::now();
        outbox.ask();
        outbox.ask_last();
        outbox.push_raw(Bytes::from_static(b"</stream:stream>"));
        let chunk = outbox.next_chunk(now).unwrap();
        assert_eq!(
            (chunk.len(), chunk[2].as_ref(), chunk[3].as_ref()),
            (4, REQUEST, &b"</stream:stream>"[..])
        );
        outbox.written(now);
        outbox.ask();
        assert!(outbox.next_chunk(now).is_none());
        outbox.acknowledged(2, now).unwrap();
        assert!(outbox.is_settled());
    }
}

#[test]
fn nothing_is_asked_behind_the_closing_tag_when_the_peer_ended_the_stream() {
    let (mut outbox, _) = confirmed(false, 0..2);
    let now = clock::now();
    outbox.next_chunk(now).unwrap();
    outbox.written(now);
    outbox.acknowledged(2, now).unwrap();
    outbox.ask();
    outbox.push_raw(Bytes::from_static(b"</stream:stream>"));
    outbox.ask_no_more();
    assert_eq!(outbox.next_chunk(now).unwrap(), ["</stream:stream>"]);
    outbox.written(now);
    assert!(outbox.next_chunk(now).is_none());
}

#[test]
fn a_stanza_that_is_sent_for_the_last_time_goes_alone() {
    let (mut outbox, _) = confirmed(true, 0..2);
    let suspects = Batch { sends: Sends { times: 2, may_have_arrived: false }, ..batch(2..4) };
    outbox.push_first(suspects);
    outbox.push_first(batch(4..6));
    let now = clock::now();
    let mut chunks = Vec::new();
    let mut sent = 0;
    while let Some(chunk) = outbox.next_chunk(now) {
        let stanzas = chunk.iter().filter(|bytes| bytes.as_ref() != REQUEST).count();
        chunks.push(stanzas);
        sent += u32::try_from(stanzas).unwrap();
        outbox.written(now);
        assert!(outbox.next_chunk(now).is_none(), "not before an acknowledgement");
        outbox.acknowledged(sent, now).unwrap();
    }
    assert_eq!(chunks, [2, 1, 1, 2]);
}

#[test]
fn without_acknowledgements_after_all_what_was_written_counts_as_on_any_other_stream() {
    let (mut outbox, all) = (Outbox::with_acks(BUDGET, 0), Arc::default());
    let now = clock::now();
    outbox.push(counted(0..3, &all), now).unwrap();
    assert_eq!(outbox.next_chunk(now).unwrap().len(), 3, "it is not asked before it has confirmed");
    outbox.written(now);
    assert!(outbox.awaits_confirmation());
    outbox.end_acks(now);
    assert_eq!((account(&all), outbox.is_settled()), ([3, 0, 0, 0], true));
    assert_eq!(outbox.mark_recent_uncertain(now), 3);
}
