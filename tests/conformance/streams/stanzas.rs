//! Stanzas on streams: namespaces and languages (RFC 6120, sections 4.7.4 and 4.8).

use super::{Fixture, INBOX, PEER, message};
use crate::support::{Element, Server};

// rows: B8
#[test]
fn a_stanza_has_the_language_of_its_stream_by_default() {
    let fixture = Fixture::new();
    let mut inbox = fixture.node.inbox();
    let mut peer = fixture.authenticated_with("xml:lang='de'");
    let addresses = format!("from='romeo@{PEER}' to='juliet@{INBOX}'");
    peer.sends(&format!("<message {addresses} id='1'><body xml:lang='it'>ciao</body></message>"));
    peer.sends(&format!("<message {addresses} id='2' xml:lang='fr'><body>salut</body></message>"));
    let first = inbox.receives_id("1");
    assert_eq!(first.attribute("xml:lang"), "de", "{first}");
    assert_eq!(first.expect("body").attribute("xml:lang"), "it", "{first}");
    let second = inbox.receives_id("2");
    assert_eq!(second.attribute("xml:lang"), "fr", "{second}");

    let mut silent = fixture.authenticated();
    silent.sends(&message("3"));
    let third = inbox.receives_id("3");
    assert!(!third.to_string().contains("xml:lang"), "{third}");
}

// rows: B24 B26
#[test]
fn with_malformed_stanza_close_a_foreign_element_ends_the_stream() {
    let fixture = Fixture::with(super::setup().set("s2s.malformed_stanza", "\"close\""));
    let mut inbox = fixture.node.inbox();
    let addresses = format!("from='romeo@{PEER}' to='juliet@{INBOX}' id='smuggled'");
    for (element, condition) in [
        (format!("<message xmlns='jabber:client' {addresses}/>"), "invalid-namespace"),
        (format!("<c:message xmlns:c='jabber:client' {addresses}/>"), "invalid-namespace"),
        (format!("<iq xmlns='jabber:component:accept' type='get' {addresses}/>"), "invalid-namespace"),
        (format!("<foo xmlns='jabber:server' {addresses}/>"), "unsupported-stanza-type"),
        (format!("<foo xmlns='urn:example' {addresses}/>"), "unsupported-stanza-type"),
        (format!("<message xmlns='urn:example' {addresses}/>"), "unsupported-stanza-type"),
    ] {
        let mut peer = fixture.authenticated();
        peer.sends(&element);
        peer.expects_error(condition);
    }
    fixture.receives_only_a_valid_stanza(&mut inbox);
}

// rows: B25
#[test]
fn a_stanza_leaves_in_the_server_namespace_with_its_payload_unchanged() {
    let fixture = Fixture::new();
    let listener = fixture.listens();
    let mut inbox = fixture.node.inbox();
    let forwarded = "<forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' \
                     stamp='2026-11-22T10:00:00Z'/><message xmlns='jabber:client' from='a@x.example' \
                     to='b@y.example'  type=\"chat\"><body>&#x2665; &lt;</body><x:y xmlns:x='urn:x'/></message>\
                     </forwarded>";
    let addresses = format!("from='juliet@{INBOX}' to='romeo@{PEER}' id='1'");
    // The standard child is in the component namespace by inheritance, and by its own declaration.
    inbox.sends(&format!(
        "<message xmlns='jabber:component:accept' {addresses}><body>1</body>\
         <subject xmlns='jabber:component:accept'>2</subject>{forwarded}</message>"
    ));
    let mut peer = fixture.accepts(&listener);
    let arrived = peer.expects("message");
    let expected = Element::parse(&format!(
        "<message xmlns='jabber:server' {addresses}><body>1</body><subject>2</subject>{forwarded}</message>"
    ));
    assert_eq!(arrived, expected);
    assert!(arrived.to_string().contains(forwarded), "{arrived}");
    assert!(!arrived.to_string().contains("jabber:component:accept"), "{arrived}");
}

// rows: B28
#[test]
fn a_prefix_that_the_header_declared_is_declared_again_where_it_is_used() {
    let fixture = Fixture::new();
    let mut inbox = fixture.node.inbox();
    let mut peer = fixture.authenticated_with("xmlns:x='urn:example:x' xmlns:unused='urn:example:unused'");
    peer.sends(&format!(
        "<message from='romeo@{PEER}' to='juliet@{INBOX}' id='1' x:mark='m'><x:a><b xmlns='urn:b' x:c='d'/></x:a>\
         </message>"
    ));
    // The component uses another parser than the node, which rejects unbound prefixes.
    let arrived = inbox.receives_id("1");
    assert_eq!(arrived.attribute("{urn:example:x}mark"), "m", "{arrived}");
    let a = arrived.expect("a");
    assert_eq!(a.namespace, "urn:example:x");
    assert_eq!(a.expect("b").attribute("{urn:example:x}c"), "d", "{arrived}");
}
