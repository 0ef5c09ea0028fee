//! Stanzas that a lost link carried, and what the next link tells about them.

use std::sync::Arc;

use super::*;
use crate::{
    flow::{account::Totals, batch::Sends},
    settings::Repeat,
};
use status::amount::Amount;

const FIRST: u32 = u32::MAX - 1;

/// A stanza of each kind: 1 to 6.
fn one_of_each() -> Vec<Stanza> {
    let of_each =
        [("message", ""), ("iq", "get"), ("iq", "result"), ("presence", "subscribe"), ("iq", "set")];
    let stanzas = of_each.into_iter().chain([("message", "error")]).zip(1..);
    stanzas.map(|((name, type_), id)| stanza(name, type_, &id.to_string())).collect()
}

/// A queue that got these stanzas back from a lost link, which sent them `times` times, with one that it did
/// not send, and the account.
fn lost(stanzas: Vec<Stanza>, times: u8) -> (Queue, Arc<Totals>) {
    let all = Arc::new(Totals::default());
    let counted = |batch: Batch| {
        let entry = account::Entry::take_in(&all, &Arc::default(), batch.amount());
        Batch { entry, ..batch }
    };
    let sends = Sends { times, may_have_arrived: false };
    let open = stanzas.into_iter().map(|stanza| counted(Batch { sends, ..Batch::of(stanza) })).collect();
    let unwritten = vec![counted(Batch::of(stanza("message", "", "new")))];
    let mut queue = Queue::new();
    queue.put_back(LeftBehind { open, first: FIRST, unwritten }, &bounds());
    (queue, all)
}

fn verdict(handled: Option<u32>) -> Verdict {
    Verdict { handled, blames_first: false, repeat: Repeat::Messages }
}

/// The stanzas of a queue that are stamped as delayed.
fn stamped(batches: &[Batch]) -> Vec<String> {
    let stanzas = batches.iter().flat_map(|batch| &batch.stanzas);
    let stamped = stanzas.filter(|stanza| stanza.has_child("delay", "urn:xmpp:delay"));
    stamped.map(|stanza| stanza.id().unwrap().into_owned()).collect()
}

#[test]
fn what_the_peer_has_counted_is_acknowledged_and_the_rest_is_sent_again_unchanged() {
    // The numbers of the six are 2^32 - 2, 2^32 - 1, 0, 1, 2, 3.
    for (handled, left) in [
        (FIRST.wrapping_sub(1), &["1", "2", "3", "4", "5", "6", "new"][..]),
        (FIRST, &["2", "3", "4", "5", "6", "new"]),
        (u32::MAX, &["3", "4", "5", "6", "new"]),
        (0, &["4", "5", "6", "new"]),
        (3, &["new"]),
    ] {
        let (mut queue, all) = lost(one_of_each(), 1);
        let settled = queue.settle(verdict(Some(handled)));
        let acknowledged = 7 - left.len() as u64;
        assert_eq!(settled.acknowledged.stanzas, acknowledged, "{handled}");
        assert_eq!((settled.resent, settled.repeated), (left.len() - 1, 0));
        assert!(settled.unrepeatable.is_empty() && settled.exhausted.is_empty() && !queue.has_open());
        let batches = queue.take_all();
        assert_eq!(ids(&batches), left, "{handled}");
        assert!(stamped(&batches).is_empty());
        assert!(batches.iter().all(|batch| !batch.sends.may_have_arrived));
        assert_eq!((all.acknowledged().stanzas, all.waiting().stanzas), (acknowledged, left.len() as u64));
        assert_eq!((all.repeated(), all.difference()), Default::default());
    }
}

#[test]
fn what_may_have_arrived_is_repeated_with_a_stamp_except_requests() {
    let (mut queue, all) = lost(one_of_each(), 1);
    let settled = queue.settle(verdict(None));
    assert_eq!((settled.acknowledged, settled.resent, settled.repeated), (Amount::default(), 0, 4));
    assert_eq!(ids(&settled.unrepeatable), ["2", "5"]);
    assert!(settled.unrepeatable.iter().all(|batch| batch.sends.may_have_arrived));
    assert_eq!(all.repeated().stanzas, 4);
    let batches = queue.take_all();
    assert_eq!(ids(&batches), ["1", "3", "4", "6", "new"]);
    assert_eq!(stamped(&batches), ["1", "3", "4", "6"]);
    assert!(batches[0].stanzas[0].element().unwrap().child("delay", "urn:xmpp:delay").is_some_and(|delay| {
        delay.attribute("from") == Some("a.example") && delay.attribute("stamp").is_some()
    }));
    assert_eq!(queue.bytes(), 0);
}

#[test]
fn nothing_that_may_have_arrived_is_repeated_where_the_configuration_says_never() {
    let (mut queue, _) = lost(one_of_each(), 1);
    let settled = queue.settle(Verdict { repeat: Repeat::Never, ..verdict(None) });
    assert_eq!(ids(&settled.unrepeatable), ["1", "2", "3", "4", "5", "6"]);
    assert_eq!(ids(&queue.take_all()), ["new"]);
}

#[test]
fn a_stanza_is_stamped_once_however_often_it_is_repeated() {
    let (mut queue, _) = lost(vec![stanza("message", "", "1")], 1);
    queue.settle(verdict(None));
    let mut again = queue.take_all();
    let fresh = again.split_off(1);
    queue.put_back(LeftBehind { open: again, first: 1, unwritten: fresh }, &bounds());
    queue.settle(verdict(None));
    let batches = queue.take_all();
    let element = batches[0].stanzas[0].element().unwrap();
    assert_eq!(element.elements().filter(|child| child.name == "delay").count(), 1);
}

#[test]
fn a_stanza_that_was_sent_too_often_is_answered_and_those_behind_it_are_sent() {
    for (handled, times) in [(None, 3), (Some(FIRST.wrapping_sub(1)), 8)] {
        let (mut queue, _) = lost(vec![stanza("message", "", "1")], times);
        let settled = queue.settle(verdict(handled));
        assert_eq!((ids(&settled.exhausted), settled.resent + settled.repeated), (vec!["1".to_owned()], 0));
        assert_eq!(ids(&queue.take_all()), ["new"]);
    }
}

#[test]
fn with_a_count_only_the_first_stanza_behind_it_can_be_the_reason_of_the_end() {
    let messages = (1..=3).map(|id| stanza("message", "", &id.to_string())).collect();
    let (mut queue, _) = lost(messages, 8);
    assert_eq!(ids(&queue.settle(verdict(Some(FIRST))).exhausted), ["2"]);
    let left = queue.take_all();
    assert_eq!((ids(&left), left[0].sends.times), (vec!["3".to_owned(), "new".to_owned()], 7));
}

#[test]
fn the_first_stanza_that_was_not_handled_counts_twice_if_the_peer_ended_the_stream_because_of_it() {
    let messages = || (1..=3).map(|id| stanza("message", "", &id.to_string())).collect();
    let blamed = |handled| Verdict { blames_first: true, ..verdict(handled) };
    let (mut queue, _) = lost(messages(), 1);
    assert!(queue.settle(blamed(Some(FIRST))).exhausted.is_empty(), "it is sent once more");
    assert_eq!(ids(&queue.take_all()), ["2", "3", "new"]);
    let (mut queue, _) = lost(messages(), 2);
    assert_eq!(ids(&queue.settle(blamed(Some(FIRST))).exhausted), ["2"], "number 1 was handled");
    assert_eq!(ids(&queue.take_all()), ["3", "new"]);
}

#[test]
fn open_stanzas_age_and_are_replaced_like_all_others_and_their_answer_says_that_they_may_have_arrived() {
    let now = clock::now();
    let older = vec![stanza("iq", "get", "1"), stanza("presence", "", "2"), stanza("message", "", "3")];
    let (mut queue, all) = lost(older, 1);
    queue.append(Batch::of(stanza("presence", "", "4")), wide(&bounds()), Fit::InOrder);
    assert_eq!(all.settled(Outcome::Dropped).stanzas, 1, "a newer presence waits");
    let expired = queue.take_expired(now + Duration::from_secs(50));
    assert_eq!(ids(&expired), ["1"]);
    assert!(expired[0].sends.may_have_arrived);
    let settled = queue.settle(verdict(Some(FIRST)));
    assert_eq!((settled.acknowledged.stanzas, settled.resent), (0, 1), "number 1 is answered already");
    assert_eq!(ids(&queue.take_all()), ["3", "new", "4"]);
}

#[test]
fn what_a_lost_link_carried_is_given_up_last_when_memory_is_short() {
    let (mut queue, _) = lost(vec![stanza("presence", "", "1"), stanza("message", "", "2")], 1);
    let weight = queue.weight();
    assert_eq!(ids(&queue.shed(weight - 1)), ["new"]);
    let weight = queue.weight();
    assert_eq!(ids(&queue.shed(weight - 1)), ["2"]);
    assert!(queue.has_open());
}
