//! The queue of one pair: expiry, replaced presence, shedding, order.

mod open;

use std::time::Duration;

use bytes::BytesMut;
use xmpp::{
    framer::{Frame, Framer, Limits},
    stanza::Origin,
    xml::Element,
};

use super::{newer_presence::STALE, *};
use crate::settings::Promise;

fn bounds() -> Promise {
    Promise {
        max_stanzas: 5,
        max_bytes: 10_000,
        total_bytes: 100_000,
        message: Duration::from_secs(300),
        presence: Duration::from_secs(60),
        iq: Duration::from_secs(45),
        backoff_first: Duration::from_secs(1),
        backoff_longest: Duration::from_secs(300),
    }
}

fn stanza(name: &str, type_: &str, id: &str) -> Stanza {
    let mut stanza =
        Element::new(name, "jabber:server").with("from", "a@a.example/x").with("to", "b@b.example");
    if !type_.is_empty() {
        stanza = stanza.with("type", type_);
    }
    Stanza::from_element(&stanza.with("id", id)).unwrap()
}

/// Room bounded only by the queue itself.
fn wide(bounds: &Promise) -> Room<'_> {
    Room { bounds, free: usize::MAX / 2 }
}

fn queue_of(stanzas: &[Stanza]) -> Queue {
    let mut queue = Queue::new();
    for stanza in stanzas {
        assert!(queue.append(Batch::of(stanza.clone()), wide(&bounds())).is_empty());
    }
    queue
}

/// Stanzas that a link left and did not send.
fn unwritten(unwritten: Vec<Batch>) -> LeftBehind {
    LeftBehind { unwritten, ..LeftBehind::default() }
}

fn ids(batches: &[Batch]) -> Vec<String> {
    let stanzas = batches.iter().flat_map(|batch| &batch.stanzas);
    stanzas.map(|stanza| stanza.id().unwrap().into_owned()).collect()
}

#[test]
fn each_kind_of_stanza_has_its_own_time_to_wait() {
    let now = clock::now();
    let mut queue =
        queue_of(&[stanza("message", "", "m"), stanza("presence", "", "p"), stanza("iq", "get", "i")]);
    assert_eq!(ids(&queue.take_expired(now + Duration::from_secs(44))), [""; 0]);
    assert_eq!(ids(&queue.take_expired(now + Duration::from_secs(46))), ["i"]);
    assert_eq!(ids(&queue.take_expired(now + Duration::from_secs(61))), ["p"]);
    assert_eq!(ids(&queue.take_expired(now + Duration::from_secs(301))), ["m"]);
    assert_eq!((queue.bytes(), queue.is_empty()), (0, true));
}

#[test]
fn a_newer_presence_replaces_the_older_one_with_the_same_addresses() {
    let mut queue = queue_of(&[
        stanza("presence", "", "1"),
        stanza("message", "", "2"),
        stanza("presence", "unavailable", "3"),
    ]);
    assert_eq!(ids(&queue.take_all()), ["2", "3"]);
}

#[test]
fn a_subscription_or_a_presence_that_joins_a_room_is_never_replaced() {
    let join = Element::new("presence", "jabber:server")
        .with("from", "a@a.example/x")
        .with("to", "b@b.example")
        .with("id", "2")
        .with_child(Element::new("x", "http://jabber.org/protocol/muc"));
    let join = Stanza::from_element(&join).unwrap();
    let mut queue = queue_of(&[stanza("presence", "subscribe", "1"), join, stanza("presence", "", "3")]);
    assert_eq!(ids(&queue.take_all()), ["1", "2", "3"]);
}

#[test]
fn a_presence_is_replaced_after_other_stanzas_were_taken_out() {
    let mut queue =
        queue_of(&[stanza("iq", "get", "1"), stanza("presence", "", "2"), stanza("message", "", "3")]);
    assert_eq!(ids(&queue.take_requests()), ["1"]);
    queue.put_back(unwritten(vec![Batch::of(stanza("message", "", "0"))]), &bounds());
    queue.append(Batch::of(stanza("presence", "", "4")), wide(&bounds()));
    assert_eq!(ids(&queue.take_all()), ["0", "3", "4"]);
    // The presence that was taken out with the others is not found any more.
    queue.append(Batch::of(stanza("presence", "", "5")), wide(&bounds()));
    assert_eq!((ids(&queue.take_all()), queue.presences.len()), (vec!["5".to_owned()], 0));
}

#[test]
fn a_returned_presence_does_not_replace_one_that_waits() {
    let mut queue = queue_of(&[stanza("presence", "", "new")]);
    let returned = [stanza("presence", "", "1"), stanza("message", "", "2"), stanza("presence", "", "3")];
    queue.put_back(unwritten(returned.map(Batch::of).into()), &bounds());
    assert_eq!(ids(&queue.take_all()), ["2", "new"]);
}

#[test]
fn while_something_reads_each_presence_stays_and_afterwards_the_newest() {
    let mut queue = queue_of(&[stanza("message", "", "0")]);
    queue.set_replacing(false);
    for id in ["1", "2", "3"] {
        queue.append(Batch::of(stanza("presence", "", id)), wide(&bounds()));
    }
    queue.put_back(unwritten(vec![Batch::of(stanza("presence", "", "before"))]), &bounds());
    assert_eq!(queue.len(), 5);
    let weight = queue.weight();
    queue.set_replacing(true);
    assert!(queue.weight() < weight);
    assert_eq!(ids(&queue.take_all()), ["0", "3"]);
}

#[actix::test]
async fn a_stale_presence_is_replaced_even_while_something_reads() {
    tokio::time::pause();
    let mut queue = queue_of(&[stanza("message", "", "0")]);
    queue.set_replacing(false);
    for id in ["1", "2"] {
        queue.append(Batch::of(stanza("presence", "", id)), wide(&bounds()));
    }
    tokio::time::advance(STALE).await;
    assert_eq!(ids(&queue.take_first(usize::MAX)), ["0", "2"]);
    queue.append(Batch::of(stanza("presence", "", "3")), wide(&bounds()));
    tokio::time::advance(STALE).await;
    queue.append(Batch::of(stanza("presence", "", "4")), wide(&bounds()));
    assert_eq!((queue.len(), ids(&queue.take_all())), (1, vec!["4".to_owned()]));
}

#[test]
fn what_was_put_in_front_does_not_hide_the_newest_presence() {
    let mut queue = queue_of(&[stanza("presence", "", "1")]);
    queue.set_replacing(false);
    queue.put_back(unwritten(vec![Batch::of(stanza("presence", "", "0"))]), &bounds());
    queue.set_replacing(true);
    queue.append(Batch::of(stanza("presence", "", "2")), wide(&bounds()));
    assert_eq!(ids(&queue.take_all()), ["2"]);
}

#[test]
fn a_presence_with_other_addresses_is_not_replaced() {
    let mut other = Element::new("presence", "jabber:server").with("from", "a@a.example/x");
    other = other.with("to", "c@b.example").with("id", "1");
    let mut queue = queue_of(&[Stanza::from_element(&other).unwrap(), stanza("presence", "", "2")]);
    assert_eq!(ids(&queue.take_all()), ["1", "2"]);
}

/// A stanza as read from a stream.
fn read(text: &str) -> Stanza {
    let header = "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams'>";
    let mut bytes = BytesMut::from(format!("{header}{text}").as_bytes());
    let mut framer = Framer::new(Limits::default());
    assert!(matches!(framer.next(&mut bytes), Ok(Some(Frame::Header(_)))));
    let Ok(Some(Frame::Element(element))) = framer.next(&mut bytes) else { panic!("{text}") };
    let origin = Origin { namespace: "jabber:server", scope: framer.scope().to_vec(), lang: None };
    Stanza::admit(element, &origin).unwrap()
}

fn message(id: &str, child: &str) -> Stanza {
    read(&format!("<message from='a@a.example' to='b@b.example' id='{id}'>{child}</message>"))
}

#[test]
fn shedding_takes_presence_first_and_the_newest_first() {
    let mut queue = queue_of(&[
        stanza("message", "", "1"),
        stanza("presence", "subscribe", "2"),
        stanza("message", "", "3"),
        stanza("message", "", "4"),
    ]);
    let one = queue.weight() / 4;
    assert_eq!(ids(&queue.shed(queue.weight() - one)), ["2"]);
    assert_eq!(ids(&queue.shed(one)), ["3", "4"], "the newest ones, in order");
    assert_eq!(ids(&queue.take_all()), ["1"]);
}

// XEP-0334 4
#[test]
fn shedding_takes_messages_with_no_store_before_those_with_no_copy() {
    let mut queue = queue_of(&[
        message("1", "<no-store xmlns='urn:xmpp:hints'/>"),
        message("2", "<h:no-permanent-store xmlns:h='urn:xmpp:hints'/>"),
        message("3", "<no-copy xmlns='urn:xmpp:hints'/>"),
        message("4", "<store xmlns='urn:xmpp:hints'/><body>&lt;no-store</body>"),
    ]);
    assert_eq!(ids(&queue.shed(queue.weight() - 2 * STANZA_COST - 1)), ["1", "2"]);
    assert_eq!(ids(&queue.shed(0)), ["3", "4"]);
}

#[test]
fn the_next_expiry_is_never_too_late() {
    let mut queue = queue_of(&[stanza("message", "", "1"), stanza("presence", "", "2")]);
    let expiry = |queue: &Queue| queue.items.values().map(|item| item.expires).min();
    assert_eq!(queue.next_expiry(), expiry(&queue));
    queue.append(Batch::of(stanza("presence", "", "3")), wide(&bounds()));
    assert!(queue.next_expiry() <= expiry(&queue));
    assert!(
        queue.take_expired(queue.next_expiry().unwrap()).is_empty(),
        "the presence that expires then was replaced"
    );
    assert_eq!(queue.next_expiry(), expiry(&queue), "exact again");
    queue.take_all();
    assert_eq!(queue.next_expiry(), None);
}

#[test]
fn returned_stanzas_are_put_in_front() {
    let mut queue = queue_of(&[stanza("message", "", "3")]);
    let returned = vec![Batch::of(stanza("message", "", "1")), Batch::of(stanza("message", "", "2"))];
    queue.put_back(unwritten(returned), &bounds());
    assert_eq!(ids(&queue.take_all()), ["1", "2", "3"]);
    assert_eq!(queue.bytes(), 0);
}

fn batch_of(stanzas: impl IntoIterator<Item = Stanza>) -> Batch {
    let mut stanzas = stanzas.into_iter();
    let mut batch = Batch::of(stanzas.next().unwrap());
    batch.stanzas.extend(stanzas);
    batch
}

// XEP-0045 7.2 and 7.6
#[test]
fn presence_to_or_from_a_room_is_not_replaced_whatever_the_namespace_prefix() {
    for child in [
        "<m:x xmlns:m='http://jabber.org/protocol/muc'/>",
        "<x xmlns='http://jabber.org/protocol/mu&#99;'/>",
        "<u:x xmlns:u='http://jabber.org/protocol/muc#user'><u:status code='303'/></u:x>",
    ] {
        let text = format!("<presence from='a@a.example/x' to='b@b.example' id='1'>{child}</presence>");
        let mut queue = queue_of(&[read(&text), stanza("presence", "", "2")]);
        assert_eq!(ids(&queue.take_all()), ["1", "2"], "{child}");
    }
}

#[test]
fn a_batch_is_taken_up_to_the_first_stanza_for_which_there_is_no_memory() {
    let two = [stanza("message", "", "1"), stanza("message", "", "2")];
    let mut queue = queue_of(&two);
    // As much as the two waiting stanzas.
    let room = Room { bounds: &bounds(), free: queue.weight() };
    let rest = queue.append(batch_of((3..10).map(|id| stanza("message", "", &id.to_string()))), room);
    assert!(rest.refused.is_empty());
    assert_eq!(ids(rest.without_memory.as_slice()), ["5", "6", "7", "8", "9"]);
    assert_eq!(ids(&queue.take_all()), ["1", "2", "3", "4"]);
}

#[test]
fn each_stanza_beyond_a_bound_comes_back_with_the_bound_and_a_newer_presence_is_taken() {
    let mut queue = queue_of(&["0", "1", "2", "3"].map(|id| stanza("message", "", id)));
    let long = read(&format!(
        "<message from='a@a.example' to='b@b.example' id='4'><body>{}</body></message>",
        "x".repeat(10_000)
    ));
    let batch = batch_of([
        long,
        stanza("presence", "", "5"),
        stanza("message", "", "6"),
        stanza("message", "", "7"),
        stanza("presence", "", "8"),
    ]);
    let rest = queue.append(batch, wide(&bounds()));
    assert!(rest.without_memory.is_none());
    let refused: Vec<_> =
        rest.refused.iter().map(|(bound, batch)| (*bound, ids(std::slice::from_ref(batch)))).collect();
    let expected =
        [(Bound::Bytes, vec!["4".to_owned()]), (Bound::Stanzas, vec!["6".to_owned(), "7".to_owned()])];
    assert_eq!(refused, expected);
    assert_eq!(ids(&queue.take_all()), ["0", "1", "2", "3", "8"]);
}

#[test]
fn a_portion_has_the_first_stanzas_and_one_at_least() {
    let mut queue = queue_of(&["0", "1", "2", "3"].map(|id| stanza("message", "", id)));
    let one = queue.bytes() / 4;
    assert_eq!(ids(&queue.take_first(0)), ["0"]);
    assert_eq!(ids(&queue.take_first(2 * one + 1)), ["1", "2"]);
    assert_eq!((queue.len(), queue.bytes()), (1, one));
    assert_eq!(ids(&queue.take_first(usize::MAX)), ["3"]);
    assert_eq!((queue.next_expiry(), queue.take_first(1).len()), (None, 0));
}

#[test]
fn the_cost_of_a_stanza_covers_its_item_and_its_entry() {
    let entry = size_of::<(i64, Box<Item>)>();
    assert!(size_of::<Item>() + 2 * entry < STANZA_COST, "{}", size_of::<Item>());
}
