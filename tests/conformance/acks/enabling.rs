//! Where stream management is offered, and when it is enabled, in both roles.

use super::{INBOX, PEER, accepts, failure, sends, sends_nothing, setup};
use crate::dialback::{result, verified};
use crate::support::{Auth, Element, Event, Fixture, Listener, OFFER, Peer, SM, SOON, Server, Tls, message};

const ENABLE: &str = "<enable xmlns='urn:xmpp:sm:3' resume='true'/>";
const DIALBACK: &str = "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>";

// rows: H11
#[test]
fn it_is_offered_after_sasl_and_with_dialback_on_a_tls_stream() {
    let fixture = Fixture::with(setup());
    let mut peer = Peer::dials(fixture.node.address());
    peer.starts_tls(PEER, INBOX, Some(&fixture.identity));
    assert!(!offers(&peer.expects("features")), "before SASL, without dialback");
    let mut peer = Peer::dials(fixture.node.address());
    let features = peer.authenticates_here(PEER, INBOX, &fixture.identity);
    assert!(offers(&features), "{features}");

    let fixture = Fixture::with(setup().auth(Auth::Both).tls(Tls::Optional));
    let mut peer = Peer::dials(fixture.node.address());
    peer.sends_header(PEER, INBOX, "");
    peer.expects_header();
    let features = peer.expects("features");
    features.expect("dialback");
    assert!(!offers(&features), "in clear text: {features}");
    let mut peer = Peer::dials(fixture.node.address());
    peer.starts_tls(PEER, INBOX, None);
    let features = peer.expects("features");
    features.expect("dialback");
    assert!(offers(&features), "{features}");
}

// rows: H11 H12
#[test]
fn with_acks_switched_off_it_is_neither_offered_nor_enabled() {
    let fixture = Fixture::with(setup().set("s2s.acks", "false"));
    let listener = fixture.listens();
    let mut inbox = fixture.node.inbox();
    let mut theirs = Peer::dials(fixture.node.address());
    let features = theirs.authenticates_here(PEER, INBOX, &fixture.identity);
    assert!(!offers(&features), "{features}");
    sends(&mut inbox, 0..3);
    let mut ours = accepts(&fixture, &listener);
    for number in 0..3 {
        assert_eq!(ours.expects("message").attribute("id"), number.to_string());
    }
}

// rows: H1
#[test]
fn enabling_before_authentication_fails_and_the_stream_goes_on() {
    let fixture = Fixture::with(setup());
    let mut inbox = fixture.node.inbox();
    let mut peer = Peer::dials(fixture.node.address());
    peer.starts_tls(PEER, INBOX, Some(&fixture.identity));
    peer.expects("features");
    peer.sends(ENABLE);
    assert_eq!(failure(&peer.expects("failed")), ("unexpected-request".into(), None));
    peer.sends("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>");
    peer.expects("success");
    peer.restarts();
    peer.sends_header(PEER, INBOX, "");
    peer.expects_header();
    peer.expects("features");
    peer.enables(true);
    peer.sends(&message("counted"));
    inbox.receives_id("counted");
    assert_eq!(peer.asks_count(), 1);
}

// rows: H1
#[test]
fn a_verified_key_counts_as_authentication() {
    let fixture = Fixture::with(setup().auth(Auth::Dialback).set("s2s.dialback_shortcut", "false"));
    let (listener, mut inbox) = (fixture.listens(), fixture.node.inbox());
    let mut peer = Peer::dials(fixture.node.address());
    let id = peer.starts_tls(PEER, INBOX, None).attribute("id").to_owned();
    peer.expects("features");
    peer.sends(ENABLE);
    assert_eq!(failure(&peer.expects("failed")), ("unexpected-request".into(), None));
    peer.sends(&result(PEER, INBOX, "the key"));
    is_called_back(&fixture, &listener, &id);
    assert_eq!(peer.expects("result").attribute("type"), "valid");
    peer.enables(true);
    peer.sends(&message("counted"));
    inbox.receives_id("counted");
    assert_eq!(peer.asks_count(), 1);
}

// rows: H2 H21
#[test]
fn enabling_twice_is_a_stream_error() {
    let fixture = Fixture::with(setup());
    let mut peer = fixture.peer();
    peer.enables(true);
    peer.sends(ENABLE);
    let before = peer.reads_to_closing_tag();
    assert!(before.iter().any(|element| element.name == "error"), "{before:?}");
    peer.finishes();
}

// rows: H12
#[test]
fn the_initiator_enables_once_and_its_stanzas_do_not_wait_for_the_answer() {
    let fixture = Fixture::with(setup());
    let (listener, mut inbox) = (fixture.listens(), fixture.node.inbox());
    sends(&mut inbox, 0..3);
    let mut peer = accepts(&fixture, &listener);
    let enable = peer.expects("enable");
    assert_eq!((enable.namespace.as_str(), enable.attribute("resume")), (SM, "true"), "{enable}");
    assert_eq!(peer.expects_stanzas(3), ["0", "1", "2"], "before `<enabled/>`");
    peer.sends(&format!("<enabled xmlns='{SM}'/>"));
    sends(&mut inbox, 3..5);
    let mut elements = Vec::new();
    while elements.iter().filter(|element: &&Element| element.name == "message").count() < 2 {
        match peer.next(SOON) {
            Ok(Event::Element(element)) => elements.push(element),
            other => panic!("{other:?}"),
        }
    }
    assert!(elements.iter().all(|element| element.name != "enable"), "{elements:?}");
}

// rows: H12
#[test]
fn the_initiator_sends_nothing_of_it_to_a_peer_that_does_not_offer_version_3() {
    for features in ["", "<sm xmlns='urn:xmpp:sm:2'/>", "<sm xmlns='urn:example:sm'/>"] {
        let fixture = Fixture::with(setup().set("s2s.keepalive", "\"1s\""));
        let (listener, mut inbox) = (fixture.listens(), fixture.node.inbox());
        sends(&mut inbox, 0..3);
        let mut peer = listener.accepts();
        peer.answers_to_tls(PEER, &fixture.identity);
        peer.accepts_external_offering(PEER, features);
        for number in 0..3 {
            assert_eq!(peer.expects("message").attribute("id"), number.to_string());
        }
        // The keepalive is white space, which is no event.
        assert_eq!(peer.reads(SOON).expect("a keepalive").trim(), "");
        peer.sends("</stream:stream>");
        assert_eq!(peer.reads_to_closing_tag(), []);
    }
}

// rows: H12
#[test]
fn the_initiator_enables_after_dialback_too() {
    let fixture = Fixture::with(setup().auth(Auth::Dialback));
    let (listener, mut inbox) = (fixture.listens(), fixture.node.inbox());
    sends(&mut inbox, 0..2);
    let mut peer = listener.accepts();
    peer.answers_to_tls(PEER, &fixture.identity);
    peer.sends_features(&format!("{DIALBACK}{OFFER}"));
    peer.expects("result");
    peer.sends(&format!("<db:result from='{PEER}' to='{INBOX}' type='valid'/>"));
    peer.takes_enable("");
    assert_eq!(peer.expects_stanzas(2), ["0", "1"]);
    peer.acknowledges(2);
    sends_nothing(&mut peer);
    let account = fixture.node.settled_account();
    assert_eq!(crate::support::figure(&account, "acknowledged"), 2, "{account}");
}

// rows: H12
#[test]
fn a_peer_that_refuses_gets_the_stanzas_without_acks() {
    let fixture = Fixture::with(setup());
    let (listener, mut inbox) = (fixture.listens(), fixture.node.inbox());
    sends(&mut inbox, 0..2);
    let mut peer = accepts(&fixture, &listener);
    peer.expects_enable();
    peer.failed("", "internal-server-error");
    assert_eq!(peer.expects_stanzas(2), ["0", "1"]);
    sends(&mut inbox, 2..3);
    assert_eq!(peer.expects_stanza().attribute("id"), "2");
    fixture.node.settled_account();
}

/// Whether features offer stream management, in this version only.
#[track_caller]
fn offers(features: &Element) -> bool {
    let offers: Vec<&Element> = features.children().filter(|feature| feature.name == "sm").collect();
    assert!(offers.iter().all(|offer| offer.namespace == SM), "{features}");
    assert!(offers.len() <= 1, "{features}");
    !offers.is_empty()
}

/// Answers `valid` to the node's question about a key, over TLS.
#[track_caller]
fn is_called_back(fixture: &Fixture, listener: &Listener, id: &str) {
    let mut called = listener.accepts();
    called.answers_to_tls(PEER, &fixture.identity);
    called.sends_features(&format!("{DIALBACK}{OFFER}"));
    // A stream that only verifies a key never enables stream management.
    called.expects("verify");
    called.sends(&verified(INBOX, id, "valid"));
    let rest = called.reads_to_closing_tag();
    assert_eq!(rest, []);
    called.finishes();
}
