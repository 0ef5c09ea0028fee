//! The negotiation from the header to the first stanza (RFC 6120, section 4.3).

use super::{Fixture, INBOX, PEER, QUIET, ask, message};
use crate::support::{Nothing, Peer, Server};

// rows: B14
#[test]
fn no_stanza_leaves_before_the_stream_is_negotiated() {
    let fixture = Fixture::new();
    let listener = fixture.listens();
    let mut inbox = fixture.node.inbox();
    for number in 0..100 {
        inbox.sends_message(PEER, &number.to_string(), "");
    }
    let stalls = |peer: &mut Peer| assert_eq!(peer.next(QUIET), Err(Nothing::Late));

    let mut peer = listener.accepts();
    peer.expects_header();
    stalls(&mut peer);
    peer.sends_header(PEER, INBOX, "id='1'");
    stalls(&mut peer);
    peer.sends_features("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>");
    peer.expects("starttls");
    stalls(&mut peer);
    peer.sends("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    peer.secures_as_server(&fixture.identity);
    peer.expects_header();
    stalls(&mut peer);
    peer.sends_header(PEER, INBOX, "id='2'");
    stalls(&mut peer);
    peer.sends_features(
        "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms>",
    );
    peer.expects("auth");
    stalls(&mut peer);
    peer.sends("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    peer.restarts();
    peer.expects_header();
    stalls(&mut peer);
    peer.sends_header(PEER, INBOX, "id='3'");
    stalls(&mut peer);
    peer.sends_features("");
    for number in 0..100 {
        assert_eq!(peer.expects("message").attribute("id"), number.to_string());
    }
}

// rows: B15
#[test]
fn an_unknown_required_feature_ends_the_stream_with_an_error_answer() {
    let fixture = Fixture::new();
    let listener = fixture.listens();
    let mut inbox = fixture.node.inbox();
    ask(&mut inbox, "1");
    let mut peer = listener.accepts();
    peer.answers_to_tls(PEER, &fixture.identity);
    peer.sends_features("<blessing xmlns='urn:example:blessing'><required/></blessing>");
    peer.expects_error("unsupported-feature");
    let answer = inbox.receives_id("1");
    let error = answer.expect("error");
    assert!(error.child("remote-server-timeout").is_some(), "{answer}");
    assert!(error.expect("text").text().contains("blessing"), "{answer}");
}

// rows: B19
#[test]
fn an_answer_travels_on_its_own_stream() {
    let fixture = Fixture::new();
    let listener = fixture.listens();
    let mut inbox = fixture.node.inbox();
    let mut theirs = fixture.authenticated();
    theirs.sends(&message("asked"));
    inbox.receives_id("asked");
    inbox.sends_message(&format!("romeo@{PEER}"), "answered", "");
    let mut ours = fixture.accepts(&listener);
    assert_eq!(ours.expects("message").attribute("id"), "answered");

    // A second stream of the same pair is equally valid.
    let mut second = fixture.authenticated();
    second.sends(&message("second"));
    inbox.receives_id("second");
    theirs.sends(&message("first"));
    inbox.receives_id("first");
    // Nothing was sent on their stream.
    theirs.says_no_more();
}
