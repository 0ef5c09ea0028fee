//! The node stops, in each state of a claim and of a relay: every stanza has an outcome.

use super::*;
use crate::scenario::disk::{Disk, WIDE};

#[actix::test]
async fn a_node_that_stops_while_a_claim_is_open_answers_what_waits() {
    tokio::time::pause();
    let mut cluster = Cluster::start().await;
    cluster.node.sends(B, 3).await;
    passes(MOMENT).await;
    let (engine, b) = (cluster.engine.clone(), cluster.b.clone());
    let stopping = async {
        passes(Duration::from_secs(1)).await;
        // The answer comes too late.
        engine.signal(Rule::HeldBy(ferry("b", &b))).unwrap();
    };
    let (outcomes, ()) = tokio::join!(cluster.node.stops(), stopping);
    outcomes.check();
    assert_eq!(outcomes.bounced(B), [0, 1, 2]);
}

#[actix::test]
async fn a_node_that_stops_waits_for_the_last_settlements() {
    tokio::time::pause();
    let mut cluster = Cluster::relaying().await;
    cluster.b.settles(false);
    cluster.node.sends(B, 3).await;
    passes(MOMENT).await;
    let b = cluster.b.clone();
    let settling = async {
        passes(Duration::from_secs(5)).await;
        b.settles(true);
    };
    let (outcomes, ()) = tokio::join!(cluster.node.stops(), settling);
    outcomes.check_exactly_once();
    assert_eq!(outcomes.account.settled(Outcome::Relayed).stanzas, 3);
}

#[actix::test]
async fn what_is_not_settled_at_the_stop_is_uncertain() {
    tokio::time::pause();
    let mut cluster = Cluster::relaying().await;
    cluster.b.settles(false);
    cluster.node.sends(B, 3).await;
    passes(MOMENT).await;
    let outcomes = cluster.node.stops().await;
    outcomes.check();
    assert_eq!(outcomes.account.settled(Outcome::Uncertain).stanzas, 3);
}

#[actix::test]
async fn what_a_slow_node_has_not_got_at_the_stop_is_answered() {
    tokio::time::pause();
    let mut cluster = Cluster::relaying().await;
    cluster.b.settles(false);
    cluster.node.sends_long(B, 2 * crate::flow::outbox::BUDGET / LONG).await;
    passes(MOMENT).await;
    let outcomes = cluster.node.stops().await;
    outcomes.check();
    let uncertain = outcomes.account.settled(Outcome::Uncertain).stanzas as usize;
    let answered = outcomes.bounced(B);
    assert_eq!(answered, (uncertain..uncertain + answered.len()).collect::<Vec<_>>());
    assert!(uncertain > 0 && !answered.is_empty());
}

#[actix::test]
async fn a_way_that_ends_at_the_stop_has_its_stanzas_answered() {
    tokio::time::pause();
    let mut cluster = Cluster::relaying().await;
    cluster.b.settles(false);
    cluster.node.sends(B, 3).await;
    passes(MOMENT).await;
    let b = cluster.b.clone();
    let dying = async {
        passes(Duration::from_secs(1)).await;
        b.dies(0);
    };
    let (outcomes, ()) = tokio::join!(cluster.node.stops(), dying);
    outcomes.check();
    assert_eq!(outcomes.bounced(B), [0, 1, 2]);
}

#[actix::test]
async fn with_a_journal_unsettled_messages_are_written_and_left_at_the_stop() {
    tokio::time::pause();
    let disk = Disk::start(WIDE, Duration::ZERO);
    let mut cluster = Cluster::start_with(Behaviour::default(), Some(disk.store.clone())).await;
    cluster.rules(Rule::HeldBy(ferry("b", &cluster.b)));
    cluster.b.settles(false);
    cluster.node.sends_all(B, &[Kind::Message, Kind::Request, Kind::Message]).await;
    passes(Duration::from_secs(3)).await;
    assert_eq!(disk.fake.keys().len(), 2, "the messages wait in the file");
    cluster.b.settles_first(usize::MAX);
    passes(MOMENT).await;
    assert_eq!(disk.fake.keys().len(), 0, "they are settled");
    cluster.node.sends_all(B, &[Kind::Message, Kind::Request]).await;
    passes(MOMENT).await;
    let outcomes = cluster.node.stops().await;
    let account = &outcomes.account;
    assert_eq!((account.difference(), account.waiting()), Default::default(), "{account:?}");
    assert_eq!(account.settled(Outcome::Kept).stanzas, 1);
    assert_eq!(account.settled(Outcome::Uncertain).stanzas, 1);
}
