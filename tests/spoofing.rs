//! Stanzas with a `from` that the remote did not authenticate, or a `to` that is not local, are not delivered.

use crate::support::{Auth, Component, Event, Fixture, Listener, Peer, SOON, Server, Setup};

// rows: E4
#[test]
fn a_from_that_was_not_proved_ends_the_stream() {
    let fixture = fixture();
    let mut inbox = fixture.node.inbox();
    for from in ["romeo@other.example", "romeo@sub.peer.example", "romeo@example", "peer.example.org"] {
        let mut peer = fixture.peer();
        peer.sends(&message(from, INBOX, "spoofed"));
        peer.expects_error("invalid-from");
    }
    fixture.nothing_arrived_at(&mut inbox);
}

// rows: E1 E3
#[test]
fn a_stanza_without_from_or_to_ends_the_stream_if_the_policy_says_so() {
    let fixture = Fixture::with(setup().set("s2s.malformed_stanza", "\"close\""));
    let mut inbox = fixture.node.inbox();
    for addresses in [format!("to='{INBOX}'"), "from='romeo@peer.example'".to_owned()] {
        let mut peer = fixture.peer();
        peer.sends(&format!("<message {addresses} id='spoofed'><body/></message>"));
        peer.expects_error("improper-addressing");
    }
    fixture.nothing_arrived_at(&mut inbox);
}

// rows: E2 E16
#[test]
fn a_to_that_is_not_ours_is_neither_delivered_nor_dialed() {
    let fixture = fixture();
    let mut inbox = fixture.node.inbox();
    let third = fixture.network.address();
    fixture.network.publish("third.example", third);
    let listener = Listener::at(third);
    for to in ["juliet@third.example", "juliet@sub.nuncio.example.org"] {
        let mut peer = fixture.peer();
        peer.sends(&message("romeo@peer.example", to, "relayed"));
        peer.expects_error("host-unknown");
    }
    fixture.nothing_arrived_at(&mut inbox);
    assert!(listener.accepted().is_none(), "a third domain was dialed");
    let asked = fixture.network.dns.questions();
    assert!(asked.iter().all(|question| !question.contains("third.example")), "{asked:?}");
}

// rows: E2
#[test]
fn another_local_domain_than_the_stream_is_for_is_refused() {
    let fixture = fixture();
    let mut outbox = fixture.node.outbox();
    let mut peer = fixture.peer();
    peer.sends(&message("romeo@peer.example", "juliet@outbox.nuncio.example", "unproved pair"));
    peer.expects_error("host-unknown");
    let mut peer = fixture.peer_to("outbox.nuncio.example");
    peer.sends(&message("romeo@peer.example", "juliet@outbox.nuncio.example", "valid"));
    assert_eq!(outbox.next(SOON).expect("a stanza").attribute("id"), "valid");
}

// rows: B13
#[test]
fn a_stanza_before_authentication_is_refused() {
    let fixture = fixture();
    let mut inbox = fixture.node.inbox();
    let stanza = message("romeo@peer.example", INBOX, "early");

    let mut peer = Peer::dials(fixture.node.address());
    peer.sends_header("peer.example", INBOX, "");
    peer.expects_header();
    peer.expects("features");
    peer.sends(&stanza);
    peer.expects_error("not-authorized");

    let mut peer = Peer::dials(fixture.node.address());
    peer.starts_tls("peer.example", INBOX, Some(&fixture.identity));
    peer.expects("features");
    peer.sends(&stanza);
    peer.expects_error("not-authorized");
    fixture.nothing_arrived_at(&mut inbox);
}

// rows: C5
#[test]
fn data_sent_behind_starttls_is_not_treated_as_secured() {
    let fixture = fixture();
    let mut inbox = fixture.node.inbox();
    let mut peer = Peer::dials(fixture.node.address());
    peer.sends_header("peer.example", INBOX, "");
    peer.expects_header();
    peer.expects("features");
    let early = message("romeo@peer.example", INBOX, "early");
    peer.sends(&format!("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>{early}"));
    // The node may refuse the element; it must not process what follows.
    while let Ok(Event::Element(element)) = peer.next(SOON) {
        assert!(matches!(element.name.as_str(), "proceed" | "failure" | "error"), "{element}");
        if element.name == "proceed" {
            break;
        }
    }
    fixture.nothing_arrived_at(&mut inbox);
}

#[test]
fn a_stanza_on_a_stream_that_the_node_opened_is_not_delivered() {
    let fixture = fixture();
    let mut inbox = fixture.node.inbox();
    let address = fixture.network.address();
    fixture.network.publish("peer.example", address);
    let listener = Listener::at(address);

    inbox.sends_message("romeo@peer.example", "out", "");
    let mut peer = listener.accepts();
    peer.answers_to_external("peer.example", &fixture.identity);
    peer.expects("message");
    peer.sends(&message("romeo@peer.example", INBOX, "backwards"));
    peer.sends(&message("admin@nuncio.example", INBOX, "backwards"));
    fixture.nothing_arrived_at(&mut inbox);
}

#[test]
fn a_component_cannot_speak_for_another_domain() {
    let fixture = fixture();
    let mut inbox = fixture.node.inbox();
    let mut outbox = fixture.node.outbox();
    for from in ["tester@inbox.nuncio.example", "admin@nuncio.example", "someone@else.example"] {
        let mut liar = Component::connect(fixture.node.address(), "liar.nuncio.example");
        liar.sends(&message(from, "juliet@outbox.nuncio.example", "spoofed"));
        drop(liar);
    }
    inbox.sends_message("outbox.nuncio.example", "valid", "");
    assert_eq!(outbox.next(SOON).expect("a stanza").attribute("id"), "valid");
}

// rows: E28
#[test]
fn a_domain_is_compared_without_case() {
    let fixture = fixture();
    let mut inbox = fixture.node.inbox();
    let mut peer = fixture.peer();
    peer.sends(&message("romeo@PEER.Example", "juliet@Inbox.NUNCIO.example", "folded"));
    assert_eq!(inbox.next(SOON).expect("a stanza").attribute("id"), "folded");
}

/// A node with two components.
fn fixture() -> Fixture {
    Fixture::with(setup())
}

fn setup() -> Setup {
    Setup::of("nuncio.example").component("liar.nuncio.example").auth(Auth::External)
}

fn message(from: &str, to: &str, id: &str) -> String {
    format!("<message from='{from}' to='{to}' id='{id}'><body>hello</body></message>")
}

const INBOX: &str = "inbox.nuncio.example";
