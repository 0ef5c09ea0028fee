//! Links whose peers read slowly: their sources are not paused, and what comes keeps its order through every change of
//! hands between router, promise and session.

pub(super) mod races;

use super::{remotes::Acks, *};
use crate::flow::{account::Outcome, outbox};

/// Bounds that no test of slow links reaches.
pub(super) fn wide_bounds() -> settings::Promise {
    settings::Promise { max_stanzas: 50_000, max_bytes: 16 << 20, total_bytes: 256 << 20, ..bounds() }
}

impl Node {
    /// A node with a link to b.example, which acknowledges stanzas and stops reading.
    async fn with_stalled_link() -> Self {
        let behaviour =
            Behaviour { acks: Acks::Resumable, reader: Some("b.example"), ..Behaviour::default() };
        let mut node = Self::start_with(4096, wide_bounds(), behaviour).await;
        node.sends("b.example", 1).await;
        tokio::time::sleep(MOMENT).await;
        node.set_reading(Reading::Stopped);
        node
    }

    /// The stanzas that wait in the promise for b.example, and whether its session gets them in portions.
    async fn queued(&self) -> Option<(usize, report::QueueState)> {
        let (answer, shown) = oneshot::channel();
        let of = Some(Domain::new("b.example").unwrap());
        self.promise.signal(promise::Show { of, limit: 1, answer }).unwrap();
        let queue = shown.await.unwrap().queues.pop()?;
        Some((usize::try_from(queue.waiting.stanzas).unwrap(), queue.state))
    }

    /// The account balances at this moment.
    async fn is_in_balance(&self) {
        let account = self.account().await;
        assert_eq!(account.difference(), Default::default(), "{account:?}");
        let outcomes =
            [Outcome::Written, Outcome::Uncertain, Outcome::Answered, Outcome::Expired, Outcome::Dropped];
        let settled: u64 = outcomes.into_iter().map(|outcome| account.settled(outcome).stanzas).sum();
        assert_eq!(account.taken().stanzas, settled + account.waiting().stanzas, "{account:?}");
    }
}

#[actix::test]
async fn a_stalled_link_pauses_no_source_and_everything_arrives_in_order_when_its_peer_reads_again() {
    tokio::time::pause();
    let mut node = Node::with_stalled_link().await;
    let began = clock::now();
    for _ in 0..MORE_THAN_AN_OUTBOX / 10 {
        node.sends_long("b.example", 10).await;
        node.sends("healthy.example", 1).await;
    }
    assert!(
        clock::since(began) < Duration::from_millis(500),
        "the source was paused: {:?}",
        clock::since(began)
    );
    tokio::time::sleep(MOMENT).await;
    let (queued, state) = node.queued().await.unwrap();
    assert_eq!(state, report::QueueState::Slow);
    assert!(queued > MORE_THAN_AN_OUTBOX / 2, "{queued}");
    node.is_in_balance().await;
    node.set_reading(Reading::Fast);
    let outcomes = node.outcomes().await;
    outcomes.check_exactly_once();
    assert_eq!(outcomes.arrived("b.example"), (0..outcomes.sent["b.example"].len()).collect::<Vec<_>>());
    let healthy = &outcomes.arrived["healthy.example"];
    let latest =
        healthy.iter().zip(&outcomes.sent["healthy.example"]).map(|(seen, sent)| seen.at - sent.at).max();
    // The first waits for its link.
    assert!(latest.unwrap() < Duration::from_millis(200), "{latest:?}");
}

#[actix::test]
async fn a_peer_that_stops_reading_before_the_outbox_is_full_leaves_little_in_it() {
    tokio::time::pause();
    // Less than half of an outbox, and more.
    for sent in [AN_OUTBOX / 4, AN_OUTBOX / 4 * 3] {
        let mut node = Node::with_stalled_link().await;
        node.sends_long("b.example", sent).await;
        tokio::time::sleep(MOMENT).await;
        assert_eq!(node.pairs_known().await, 0, "the outbox has room");
        tokio::time::sleep(Duration::from_secs(4)).await;
        let (queued, state) = node.queued().await.expect("the promise knows the pair");
        assert_eq!(state, report::QueueState::Slow);
        let left = sent - queued;
        assert!(left <= outbox::STALLED_BUDGET / LONG + 1, "{left} are left in the outbox");
        node.is_in_balance().await;
        node.sends("b.example", 3).await;
        node.set_reading(Reading::Fast);
        let outcomes = node.outcomes().await;
        outcomes.check_exactly_once();
        let all = outcomes.sent["b.example"].len();
        assert_eq!(outcomes.arrived("b.example"), (0..all).collect::<Vec<_>>());
    }
}

#[actix::test]
async fn a_pair_returns_to_the_direct_path_when_its_queue_is_empty() {
    tokio::time::pause();
    let mut node = Node::with_stalled_link().await;
    node.sends_long("b.example", MORE_THAN_AN_OUTBOX).await;
    tokio::time::sleep(MOMENT).await;
    assert_eq!(node.pairs_known().await, 1);
    node.set_reading(Reading::Fast);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(node.pairs_known().await, 0, "the promise does not know the pair");
    node.sends("b.example", 5).await;
    node.outcomes().await.check_exactly_once();
}

#[actix::test]
async fn a_long_queue_is_handed_over_in_portions_and_in_order_while_more_arrives() {
    tokio::time::pause();
    let mut node = Node::start_within(4096, wide_bounds()).await;
    node.remotes_are_up(false);
    node.sends_long("b.example", MORE_THAN_AN_OUTBOX).await;
    node.set_reading(Reading::Slow);
    node.remotes_are_up(true);
    let mut portions = 0;
    for _ in 0..200 {
        node.sends("b.example", 1).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        portions += usize::from(matches!(node.queued().await, Some((1.., report::QueueState::Slow))));
    }
    assert!(portions > 100, "{portions}");
    node.set_reading(Reading::Fast);
    let outcomes = node.outcomes().await;
    outcomes.check_exactly_once();
    assert_eq!(outcomes.arrived("b.example"), (0..MORE_THAN_AN_OUTBOX + 200).collect::<Vec<_>>());
}

#[actix::test]
async fn what_waits_for_a_slow_link_expires_by_its_kind_and_the_answer_says_why() {
    tokio::time::pause();
    let mut node = Node::with_stalled_link().await;
    node.sends_long("b.example", MORE_THAN_AN_OUTBOX).await;
    node.sends_all("b.example", &[Kind::Request, Kind::State, Kind::State]).await;
    tokio::time::sleep(Duration::from_secs(50)).await;
    // A stream with acknowledgements has ended by now; what was queued waits on.
    node.set_reading(Reading::Fast);
    let outcomes = node.outcomes().await;
    outcomes.check();
    let request = MORE_THAN_AN_OUTBOX + 1;
    assert!(!outcomes.arrived("b.example").contains(&(request + 1)), "a newer presence replaced it");
    assert!(outcomes.arrived("b.example").contains(&(request + 2)));
}

#[actix::test]
async fn beyond_the_bounds_of_a_slow_pair_stanzas_are_answered_at_once_and_others_are_not_touched() {
    tokio::time::pause();
    let bounds = settings::Promise { max_stanzas: 20, ..wide_bounds() };
    let behaviour =
        Behaviour { reader: Some("b.example"), reading: Reading::Stopped, ..Behaviour::default() };
    let mut node = Node::start_with(4096, bounds, behaviour).await;
    for remote in ["b.example", "healthy.example"] {
        node.sends(remote, 1).await;
    }
    tokio::time::sleep(MOMENT).await;
    let began = clock::now();
    for _ in 0..MORE_THAN_AN_OUTBOX {
        node.sends_long("b.example", 1).await;
        node.sends("healthy.example", 1).await;
        tokio::task::yield_now().await;
    }
    assert!(clock::since(began) < Duration::from_millis(500), "{:?}", clock::since(began));
    tokio::time::sleep(MOMENT).await;
    assert_eq!(node.queued().await, Some((20, report::QueueState::Slow)));
    node.set_reading(Reading::Fast);
    let outcomes = node.outcomes().await;
    outcomes.check();
    assert!(outcomes.bounced("healthy.example").is_empty());
    let bounced = &outcomes.bounced["b.example"];
    assert!(bounced.len() > MORE_THAN_AN_OUTBOX / 3, "{}", bounced.len());
    for seen in bounced {
        assert!(seen.stanza.contains("resource-constraint"), "{}", seen.stanza);
        assert!(seen.stanza.contains("wait for b.example as promise.max_stanzas permits"), "{}", seen.stanza);
        assert!(seen.at - outcomes.sent["b.example"][seen.id].at < Duration::from_millis(200));
    }
}

#[actix::test]
async fn a_source_is_paused_while_the_memory_of_all_queues_has_no_room_and_its_stanzas_are_delivered_in_order()
 {
    tokio::time::pause();
    // Room for one pair and two long messages, not for three; and two leave so much that no queue has to give up stanzas.
    let total_bytes = 3 * LONG + 1000;
    let mut node = Node::start_within(4096, settings::Promise { total_bytes, ..wide_bounds() }).await;
    node.remotes_are_up(false);
    node.sends_long("b.example", 2).await;
    tokio::time::sleep(MOMENT).await;
    node.sends_long("b.example", 1).await;
    tokio::time::sleep(MOMENT).await;
    let (queued, _) = node.queued().await.unwrap();
    assert_eq!(queued, 3, "one of them is held");
    // More than the socket buffers take: the source cannot write all of it before the remote servers are up.
    let (remotes, promise) = (node.remotes.clone(), node.promise.clone());
    let (began, pause) = (clock::now(), Duration::from_secs(1));
    let recovery = async {
        tokio::time::sleep(pause).await;
        remotes.behaviour.send_modify(|behaviour| behaviour.reachability = Reachability::Up);
        promise.signal(incoming::Authorized { remote: Domain::new("b.example").unwrap() }).unwrap();
    };
    futures_util::future::join(node.sends_long("c.example", 20), recovery).await;
    assert!(clock::since(began) >= pause, "the source is paused");
    node.is_in_balance().await;
    let outcomes = node.outcomes().await;
    outcomes.check_exactly_once();
    assert_eq!(outcomes.arrived("b.example"), [0, 1, 2]);
    assert_eq!(outcomes.arrived("c.example"), (0..20).collect::<Vec<_>>());
}

#[actix::test]
async fn held_stanzas_are_sent_when_the_remote_contacts_us() {
    tokio::time::pause();
    // Room for two pairs with two long messages and two short stanzas, not for a third long one.
    let total_bytes = 3 * LONG + 2600;
    let bounds = settings::Promise { total_bytes, iq: Duration::from_millis(200), ..wide_bounds() };
    let mut node = Node::start_within(4096, bounds).await;
    node.remotes_are_up(false);
    node.sends_all("b.example", &[Kind::Result; 2]).await;
    node.sends_long("c.example", 2).await;
    tokio::time::sleep(MOMENT / 4).await;
    node.sends_long("b.example", 1).await;
    // The results have expired, and the queue of the other pair leaves no room.
    tokio::time::sleep(2 * MOMENT).await;
    assert_eq!(node.account().await.waiting().stanzas, 3);
    assert_eq!(node.queued().await.map(|(queued, _)| queued), Some(1), "it is held");
    node.remotes_are_up(true);
    node.remote_authenticates("b.example");
    let outcomes = node.outcomes().await;
    outcomes.check();
    assert_eq!(outcomes.arrived("b.example"), [2]);
}

const MOMENT: Duration = Duration::from_millis(200);

/// Long messages that weigh three times as much as an outbox takes.
const MORE_THAN_AN_OUTBOX: usize = 3 * outbox::BUDGET / LONG;

/// Long messages that weigh as much as an outbox takes.
const AN_OUTBOX: usize = outbox::BUDGET / LONG;
