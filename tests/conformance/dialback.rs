//! Dialback (XEP-0220, XEP-0185, XEP-0344), the rows of section 3F. Elsewhere: `tests/dialback.rs`.

mod authority;
mod legacy;
mod originating;
mod receiving;
mod shortcut;
mod unasked;

use crate::dialback::Stage;
use crate::support::{Component, Element, Listener, Network, Node, Peer, Server};

/// A second remote domain, with a server of its own.
fn publishes(network: &Network, domain: &str) -> Listener {
    let address = network.address();
    network.publish(domain, address);
    Listener::at(address)
}

/// As the side that was dialled: answers for `domain`, offering dialback, up to the node's key or question.
#[track_caller]
fn answers(peer: &mut Peer, domain: &str, id: &str, element: &str) -> Element {
    let header = peer.expects_header();
    assert_eq!(header.attribute("to"), domain);
    peer.sends_header(domain, header.attribute("from"), &format!("id='{id}'"));
    peer.sends_features(FEATURE);
    peer.expects(element)
}

/// Sends an IQ request that the sender is told the fate of at once.
#[track_caller]
fn requests(from: &mut Component, to: &str, id: &str) {
    let name = from.name().to_owned();
    from.sends(&format!(
        "<iq from='tester@{name}' to='{to}' id='{id}' type='get'><ping xmlns='urn:xmpp:ping'/></iq>"
    ));
}

/// The one condition of an error answer, with its type: `wait remote-server-timeout`.
#[track_caller]
fn told(answer: &Element) -> String {
    assert_eq!(answer.attribute("type"), "error", "{answer}");
    let error = answer.expect("error");
    let condition = error.children().find(|child| child.name != "text").expect("a condition");
    assert_eq!(condition.namespace, "urn:ietf:params:xml:ns:xmpp-stanzas", "{answer}");
    format!("{} {}", error.attribute("type"), condition.name)
}

/// How many lines of the node's log hold these words, once there is one.
fn lines_with(node: &Node, words: &str) -> usize {
    node.eventually_logs(&[words]);
    node.process().lines().iter().filter(|line| line.contains(words)).count()
}

const FEATURE: &str = "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>";
