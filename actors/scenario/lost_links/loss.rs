//! Links that are lost with unacknowledged stanzas.

use super::*;

#[actix::test]
async fn stanzas_that_the_peer_has_handled_are_acknowledged() {
    tokio::time::pause();
    for acks in [Acks::Plain, Acks::Resumable] {
        let mut node = Node::with_acks(64 * 1024, acks).await;
        node.sends("b.example", 500).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let account = node.account().await;
        assert_eq!((account.acknowledged().stanzas, account.unacked().stanzas), (500, 0), "{acks:?}");
        node.outcomes().await.check_exactly_once();
    }
}

#[actix::test]
async fn a_peer_that_does_not_resume_is_asked_at_once_and_little_is_in_doubt() {
    tokio::time::pause();
    let mut node = Node::with_acks(64 * 1024, Acks::Plain).await;
    for _ in 0..10 {
        node.sends("b.example", 20).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(node.account().await.unacked().stanzas, 0);
        node.cuts_every_link();
        node.balances().await;
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    node.outcomes().await.check_exactly_once();
}

#[actix::test]
async fn the_count_of_the_next_link_decides_what_is_sent_again() {
    tokio::time::pause();
    for resumption in [Resumption::Resumed, Resumption::Counted] {
        // A narrow pipe, so that at a cut many stanzas are on the way or not written.
        let mut node = Node::with_acks(512, Acks::Resumable).await;
        node.set_resumption(resumption);
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(1300)).await;
            for _ in 0..10 {
                node.sends("b.example", 25).await;
                tokio::task::yield_now().await;
            }
            node.cuts_every_link();
            node.balances().await;
        }
        assert!(node.streams_asked().len() > 10, "{:?}", node.streams_asked());
        let outcomes = node.outcomes().await;
        outcomes.check_exactly_once();
        assert_eq!(outcomes.arrived("b.example"), (0..5000).collect::<Vec<_>>(), "{resumption:?}");
    }
}

#[actix::test]
async fn stanzas_that_may_have_arrived_are_repeated_with_a_stamp_and_requests_are_answered() {
    tokio::time::pause();
    let mut node = Node::with_acks(64 * 1024, Acks::Resumable).await;
    node.set_resumption(Resumption::Forgotten);
    node.sends_all("b.example", &Kind::ALL).await;
    tokio::time::sleep(MOMENT).await;
    assert_eq!(node.account().await.unacked().stanzas, 6);
    node.cuts_every_link();
    tokio::time::sleep(MOMENT).await;
    node.balances().await;
    node.sends("b.example", 1).await;
    let outcomes = node.outcomes().await;
    outcomes.check();
    let arrived = outcomes.arrived["b.example"].iter().map(|seen| (seen.id, seen.is_stamped()));
    let expected =
        (0..6).map(|id| (id, false)).chain([0, 1, 2, 4, 5].map(|id| (id, true))).chain([(6, false)]);
    assert_eq!(arrived.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    let answer = &outcomes.bounced["b.example"][0];
    assert_eq!((outcomes.bounced("b.example").len(), answer.id), (1, 3), "the request");
    assert!(answer.stanza.contains("remote-server-timeout"), "{}", answer.stanza);
    assert!(answer.stanza.contains("it may have been carried out"), "{}", answer.stanza);
    let account = &outcomes.account;
    assert_eq!((account.repeated().stanzas, account.settled(Outcome::Uncertain).stanzas), (5, 0));
}

#[actix::test]
async fn nothing_is_repeated_where_the_configuration_says_never() {
    tokio::time::pause();
    let mut node = Node::with_acks(64 * 1024, Acks::Resumable).await;
    node.set_resumption(Resumption::Forgotten);
    node.adopts(|remotes| remotes.repeat = settings::Repeat::Never).await;
    node.sends_all("b.example", &Kind::ALL).await;
    tokio::time::sleep(MOMENT).await;
    node.cuts_every_link();
    let outcomes = node.outcomes().await;
    outcomes.check();
    assert_eq!(outcomes.arrived("b.example"), [0, 1, 2, 3, 4, 5]);
    assert_eq!(outcomes.bounced("b.example"), [3, 0, 1, 2], "requests are answered first");
    assert_eq!(outcomes.account.repeated().stanzas, 0);
}

#[actix::test]
async fn without_another_link_in_time_the_answer_says_that_a_stanza_may_have_arrived() {
    tokio::time::pause();
    let mut node = Node::with_acks(64 * 1024, Acks::Resumable).await;
    node.sends("b.example", 5).await;
    tokio::time::sleep(MOMENT).await;
    node.remotes_are_up(false);
    node.cuts_every_link();
    tokio::time::sleep(MOMENT).await;
    node.sends("b.example", 5).await;
    let outcomes = node.outcomes().await;
    outcomes.check();
    assert_eq!(outcomes.bounced("b.example"), (0..10).collect::<Vec<_>>());
    for seen in &outcomes.bounced["b.example"] {
        assert_eq!(seen.stanza.contains("it may have arrived"), seen.id < 5, "{}", seen.stanza);
        assert!(seen.stanza.contains("remote-server-timeout"), "{}", seen.stanza);
    }
    let of = |outcome| outcomes.account.settled(outcome).stanzas;
    assert_eq!((of(Outcome::Answered), of(Outcome::Expired)), (5, 5));
}

#[actix::test]
async fn a_peer_that_refuses_acknowledgements_is_served_without_them() {
    tokio::time::pause();
    let mut node = Node::with_acks(64 * 1024, Acks::Refused).await;
    node.sends("b.example", 5).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(node.account().await.unacked().stanzas, 0);
    node.cuts_every_link();
    tokio::time::sleep(MOMENT).await;
    node.balances().await;
    let outcomes = node.outcomes().await;
    outcomes.check();
    assert_eq!(outcomes.account.settled(Outcome::Uncertain).stanzas, 5, "as on any other link");
    assert_eq!(outcomes.arrived("b.example"), (0..5).collect::<Vec<_>>());
}

#[actix::test]
async fn a_peer_that_does_not_confirm_acknowledgements_is_served_without_them_after_a_while() {
    tokio::time::pause();
    let mut node = Node::with_acks(64 * 1024, Acks::Unconfirmed).await;
    node.sends("b.example", 5).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(node.account().await.unacked().stanzas, 5);
    tokio::time::sleep(Duration::from_secs(40)).await;
    assert_eq!(node.account().await.unacked().stanzas, 0);
    let dials = Arc::clone(&node.remotes.dials);
    node.outcomes().await.check_exactly_once();
    assert_eq!(dials.load(Relaxed), 1, "the link stays");
}
