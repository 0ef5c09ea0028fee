//! The end of streams with stream management: the last count, and nothing after it.

use std::time::Duration;

use super::{PEER, accepts, messages, sends, setup};
use crate::control::Place;
use crate::support::{Auth, Element, Event, Fixture, Nothing, SOON, Server, figure, h, message};

// rows: H5 H15
#[test]
fn a_peer_that_closes_gets_the_last_count_in_both_roles() {
    let fixture = Fixture::with(setup());
    let (listener, mut inbox) = (fixture.listens(), fixture.node.inbox());
    let mut theirs = fixture.peer();
    theirs.enables(true);
    theirs.sends(&format!("{}</stream:stream>", messages(0..3)));
    assert_eq!(last_count(&theirs.reads_to_closing_tag()), 3);
    theirs.expects_end();

    sends(&mut inbox, 0..2);
    let mut ours = accepts(&fixture, &listener);
    ours.takes_enable("");
    ours.expects_stanzas(2);
    ours.acknowledges(2);
    ours.sends("</stream:stream>");
    assert_eq!(last_count(&ours.reads_to_closing_tag()), 0);
    ours.expects_end();
}

// rows: H15
#[test]
fn links_that_the_operator_closes_end_with_the_last_count() {
    let place = Place::new();
    let fixture = Fixture::with(place.setup().auth(Auth::External));
    let (listener, mut inbox) = (fixture.listens(), fixture.node.inbox());
    let mut theirs = fixture.peer();
    theirs.enables(true);
    theirs.sends(&messages(0..3));
    inbox.receives_id("2");
    sends(&mut inbox, 0..1);
    let mut ours = accepts(&fixture, &listener);
    ours.takes_enable("");
    ours.expects_stanzas(1);
    ours.acknowledges(1);
    // The command waits until the links are closed.
    let command = std::thread::spawn(move || place.tells(&["close", PEER]));
    for (peer, count) in [(&mut theirs, 3), (&mut ours, 0)] {
        assert_eq!(last_count(&peer.reads_to_closing_tag()), count);
        peer.finishes();
    }
    command.join().unwrap();
}

// rows: H15 H16
#[test]
fn a_stopping_node_delivers_exactly_what_it_counted() {
    let fixture = Fixture::with(setup().set("shutdown_timeout", "\"60s\""));
    let mut inbox = fixture.node.inbox();
    let mut peer = fixture.peer();
    peer.enables(true);
    let (mut sent, mut last) = (0, 0);
    let mut stops = false;
    // The peer sends until the node closes the stream, and ignores the error.
    loop {
        peer.sends(&messages(sent..sent + 50));
        peer.sends("<r xmlns='urn:xmpp:sm:3'/>");
        sent += 50;
        match peer.next(A_GLANCE) {
            Ok(Event::Element(count)) if count.name == "a" => last = h(&count),
            Ok(Event::Closed) => break,
            Ok(Event::Element(_)) | Err(Nothing::Late) => {}
            other => panic!("{other:?}"),
        }
        if !stops && inbox.has_received() {
            stops = true;
            fixture.node.process().signal("TERM");
        }
    }
    peer.finishes();
    let ids: Vec<String> =
        inbox.expects_end().iter().map(|stanza| stanza.attribute("id").to_owned()).collect();
    assert_eq!(ids, super::ids(0..last as usize), "delivered, and counted as {last}");
    assert!(fixture.node.process().exit_within(SOON).success());
    let account = fixture.node.process().lines();
    let account = account.iter().rfind(|line| line.contains("domain=*")).expect("an account");
    assert_eq!(figure(account, "taken"), last as usize, "{account}");
}

// rows: H15
#[test]
fn a_stopping_sender_asks_for_the_last_count_and_waits_for_it() {
    let fixture = Fixture::with(setup().set("shutdown_timeout", "\"60s\""));
    let (listener, mut inbox) = (fixture.listens(), fixture.node.inbox());
    sends(&mut inbox, 0..5);
    let mut peer = accepts(&fixture, &listener);
    peer.takes_enable("id='kept' resume='true'");
    assert_eq!(peer.expects_stanzas(5), super::ids(0..5));
    fixture.node.process().signal("TERM");
    peer.expects_request();
    peer.acknowledges(5);
    let before = peer.reads_to_closing_tag();
    assert!(before.iter().any(|element| element.name == "error"), "{before:?}");
    peer.finishes();
    assert!(fixture.node.process().exit_within(SOON).success());
    let lines = fixture.node.process().lines();
    let account = lines.iter().rfind(|line| line.contains("domain=*")).expect("an account");
    assert_eq!((figure(account, "uncertain"), figure(account, "acknowledged")), (0, 5), "{account}");
}

// rows: H15
#[test]
fn a_stopping_sender_without_the_last_count_says_that_the_stanzas_are_uncertain() {
    let fixture = Fixture::with(setup().set("shutdown_timeout", "\"3s\""));
    let (listener, mut inbox) = (fixture.listens(), fixture.node.inbox());
    sends(&mut inbox, 0..5);
    let mut peer = accepts(&fixture, &listener);
    peer.takes_enable("");
    assert_eq!(peer.expects_stanzas(5), super::ids(0..5));
    peer.acknowledges(2);
    fixture.node.process().signal("TERM");
    peer.reads_to_closing_tag();
    peer.finishes();
    assert!(fixture.node.process().exit_within(SOON).success());
    let lines = fixture.node.process().lines();
    let account = lines.iter().rfind(|line| line.contains("domain=*")).expect("an account");
    assert_eq!((figure(account, "uncertain"), figure(account, "acknowledged")), (3, 2), "{account}");
}

// rows: H16
#[test]
fn stanzas_behind_the_last_count_are_not_delivered() {
    let fixture = Fixture::with(setup().set("s2s.idle_timeout", "\"1s\""));
    let mut inbox = fixture.node.inbox();
    let mut peer = fixture.peer();
    peer.enables(true);
    peer.sends(&message("0"));
    inbox.receives_id("0");
    // Idleness ends the stream.
    assert_eq!(last_count(&peer.reads_to_closing_tag()), 1);
    peer.sends(&messages(1..10));
    peer.finishes();
    fixture.nothing_arrived_at(&mut inbox);
}

/// The count in the last `<a/>`, after which only a stream error may come.
#[track_caller]
fn last_count(before: &[Element]) -> u32 {
    let place = before.iter().rposition(|element| element.name == "a");
    let place = place.unwrap_or_else(|| panic!("no last count: {before:?}"));
    assert!(before[place + 1..].iter().all(|element| element.name == "error"), "{before:?}");
    assert_eq!(before[place].namespace, crate::support::SM, "{before:?}");
    h(&before[place])
}

/// How long the peer looks for an answer between two writes.
const A_GLANCE: Duration = Duration::from_millis(1);
