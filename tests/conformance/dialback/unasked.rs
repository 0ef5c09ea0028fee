//! Unsolicited dialback answers are ignored and logged once.

use super::{Stage, answers, lines_with};
use crate::dialback::{INBOX, OUTBOX, VALID, hears_nothing, message, result, verified};
use crate::support::{Peer, Server};

// rows: F6 F26
#[test]
fn on_a_stream_that_the_peer_opened_no_answer_is_believed() {
    let stage = Stage::set();
    let mut inbox = stage.node.inbox();
    let (mut dialling, id) = stage.dials("peer.example");
    for _ in 0..10 {
        dialling.sends(VALID);
        dialling.sends(&verified(INBOX, &id, "valid"));
    }
    // The negotiation continues.
    dialling.sends(&format!("<db:verify from='peer.example' to='{INBOX}' id='some'>guess</db:verify>"));
    assert_eq!(dialling.expects("verify").attribute("type"), "invalid");
    dialling.sends(&message(INBOX, "unproved"));
    dialling.expects_error("not-authorized");
    assert!(stage.listener.accepted().is_none(), "the peer was called back for nothing");
    assert_eq!(lines_with(&stage.node, "an answer to a dialback question"), 1);
    hears_nothing(&stage, &mut inbox);
}

// rows: F6
#[test]
fn on_a_stream_of_the_node_only_the_answer_for_its_pair_is_believed() {
    let stage = Stage::set();
    let mut inbox = stage.node.inbox();
    inbox.sends_message("romeo@peer.example", "out", "");
    let mut peer = stage.listener.accepts();
    stage.is_asked(&mut peer, "the-stream");
    peer.sends(&VALID.replace(INBOX, OUTBOX));
    peer.sends(&VALID.replace("peer.example", "other.example"));
    peer.sends(&format!("<db:result from='{INBOX}' to='peer.example' type='valid'/>"));
    peer.sends(&verified(INBOX, "the-stream", "valid"));
    // If one were accepted, the stanza would arrive before the answer to the header of another stream.
    let (mut dialling, _) = stage.dials("peer.example");
    assert!(matches!(peer.next(std::time::Duration::from_millis(300)), Err(crate::support::Nothing::Late)));
    peer.sends(VALID);
    assert_eq!(peer.expects("message").attribute("id"), "out");
    assert_eq!(lines_with(&stage.node, "ignored an unsolicited dialback answer"), 1);
    // Stanzas from the peer for that pair are not accepted either.
    dialling.sends(&message(INBOX, "unproved"));
    dialling.expects_error("not-authorized");
}

// rows: F6 F13
#[test]
fn on_a_call_back_only_the_answer_to_the_question_is_believed() {
    let stage = Stage::set();
    let mut inbox = stage.node.inbox();
    let (mut dialling, id) = stage.dials("peer.example");
    dialling.sends(&result("peer.example", INBOX, "a guess"));
    let (mut called, _) = stage.called_back();
    called.sends(&verified(INBOX, "another-id", "valid"));
    called.sends(&verified(OUTBOX, &id, "valid"));
    called.sends(&verified(INBOX, &id, "valid").replace("peer.example", "other.example"));
    called.sends(&verified(INBOX, &id, "maybe"));
    called.sends(VALID);
    called.sends(&verified(INBOX, &id, "invalid"));
    assert_eq!(dialling.expects("result").attribute("type"), "invalid");
    dialling.expects_closed();
    assert_eq!(lines_with(&stage.node, "ignored an unsolicited dialback answer"), 1);
    hears_nothing(&stage, &mut inbox);
}

// rows: F13
#[test]
fn the_answer_on_another_stream_is_not_believed() {
    let stage = Stage::set();
    let mut inbox = stage.node.inbox();
    let (mut dialling, id) = stage.dials("peer.example");
    dialling.sends(&result("peer.example", INBOX, "a guess"));
    let (mut called, _) = stage.called_back();
    // The stream under verification answers the request about itself; so does a third stream.
    dialling.sends(&verified(INBOX, &id, "valid"));
    let (mut third, _) = stage.dials("peer.example");
    third.sends(&verified(INBOX, &id, "valid"));
    third.sends(&format!("<db:verify from='peer.example' to='{INBOX}' id='some'>guess</db:verify>"));
    third.expects("verify");
    called.sends(&verified(INBOX, &id, "invalid"));
    assert_eq!(dialling.expects("result").attribute("type"), "invalid");
    hears_nothing(&stage, &mut inbox);
}

// rows: F13 F19
#[test]
fn a_key_is_good_for_one_stream_only() {
    let stage = Stage::set();
    let (mut first, id) = stage.dials("peer.example");
    stage.proves(&mut first, INBOX, &id);

    // A replayed key is verified with the id of the new stream.
    let (mut second, other_id) = stage.dials("peer.example");
    assert_ne!(id, other_id);
    second.sends(&result("peer.example", INBOX, "the key"));
    let (mut called, question) = stage.called_back();
    assert_eq!(question.attribute("id"), other_id);
}

#[test]
fn a_flood_of_answers_ends_the_stream_and_fills_no_log() {
    let stage = Stage::set();
    let mut inbox = stage.node.inbox();
    inbox.sends_message("romeo@peer.example", "out", "");
    let mut peer = stage.listener.accepts();
    answers(&mut peer, "peer.example", "the-stream", "result");
    peer.sends(VALID);
    peer.expects("message");
    peer.sends(&VALID.repeat(200));
    peer.expects_error("policy-violation");
    assert_eq!(lines_with(&stage.node, "ignored an unsolicited dialback answer"), 1);
}

#[test]
fn a_flood_on_our_own_stream_is_dropped_and_logged_once() {
    let stage = Stage::set();
    let mut inbox = stage.node.inbox();
    inbox.sends_message("romeo@peer.example", "out", "");
    let mut peer = stage.listener.accepts();
    answers(&mut peer, "peer.example", "the-stream", "result");
    peer.sends(VALID);
    peer.expects("message");
    peer.sends(&message(INBOX, "backwards").repeat(200));
    stage.node.eventually_logs(&["dropped: the peer sent", "peer.example"]);
    inbox.sends_message("romeo@peer.example", "again", "");
    assert_eq!(peer.expects("message").attribute("id"), "again");
    assert_eq!(lines_with(&stage.node, "dropped: the peer sent"), 1);
    hears_nothing(&stage, &mut inbox);
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
