//! Races of a slow link; the documentation of the crate lists them.

use super::*;
use crate::streams::outgoing::{Outgoing, Relay};
use actix::{Context, Handler};
use mailbox::Queued;

/// Makes a session panic.
#[derive(Clone, Debug)]
pub(in crate::scenario) struct Crash;

impl Handler<Queued<Crash>> for Outgoing {
    type Result = ();

    fn handle(&mut self, _: Queued<Crash>, _: &mut Context<Self>) {
        panic!("a test wants it");
    }
}

impl Handler<Queued<Crash>> for Relay {
    type Result = ();

    fn handle(&mut self, _: Queued<Crash>, _: &mut Context<Self>) {
        panic!("a test wants it");
    }
}

#[actix::test]
async fn what_a_slow_link_carried_returns_before_what_waits_when_it_is_lost() {
    tokio::time::pause();
    let mut node = Node::with_stalled_link().await;
    for lost in 1..=4 {
        node.sends_long("b.example", MORE_THAN_AN_OUTBOX / 2).await;
        tokio::time::sleep(MOMENT).await;
        if lost % 2 == 0 {
            // A part is read, so that portions are under way.
            node.set_reading(Reading::Fast);
            for _ in 0..20 * lost {
                tokio::task::yield_now().await;
            }
            node.set_reading(Reading::Stopped);
        }
        node.cuts_every_link();
        node.is_in_balance().await;
        node.sends("b.example", 3).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        node.is_in_balance().await;
    }
    node.set_reading(Reading::Fast);
    let outcomes = node.outcomes().await;
    outcomes.check_exactly_once();
    assert_eq!(outcomes.arrived("b.example"), (0..outcomes.sent["b.example"].len()).collect::<Vec<_>>());
}

#[actix::test]
async fn a_link_that_is_congested_again_and_again_keeps_the_order() {
    tokio::time::pause();
    let mut node = Node::with_stalled_link().await;
    for round in 0..12 {
        node.set_reading(Reading::Stopped);
        node.sends_long("b.example", MORE_THAN_AN_OUTBOX / 2).await;
        node.set_reading(Reading::Fast);
        // The source writes on while the queue becomes empty and the pair returns to the direct path.
        for _ in 0..30 {
            node.sends_long("b.example", 1 + round).await;
            tokio::task::yield_now().await;
        }
        node.is_in_balance().await;
    }
    let outcomes = node.outcomes().await;
    outcomes.check_exactly_once();
    assert_eq!(outcomes.arrived("b.example"), (0..outcomes.sent["b.example"].len()).collect::<Vec<_>>());
}

#[actix::test]
async fn a_slow_link_that_an_operator_closes_loses_nothing() {
    tokio::time::pause();
    let mut node = Node::with_stalled_link().await;
    for _ in 0..3 {
        node.set_reading(Reading::Slow);
        node.sends_long("b.example", MORE_THAN_AN_OUTBOX / 2).await;
        tokio::time::sleep(MOMENT).await;
        let (links, down) = node.operator_closes("b.example").await;
        assert_eq!(links, 1);
        node.sends("b.example", 3).await;
        assert!(down.within(Duration::from_secs(6)).await, "the link is down");
        node.is_in_balance().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    node.set_reading(Reading::Fast);
    let outcomes = node.outcomes().await;
    outcomes.check_exactly_once();
    assert_eq!(outcomes.arrived("b.example"), (0..outcomes.sent["b.example"].len()).collect::<Vec<_>>());
}

#[actix::test]
async fn a_link_that_ends_before_the_router_knows_that_it_is_congested_returns_everything() {
    tokio::time::pause();
    for yields in 0..12 {
        let mut node = Node::with_stalled_link().await;
        node.sends_long("b.example", MORE_THAN_AN_OUTBOX / 3 - 2).await;
        tokio::time::sleep(MOMENT).await;
        node.sends_long("b.example", 6).await;
        for _ in 0..yields {
            tokio::task::yield_now().await;
        }
        node.cuts_every_link();
        node.set_reading(Reading::Fast);
        let outcomes = node.outcomes().await;
        outcomes.check_exactly_once();
        assert_eq!(outcomes.arrived("b.example"), (0..outcomes.sent["b.example"].len()).collect::<Vec<_>>());
    }
}

#[actix::test]
async fn a_node_that_stops_while_a_link_is_slow_gives_every_stanza_one_outcome() {
    tokio::time::pause();
    for reading in [Reading::Slow, Reading::Stopped, Reading::Fast] {
        let mut node = Node::with_stalled_link().await;
        node.sends_long("b.example", MORE_THAN_AN_OUTBOX).await;
        tokio::time::sleep(MOMENT).await;
        node.set_reading(reading);
        let outcomes = node.stops().await;
        outcomes.check();
        assert!(outcomes.bounced("b.example").len() > MORE_THAN_AN_OUTBOX / 2);
    }
}

#[actix::test]
async fn a_reload_that_forbids_a_slow_pair_answers_what_waits_and_what_returns() {
    tokio::time::pause();
    let mut node = Node::with_stalled_link().await;
    node.sends_long("b.example", MORE_THAN_AN_OUTBOX).await;
    tokio::time::sleep(MOMENT).await;
    node.adopts(|remotes| remotes.denied = "b.example").await;
    node.is_in_balance().await;
    tokio::time::sleep(MOMENT).await;
    assert!(node.account().await.settled(Outcome::Answered).stanzas > MORE_THAN_AN_OUTBOX as u64 / 2);
    let outcomes = node.outcomes().await;
    outcomes.check();
    assert_eq!(
        outcomes.arrived("b.example").iter().max(),
        Some(&outcomes.arrived("b.example").len().saturating_sub(1))
    );
    assert!(outcomes.bounced["b.example"].iter().any(|seen| seen.stanza.contains("does not federate")));
}

#[actix::test]
async fn a_session_that_panics_while_it_is_slow_costs_what_it_had_and_nothing_that_waits() {
    tokio::time::pause();
    let mut node = Node::with_stalled_link().await;
    node.sends_long("b.example", MORE_THAN_AN_OUTBOX).await;
    tokio::time::sleep(MOMENT).await;
    let (queued, _) = node.queued().await.unwrap();
    node.router.signal(router::Broadcast(Crash)).unwrap();
    node.set_reading(Reading::Fast);
    tokio::time::sleep(Duration::from_secs(2)).await;
    node.sends("b.example", 5).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let account = node.account().await;
    assert_eq!(account.waiting().stanzas, 0, "{account:?}");
    let mut arrived = Vec::new();
    while let Ok(seen) = node.arrived.try_recv() {
        arrived.push(seen.id);
    }
    let all = MORE_THAN_AN_OUTBOX + 6;
    let waited: Vec<usize> = (all - 5 - queued..all).collect();
    assert!(arrived.ends_with(&waited), "{arrived:?}");
    assert!(account.difference().stanzas > 0, "it had some in its outbox");
}
