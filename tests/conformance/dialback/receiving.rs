//! The node as receiving server: it verifies keys with the authoritative server.

use super::{Stage, answers, publishes, told};
use crate::dialback::{INBOX, OUTBOX, hears_nothing, message, result, verified};
use crate::support::{Behaviour, Peer, Server};

// rows: F1 F2 F3
#[test]
fn dialback_is_announced_and_understood_under_any_prefix() {
    let stage = Stage::set();
    let mut inbox = stage.node.inbox();
    let mut peer = Peer::dials(stage.node.address());
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
    stage.confirms(INBOX, header.attribute("id"));
    let verdict = peer.expects("result");
    assert!(verdict.to_string().starts_with("<db:result "), "{verdict}");
    assert_eq!(verdict.attribute("type"), "valid");
    peer.sends(&message(INBOX, "heard"));
    inbox.receives_id("heard");
}

// rows: F11
#[test]
fn a_call_back_ends_with_its_answer() {
    let stage = Stage::set();
    let (mut dialling, id) = stage.dials("peer.example");
    dialling.sends(&result("peer.example", INBOX, "key"));
    let mut called = stage.listener.accepts();
    stage.is_called_back(&mut called);
    called.sends(&verified(INBOX, &id, "valid"));
    called.expects_closed();
    called.expects_end();
    assert_eq!(dialling.expects("result").attribute("type"), "valid");
}

// rows: F12 F17
#[test]
fn every_question_on_a_lost_connection_has_failed() {
    let stage = Stage::set();
    let (mut dialling, _) = stage.dials("peer.example");
    for domain in [INBOX, OUTBOX] {
        dialling.sends(&result("peer.example", domain, "key"));
    }
    let mut called = [stage.listener.accepts(), stage.listener.accepts()];
    called.iter_mut().for_each(|peer| {
        answers(peer, "peer.example", "call-back", "verify");
    });
    drop(called);
    let mut failed = [dialling.expects("result"), dialling.expects("result")];
    failed.sort_by_key(|answer| answer.attribute("from").to_owned());
    for (answer, domain) in failed.iter().zip([INBOX, OUTBOX]) {
        assert_eq!((answer.attribute("from"), answer.attribute("to")), (domain, "peer.example"));
        assert_eq!(told(answer), "wait remote-server-timeout");
    }
}

// rows: F14
#[test]
fn no_stanza_is_accepted_before_the_verdict() {
    let stage = Stage::set();
    let mut inbox = stage.node.inbox();
    let (mut dialling, _) = stage.dials("peer.example");
    dialling.sends(&result("peer.example", INBOX, "key"));
    let mut called = stage.listener.accepts();
    stage.is_called_back(&mut called);
    dialling.sends(&message(INBOX, "early"));
    dialling.expects_error("not-authorized");
    hears_nothing(&stage, &mut inbox);
}

// rows: F14 F21
#[test]
fn other_pairs_and_questions_go_on_while_a_key_is_verified() {
    let stage = Stage::set();
    let mut inbox = stage.node.inbox();
    let other = publishes(&stage.network, "other.example");
    let (mut dialling, id) = stage.dials("peer.example");

    dialling.sends(&result("peer.example", INBOX, "key"));
    let mut called = stage.listener.accepts();
    stage.is_called_back(&mut called);

    // A second sending domain on the same stream authenticates first.
    dialling.sends(&result("other.example", INBOX, "another key"));
    let mut second = other.accepts();
    let question = answers(&mut second, "other.example", "call-back", "verify");
    assert_eq!((question.attribute("id"), question.text().as_str()), (id.as_str(), "another key"));
    dialling.sends(&format!("<db:verify from='peer.example' to='{INBOX}' id='some'>guess</db:verify>"));
    assert_eq!(dialling.expects("verify").attribute("type"), "invalid");
    second.sends(&verified(INBOX, &id, "valid").replace("peer.example", "other.example"));
    let verdict = dialling.expects("result");
    assert_eq!((verdict.attribute("to"), verdict.attribute("type")), ("other.example", "valid"));
    dialling.sends(&message(INBOX, "second").replace("peer.example", "other.example"));
    inbox.receives_id("second");

    called.sends(&verified(INBOX, &id, "valid"));
    let verdict = dialling.expects("result");
    assert_eq!((verdict.attribute("to"), verdict.attribute("type")), ("peer.example", "valid"));
    dialling.sends(&message(INBOX, "first"));
    inbox.receives_id("first");
}

// rows: F15 F20
#[test]
fn an_unknown_target_is_an_error_for_the_pair_and_not_for_the_stream() {
    let stage = Stage::set();
    let mut inbox = stage.node.inbox();
    let (mut dialling, id) = stage.dials("peer.example");
    dialling.sends(&result("peer.example", "not-here.example", "key"));
    let answer = dialling.expects("result");
    assert_eq!((answer.attribute("from"), answer.attribute("to")), ("not-here.example", "peer.example"));
    assert_eq!(told(&answer), "cancel item-not-found");
    assert_eq!(answer.expect("error").namespace, "jabber:server");

    dialling.sends(&result("peer.example", INBOX, "key"));
    stage.confirms(INBOX, &id);
    assert_eq!(dialling.expects("result").attribute("type"), "valid");
    dialling.sends(&message(INBOX, "heard"));
    inbox.receives_id("heard");
}

// rows: F16
#[test]
fn a_stream_with_only_an_invalid_key_is_closed() {
    let stage = Stage::set();
    let mut inbox = stage.node.inbox();
    let (mut dialling, id) = stage.dials("peer.example");
    dialling.sends(&result("peer.example", INBOX, "key"));
    stage.confirms(INBOX, &id);
    assert_eq!(dialling.expects("result").attribute("type"), "valid");
    refutes(&stage, &mut dialling, OUTBOX, &id);
    dialling.sends(&message(INBOX, "still heard"));
    inbox.receives_id("still heard");

    let (mut dialling, id) = stage.dials("peer.example");
    refutes(&stage, &mut dialling, OUTBOX, &id);
    dialling.expects_closed();
    dialling.expects_end();
}

/// Sends a key that the authoritative server declares invalid.
#[track_caller]
fn refutes(stage: &Stage, dialling: &mut Peer, domain: &str, id: &str) {
    dialling.sends(&result("peer.example", domain, "a guess"));
    let mut called = stage.listener.accepts();
    stage.is_called_back(&mut called);
    called.sends(&verified(domain, id, "invalid"));
    let verdict = dialling.expects("result");
    assert_eq!((verdict.attribute("from"), verdict.attribute("to")), (domain, "peer.example"));
    assert_eq!(verdict.attribute("type"), "invalid");
}

// rows: F17 F20
#[test]
fn a_failed_verification_is_answered_with_an_error() {
    let stage = Stage::set();
    let (mut dialling, id) = stage.dials("peer.example");

    stage.network.dns.behaves("broken.example", Behaviour::ServerFailure);
    stage.network.publish("refusing.example", stage.network.address());
    for (domain, wanted) in [
        ("missing.example", "cancel remote-server-not-found"),
        ("broken.example", "wait remote-server-timeout"),
        ("refusing.example", "wait remote-server-timeout"),
    ] {
        dialling.sends(&result(domain, INBOX, "key"));
        fails(&mut dialling, domain, wanted);
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
        dialling.sends(&result("peer.example", INBOX, "key"));
        let mut called = stage.listener.accepts();
        stage.is_called_back(&mut called);
        called.sends(&said);
        if said.is_empty() {
            drop(called);
        }
        fails(&mut dialling, "peer.example", wanted);
    }

    dialling.sends(&result("peer.example", INBOX, "key"));
    stage.confirms(INBOX, &id);
    assert_eq!(dialling.expects("result").attribute("type"), "valid");
}

#[track_caller]
fn fails(dialling: &mut Peer, domain: &str, wanted: &str) {
    let answer = dialling.expects("result");
    assert_eq!((answer.attribute("from"), answer.attribute("to")), (INBOX, domain));
    assert_eq!(told(&answer), wanted, "{answer}");
    assert_eq!(answer.expect("error").namespace, "jabber:server");
}
