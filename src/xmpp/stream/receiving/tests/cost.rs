//! Input that is short to send and expensive to read: namespaces that many elements share, and nested
//! elements.
use super::*;

const MESSAGE: &str = "<message from='b.example' to='a.example'";

fn open() -> Peer {
    let mut peer = Peer::new(lax());
    peer.opens();
    peer.is_verified("a.example", "b.example");
    peer
}

fn uri(length: usize) -> String {
    "u".repeat(length)
}

/// It came through as a stanza.
fn passes(stanza: &str) {
    let mut peer = open();
    peer.sends(stanza);
    assert!(peer.events.last().unwrap().starts_with("[stanza <message"), "{:?}", peer.events.last());
}

fn is_refused(what: &str) {
    for mut peer in [open(), Peer::new(lax())] {
        if peer.events.is_empty() {
            peer.opens();
        }
        let answer = peer.sends(what);
        peer.ends_with(&format!("<stream:stream >{answer}"), "policy-violation");
    }
}

// E27
#[test]
fn the_length_of_a_namespace_is_limited() {
    let inside = |length| format!("{MESSAGE}><q xmlns='{}'><a/></q></message>", uri(length));
    passes(&inside(1024));
    is_refused(&inside(1025));
    is_refused(&format!("{MESSAGE} xmlns:p='{}'/>", uri(1025)));
}

// E27
#[test]
fn the_length_of_all_namespaces_in_scope_is_limited() {
    let nested = |depth: usize, last: usize| {
        let open = format!("<q xmlns='{}'>", uri(1000)).repeat(depth);
        let last = format!("<q xmlns='{}'/>", uri(last));
        format!("{MESSAGE}>{open}{last}{}</message>", "</q>".repeat(depth))
    };
    // The header declares 67 bytes.
    passes(&nested(4, 29));
    is_refused(&nested(4, 30));
    let beside = format!("<q xmlns='{}'/>", uri(1000)).repeat(100);
    passes(&format!("{MESSAGE}>{beside}</message>"));
}

// E27
#[test]
fn the_tags_of_an_element_that_is_no_stanza_are_limited() {
    let holding = |count: usize| {
        format!("<db:verify from='b.example' to='a.example' id='1'>{}</db:verify>", "<a/>".repeat(count))
    };
    for mut peer in [open(), Peer::new(lax())] {
        if peer.events.is_empty() {
            peer.opens();
        }
        assert!(peer.sends(&holding(30)).contains("<db:verify "), "room for an error, however it is said");
    }
    is_refused(&holding(31));
    is_refused(&holding(1000));
}
