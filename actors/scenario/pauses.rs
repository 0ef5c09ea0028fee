//! Remote servers that are unreachable, and that come back.

use super::*;
use crate::flow::account::Outcome;

#[actix::test]
async fn a_remote_gets_waiting_stanzas_within_one_pause_of_its_return() {
    tokio::time::pause();
    let mut node = Node::start(64 * 1024).await;
    node.remotes_are_up(false);
    node.sends("b.example", 500).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    node.remotes_are_up(true);
    let back = clock::now();
    let outcomes = node.outcomes().await;
    outcomes.check();
    assert_eq!(outcomes.arrived("b.example"), (0..500).collect::<Vec<_>>());
    let last = outcomes.arrived["b.example"].last().unwrap().at.duration_since(back);
    assert!(last < bounds().backoff_longest + Duration::from_secs(2), "{last:?}");
}

#[actix::test]
async fn a_pause_ends_at_once_when_the_remote_contacts_us() {
    tokio::time::pause();
    let mut node = Node::start(64 * 1024).await;
    node.remotes_are_up(false);
    node.sends("b.example", 500).await;
    tokio::time::sleep(Duration::from_secs(100)).await;
    node.remotes_are_up(true);
    let dials = node.remotes.dials.load(Relaxed);
    node.remote_authenticates("b.example");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(node.remotes.dials.load(Relaxed), dials + 1, "one attempt, at once");
    assert_eq!(node.account().await.waiting().stanzas, 0);
    node.outcomes().await.check();
}

#[actix::test]
async fn an_operator_can_end_a_pause_when_nothing_waits() {
    tokio::time::pause();
    let mut node = Node::start(64 * 1024).await;
    node.remotes_are_up(false);
    node.sends("b.example", 5).await;
    tokio::time::sleep(Duration::from_secs(301)).await;
    assert_eq!(node.account().await.waiting().stanzas, 0, "expired");
    let dials = node.remotes.dials.load(Relaxed);
    let retried = node.operator_retries("b.example").await;
    assert_eq!((retried.begun.len(), retried.under_way.len()), (1, 0));
    let again = node.operator_retries("b.example").await;
    assert_eq!((again.begun.len(), again.under_way.len()), (0, 1), "the attempt is under way");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(node.remotes.dials.load(Relaxed), dials + 1, "one attempt, at once");
    assert!(node.operator_retries("unknown.example").await.begun.is_empty());
    node.outcomes().await.check();
}

#[actix::test]
async fn each_pause_is_followed_by_one_attempt() {
    tokio::time::pause();
    let mut node = Node::start(64 * 1024).await;
    node.remotes_are_up(false);
    for _ in 0..100 {
        node.sends("b.example", 5).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let dials = node.remotes.dials.load(Relaxed);
    assert!((3..=40).contains(&dials), "{dials} attempts in 100 s");
    node.remotes_are_up(true);
    node.outcomes().await.check();
}

#[actix::test]
async fn expired_stanzas_are_answered_within_a_second() {
    tokio::time::pause();
    let mut node = Node::start(64 * 1024).await;
    node.remotes_are_up(false);
    node.sends("b.example", 50).await;
    tokio::time::sleep(Duration::from_secs(299)).await;
    assert_eq!(node.account().await.waiting().stanzas, 50);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(node.account().await.waiting().stanzas, 0);
    let outcomes = node.outcomes().await;
    outcomes.check();
    assert_eq!(outcomes.bounced("b.example"), (0..50).collect::<Vec<_>>());
    assert_eq!(outcomes.account.settled(Outcome::Expired).stanzas, 50);
}

#[actix::test]
async fn stanzas_to_a_denied_domain_are_answered_at_once_without_an_attempt() {
    tokio::time::pause();
    let mut node = Node::start(64 * 1024).await;
    node.sends("denied.example", 10).await;
    let dials = Arc::clone(&node.remotes.dials);
    let outcomes = node.outcomes().await;
    outcomes.check();
    assert_eq!(outcomes.bounced("denied.example").len(), 10);
    assert_eq!(dials.load(Relaxed), 0);
}

#[actix::test]
async fn an_attempt_that_fails_is_repeated_at_once_if_the_remote_contacted_us_during_it() {
    tokio::time::pause();
    let mut node = Node::start(64 * 1024).await;
    node.remotes_are_up(false);
    node.sends("b.example", 5).await;
    tokio::time::sleep(Duration::from_millis(40)).await;
    node.remote_authenticates("b.example");
    tokio::time::sleep(Duration::from_millis(60)).await;
    node.remotes_are_up(true);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!((node.remotes.dials.load(Relaxed), node.account().await.waiting().stanzas), (2, 0));
    node.outcomes().await.check();
}

#[actix::test]
async fn an_attempt_is_repeated_once_however_often_the_remote_contacted_us() {
    tokio::time::pause();
    let mut node = Node::start(64 * 1024).await;
    node.remotes_are_up(false);
    node.sends("b.example", 5).await;
    for _ in 0..15 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        node.remote_authenticates("b.example");
    }
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(node.remotes.dials.load(Relaxed), 2);
    node.remotes_are_up(true);
    node.outcomes().await.check();
}

#[actix::test]
async fn a_newer_presence_replaces_an_older_one_in_a_full_queue() {
    tokio::time::pause();
    let mut node = Node::start_within(64 * 1024, settings::Promise { max_stanzas: 10, ..bounds() }).await;
    node.remotes_are_up(false);
    node.sends_all("b.example", &[Kind::State]).await;
    node.sends("b.example", 9).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    node.sends_all("b.example", &[Kind::Message, Kind::State]).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    node.remotes_are_up(true);
    let outcomes = node.outcomes().await;
    outcomes.check();
    assert_eq!(outcomes.bounced("b.example"), [10], "there was no room for the message");
    assert_eq!(outcomes.arrived("b.example"), [1, 2, 3, 4, 5, 6, 7, 8, 9, 11]);
}

#[actix::test]
async fn no_attempt_is_made_when_everything_expired_before_a_slot_was_free() {
    tokio::time::pause();
    let short = settings::Promise { message: Duration::from_millis(200), ..bounds() };
    let mut node = Node::start_within(64 * 1024, short).await;
    node.remotes_are_up(false);
    for number in 0..30 {
        node.sends(&format!("d{number}.example"), 1).await;
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let dials = node.remotes.dials.load(Relaxed);
    assert!((2..=10).contains(&dials), "{dials} of 30 dialed");
    node.outcomes().await.check();
}

#[actix::test]
async fn no_attempt_is_started_when_the_node_stops() {
    tokio::time::pause();
    let mut node = Node::start(64 * 1024).await;
    node.remotes_are_up(false);
    for number in 0..30 {
        node.sends(&format!("d{number}.example"), 1).await;
    }
    tokio::time::sleep(Duration::from_millis(40)).await;
    let dials = Arc::clone(&node.remotes.dials);
    let outcomes = node.stops().await;
    outcomes.check();
    assert_eq!(dials.load(Relaxed), 2, "the attempts from before");
}

/// Hundreds of domains have failed and wait for a retry; two attempts are made at a time.
async fn many_domains_wait_for_a_retry(node: &mut Node) {
    node.remotes_are_up(false);
    for number in 0..MANY {
        node.sends(&format!("d{number}.example"), 1).await;
    }
    // Each has failed at least once, and more pauses are over than there are slots.
    tokio::time::sleep(Duration::from_secs(60)).await;
    node.remotes_are_up(true);
}

#[actix::test]
async fn a_first_attempt_goes_before_retries() {
    tokio::time::pause();
    let mut node = Node::start(64 * 1024).await;
    many_domains_wait_for_a_retry(&mut node).await;
    let began = clock::now();
    node.sends("cold.example", 1).await;
    let outcomes = node.outcomes().await;
    outcomes.check();
    let took = outcomes.arrived["cold.example"][0].at.duration_since(began);
    assert!(took < Duration::from_millis(400), "{took:?}");
    assert!((0..MANY).all(|number| outcomes.arrived(&format!("d{number}.example")) == [0]));
}

#[actix::test]
async fn a_waiting_domain_that_contacts_us_goes_before_other_retries() {
    tokio::time::pause();
    let mut node = Node::start(64 * 1024).await;
    many_domains_wait_for_a_retry(&mut node).await;
    let began = clock::now();
    node.remote_authenticates("d59.example");
    let outcomes = node.outcomes().await;
    outcomes.check();
    let took = outcomes.arrived["d59.example"][0].at.duration_since(began);
    assert!(took < Duration::from_millis(400), "{took:?}");
}

#[actix::test]
async fn new_pairs_are_refused_when_the_memory_is_used_up_until_others_are_forgotten() {
    tokio::time::pause();
    let narrow = settings::Promise { max_bytes: 1 << 14, total_bytes: 1 << 16, ..bounds() };
    let mut node = Node::start_within(64 * 1024, narrow).await;
    node.remotes_are_up(false);
    for number in 0..500 {
        node.sends(&format!("d{number}.example"), 1).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (known, waiting) = (node.pairs_known().await, node.account().await.waiting().stanzas);
    assert!((10..60).contains(&known), "{known} pairs in 64 KiB");
    assert!(waiting <= known as u64, "{waiting}");
    // Nothing waits for these pairs, so they are forgotten when others need the memory.
    node.set_reachability(Reachability::NoSuchDomain);
    tokio::time::sleep(Duration::from_secs(60)).await;
    node.remotes_are_up(true);
    for number in 0..20 {
        node.sends(&format!("new{number}.example"), 1).await;
    }
    let outcomes = node.outcomes().await;
    outcomes.check();
    assert!((0..20).all(|number| outcomes.arrived(&format!("new{number}.example")) == [0]));
}

/// This number of attempts takes 24 s, two at a time.
const MANY: usize = 600;
