//! The node's count of handled stanzas on streams that the peer opened.

use std::collections::HashSet;
use std::thread;

use super::{INBOX, PEER, arrived, ids, messages, setup};
use crate::support::{Component, Fixture, SM, SOON, Server, eventually, figure, h, message};

// rows: H3
#[test]
fn stanzas_count_from_enable_on_and_nothing_else_counts() {
    let fixture = Fixture::with(setup());
    let mut inbox = fixture.node.inbox();
    let mut peer = fixture.peer();
    peer.sends(&messages(0..5));
    arrived(&mut inbox, 5);
    peer.enables(true);
    assert_eq!(peer.asks_count(), 0);
    let addresses = format!("from='romeo@{PEER}' to='juliet@{INBOX}'");
    peer.sends(&format!(
        "{} \n <presence {addresses}/><a xmlns='urn:xmpp:sm:3' h='0'/>\n<iq {addresses} type='result' id='6'/>",
        message("5")
    ));
    assert_eq!(peer.asks_count(), 3);
    assert_eq!(peer.asks_count(), 3, "asking does not count");
}

// rows: H4
#[test]
fn a_request_in_the_same_write_is_answered_with_the_count_before_it() {
    let fixture = Fixture::with(setup());
    let mut inbox = fixture.node.inbox();
    let mut peer = fixture.peer();
    peer.enables(true);
    peer.sends(&format!("{}<r xmlns='{SM}'/>", messages(0..1000)));
    assert_eq!(peer.expects_count(), 1000);
    // The answer may count what came in the same read behind the request.
    peer.sends(&format!("<r xmlns='{SM}'/>{}", messages(1000..1007)));
    assert!((1000..=1007).contains(&peer.expects_count()));
    assert_eq!(peer.asks_count(), 1007);
    assert_eq!(arrived(&mut inbox, 1007), ids(0..1007));
}

// rows: H14
#[test]
fn a_stanza_that_is_answered_with_an_error_counts() {
    let fixture = Fixture::with(setup().answers_for_absent());
    // The component is not connected, and one of the addresses is none.
    let mut peer = fixture.peer();
    peer.enables(true);
    peer.sends(&format!(
        "{}<message from='romeo@{PEER}' to='@{INBOX}' id='1'><body/></message>{}",
        message("0"),
        message("2")
    ));
    assert_eq!(peer.asks_count(), 3);
    let account = fixture.node.account();
    assert_eq!(figure(&account, "written"), 0, "{account}");
}

// rows: H14
#[test]
fn a_stanza_that_ends_the_stream_does_not_count() {
    let fixture = Fixture::with(setup());
    let mut inbox = fixture.node.inbox();
    let mut peer = fixture.peer();
    peer.enables(true);
    let spoofed = message("2").replace(PEER, "spoofed.example");
    peer.sends(&format!("{}{spoofed}{}", messages(0..2), messages(3..5)));
    let before = peer.reads_to_closing_tag();
    peer.finishes();
    let error = before.iter().find(|element| element.name == "error").expect("a stream error");
    error.expect("invalid-from");
    let last = before.iter().rfind(|element| element.name == "a").expect("a last count");
    assert_eq!(h(last), 2, "{before:?}");
    assert_eq!(arrived(&mut inbox, 2), ids(0..2));
    fixture.nothing_arrived_at(&mut inbox);
}

// rows: H14
#[test]
fn the_count_does_not_wait_for_a_component_that_does_not_read() {
    let fixture = Fixture::with(setup().set("s2s.write_timeout", "\"10m\""));
    let mut deaf = Component::connect_deaf(fixture.node.address(), INBOX);
    let mut peer = fixture.peer();
    peer.enables(true);
    let filling = "x".repeat(2000);
    let stanza = |number: usize| {
        format!(
            "<message from='romeo@{PEER}' to='juliet@{INBOX}' id='{number}'><body>{filling}</body></message>"
        )
    };
    // More than the sockets and the outbox take: the rest waits in the queue of the component.
    for block in 1..=BLOCKS {
        let stanzas: String = (BLOCK * (block - 1)..BLOCK * block).map(stanza).collect();
        peer.sends(&format!("{stanzas}<r xmlns='urn:xmpp:sm:3'/>"));
        assert_eq!(peer.expects_count() as usize, BLOCK * block);
    }
    assert_ne!(figure(&fixture.node.account(), "waiting"), 0);
    // It reads, and gets everything.
    thread::spawn(move || while deaf.hear(SOON).is_ok() {});
    eventually("all is written", || {
        let account = fixture.node.account();
        (figure(&account, "written") == BLOCK * BLOCKS).then_some(())
    });
}

// rows: H25
#[test]
fn ids_are_long_and_differ() {
    ids_differ(STREAMS);
}

/// Enables stream management on so many streams, and compares their ids.
pub(crate) fn ids_differ(streams: usize) {
    let fixture = Fixture::with(setup().set("limits.max_attempts_per_address", "20000"));
    let ids: Vec<String> = (0..streams).map(|_| fixture.peer().enables_resumption()).collect();
    let unique: HashSet<_> = ids.iter().collect();
    assert_eq!(unique.len(), streams, "an id was used twice");
    // The bits that each character can carry, by the characters that were seen in its place.
    let shortest = ids.iter().map(String::len).min().unwrap();
    let seen = |place: usize| ids.iter().map(|id| id.as_bytes()[place]).collect::<HashSet<u8>>().len();
    let bits: f64 = (0..shortest).map(|place| (seen(place) as f64).log2()).sum();
    assert!(bits >= 120.0, "{bits} bits: {:?}", &ids[..4]);
}

/// Streams in the normal run; the long one has ten thousand.
const STREAMS: usize = 200;

/// Messages before each request, and the requests: 15 MB, more than the sockets take, and less than the component's queue
/// holds.
const BLOCK: usize = 100;
const BLOCKS: usize = 75;
