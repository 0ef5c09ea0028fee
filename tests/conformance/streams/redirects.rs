//! `see-other-host` (RFC 6120, section 4.9.3.19).

use super::{Fixture, INBOX, PEER, ask, setup};
use crate::support::{Listener, Peer, Server, Tls};

// rows: B33
#[test]
fn a_redirect_inside_tls_is_followed_with_the_same_name_and_policy() {
    let fixture = Fixture::new();
    let listener = fixture.listens();
    let mut inbox = fixture.node.inbox();
    // To an address, and to a name with a port.
    let (second, third) = (fixture.network.address(), fixture.network.address());
    let (second_listener, third_listener) = (Listener::at(second), Listener::at_port(third, 0));
    fixture.network.dns.a("third.example", third);

    inbox.sends_message(PEER, "1", "");
    let mut peer = listener.accepts();
    peer.answers_to_tls(PEER, &fixture.identity);
    redirects(&mut peer, &second.to_string());
    let mut peer = second_listener.accepts();
    peer.answers_to_tls(PEER, &fixture.identity);
    redirects(&mut peer, &format!("third.example:{}", third_listener.port()));
    let mut peer = third_listener.accepts();
    let header = peer.expects_header();
    assert_eq!((header.attribute("to"), header.attribute("from")), (PEER, INBOX), "{header}");
    peer.sends_header(PEER, INBOX, "id='1'");
    peer.sends_features("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    peer.expects("starttls");
    peer.sends("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    peer.secures_as_server(&fixture.identity);
    peer.expects_header();
    peer.sends_header(PEER, INBOX, "id='2'");
    peer.accepts_external(PEER);
    assert_eq!(peer.expects("message").attribute("id"), "1");
    let asked = fixture.network.dns.questions();
    assert!(asked.iter().all(|question| !question.contains("_tcp.third.example")), "{asked:?}");
}

// rows: B33
#[test]
fn the_other_host_must_prove_the_same_domain() {
    let fixture = Fixture::new();
    let listener = fixture.listens();
    let mut inbox = fixture.node.inbox();
    let other = fixture.network.address();
    let other_listener = Listener::at(other);
    // It authenticates as another domain than the wanted one.
    let wrong = fixture.network.authority.issue(&["other.example"]);
    fixture.network.dns.a("other.example", other);

    ask(&mut inbox, "1");
    let mut peer = listener.accepts();
    peer.answers_to_tls(PEER, &fixture.identity);
    redirects(&mut peer, "other.example");
    let mut peer = other_listener.accepts();
    peer.answers_to_tls(PEER, &wrong);
    peer.waits_for_the_end();
    let answer = inbox.receives_id("1");
    let text = answer.expect("error").expect("text").text();
    assert!(text.contains("certificate of peer.example"), "{text}");
}

// rows: B33
#[test]
fn the_other_host_must_have_tls_too() {
    let fixture = Fixture::new();
    let listener = fixture.listens();
    let mut inbox = fixture.node.inbox();
    let other = fixture.network.address();
    let other_listener = Listener::at(other);
    ask(&mut inbox, "1");
    let mut peer = listener.accepts();
    peer.answers_to_tls(PEER, &fixture.identity);
    redirects(&mut peer, &other.to_string());
    let mut peer = other_listener.accepts();
    peer.expects_header();
    peer.sends_header(PEER, INBOX, "id='1'");
    peer.sends_features("<dialback xmlns='urn:xmpp:features:dialback'/>");
    peer.expects("starttls");
    peer.sends("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>");
    let answer = inbox.receives_id("1");
    assert!(answer.expect("error").expect("text").text().contains("TLS"), "{answer}");
}

// rows: B34
#[test]
fn after_three_redirects_it_is_enough() {
    let fixture = Fixture::new();
    let listener = fixture.listens();
    fixture.network.dns.a("again.example", fixture.address);
    let mut inbox = fixture.node.inbox();
    ask(&mut inbox, "1");
    for _ in 0..4 {
        let mut peer = listener.accepts();
        peer.answers_to_tls(PEER, &fixture.identity);
        redirects(&mut peer, "again.example");
    }
    let answer = inbox.receives_id("1");
    assert!(answer.expect("error").expect("text").text().contains("again.example"), "{answer}");
    assert!(listener.accepted().is_none(), "a fifth connection");
}

// rows: B34
#[test]
fn a_redirect_in_clear_text_is_not_followed() {
    for tls in [Tls::Required, Tls::Optional] {
        let fixture = Fixture::with(setup().tls(tls));
        let listener = fixture.listens();
        let mut inbox = fixture.node.inbox();
        let other = fixture.network.address();
        let other_listener = Listener::at(other);
        ask(&mut inbox, "1");
        let mut peer = listener.accepts();
        peer.expects_header();
        peer.sends_header(PEER, INBOX, "id='1'");
        redirects(&mut peer, &other.to_string());
        let answer = inbox.receives_id("1");
        assert!(answer.expect("error").child("remote-server-timeout").is_some(), "{answer}");
        assert!(other_listener.accepted().is_none(), "the other host was dialed");
    }
}

/// Sends a redirect, and checks that the node closes the stream in order.
#[track_caller]
fn redirects(peer: &mut Peer, host: &str) {
    peer.sends(&format!(
        "<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>{host}</see-other-host>\
         </stream:error></stream:stream>"
    ));
    peer.expects_closed();
    peer.expects_end();
}
