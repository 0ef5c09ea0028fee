//! The negotiation of STARTTLS, and its failures (RFC 6120, section 5.4).

use super::{DIALBACK, EXTERNAL, Fixture, INBOX, PEER, PROCEED, QUIET, STARTTLS, names, question};
use crate::support::{Auth, Certificate, Nothing, Peer, SOON, Server, Setup, Tls, offers_external};

// rows: C1 C2
#[test]
fn starttls_is_offered_and_where_it_is_required_nothing_beside_it() {
    let fixture = Fixture::with(Setup::of("nuncio.example"));
    let (_peer, features) = fixture.opens();
    assert_eq!(names(&features), ["starttls"], "{features}");
    assert!(features.expect("starttls").child("required").is_some(), "{features}");

    let fixture = Fixture::with(Setup::of("nuncio.example").tls(Tls::Optional));
    let (_peer, features) = fixture.opens();
    assert!(features.expect("starttls").child("required").is_none(), "{features}");

    let fixture = Fixture::with(Setup::of("nuncio.example").tls(Tls::Disabled).auth(Auth::Dialback));
    let (_peer, features) = fixture.opens();
    assert!(features.child("starttls").is_none(), "{features}");
}

// rows: C2
#[test]
fn a_dialback_key_in_clear_text_is_refused_where_tls_is_required() {
    let fixture = Fixture::with(Setup::of("nuncio.example"));
    let listener = fixture.listens();
    let (mut peer, _) = fixture.opens();
    peer.sends(&format!("<db:result from='{PEER}' to='{INBOX}'>key</db:result>"));
    let answer = peer.expects("result");
    assert_eq!(answer.attribute("type"), "error", "{answer}");
    assert!(answer.expect("error").child("policy-violation").is_some(), "{answer}");
    // Authentication in clear text is refused too.
    peer.sends("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>");
    peer.expects("failure");
    assert!(listener.accepted().is_none(), "the peer was asked about the key");
}

// rows: C3
#[test]
fn starttls_at_the_wrong_time_or_malformed_fails_and_closes() {
    let refuses = |mut peer: Peer, command: &str| {
        peer.sends(command);
        let failure = peer.expects("failure");
        assert_eq!(failure.namespace, "urn:ietf:params:xml:ns:xmpp-tls", "{failure}");
        peer.expects_closed();
        peer.expects_end();
    };
    let fixture = Fixture::new();
    let mut twice = Peer::dials(fixture.node.address());
    twice.starts_tls(PEER, INBOX, Some(&fixture.identity));
    twice.expects("features");
    refuses(twice, STARTTLS);
    refuses(fixture.opens().0, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><now/></starttls>");

    let without = Setup::of("nuncio.example").certificate(Certificate::Missing).tls(Tls::Optional);
    let fixture = Fixture::with(without);
    let (peer, features) = fixture.opens();
    assert!(features.child("starttls").is_none(), "{features}");
    refuses(peer, STARTTLS);
}

// rows: C4
#[test]
fn tls_begins_right_behind_proceed() {
    let fixture = Fixture::new();
    let (mut peer, _) = fixture.opens();
    peer.sends(STARTTLS);
    let mut answer = String::new();
    while !answer.contains('>') {
        answer.push_str(&peer.reads(SOON).expect("an answer"));
    }
    assert!(answer.starts_with("<proceed ") && answer.ends_with('>'), "{answer:?}");
    assert_eq!(answer.matches('>').count(), 1, "{answer:?}");
    assert_eq!(peer.reads(QUIET), Err(Nothing::Late));
    // Other data would break the handshake.
    peer.secures_as_client(Some(&fixture.identity), INBOX);

    let listener = fixture.listens();
    let mut inbox = fixture.node.inbox();
    inbox.sends_message(PEER, "1", "");
    let mut peer = fixture.asked_for_tls(&listener);
    peer.sends(PROCEED);
    let hello = peer.reads(SOON).expect("a handshake");
    assert!(hello.starts_with("\u{16}\u{3}"), "{hello:?}");
}

// rows: C5
#[test]
fn data_sent_along_with_starttls_is_discarded() {
    let fixture = Fixture::new();
    let mut inbox = fixture.node.inbox();
    let (mut peer, _) = fixture.opens();
    let injected = "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
                    version='1.0' from='evil.example' to='inbox.nuncio.example'>";
    let message = |id: &str| format!("<message from='a@{PEER}' to='b@{INBOX}' id='{id}'/>");
    peer.sends(&format!("{STARTTLS}{}{injected}{}", message("early"), message("early")));
    peer.expects("proceed");
    peer.secures_as_client(Some(&fixture.identity), INBOX);
    // A header sent in clear text is not answered.
    assert_eq!(peer.next(QUIET), Err(Nothing::Late));
    peer.sends_header(PEER, INBOX, "");
    assert_eq!(peer.expects_header().attribute("to"), PEER);
    peer.proves_by_external(PEER, INBOX, "");
    peer.sends(&message("late"));
    let first = inbox.next(SOON).expect("a stanza");
    assert_eq!(first.attribute("id"), "late");
}

// rows: C5
#[test]
fn data_sent_along_with_proceed_ends_the_attempt() {
    let fixture = Fixture::new();
    let listener = fixture.listens();
    let mut inbox = fixture.node.inbox();
    inbox.sends(&question("1"));
    let mut peer = fixture.asked_for_tls(&listener);
    peer.sends(&format!("{PROCEED}<stream:features>{EXTERNAL}</stream:features>"));
    peer.expects_end();
    let answer = inbox.receives_id("1");
    assert!(answer.expect("error").child("remote-server-timeout").is_some(), "{answer}");
}

// rows: C6
#[test]
fn a_broken_handshake_ends_the_connection_without_a_closing_tag() {
    let fixture = Fixture::new();
    let mut peer = fixture.may_proceed();
    peer.sends("this is no handshake, whoever reads it\r\n\r\n");
    assert!(!rest(&mut peer).contains("stream"), "a closing tag");

    let listener = fixture.listens();
    let mut inbox = fixture.node.inbox();
    inbox.sends(&question("1"));
    let mut peer = fixture.asked_for_tls(&listener);
    peer.sends(PROCEED);
    peer.reads(SOON).expect("a handshake");
    peer.sends("this is no handshake, whoever reads it\r\n\r\n");
    assert!(!rest(&mut peer).contains("stream"), "a closing tag");
    let answer = inbox.receives_id("1");
    assert!(answer.expect("error").expect("text").text().contains("TLS"), "{answer}");
}

// rows: C7
#[test]
fn inside_tls_the_stream_restarts_with_the_usable_mechanisms() {
    let fixture = Fixture::new();
    let mut peer = Peer::dials(fixture.node.address());
    peer.sends_header(PEER, INBOX, "");
    let before = peer.expects_header().attribute("id").to_owned();
    peer.expects("features");
    peer.asks_for_tls();
    peer.secures_as_client(Some(&fixture.identity), INBOX);
    peer.sends_header(PEER, INBOX, "");
    let header = peer.expects_header();
    assert!(!["", &before].contains(&header.attribute("id")), "{header}");
    let features = peer.expects("features");
    assert!(features.child("starttls").is_none(), "{features}");
    assert!(offers_external(&features), "{features}");
}

// rows: C11
#[test]
fn tls_is_asked_for_also_where_it_is_not_offered() {
    let fixture = Fixture::new();
    let listener = fixture.listens();
    let mut inbox = fixture.node.inbox();
    // An attacker removed the offer.
    inbox.sends(&question("1"));
    let mut peer = listener.accepts();
    peer.expects_header();
    peer.sends_header(PEER, INBOX, "id='1'");
    peer.sends_features(DIALBACK);
    peer.expects("starttls");
    peer.sends(PROCEED);
    peer.secures_as_server(&fixture.identity);
    peer.expects_header();
    peer.sends_header(PEER, INBOX, "id='2'");
    peer.accepts_external(PEER);
    assert_eq!(peer.expects("iq").attribute("id"), "1");
    peer.sends("</stream:stream>");
    peer.expects_closed();
    drop(peer);

    // Without TLS nothing is sent in clear text.
    inbox.sends(&question("2"));
    let mut peer = listener.accepts();
    peer.expects_header();
    peer.sends_header(PEER, INBOX, "id='1'");
    peer.sends_features(DIALBACK);
    peer.expects("starttls");
    peer.sends("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>");
    peer.waits_for_the_end();
    let answer = inbox.receives_id("2");
    assert!(answer.expect("error").expect("text").text().contains("TLS"), "{answer}");
}

// rows: C14
#[test]
fn the_strongest_allowed_protection_is_used() {
    let fixture = Fixture::with(Setup::of("nuncio.example").tls(Tls::Optional));
    let mut inbox = fixture.node.inbox();
    let listener = |domain: &str| {
        let address = fixture.network.address();
        fixture.network.publish(domain, address);
        crate::support::Listener::at(address)
    };
    let offers = format!("{STARTTLS}{DIALBACK}");

    // TLS and EXTERNAL, although weaker ways are offered too.
    let first = listener("first.example");
    let good = fixture.network.authority.issue(&["first.example"]);
    inbox.sends_message("first.example", "1", "");
    let mut peer = first.accepts();
    peer.expects_header();
    peer.sends_header("first.example", INBOX, "id='1'");
    peer.sends_features(&offers);
    peer.expects("starttls");
    peer.sends(PROCEED);
    peer.secures_as_server(&good);
    peer.expects_header();
    peer.sends_header("first.example", INBOX, "id='2'");
    peer.sends_features(&format!("{DIALBACK}{EXTERNAL}"));
    peer.expects("auth");

    // TLS with an invalid certificate: dialback inside TLS.
    let second = listener("second.example");
    let bad = fixture.network.authority.certificate(&["second.example"]).self_signed().issue();
    inbox.sends_message("second.example", "2", "");
    let mut peer = second.accepts();
    peer.expects_header();
    peer.sends_header("second.example", INBOX, "id='1'");
    peer.sends_features(&offers);
    peer.expects("starttls");
    peer.sends(PROCEED);
    peer.secures_as_server(&bad);
    peer.expects_header();
    peer.sends_header("second.example", INBOX, "id='2'");
    peer.sends_features(DIALBACK);
    peer.expects("result");

    // No TLS.
    let third = listener("third.example");
    inbox.sends_message("third.example", "3", "");
    let mut peer = third.accepts();
    peer.expects_header();
    peer.sends_header("third.example", INBOX, "id='1'");
    peer.sends_features(DIALBACK);
    peer.expects("result");
}

/// All data until the connection ends.
fn rest(peer: &mut Peer) -> String {
    let mut heard = String::new();
    loop {
        match peer.reads(SOON) {
            Ok(more) => heard.push_str(&more),
            Err(Nothing::Ended) => return heard,
            Err(Nothing::Late) => panic!("the connection stays"),
        }
    }
}
