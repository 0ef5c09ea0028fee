//! The orderly end of streams (RFC 6120, section 4.4).

use openssl::ssl::ShutdownState;

use super::{Fixture, PEER, message, setup};
use crate::support::{Event, Peer, SOON, Server};

// rows: B16
#[test]
fn stanzas_before_a_closing_tag_are_delivered() {
    let fixture = Fixture::new();
    let mut inbox = fixture.node.inbox();
    let mut peer = fixture.authenticated();
    let stanzas: String = (0..100).map(|number| message(&number.to_string())).collect();
    peer.sends(&format!("{stanzas}</stream:stream>{}", message("behind the tag")));
    peer.expects_closed();
    peer.expects_end();
    for number in 0..100 {
        let stanza = inbox.next(SOON).expect("a stanza");
        assert_eq!(stanza.attribute("id"), number.to_string(), "{stanza}");
    }
    fixture.receives_only_a_valid_stanza(&mut inbox);
}

// rows: B16
#[test]
fn stanzas_left_by_a_closing_peer_take_a_new_stream() {
    let fixture = Fixture::with(setup().set("promise.backoff", "[\"100ms\", \"1s\"]"));
    let listener = fixture.listens();
    let mut inbox = fixture.node.inbox();
    for number in 0..50 {
        inbox.sends_message(PEER, &number.to_string(), "");
    }
    let mut peer = fixture.accepts(&listener);
    let mut arrived = vec![peer.expects("message").attribute("id").to_owned()];
    peer.sends("</stream:stream>");
    for number in 50..100 {
        inbox.sends_message(PEER, &number.to_string(), "");
    }
    loop {
        match peer.next(SOON).expect("a stanza or the closing tag") {
            Event::Element(stanza) => arrived.push(stanza.attribute("id").to_owned()),
            Event::Closed => break,
            other @ Event::Opened(_) => panic!("{other:?}"),
        }
    }
    peer.expects_end();
    if arrived.len() < 100 {
        let mut next = fixture.accepts(&listener);
        while arrived.len() < 100 {
            arrived.push(next.expects("message").attribute("id").to_owned());
        }
    }
    assert_eq!(arrived, (0..100).map(|number: i32| number.to_string()).collect::<Vec<_>>());
}

// rows: B18
#[test]
fn tls_is_closed_by_whoever_closes_and_the_other_answers() {
    let fixture = Fixture::with(setup().set("s2s.idle_timeout", "\"1s\""));
    let listener = fixture.listens();
    let mut inbox = fixture.node.inbox();

    // The node closes, in both roles.
    inbox.sends_message(PEER, "1", "");
    let mut dialed = fixture.accepts(&listener);
    dialed.expects("message");
    for peer in [&mut fixture.authenticated(), &mut dialed] {
        peer.expects_closed();
        peer.sends("</stream:stream>");
        peer.expects_end();
        assert!(said_goodbye(peer));
    }

    // The peer closes TLS without a closing tag.
    inbox.sends_message(PEER, "2", "");
    let mut dialed = fixture.accepts(&listener);
    dialed.expects("message");
    for peer in [&mut fixture.authenticated(), &mut dialed] {
        assert!(!said_goodbye(peer));
        peer.secured().shutdown().expect("a close_notify");
        peer.waits_for_the_end();
        assert!(said_goodbye(peer), "no answer to close_notify");
    }
}

/// Whether a close_notify arrived.
fn said_goodbye(peer: &mut Peer) -> bool {
    peer.secured().get_shutdown().contains(ShutdownState::RECEIVED)
}

// rows: B35
#[test]
fn a_stopping_node_flushes_and_closes_every_stream() {
    let fixture = Fixture::new();
    let listener = fixture.listens();
    let mut inbox = fixture.node.inbox();
    let mut theirs = fixture.authenticated();
    inbox.sends_message(PEER, "first", "");
    let mut ours = fixture.accepts(&listener);
    ours.expects("message");
    for number in 0..200 {
        inbox.sends_message(PEER, &number.to_string(), "");
    }
    fixture.node.process().signal("TERM");
    theirs.expects_error("system-shutdown");
    let mut arrived = 0;
    let error = loop {
        match ours.next(SOON).expect("a stanza or the error") {
            Event::Element(element) if element.name == "message" => arrived += 1,
            Event::Element(element) => break element,
            other => panic!("{other:?}"),
        }
    };
    assert!(error.child("system-shutdown").is_some(), "{error}");
    ours.expects_closed();
    ours.sends("</stream:stream>");
    let answered = inbox.expects_end().iter().filter(|stanza| stanza.is("message", "error")).count();
    assert_eq!(arrived + answered, 200, "{arrived} arrived, {answered} answered");
    assert!(fixture.node.process().exit_within(SOON).success());
}
