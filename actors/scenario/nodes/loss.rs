//! The way to another node ends, is slow, or its claim is out of date.

use super::*;
use crate::{
    flow::{ferry::ALLOWED_BEYOND_THE_WINDOW, outbox::BUDGET},
    scenario::{
        disk::{Disk, WIDE},
        slow_links::races::Crash,
    },
};

#[actix::test]
async fn what_a_dead_node_has_not_settled_goes_elsewhere_in_order_and_marked_if_it_may_have_arrived() {
    tokio::time::pause();
    let mut cluster = Cluster::relaying().await;
    cluster.node.sends(B, 2).await;
    passes(MOMENT).await;
    cluster.b.settles(false);
    for _ in 0..4 {
        cluster.node.sends(B, 3).await;
        passes(MOMENT).await;
    }
    cluster.b.settles_first(1);
    passes(MOMENT).await;
    cluster.rules(Rule::Granted);
    // Two parcels were written, and one was on its way.
    cluster.b.dies(2);
    cluster.node.sends(B, 3).await;
    passes(Duration::from_secs(3)).await;
    assert_eq!(cluster.node.remotes.dials.load(Relaxed), 1);
    let outcomes = cluster.node.outcomes().await;
    outcomes.check();
    assert_eq!(outcomes.account.settled(Outcome::Relayed).stanzas, 5);
    assert_eq!(outcomes.account.repeated().stanzas, 6);
    let arrived: Vec<(usize, bool)> =
        outcomes.arrived[B].iter().map(|seen| (seen.id, seen.is_stamped())).collect();
    let first = (0..11).map(|id| (id, false));
    let again = (5..17).map(|id| (id, id < 11));
    assert_eq!(arrived, first.chain(again).collect::<Vec<_>>());
}

#[actix::test]
async fn requests_that_may_have_arrived_are_answered_and_not_sent_again() {
    tokio::time::pause();
    let mut cluster = Cluster::relaying().await;
    cluster.b.settles(false);
    cluster.node.sends_all(B, &[Kind::Request, Kind::Message]).await;
    passes(MOMENT).await;
    cluster.rules(Rule::Granted);
    cluster.b.dies(1);
    let outcomes = cluster.node.outcomes().await;
    outcomes.check();
    assert_eq!(outcomes.bounced(B), [0]);
    assert!(outcomes.bounced[B][0].stanza.contains("it may have been carried out"));
    assert_eq!(outcomes.arrived(B), [0, 1, 1]);
}

#[actix::test]
async fn parcels_that_are_settled_out_of_order_leave_the_others_in_order() {
    tokio::time::pause();
    let mut cluster = Cluster::relaying().await;
    cluster.node.sends("c.example", 1).await;
    passes(MOMENT).await;
    cluster.b.settles(false);
    for _ in 0..5 {
        cluster.node.sends(B, 1).await;
        passes(Duration::from_millis(10)).await;
    }
    cluster.b.settles_each(vec![3, 1]);
    passes(MOMENT).await;
    assert_eq!(cluster.waiting().await, 3);
    cluster.rules(Rule::Granted);
    cluster.b.dies(0);
    passes(Duration::from_secs(2)).await;
    let arrived: Vec<usize> = std::iter::from_fn(|| cluster.node.arrived.try_recv().ok())
        .filter(|seen| seen.remote == B)
        .map(|seen| seen.id)
        .collect();
    assert_eq!(arrived, [3, 1, 0, 2, 4]);
    let account = cluster.node.account().await;
    assert_eq!((account.waiting().stanzas, account.difference().stanzas), (0, 0));
}

#[actix::test]
async fn a_slow_node_has_stanzas_wait_here_and_gets_no_more_than_the_budget() {
    tokio::time::pause();
    let mut cluster = Cluster::relaying().await;
    cluster.node.sends(B, 1).await;
    passes(MOMENT).await;
    cluster.b.settles(false);
    cluster.node.sends_long(B, 3 * BUDGET / LONG).await;
    passes(MOMENT).await;
    let (_, unsettled) = cluster.b.unsettled().await;
    assert!((BUDGET..BUDGET + 3 * 64 * 1024).contains(&unsettled), "{unsettled}");
    while cluster.waiting().await > 0 {
        cluster.b.settles_first(10);
        passes(Duration::from_millis(10)).await;
        let (_, unsettled) = cluster.b.unsettled().await;
        assert!(unsettled < BUDGET + 3 * 64 * 1024, "{unsettled}");
    }
    cluster.b.settles(true);
    cluster.node.sends(B, 5).await;
    cluster.node.outcomes().await.check_exactly_once();
}

#[actix::test]
async fn a_full_window_leaves_each_relay_a_small_part() {
    tokio::time::pause();
    let mut cluster = Cluster::relaying().await;
    cluster.node.sends(B, 1).await;
    passes(MOMENT).await;
    cluster.b.settles(false);
    cluster.b.allows(ALLOWED_BEYOND_THE_WINDOW);
    cluster.node.sends_long(B, BUDGET / 2 / LONG).await;
    passes(MOMENT).await;
    let (_, unsettled) = cluster.b.unsettled().await;
    assert!((ALLOWED_BEYOND_THE_WINDOW..4 * ALLOWED_BEYOND_THE_WINDOW).contains(&unsettled), "{unsettled}");
    cluster.b.settles_first(usize::MAX);
    passes(MOMENT).await;
    let (_, unsettled) = cluster.b.unsettled().await;
    assert!((1..=ALLOWED_BEYOND_THE_WINDOW + LONG + 1024).contains(&unsettled), "{unsettled}");
    cluster.b.allows(BUDGET);
    cluster.b.settles(true);
    cluster.node.outcomes().await.check_exactly_once();
}

#[actix::test]
async fn a_relay_that_ends_while_it_is_slow_returns_what_it_had_in_front_of_what_waits() {
    tokio::time::pause();
    let mut cluster = Cluster::relaying().await;
    cluster.b.settles(false);
    cluster.node.sends_long(B, 2 * BUDGET / LONG).await;
    passes(MOMENT).await;
    cluster.rules(Rule::Granted);
    cluster.b.dies(0);
    cluster.node.sends(B, 5).await;
    let outcomes = cluster.node.outcomes().await;
    outcomes.check_exactly_once();
    assert_eq!(outcomes.account.settled(Outcome::Relayed).stanzas, 0);
}

/// A reload has made the remote domain one of a component there, and this node does not know yet.
#[actix::test]
async fn stanzas_of_a_pair_that_the_other_node_gives_back_are_claimed_again_in_order_after_a_pause() {
    tokio::time::pause();
    let mut cluster = Cluster::relaying().await;
    cluster.b.settles(false);
    cluster.node.sends(B, 5).await;
    for _ in 0..200 {
        passes(Duration::from_millis(10)).await;
        cluster.b.gives_back(0);
    }
    let claims = cluster.noted().len();
    assert!((2..10).contains(&claims), "{claims}");
    cluster.node.sends(B, 5).await;
    cluster.b.settles(true);
    cluster.node.outcomes().await.check_exactly_once();
}

#[actix::test]
async fn a_node_that_dies_again_and_again_is_followed_by_pauses() {
    tokio::time::pause();
    let mut cluster = Cluster::relaying().await;
    cluster.b.settles(false);
    cluster.node.sends(B, 3).await;
    for _ in 0..200 {
        passes(Duration::from_millis(10)).await;
        cluster.b.dies(0);
    }
    let claims = cluster.noted().len();
    assert!((2..10).contains(&claims), "{claims}");
    cluster.b.settles(true);
    cluster.node.outcomes().await.check_exactly_once();
}

#[actix::test]
async fn a_relay_that_panics_costs_what_it_had_and_nothing_that_comes_later() {
    tokio::time::pause();
    let mut cluster = Cluster::relaying().await;
    cluster.b.settles(false);
    cluster.node.sends(B, 3).await;
    passes(MOMENT).await;
    cluster.node.router.signal(router::Broadcast(Crash)).unwrap();
    passes(MOMENT).await;
    cluster.b.settles(true);
    cluster.node.sends(B, 5).await;
    passes(Duration::from_secs(5)).await;
    let account = cluster.node.account().await;
    assert_eq!(account.settled(Outcome::Relayed).stanzas, 5, "{account:?}");
    assert_eq!((account.waiting().stanzas, account.difference().stanzas), (0, 3));
}

fn ids(node: &mut Node) -> Vec<usize> {
    std::iter::from_fn(|| node.arrived.try_recv().ok()).map(|seen| seen.id).collect()
}

#[actix::test]
async fn stanzas_of_another_node_are_written_and_settled_and_stand_in_no_account_here() {
    tokio::time::pause();
    let mut cluster = Cluster::granted().await;
    let mut brought = Brought::by("b");
    let mark = brought.brings(&cluster.node.router, OURS, B, Kind::Message, 0..3);
    brought.brings(&cluster.node.router, OURS, B, Kind::Request, 3..4);
    assert!(!mark.is_touched());
    passes(MOMENT).await;
    assert_eq!(ids(&mut cluster.node), [0, 1, 2, 3]);
    assert!(mark.is_touched());
    assert_eq!(brought.settled(), [1, 2]);
    let account = cluster.node.account().await;
    assert_eq!((account.taken().stanzas, account.waiting().stanzas), (0, 0));
    assert_eq!(account.settled(Outcome::Written).stanzas, 0);
}

#[actix::test]
async fn more_parcels_of_another_node_at_once_than_a_mailbox_holds_are_written_and_not_answered() {
    tokio::time::pause();
    let mut cluster = Cluster::granted().await;
    let mut brought = Brought::by("b");
    brought.brings(&cluster.node.router, OURS, B, Kind::Message, 0..1);
    passes(MOMENT).await;
    brought.brings_each(&cluster.node.router, OURS, B, 1..2 * CAPACITY);
    passes(Duration::from_secs(5)).await;
    assert_eq!(ids(&mut cluster.node), (0..2 * CAPACITY).collect::<Vec<_>>());
    assert!(cluster.node.answered.try_recv().is_err());
}

#[actix::test]
async fn with_acks_they_are_settled_when_the_peer_has_acknowledged_them() {
    tokio::time::pause();
    let acks = Behaviour { acks: Acks::Silent, ..Behaviour::default() };
    let mut cluster = Cluster::start_with(acks, None).await;
    cluster.rules(Rule::Granted);
    let mut brought = Brought::by("b");
    brought.brings(&cluster.node.router, OURS, B, Kind::Message, 0..3);
    passes(MOMENT).await;
    assert_eq!(ids(&mut cluster.node), [0, 1, 2]);
    assert!(brought.settled().is_empty(), "nothing is acknowledged");
}

#[actix::test]
async fn what_another_node_takes_back_is_neither_written_nor_answered() {
    tokio::time::pause();
    for is_lease in [true, false] {
        let mut cluster = Cluster::granted().await;
        cluster.node.remotes_are_up(false);
        let mut brought = Brought::by("b");
        let mark = brought.brings(&cluster.node.router, OURS, B, Kind::Message, 0..3);
        passes(Duration::from_secs(5)).await;
        cluster.node.sends(B, 2).await;
        passes(MOMENT).await;
        if is_lease {
            brought.lease.end();
        } else {
            brought.fence.end();
        }
        assert!(!mark.is_touched(), "nothing of it was written, and nothing will be");
        cluster.node.remotes_are_up(true);
        passes(Duration::from_secs(60)).await;
        assert_eq!(ids(&mut cluster.node), [0, 1], "those of this node");
        let account = cluster.node.account().await;
        assert_eq!((account.waiting().stanzas, account.difference().stanzas), (0, 0));
        assert!(cluster.node.answered.try_recv().is_err());
    }
}

#[actix::test]
async fn what_expires_after_another_node_took_it_back_is_not_answered() {
    tokio::time::pause();
    let mut cluster = Cluster::granted().await;
    cluster.node.remotes_are_up(false);
    let mut brought = Brought::by("b");
    let kept = brought.brings(&cluster.node.router, OURS, B, Kind::Message, 0..1);
    passes(Duration::from_secs(5)).await;
    brought.fence.end();
    passes(bounds().message + Duration::from_secs(60)).await;
    assert!(cluster.node.answered.try_recv().is_err());
    assert!(kept.is_touched(), "the node has asked, and got no permission");
    passes(Duration::from_secs(300)).await;
    assert_eq!(cluster.node.pairs_known().await, 0);
}

#[actix::test]
async fn what_has_no_room_in_memory_is_settled_when_it_is_in_the_journal_and_is_not_taken_back_then() {
    tokio::time::pause();
    let disk = Disk::start(WIDE, Duration::ZERO);
    let mut cluster = Cluster::start_with(Behaviour::default(), Some(disk.store.clone())).await;
    cluster.rules(Rule::Granted);
    cluster.node.remotes_are_up(false);
    let mut brought = Brought::by("b");
    let router = cluster.node.router.clone();
    let first = brought.brings(&router, OURS, B, Kind::Message, 0..bounds().max_stanzas);
    let second = brought.brings(&router, OURS, B, Kind::Message, 1000..1100);
    passes(Duration::from_secs(3)).await;
    assert_eq!(brought.settled(), [2]);
    assert_eq!(disk.fake.keys().len(), 100, "the first ones are in the journal of the other node only");
    assert!(second.is_touched() && !first.is_touched());
    brought.fence.end();
    cluster.node.remotes_are_up(true);
    passes(Duration::from_secs(60)).await;
    assert_eq!(ids(&mut cluster.node), (1000..1100).collect::<Vec<_>>());
    assert!(disk.fake.keys().is_empty());
}

#[actix::test]
async fn stanzas_do_not_go_back_to_the_node_from_which_they_came() {
    tokio::time::pause();
    let mut cluster = Cluster::relaying().await;
    let mut brought = Brought::by("b");
    brought.brings(&cluster.node.router, OURS, B, Kind::Message, 0..2);
    passes(MOMENT).await;
    assert_eq!(cluster.b.unsettled().await, (0, 0));
    assert!(ids(&mut cluster.node).is_empty());
    assert_eq!(brought.settled(), [1]);
    let answer = cluster.node.answered.try_recv().unwrap();
    assert!(answer.stanza.contains("the nodes of this cluster disagree"), "{}", answer.stanza);
    passes(MOMENT).await;
    assert_eq!(cluster.relays().await, 0, "the next stanza asks again");
    cluster.node.sends(B, 2).await;
    passes(MOMENT).await;
    assert_eq!(cluster.relayed().await, 2);
}

#[actix::test]
async fn stanzas_of_a_third_node_are_passed_on_and_settled_when_that_is_settled() {
    tokio::time::pause();
    let mut cluster = Cluster::relaying().await;
    cluster.b.settles(false);
    let mut brought = Brought::by("c");
    brought.brings(&cluster.node.router, OURS, B, Kind::Message, 0..2);
    passes(MOMENT).await;
    assert_eq!((cluster.b.unsettled().await.0, brought.settled()), (1, vec![]));
    cluster.b.settles(true);
    passes(MOMENT).await;
    assert_eq!(brought.settled(), [1]);
    assert_eq!(ids(&mut cluster.node), [0, 1]);
}
