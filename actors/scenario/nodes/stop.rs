//! The node stops, in each state of a claim and of a relay: every stanza has an outcome.

use super::*;
use crate::{
    routing::journal::{Conclude, GiveUp, LeaveAll},
    scenario::disk::{Disk, WIDE},
};

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

#[actix::test]
async fn a_node_that_stops_gives_up_the_claims_of_pairs_without_a_link_at_once_and_the_others_with_their_link()
 {
    tokio::time::pause();
    let mut cluster = Cluster::granted().await;
    cluster.node.sends(B, 1).await;
    passes(MOMENT).await;
    // One pair is in the pause after a failure, and the attempt of the other one is under way.
    cluster.node.remotes_are_up(false);
    cluster.node.sends("c.example", 1).await;
    passes(Duration::from_secs(30)).await;
    cluster.node.sends("d.example", 1).await;
    passes(Duration::from_millis(20)).await;
    assert_eq!(cluster.noted(), [Noted::Claimed(1), Noted::Claimed(2), Noted::Claimed(3)]);
    let (token, answered) = drain::tokens();
    cluster.node.promise.signal(promise::Drain { token }).unwrap();
    assert!(answered.within(Duration::from_secs(1)).await);
    passes(Duration::from_millis(20)).await;
    let mut renounced = cluster.noted();
    renounced.sort_by_key(|noted| format!("{noted:?}"));
    assert_eq!(renounced, [Noted::Renounced(2), Noted::Renounced(3)]);
    // The link is up, and may still have to write what the components send last.
    passes(Duration::from_secs(20)).await;
    assert_eq!(cluster.noted(), []);
    let mut noted = std::mem::replace(&mut cluster.noted, mpsc::channel(1).1);
    let outcomes = cluster.node.stops().await;
    outcomes.check();
    assert_eq!(noted.try_recv().ok(), Some(Noted::Renounced(1)));
    assert_eq!((outcomes.arrived(B), outcomes.bounced("c.example").len()), (vec![0], 1));
}

#[actix::test]
async fn what_a_slow_journal_does_not_confirm_in_time_is_answered_while_the_components_read() {
    tokio::time::pause();
    let disk = Disk::start_slow(Duration::from_secs(600));
    let mut cluster = Cluster::start_with(Behaviour::default(), Some(disk.store.clone())).await;
    cluster.node.remotes_are_up(false);
    cluster.node.sends(B, 3).await;
    passes(MOMENT).await;
    let promise = cluster.node.promise.clone();
    let giving_up = async {
        passes(Duration::from_secs(5)).await;
        promise.signal(GiveUp).unwrap();
    };
    let (outcomes, ()) = tokio::join!(cluster.node.stops(), giving_up);
    let account = &outcomes.account;
    assert_eq!((account.difference(), account.waiting()), Default::default(), "{account:?}");
    assert_eq!(outcomes.bounced(B), [0, 1, 2]);
    passes(Duration::from_secs(1200)).await;
    assert_eq!(disk.fake.keys(), [0; 0], "what was answered is not sent again after the next start");
}

#[actix::test]
async fn what_other_nodes_have_not_settled_is_left_in_a_journal_that_was_too_slow_before() {
    tokio::time::pause();
    let disk = Disk::start_slow(Duration::from_secs(2));
    let (cluster, _) = unsettled_without_senders(&disk).await;
    let outcomes = cluster.node.stops().await;
    let account = &outcomes.account;
    assert_eq!((account.difference(), account.waiting()), Default::default(), "{account:?}");
    assert_eq!(outcomes.bounced(B), [0; 0], "nobody would read the answers");
    assert_eq!(account.settled(Outcome::Kept).stanzas, 3);
    assert_eq!(disk.fake.keys().len(), 3);
}

#[actix::test]
async fn what_the_journal_has_not_confirmed_at_the_end_is_uncertain() {
    tokio::time::pause();
    let disk = Disk::start_slow(Duration::from_secs(600));
    let (cluster, promise) = unsettled_without_senders(&disk).await;
    let outcomes = cluster.node.stops().await;
    let account = &outcomes.account;
    assert_eq!(account.waiting().stanzas, 3);
    // The node would not wait longer.
    promise.signal(GiveUp).unwrap();
    let (token, counted) = drain::tokens();
    promise.signal(Conclude { token }).unwrap();
    assert!(counted.within(MOMENT).await);
    assert_eq!((account.difference(), account.waiting()), Default::default(), "{account:?}");
    assert_eq!(account.settled(Outcome::Uncertain).stanzas, 3);
    passes(Duration::from_secs(1200)).await;
    assert_eq!(disk.fake.keys().len(), 3, "what comes to the file late stays there");
}

/// Three messages that another node has not settled. The journal was too slow when the servers were closed, and now the
/// components are closed.
async fn unsettled_without_senders(disk: &Disk) -> (Cluster, Mailbox<Promise>) {
    let mut cluster = Cluster::start_with(Behaviour::default(), Some(disk.store.clone())).await;
    cluster.rules(Rule::HeldBy(ferry("b", &cluster.b)));
    cluster.b.settles(false);
    cluster.node.sends(B, 3).await;
    passes(MOMENT).await;
    let promise = cluster.node.promise.clone();
    promise.signal(GiveUp).unwrap();
    promise.signal(LeaveAll).unwrap();
    (cluster, promise)
}
