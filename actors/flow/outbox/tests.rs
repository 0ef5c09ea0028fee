//! The outbox of a stream without acknowledgements: order, budget, hold, and the end of the link.

mod acks;
mod fence;

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
    outbox.accept(batch(0..1));
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
        outbox.accept(batch());
        outbox.accept(batch());
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
fn the_surplus_is_what_is_not_being_written_and_does_not_stay() {
    let mut outbox = Outbox::new(BUDGET);
    outbox.accept(batch(0..4));
    let chunk = outbox.next_chunk(clock::now()).unwrap();
    assert_eq!(chunk.len(), 4);
    outbox.accept(batch(4..6));
    outbox.push_raw(Bytes::from_static(b" "));
    outbox.accept(batch(6..8));
    let five = 5 * stanza("0").bytes().len();
    let surplus: Vec<String> =
        outbox.take_surplus(five).iter().flat_map(|batch| ids(&batch.stanzas)).collect();
    assert_eq!(surplus, ["5", "6", "7"]);
    assert_eq!(outbox.amounts().1, Amount { stanzas: 5, bytes: five as u64 + 1 });
    outbox.written(clock::now());
    assert_eq!(outbox.next_chunk(clock::now()).unwrap().len(), 2, "the last stanza, and the space");
    outbox.written(clock::now());
    assert!(outbox.is_empty() && outbox.take_surplus(0).is_empty());
}

#[test]
fn what_stays_of_a_surplus_keeps_no_memory_of_its_read() {
    let places = |outbox: &Outbox| outbox.items.iter().map(|item| item.bytes().as_ptr()).collect::<Vec<_>>();
    let mut outbox = Outbox::new(BUDGET);
    outbox.accept(batch(0..2));
    let before = places(&outbox);
    assert!(outbox.take_surplus(BUDGET).is_empty());
    assert_eq!(places(&outbox), before, "nothing is copied without need");
    assert_eq!(outbox.take_surplus(1).len(), 1);
    assert_eq!(outbox.items.len(), 1);
    assert!(!before.contains(&places(&outbox)[0]));
}

#[test]
fn a_portion_is_asked_for_when_half_of_the_budget_is_free() {
    let one = stanza("0").bytes().len();
    let mut outbox = Outbox::new(4 * one);
    assert_eq!(outbox.room_if_drained(), Some(4 * one));
    outbox.accept(batch(0..2));
    assert_eq!(outbox.room_if_drained(), Some(2 * one));
    outbox.accept(batch(2..4));
    assert_eq!((outbox.room_if_drained(), outbox.has_room()), (None, false));
    outbox.set_budget(one);
    let surplus: usize = outbox.take_surplus(one).iter().map(|batch| batch.stanzas.len()).sum();
    assert_eq!(surplus, 3);
    assert_eq!(outbox.room_if_drained(), None, "one stanza is more than half");
}

#[test]
fn the_end_of_a_link_leaves_unwritten_stanzas_and_counts_those_in_part_as_uncertain() {
    let mut outbox = Outbox::new(BUDGET);
    outbox.accept(batch(0..3));
    let chunk = outbox.next_chunk(clock::now()).unwrap();
    outbox.accept(batch(3..5));
    let remains = outbox.remains(chunk[0].len() + 1);
    assert_eq!(remains.uncertain, 2, "the first is on the wire, the second in part");
    let unwritten: Vec<String> = remains.unwritten.iter().flat_map(|batch| ids(&batch.stanzas)).collect();
    assert_eq!(unwritten, ["2", "3", "4"]);
    assert!(outbox.is_empty());
}
