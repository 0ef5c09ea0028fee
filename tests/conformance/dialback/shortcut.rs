//! Dialback without dialing back (XEP-0344): a valid certificate replaces the callback, if configured.

use super::publishes;
use crate::dialback::{INBOX, message, result, verified};
use crate::support::{Listener, Network, Node, Peer, Server, Setup};

// rows: F27
#[test]
fn a_valid_certificate_replaces_the_callback_where_that_is_allowed() {
    let (network, node, listener) = fixture(true);
    let mut inbox = node.inbox();
    let mut peer = secured(&network, &node);
    peer.sends(&result("peer.example", INBOX, "any key"));
    assert_eq!(peer.expects("result").attribute("type"), "valid");
    peer.sends(&message(INBOX, "heard"));
    inbox.receives_id("heard");
    assert!(listener.accepted().is_none(), "the peer was called back");
}

// rows: F27
#[test]
fn without_the_option_every_key_is_verified_by_callback() {
    let (network, node, listener) = fixture(false);
    let mut peer = secured(&network, &node);
    peer.sends(&result("peer.example", INBOX, "any key"));
    is_called_back(&network, &listener, "peer.example");
}

// rows: F28
#[test]
fn a_name_that_is_not_on_the_certificate_is_called_back() {
    let (network, node, _listener) = fixture(true);
    let mut inbox = node.inbox();
    let other = publishes(&network, "other.example");
    let mut peer = secured(&network, &node);
    peer.sends(&result("peer.example", INBOX, "any key"));
    assert_eq!(peer.expects("result").attribute("type"), "valid");
    peer.sends(&result("other.example", INBOX, "any key"));
    let (mut called, id) = is_called_back(&network, &other, "other.example");
    called.sends(&verified(INBOX, &id, "invalid").replace("peer.example", "other.example"));
    let verdict = peer.expects("result");
    assert_eq!((verdict.attribute("to"), verdict.attribute("type")), ("other.example", "invalid"));
    peer.sends(&message(INBOX, "heard"));
    inbox.receives_id("heard");
    peer.sends(&message(INBOX, "not heard").replace("peer.example", "other.example"));
    peer.expects_error("invalid-from");
}

fn fixture(shortcut: bool) -> (Network, Node, Listener) {
    let network = Network::new();
    let setup = Setup::of("nuncio.example").set("s2s.dialback_shortcut", &shortcut.to_string());
    let node = Node::start(&network, setup);
    let listener = publishes(&network, "peer.example");
    (network, node, listener)
}

/// A stream over TLS with a valid certificate, not authenticated yet.
#[track_caller]
fn secured(network: &Network, node: &Node) -> Peer {
    let mut peer = Peer::dials(node.address());
    peer.starts_tls("peer.example", INBOX, Some(&network.authority.issue(&["peer.example"])));
    peer.expects("features").expect("dialback");
    peer
}

/// Accepts the callback over TLS, and returns the stream and the id in the verification request.
#[track_caller]
fn is_called_back(network: &Network, listener: &Listener, domain: &str) -> (Peer, String) {
    let mut called = listener.accepts();
    called.answers_to_tls(domain, &network.authority.issue(&[domain]));
    called.sends_features(super::FEATURE);
    let question = called.expects("verify");
    assert_eq!(question.attribute("to"), domain);
    (called, question.attribute("id").to_owned())
}
