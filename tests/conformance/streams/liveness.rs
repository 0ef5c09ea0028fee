//! Checks that the other side is alive (RFC 6120, section 4.6).

use std::net::SocketAddr;

use socket2::{Domain, Socket, Type};

use super::{Fixture, INBOX, PEER, setup};
use crate::support::{Component, Peer, SOON, Server};

// rows: B21
#[test]
fn a_peer_that_stops_reading_gets_connection_timeout() {
    let fixture = Fixture::with(setup().set("s2s.keepalive", "\"1s\""));
    let listener = fixture.listens();
    let mut inbox = fixture.node.inbox();
    inbox.sends_message(PEER, "1", "");
    let mut peer = fixture.accepts(&listener);
    peer.expects("message");

    // More than the socket buffers hold.
    let body = "x".repeat(60_000);
    let _flood = inbox.floods(400, move |number| {
        format!("<message from='a@{INBOX}' to='b@{PEER}' id='{number}'><body>{body}</body></message>")
    });
    fixture.node.eventually_logs(&["closed", PEER, "the peer does not read"]);
    // It resumes reading before the node closes the connection, and gets the error.
    was_told_of_the_timeout(|| peer.reads(SOON).ok());
}

// rows: B21
#[test]
fn a_peer_that_reads_no_answers_gets_connection_timeout() {
    let fixture = Fixture::with(setup().set("s2s.write_timeout", "\"1s\""));
    // Small socket buffers.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&SocketAddr::from((fixture.node.address(), 5269)).into()).unwrap();
    let mut peer = Peer::accepted(socket.into());
    fixture.authenticates(&mut peer, "");
    let question = "<db:verify from='a.example' to='b.example' id='1'/>";
    peer.sends(&question.repeat(20_000));
    fixture.node.eventually_logs(&["nuncio::incoming", "closed", "the peer does not read"]);
    was_told_of_the_timeout(|| peer.reads(SOON).ok());
}

// rows: B21
#[test]
fn a_component_that_does_not_read_gets_connection_timeout() {
    // Long enough for the next peer, which reads, on a busy machine.
    let fixture = Fixture::with(setup().set("s2s.write_timeout", "\"4s\""));
    let mut deaf = Component::connect_deaf(fixture.node.address(), INBOX);
    let mut sender = fixture.node.outbox();
    let (from, body) = (sender.name().to_owned(), "x".repeat(60_000));
    let flood = sender.floods(400, move |number| {
        format!("<message from='{from}' to='{INBOX}' id='{number}'><body>{body}</body></message>")
    });
    fixture.node.eventually_logs(&[
        "nuncio::component",
        "disconnected",
        INBOX,
        "the component does not read",
    ]);
    let mut next = fixture.node.inbox();
    was_told_of_the_timeout(|| {
        let heard = deaf.hear(SOON).ok()?;
        Some(String::from_utf8_lossy(&heard).into_owned())
    });
    assert_eq!(flood.join().unwrap(), 400);
    sender.sends_message(INBOX, "later", "");
    assert_eq!(next.receives_id("later").name, "message");
}

/// The last data are the stream error and the closing tag.
#[track_caller]
fn was_told_of_the_timeout(mut hears: impl FnMut() -> Option<String>) {
    let mut heard = Vec::new();
    while let Some(more) = hears() {
        heard.drain(..heard.len().saturating_sub(500));
        heard.extend(more.into_bytes());
    }
    let end = String::from_utf8_lossy(&heard);
    assert!(end.contains("<connection-timeout"), "{end}");
    assert!(end.ends_with("</stream:stream>"), "{end}");
}
