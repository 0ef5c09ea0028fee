//! The node as receiver: it resumes streams that peers lost, and tells them its count.

use std::thread;
use std::time::Duration;

use super::{INBOX, PEER, arrived, failure, ids, messages, setup};
use crate::dialback::{result, verified};
use crate::support::{Auth, Fixture, Peer, SM, Server, h, message};

// rows: H19 H7
#[test]
fn a_lost_stream_goes_on_with_its_count() {
    let fixture = Fixture::with(setup());
    let mut inbox = fixture.node.inbox();
    let mut peer = fixture.peer();
    let id = peer.enables_resumption();
    let mut sent = 0;
    for _ in 0..5 {
        peer.sends(&messages(sent..sent + 10));
        sent += 10;
        assert_eq!(peer.asks_count() as usize, sent);
        peer.resets();
        peer = fixture.peer();
        let answer = peer.resumes(&id, 0);
        assert_eq!(answer.name, "resumed", "{answer}");
        assert_eq!((answer.attribute("previd"), h(&answer) as usize), (id.as_str(), sent), "{answer}");
    }
    peer.sends(&messages(sent..sent + 10));
    assert_eq!(peer.asks_count() as usize, sent + 10, "the count goes on");
    assert_eq!(arrived(&mut inbox, sent + 10), ids(0..sent + 10));
}

// rows: H19
#[test]
fn a_stream_that_can_no_longer_go_on_has_failed_with_its_count() {
    let fixture = Fixture::with(setup().set("s2s.resume_timeout", "\"1s\""));
    let mut inbox = fixture.node.inbox();
    let mut peer = fixture.peer();
    let id = peer.enables_resumption();
    peer.sends(&messages(0..5));
    assert_eq!(peer.asks_count(), 5);
    peer.resets();
    thread::sleep(Duration::from_secs(3));
    let mut peer = fixture.peer();
    assert_eq!(failure(&peer.resumes(&id, 0)), ("item-not-found".into(), Some(5)));
    // The new stream works.
    peer.enables_resumption();
    peer.sends(&messages(5..7));
    assert_eq!(peer.asks_count(), 2);
    assert_eq!(arrived(&mut inbox, 7), ids(0..7));
}

// rows: H19
#[test]
fn an_unknown_id_fails_without_a_count() {
    let fixture = Fixture::with(setup());
    let mut inbox = fixture.node.inbox();
    let mut peer = fixture.peer();
    assert_eq!(failure(&peer.resumes("never-given", 0)), ("item-not-found".into(), None));
    // A second question on one stream is answered too.
    assert_eq!(failure(&peer.resumes("never-given", 0)).1, None);
    for previd in ["", &"x".repeat(5000)] {
        assert_eq!(failure(&fixture.peer().resumes(previd, 0)).1, None);
    }
    peer.enables_resumption();
    peer.sends(&message("0"));
    assert_eq!(peer.asks_count(), 1);
    inbox.receives_id("0");
}

// rows: H19
#[test]
fn a_stream_that_was_closed_in_order_is_not_resumed() {
    let fixture = Fixture::with(setup());
    let mut peer = fixture.peer();
    let id = peer.enables_resumption();
    peer.sends(&messages(0..2));
    assert_eq!(peer.asks_count(), 2);
    peer.sends("</stream:stream>");
    peer.reads_to_closing_tag();
    peer.expects_end();
    let mut peer = fixture.peer();
    let (condition, _) = failure(&peer.resumes(&id, 0));
    assert_eq!(condition, "item-not-found");
}

// rows: H19
#[test]
fn with_a_resume_timeout_of_zero_no_stream_can_be_resumed() {
    let fixture = Fixture::with(setup().set("s2s.resume_timeout", "\"0s\""));
    let mut peer = fixture.peer();
    let enabled = peer.enables(true);
    assert!(!["true", "1"].contains(&enabled.attribute("resume")), "{enabled}");
    assert_eq!(enabled.attribute("id"), "", "{enabled}");
}

// rows: H19
#[test]
fn a_stream_without_resumption_has_no_id() {
    let fixture = Fixture::with(setup());
    let mut peer = fixture.peer();
    let enabled = peer.enables(false);
    assert!(!["true", "1"].contains(&enabled.attribute("resume")), "{enabled}");
}

// rows: H8
#[test]
fn another_domain_cannot_resume_it_and_the_owner_still_can() {
    let fixture = Fixture::with(setup());
    let mut owner = fixture.peer();
    let id = owner.enables_resumption();
    owner.sends(&messages(0..3));
    assert_eq!(owner.asks_count(), 3);
    let identity = fixture.network.authority.issue(&["other.example"]);
    let steals = || {
        let mut thief = Peer::authenticates(fixture.node.address(), "other.example", INBOX, &identity);
        assert_eq!(failure(&thief.resumes(&id, 0)), ("item-not-found".into(), None));
    };
    // While the stream is open, and when it is lost.
    steals();
    assert_eq!(owner.asks_count(), 3, "the open stream goes on");
    owner.resets();
    steals();
    let mut owner = fixture.peer();
    assert_eq!(h(&owner.resumes(&id, 0)), 3);
}

// rows: H8
#[test]
fn the_same_domain_towards_another_one_of_ours_cannot_resume_it() {
    let fixture = Fixture::with(setup());
    let mut peer = fixture.peer();
    let id = peer.enables_resumption();
    peer.resets();
    let address = fixture.node.address();
    let mut other = Peer::authenticates(address, PEER, "outbox.nuncio.example", &fixture.identity);
    assert_eq!(failure(&other.resumes(&id, 0)), ("item-not-found".into(), None));
}

// rows: H8
#[test]
fn a_weaker_proof_cannot_resume_it() {
    let settings = setup().auth(Auth::Both).set("s2s.dialback_shortcut", "false");
    let fixture = Fixture::with(settings);
    let listener = fixture.listens();
    let mut owner = fixture.peer();
    let id = owner.enables_resumption();
    owner.resets();
    // Dialback over TLS, without a certificate.
    let mut weak = Peer::dials(fixture.node.address());
    let stream = weak.starts_tls(PEER, INBOX, None).attribute("id").to_owned();
    weak.expects("features");
    weak.sends(&result(PEER, INBOX, "the key"));
    let mut called = listener.accepts();
    called.answers_to_tls(PEER, &fixture.identity);
    called.sends_features("<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>");
    called.expects("verify");
    called.sends(&verified(INBOX, &stream, "valid"));
    assert_eq!(weak.expects("result").attribute("type"), "valid");
    assert_eq!(failure(&weak.resumes(&id, 0)), ("item-not-found".into(), None));
    let mut owner = fixture.peer();
    assert_eq!(owner.resumes(&id, 0).name, "resumed");
}

// rows: H21
#[test]
fn enabling_after_resumption_is_a_stream_error() {
    let fixture = Fixture::with(setup());
    let mut peer = fixture.peer();
    let id = peer.enables_resumption();
    peer.resets();
    let mut peer = fixture.peer();
    assert_eq!(peer.resumes(&id, 0).name, "resumed");
    peer.sends(&format!("<enable xmlns='{SM}'/>"));
    let before = peer.reads_to_closing_tag();
    assert!(before.iter().any(|element| element.name == "error"), "{before:?}");
    peer.finishes();
}

// rows: H9
#[test]
fn a_peer_that_counts_stanzas_on_a_stream_without_any_is_told_so() {
    let fixture = Fixture::with(setup());
    let mut peer = fixture.peer();
    let id = peer.enables_resumption();
    peer.resets();
    let mut peer = fixture.peer();
    // The node sends no stanza on a stream that it accepted.
    peer.sends(&format!("<resume xmlns='{SM}' previd='{id}' h='1'/>"));
    let before = peer.reads_to_closing_tag();
    let error = before.iter().find(|element| element.name == "error").expect("a stream error");
    error.expect("undefined-condition");
    let detail = error.expect("handled-count-too-high");
    assert_eq!((detail.attribute("h"), detail.attribute("send-count")), ("1", "0"), "{error}");
    peer.finishes();
}
