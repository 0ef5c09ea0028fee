//! Unacknowledged stanzas of a lost link whose fate nobody knows: the peer does not resume.

use std::time::SystemTime;

use jiff::Timestamp;

use super::{INBOX, PEER, accepts, acknowledges, arrived, ids, requests, sends, sends_nothing, setup, stamp};
use crate::support::{Component, Element, Fixture, Peer, SOON, Server, figure};

// rows: H6 H17
#[test]
fn each_kind_of_stanza_is_resent_or_answered() {
    let fixture = Fixture::with(setup());
    let (listener, mut inbox) = (fixture.listens(), fixture.node.inbox());
    let before = now();
    sends_every_kind(&mut inbox);
    let mut peer = accepts(&fixture, &listener);
    peer.takes_enable("");
    let first: Vec<Element> = (0..KINDS).map(|_| peer.expects_stanza()).collect();
    assert!(first.iter().all(|stanza| stamp(stanza).is_none()), "{first:?}");
    let seen = now();
    peer.resets();

    let mut peer = accepts(&fixture, &listener);
    peer.takes_enable("");
    // In order, under their old ids; the request is missing.
    let again: Vec<Element> = (0..KINDS - 1).map(|_| peer.expects_stanza()).collect();
    let expected: Vec<&str> =
        first.iter().map(|stanza| stanza.attribute("id")).filter(|id| *id != "request").collect();
    assert_eq!(again.iter().map(|stanza| stanza.attribute("id")).collect::<Vec<_>>(), expected);
    for stanza in &again {
        let stamp = stamp(stanza).unwrap_or_else(|| panic!("no stamp: {stanza}"));
        let stamp: Timestamp = stamp.parse().unwrap_or_else(|error| panic!("{error}: {stanza}"));
        // A stamp may have whole seconds.
        let (from, to) = (before.as_second(), seen.as_second());
        assert!((from..=to).contains(&stamp.as_second()), "{from}..={to} {stanza}");
    }
    let answer = inbox.receives_id("request");
    let error = answer.expect("error");
    assert_eq!(error.attribute("type"), "wait", "{answer}");
    error.expect("remote-server-timeout");
    assert!(error.expect("text").text().contains("may have"), "{answer}");
    peer.acknowledges((KINDS - 1).try_into().unwrap());
    sends_nothing(&mut peer);
    assert!(!inbox.has_received(), "one answer");
    let account = fixture.node.settled_account();
    assert_eq!(figure(&account, "repeated"), KINDS - 1, "{account}");
    assert_eq!((figure(&account, "answered"), figure(&account, "uncertain")), (1, 0), "{account}");
}

// rows: H6
#[test]
fn fifty_messages_without_an_acknowledgement_come_again_before_anything_new() {
    let fixture = Fixture::with(setup());
    let (listener, mut inbox) = (fixture.listens(), fixture.node.inbox());
    sends(&mut inbox, 0..50);
    let mut peer = accepts(&fixture, &listener);
    peer.takes_enable("");
    assert_eq!(peer.expects_stanzas(50), ids(0..50));
    acknowledges(&fixture, &mut peer, 20);
    sends(&mut inbox, 50..51);
    assert_eq!(peer.expects_stanzas(1), ids(50..51));
    peer.resets();
    sends(&mut inbox, 51..60);
    let mut peer = accepts(&fixture, &listener);
    peer.takes_enable("");
    assert_eq!(peer.expects_stanzas(40), ids(20..60));
    peer.acknowledges(40);
    fixture.node.settled_account();
    assert!(!inbox.has_received(), "nothing was answered");
}

// rows: H6
#[test]
fn with_repeat_never_all_are_answered() {
    let fixture = Fixture::with(setup().set("s2s.repeat", "\"never\""));
    let (listener, mut inbox) = (fixture.listens(), fixture.node.inbox());
    sends_every_kind(&mut inbox);
    let mut peer = accepts(&fixture, &listener);
    peer.takes_enable("");
    peer.expects_stanzas(KINDS);
    peer.resets();
    sends(&mut inbox, 10..11);
    let mut peer = accepts(&fixture, &listener);
    peer.takes_enable("");
    assert_eq!(peer.expects_stanzas(1), ids(10..11));
    peer.acknowledges(1);
    // A result is dropped, as no answer to it is allowed (RFC 6120, section 8.3.1).
    let mut answered = arrived(&mut inbox, KINDS - 1);
    answered.sort();
    assert_eq!(answered, ["0", "1", "2", "presence", "request"]);
    let account = fixture.node.settled_account();
    assert_eq!(figure(&account, "repeated"), 0, "{account}");
}

// rows: H6
#[test]
fn stanzas_whose_time_ends_without_a_link_are_answered() {
    let setup = setup().set("promise.message", "\"2s\"").set("promise.presence", "\"2s\"");
    let fixture = Fixture::with(setup.set("promise.iq", "\"2s\""));
    let (listener, mut inbox) = (fixture.listens(), fixture.node.inbox());
    sends_every_kind(&mut inbox);
    let mut peer = accepts(&fixture, &listener);
    peer.takes_enable("id='kept' resume='true'");
    peer.expects_stanzas(KINDS);
    // Nobody listens any more.
    drop(listener);
    peer.resets();
    let mut answered = Vec::new();
    for _ in 0..KINDS - 1 {
        let answer = inbox.next(SOON).expect("an answer to each");
        answer.expect("error").expect("remote-server-timeout");
        answered.push(answer.attribute("id").to_owned());
    }
    answered.sort();
    assert_eq!(answered, ["0", "1", "2", "presence", "request"]);
    fixture.node.settled_account();
}

// rows: H23
#[test]
fn a_stanza_that_ends_the_link_three_times_is_answered_and_those_behind_it_arrive() {
    let fixture = Fixture::with(setup());
    let (listener, mut inbox) = (fixture.listens(), fixture.node.inbox());
    sends(&mut inbox, 0..7);
    let mut peer = accepts(&fixture, &listener);
    peer.takes_enable("");
    assert_eq!(peer.expects_stanzas(7), ids(0..7));
    acknowledges(&fixture, &mut peer, 7);
    sends(&mut inbox, 7..8);
    // The peer breaks off each time that it sees this stanza.
    let mut seen = 0;
    let mut peer = loop {
        let stanza = peer.expects_stanza();
        if stanza.attribute("id") != "7" {
            assert_eq!(stanza.attribute("id"), "8");
            break peer;
        }
        seen += 1;
        peer.resets();
        if seen == 1 {
            sends(&mut inbox, 8..11);
        }
        peer = accepts(&fixture, &listener);
        peer.takes_enable("");
    };
    assert_eq!(seen, 3, "sent so often");
    assert_eq!(peer.expects_stanzas(2), ids(9..11));
    peer.acknowledges(3);
    let answer = inbox.receives_id("7");
    answer.expect("error").expect("remote-server-timeout");
    assert!(!inbox.has_received(), "the others are not answered");
    fixture.node.settled_account();
}

// rows: H23
#[test]
fn a_stanza_that_the_peer_cannot_parse_is_answered_after_two_stream_errors() {
    let fixture = Fixture::with(setup());
    let (listener, mut inbox) = (fixture.listens(), fixture.node.inbox());
    sends(&mut inbox, 0..3);
    let mut seen = 0;
    let mut peer = accepts(&fixture, &listener);
    peer.takes_enable("");
    let rest = loop {
        match peer.expects_stanza().attribute("id") {
            "0" => seen += 1,
            "1" => break peer,
            other => panic!("{other}"),
        }
        breaks(&mut peer);
        peer = accepts(&fixture, &listener);
        peer.takes_enable("");
    };
    assert_eq!(seen, 2, "sent so often");
    let mut peer = rest;
    assert_eq!(peer.expects_stanzas(1), ids(2..3));
    peer.acknowledges(2);
    inbox.receives_id("0").expect("error");
    assert!(!inbox.has_received(), "those behind it are not answered");
    fixture.node.settled_account();
}

/// Ends the stream as a server does that cannot parse a stanza.
fn breaks(peer: &mut Peer) {
    peer.sends(
        "<stream:error><not-well-formed xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>\
         </stream:stream>",
    );
    peer.waits_for_the_end();
}

/// Three messages, a presence, a request and a result, in this order.
#[track_caller]
fn sends_every_kind(inbox: &mut Component) {
    sends(inbox, 0..3);
    let addresses = format!("from='juliet@{INBOX}' to='romeo@{PEER}'");
    inbox.sends(&format!("<presence {addresses} id='presence'/>"));
    requests(inbox, "request");
    inbox.sends(&format!("<iq {addresses} type='result' id='result'/>"));
}

const KINDS: usize = 6;

fn now() -> Timestamp {
    SystemTime::now().try_into().unwrap()
}
