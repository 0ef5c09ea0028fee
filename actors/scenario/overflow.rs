//! Queues that are full overflow to the journal: order, times and outcomes are those of the memory, also if the disk is slow,
//! full, failing or damaged.

use ::journal::fake::Failure;

use super::{
    disk::{Disk, WIDE},
    remotes::Acks,
    schedules::{Random, one_random_step},
    slow_links::wide_bounds,
    *,
};
use crate::flow::account::Outcome;

impl Node {
    async fn start_over(disk: &Disk, bounds: settings::Promise, behaviour: Behaviour) -> Self {
        let beside = fixture::Beside { journal: Some(disk.store.clone()), ..fixture::Beside::default() };
        Self::start_beside(64 * 1024, bounds, behaviour, beside).await
    }

    /// The queue for b.example.
    async fn queue(&self) -> report::QueueReport {
        let (answer, shown) = oneshot::channel();
        let of = Some(Domain::new("b.example").unwrap());
        self.promise.signal(promise::Show { of, limit: 1, answer }).unwrap();
        shown.await.unwrap().queues.pop().unwrap()
    }
}

/// Bounds that few stanzas reach.
fn few() -> settings::Promise {
    settings::Promise { max_stanzas: FEW as usize, ..wide_bounds() }
}

const FEW: u64 = 20;

/// Time for what is under way.
const MOMENT: Duration = Duration::from_millis(200);

#[actix::test]
async fn what_has_no_room_in_memory_arrives_from_the_disk_in_order_while_more_comes() {
    tokio::time::pause();
    let disk = Disk::start(WIDE, Duration::ZERO);
    let mut node = Node::start_over(&disk, few(), Behaviour::default()).await;
    node.remotes_are_up(false);
    node.sends("b.example", 3000).await;
    tokio::time::sleep(MOMENT).await;
    let queue = node.queue().await;
    assert_eq!((queue.waiting.stanzas, queue.on_disk.stanzas), (3000, 3000 - FEW));
    assert_eq!(queue.kept, 3000);
    let figures = disk.writer.figures().read();
    assert_eq!(figures.overflow_stanzas, 3000 - FEW);
    node.remotes_are_up(true);
    for _ in 0..100 {
        node.sends("b.example", 10).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let outcomes = node.outcomes().await;
    outcomes.check_exactly_once();
    assert_eq!(outcomes.arrived("b.example"), (0..4000).collect::<Vec<_>>());
    assert!(disk.fake.keys().is_empty(), "the records are removed with their stanzas");
}

#[actix::test]
async fn a_slow_disk_delays_what_is_on_it_and_keeps_its_order() {
    tokio::time::pause();
    let disk = Disk::start(WIDE, Duration::from_millis(300));
    let mut node = Node::start_over(&disk, few(), Behaviour::default()).await;
    node.remotes_are_up(false);
    for _ in 0..10 {
        node.sends("b.example", 50).await;
        tokio::time::sleep(Duration::from_millis(70)).await;
    }
    node.remotes_are_up(true);
    node.remote_authenticates("b.example");
    for _ in 0..40 {
        node.sends("b.example", 10).await;
        node.sends("healthy.example", 1).await;
        tokio::time::sleep(Duration::from_millis(70)).await;
    }
    let outcomes = node.outcomes().await;
    outcomes.check_exactly_once();
    assert_eq!(outcomes.arrived("b.example"), (0..900).collect::<Vec<_>>());
    let healthy = outcomes.arrived["healthy.example"].iter().zip(&outcomes.sent["healthy.example"]);
    let latest = healthy.map(|(seen, sent)| seen.at - sent.at).max().unwrap();
    assert!(latest < Duration::from_millis(200), "the promise does not wait for the disk: {latest:?}");
}

#[actix::test]
async fn stanzas_on_the_disk_expire_in_their_time_by_kind() {
    tokio::time::pause();
    let disk = Disk::start(WIDE, Duration::ZERO);
    let stalled = Behaviour { reader: Some("b.example"), reading: Reading::Stopped, ..Behaviour::default() };
    let mut node = Node::start_over(&disk, few(), stalled).await;
    node.sends_long("b.example", 300).await;
    node.sends_all("b.example", &[Kind::Request, Kind::Subscription, Kind::Request, Kind::Message]).await;
    tokio::time::sleep(Duration::from_secs(40)).await;
    let before = node.queue().await;
    assert!(before.on_disk.stanzas > 100, "{before:?}");
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(node.queue().await.on_disk.stanzas, before.on_disk.stanzas - 2, "the requests");
    tokio::time::sleep(Duration::from_secs(15)).await;
    assert_eq!(node.queue().await.on_disk.stanzas, before.on_disk.stanzas - 3, "the presence");
    // What a link has taken that is not read is answered when the link has ended.
    node.slow_time = Duration::from_secs(130);
    let outcomes = node.outcomes().await;
    outcomes.check();
    let bounced = outcomes.bounced("b.example");
    assert_eq!(bounced[..3], [300, 302, 301]);
    assert!(bounced.len() > 200 && bounced.contains(&303), "{bounced:?}");
    for seen in outcomes.bounced["b.example"].iter().filter(|seen| seen.id >= 100) {
        let Sent { kind, at } = &outcomes.sent["b.example"][seen.id];
        let late = (seen.at - *at).saturating_sub(kind.time());
        assert!(late < Duration::from_secs(1), "{} was {late:?} late", seen.id);
    }
    assert!(disk.fake.keys().is_empty());
}

#[actix::test]
async fn a_failed_attempt_answers_the_requests_on_the_disk_and_a_definitive_one_everything() {
    tokio::time::pause();
    let disk = Disk::start(WIDE, Duration::from_millis(10));
    let mut node = Node::start_over(&disk, few(), Behaviour::default()).await;
    node.remotes_are_up(false);
    node.sends("b.example", 100).await;
    node.sends_all("b.example", &[Kind::Request; 5]).await;
    node.sends("b.example", 100).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(node.queue().await.waiting.stanzas, 200);
    node.set_reachability(Reachability::NoSuchDomain);
    let outcomes = node.outcomes().await;
    outcomes.check_exactly_once();
    assert_eq!(outcomes.bounced("b.example").len(), 205);
    assert_eq!(outcomes.account.settled(Outcome::Answered).stanzas, 205);
    assert!(disk.fake.keys().is_empty());
}

#[actix::test]
async fn when_the_journal_is_full_too_the_pair_is_refused_and_no_other() {
    tokio::time::pause();
    let disk = Disk::start(100_000, Duration::ZERO);
    let mut node = Node::start_over(&disk, few(), Behaviour::default()).await;
    node.remotes_are_up(false);
    for _ in 0..100 {
        node.sends("b.example", 10).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    node.sends("healthy.example", 10).await;
    tokio::time::sleep(MOMENT).await;
    node.remotes_are_up(true);
    let outcomes = node.outcomes().await;
    outcomes.check_exactly_once();
    assert!(outcomes.bounced("healthy.example").is_empty());
    let refused = &outcomes.bounced["b.example"];
    assert!((100..900).contains(&refused.len()), "{}", refused.len());
    for seen in refused {
        assert!(seen.stanza.contains("resource-constraint"), "{}", seen.stanza);
        assert!(seen.stanza.contains("journal.max_bytes"), "{}", seen.stanza);
    }
}

#[actix::test]
async fn when_the_memory_for_entries_is_used_up_the_answer_names_its_limit() {
    tokio::time::pause();
    let disk = Disk::start(WIDE, Duration::ZERO);
    let bounds = settings::Promise { total_bytes: 64 << 10, ..few() };
    let mut node = Node::start_over(&disk, bounds, Behaviour::default()).await;
    node.remotes_are_up(false);
    for _ in 0..20 {
        node.sends("b.example", 10).await;
        tokio::time::sleep(MOMENT).await;
    }
    node.remotes_are_up(true);
    let outcomes = node.outcomes().await;
    outcomes.check_exactly_once();
    let refused = &outcomes.bounced["b.example"];
    assert!((20..180).contains(&refused.len()), "{}", refused.len());
    for seen in refused {
        assert!(seen.stanza.contains("a quarter of promise.total_bytes"), "{}", seen.stanza);
    }
}

#[actix::test]
async fn a_message_that_may_not_be_stored_keeps_its_place_in_memory_or_is_refused() {
    tokio::time::pause();
    let disk = Disk::start(WIDE, Duration::ZERO);
    let mut node = Node::start_over(&disk, few(), Behaviour::default()).await;
    node.remotes_are_up(false);
    node.sends("b.example", 100).await;
    let secret =
        Kind::Message.stanza("b.example", 100).replace("</n>", "</n><no-store xmlns='urn:xmpp:hints'/>");
    node.component.write_all(secret.as_bytes()).await.unwrap();
    node.sent.get_mut("b.example").unwrap().push(Sent { kind: Kind::Message, at: clock::now() });
    let outcomes = {
        tokio::time::sleep(MOMENT).await;
        node.remotes_are_up(true);
        node.outcomes().await
    };
    outcomes.check_exactly_once();
    assert_eq!(outcomes.bounced("b.example"), [100]);
    assert!(outcomes.bounced["b.example"][0].stanza.contains("promise.max_stanzas"));
}

#[actix::test]
async fn damaged_records_cost_their_stanzas_only() {
    tokio::time::pause();
    let disk = Disk::start(WIDE, Duration::ZERO);
    let mut node = Node::start_over(&disk, few(), Behaviour::default()).await;
    node.remotes_are_up(false);
    node.sends("b.example", 200).await;
    tokio::time::sleep(MOMENT).await;
    let keys = disk.fake.keys();
    for nth in [50, 51, 150] {
        disk.fake.corrupt(keys[nth]);
    }
    node.remotes_are_up(true);
    let outcomes = node.outcomes().await;
    assert_eq!(outcomes.check(), 3);
    assert_eq!(outcomes.account.settled(Outcome::Dropped).stanzas, 3);
    assert_eq!(outcomes.arrived("b.example").len(), 197);
}

#[actix::test]
async fn a_stop_keeps_the_messages_on_the_disk_and_answers_the_rest() {
    tokio::time::pause();
    let disk = Disk::start(WIDE, Duration::ZERO);
    let mut node = Node::start_over(&disk, few(), Behaviour::default()).await;
    node.remotes_are_up(false);
    node.sends("b.example", 100).await;
    node.sends_all("b.example", &[Kind::Subscription; 7]).await;
    node.sends("b.example", 100).await;
    tokio::time::sleep(MOMENT).await;
    let outcomes = node.stops().await;
    outcomes.check();
    assert_eq!(outcomes.account.settled(Outcome::Kept).stanzas, 200);
    assert_eq!(outcomes.bounced("b.example"), (100..107).collect::<Vec<_>>());
    assert_eq!(disk.fake.keys().len(), 200);
}

/// Each fails now and then: commits, with or without their changes, and reads.
#[actix::test]
async fn every_stanza_has_one_outcome_in_any_schedule_of_failures_over_a_failing_disk() {
    tokio::time::pause();
    let schedules = std::env::var("NUNCIO_SCHEDULES").ok().and_then(|count| count.parse().ok());
    for seed in 1..=schedules.unwrap_or(SCHEDULES) {
        let mut random = Random(seed);
        let wait = Duration::from_millis(random.below(200) as u64);
        let max_bytes = if random.below(4) == 0 { 50_000 } else { WIDE };
        let disk = Disk::start(max_bytes, wait);
        if random.below(2) == 0 {
            let failure = [Failure::Before, Failure::After][random.below(2)];
            disk.fake.fail_each(Some(2 + random.below(200) as u64), failure);
            disk.fake.fail_each_read(Some(2 + random.below(20) as u64));
        }
        let bounds = settings::Promise { max_stanzas: 15, max_bytes: 4 << 10, ..wide_bounds() };
        let acks = [Acks::No, Acks::Plain, Acks::Resumable, Acks::Refused][random.below(4)];
        let behaviour = Behaviour { acks, ..Behaviour::default() };
        let mut node = Node::start_over(&disk, bounds, behaviour).await;
        for _ in 0..80 {
            one_random_step(&mut node, &mut random).await;
        }
        // What fails for good is answered late.
        disk.fake.fail_each(None, Failure::Before);
        disk.fake.fail_each_read(None);
        let outcomes = if random.below(3) == 0 {
            node.stops().await
        } else {
            node.remotes_are_up(true);
            node.outcomes().await
        };
        outcomes.check();
    }
}

/// The number of schedules, which take a few seconds.
const SCHEDULES: u64 = 8;
