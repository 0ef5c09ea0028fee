//! Elements of stream management that nobody asked for.

use super::{PEER, QUIET, ids, sends, setup};
use crate::support::{Element, Event, Fixture, Nothing, Peer, Server, message};

/// Without `<enable/>` none of these has a meaning.
const ELEMENTS: [&str; 6] = [
    "<a xmlns='urn:xmpp:sm:3' h='0'/>",
    "<a xmlns='urn:xmpp:sm:3' h='7'/>",
    "<r xmlns='urn:xmpp:sm:3'/>",
    "<enabled xmlns='urn:xmpp:sm:3' id='x' resume='true'/>",
    "<resumed xmlns='urn:xmpp:sm:3' previd='x' h='0'/>",
    "<failed xmlns='urn:xmpp:sm:3'/>",
];

// rows: H24
#[test]
fn on_a_stream_of_the_peer_they_are_ignored_and_logged_once() {
    let fixture = Fixture::with(setup().set("log_mailboxes", "\"0s\""));
    let mut inbox = fixture.node.inbox();
    let mut peer = fixture.peer();
    peer.sends(&message("before"));
    inbox.receives_id("before");
    let lines = fixture.node.process().lines().len();
    for element in ELEMENTS {
        peer.sends(&element.repeat(20));
        peer.sends(&message("after"));
        inbox.receives_id("after");
    }
    answers_nothing(&mut peer);
    let more: Vec<String> = fixture.node.process().lines().split_off(lines);
    assert!(more.len() <= ELEMENTS.len(), "{more:#?}");
}

// rows: H24
#[test]
fn on_a_stream_of_the_node_they_are_ignored_and_logged_once() {
    let fixture = Fixture::with(setup().set("log_mailboxes", "\"0s\""));
    let (listener, mut inbox) = (fixture.listens(), fixture.node.inbox());
    sends(&mut inbox, 0..1);
    let mut peer = listener.accepts();
    peer.answers_to_external(PEER, &fixture.identity);
    assert_eq!(peer.expects("message").attribute("id"), "0");
    let lines = fixture.node.process().lines().len();
    for (number, element) in ELEMENTS.iter().enumerate() {
        peer.sends(&element.repeat(20));
        sends(&mut inbox, number + 1..number + 2);
        let next: Element = peer.expects("message");
        assert_eq!(ids([number + 1]), [next.attribute("id")]);
    }
    answers_nothing(&mut peer);
    let more: Vec<String> = fixture.node.process().lines().split_off(lines);
    assert!(more.len() <= ELEMENTS.len(), "{more:#?}");
}

// rows: H24 H12
#[test]
fn a_second_enabled_changes_nothing() {
    let fixture = Fixture::with(setup());
    let (listener, mut inbox) = (fixture.listens(), fixture.node.inbox());
    sends(&mut inbox, 0..2);
    let mut peer = super::accepts(&fixture, &listener);
    peer.takes_enable("id='kept' resume='true'");
    peer.expects_stanzas(2);
    peer.acknowledges(2);
    peer.sends("<enabled xmlns='urn:xmpp:sm:3' id='other' resume='true'/>");
    sends(&mut inbox, 2..3);
    // It comes on the same stream, and is not acknowledged.
    peer.expects_stanzas(1);
    peer.resets();
    let mut peer = super::accepts(&fixture, &listener);
    peer.expects_resume("kept");
    peer.resumed("kept", 2);
    assert_eq!(peer.expects_stanzas(1), ids(2..3));
    peer.acknowledges(3);
    fixture.node.settled_account();
}

/// Checks that the node answers none of them.
#[track_caller]
fn answers_nothing(peer: &mut Peer) {
    match peer.next(QUIET) {
        Err(Nothing::Late) => {}
        Ok(Event::Element(element)) => panic!("{element}"),
        other => panic!("{other:?}"),
    }
}
