//! A pair without a link is claimed; the answers to claims, in time and late.

use super::*;
use crate::flow::claims::Unknown;

#[actix::test]
async fn a_node_that_gets_the_claim_dials_and_keeps_it_as_long_as_it_has_the_link() {
    tokio::time::pause();
    let mut cluster = Cluster::granted().await;
    cluster.node.sends(B, 5).await;
    passes(MOMENT).await;
    assert_eq!(cluster.noted(), [Noted::Claimed(1)]);
    assert_eq!(cluster.node.remotes.dials.load(Relaxed), 1);
    passes(Duration::from_secs(600)).await;
    assert_eq!(cluster.noted(), [], "the link is idle, and open");
    let (_, down) = cluster.node.operator_closes(B).await;
    assert!(down.within(Duration::from_secs(60)).await);
    passes(MOMENT).await;
    assert_eq!(cluster.noted(), [Noted::Renounced(1)]);
    cluster.node.outcomes().await.check_exactly_once();
}

#[actix::test]
async fn a_node_keeps_the_claim_through_the_pauses_between_its_attempts() {
    tokio::time::pause();
    let mut cluster = Cluster::granted().await;
    cluster.node.remotes_are_up(false);
    cluster.node.sends(B, 5).await;
    passes(Duration::from_secs(60)).await;
    assert!(cluster.node.remotes.dials.load(Relaxed) > 2);
    assert_eq!(cluster.noted(), [Noted::Claimed(1)]);
    cluster.node.remotes_are_up(true);
    cluster.node.outcomes().await.check_exactly_once();
}

#[actix::test]
async fn stanzas_of_a_pair_that_another_node_holds_are_relayed_without_a_dial() {
    tokio::time::pause();
    let mut cluster = Cluster::relaying().await;
    cluster.node.sends(B, 5).await;
    passes(MOMENT).await;
    cluster.node.sends(B, 5).await;
    passes(MOMENT).await;
    assert_eq!((cluster.relayed().await, cluster.relays().await), (10, 1));
    assert_eq!(cluster.noted(), [Noted::Claimed(1)]);
    assert_eq!(cluster.node.remotes.dials.load(Relaxed), 0);
    passes(Duration::from_secs(120)).await;
    assert_eq!(cluster.relays().await, 0, "it was idle");
    assert_eq!(cluster.noted(), [], "the claim was that of another node");
    cluster.node.sends(B, 1).await;
    passes(MOMENT).await;
    assert_eq!(cluster.noted(), [Noted::Claimed(2)]);
    cluster.node.outcomes().await.check_exactly_once();
}

#[actix::test]
async fn claims_and_relays_need_no_slot_for_attempts() {
    tokio::time::pause();
    let mut cluster = Cluster::granted().await;
    // As many attempts hang as there are slots.
    cluster.node.set_reachability(Reachability::Down);
    cluster.node.sends("c.example", 1).await;
    cluster.node.sends("d.example", 1).await;
    passes(Duration::from_millis(20)).await;
    cluster.rules(Rule::HeldBy(ferry("b", &cluster.b)));
    cluster.node.sends(B, 3).await;
    passes(Duration::from_millis(20)).await;
    assert_eq!(cluster.relayed().await, 3);
    cluster.node.set_reachability(Reachability::Up);
    cluster.node.outcomes().await.check_exactly_once();
}

#[actix::test]
async fn without_the_engine_stanzas_wait_their_time_and_are_answered_with_the_reason() {
    tokio::time::pause();
    let mut cluster = Cluster::start().await;
    cluster.rules(Rule::Unknown);
    cluster.node.sends_all(B, &[Kind::Message, Kind::Request]).await;
    passes(Duration::from_secs(5)).await;
    assert_eq!(cluster.waiting().await, 1, "the request is answered at once");
    assert_eq!(cluster.node.remotes.dials.load(Relaxed), 0);
    let outcomes = cluster.node.outcomes().await;
    outcomes.check();
    let answers: Vec<&String> = outcomes.bounced[B].iter().map(|seen| &seen.stanza).collect();
    assert_eq!(answers.len(), 2);
    for answer in answers {
        assert!(answer.contains("remote-server-timeout"), "{answer}");
        assert!(answer.contains("the other nodes of this cluster cannot be reached"), "{answer}");
    }
}

#[actix::test]
async fn a_claim_that_is_not_answered_holds_nothing_longer_than_its_time() {
    tokio::time::pause();
    let mut cluster = Cluster::start().await;
    cluster.node.sends_all(B, &[Kind::Message, Kind::Request]).await;
    passes(bounds().message + Duration::from_secs(60)).await;
    assert_eq!(cluster.waiting().await, 0);
    // The answer comes when the stanzas have expired: the pair is not dialled.
    cluster.rules(Rule::Granted);
    passes(MOMENT).await;
    assert_eq!(cluster.noted(), [Noted::Claimed(1), Noted::Renounced(1)]);
    assert_eq!(cluster.node.remotes.dials.load(Relaxed), 0);
    let outcomes = cluster.node.outcomes().await;
    outcomes.check();
    let text = "the other nodes of this cluster cannot be reached";
    assert!(outcomes.bounced[B].iter().all(|seen| seen.stanza.contains(text)));
}

#[actix::test]
async fn the_late_answer_that_another_node_has_an_expired_pair_starts_no_relay() {
    tokio::time::pause();
    let mut cluster = Cluster::start().await;
    cluster.node.sends(B, 1).await;
    passes(bounds().message + Duration::from_secs(60)).await;
    cluster.rules(Rule::HeldBy(ferry("b", &cluster.b)));
    passes(MOMENT).await;
    assert_eq!((cluster.relays().await, cluster.node.pairs_known().await), (0, 0));
    assert_eq!(cluster.noted(), [Noted::Claimed(1)]);
    cluster.node.outcomes().await.check();
}

#[actix::test]
async fn a_pair_that_a_reload_forbids_renounces_its_claim_and_ignores_the_answer() {
    tokio::time::pause();
    let mut cluster = Cluster::start().await;
    cluster.node.sends(B, 3).await;
    passes(MOMENT).await;
    cluster.node.adopts(|remotes| remotes.denied = B).await;
    cluster.node.adopts(|remotes| remotes.denied = "denied.example").await;
    cluster.node.sends(B, 2).await;
    passes(MOMENT).await;
    assert_eq!(cluster.noted(), [Noted::Claimed(1), Noted::Renounced(1), Noted::Claimed(2)]);
    // The first claim is answered too late: that says nothing about the second.
    let unknown = Unknown { pair: pair(B), number: 1, why: "a test".to_owned() };
    cluster.node.promise.signal(unknown).unwrap();
    cluster.rules(Rule::HeldBy(ferry("b", &cluster.b)));
    passes(MOMENT).await;
    assert_eq!((cluster.relayed().await, cluster.relays().await), (2, 1));
    let outcomes = cluster.node.outcomes().await;
    outcomes.check();
    assert_eq!((outcomes.bounced(B), outcomes.arrived(B)), (vec![0, 1, 2], vec![3, 4]));
}

#[actix::test]
async fn a_link_whose_pair_another_node_has_got_closes_and_its_stanzas_are_relayed() {
    tokio::time::pause();
    let mut cluster = Cluster::granted().await;
    cluster.node.sends(B, 5).await;
    passes(MOMENT).await;
    cluster.rules(Rule::HeldBy(ferry("b", &cluster.b)));
    cluster.conflicts(B, 1);
    // They cross the end of the link.
    cluster.node.sends(B, 20).await;
    passes(Duration::from_secs(2)).await;
    cluster.node.sends(B, 5).await;
    passes(MOMENT).await;
    assert_eq!(cluster.relays().await, 1);
    assert!(cluster.relayed().await >= 5);
    assert_eq!(cluster.noted(), [Noted::Claimed(1), Noted::Claimed(2)]);
    let outcomes = cluster.node.outcomes().await;
    outcomes.check_exactly_once();
    assert_eq!(outcomes.arrived(B), (0..30).collect::<Vec<_>>());
}

#[actix::test]
async fn a_conflict_during_an_attempt_has_its_stanzas_relayed() {
    tokio::time::pause();
    for reachability in [Reachability::Up, Reachability::Down] {
        let mut cluster = Cluster::granted().await;
        cluster.node.set_reachability(reachability);
        cluster.node.sends(B, 5).await;
        passes(Duration::from_millis(20)).await;
        cluster.rules(Rule::HeldBy(ferry("b", &cluster.b)));
        cluster.conflicts(B, 1);
        passes(Duration::from_secs(2)).await;
        cluster.node.sends(B, 5).await;
        passes(MOMENT).await;
        assert_eq!(cluster.relays().await, 1);
        let outcomes = cluster.node.outcomes().await;
        outcomes.check_exactly_once();
        assert_eq!(outcomes.arrived(B), (0..10).collect::<Vec<_>>());
    }
}

#[actix::test]
async fn a_conflict_about_an_earlier_claim_is_ignored() {
    tokio::time::pause();
    let mut cluster = Cluster::granted().await;
    for closed in 1..3 {
        cluster.node.sends(B, 5).await;
        passes(MOMENT).await;
        if closed == 1 {
            let (_, down) = cluster.node.operator_closes(B).await;
            assert!(down.within(Duration::from_secs(60)).await);
            passes(MOMENT).await;
        }
    }
    cluster.conflicts(B, 1);
    passes(MOMENT).await;
    cluster.node.sends(B, 5).await;
    passes(MOMENT).await;
    assert_eq!(cluster.node.remotes.dials.load(Relaxed), 2);
    cluster.node.outcomes().await.check_exactly_once();
}
