//! A component is connected and does not read: what is sent to it waits in the mailroom, and nobody is held up.

use super::*;

/// More than fits into an outbox.
const MANY: usize = 20_000;

/// A node on which the bot has room for all of them.
fn house() -> House {
    House::with(Conflict::Refuse, Absence { max_stanzas: 2 * MANY, ..ABSENCE })
}

#[actix::test]
async fn a_component_that_does_not_read_holds_up_nobody() {
    let house = house();
    let mut sender = house.connect(OURS, 4096).await;
    let mut bot = house.connect(BOT, 1024).await;
    let mut other = house.connect(OTHER, WIDE).await;
    let before = clock::now();
    for number in 0..MANY {
        sender.sends(BOT, number..number + 1).await;
        sender.sends(OTHER, number..number + 1).await;
    }
    assert_eq!(other.receives(MANY).await, (0..MANY).collect::<Vec<_>>());
    assert!(clock::since(before) < Duration::from_millis(500), "{:?}", clock::since(before));
    assert!(house.waiting(BOT).await > 1000, "beyond the outbox");
    house.balances().await;
    // Then it reads.
    assert_eq!(bot.receives(MANY).await, (0..MANY).collect::<Vec<_>>());
    sender.sends(BOT, MANY..MANY + 10).await;
    assert_eq!(bot.receives(10).await, (MANY..MANY + 10).collect::<Vec<_>>());
    let account = house.has_settled().await;
    assert_eq!(account.settled(Outcome::Written).stanzas as usize, 2 * MANY + 10);
}

#[actix::test]
async fn a_component_that_does_not_read_its_error_answers_is_not_read_until_it_does() {
    tokio::time::pause();
    let unavailable = Absence { message: Duration::ZERO, ..ABSENCE };
    let narrow = Absence { max_stanzas: 100, ..ABSENCE };
    let house = House::of(vec![
        (domain(BOT), Conflict::Refuse, narrow),
        (domain(OTHER), Conflict::Refuse, unavailable),
    ]);
    let mut bot = house.connect(BOT, 1024).await;
    let second = Duration::from_secs(1);
    let mut sent = 0;
    // Each is answered. It sends nothing while the node does not read: its connection takes nothing then.
    while tokio::time::timeout(second, bot.sends(OTHER, sent..sent + 1)).await.is_ok() {
        sent += 1;
        assert!(sent < MANY, "it is read without end");
    }
    let waiting = house.waiting(BOT).await;
    assert!((101..200).contains(&waiting), "{waiting} answers wait beside those in the outbox");
    house.balances().await;
    // It reads: every stanza that was taken has its answer.
    let taken = house.account().await.taken().stanzas as usize;
    for number in 0..taken {
        assert_eq!(bot.is_answered().await.0, number);
    }
    assert!(house.account().await.taken().stanzas as usize >= taken);
    house.has_settled().await;
}

#[actix::test]
async fn it_can_be_slow_again_before_everything_was_handed_over() {
    let house = house();
    let mut sender = house.connect(OURS, 4096).await;
    let mut bot = house.connect(BOT, 1024).await;
    let (mut sent, mut received) = (0, Vec::new());
    for step in [MANY, 3000, 1, MANY / 2] {
        sender.sends(BOT, sent..sent + step).await;
        sent += step;
        house.balances().await;
        received.extend(bot.receives(step / 2).await);
    }
    received.extend(bot.receives(sent - received.len()).await);
    assert_eq!(received, (0..sent).collect::<Vec<_>>());
    house.has_settled().await;
}

#[actix::test]
async fn what_waits_for_a_slow_component_that_is_lost_goes_to_the_next_connection() {
    let house = house();
    let mut sender = house.connect(OURS, 4096).await;
    let mut bot = house.connect(BOT, 1024).await;
    sender.sends(BOT, 0..MANY).await;
    let mut received = bot.receives(10).await;
    drop(bot);
    sender.sends(BOT, MANY..MANY + 10).await;
    passes(1).await;
    house.balances().await;
    let mut bot = house.connect(BOT, WIDE).await;
    received.extend(bot.receives_some().await);
    assert!(received.is_sorted_by(|one, next| one < next));
    assert_eq!(received.last(), Some(&(MANY + 9)));
    let account = house.has_settled().await;
    let uncertain = account.settled(Outcome::Uncertain).stanzas as usize;
    assert!(uncertain <= 1500, "a chunk at most: {uncertain}");
    assert!(received.len() + uncertain + 1024 / 60 >= MANY + 10, "{} and {uncertain}", received.len());
}

#[actix::test]
async fn what_a_component_does_not_read_in_time_is_answered() {
    let house = house();
    let mut sender = house.connect(OURS, WIDE).await;
    let mut bot = house.connect(BOT, 1024).await;
    sender.sends(BOT, 0..MANY).await;
    sender.sends_one(BOT, "iq", "get", MANY).await;
    let since = clock::now();
    let (number, condition, text) = sender.is_answered().await;
    assert_eq!((number, condition.as_str()), (MANY, "resource-constraint"));
    assert_eq!(text, "the component bot.example reads stanzas more slowly than they arrive");
    assert_eq!(clock::since(since).as_secs(), 10);
    assert_eq!(bot.receives(MANY).await, (0..MANY).collect::<Vec<_>>());
    house.has_settled().await;
}
