//! Bounds: the window, the time of the peer's answer, the number of times a stanza is sent, and the counts.

use super::*;

#[actix::test]
async fn a_peer_that_never_acknowledges_takes_bounded_memory_and_pauses_no_source() {
    tokio::time::pause();
    let mut node = Node::with_acks(1 << 20, Acks::Silent).await;
    for _ in 0..20 {
        node.sends("b.example", 500).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let account = node.account().await;
    assert_eq!(account.taken().stanzas, 10_000);
    let unacked = account.unacked();
    assert!((100..256 * 1024).contains(&unacked.bytes), "{account:?}");
    assert!(account.waiting().stanzas > 1000, "{account:?}");
    node.balances().await;
    node.set_acks(Acks::Plain);
    tokio::time::sleep(Duration::from_secs(40)).await;
    node.outcomes().await.check();
}

#[actix::test]
async fn a_peer_that_acknowledges_soon_gets_a_larger_window() {
    tokio::time::pause();
    let behaviour = Behaviour { acks: Acks::Plain, ..Behaviour::default() };
    let mut node = Node::start_with(1 << 20, super::super::slow_links::wide_bounds(), behaviour).await;
    for _ in 0..40 {
        node.sends("b.example", 1000).await;
    }
    node.outcomes().await.check_exactly_once();
}

#[actix::test]
async fn an_unanswered_request_ends_the_stream_and_what_it_carried_goes_to_the_next() {
    tokio::time::pause();
    let mut node = Node::with_acks(64 * 1024, Acks::Silent).await;
    node.sends("b.example", 5).await;
    tokio::time::sleep(Duration::from_secs(29)).await;
    assert_eq!((node.remotes.dials.load(Relaxed), node.account().await.unacked().stanzas), (1, 5));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(node.remotes.dials.load(Relaxed), 2);
    node.balances().await;
    node.set_acks(Acks::Plain);
    let outcomes = node.outcomes().await;
    outcomes.check();
    assert_eq!(outcomes.arrived("b.example"), [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]);
}

#[actix::test]
async fn an_idle_link_is_checked_with_a_request() {
    tokio::time::pause();
    let mut node = Node::with_acks(64 * 1024, Acks::Plain).await;
    node.sends("b.example", 5).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(node.account().await.acknowledged().stanzas, 5);
    node.set_acks(Acks::Silent);
    // The keepalive of five minutes, and the time for the answer.
    tokio::time::sleep(Duration::from_secs(300 + 30 + 60)).await;
    node.set_acks(Acks::Plain);
    node.sends("b.example", 1).await;
    node.dials(2).await;
    node.outcomes().await.check_exactly_once();
}

#[actix::test]
async fn a_stanza_that_ends_each_link_is_answered_after_three_and_those_behind_it_arrive() {
    tokio::time::pause();
    for acks in [Acks::CutAt(7), Acks::Reject(7)] {
        let mut node = Node::with_acks(64 * 1024, acks).await;
        node.sends("b.example", 20).await;
        let dials = Arc::clone(&node.remotes.dials);
        let outcomes = node.outcomes().await;
        outcomes.check();
        assert_eq!(outcomes.bounced("b.example"), [7], "{acks:?}");
        let once: std::collections::BTreeSet<_> = outcomes.arrived("b.example").into_iter().collect();
        assert_eq!(once.len(), 20, "{acks:?}");
        let expected = if acks == Acks::CutAt(7) { 4 } else { 3 };
        assert_eq!(dials.load(Relaxed), expected, "{acks:?}");
    }
}

#[actix::test]
async fn a_peer_that_acknowledges_too_much_loses_the_stream_and_no_stanza() {
    tokio::time::pause();
    let mut node = Node::with_acks(64 * 1024, Acks::TooMany).await;
    node.sends("b.example", 5).await;
    tokio::time::sleep(MOMENT).await;
    node.balances().await;
    assert_eq!(node.account().await.acknowledged().stanzas, 0);
    node.set_acks(Acks::Plain);
    let outcomes = node.outcomes().await;
    outcomes.check();
    assert_eq!(outcomes.account.acknowledged().stanzas, 5);
    assert!(outcomes.bounced.is_empty());
}

#[actix::test]
async fn counts_wrap_and_a_worn_stream_is_replaced_in_good_order() {
    tokio::time::pause();
    for count in [u32::MAX - 5, xmpp::acks::RENEW_AT - 5] {
        let mut node = Node::with_acks(64 * 1024, Acks::Resumable).await;
        node.set_resumption(Resumption::After(count));
        node.sends("b.example", 10).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(node.account().await.acknowledged().stanzas, 10, "{count}");
        if count == xmpp::acks::RENEW_AT - 5 {
            // Deadlines are looked at every 15 s.
            tokio::time::sleep(Duration::from_secs(20)).await;
            node.sends("b.example", 10).await;
            node.dials(2).await;
        }
        node.balances().await;
        node.outcomes().await.check_exactly_once();
    }
}
