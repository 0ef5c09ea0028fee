//! Links that both sides close, and the stop of the node.

use super::*;

#[actix::test]
async fn a_link_closed_by_an_operator_is_acknowledged_to_the_end() {
    tokio::time::pause();
    for acks in [Acks::Plain, Acks::Resumable] {
        let mut node = Node::with_acks(512, acks).await;
        for _ in 0..5 {
            node.sends("b.example", 100).await;
            tokio::time::sleep(Duration::from_millis(1500)).await;
            let (links, down) = node.operator_closes("b.example").await;
            assert_eq!(links, 1);
            node.sends("b.example", 50).await;
            assert!(down.within(Duration::from_secs(6)).await, "the link is down");
            node.balances().await;
        }
        node.outcomes().await.check_exactly_once();
    }
}

#[actix::test]
async fn a_node_that_stops_waits_for_the_last_acknowledgement() {
    tokio::time::pause();
    let mut node = Node::with_acks(64 * 1024, Acks::Resumable).await;
    node.sends("b.example", 100).await;
    tokio::time::sleep(MOMENT).await;
    assert_eq!(node.account().await.unacked().stanzas, 100);
    let outcomes = node.stops().await;
    outcomes.check_exactly_once();
    assert_eq!(outcomes.account.acknowledged().stanzas, 100);
}

#[actix::test]
async fn what_is_not_acknowledged_when_the_node_has_stopped_is_uncertain() {
    tokio::time::pause();
    let mut node = Node::with_acks(64 * 1024, Acks::Silent).await;
    node.sends("b.example", 10).await;
    tokio::time::sleep(MOMENT).await;
    let outcomes = node.stops().await;
    outcomes.check();
    assert_eq!(outcomes.account.settled(Outcome::Uncertain).stanzas, 10);
    assert!(outcomes.bounced.is_empty());
}

#[actix::test]
async fn what_a_lost_link_carried_is_answered_when_the_node_stops() {
    tokio::time::pause();
    let mut node = Node::with_acks(64 * 1024, Acks::Resumable).await;
    node.sends("b.example", 10).await;
    tokio::time::sleep(MOMENT).await;
    node.remotes_are_up(false);
    node.cuts_every_link();
    tokio::time::sleep(MOMENT).await;
    let outcomes = node.stops().await;
    outcomes.check();
    assert_eq!(outcomes.bounced("b.example"), (0..10).collect::<Vec<_>>());
    assert!(outcomes.bounced["b.example"].iter().all(|seen| seen.stanza.contains("it may have arrived")));
}

#[actix::test]
async fn the_last_acknowledgement_of_a_peer_that_closes_the_stream_is_final() {
    tokio::time::pause();
    let mut node = Node::with_acks(64 * 1024, Acks::CloseAfter(6)).await;
    node.set_resumption(Resumption::Forgotten);
    node.sends_all("b.example", &[Kind::Message, Kind::Request].repeat(10)).await;
    // The first attempt takes 80 ms, and the next one as long.
    tokio::time::sleep(MOMENT / 2).await;
    let account = node.account().await;
    assert_eq!((account.acknowledged().stanzas, account.waiting().stanzas), (7, 13));
    node.balances().await;
    node.set_acks(Acks::Resumable);
    let asked = node.remotes.counts.clone();
    let outcomes = node.outcomes().await;
    outcomes.check_exactly_once();
    assert_eq!(outcomes.arrived("b.example"), (0..20).collect::<Vec<_>>());
    assert!(outcomes.bounced.is_empty() && asked.borrow().asked.is_empty());
}
