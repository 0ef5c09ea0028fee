//! The node as originating server: it sends its key and waits for the result.

use std::time::Duration;

use super::{Fixture, answers, publishes, requests, told};
use crate::dialback::{INBOX, VALID};
use crate::support::{Certificate, Component, Listener, Network, Node, Nothing, Server, Setup, Tls};

// rows: F1 F2 F4
#[test]
fn a_key_is_shown_and_stanzas_wait_for_the_verdict() {
    let fixture = Fixture::new();
    let mut inbox = fixture.node.inbox();
    for id in ["1", "2", "3"] {
        inbox.sends_message("romeo@peer.example", id, "");
    }
    let mut peer = fixture.listener.accepts();
    let header = peer.expects_header();
    assert!(header.to_string().contains("xmlns:db='jabber:server:dialback'"), "{header}");
    peer.sends_header("peer.example", INBOX, "id='the-stream'");
    peer.sends_features(super::FEATURE);
    let key = peer.expects("result");
    assert!(key.to_string().starts_with("<db:result "), "{key}");
    assert_eq!(
        (key.attribute("from"), key.attribute("to"), key.attribute("type")),
        (INBOX, "peer.example", "")
    );
    assert!(key.text().len() == 64 && key.text().bytes().all(|byte| byte.is_ascii_hexdigit()), "{key}");

    assert!(matches!(peer.next(Duration::from_millis(300)), Err(Nothing::Late)), "before the verdict");
    peer.sends(VALID);
    for id in ["1", "2", "3"] {
        assert_eq!(peer.expects("message").attribute("id"), id);
    }
}

// rows: F24
#[test]
fn keys_are_those_of_the_published_vectors() {
    for (secret, receiving, originating, id, expected) in VECTORS {
        let network = Network::new();
        let listener = publishes(&network, receiving);
        let setup = Setup::of(originating).component(originating).unpublished();
        let setup = setup.certificate(Certificate::Missing).tls(Tls::Optional);
        let node = Node::start(&network, setup.set("s2s.dialback_secret", &format!("{secret:?}")));
        let mut component = Component::connect(node.address(), originating);
        component.sends_message(&format!("someone@{receiving}"), "out", "");
        let mut peer = listener.accepts();
        assert_eq!(answers(&mut peer, receiving, id, "result").text(), expected);
        peer.sends(&format!("<db:result from='{receiving}' to='{originating}' type='valid'/>"));
        peer.expects("message");
    }
}

// rows: F8
#[test]
fn an_error_instead_of_a_verdict_bounces_the_queued_stanzas_only() {
    let fixture = Fixture::new();
    let mut inbox = fixture.node.inbox();
    inbox.sends_message("romeo@peer.example", "before", "");
    let mut established = fixture.listener.accepts();
    fixture.is_asked(&mut established, "the-stream");
    established.sends(VALID);
    established.expects("message");

    let conditions = [
        "item-not-found",
        "remote-server-not-found",
        "remote-server-timeout",
        "remote-connection-failed",
        "policy-violation",
        "not-authorized",
        "resource-constraint",
        "internal-server-error",
    ];
    for condition in conditions {
        let domain = format!("{condition}.example");
        let listener = publishes(&fixture.network, &domain);
        requests(&mut inbox, &domain, condition);
        let mut peer = listener.accepts();
        answers(&mut peer, &domain, "another-stream", "result");
        peer.sends(&format!(
            "<db:result from='{domain}' to='{INBOX}' type='error'><error type='cancel'>\
             <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:result>"
        ));
        assert_eq!(told(&inbox.receives_id(condition)), "wait remote-server-timeout");
    }
    inbox.sends_message("romeo@peer.example", "after", "");
    assert_eq!(established.expects("message").attribute("id"), "after");
}

// rows: F9
#[test]
fn a_connection_that_is_lost_while_the_verdict_is_awaited_is_an_error() {
    let fixture = Fixture::new();
    let mut inbox = fixture.node.inbox();
    requests(&mut inbox, "peer.example", "lost");
    let mut peer = fixture.listener.accepts();
    fixture.is_asked(&mut peer, "the-stream");
    drop(peer);
    assert_eq!(told(&inbox.receives_id("lost")), "wait remote-server-timeout");
}

// rows: F22
#[test]
fn targets_share_no_connection_at_one_address_or_at_two_ports() {
    for feature in ["<dialback xmlns='urn:xmpp:features:dialback'/>", super::FEATURE] {
        let fixture = Fixture::new();
        let mut inbox = fixture.node.inbox();
        let address = fixture.network.address();
        let (listener, other_port) = (Listener::at(address), Listener::at_port(address, 5299));
        for (domain, port) in [("one.example", 5269), ("two.example", 5269), ("three.example", 5299)] {
            fixture.network.dns.srv(&format!("_xmpp-server._tcp.{domain}"), 0, 0, port, "shared.example");
        }
        fixture.network.dns.a("shared.example", address);
        for (domain, listener) in
            [("one.example", &listener), ("two.example", &listener), ("three.example", &other_port)]
        {
            inbox.sends_message(&format!("romeo@{domain}"), domain, "");
            let mut peer = listener.accepts();
            assert_eq!(peer.expects_header().attribute("to"), domain);
            peer.sends_header(domain, INBOX, "id='1'");
            peer.sends_features(feature);
            assert_eq!(peer.expects("result").attribute("to"), domain);
            peer.sends(&format!("<db:result from='{domain}' to='{INBOX}' type='valid'/>"));
            assert_eq!(peer.expects("message").attribute("id"), domain);
        }
    }
}

/// Secret, receiving and originating domain, stream id, key.
const VECTORS: [(&str, &str, &str, &str, &str); 3] = [
    (
        "s3cr3tf0rd14lb4ck",
        "xmpp.example.com",
        "example.org",
        "D60000229F",
        "37c69b1cf07a3f67c04a5ef5902fa5114f2c76fe4a2686482ba5b89323075643",
    ),
    (
        "s3cr3tf0rd14lb4ck",
        "montague.example",
        "capulet.example",
        "D60000229F",
        "b4835385f37fe2895af6c196b59097b16862406db80559900d96bf6fa7d23df3",
    ),
    (
        "d14lb4ck43v3r",
        "capulet.example",
        "montague.example",
        "417GAF25",
        "225cc5aa6a071133249d25fef42ae516fc7a86c523aa1c6980a7f73e784c972d",
    ),
];
