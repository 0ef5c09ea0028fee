//! With a journal, stanzas of an incoming stream count when they are settled or written (XEP-0198).

use super::{
    receiver::{Receiver, settled},
    *,
};

const B: &str = "b.example";

/// `journal.after`.
const AFTER: Duration = Duration::from_millis(100);

#[actix::test]
async fn a_request_for_an_ack_is_answered_when_all_before_it_is_settled_or_written() {
    tokio::time::pause();
    let mut node = Receiver::start_with_journal(AFTER);
    let (mut peer, _) = node.connect_with_acks(B).await;
    for sent in [0, 3] {
        peer.sends(B, sent..sent + 3).await;
        settled().await;
    }
    peer.asks_for_ack().await;
    settled().await;
    peer.reads_nothing_for(Duration::from_millis(500)).await;
    node.settles_last(1);
    settled().await;
    peer.reads_nothing_for(Duration::from_millis(500)).await;
    // What comes behind the request is not waited for.
    peer.sends(B, 6..9).await;
    settled().await;
    node.settles(1);
    assert_eq!(attribute(&peer.reads_element("a").await, "h"), "6");
    node.settles(1);
    assert_eq!(peer.count().await, "9");
    assert_eq!(node.taken(), (0..9).collect::<Vec<_>>());
}

#[actix::test]
async fn a_slow_disk_holds_the_count_back_until_it_has_written() {
    tokio::time::pause();
    let mut node = Receiver::start_with_journal(AFTER);
    let (mut peer, _) = node.connect_with_acks(B).await;
    peer.sends(B, 0..3).await;
    peer.asks_for_ack().await;
    peer.reads_nothing_for(Duration::from_secs(14)).await;
    node.settles(1);
    assert_eq!(attribute(&peer.reads_element("a").await, "h"), "3");
    assert_eq!(node.acknowledged_early(), 0);
}

#[actix::test]
async fn a_disk_that_does_not_answer_holds_the_count_back_for_less_than_a_peer_waits_and_it_is_counted() {
    tokio::time::pause();
    for (after, longest) in [(AFTER, 15), (Duration::from_secs(3600), 20)] {
        let mut node = Receiver::start_with_journal(after);
        let (mut peer, _) = node.connect_with_acks(B).await;
        peer.sends(B, 0..3).await;
        let asked = clock::now();
        assert_eq!(peer.count().await, "3");
        let waited = clock::since(asked);
        assert!(waited >= Duration::from_secs(longest) && waited < Duration::from_secs(21), "{waited:?}");
        assert_eq!(node.acknowledged_early(), 3);
    }
}

#[actix::test]
async fn a_disk_that_is_known_to_hang_and_the_stop_of_the_node_hold_the_count_back_for_two_seconds() {
    tokio::time::pause();
    for is_stop in [false, true] {
        let mut node = Receiver::start_with_journal(AFTER);
        let (mut peer, _) = node.connect_with_acks(B).await;
        peer.sends(B, 0..3).await;
        settled().await;
        let asked = clock::now();
        if is_stop {
            peer.is_drained();
            assert_eq!(attribute(&peer.reads_end().await, "h"), "3");
        } else {
            node.journal_hangs();
            assert_eq!(peer.count().await, "3");
        }
        let waited = clock::since(asked);
        assert!(waited >= Duration::from_secs(2) && waited < Duration::from_secs(3), "{waited:?}");
        assert_eq!(node.acknowledged_early(), 3);
    }
}

#[actix::test]
async fn the_count_of_a_lost_stream_has_what_was_on_its_way_to_the_journal() {
    tokio::time::pause();
    let mut node = Receiver::start_with_journal(AFTER);
    let (mut peer, id) = node.connect_with_acks(B).await;
    peer.sends(B, 0..3).await;
    settled().await;
    drop(peer);
    settled().await;
    let mut next = node.connect(B).await;
    next.asks_to_resume(&id).await;
    settled().await;
    node.settles(1);
    assert_eq!(next.reads_answer().await, "resumed 3");
}

#[actix::test]
async fn the_last_ack_of_a_stream_that_closes_has_everything() {
    tokio::time::pause();
    let mut node = Receiver::start_with_journal(AFTER);
    let (mut peer, _) = node.connect_with_acks(B).await;
    peer.sends(B, 0..3).await;
    settled().await;
    peer.writes("</stream:stream>").await;
    settled().await;
    peer.reads_nothing_for(Duration::from_millis(500)).await;
    node.settles(1);
    let end = peer.reads("</stream:stream>").await;
    assert!(end.contains("h='3'") || end.contains("h=\"3\""), "{end}");
}

#[actix::test]
async fn what_an_actor_held_that_has_panicked_is_not_acknowledged_and_ends_the_stream() {
    tokio::time::pause();
    let mut node = Receiver::start_with_journal(AFTER);
    let (mut peer, _) = node.connect_with_acks(B).await;
    peer.sends(B, 0..3).await;
    settled().await;
    node.settles(1);
    assert_eq!(peer.count().await, "3");
    for sent in [3, 6] {
        peer.sends(B, sent..sent + 3).await;
        settled().await;
    }
    node.panics();
    // The stream does not wait for a disk that does not answer: it ends at once.
    settled().await;
    let end = peer.reads_end().await;
    assert!(end.contains("internal-server-error"), "{end}");
    assert!(!end.contains("h='6'") && !end.contains("h='9'"), "{end}");
}
