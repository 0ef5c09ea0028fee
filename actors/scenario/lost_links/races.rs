//! Races at the loss of a link; the documentation of the crate lists them.

use super::*;

#[actix::test]
async fn an_acknowledgement_that_arrives_with_the_end_of_the_link_counts() {
    tokio::time::pause();
    let mut node = Node::with_acks(64 * 1024, Acks::AckAndCutAt(49)).await;
    node.sends("b.example", 50).await;
    tokio::time::sleep(MOMENT).await;
    node.balances().await;
    let account = node.account().await;
    assert_eq!((account.acknowledged().stanzas, account.waiting().stanzas), (50, 0));
    node.sends("b.example", 5).await;
    node.outcomes().await.check_exactly_once();
}

#[actix::test]
async fn the_peer_is_asked_again_after_a_loss_before_its_answer() {
    tokio::time::pause();
    let mut node = Node::with_acks(64 * 1024, Acks::Resumable).await;
    node.sends("b.example", 5).await;
    tokio::time::sleep(MOMENT).await;
    node.set_resumption(Resumption::Broken);
    node.cuts_every_link();
    node.dials(3).await;
    node.balances().await;
    assert_eq!(node.account().await.waiting().stanzas, 5);
    node.set_resumption(Resumption::Resumed);
    node.dials(4).await;
    let asked = node.streams_asked();
    assert_eq!(asked, ["stream 1", "stream 1", "stream 1"], "always for the first stream");
    node.outcomes().await.check_exactly_once();
}

#[actix::test]
async fn a_stream_that_was_resumed_can_be_lost_before_everything_was_sent_again() {
    tokio::time::pause();
    let mut node = Node::with_acks(512, Acks::Resumable).await;
    node.set_reading(Reading::Slow);
    node.sends("b.example", 300).await;
    node.dials(1).await;
    // In this time a part is read.
    tokio::time::sleep(MOMENT).await;
    node.cuts_every_link();
    for dials in 2..5 {
        node.dials(dials).await;
        tokio::time::sleep(MOMENT).await;
        node.sends("b.example", 10).await;
        node.balances().await;
        node.cuts_every_link();
    }
    node.dials(5).await;
    node.set_reading(Reading::Fast);
    let asked = node.streams_asked();
    assert_eq!(asked, ["stream 1"; 4], "the name stays when a stream is resumed");
    let outcomes = node.outcomes().await;
    outcomes.check_exactly_once();
    assert_eq!(outcomes.arrived("b.example"), (0..330).collect::<Vec<_>>());
}

#[actix::test]
async fn a_peer_that_does_not_answer_is_asked_once() {
    tokio::time::pause();
    let mut node = Node::with_acks(64 * 1024, Acks::Resumable).await;
    node.sends("b.example", 5).await;
    tokio::time::sleep(MOMENT).await;
    node.set_resumption(Resumption::Silent);
    node.cuts_every_link();
    node.dials(3).await;
    assert_eq!(node.streams_asked(), ["stream 1"]);
    node.balances().await;
    let outcomes = node.outcomes().await;
    outcomes.check();
    assert_eq!(outcomes.account.repeated().stanzas, 5);
}

#[actix::test]
async fn a_peer_that_has_lost_its_memory_is_not_asked_for_what_is_sent_again() {
    tokio::time::pause();
    let mut node = Node::with_acks(64 * 1024, Acks::Resumable).await;
    node.sends("b.example", 5).await;
    tokio::time::sleep(MOMENT).await;
    node.remotes.counts.send_modify(|counts| counts.handled.clear());
    node.cuts_every_link();
    node.dials(2).await;
    node.balances().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(node.account().await.acknowledged().stanzas, 5, "on the second stream");
    let outcomes = node.outcomes().await;
    outcomes.check();
    assert_eq!(outcomes.arrived("b.example"), [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]);
}

#[actix::test]
async fn a_lost_stream_is_not_asked_for_when_its_time_is_over() {
    tokio::time::pause();
    let mut node = Node::with_acks(64 * 1024, Acks::Resumable).await;
    node.sends("b.example", 5).await;
    tokio::time::sleep(MOMENT).await;
    node.remotes_are_up(false);
    node.cuts_every_link();
    tokio::time::sleep(Duration::from_secs(121)).await;
    node.remotes_are_up(true);
    let asked = node.remotes.counts.subscribe();
    let outcomes = node.outcomes().await;
    outcomes.check();
    assert!(asked.borrow().asked.is_empty());
    assert_eq!(outcomes.account.repeated().stanzas, 5);
}

#[actix::test]
async fn a_count_that_the_peer_cannot_have_ends_the_stream_and_settles_nothing() {
    tokio::time::pause();
    let mut node = Node::with_acks(64 * 1024, Acks::Resumable).await;
    node.sends("b.example", 5).await;
    tokio::time::sleep(MOMENT).await;
    node.set_resumption(Resumption::TooMany);
    node.cuts_every_link();
    node.dials(2).await;
    node.balances().await;
    assert_eq!(node.account().await.acknowledged().stanzas, 0);
    let outcomes = node.outcomes().await;
    outcomes.check();
    assert_eq!(outcomes.account.repeated().stanzas, 5);
    assert_eq!(outcomes.account.acknowledged().stanzas, 5);
}

#[actix::test]
async fn a_reload_that_forbids_the_pair_answers_what_a_lost_link_carried() {
    tokio::time::pause();
    let mut node = Node::with_acks(64 * 1024, Acks::Resumable).await;
    node.sends("b.example", 5).await;
    tokio::time::sleep(MOMENT).await;
    node.remotes_are_up(false);
    node.cuts_every_link();
    tokio::time::sleep(MOMENT).await;
    node.adopts(|remotes| remotes.denied = "b.example").await;
    tokio::time::sleep(MOMENT).await;
    node.balances().await;
    let outcomes = node.outcomes().await;
    outcomes.check();
    assert_eq!(outcomes.bounced("b.example"), [0, 1, 2, 3, 4]);
    let says_so = |seen: &Seen| seen.stanza.contains("it may have arrived");
    assert!(outcomes.bounced["b.example"].iter().all(says_so));
}

#[actix::test]
async fn what_a_lost_link_carried_goes_before_what_came_meanwhile() {
    tokio::time::pause();
    let mut node = Node::with_acks(512, Acks::Resumable).await;
    node.sends("b.example", 100).await;
    tokio::time::sleep(Duration::from_millis(90)).await;
    node.remotes_are_up(false);
    node.cuts_every_link();
    for _ in 0..10 {
        node.sends("b.example", 5).await;
        tokio::time::sleep(MOMENT).await;
    }
    node.balances().await;
    node.remotes_are_up(true);
    let outcomes = node.outcomes().await;
    outcomes.check_exactly_once();
    assert_eq!(outcomes.arrived("b.example"), (0..150).collect::<Vec<_>>());
}
