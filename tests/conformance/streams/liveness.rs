//! Whether the other side is still there (RFC 6120, section 4.6).

use std::time::{Duration, Instant};

use super::{INBOX, PEER, Stage, setup};
use crate::support::{Nothing, Server};

// rows: B20 B21
#[test]
fn a_silent_link_is_checked_now_and_then_and_never_while_it_is_negotiated() {
    let stage = Stage::with(setup().set("s2s.keepalive", "\"1s\""));
    let listener = stage.listens();
    let mut inbox = stage.node.inbox();
    inbox.sends_message(PEER, "1", "");

    let mut peer = listener.accepts();
    peer.expects_header();
    peer.sends_header(PEER, INBOX, "id='1'");
    // In the middle of a negotiation, for longer than `keepalive`.
    assert_eq!(peer.hears(NEGOTIATED), Err(Nothing::Late));
    peer.sends_features("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>");
    peer.expects("starttls");
    assert_eq!(peer.hears(NEGOTIATED), Err(Nothing::Late));
    peer.sends("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    peer.secures_as_server(&stage.identity);
    peer.expects_header();
    peer.sends_header(PEER, INBOX, "id='2'");
    assert_eq!(peer.hears(NEGOTIATED), Err(Nothing::Late));
    peer.takes_external(PEER);
    peer.expects("message");

    // An established link is checked once in the time, on both sides.
    let mut theirs = stage.authenticated();
    let start = Instant::now();
    for peer in [&mut peer, &mut theirs] {
        let mut heard = String::new();
        while heard.len() < 3 {
            heard.push_str(&peer.hears(Duration::from_secs(10)).expect("a sign of life"));
        }
        assert_eq!(heard.trim(), "", "{heard:?}");
    }
    assert!(start.elapsed() >= Duration::from_millis(2500), "three checks in {:?}", start.elapsed());
    // TCP answered each: the links stand.
    inbox.sends_message(PEER, "2", "");
    assert_eq!(peer.expects("message").attribute("id"), "2");
}

// rows: B21
#[test]
fn a_peer_that_takes_nothing_any_more_is_given_up_with_connection_timeout() {
    let stage = Stage::with(setup().set("s2s.keepalive", "\"1s\""));
    let listener = stage.listens();
    let mut inbox = stage.node.inbox();
    inbox.sends_message(PEER, "1", "");
    let mut peer = stage.accepts(&listener);
    peer.expects("message");

    // More than the sockets hold.
    let body = "x".repeat(60_000);
    let _flood = inbox.floods(400, move |number| {
        format!("<message from='a@{INBOX}' to='b@{PEER}' id='{number}'><body>{body}</body></message>")
    });
    stage.node.eventually_logs(&["closed", PEER, "the peer reads nothing"]);
    // It comes to itself in the moment that it still has, and learns what happened.
    let mut heard = String::new();
    while let Ok(more) = peer.hears(Duration::from_secs(10)) {
        heard = [&heard[heard.floor_char_boundary(heard.len().saturating_sub(500))..], &more].concat();
    }
    let end = &heard[heard.floor_char_boundary(heard.len().saturating_sub(500))..];
    assert!(end.contains("<connection-timeout"), "{end}");
    assert!(end.ends_with("</stream:stream>"), "{end}");
}

/// Longer than `keepalive` and its rounding.
const NEGOTIATED: Duration = Duration::from_millis(1600);
