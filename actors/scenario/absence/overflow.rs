//! Queues of components that are full overflow to the journal: order, times and outcomes are those of the memory, whether
//! the component is away, slow or flapping, also if the disk is slow, full, failing or damaged.

use ::journal::fake::Failure;

use super::{
    super::{
        disk::{self, Disk},
        schedules::Random,
    },
    races::Crash,
    schedules::Schedule,
    *,
};

/// Rules with which few stanzas fill a queue.
const NARROW: Absence = Absence { max_stanzas: FEW as usize, ..ABSENCE };

const FEW: u64 = 20;

/// A node over a disk of which each question waits for this time, with these rules for the bot.
fn house(wait: Duration, absence: Absence) -> (Disk, House) {
    tokio::time::pause();
    let disk = Disk::start(disk::WIDE, wait);
    let house = House::over(Some(disk.store.clone()), Conflict::Replace, absence);
    (disk, house)
}

/// A node over a disk that answers at once.
fn narrow() -> (Disk, House) {
    house(Duration::ZERO, NARROW)
}

/// Time for what is under way.
async fn a_moment_passes() {
    tokio::time::sleep(Duration::from_millis(200)).await;
}

#[actix::test]
async fn what_has_no_room_in_memory_arrives_from_the_disk_in_order_while_more_comes() {
    let (disk, house) = narrow();
    let mut sender = house.connect(OURS, WIDE).await;
    sender.sends(BOT, 0..3000).await;
    a_moment_passes().await;
    let queue = house.queue(BOT).await;
    assert_eq!((queue.waiting.stanzas, queue.on_disk.stanzas), (3000, 3000 - FEW));
    assert_eq!(queue.kept, 3000);
    assert_eq!(disk.writer.figures().read().overflow_stanzas, 3000 - FEW);
    house.balances().await;
    let mut bot = house.connect(BOT, WIDE).await;
    let mut received = Vec::new();
    for step in 0..100 {
        sender.sends(BOT, 3000 + step * 10..3010 + step * 10).await;
        received.extend(bot.receives(20).await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    received.extend(bot.receives(4000 - received.len()).await);
    assert_eq!(received, (0..4000).collect::<Vec<_>>());
    // The handover is complete.
    sender.sends(BOT, 4000..4010).await;
    assert_eq!(bot.receives(10).await, (4000..4010).collect::<Vec<_>>());
    house.has_settled().await;
    passes(2).await;
    assert!(disk.fake.keys().is_empty(), "the records are removed with their stanzas");
    assert_eq!(disk.writer.figures().read().overflow_stanzas, 0);
}

#[actix::test]
async fn a_slow_disk_delays_what_is_on_it_and_keeps_its_order() {
    let (_disk, house) = house(Duration::from_millis(300), NARROW);
    let mut sender = house.connect(OURS, WIDE).await;
    let mut other = house.connect(OTHER, WIDE).await;
    for step in 0..10 {
        sender.sends(BOT, step * 50..step * 50 + 50).await;
        tokio::time::sleep(Duration::from_millis(70)).await;
    }
    let mut bot = house.connect(BOT, WIDE).await;
    let before = clock::now();
    for step in 50..90 {
        sender.sends(BOT, step * 10..step * 10 + 10).await;
        sender.sends(OTHER, step..step + 1).await;
        assert_eq!(other.receives(1).await, [step]);
    }
    assert!(clock::since(before) < Duration::from_millis(100), "the mailroom does not wait for the disk");
    assert_eq!(bot.receives(900).await, (0..900).collect::<Vec<_>>());
    house.has_settled().await;
}

#[actix::test]
async fn a_slow_component_gets_what_is_on_the_disk_as_it_reads() {
    let (_disk, house) = house(Duration::from_millis(5), NARROW);
    let mut sender = house.connect(OURS, WIDE).await;
    let mut bot = house.connect(BOT, 1024).await;
    let (mut sent, mut received) = (0, Vec::new());
    for step in [20_000, 3000, 1, 10_000] {
        sender.sends(BOT, sent..sent + step).await;
        sent += step;
        a_moment_passes().await;
        house.balances().await;
        received.extend(bot.receives(step / 2).await);
    }
    assert!(house.queue(BOT).await.on_disk.stanzas > 1000);
    received.extend(bot.receives(sent - received.len()).await);
    assert_eq!(received, (0..sent).collect::<Vec<_>>());
    let account = house.has_settled().await;
    assert_eq!(account.settled(Outcome::Written).stanzas as usize, sent);
}

#[actix::test]
async fn what_a_lost_connection_returns_goes_in_front_of_what_is_on_the_disk() {
    let (_disk, house) = house(Duration::from_millis(20), NARROW);
    let mut sender = house.connect(OURS, WIDE).await;
    sender.sends(BOT, 0..2000).await;
    a_moment_passes().await;
    let mut received = Vec::new();
    for nth in 0..10 {
        let mut bot = house.connect(BOT, 700).await;
        received.extend(bot.receives(nth * 7).await);
        sender.sends(BOT, 2000 + nth * 10..2010 + nth * 10).await;
        if nth % 2 == 0 {
            received.extend(bot.closes().await);
        } else {
            drop(bot);
        }
        house.balances().await;
    }
    let mut bot = house.connect(BOT, WIDE).await;
    received.extend(bot.receives_some().await);
    assert!(received.is_sorted_by(|one, next| one < next), "{received:?}");
    assert_eq!(received.last(), Some(&2099));
    let account = house.has_settled().await;
    assert_eq!((account.settled(Outcome::Answered), account.settled(Outcome::Expired)), Default::default());
    let uncertain = account.settled(Outcome::Uncertain).stanzas as usize;
    assert!(received.len() + uncertain + 5 * 700 / 60 >= 2100, "{} and {uncertain}", received.len());
}

#[actix::test]
async fn connections_that_replace_each_other_keep_the_order_of_what_is_on_the_disk() {
    let (_disk, house) = house(Duration::from_millis(3), NARROW);
    let mut sender = house.connect(OURS, WIDE).await;
    // More than fits into the outboxes of the first connections.
    sender.sends(BOT, 0..40_000).await;
    let mut received = Vec::new();
    a_moment_passes().await;
    assert_eq!(house.queue(BOT).await.on_disk.stanzas, 40_000 - FEW);
    let mut current = house.connect(BOT, 1024).await;
    for _ in 0..2 {
        received.extend(current.receives(50).await);
        a_moment_passes().await;
        let next = house.connect(BOT, 1024).await;
        while let Some(stanza) = current.next().await {
            if stanza.contains("<n>") {
                received.push(number(&stanza));
            }
        }
        current = next;
    }
    received.extend(current.receives(40_000 - received.len()).await);
    assert_eq!(received, (0..40_000).collect::<Vec<_>>());
    house.has_settled().await;
}

#[actix::test]
async fn stanzas_on_the_disk_expire_in_their_time_by_kind() {
    let (disk, house) = narrow();
    let mut sender = house.connect(OURS, WIDE).await;
    sender.sends(BOT, 0..100).await;
    for (number, (kind, type_)) in
        [("message", "chat"), ("presence", "subscribe"), ("iq", "get"), ("iq", "result")]
            .into_iter()
            .enumerate()
    {
        sender.sends_one(BOT, kind, type_, 100 + number).await;
    }
    let since = clock::now();
    a_moment_passes().await;
    assert_eq!(house.queue(BOT).await.on_disk.stanzas, 104 - FEW);
    for (expected, seconds) in [(102, 10), (101, 60)] {
        let (number, condition, text) = sender.is_answered().await;
        assert_eq!((number, condition.as_str()), (expected, "service-unavailable"));
        let waited = clock::since(since).as_secs();
        assert!((seconds..=seconds + 1).contains(&waited), "{number} after {waited} s");
        assert!(text.starts_with("the component bot.example has not been connected for "), "{text}");
    }
    assert_eq!(house.waiting(BOT).await, 101);
    let mut answered: Vec<usize> = Vec::new();
    for _ in 0..101 {
        answered.push(sender.is_answered().await.0);
        let waited = clock::since(since).as_secs();
        assert!((300..=301).contains(&waited), "after {waited} s");
    }
    answered.sort_unstable();
    assert_eq!(answered, (0..101).collect::<Vec<_>>());
    let account = house.has_settled().await;
    assert_eq!(account.settled(Outcome::Expired).stanzas, 103);
    assert_eq!(account.settled(Outcome::Dropped).stanzas, 1, "an answer is not answered");
    passes(2).await;
    assert!(disk.fake.keys().is_empty());
}

#[actix::test]
async fn kept_messages_on_the_disk_wait_for_long_and_are_stamped_once() {
    let absence = Absence { keep: Some(Duration::from_secs(3600)), ..NARROW };
    let (_disk, house) = house(Duration::ZERO, absence);
    let mut sender = house.connect(OURS, WIDE).await;
    sender.sends(BOT, 0..500).await;
    passes(60).await;
    // A connection that takes some and gives the rest back.
    drop(house.connect(BOT, 16).await);
    passes(3000).await;
    let uncertain = house.balances().await.settled(Outcome::Uncertain).stanzas as usize;
    let mut bot = house.connect(BOT, WIDE).await;
    let mut received = Vec::new();
    for _ in uncertain..500 {
        let stanza = bot.next().await.unwrap();
        received.push(number(&stanza));
        assert_eq!(stanza.matches("urn:xmpp:delay").count(), 1, "{stanza}");
    }
    assert!(received.is_sorted_by(|one, next| one < next), "{received:?}");
    house.has_settled().await;
}

#[actix::test]
async fn when_the_journal_is_full_too_the_component_is_refused_and_no_other() {
    tokio::time::pause();
    let disk = Disk::start(100_000, Duration::ZERO);
    let house = House::over(Some(disk.store.clone()), Conflict::Refuse, NARROW);
    let mut sender = house.connect(OURS, WIDE).await;
    for step in 0..100 {
        sender.sends(BOT, step * 10..step * 10 + 10).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    sender.sends(OTHER, 0..10).await;
    a_moment_passes().await;
    assert_eq!(house.waiting(OTHER).await, 10);
    let waiting = house.waiting(BOT).await as usize;
    assert!((100..900).contains(&waiting), "{waiting}");
    for _ in waiting..1000 {
        let (_, condition, text) = sender.is_answered().await;
        assert_eq!(condition, "resource-constraint");
        assert!(text.contains("journal.max_bytes"), "{text}");
    }
    let mut bot = house.connect(BOT, WIDE).await;
    assert!(bot.receives(waiting).await.is_sorted());
    drop(house.connect(OTHER, WIDE).await);
    house.balances().await;
}

#[actix::test]
async fn a_message_that_may_not_be_stored_keeps_its_place_in_memory_or_is_refused() {
    let (_disk, house) = narrow();
    let mut sender = house.connect(OURS, WIDE).await;
    sender.sends(BOT, 0..100).await;
    sender
        .writes(&format!(
            "<message type='chat' from='a@{OURS}' to='b@{BOT}' id='100'><n>100</n><no-store xmlns='urn:xmpp:hints'/></message>"
        ))
        .await;
    let (number, condition, text) = sender.is_answered().await;
    assert_eq!((number, condition.as_str()), (100, "resource-constraint"));
    assert!(text.contains("absence.max_stanzas"), "{text}");
    let mut bot = house.connect(BOT, WIDE).await;
    assert_eq!(bot.receives(100).await, (0..100).collect::<Vec<_>>());
    house.has_settled().await;
}

#[actix::test]
async fn what_has_no_room_in_the_memory_of_all_components_goes_to_the_disk_too() {
    let (_disk, house) = house(Duration::ZERO, ABSENCE);
    house.adopts(&house.names);
    let mut sender = house.connect(OURS, WIDE).await;
    for step in 0..32 {
        sender.sends(BOT, step * 50..step * 50 + 50).await;
        sender.sends(OTHER, step * 50..step * 50 + 50).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    a_moment_passes().await;
    for name in [BOT, OTHER] {
        let queue = house.queue(name).await;
        assert_eq!(queue.waiting.stanzas, 1600);
        assert!(queue.on_disk.stanzas > 100, "{queue:?}");
    }
    for name in [BOT, OTHER] {
        assert_eq!(house.connect(name, WIDE).await.receives(1600).await, (0..1600).collect::<Vec<_>>());
    }
    house.balances().await;
}

#[actix::test]
async fn error_answers_wait_on_the_disk_for_a_component_that_is_away() {
    let absence = Absence { message: Duration::from_secs(3600), ..NARROW };
    let (_disk, house) = house(Duration::ZERO, absence);
    let mut sender = house.connect(OURS, WIDE).await;
    let mut bot = house.connect(BOT, WIDE).await;
    // Nobody takes them: they are answered when their time is over.
    bot.sends(OTHER, 0..500).await;
    a_moment_passes().await;
    drop(bot);
    passes(310).await;
    sender.sends(BOT, 500..510).await;
    a_moment_passes().await;
    let queue = house.queue(BOT).await;
    assert!(queue.on_disk.stanzas > 300, "{queue:?}");
    let mut bot = house.connect(BOT, WIDE).await;
    assert_eq!(bot.receives(510).await.len(), 510);
    house.has_settled().await;
}

#[actix::test]
async fn damaged_records_cost_their_stanzas_only() {
    let (disk, house) = narrow();
    let mut sender = house.connect(OURS, WIDE).await;
    sender.sends(BOT, 0..200).await;
    a_moment_passes().await;
    let keys = disk.fake.keys();
    assert_eq!(keys.len(), 200);
    for nth in [50, 51, 150] {
        disk.fake.corrupt(keys[nth]);
    }
    let mut bot = house.connect(BOT, WIDE).await;
    let expected: Vec<usize> = (0..200).filter(|number| ![50, 51, 150].contains(number)).collect();
    assert_eq!(bot.receives(197).await, expected);
    let account = house.has_settled().await;
    assert_eq!(account.settled(Outcome::Dropped).stanzas, 3);
}

#[actix::test]
async fn a_reload_that_removes_the_name_answers_what_is_on_the_disk() {
    let (disk, house) = house(Duration::from_millis(10), NARROW);
    let mut sender = house.connect(OURS, WIDE).await;
    sender.sends(BOT, 0..3000).await;
    a_moment_passes().await;
    house.adopts(&house.names[..1]);
    let mut answered = Vec::new();
    for _ in 0..3000 {
        let (number, condition, text) = sender.is_answered().await;
        assert_eq!(
            (condition.as_str(), &*text),
            ("service-unavailable", "bot.example is no longer served here")
        );
        answered.push(number);
    }
    answered.sort_unstable();
    assert_eq!(answered, (0..3000).collect::<Vec<_>>());
    house.adopts(&house.names);
    sender.sends(BOT, 3000..3010).await;
    let mut bot = house.connect(BOT, WIDE).await;
    assert_eq!(bot.receives(10).await, (3000..3010).collect::<Vec<_>>());
    house.has_settled().await;
    passes(2).await;
    assert!(disk.fake.keys().is_empty());
}

#[actix::test]
async fn a_reload_with_wider_bounds_reads_more_into_memory() {
    let (_disk, house) = narrow();
    let mut sender = house.connect(OURS, WIDE).await;
    sender.sends(BOT, 0..1000).await;
    a_moment_passes().await;
    let names: Vec<_> =
        house.names.iter().map(|(name, conflict, _)| (name.clone(), *conflict, ABSENCE)).collect();
    house.adopts(&names);
    passes(2).await;
    let queue = house.queue(BOT).await;
    assert_eq!((queue.waiting.stanzas, queue.on_disk.stanzas), (1000, 0));
    let mut bot = house.connect(BOT, WIDE).await;
    assert_eq!(bot.receives(1000).await, (0..1000).collect::<Vec<_>>());
    house.has_settled().await;
}

#[actix::test]
async fn a_stop_keeps_the_messages_on_the_disk_and_answers_the_rest() {
    let (disk, house) = narrow();
    let mut sender = house.connect(OURS, WIDE).await;
    sender.sends(BOT, 0..100).await;
    for number in 100..107 {
        sender.sends_one(BOT, "presence", "subscribe", number).await;
    }
    sender.sends(BOT, 107..207).await;
    a_moment_passes().await;
    let (token, answered) = drain::tokens();
    house.core.mailroom.signal(mailroom::Drain { token }).unwrap();
    assert!(answered.within(Duration::from_secs(60)).await);
    for expected in 100..107 {
        let (number, condition, text) = sender.is_answered().await;
        assert_eq!((number, condition.as_str()), (expected, "service-unavailable"));
        assert!(text.contains("shutting down"), "{text}");
    }
    let account = house.has_settled().await;
    assert_eq!(account.settled(Outcome::Kept).stanzas, 200);
    a_moment_passes().await;
    assert_eq!(disk.fake.keys().len(), 200);
}

#[actix::test]
async fn a_connection_that_panics_during_the_handover_costs_no_stanza_on_the_disk() {
    let (_disk, house) = house(Duration::from_millis(50), NARROW);
    let mut sender = house.connect(OURS, WIDE).await;
    sender.sends(BOT, 0..500).await;
    a_moment_passes().await;
    let (mut socket, link) = duplex(WIDE);
    let (stream, address) = (Stream::Tcp(link.into()), ([127, 0, 0, 1], 5347).into());
    let lost = start_component(&house.meter, environment(&house.names, &house.core), stream, address);
    log_in_as(&mut socket, BOT).await;
    // It has got the part in memory, and waits for the disk.
    tokio::time::sleep(Duration::from_millis(20)).await;
    lost.signal(Crash).unwrap();
    passes(1).await;
    sender.sends(BOT, 500..510).await;
    let mut bot = house.connect(BOT, WIDE).await;
    let received = bot.receives_some().await;
    assert!(received[0] <= FEW as usize, "{received:?}");
    assert_eq!(received, (received[0]..510).collect::<Vec<_>>());
    assert_eq!(house.waiting(BOT).await, 0);
}

/// Each fails now and then: commits, with or without their changes, and reads.
#[actix::test]
async fn every_message_has_one_outcome_in_order_in_any_schedule_of_connections_over_a_failing_disk() {
    tokio::time::pause();
    let schedules = std::env::var("NUNCIO_SCHEDULES").ok().and_then(|count| count.parse().ok());
    for seed in 1..=schedules.unwrap_or(SCHEDULES) {
        let mut random = Random(seed);
        let wait = Duration::from_millis(random.below(200) as u64);
        let max_bytes = if random.below(4) == 0 { 50_000 } else { disk::WIDE };
        let disk = Disk::start(max_bytes, wait);
        if random.below(2) == 0 {
            let failure = [Failure::Before, Failure::After][random.below(2)];
            disk.fake.fail_each(Some(2 + random.below(200) as u64), failure);
            disk.fake.fail_each_read(Some(2 + random.below(20) as u64));
        }
        let absence = Absence { max_stanzas: 15 + random.below(100), max_bytes: 8 << 10, ..ABSENCE };
        let house = House::over(Some(disk.store.clone()), Conflict::Replace, absence);
        let mut schedule = Schedule::new(seed, house).await;
        schedule.random_steps(&mut random).await;
        // What fails for good is answered late.
        disk.fake.fail_each(None, Failure::Before);
        disk.fake.fail_each_read(None);
        passes(20).await;
        schedule.ends(random.below(3) == 0).await;
    }
}

/// The number of schedules, which take a few seconds.
const SCHEDULES: u64 = 4;
