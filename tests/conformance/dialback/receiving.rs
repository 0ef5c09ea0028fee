//! The node as receiving server: it verifies keys with the authoritative server.

use super::{Fixture, answers, publishes, told};
use crate::dialback::{INBOX, OUTBOX, message, receives_nothing_else, result, verified};
use crate::support::{Behaviour, Peer, Server};

// rows: F1 F2 F3
#[test]
fn dialback_is_announced_and_understood_under_any_prefix() {
    let fixture = Fixture::new();
    let mut inbox = fixture.node.inbox();
    let mut peer = Peer::dials(fixture.node.address());
    peer.sends(&format!(
        "<s:stream xmlns='jabber:server' xmlns:back='jabber:server:dialback' version='1.0' \
         xmlns:s='http://etherx.jabber.org/streams' from='peer.example' to='{INBOX}'>"
    ));
    let header = peer.expects_header();
    assert!(header.to_string().contains("xmlns:db='jabber:server:dialback'"), "{header}");
    let features = peer.expects("features");
    let feature = features.expect("dialback");
    assert_eq!(feature.namespace, "urn:xmpp:features:dialback");
    assert_eq!(feature.expect("errors").namespace, "urn:xmpp:features:dialback");

    peer.sends(&result("peer.example", INBOX, "key").replace("db:", "back:"));
    fixture.confirms(INBOX, header.attribute("id"));
    let verdict = peer.expects("result");
    assert!(verdict.to_string().starts_with("<db:result "), "{verdict}");
    assert_eq!(verdict.attribute("type"), "valid");
    peer.sends(&message(INBOX, "heard"));
    inbox.receives_id("heard");
}

// rows: F11
#[test]
fn a_call_back_ends_with_its_answer() {
    let fixture = Fixture::new();
    let (mut dialing, id) = fixture.dials("peer.example");
    dialing.sends(&result("peer.example", INBOX, "key"));
    let (mut called, _) = fixture.called_back();
    called.sends(&verified(INBOX, &id, "valid"));
    called.expects_closed();
    called.expects_end();
    assert_eq!(dialing.expects("result").attribute("type"), "valid");
}

// rows: F12 F17
#[test]
fn every_question_on_a_lost_connection_has_failed() {
    let fixture = Fixture::new();
    let (mut dialing, _) = fixture.dials("peer.example");
    for domain in [INBOX, OUTBOX] {
        dialing.sends(&result("peer.example", domain, "key"));
    }
    let mut called = [fixture.listener.accepts(), fixture.listener.accepts()];
    called.iter_mut().for_each(|peer| {
        answers(peer, "peer.example", "call-back", "verify");
    });
    drop(called);
    let mut failed = [dialing.expects("result"), dialing.expects("result")];
    failed.sort_by_key(|answer| answer.attribute("from").to_owned());
    for (answer, domain) in failed.iter().zip([INBOX, OUTBOX]) {
        assert_eq!((answer.attribute("from"), answer.attribute("to")), (domain, "peer.example"));
        assert_eq!(told(answer), "wait remote-server-timeout");
    }
}

// rows: F14
#[test]
fn no_stanza_is_accepted_before_the_verdict() {
    let fixture = Fixture::new();
    let mut inbox = fixture.node.inbox();
    let (mut dialing, _) = fixture.dials("peer.example");
    dialing.sends(&result("peer.example", INBOX, "key"));
    let (_called, _) = fixture.called_back();
    dialing.sends(&message(INBOX, "early"));
    dialing.expects_error("not-authorized");
    receives_nothing_else(&fixture, &mut inbox);
}

// rows: F14 F21
#[test]
fn other_pairs_and_questions_go_on_while_a_key_is_verified() {
    let fixture = Fixture::new();
    let mut inbox = fixture.node.inbox();
    let other = publishes(&fixture.network, "other.example");
    let (mut dialing, id) = fixture.dials("peer.example");

    dialing.sends(&result("peer.example", INBOX, "key"));
    let (mut called, _) = fixture.called_back();

    // A second sending domain on the same stream authenticates first.
    dialing.sends(&result("other.example", INBOX, "another key"));
    let mut second = other.accepts();
    let question = answers(&mut second, "other.example", "call-back", "verify");
    assert_eq!((question.attribute("id"), question.text().as_str()), (id.as_str(), "another key"));
    dialing.sends(&format!("<db:verify from='peer.example' to='{INBOX}' id='some'>guess</db:verify>"));
    assert_eq!(dialing.expects("verify").attribute("type"), "invalid");
    second.sends(&verified(INBOX, &id, "valid").replace("peer.example", "other.example"));
    let verdict = dialing.expects("result");
    assert_eq!((verdict.attribute("to"), verdict.attribute("type")), ("other.example", "valid"));
    dialing.sends(&message(INBOX, "second").replace("peer.example", "other.example"));
    inbox.receives_id("second");

    called.sends(&verified(INBOX, &id, "valid"));
    let verdict = dialing.expects("result");
    assert_eq!((verdict.attribute("to"), verdict.attribute("type")), ("peer.example", "valid"));
    dialing.sends(&message(INBOX, "first"));
    inbox.receives_id("first");
}

// rows: F15 F20
#[test]
fn an_unknown_target_is_an_error_for_the_pair_and_not_for_the_stream() {
    let fixture = Fixture::new();
    let mut inbox = fixture.node.inbox();
    let (mut dialing, id) = fixture.dials("peer.example");
    dialing.sends(&result("peer.example", "not-here.example", "key"));
    let answer = dialing.expects("result");
    assert_eq!((answer.attribute("from"), answer.attribute("to")), ("not-here.example", "peer.example"));
    assert_eq!(told(&answer), "cancel item-not-found");
    assert_eq!(answer.expect("error").namespace, "jabber:server");

    fixture.proves(&mut dialing, INBOX, &id);
    dialing.sends(&message(INBOX, "heard"));
    inbox.receives_id("heard");
}

// rows: F16
#[test]
fn a_stream_with_only_an_invalid_key_is_closed() {
    let fixture = Fixture::new();
    let mut inbox = fixture.node.inbox();
    let (mut dialing, id) = fixture.dials("peer.example");
    fixture.proves(&mut dialing, INBOX, &id);
    refutes(&fixture, &mut dialing, OUTBOX, &id);
    dialing.sends(&message(INBOX, "still heard"));
    inbox.receives_id("still heard");

    let (mut dialing, id) = fixture.dials("peer.example");
    refutes(&fixture, &mut dialing, OUTBOX, &id);
    dialing.expects_closed();
    dialing.expects_end();
}

/// Sends a key that the authoritative server declares invalid.
#[track_caller]
fn refutes(fixture: &Fixture, dialing: &mut Peer, domain: &str, id: &str) {
    dialing.sends(&result("peer.example", domain, "a guess"));
    let (mut called, _) = fixture.called_back();
    called.sends(&verified(domain, id, "invalid"));
    let verdict = dialing.expects("result");
    assert_eq!((verdict.attribute("from"), verdict.attribute("to")), (domain, "peer.example"));
    assert_eq!(verdict.attribute("type"), "invalid");
}

// rows: F17 F20
#[test]
fn a_failed_verification_is_answered_with_an_error() {
    let fixture = Fixture::new();
    let (mut dialing, id) = fixture.dials("peer.example");

    fixture.network.dns.behaves("broken.example", Behaviour::ServerFailure);
    fixture.network.publish("refusing.example", fixture.network.address());
    for (domain, wanted) in [
        ("missing.example", "cancel remote-server-not-found"),
        ("broken.example", "wait remote-server-timeout"),
        ("refusing.example", "wait remote-server-timeout"),
    ] {
        dialing.sends(&result(domain, INBOX, "key"));
        fails(&mut dialing, domain, wanted);
    }

    // The authoritative server answers another request.
    let unknown = "<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>";
    let error = |condition: &str| {
        verified(INBOX, &id, "error").replace(
            "/>",
            &format!(
                "><error type='cancel'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:verify>"
            ),
        )
    };
    for (said, wanted) in [
        (error("item-not-found"), "cancel remote-server-not-found"),
        (error("internal-server-error"), "wait remote-server-timeout"),
        (unknown.to_owned(), "cancel remote-server-not-found"),
        (String::new(), "wait remote-server-timeout"),
    ] {
        dialing.sends(&result("peer.example", INBOX, "key"));
        let (mut called, _) = fixture.called_back();
        called.sends(&said);
        if said.is_empty() {
            drop(called);
        }
        fails(&mut dialing, "peer.example", wanted);
    }

    fixture.proves(&mut dialing, INBOX, &id);
}

#[track_caller]
fn fails(dialing: &mut Peer, domain: &str, wanted: &str) {
    let answer = dialing.expects("result");
    assert_eq!((answer.attribute("from"), answer.attribute("to")), (INBOX, domain));
    assert_eq!(told(&answer), wanted, "{answer}");
    assert_eq!(answer.expect("error").namespace, "jabber:server");
}
