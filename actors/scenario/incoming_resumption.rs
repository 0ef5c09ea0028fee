//! Incoming streams that are resumed (XEP-0198 section 5): the count is exact, whatever comes between.

use super::{
    receiver::{Peer, RESUME_TIMEOUT, Receiver, settled},
    *,
};

const B: &str = "b.example";

/// Loses a connection: the node sees its end.
async fn cut(peer: Peer) {
    drop(peer);
    settled().await;
}

// H7, H19
#[actix::test]
async fn a_lost_stream_goes_on_with_its_count_and_its_id() {
    tokio::time::pause();
    let mut node = Receiver::start();
    let (mut peer, id) = node.connect_with_acks(B).await;
    let mut sent = 0;
    for _ in 0..5 {
        peer.sends(B, sent..sent + 7).await;
        sent += 7;
        settled().await;
        cut(peer).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        let (next, answer) = node.resume(B, &id).await;
        assert_eq!(answer, format!("resumed {sent}"));
        peer = next;
        assert_eq!(peer.count().await, sent.to_string());
    }
    settled().await;
    assert_eq!(node.taken(), (0..sent).collect::<Vec<_>>());
}

// H19
#[actix::test]
async fn the_count_is_given_when_the_stream_is_over_and_forgotten_later() {
    tokio::time::pause();
    let mut node = Receiver::start();
    let (mut peer, id) = node.connect_with_acks(B).await;
    peer.sends(B, 0..4).await;
    settled().await;
    cut(peer).await;
    tokio::time::sleep(RESUME_TIMEOUT).await;
    for _ in 0..2 {
        let (_, answer) = node.resume(B, &id).await;
        assert_eq!(answer, "failed 4");
    }
    tokio::time::sleep(Duration::from_secs(10 * 60)).await;
    let (mut peer, answer) = node.resume(B, &id).await;
    assert_eq!(answer, "failed item-not-found");
    // The stream goes on as a new one.
    peer.writes("<enable xmlns='urn:xmpp:sm:3' resume='true'/>").await;
    let enabled = peer.reads_element("enabled").await;
    assert_ne!(attribute(&enabled, "id"), id);
    peer.sends(B, 4..6).await;
    assert_eq!(peer.count().await, "2");
}

// The last ack may be lost with the connection.
#[actix::test]
async fn the_count_of_a_stream_that_we_closed_is_given() {
    tokio::time::pause();
    let mut node = Receiver::start();
    let (mut peer, id) = node.connect_with_acks(B).await;
    peer.sends(B, 0..4).await;
    settled().await;
    peer.is_drained();
    settled().await;
    cut(peer).await;
    let (_, answer) = node.resume(B, &id).await;
    assert_eq!(answer, "failed 4");
}

// H8, H20
#[actix::test]
async fn a_connection_that_seems_alive_yields_and_takes_nothing_more() {
    tokio::time::pause();
    let mut node = Receiver::start();
    let (mut old, id) = node.connect_with_acks(B).await;
    old.sends(B, 0..5).await;
    let (mut new, answer) = node.resume(B, &id).await;
    assert_eq!(answer, "resumed 5");
    // They were on their way on the old connection.
    old.sends(B, 5..8).await;
    new.sends(B, 5..10).await;
    assert_eq!(new.count().await, "10");
    let end = old.reads_end().await;
    let (ack, rest) = end.split_once("<stream:error>").unwrap();
    assert_eq!(attribute(ack, "h"), "5", "{end}");
    assert!(rest.contains("<conflict"), "{end}");
    settled().await;
    assert_eq!(node.taken(), (0..10).collect::<Vec<_>>());
    // The end of the old connection changes nothing.
    tokio::time::sleep(Duration::from_secs(30)).await;
    cut(new).await;
    let (_, answer) = node.resume(B, &id).await;
    assert_eq!(answer, "resumed 10");
}

#[actix::test]
async fn a_yield_waits_until_the_router_has_taken_what_was_read() {
    tokio::time::pause();
    let mut node = Receiver::start();
    let (mut old, id) = node.connect_with_acks(B).await;
    node.is_full().await;
    old.sends(B, 0..3).await;
    settled().await;
    let mut new = node.connect(B).await;
    new.asks_to_resume(&id).await;
    // Read after the answer.
    new.sends(B, 3..6).await;
    new.reads_nothing_for(Duration::from_secs(1)).await;
    assert!(node.taken().is_empty());
    node.has_room();
    assert_eq!(new.reads_answer().await, "resumed 3");
    assert_eq!(new.count().await, "6");
    settled().await;
    assert_eq!(node.taken(), [0, 1, 2, 3, 4, 5]);
}

#[actix::test]
async fn a_claim_that_has_waited_for_two_seconds_may_be_made_again() {
    tokio::time::pause();
    let mut node = Receiver::start();
    let (mut old, id) = node.connect_with_acks(B).await;
    node.is_full().await;
    old.sends(B, 0..3).await;
    settled().await;
    let began = clock::now();
    let mut early = node.connect(B).await;
    early.asks_to_resume(&id).await;
    let end = early.reads_end().await;
    assert!(end.contains("<resource-constraint") && !end.contains("<failed"), "{end}");
    let took = clock::since(began);
    assert!(took >= Duration::from_secs(2) && took < Duration::from_secs(3), "{took:?}");
    // What the router takes later is counted for a later claim.
    node.has_room();
    settled().await;
    let (_, answer) = node.resume(B, &id).await;
    assert_eq!(answer, "resumed 3");
}

#[actix::test]
async fn a_second_loss_before_the_answer_changes_nothing() {
    tokio::time::pause();
    for waits in [false, true] {
        let mut node = Receiver::start();
        let (mut old, id) = node.connect_with_acks(B).await;
        if waits {
            node.is_full().await;
        }
        old.sends(B, 0..3).await;
        settled().await;
        for _ in 0..3 {
            // The claim is lost with its connection, before it is answered or just after.
            let mut lost = node.connect(B).await;
            lost.asks_to_resume(&id).await;
            if waits {
                settled().await;
            }
            drop(lost);
        }
        node.has_room();
        settled().await;
        let (mut new, answer) = node.resume(B, &id).await;
        assert_eq!(answer, "resumed 3", "the claim waited: {waits}");
        new.sends(B, 3..5).await;
        assert_eq!(new.count().await, "5");
        settled().await;
        assert_eq!(node.taken(), [0, 1, 2, 3, 4]);
        drop(old);
    }
}

#[actix::test]
async fn a_loss_after_the_answer_keeps_what_was_taken_meanwhile() {
    tokio::time::pause();
    let mut node = Receiver::start();
    let (mut old, id) = node.connect_with_acks(B).await;
    old.sends(B, 0..3).await;
    settled().await;
    cut(old).await;
    let (mut second, answer) = node.resume(B, &id).await;
    assert_eq!(answer, "resumed 3");
    second.sends(B, 3..4).await;
    let (_, answer) = node.resume(B, &id).await;
    assert_eq!(answer, "resumed 4", "the second connection yields");
    assert!(second.reads_end().await.contains("<conflict"));
}

#[actix::test]
async fn of_several_claims_at_once_the_last_one_resumes() {
    tokio::time::pause();
    let mut node = Receiver::start();
    let (mut old, id) = node.connect_with_acks(B).await;
    node.is_full().await;
    old.sends(B, 0..3).await;
    settled().await;
    let mut claims = Vec::new();
    for _ in 0..6 {
        claims.push(node.connect(B).await);
        claims.last_mut().unwrap().asks_to_resume(&id).await;
        settled().await;
    }
    node.has_room();
    let mut last = claims.pop().unwrap();
    assert_eq!(last.reads_answer().await, "resumed 3");
    for overtaken in claims {
        let end = overtaken.reads_end().await;
        assert!(end.starts_with("<stream:error><conflict"), "{end}");
    }
    last.sends(B, 3..5).await;
    assert_eq!(last.count().await, "5");
    settled().await;
    assert_eq!(node.taken(), [0, 1, 2, 3, 4]);
}

// The stream is lost already: each claim but the last one gets it for a moment, or is overtaken.
#[actix::test]
async fn of_several_claims_of_a_lost_stream_the_last_one_resumes() {
    tokio::time::pause();
    let mut node = Receiver::start();
    let (mut old, id) = node.connect_with_acks(B).await;
    old.sends(B, 0..3).await;
    settled().await;
    cut(old).await;
    let mut claims = Vec::new();
    for _ in 0..6 {
        claims.push(node.connect(B).await);
    }
    for claim in &mut claims {
        claim.asks_to_resume(&id).await;
    }
    let mut last = claims.pop().unwrap();
    assert_eq!(last.reads_answer().await, "resumed 3");
    for overtaken in claims {
        let end = overtaken.reads_end().await;
        assert!(end.contains("<stream:error><conflict") && !end.contains("<failed"), "{end}");
    }
    last.sends(B, 3..5).await;
    assert_eq!(last.count().await, "5");
    settled().await;
    assert_eq!(node.taken(), [0, 1, 2, 3, 4]);
}

// H8
#[actix::test]
async fn another_domain_resumes_nothing_and_disturbs_nobody() {
    tokio::time::pause();
    let mut node = Receiver::start();
    let (mut peer, id) = node.connect_with_acks(B).await;
    peer.sends(B, 0..3).await;
    settled().await;
    let (_, answer) = node.resume("c.example", &id).await;
    assert_eq!(answer, "failed item-not-found", "the stream is up");
    assert_eq!(peer.count().await, "3");
    cut(peer).await;
    let (_, answer) = node.resume("c.example", &id).await;
    assert_eq!(answer, "failed item-not-found", "the stream is lost");
    let (_, answer) = node.resume(B, &id).await;
    assert_eq!(answer, "resumed 3");
}

#[actix::test]
async fn a_stream_cannot_claim_its_own_id() {
    tokio::time::pause();
    let mut node = Receiver::start();
    let (mut peer, id) = node.connect_with_acks(B).await;
    peer.asks_to_resume(&id).await;
    assert_eq!(peer.reads_answer().await, "failed unexpected-request");
    peer.sends(B, 0..3).await;
    assert_eq!(peer.count().await, "3");
}

#[actix::test]
async fn a_reload_that_forbids_the_pair_removes_its_lost_stream() {
    tokio::time::pause();
    let mut node = Receiver::start();
    let (mut peer, id) = node.connect_with_acks(B).await;
    let (mut other, kept) = node.connect_with_acks("c.example").await;
    peer.sends(B, 0..3).await;
    other.sends("c.example", 3..4).await;
    settled().await;
    cut(peer).await;
    cut(other).await;
    node.forbids(&[B]);
    node.forbids(&[]);
    assert_eq!(node.resume(B, &id).await.1, "failed item-not-found");
    assert_eq!(node.resume("c.example", &kept).await.1, "resumed 1");
}

#[actix::test]
async fn the_lost_streams_are_bounded_and_the_oldest_is_forgotten_first() {
    tokio::time::pause();
    let mut node = Receiver::start_with(2);
    let mut ids = Vec::new();
    for _ in 0..3 {
        let (peer, id) = node.connect_with_acks(B).await;
        cut(peer).await;
        ids.push(id);
    }
    // A stream that is up counts for nothing.
    let (up, _) = node.connect_with_acks(B).await;
    let answers = [node.resume(B, &ids[0]).await.1, node.resume(B, &ids[2]).await.1];
    assert_eq!(answers, ["failed item-not-found", "resumed 0"]);
    drop(up);
}

// A closed stream leaves only its count, which is needed in rare cases: it is removed before the lost ones.
#[actix::test]
async fn closed_streams_do_not_displace_lost_ones() {
    tokio::time::pause();
    let mut node = Receiver::start_with(2);
    let (peer, lost) = node.connect_with_acks(B).await;
    cut(peer).await;
    for _ in 0..5 {
        let (mut peer, _) = node.connect_with_acks(B).await;
        peer.writes(FOOTER).await;
        peer.reads_end().await;
        settled().await;
    }
    assert_eq!(node.resume(B, &lost).await.1, "resumed 0");
}

// H25
#[actix::test]
async fn ids_have_at_least_128_bits_and_are_not_used_again() {
    tokio::time::pause();
    let mut node = Receiver::start();
    let mut ids = std::collections::HashSet::new();
    for _ in 0..200 {
        let (_, id) = node.connect_with_acks(B).await;
        assert!(id.len() >= 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        assert!(ids.insert(id));
    }
}

#[actix::test]
async fn a_stream_that_closes_before_it_gets_the_count_leaves_it_to_the_next() {
    tokio::time::pause();
    let mut node = Receiver::start();
    let (mut old, id) = node.connect_with_acks(B).await;
    node.is_full().await;
    old.sends(B, 0..3).await;
    settled().await;
    let mut closing = node.connect(B).await;
    closing.asks_to_resume(&id).await;
    settled().await;
    closing.is_drained();
    node.has_room();
    let end = closing.reads_end().await;
    assert!(end.contains("system-shutdown") && !end.contains("<resumed"), "{end}");
    let (_, answer) = node.resume(B, &id).await;
    assert_eq!(answer, "resumed 3");
}
