//! A component is away: what waits for it, and for how long.

use super::*;

#[actix::test]
async fn what_waits_for_a_component_that_has_not_connected_yet_arrives_in_order() {
    let house = House::new();
    let mut sender = house.connect(OURS, WIDE).await;
    sender.sends(BOT, 0..500).await;
    passes(200).await;
    assert_eq!(house.waiting(BOT).await, 500);
    house.balances().await;
    let mut bot = house.connect(BOT, WIDE).await;
    assert_eq!(bot.receives(500).await, (0..500).collect::<Vec<_>>());
    sender.sends(BOT, 500..510).await;
    assert_eq!(bot.receives(10).await, (500..510).collect::<Vec<_>>());
    assert_eq!(house.has_settled().await.settled(Outcome::Written).stanzas, 510);
}

#[actix::test]
async fn each_kind_of_stanza_waits_for_its_own_time() {
    let house = House::new();
    let mut sender = house.connect(OURS, WIDE).await;
    for (number, (kind, type_)) in
        [("message", "chat"), ("presence", "subscribe"), ("iq", "get"), ("iq", "result")]
            .into_iter()
            .enumerate()
    {
        sender.sends_one(BOT, kind, type_, number).await;
    }
    let since = clock::now();
    for (number, seconds) in [(2, 10), (1, 60), (0, 300)] {
        let (answered, condition, text) = sender.is_answered().await;
        let waited = clock::since(since).as_secs();
        assert_eq!((answered, condition.as_str()), (number, "service-unavailable"));
        assert!((seconds..=seconds + 1).contains(&waited), "{number} after {waited} s");
        assert!(text.starts_with("the component bot.example has not been connected for "), "{text}");
    }
    let account = house.has_settled().await;
    assert_eq!(account.settled(Outcome::Expired).stanzas, 3);
    assert_eq!(account.settled(Outcome::Dropped).stanzas, 1, "an answer is not answered");
}

#[actix::test]
async fn a_component_that_has_been_away_for_longer_is_answered_for_at_once() {
    let house = House::new();
    let mut sender = house.connect(OURS, WIDE).await;
    let bot = house.connect(BOT, WIDE).await;
    passes(1000).await;
    assert!(bot.closes().await.is_empty());
    let begins = clock::now();
    passes(11).await;
    for (number, kind, type_) in [(0, "iq", "get"), (1, "message", "chat")] {
        sender.sends_one(BOT, kind, type_, number).await;
    }
    let (number, condition, text) = sender.is_answered().await;
    assert_eq!((number, condition.as_str()), (0, "service-unavailable"));
    assert_eq!(text, "the component bot.example has not been connected for 11 s");
    assert_eq!(clock::since(begins).as_secs(), 11);
    assert_eq!(house.waiting(BOT).await, 1, "a message waits for longer");
    passes(300).await;
    assert_eq!(sender.is_answered().await.0, 1);
    let before = clock::now();
    sender.sends(BOT, 2..3).await;
    let (number, _, text) = sender.is_answered().await;
    assert_eq!((number, clock::since(before)), (2, Duration::ZERO));
    assert_eq!(text, "the component bot.example has not been connected for 5 min");
    house.has_settled().await;
}

#[actix::test]
async fn nothing_waits_if_the_times_are_zero() {
    let absence = Absence { message: Duration::ZERO, iq: Duration::ZERO, ..ABSENCE };
    let house = House::with(Conflict::Refuse, absence);
    let mut sender = house.connect(OURS, WIDE).await;
    sender.sends(BOT, 0..1).await;
    assert_eq!(sender.is_answered().await.1, "service-unavailable");
    let mut bot = house.connect(BOT, WIDE).await;
    sender.sends(BOT, 1..100).await;
    assert_eq!(bot.receives(99).await, (1..100).collect::<Vec<_>>());
    house.has_settled().await;
}

#[actix::test]
async fn what_does_not_fit_is_answered_with_the_limit() {
    let house = House::with(Conflict::Refuse, Absence { max_stanzas: 10, ..ABSENCE });
    let mut sender = house.connect(OURS, WIDE).await;
    sender.sends(BOT, 0..12).await;
    for expected in 10..12 {
        let (number, condition, text) = sender.is_answered().await;
        assert_eq!((number, condition.as_str()), (expected, "resource-constraint"));
        assert!(text.contains("absence.max_stanzas"), "{text}");
    }
    let mut bot = house.connect(BOT, WIDE).await;
    assert_eq!(bot.receives(10).await, (0..10).collect::<Vec<_>>());
    house.has_settled().await;
}

#[actix::test]
async fn an_error_answer_waits_for_a_component_that_is_away() {
    let house = House::new();
    let mut sender = house.connect(OURS, WIDE).await;
    sender.sends_one(BOT, "iq", "get", 7).await;
    passes(5).await;
    assert!(sender.closes().await.is_empty());
    passes(10).await;
    let mut sender = house.connect(OURS, WIDE).await;
    assert_eq!(sender.is_answered().await.0, 7);
    house.has_settled().await;
}

#[actix::test]
async fn what_expires_without_an_answer_does_not_count_as_answered() {
    let house = House::new();
    let mut sender = house.connect(OURS, WIDE).await;
    sender.sends_one(BOT, "message", "error", 0).await;
    sender.sends_one(BOT, "message", "chat", 1).await;
    passes(400).await;
    assert_eq!(sender.is_answered().await.0, 1);
    let (answer, shown) = oneshot::channel();
    house.core.router.signal(router::ShowComponents { of: Some(domain(BOT)), answer }).unwrap();
    let refused: Vec<u64> = shown.await.unwrap().iter().map(|report| report.refused.stanzas).collect();
    assert_eq!(refused, [1]);
    assert_eq!(house.has_settled().await.settled(Outcome::Dropped).stanzas, 1);
}

#[actix::test]
async fn a_name_that_a_reload_removes_is_answered_for_at_once() {
    let house = House::new();
    let mut sender = house.connect(OURS, WIDE).await;
    sender.sends(BOT, 0..3).await;
    passes(1).await;
    house.adopts(&house.names[..1]);
    for expected in 0..3 {
        let (number, condition, text) = sender.is_answered().await;
        assert_eq!((number, condition.as_str()), (expected, "service-unavailable"));
        assert_eq!(text, "bot.example is no longer served here");
    }
    house.has_settled().await;
}

#[actix::test]
async fn a_reload_that_removes_a_connected_name_answers_what_was_not_written() {
    let house = House::new();
    let mut sender = house.connect(OURS, WIDE).await;
    let bot = house.connect(BOT, 1024).await;
    sender.sends(BOT, 0..2000).await;
    passes(1).await;
    house.adopts(&house.names[..1]);
    // It reads nothing.
    passes(1).await;
    drop(bot);
    passes(10).await;
    let account = house.has_settled().await;
    let answered = account.settled(Outcome::Answered).stanzas as usize;
    assert!(answered > 1000, "a chunk is uncertain: {account:?}");
    for expected in 2000 - answered..2000 {
        let (number, _, text) = sender.is_answered().await;
        assert_eq!(number, expected);
        assert_eq!(text, "bot.example is no longer served here");
    }
}

#[actix::test]
async fn the_stop_of_the_node_answers_what_waits() {
    let house = House::new();
    let mut sender = house.connect(OURS, WIDE).await;
    sender.sends(BOT, 0..3).await;
    passes(1).await;
    let (token, answered) = drain::tokens();
    house.core.mailroom.signal(mailroom::Drain { token }).unwrap();
    assert!(answered.within(Duration::from_secs(60)).await);
    sender.sends(BOT, 3..4).await;
    for expected in 0..4 {
        let (number, condition, text) = sender.is_answered().await;
        assert_eq!((number, condition.as_str()), (expected, "service-unavailable"));
        assert!(text.contains("shutting down"), "{text}");
    }
    house.has_settled().await;
}
