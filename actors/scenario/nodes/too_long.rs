//! Stanzas that are longer than the broker of the cluster permits are answered at the node that has them.

use super::*;

#[actix::test]
async fn a_stanza_that_is_too_long_for_the_broker_is_answered_and_the_others_go_on_over_the_same_relay() {
    tokio::time::pause();
    let mut cluster = Cluster::relaying().await;
    cluster.b.permits(LONG);
    cluster.b.settles(false);
    cluster.node.sends(B, 2).await;
    cluster.node.sends_long(B, 1).await;
    cluster.node.sends(B, 2).await;
    cluster.node.sends_long(B, 2).await;
    cluster.node.sends(B, 1).await;
    passes(MOMENT).await;
    assert_eq!((cluster.waiting().await, cluster.relays().await), (5, 1), "the long ones are answered");
    cluster.b.settles(true);
    passes(MOMENT).await;
    let outcomes = cluster.node.outcomes().await;
    outcomes.check();
    assert_eq!(outcomes.arrived(B), [0, 1, 3, 4, 7]);
    assert_eq!(outcomes.bounced(B), [2, 5, 6]);
    for answer in &outcomes.bounced[B] {
        let stanza = &answer.stanza;
        assert!(stanza.contains("policy-violation") && stanza.contains("modify"), "{stanza}");
        assert!(stanza.contains("is longer than the message broker of this server's cluster permits (8192)"));
    }
    let settled = |outcome| outcomes.account.settled(outcome).stanzas;
    assert_eq!((settled(Outcome::Relayed), settled(Outcome::Answered)), (5, 3));
}

#[actix::test]
async fn what_comes_back_from_a_way_that_ends_does_not_have_the_stanzas_that_were_answered() {
    tokio::time::pause();
    let mut cluster = Cluster::relaying().await;
    cluster.b.permits(LONG);
    cluster.b.settles(false);
    cluster.node.sends(B, 1).await;
    cluster.node.sends_long(B, 1).await;
    cluster.node.sends(B, 1).await;
    passes(MOMENT).await;
    cluster.b.dies(0);
    passes(MOMENT).await;
    cluster.b.settles(true);
    let outcomes = cluster.node.outcomes().await;
    outcomes.check();
    assert_eq!((outcomes.arrived(B), outcomes.bounced(B)), (vec![0, 2], vec![1]));
}
