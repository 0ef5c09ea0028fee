//! A stream is resumed while the node still holds its old connection.

use std::net::TcpStream;

use super::{INBOX, PEER, arrived, failure, ids, messages, setup};
use crate::support::{Component, Fixture, Peer, Proxy, Server, h, message};

// rows: H8
#[test]
fn the_old_connection_ends_with_conflict() {
    let fixture = Fixture::with(setup());
    let mut inbox = fixture.node.inbox();
    let mut old = fixture.peer();
    let id = old.enables_resumption();
    old.sends(&messages(0..5));
    assert_eq!(old.asks_count(), 5);
    let mut new = fixture.peer();
    let answer = new.resumes(&id, 0);
    assert_eq!((answer.name.as_str(), h(&answer)), ("resumed", 5), "{answer}");
    let before = old.reads_to_closing_tag();
    let error = before.iter().find(|element| element.name == "error").expect("a stream error");
    error.expect("conflict");
    // What the old connection brings now is neither delivered nor counted.
    old.sends(&messages(100..110));
    old.finishes();
    new.sends(&messages(5..8));
    assert_eq!(new.asks_count(), 8);
    assert_eq!(arrived(&mut inbox, 8), ids(0..8));
    fixture.nothing_arrived_at(&mut inbox);
}

// rows: H20
#[test]
fn what_the_old_connection_brings_late_is_not_delivered() {
    let fixture = Fixture::with(setup());
    let mut inbox = fixture.node.inbox();
    let proxy = Proxy::start(fixture.network.address(), fixture.node.address());
    let mut old = Peer::accepted(TcpStream::connect((proxy.address(), 5269)).unwrap());
    old.authenticates_here(PEER, INBOX, &fixture.identity);
    let id = old.enables_resumption();
    old.sends(&messages(0..5));
    assert_eq!(old.asks_count(), 5);
    proxy.holds();
    old.sends(&messages(5..10));
    let mut new = fixture.peer();
    let answer = new.resumes(&id, 0);
    assert_eq!((answer.name.as_str(), h(&answer)), ("resumed", 5), "{answer}");
    // Half of the rest is sent again before the late bytes come, half after that.
    new.sends(&messages(5..8));
    assert_eq!(new.asks_count(), 8);
    proxy.releases();
    old.waits_for_the_end();
    new.sends(&messages(8..10));
    assert_eq!(new.asks_count(), 10);
    assert_eq!(arrived(&mut inbox, 10), ids(0..10));
    fixture.nothing_arrived_at(&mut inbox);
}

// rows: H20 H8
#[test]
fn a_flooded_connection_yields_and_no_stanza_is_lost_or_comes_twice() {
    let fixture = Fixture::with(setup());
    let mut inbox = fixture.node.inbox();
    let mut peer = fixture.peer();
    let id = peer.enables_resumption();
    let mut handled = 0;
    for _ in 0..CUTS {
        // The node may have taken any part of these when the new connection asks.
        peer.sends(&messages(handled..handled + FLOOD));
        let mut new = fixture.peer();
        let answer = new.resumes(&id, 0);
        assert_eq!(answer.name, "resumed", "{answer}");
        let counted = h(&answer) as usize;
        assert!((handled..=handled + FLOOD).contains(&counted), "{counted} of {handled} and {FLOOD}");
        handled = counted;
        peer.waits_for_the_end();
        peer = new;
    }
    assert_eq!(peer.asks_count() as usize, handled);
    assert_eq!(arrived(&mut inbox, handled), ids(0..handled));
    fixture.nothing_arrived_at(&mut inbox);
}

// rows: H8
#[test]
fn a_stream_cannot_resume_itself() {
    let fixture = Fixture::with(setup());
    let mut inbox: Component = fixture.node.inbox();
    let mut peer = fixture.peer();
    let id = peer.enables_resumption();
    peer.sends(&message("0"));
    assert_eq!(peer.asks_count(), 1);
    assert_eq!(failure(&peer.resumes(&id, 0)), ("unexpected-request".into(), None));
    peer.sends(&message("1"));
    assert_eq!(peer.asks_count(), 2);
    assert_eq!(arrived(&mut inbox, 2), ids(0..2));
}

/// How often the stream is resumed, and the messages on each connection.
const CUTS: usize = 5;
const FLOOD: usize = 2000;
