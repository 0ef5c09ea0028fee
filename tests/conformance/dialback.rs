//! Rows F: dialback (XEP-0220, XEP-0185, XEP-0344). More tests are in `tests/dialback.rs`.

mod authority;
mod legacy;
mod originating;
mod receiving;
mod shortcut;
mod unasked;

use crate::dialback::Fixture;
use crate::support::{Component, Element, Listener, Network, Node, Peer, Server};

/// A second remote domain with its own server.
fn publishes(network: &Network, domain: &str) -> Listener {
    let address = network.address();
    network.publish(domain, address);
    Listener::at(address)
}

/// Answers a stream of the node as `domain`, offering dialback, up to the node's key or verification request.
#[track_caller]
fn answers(peer: &mut Peer, domain: &str, id: &str, element: &str) -> Element {
    let header = peer.expects_header();
    assert_eq!(header.attribute("to"), domain);
    peer.sends_header(domain, header.attribute("from"), &format!("id='{id}'"));
    peer.sends_features(FEATURE);
    peer.expects(element)
}

/// Sends an IQ request, which is answered at once after a failure.
#[track_caller]
fn requests(from: &mut Component, to: &str, id: &str) {
    let name = from.name().to_owned();
    from.sends(&format!(
        "<iq from='tester@{name}' to='{to}' id='{id}' type='get'><ping xmlns='urn:xmpp:ping'/></iq>"
    ));
}

/// Type and condition of an error answer, such as `wait remote-server-timeout`.
#[track_caller]
fn told(answer: &Element) -> String {
    assert_eq!(answer.attribute("type"), "error", "{answer}");
    let error = answer.expect("error");
    let condition = error.children().find(|child| child.name != "text").expect("a condition");
    assert_eq!(condition.namespace, "urn:ietf:params:xml:ns:xmpp-stanzas", "{answer}");
    format!("{} {}", error.attribute("type"), condition.name)
}

/// Waits for a log line with these words, and returns the number of such lines.
fn lines_with(node: &Node, words: &str) -> usize {
    node.eventually_logs(&[words]);
    node.process().lines().iter().filter(|line| line.contains(words)).count()
}

const FEATURE: &str = "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>";
