//! A node that has lost its lease and is to have no links without one.

use super::*;

#[actix::test]
async fn links_are_closed_under_load_and_none_is_made_before_the_pair_is_claimed_again() {
    tokio::time::pause();
    let mut cluster = Cluster::granted().await;
    cluster.node.sends(B, 5).await;
    passes(MOMENT).await;
    cluster.rules(Rule::Silence);
    cluster.freezes();
    // They cross the end of the link, and come after it.
    cluster.node.sends(B, 20).await;
    passes(Duration::from_secs(2)).await;
    cluster.node.sends(B, 5).await;
    passes(Duration::from_secs(5)).await;
    assert_eq!(cluster.noted(), [Noted::Claimed(1), Noted::Claimed(2)]);
    assert_eq!(cluster.node.remotes.dials.load(Relaxed), 1, "the one before");
    assert_eq!(links(&cluster).await, 0);
    cluster.rules(Rule::Granted);
    passes(MOMENT).await;
    assert_eq!(cluster.node.remotes.dials.load(Relaxed), 2);
    let outcomes = cluster.node.outcomes().await;
    outcomes.check_exactly_once();
    assert_eq!(outcomes.arrived(B), (0..30).collect::<Vec<_>>());
}

#[actix::test]
async fn an_attempt_that_has_a_link_after_the_lease_was_lost_closes_it_and_its_stanzas_wait() {
    tokio::time::pause();
    for reachability in [Reachability::Up, Reachability::Down] {
        let mut cluster = Cluster::granted().await;
        cluster.node.set_reachability(reachability);
        cluster.node.sends(B, 5).await;
        passes(Duration::from_millis(20)).await;
        cluster.rules(Rule::Silence);
        cluster.freezes();
        passes(Duration::from_secs(2)).await;
        cluster.node.set_reachability(Reachability::Up);
        cluster.node.sends(B, 5).await;
        passes(Duration::from_secs(5)).await;
        assert_eq!(cluster.node.remotes.dials.load(Relaxed), 1, "the one before");
        assert_eq!(links(&cluster).await, 0);
        cluster.rules(Rule::Granted);
        passes(MOMENT).await;
        let outcomes = cluster.node.outcomes().await;
        outcomes.check_exactly_once();
        assert_eq!(outcomes.arrived(B), (0..10).collect::<Vec<_>>());
    }
}

#[actix::test]
async fn another_node_that_has_got_the_pair_meanwhile_gets_what_waits() {
    tokio::time::pause();
    let mut cluster = Cluster::granted().await;
    cluster.node.sends(B, 5).await;
    passes(MOMENT).await;
    cluster.rules(Rule::Silence);
    cluster.freezes();
    cluster.node.sends(B, 20).await;
    passes(Duration::from_secs(2)).await;
    cluster.rules(Rule::HeldBy(ferry("b", &cluster.b)));
    passes(MOMENT).await;
    assert_eq!((cluster.relays().await, cluster.node.remotes.dials.load(Relaxed)), (1, 1));
    let outcomes = cluster.node.outcomes().await;
    outcomes.check_exactly_once();
    assert_eq!(outcomes.arrived(B), (0..25).collect::<Vec<_>>());
}

/// The links that an operator would close now.
async fn links(cluster: &Cluster) -> usize {
    cluster.node.operator_closes(B).await.0
}
