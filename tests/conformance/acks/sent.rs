//! The node's count of what it sent on its own streams, its window, and its requests.

use super::{PEER, QUIET, accepts, ids, sends, sends_nothing, setup};
use crate::support::{Element, Event, Fixture, Peer, SM, SOON, Server, figure, is_request};

// rows: H3
#[test]
fn its_count_begins_with_enable() {
    let fixture = Fixture::with(setup());
    let (listener, mut inbox) = (fixture.listens(), fixture.node.inbox());
    sends(&mut inbox, 0..3);
    let mut peer = accepts(&fixture, &listener);
    peer.expects_enable();
    // They were sent after `<enable/>` and before `<enabled/>`.
    assert_eq!(peer.expects_stanzas(3), ids(0..3));
    peer.sends(&format!("<enabled xmlns='{SM}'/>"));
    peer.acknowledges(3);
    sends(&mut inbox, 3..4);
    assert_eq!(peer.expects_stanzas(1), ids(3..4));
    peer.acknowledges(4);
    let account = fixture.node.settled_account();
    assert_eq!((figure(&account, "acknowledged"), figure(&account, "uncertain")), (4, 0), "{account}");
}

// rows: H9
#[test]
fn a_count_that_is_too_high_ends_the_stream_and_says_so() {
    let fixture = Fixture::with(setup());
    let (listener, mut inbox) = (fixture.listens(), fixture.node.inbox());
    sends(&mut inbox, 0..3);
    let mut peer = accepts(&fixture, &listener);
    peer.takes_enable("");
    peer.expects_stanzas(3);
    peer.acknowledges(3);
    peer.acknowledges(4);
    let error = ends_with_error(&mut peer);
    error.expect("undefined-condition");
    let detail = error.expect("handled-count-too-high");
    assert_eq!(detail.namespace, SM, "{error}");
    assert_eq!((detail.attribute("h"), detail.attribute("send-count")), ("4", "3"), "{error}");
    fixture.node.settled_account();
}

// rows: H9
#[test]
fn a_count_that_decreases_ends_the_stream() {
    let fixture = Fixture::with(setup());
    let (listener, mut inbox) = (fixture.listens(), fixture.node.inbox());
    sends(&mut inbox, 0..3);
    let mut peer = accepts(&fixture, &listener);
    peer.takes_enable("");
    peer.expects_stanzas(3);
    peer.acknowledges(3);
    peer.acknowledges(2);
    let error = ends_with_error(&mut peer);
    error.expect("undefined-condition");
    let detail = error.expect("handled-count-too-high");
    assert_eq!((detail.attribute("h"), detail.attribute("send-count")), ("2", "3"));
    assert!(error.expect("text").text().contains("3 stanzas were acknowledged before"), "{error}");
    fixture.node.eventually_logs(&["closed", "the peer acknowledges fewer stanzas than before"]);
    fixture.node.settled_account();
}

// rows: H9
#[test]
fn counts_that_are_no_numbers_are_survived() {
    for count in ["-1", "", " 3", "3 ", "+3", "0x3", "4294967296", "99999999999999999999999", "٣", "3.0"] {
        let fixture = Fixture::with(setup());
        let (listener, mut inbox) = (fixture.listens(), fixture.node.inbox());
        sends(&mut inbox, 0..3);
        let mut peer = accepts(&fixture, &listener);
        peer.takes_enable("");
        peer.expects_stanzas(3);
        peer.sends(&format!("<a xmlns='{SM}' h='{count}'/>"));
        // It may end the stream; the stanzas are not lost in either case.
        sends(&mut inbox, 3..4);
        let mut peer = match next_stanza(&mut peer) {
            Some(stanza) => {
                assert_eq!(stanza.attribute("id"), "3", "{count:?}");
                peer
            }
            None => {
                let mut next = accepts(&fixture, &listener);
                next.takes_enable("");
                assert_eq!(next.expects_stanzas(4), ids(0..4), "{count:?}");
                next
            }
        };
        peer.acknowledges(4);
        fixture.node.settled_account();
    }
}

// rows: H10
#[test]
fn a_peer_that_never_acknowledges_gets_no_more_than_the_window() {
    let fixture = Fixture::with(setup().set("s2s.ack_timeout", "\"10m\""));
    let (listener, mut inbox) = (fixture.listens(), fixture.node.inbox());
    let body = "x".repeat(1000);
    (0..COUNT).for_each(|number| inbox.sends_message(PEER, &number.to_string(), &body));
    let mut peer = accepts(&fixture, &listener);
    peer.takes_enable("id='kept' resume='true'");
    let mut bytes = 0;
    let mut count = 0;
    while let Ok(stanza) = peer.stanza_within(5 * QUIET) {
        assert_eq!(stanza.attribute("id"), count.to_string());
        (bytes, count) = (bytes + stanza.to_string().len(), count + 1);
    }
    assert!(count > 0 && bytes < WINDOW + CHUNK, "{bytes} bytes in {count} stanzas were not acknowledged");
    // With acknowledgements the rest comes, in order.
    while count < COUNT {
        peer.acknowledges(count.try_into().unwrap());
        let stanza = peer.expects_stanza();
        assert_eq!(stanza.attribute("id"), count.to_string());
        count += 1;
    }
    peer.acknowledges(count.try_into().unwrap());
    sends_nothing(&mut peer);
    let account = fixture.node.settled_account();
    assert_eq!(figure(&account, "acknowledged"), COUNT, "{account}");
    assert!(!inbox.has_received(), "nothing was answered");
}

// rows: H22
#[test]
fn a_peer_that_does_not_answer_requests_loses_the_stream_and_nothing_else() {
    let fixture = Fixture::with(setup().set("s2s.ack_timeout", "\"1s\""));
    let (listener, mut inbox) = (fixture.listens(), fixture.node.inbox());
    sends(&mut inbox, 0..3);
    let mut peer = accepts(&fixture, &listener);
    peer.takes_enable("id='kept' resume='true'");
    assert_eq!(peer.expects_stanzas(3), ids(0..3));
    peer.expects_request();
    ends_with_error(&mut peer).expect("connection-timeout");
    peer.finishes();
    let mut next = accepts(&fixture, &listener);
    next.expects_resume("kept");
    next.resumed("kept", 1);
    assert_eq!(next.expects_stanzas(2), ids(1..3));
    next.acknowledges(3);
    fixture.node.settled_account();
}

// rows: H22
#[test]
fn an_idle_stream_is_checked_by_a_request() {
    let settings = setup().set("s2s.ack_timeout", "\"1s\"").set("s2s.keepalive", "\"1s\"");
    let fixture = Fixture::with(settings);
    let (listener, mut inbox) = (fixture.listens(), fixture.node.inbox());
    sends(&mut inbox, 0..1);
    let mut peer = accepts(&fixture, &listener);
    peer.takes_enable("");
    peer.expects_stanzas(1);
    peer.acknowledges(1);
    for _ in 0..2 {
        peer.expects_request();
        peer.acknowledges(1);
    }
    peer.expects_request();
    ends_with_error(&mut peer).expect("connection-timeout");
    peer.finishes();
    fixture.node.settled_account();
}

/// Reads to the closing tag, and returns the stream error before it.
#[track_caller]
fn ends_with_error(peer: &mut Peer) -> Element {
    let before = peer.reads_to_closing_tag();
    let error = before.iter().find(|element| element.name == "error");
    error.unwrap_or_else(|| panic!("no stream error in {before:?}")).clone()
}

/// The next stanza, or none if the stream ends.
#[track_caller]
fn next_stanza(peer: &mut Peer) -> Option<Element> {
    loop {
        match peer.next(SOON) {
            Ok(Event::Element(request)) if is_request(&request) => {}
            Ok(Event::Element(stanza)) if stanza.namespace == "jabber:server" => return Some(stanza),
            Ok(Event::Element(_)) => {}
            Ok(Event::Closed) => {
                peer.finishes();
                return None;
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Messages of about 1,100 bytes: more than the window, and less than the window and the queue of a link.
const COUNT: usize = 800;

/// The window of a peer that never acknowledged, and one chunk above it, in bytes.
const WINDOW: usize = 256 * 1024;
const CHUNK: usize = 64 * 1024;
