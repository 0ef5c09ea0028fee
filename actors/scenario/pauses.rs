//! Remotes that are away, and that come back.

use super::*;
use crate::flow::ledger::Outcome;

#[actix::test]
async fn a_remote_that_comes_back_gets_what_waited_within_the_pause_then_running() {
    tokio::time::pause();
    let mut node = Node::start(64 * 1024).await;
    node.remotes_are(false);
    node.sends("b.example", 500).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    node.remotes_are(true);
    let back = clock::now();
    let outcomes = node.outcomes().await;
    outcomes.adds_up();
    assert_eq!(outcomes.arrived("b.example"), (0..500).collect::<Vec<_>>());
    let last = outcomes.arrived["b.example"].last().unwrap().at.duration_since(back);
    assert!(last < bounds().backoff_longest + Duration::from_secs(2), "{last:?}");
}

#[actix::test]
async fn a_sign_of_life_ends_the_pause_at_once() {
    tokio::time::pause();
    let mut node = Node::start(64 * 1024).await;
    node.remotes_are(false);
    node.sends("b.example", 500).await;
    tokio::time::sleep(Duration::from_secs(100)).await;
    node.remotes_are(true);
    let dials = node.world.dials.load(Relaxed);
    node.shows_life("b.example");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(node.world.dials.load(Relaxed), dials + 1, "one probe, at once");
    assert_eq!(node.account().await.waiting().stanzas, 0);
    node.outcomes().await.adds_up();
}

#[actix::test]
async fn an_operator_ends_a_pause_with_one_probe_also_when_nothing_waits() {
    tokio::time::pause();
    let mut node = Node::start(64 * 1024).await;
    node.remotes_are(false);
    node.sends("b.example", 5).await;
    tokio::time::sleep(Duration::from_secs(301)).await;
    assert_eq!(node.account().await.waiting().stanzas, 0, "expired");
    let dials = node.world.dials.load(Relaxed);
    let retried = node.retries("b.example").await;
    assert_eq!((retried.begun.len(), retried.under_way.len()), (1, 0));
    let again = node.retries("b.example").await;
    assert_eq!((again.begun.len(), again.under_way.len()), (0, 1), "it is being made");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(node.world.dials.load(Relaxed), dials + 1, "one probe, at once");
    assert!(node.retries("unknown.example").await.begun.is_empty());
    node.outcomes().await.adds_up();
}

#[actix::test]
async fn each_pause_is_followed_by_one_probe_and_not_by_a_herd() {
    tokio::time::pause();
    let mut node = Node::start(64 * 1024).await;
    node.remotes_are(false);
    for _ in 0..100 {
        node.sends("b.example", 5).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let dials = node.world.dials.load(Relaxed);
    assert!((3..=40).contains(&dials), "{dials} attempts in 100 s");
    node.remotes_are(true);
    node.outcomes().await.adds_up();
}

#[actix::test]
async fn what_waits_too_long_is_answered_within_a_second_of_its_time() {
    tokio::time::pause();
    let mut node = Node::start(64 * 1024).await;
    node.remotes_are(false);
    node.sends("b.example", 50).await;
    tokio::time::sleep(Duration::from_secs(299)).await;
    assert_eq!(node.account().await.waiting().stanzas, 50);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(node.account().await.waiting().stanzas, 0);
    let outcomes = node.outcomes().await;
    outcomes.adds_up();
    assert_eq!(outcomes.bounced("b.example"), (0..50).collect::<Vec<_>>());
    assert_eq!(outcomes.account.settled(Outcome::Expired).stanzas, 50);
}

#[actix::test]
async fn a_denied_domain_is_answered_at_once_and_never_dialled() {
    tokio::time::pause();
    let mut node = Node::start(64 * 1024).await;
    node.sends("denied.example", 10).await;
    let dials = Arc::clone(&node.world.dials);
    let outcomes = node.outcomes().await;
    outcomes.adds_up();
    assert_eq!(outcomes.bounced("denied.example").len(), 10);
    assert_eq!(dials.load(Relaxed), 0);
}

#[actix::test]
async fn a_sign_of_life_during_an_attempt_that_fails_is_followed_by_another_at_once() {
    tokio::time::pause();
    let mut node = Node::start(64 * 1024).await;
    node.remotes_are(false);
    node.sends("b.example", 5).await;
    tokio::time::sleep(Duration::from_millis(40)).await;
    node.shows_life("b.example");
    tokio::time::sleep(Duration::from_millis(60)).await;
    node.remotes_are(true);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!((node.world.dials.load(Relaxed), node.account().await.waiting().stanzas), (2, 0));
    node.outcomes().await.adds_up();
}

#[actix::test]
async fn however_many_signs_of_life_come_during_an_attempt_one_more_follows() {
    tokio::time::pause();
    let mut node = Node::start(64 * 1024).await;
    node.remotes_are(false);
    node.sends("b.example", 5).await;
    for _ in 0..15 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        node.shows_life("b.example");
    }
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(node.world.dials.load(Relaxed), 2);
    node.remotes_are(true);
    node.outcomes().await.adds_up();
}

#[actix::test]
async fn a_newer_presence_replaces_the_older_one_also_in_a_full_queue() {
    tokio::time::pause();
    let mut node = Node::start_within(64 * 1024, settings::Promise { max_stanzas: 10, ..bounds() }).await;
    node.remotes_are(false);
    node.sends_all("b.example", &[Kind::State]).await;
    node.sends("b.example", 9).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    node.sends_all("b.example", &[Kind::Message, Kind::State]).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    node.remotes_are(true);
    let outcomes = node.outcomes().await;
    outcomes.adds_up();
    assert_eq!(outcomes.bounced("b.example"), [10], "there was no room for the message");
    assert_eq!(outcomes.arrived("b.example"), [1, 2, 3, 4, 5, 6, 7, 8, 9, 11]);
}

#[actix::test]
async fn a_domain_of_which_all_has_expired_before_its_turn_is_not_dialled() {
    tokio::time::pause();
    let short = settings::Promise { message: Duration::from_millis(200), ..bounds() };
    let mut node = Node::start_within(64 * 1024, short).await;
    node.remotes_are(false);
    for number in 0..30 {
        node.sends(&format!("d{number}.example"), 1).await;
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let dials = node.world.dials.load(Relaxed);
    assert!((2..=10).contains(&dials), "{dials} of 30 dialled");
    node.outcomes().await.adds_up();
}

#[actix::test]
async fn nobody_is_dialled_when_the_node_stops() {
    tokio::time::pause();
    let mut node = Node::start(64 * 1024).await;
    node.remotes_are(false);
    for number in 0..30 {
        node.sends(&format!("d{number}.example"), 1).await;
    }
    tokio::time::sleep(Duration::from_millis(40)).await;
    let dials = Arc::clone(&node.world.dials);
    let outcomes = node.stops().await;
    outcomes.adds_up();
    assert_eq!(dials.load(Relaxed), 2, "those that were dialled before");
}

/// Hundreds of domains that have failed before want another attempt, and two are made at a time.
async fn a_herd_waits_for_another_attempt(node: &mut Node) {
    node.remotes_are(false);
    for number in 0..HERD {
        node.sends(&format!("d{number}.example"), 1).await;
    }
    // Each has failed at least once, and more are due than there are turns.
    tokio::time::sleep(Duration::from_secs(60)).await;
    node.remotes_are(true);
}

#[actix::test]
async fn a_first_attempt_does_not_wait_behind_those_that_failed_before() {
    tokio::time::pause();
    let mut node = Node::start(64 * 1024).await;
    a_herd_waits_for_another_attempt(&mut node).await;
    let began = clock::now();
    node.sends("cold.example", 1).await;
    let outcomes = node.outcomes().await;
    outcomes.adds_up();
    let took = outcomes.arrived["cold.example"][0].at.duration_since(began);
    assert!(took < Duration::from_millis(400), "{took:?}");
    assert!((0..HERD).all(|number| outcomes.arrived(&format!("d{number}.example")) == [0]));
}

#[actix::test]
async fn a_domain_in_line_that_shows_life_goes_before_those_that_failed() {
    tokio::time::pause();
    let mut node = Node::start(64 * 1024).await;
    a_herd_waits_for_another_attempt(&mut node).await;
    let began = clock::now();
    node.shows_life("d59.example");
    let outcomes = node.outcomes().await;
    outcomes.adds_up();
    let took = outcomes.arrived["d59.example"][0].at.duration_since(began);
    assert!(took < Duration::from_millis(400), "{took:?}");
}

#[actix::test]
async fn new_pairs_are_refused_when_the_whole_is_full_and_forgotten_ones_make_room() {
    tokio::time::pause();
    let narrow = settings::Promise { max_bytes: 1 << 14, total_bytes: 1 << 16, ..bounds() };
    let mut node = Node::start_within(64 * 1024, narrow).await;
    node.remotes_are(false);
    for number in 0..500 {
        node.sends(&format!("d{number}.example"), 1).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (known, waiting) = (node.pairs_known().await, node.account().await.waiting().stanzas);
    assert!((10..60).contains(&known), "{known} pairs in 64 KiB");
    assert!(waiting <= known as u64, "{waiting}");
    // Nothing waits for any of these, and their state goes when there is no room for others.
    node.remotes_can_be_reached(Reach::Nowhere);
    tokio::time::sleep(Duration::from_secs(60)).await;
    node.remotes_are(true);
    for number in 0..20 {
        node.sends(&format!("new{number}.example"), 1).await;
    }
    let outcomes = node.outcomes().await;
    outcomes.adds_up();
    assert!((0..20).all(|number| outcomes.arrived(&format!("new{number}.example")) == [0]));
}

/// So many attempts take 24 s, two at a time.
const HERD: usize = 600;
