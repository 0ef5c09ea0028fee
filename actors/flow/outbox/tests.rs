//! The outbox of a stream without acknowledgements: order, budget, hold, and the end of the link.

mod acks;

use xmpp::{
    Stanza,
    framer::{Frame, Framer, Limits},
    stanza::Origin,
    xml::Element,
};

use super::*;

fn batch(ids: std::ops::Range<usize>) -> Batch {
    let stanzas: Vec<Stanza> = ids.map(|id| stanza(&id.to_string())).collect();
    let first = stanzas[0].clone();
    Batch::between(first.from_domain().clone(), first.to_domain().clone(), stanzas)
}

fn stanza(id: &str) -> Stanza {
    let message = Element::new("message", "jabber:server");
    let message = message.with("from", "a@a.example").with("to", "b@b.example").with("id", id);
    Stanza::from_element(&message).unwrap()
}

fn ids(stanzas: &[Stanza]) -> Vec<String> {
    stanzas.iter().map(|stanza| stanza.id().unwrap().into_owned()).collect()
}

#[test]
fn a_single_stanza_is_written_at_once() {
    let mut outbox = Outbox::new(BUDGET);
    outbox.push(batch(0..1), clock::now()).unwrap();
    assert_eq!(outbox.next_chunk(clock::now()).unwrap().len(), 1);
    assert!(outbox.next_chunk(clock::now()).is_none(), "one chunk at a time");
    outbox.written(clock::now());
    assert!(outbox.is_empty());
    assert_eq!(outbox.stanzas_written(), 1);
}

#[test]
fn a_component_gets_its_own_namespace_and_the_account_counts_the_bytes_of_servers() {
    let foreign = Element::new("f", "urn:f").with_child(Element::new("message", "jabber:component:accept"));
    let message = Element::new("message", "jabber:component:accept").with_child(foreign);
    let message = message.with("from", "a@a.example").with("to", "b@b.example");
    let written = message.write("jabber:component:accept", &[]);
    let kept = written.replace("jabber:component:accept", "jabber:server");
    let stanza = admitted(&written);
    for (mut outbox, expected) in [(Outbox::new(BUDGET), &kept), (Outbox::of_component(BUDGET), &written)] {
        let batch = || Batch::of(stanza.clone());
        outbox.push(batch(), clock::now()).unwrap();
        outbox.push(batch(), clock::now()).unwrap();
        assert_eq!(outbox.amounts().1, Amount { stanzas: 2, bytes: 2 * expected.len() as u64 });
        let chunk = outbox.next_chunk(clock::now()).unwrap();
        assert_eq!(chunk, [expected.as_str(), expected.as_str()]);
        let remains = outbox.remains(expected.len());
        assert_eq!(remains.uncertain, 1);
        assert_eq!(remains.unwritten[0].stanzas[0].bytes(), kept.as_bytes());
    }
}

/// A stanza as it is read from a component.
fn admitted(written: &str) -> Stanza {
    let header =
        "<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams'>";
    let mut framer = Framer::new(Limits::default());
    let mut buffer = bytes::BytesMut::from(format!("{header}{written}").as_str());
    assert!(matches!(framer.next(&mut buffer), Ok(Some(Frame::Header(_)))));
    let Ok(Some(Frame::Element(element))) = framer.next(&mut buffer) else { panic!("{written}") };
    let scope = framer.scope().to_vec();
    Stanza::admit(element, &Origin { namespace: "jabber:component:accept", scope, lang: None }).unwrap()
}

#[test]
fn a_burst_above_the_budget_is_held_and_then_refused() {
    let mut outbox = Outbox::new(100);
    let now = clock::now();
    outbox.push(batch(0..4), now).unwrap();
    outbox.push(batch(4..6), now).unwrap();
    assert!(outbox.end_hold(now + LONGEST_HOLD / 2).is_empty());
    let refused = outbox.end_hold(now + LONGEST_HOLD);
    assert_eq!(ids(&refused[0].stanzas), ["4", "5"]);
    assert!(outbox.push(batch(6..7), now).is_err(), "the destination is too slow now");
    outbox.next_chunk(clock::now()).unwrap();
    outbox.written(clock::now());
    assert!(outbox.push(batch(7..8), now).is_ok(), "it has room again");
}

#[test]
fn a_destination_that_goes_on_reading_holds_its_senders_to_its_rate() {
    let mut outbox = Outbox::new(CHUNK);
    let now = clock::now();
    // Twice as much as one chunk, and more during each hold: some of it is always held.
    let burst = || batch(0..2 * CHUNK / stanza("0").bytes().len());
    outbox.push(burst(), now).unwrap();
    for holds in 1..10 {
        outbox.push(burst(), now).unwrap();
        outbox.next_chunk(clock::now()).unwrap();
        outbox.written(now);
        assert!(outbox.end_hold(now + LONGEST_HOLD * holds).is_empty());
    }
    assert!(!outbox.end_hold(now + LONGEST_HOLD * 10).is_empty(), "it has stopped reading");
}

#[test]
fn a_sender_with_several_destinations_is_held_up_once_and_not_soon_again() {
    let mut outbox = Outbox::new(CHUNK);
    let now = clock::now();
    let burst = || Batch { fans_out: true, ..batch(0..2 * CHUNK / stanza("0").bytes().len()) };
    outbox.push(burst(), now).unwrap();
    outbox.push(burst(), now).unwrap();
    outbox.next_chunk(clock::now()).unwrap();
    outbox.written(now);
    assert!(outbox.end_hold(now + LONGEST_HOLD / 2).is_empty(), "not yet");
    assert_eq!(outbox.end_hold(now + LONGEST_HOLD).len(), 1, "however much it took");
    while outbox.next_chunk(clock::now()).is_some() {
        outbox.written(now + LONGEST_HOLD);
    }
    let later = now + LONGEST_HOLD * 5;
    outbox.push(burst(), later).unwrap();
    outbox.push(burst(), later).unwrap();
    let left = outbox.hold_ends().unwrap() - later;
    assert_eq!(left, LONGEST_HOLD / 2, "four times the hold recovers half of it");
}

#[test]
fn stanzas_from_another_queue_are_taken_above_the_budget() {
    let mut outbox = Outbox::new(100);
    let now = clock::now();
    outbox.push_first(batch(0..5));
    outbox.push_first(batch(5..10));
    assert_eq!(outbox.hold_ends(), None, "no sender is held up");
    outbox.push(batch(10..11), now).unwrap();
    let chunk = outbox.next_chunk(clock::now()).unwrap();
    assert_eq!(chunk.len(), 10);
}

#[test]
fn held_stanzas_follow_in_order_once_there_is_room() {
    let mut outbox = Outbox::new(100);
    let now = clock::now();
    for id in 0..5 {
        outbox.push(batch(id..id + 1), now).unwrap();
    }
    let mut written = Vec::new();
    while let Some(chunk) = outbox.next_chunk(clock::now()) {
        written.extend(chunk);
        outbox.written(clock::now());
    }
    let expected: Vec<Bytes> = (0..5).map(|id| stanza(&id.to_string()).bytes().clone()).collect();
    assert_eq!(written, expected);
}

#[test]
fn the_end_of_a_link_leaves_unwritten_stanzas_and_counts_those_in_part_as_uncertain() {
    let mut outbox = Outbox::new(BUDGET);
    outbox.push(batch(0..3), clock::now()).unwrap();
    let chunk = outbox.next_chunk(clock::now()).unwrap();
    outbox.push(batch(3..5), clock::now()).unwrap();
    let remains = outbox.remains(chunk[0].len() + 1);
    assert_eq!(remains.uncertain, 2, "the first is on the wire, the second in part");
    let unwritten: Vec<String> = remains.unwritten.iter().flat_map(|batch| ids(&batch.stanzas)).collect();
    assert_eq!(unwritten, ["2", "3", "4"]);
    assert!(outbox.is_empty());
}
