//! Requests that the node itself answers for its domains: service discovery, ping, version and time.

use crate::support::{Auth, Component, Element, Network, Node, Peer, Server, Setup};

// rows: K5
#[test]
fn answers_a_ping() {
    let (_stage, mut asker) = fixture();
    let pong = asker.asks("nuncio.example", "<ping xmlns='urn:xmpp:ping'/>");
    assert!(pong.is("iq", "result"), "{pong}");
    assert_eq!(pong.attribute("from"), "nuncio.example");
    assert_eq!(pong.children().count(), 0, "{pong}");
}

// rows: K6
#[test]
fn answers_identity_and_features() {
    let (_stage, mut asker) = fixture();
    let answer = asker.asks("nuncio.example", "<query xmlns='http://jabber.org/protocol/disco#info'/>");
    let info = answer.expect("query");
    assert_eq!(info.expect("identity").attribute("category"), "server", "{answer}");
    let features: Vec<_> = info.children().map(|feature| feature.attribute("var")).collect();
    for feature in [
        "http://jabber.org/protocol/disco#info",
        "http://jabber.org/protocol/disco#items",
        "urn:xmpp:ping",
        "jabber:iq:version",
        "urn:xmpp:time",
        "jabber:iq:last",
    ] {
        assert!(features.contains(&feature), "no {feature} in {answer}");
    }
}

// rows: K6
#[test]
fn lists_its_components() {
    let (_stage, mut asker) = fixture();
    let answer = asker.asks("nuncio.example", "<query xmlns='http://jabber.org/protocol/disco#items'/>");
    let items = answer.expect("query").children().map(|item| item.attribute("jid"));
    let mut items: Vec<_> = items.collect();
    items.sort_unstable();
    assert_eq!(items, ["inbox.nuncio.example", "outbox.nuncio.example"]);
}

#[test]
fn a_request_full_of_elements_is_answered_unread() {
    let (_stage, mut asker) = fixture();
    let answer =
        asker.asks("nuncio.example", &format!("<query xmlns='urn:x'>{}</query>", "<a/>".repeat(100_000)));
    assert!(answer.is("iq", "error"), "{answer}");
    assert!(answer.expect("error").child("policy-violation").is_some(), "{answer}");
}

// rows: K7
#[test]
fn says_its_version() {
    let (_stage, mut asker) = fixture();
    let answer = asker.asks("nuncio.example", "<query xmlns='jabber:iq:version'/>");
    assert_eq!(answer.expect("query").expect("name").text(), "Nuncio");
    assert_eq!(answer.expect("query").expect("version").text(), env!("CARGO_PKG_VERSION"));
}

// rows: K7
#[test]
fn answers_its_time() {
    let (_stage, mut asker) = fixture();
    let answer = asker.asks("nuncio.example", "<time xmlns='urn:xmpp:time'/>");
    let time = answer.expect("time");
    assert!(["Z", "+00:00"].contains(&time.expect("tzo").text().as_str()), "{answer}");
    let utc = time.expect("utc").text();
    // XEP-0082: 2006-12-19T17:58:35Z, perhaps with fractions of a second.
    assert!(utc.len() >= 20 && utc.ends_with('Z') && utc.as_bytes()[10] == b'T', "{utc}");
}

// rows: K7
#[test]
fn says_how_long_it_runs() {
    let (_stage, mut asker) = fixture();
    let answer = asker.asks("nuncio.example", "<query xmlns='jabber:iq:last'/>");
    let seconds: u64 = answer.expect("query").attribute("seconds").parse().expect("seconds");
    assert!(seconds < 600, "{answer}");
}

// rows: E18 E19
#[test]
fn an_unserved_address_is_unavailable() {
    let (_stage, mut asker) = fixture();
    for to in ["nuncio.example", "someone@nuncio.example", "nuncio.example/resource"] {
        let answer = asker.asks(to, "<query xmlns='urn:example:unheard-of'/>");
        is_error(&answer, "cancel", "service-unavailable");
    }
    asker.sends_message("someone@nuncio.example", "to nobody", "hello");
    is_error(&asker.receives_id("to nobody"), "cancel", "service-unavailable");
}

// rows: E6
#[test]
fn an_iq_that_is_none_is_a_bad_request() {
    let (_stage, mut asker) = fixture();
    let from = format!("tester@{}", asker.name());
    asker.sends(&format!("<iq type='get' id='empty' from='{from}' to='nuncio.example'/>"));
    is_error(&asker.receives_id("empty"), "modify", "bad-request");
    asker.sends(&format!(
        "<iq type='get' id='two' from='{from}' to='nuncio.example'>\
         <ping xmlns='urn:xmpp:ping'/><ping xmlns='urn:xmpp:ping'/></iq>"
    ));
    is_error(&asker.receives_id("two"), "modify", "bad-request");
}

#[test]
fn answers_a_remote_by_a_stream_of_its_own() {
    let network = Network::new();
    let node = Node::start(&network, Setup::of("nuncio.example").auth(Auth::External));
    let identity = network.authority.issue(&["peer.example"]);
    let address = network.address();
    network.publish("peer.example", address);
    let listener = crate::support::Listener::at(address);

    let mut asking = Peer::authenticates(node.address(), "peer.example", "nuncio.example", &identity);
    asking.sends(
        "<iq type='get' id='1' from='romeo@peer.example/r' to='nuncio.example'>\
         <ping xmlns='urn:xmpp:ping'/></iq>",
    );
    let mut answered = listener.accepts();
    answered.answers_to_external("peer.example", &identity);
    let pong = answered.expects("iq");
    assert_eq!(pong.attribute("to"), "romeo@peer.example/r");
    assert!(pong.is("iq", "result"), "{pong}");
}

fn fixture() -> ((Network, Node), Component) {
    let network = Network::new();
    let node = Node::start(&network, Setup::of("nuncio.example"));
    let asker = node.inbox();
    ((network, node), asker)
}

#[track_caller]
fn is_error(answer: &Element, kind: &str, condition: &str) {
    assert_eq!(answer.attribute("type"), "error", "{answer}");
    assert_eq!(answer.expect("error").attribute("type"), kind, "{answer}");
    assert!(answer.expect("error").child(condition).is_some(), "{answer}");
}
