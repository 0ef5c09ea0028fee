//! Dialback elements on streams in both roles: a key is valid only if it is the right one, and a result needs an answer.

use crate::{
    fixture::{DIALBACK_SECRET, acts, domain, may_say, policy},
    initiating, receiving,
};
use xmpp::{
    Domain,
    dialback::{Secret, key},
    xml::{Element, ns},
};

/// An input contains the bytes that the peer sends after the header.
pub(crate) fn run(input: &[u8]) {
    let policy = policy(OPTIONAL_TLS);
    let header = [
        HEADER.as_bytes(),
        b"<stream:features><dialback xmlns='urn:xmpp:features:dialback'/>\
                                       </stream:features>",
    ]
    .concat();

    let mut accepts = receiving::Session::new(&policy, None, true);
    for act in acts(HEADER.as_bytes()).chain(acts(input)) {
        for element in accepts.act(act) {
            is_honest(&element, input);
        }
        assert!(accepts.asked.len() <= MOST_QUESTIONS, "{} questions", accepts.asked.len());
    }
    for request in [None, Some(initiating::request())] {
        // STARTTLS is requested even if it is not offered, so this stream begins with TLS.
        let mut opens = initiating::Session::new(&policy, request, Some(crate::fixture::secured(&[])), false);
        for act in acts(&header).chain(acts(input)) {
            opens.act(act);
        }
        // Without a 'type' there is no result.
        assert!(!opens.settled || may_say(input, "type"), "settled without a result");
    }
}

/// Checks that a key that the node calls valid is the right one, and was sent by the peer.
fn is_honest(element: &Element, input: &[u8]) {
    if !element.is("verify", ns::DIALBACK) || element.attribute("type") != Some("valid") {
        return;
    }
    let address = |name| Domain::new(element.attribute(name).unwrap_or_default()).expect("a domain");
    let (originating, receiving) = (address("from"), address("to"));
    let id = element.attribute("id").unwrap_or_default();
    assert!(originating == domain("a.example") || originating == domain("d.example"));
    let right = key(&Secret::new(DIALBACK_SECRET), &receiving, &originating, id);
    assert!(may_say(input, &right), "a key that was not sent: {right}");
}

const HEADER: &str = "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
                      xmlns:db='jabber:server:dialback' from='b.example' to='a.example' id='id1' version='1.0'>";

/// Optional TLS and both mechanisms, see [`policy`].
const OPTIONAL_TLS: u8 = 1;

/// The limit of keys that are verified for one stream at the same time. The machine limits them for one stream id, and
/// the streams here have only one.
const MOST_QUESTIONS: usize = 16;
