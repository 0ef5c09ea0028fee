//! Unsolicited dialback answers are ignored and logged once.

use super::{Fixture, answers, lines_with};
use crate::dialback::{INBOX, OUTBOX, VALID, message, receives_nothing_else, result, verified};
use crate::support::{Peer, Server};

// rows: F6 F26
#[test]
fn on_a_stream_that_the_peer_opened_no_answer_is_believed() {
    let fixture = Fixture::new();
    let mut inbox = fixture.node.inbox();
    let (mut dialing, id) = fixture.dials("peer.example");
    for _ in 0..10 {
        dialing.sends(VALID);
        dialing.sends(&verified(INBOX, &id, "valid"));
    }
    // The negotiation continues.
    dialing.sends(&format!("<db:verify from='peer.example' to='{INBOX}' id='some'>guess</db:verify>"));
    assert_eq!(dialing.expects("verify").attribute("type"), "invalid");
    dialing.sends(&message(INBOX, "unproved"));
    dialing.expects_error("not-authorized");
    assert!(fixture.listener.accepted().is_none(), "the peer was called back for nothing");
    assert_eq!(lines_with(&fixture.node, "an answer to a dialback question"), 1);
    receives_nothing_else(&fixture, &mut inbox);
}

// rows: F6
#[test]
fn on_a_stream_of_the_node_only_the_answer_for_its_pair_is_believed() {
    let fixture = Fixture::new();
    let mut inbox = fixture.node.inbox();
    inbox.sends_message("romeo@peer.example", "out", "");
    let mut peer = fixture.listener.accepts();
    fixture.is_asked(&mut peer, "the-stream");
    peer.sends(&VALID.replace(INBOX, OUTBOX));
    peer.sends(&VALID.replace("peer.example", "other.example"));
    peer.sends(&format!("<db:result from='{INBOX}' to='peer.example' type='valid'/>"));
    peer.sends(&verified(INBOX, "the-stream", "valid"));
    // If one were accepted, the stanza would arrive before the answer to the header of another stream.
    let (mut dialing, _) = fixture.dials("peer.example");
    assert!(matches!(peer.next(std::time::Duration::from_millis(300)), Err(crate::support::Nothing::Late)));
    peer.sends(VALID);
    assert_eq!(peer.expects("message").attribute("id"), "out");
    assert_eq!(lines_with(&fixture.node, "ignored an unsolicited dialback answer"), 1);
    // Stanzas from the peer for that pair are not accepted either.
    dialing.sends(&message(INBOX, "unproved"));
    dialing.expects_error("not-authorized");
}

// rows: F6 F13
#[test]
fn on_a_call_back_only_the_answer_to_the_question_is_believed() {
    let fixture = Fixture::new();
    let mut inbox = fixture.node.inbox();
    let (mut dialing, id) = fixture.dials("peer.example");
    dialing.sends(&result("peer.example", INBOX, "a guess"));
    let (mut called, _) = fixture.called_back();
    called.sends(&verified(INBOX, "another-id", "valid"));
    called.sends(&verified(OUTBOX, &id, "valid"));
    called.sends(&verified(INBOX, &id, "valid").replace("peer.example", "other.example"));
    called.sends(&verified(INBOX, &id, "maybe"));
    called.sends(VALID);
    called.sends(&verified(INBOX, &id, "invalid"));
    assert_eq!(dialing.expects("result").attribute("type"), "invalid");
    dialing.expects_closed();
    assert_eq!(lines_with(&fixture.node, "ignored an unsolicited dialback answer"), 1);
    receives_nothing_else(&fixture, &mut inbox);
}

// rows: F13
#[test]
fn the_answer_on_another_stream_is_not_believed() {
    let fixture = Fixture::new();
    let mut inbox = fixture.node.inbox();
    let (mut dialing, id) = fixture.dials("peer.example");
    dialing.sends(&result("peer.example", INBOX, "a guess"));
    let (mut called, _) = fixture.called_back();
    // The stream under verification answers the request about itself; so does a third stream.
    dialing.sends(&verified(INBOX, &id, "valid"));
    let (mut third, _) = fixture.dials("peer.example");
    third.sends(&verified(INBOX, &id, "valid"));
    third.sends(&format!("<db:verify from='peer.example' to='{INBOX}' id='some'>guess</db:verify>"));
    third.expects("verify");
    called.sends(&verified(INBOX, &id, "invalid"));
    assert_eq!(dialing.expects("result").attribute("type"), "invalid");
    receives_nothing_else(&fixture, &mut inbox);
}

// rows: F13 F19
#[test]
fn a_key_is_good_for_one_stream_only() {
    let fixture = Fixture::new();
    let (mut first, id) = fixture.dials("peer.example");
    fixture.proves(&mut first, INBOX, &id);

    // A replayed key is verified with the id of the new stream.
    let (mut second, other_id) = fixture.dials("peer.example");
    assert_ne!(id, other_id);
    second.sends(&result("peer.example", INBOX, "the key"));
    let (_called, question) = fixture.called_back();
    assert_eq!(question.attribute("id"), other_id);
}

#[test]
fn a_flood_of_answers_ends_the_stream_and_fills_no_log() {
    let fixture = Fixture::new();
    let mut inbox = fixture.node.inbox();
    inbox.sends_message("romeo@peer.example", "out", "");
    let mut peer = fixture.listener.accepts();
    answers(&mut peer, "peer.example", "the-stream", "result");
    peer.sends(VALID);
    peer.expects("message");
    peer.sends(&VALID.repeat(200));
    peer.expects_error("policy-violation");
    assert_eq!(lines_with(&fixture.node, "ignored an unsolicited dialback answer"), 1);
}

#[test]
fn a_flood_on_our_own_stream_is_dropped_and_logged_once() {
    let fixture = Fixture::new();
    let mut inbox = fixture.node.inbox();
    inbox.sends_message("romeo@peer.example", "out", "");
    let mut peer = fixture.listener.accepts();
    answers(&mut peer, "peer.example", "the-stream", "result");
    peer.sends(VALID);
    peer.expects("message");
    peer.sends(&message(INBOX, "backwards").repeat(200));
    fixture.node.eventually_logs(&["dropped: the peer sent", "peer.example"]);
    inbox.sends_message("romeo@peer.example", "again", "");
    assert_eq!(peer.expects("message").attribute("id"), "again");
    assert_eq!(lines_with(&fixture.node, "dropped: the peer sent"), 1);
    receives_nothing_else(&fixture, &mut inbox);
}

#[test]
fn bytes_after_starttls_are_discarded_and_reported_once() {
    let network = crate::support::Network::new();
    let node = crate::support::Node::start(&network, crate::support::Setup::of("nuncio.example"));
    let mut peer = Peer::dials(node.address());
    peer.sends_header("peer.example", INBOX, "");
    peer.expects_header();
    peer.expects("features");
    let early = message(INBOX, "early").repeat(20);
    peer.sends(&format!("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>{early}"));
    peer.expects("proceed");
    peer.secures_as_client(None, INBOX);
    peer.sends_header("peer.example", INBOX, "");
    peer.expects_header();
    peer.expects("features");
    assert_eq!(lines_with(&node, "bytes after <starttls/> were discarded"), 1);
}
