//! Acks of incoming streams (XEP-0198): what the router took is counted, and nothing else.

use super::{
    receiver::{Receiver, message, settled},
    *,
};

const B: &str = "b.example";

// H3, H4
#[actix::test]
async fn stanzas_are_counted_from_the_moment_when_acks_are_enabled() {
    tokio::time::pause();
    let mut node = Receiver::start();
    let mut peer = node.connect(B).await;
    let early: String = (0..3).map(|number| message(B, number)).collect();
    peer.writes(&format!("{early}<enable xmlns='urn:xmpp:sm:3'/>{}", message(B, 3))).await;
    peer.reads_element("enabled").await;
    assert_eq!(peer.count().await, "1");
    peer.sends(B, 4..1004).await;
    assert_eq!(peer.count().await, "1001");
    settled().await;
    assert_eq!(node.taken(), (0..1004).collect::<Vec<_>>());
}

// H14
#[actix::test]
async fn an_ack_waits_until_the_router_has_taken_the_stanzas() {
    tokio::time::pause();
    let mut node = Receiver::start();
    let (mut peer, _) = node.connect_with_acks(B).await;
    node.is_full().await;
    peer.sends(B, 0..3).await;
    peer.asks_for_ack().await;
    peer.reads_nothing_for(Duration::from_secs(2)).await;
    assert!(node.taken().is_empty());
    node.has_room();
    let ack = peer.reads_element("a").await;
    assert_eq!(attribute(&ack, "h"), "3");
    assert_eq!(node.taken(), [0, 1, 2]);
}

// H14
#[actix::test]
async fn a_stanza_that_is_answered_counts_and_one_that_ends_the_stream_does_not() {
    tokio::time::pause();
    let mut node = Receiver::start();
    let (mut peer, _) = node.connect_with_acks(B).await;
    // Its recipient is a domain that the peer did not prove itself to: answered.
    let misdirected = format!("<message from='b@{B}' to='x@other.example' id='m'><n>7</n></message>");
    let spoofed = format!("<message from='c@c.example' to='a@{OURS}'><n>8</n></message>");
    peer.writes(&format!("{}{misdirected}{spoofed}{}", message(B, 0), message(B, 1))).await;
    let end = peer.reads_end().await;
    let (ack, rest) = end.split_once("<stream:error>").unwrap();
    assert_eq!(attribute(ack, "h"), "2", "{end}");
    assert!(rest.contains("invalid-from"), "{end}");
    settled().await;
    assert_eq!(node.taken(), [0]);
}

// H15
#[actix::test]
async fn the_last_ack_comes_before_our_closing_tag_when_the_peer_closes() {
    tokio::time::pause();
    let mut node = Receiver::start();
    let (mut peer, _) = node.connect_with_acks(B).await;
    node.is_full().await;
    peer.sends(B, 0..5).await;
    peer.writes(FOOTER).await;
    peer.reads_nothing_for(Duration::from_secs(1)).await;
    node.has_room();
    let end = peer.reads_end().await;
    assert_eq!(attribute(&end, "h"), "5", "{end}");
    assert_eq!(node.taken(), [0, 1, 2, 3, 4]);
}

// H15, H16
#[actix::test]
async fn a_node_that_stops_takes_nothing_after_its_last_ack() {
    tokio::time::pause();
    for is_full in [false, true] {
        let mut node = Receiver::start();
        let (mut peer, _) = node.connect_with_acks(B).await;
        if is_full {
            node.is_full().await;
        }
        peer.sends(B, 0..5).await;
        settled().await;
        peer.is_drained();
        settled().await;
        peer.sends(B, 5..10).await;
        peer.asks_for_ack().await;
        settled().await;
        node.has_room();
        let end = peer.reads_end().await;
        let (ack, rest) = end.split_once("<stream:error>").unwrap();
        assert_eq!(attribute(ack, "h"), "5", "{end}");
        assert!(rest.contains("system-shutdown") && !rest.contains("<a "), "{end}");
        settled().await;
        assert_eq!(node.taken(), [0, 1, 2, 3, 4], "full: {is_full}");
    }
}

// B17
#[actix::test]
async fn without_acks_stanzas_are_taken_until_the_peer_closes() {
    tokio::time::pause();
    let mut node = Receiver::start();
    let mut peer = node.connect(B).await;
    peer.sends(B, 0..5).await;
    settled().await;
    peer.is_drained();
    settled().await;
    peer.sends(B, 5..10).await;
    peer.reads_end().await;
    settled().await;
    assert_eq!(node.taken(), (0..10).collect::<Vec<_>>());
}

// H15
#[actix::test]
async fn an_idle_stream_is_closed_with_a_last_ack() {
    tokio::time::pause();
    let mut node = Receiver::start();
    let (mut peer, _) = node.connect_with_acks(B).await;
    peer.sends(B, 0..2).await;
    let end = peer.reads_end().await;
    assert_eq!(attribute(&end, "h"), "2", "{end}");
    assert!(!end.contains("<stream:error>"), "{end}");
}

// Requests cost as much as other elements that bring no stanza: a flood of them is read slowly.
#[actix::test]
async fn a_flood_of_requests_is_paced() {
    tokio::time::pause();
    let mut node = Receiver::start();
    let (mut peer, _) = node.connect_with_acks(B).await;
    let began = clock::now();
    for _ in 0..20 {
        peer.writes(&"<r xmlns='urn:xmpp:sm:3'/>".repeat(500)).await;
    }
    peer.sends(B, 0..1).await;
    while node.taken().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // The last read may have 2,341 of them, and the burst of a second is allowed.
    let took = clock::since(began);
    assert!(took >= Duration::from_secs(6), "10,000 requests at 1,000 a second: {took:?}");
}
