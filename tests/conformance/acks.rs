//! Rows H: stream management (XEP-0198).

mod enabling;
mod ending;
mod handled;
mod lost;
mod resumed;
mod resuming;
mod sent;
mod unrequested;
mod yielding;

use std::time::Duration;

pub(crate) use self::handled::ids_differ;
use crate::support::{
    Auth, Component, Element, Fixture, INBOX, Listener, Nothing, Peer, SM, Setup, eventually, figure,
};

/// The scripted server.
const PEER: &str = "peer.example";

/// How long the test waits for data that must not arrive.
const QUIET: Duration = Duration::from_millis(200);

/// A node that accepts certificates only and dials again soon.
fn setup() -> Setup {
    Setup::of("nuncio.example").auth(Auth::External).set("promise.backoff", "[\"50ms\", \"200ms\"]")
}

/// Accepts the node's stream and its EXTERNAL, and offers stream management.
#[track_caller]
fn accepts(fixture: &Fixture, listener: &Listener) -> Peer {
    let mut peer = listener.accepts();
    peer.answers_to_external_with_acks(PEER, &fixture.identity);
    peer
}

/// The component sends messages with these numbers as ids.
#[track_caller]
fn sends(inbox: &mut Component, numbers: impl IntoIterator<Item = usize>) {
    numbers.into_iter().for_each(|number| inbox.sends_message(PEER, &number.to_string(), ""));
}

/// Messages of the peer with these numbers as ids.
fn messages(numbers: impl IntoIterator<Item = usize>) -> String {
    numbers.into_iter().map(|number| crate::support::message(&number.to_string())).collect()
}

/// These numbers as ids.
fn ids(numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    numbers.into_iter().map(|number| number.to_string()).collect()
}

/// Checks that the node sends no stanza for a moment.
#[track_caller]
fn sends_nothing(peer: &mut Peer) {
    match peer.stanza_within(QUIET) {
        Err(Nothing::Late) => {}
        other => panic!("{other:?}"),
    }
}

/// Acknowledges `count` stanzas on the node's first link, and waits until the node knows.
#[track_caller]
fn acknowledges(fixture: &Fixture, peer: &mut Peer, count: u32) {
    peer.acknowledges(count);
    eventually("the node reads the acknowledgement", || {
        (figure(&fixture.node.account(), "acknowledged") == count as usize).then_some(())
    });
}

/// The condition in `<failed/>`, and its count.
#[track_caller]
fn failure(failed: &Element) -> (String, Option<u32>) {
    assert_eq!((failed.name.as_str(), failed.namespace.as_str()), ("failed", SM), "{failed}");
    let condition = failed.children().next().unwrap_or_else(|| panic!("no condition: {failed}"));
    assert_eq!(condition.namespace, "urn:ietf:params:xml:ns:xmpp-stanzas", "{failed}");
    (condition.name.clone(), failed.attribute("h").parse().ok())
}

/// The delay stamp of a stanza (XEP-0203).
fn stamp(stanza: &Element) -> Option<&str> {
    let delay = stanza.children().find(|child| child.name == "delay" && child.namespace == "urn:xmpp:delay");
    delay.map(|delay| delay.attribute("stamp"))
}

/// Waits until the component has the ids of so many stanzas, and returns them in order.
#[track_caller]
fn arrived(inbox: &mut Component, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    eventually(&format!("{count} stanzas arrive"), || {
        while ids.len() < count {
            ids.push(inbox.next(QUIET)?.attribute("id").to_owned());
        }
        Some(())
    });
    ids
}

/// The component sends a request to the peer.
#[track_caller]
fn requests(inbox: &mut Component, id: &str) {
    inbox.sends(&format!(
        "<iq type='get' id='{id}' from='juliet@{INBOX}' to='{PEER}'><ping xmlns='urn:xmpp:ping'/></iq>"
    ));
}
