//! Races between the end of a connection, the next one, and the stanzas under way; the documentation of the crate lists
//! them.

use super::*;
use crate::streams::component;

/// Sends messages without end, some at each millisecond.
async fn sends_steadily(mut sender: Client, total: usize) -> Client {
    for number in 0..total {
        sender.sends(BOT, number..number + 1).await;
        if number % 5 == 4 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    sender
}

#[actix::test]
async fn stanzas_that_arrive_during_the_handover_stay_behind_those_that_wait() {
    let house = House::new();
    let mut sender = house.connect(OURS, WIDE).await;
    sender.sends(BOT, 0..1000).await;
    passes(1).await;
    // All at once: the connection, its handover, and more stanzas.
    let more = async {
        for number in 1000..3000 {
            sender.sends(BOT, number..number + 1).await;
            tokio::task::yield_now().await;
        }
    };
    let received = async {
        let mut bot = house.connect(BOT, 2048).await;
        bot.receives(3000).await
    };
    let ((), received) = futures_util::future::join(more, received).await;
    assert_eq!(received, (0..3000).collect::<Vec<_>>());
    house.has_settled().await;
}

#[actix::test]
async fn a_connection_that_ends_before_the_handover_does_gives_everything_back() {
    let house = House::new();
    let mut sender = house.connect(OURS, WIDE).await;
    sender.sends(BOT, 0..5000).await;
    passes(1).await;
    for _ in 0..3 {
        // It reads nothing of what it gets. Its pipe is smaller than a stanza.
        drop(house.connect(BOT, 16).await);
        passes(1).await;
        house.balances().await;
    }
    let account = house.account().await;
    let uncertain = account.settled(Outcome::Uncertain).stanzas as usize;
    let mut bot = house.connect(BOT, WIDE).await;
    let received = bot.receives(5000 - uncertain).await;
    assert!(received.is_sorted_by(|one, next| one < next), "{received:?}");
    house.has_settled().await;
}

#[actix::test]
async fn a_connection_that_ends_in_good_order_loses_nothing() {
    let house = House::new();
    let sender = house.connect(OURS, WIDE).await;
    let sent = actix_rt::spawn(sends_steadily(sender, 4000));
    let mut received = Vec::new();
    for count in [100, 1, 500, 20] {
        let mut bot = house.connect(BOT, 4096).await;
        received.extend(bot.receives(count).await);
        received.extend(bot.closes().await);
        tokio::time::sleep(Duration::from_millis(50)).await;
        house.balances().await;
    }
    let mut bot = house.connect(BOT, 4096).await;
    received.extend(bot.receives(4000 - received.len()).await);
    assert_eq!(received, (0..4000).collect::<Vec<_>>());
    drop(sent.await.unwrap());
    let account = house.has_settled().await;
    assert_eq!(account.settled(Outcome::Written).stanzas, 4000, "nothing bounced, nothing is uncertain");
}

#[actix::test]
async fn what_a_component_has_not_read_when_it_closes_its_stream_waits_for_the_next_connection() {
    let house = House::new();
    let mut sender = house.connect(OURS, WIDE).await;
    let mut bot = house.connect(BOT, 512).await;
    sender.sends(BOT, 0..2000).await;
    passes(1).await;
    // A chunk is on its way. The rest is not sent to a component that may read no more.
    let mut received = bot.receives(10).await;
    let rest = bot.closes().await;
    assert!(rest.len() < 1000, "{}", rest.len());
    received.extend(rest);
    passes(1).await;
    let mut bot = house.connect(BOT, WIDE).await;
    received.extend(bot.receives(2000 - received.len()).await);
    assert_eq!(received, (0..2000).collect::<Vec<_>>());
    let account = house.has_settled().await;
    assert_eq!(account.settled(Outcome::Written).stanzas, 2000);
}

#[actix::test]
async fn a_flapping_component_gets_everything_in_order() {
    let house = House::new();
    let sender = house.connect(OURS, WIDE).await;
    let sent = actix_rt::spawn(sends_steadily(sender, 5000));
    let mut received = Vec::new();
    // Ten connections in ten seconds; each is cut off after some stanzas.
    for nth in 0..10 {
        let mut bot = house.connect(BOT, 2048).await;
        received.extend(bot.receives(nth * 7).await);
        drop(bot);
        house.balances().await;
        passes(1).await;
    }
    drop(sent.await.unwrap());
    let mut bot = house.connect(BOT, WIDE).await;
    received.extend(bot.receives_some().await);
    assert!(received.is_sorted_by(|one, next| one < next), "{received:?}");
    assert_eq!(received.last(), Some(&4999));
    let account = house.has_settled().await;
    assert_eq!((account.settled(Outcome::Answered), account.settled(Outcome::Expired)), Default::default());
    // What was cut off has arrived or is uncertain.
    let uncertain = account.settled(Outcome::Uncertain).stanzas as usize;
    let written_in_vain = 10 * 2048 / 60;
    assert!(received.len() + uncertain + written_in_vain >= 5000, "{} and {uncertain}", received.len());
}

#[actix::test]
async fn a_new_connection_holds_until_the_one_before_has_given_back() {
    let house = House::with(Conflict::Replace, ABSENCE);
    let mut sender = house.connect(OURS, WIDE).await;
    let mut old = house.connect(BOT, 512).await;
    sender.sends(BOT, 0..1000).await;
    passes(1).await;
    // It replaces the old one, which reads nothing, so that its end takes seconds.
    let mut new = house.connect(BOT, WIDE).await;
    sender.sends(BOT, 1000..1100).await;
    assert!(new.receives_some().await.is_empty(), "older stanzas are with the old connection");
    house.balances().await;
    let mut received = Vec::new();
    while let Ok(Some(stanza)) = tokio::time::timeout(Duration::from_millis(10), old.next()).await {
        if stanza.contains("<n>") {
            received.push(number(&stanza));
        }
    }
    drop(old);
    let first = received.len();
    received.extend(new.receives_some().await);
    assert!(received.is_sorted_by(|one, next| one < next), "{first} at first, then: {received:?}");
    assert_eq!(received.last(), Some(&1099));
    let account = house.has_settled().await;
    assert_eq!(account.settled(Outcome::Answered).stanzas, 0);
}

#[actix::test]
async fn connections_that_replace_each_other_keep_the_order() {
    let house = House::with(Conflict::Replace, ABSENCE);
    let sender = house.connect(OURS, WIDE).await;
    let sent = actix_rt::spawn(sends_steadily(sender, 3000));
    let mut received = Vec::new();
    let mut current = house.connect(BOT, WIDE).await;
    for _ in 0..10 {
        received.extend(current.receives(50).await);
        let next = house.connect(BOT, WIDE).await;
        while let Some(stanza) = current.next().await {
            if stanza.contains("<n>") {
                received.push(number(&stanza));
            }
        }
        current = next;
    }
    received.extend(current.receives(3000 - received.len()).await);
    assert_eq!(received, (0..3000).collect::<Vec<_>>());
    drop(sent.await.unwrap());
    house.has_settled().await;
}

#[actix::test]
async fn a_second_connection_that_is_refused_changes_nothing() {
    let house = House::new();
    let mut sender = house.connect(OURS, WIDE).await;
    let mut bot = house.connect(BOT, WIDE).await;
    sender.sends(BOT, 0..10).await;
    let (mut socket, link) = duplex(4096);
    let (stream, address) = (Stream::Tcp(link.into()), ([127, 0, 0, 1], 5347).into());
    let environment = environment(&house.names, &house.core);
    let second = start_component(&house.meter, environment, stream, address);
    let refused = tokio::time::timeout(Duration::from_millis(20), log_in_as(&mut socket, BOT));
    assert!(refused.await.is_err(), "the name is taken");
    drop((socket, second));
    sender.sends(BOT, 10..20).await;
    let mut received = Vec::new();
    while received.len() < 20 {
        let stanza = bot.next().await.unwrap();
        if stanza.contains("<n>") {
            received.push(number(&stanza));
        }
    }
    assert_eq!(received, (0..20).collect::<Vec<_>>());
    house.has_settled().await;
}

#[actix::test]
async fn a_name_that_is_removed_and_added_again_starts_anew() {
    let house = House::new();
    let mut sender = house.connect(OURS, WIDE).await;
    let bot = house.connect(BOT, 512).await;
    sender.sends(BOT, 0..300).await;
    passes(1).await;
    house.adopts(&house.names[..1]);
    house.adopts(&house.names);
    sender.sends(BOT, 300..310).await;
    passes(10).await;
    drop(bot);
    passes(10).await;
    let mut bot = house.connect(BOT, WIDE).await;
    assert_eq!(bot.receives(10).await, (300..310).collect::<Vec<_>>());
    house.has_settled().await;
}

#[actix::test]
async fn a_connection_that_ends_while_a_return_is_outstanding_changes_nothing() {
    let house = House::with(Conflict::Replace, ABSENCE);
    let mut sender = house.connect(OURS, WIDE).await;
    let mut first = house.connect(BOT, 512).await;
    sender.sends(BOT, 0..500).await;
    let mut received = first.receives(20).await;
    // The first one reads no further, so that its end takes seconds; two others come meanwhile.
    let second = house.connect(BOT, WIDE).await;
    sender.sends(BOT, 500..600).await;
    drop(second);
    passes(1).await;
    house.balances().await;
    let mut third = house.connect(BOT, WIDE).await;
    sender.sends(BOT, 600..700).await;
    assert!(third.receives_some().await.is_empty(), "older stanzas are with the first connection");
    drop(first);
    received.extend(third.receives_some().await);
    assert!(received.is_sorted_by(|one, next| one < next), "{received:?}");
    assert_eq!(received.last(), Some(&699));
    house.has_settled().await;
}

#[actix::test]
async fn a_connection_that_panics_keeps_nothing_from_the_next_one() {
    let house = House::new();
    let mut sender = house.connect(OURS, WIDE).await;
    let (mut socket, link) = duplex(WIDE);
    let (stream, address) = (Stream::Tcp(link.into()), ([127, 0, 0, 1], 5347).into());
    let bot = start_component(&house.meter, environment(&house.names, &house.core), stream, address);
    log_in_as(&mut socket, BOT).await;
    sender.sends(BOT, 0..10).await;
    passes(1).await;
    bot.signal(Crash).unwrap();
    passes(1).await;
    assert!(bot.signal(Crash).is_err(), "it is gone");
    sender.sends(BOT, 10..20).await;
    let mut next = house.connect(BOT, WIDE).await;
    assert_eq!(next.receives(10).await, (10..20).collect::<Vec<_>>());
    house.has_settled().await;
}

#[actix::test]
async fn a_connection_that_panics_after_it_was_replaced_keeps_nothing_from_the_next_one() {
    let house = House::with(Conflict::Replace, ABSENCE);
    let mut sender = house.connect(OURS, WIDE).await;
    let (mut socket, link) = duplex(16);
    let (stream, address) = (Stream::Tcp(link.into()), ([127, 0, 0, 1], 5347).into());
    let old = start_component(&house.meter, environment(&house.names, &house.core), stream, address);
    log_in_as(&mut socket, BOT).await;
    // The end of the old connection takes seconds, as it reads nothing.
    let mut new = house.connect(BOT, WIDE).await;
    sender.sends(BOT, 0..10).await;
    assert!(new.receives_some().await.is_empty(), "the old connection has not given back yet");
    old.signal(Crash).unwrap();
    assert_eq!(new.receives(10).await, (0..10).collect::<Vec<_>>());
    sender.sends(BOT, 10..20).await;
    assert_eq!(new.receives(10).await, (10..20).collect::<Vec<_>>());
    house.has_settled().await;
}

/// Panic, as a bug in the connection would.
#[derive(Debug)]
pub(super) struct Crash;

impl actix::Handler<mailbox::Queued<Crash>> for component::Component {
    type Result = ();

    fn handle(&mut self, crash: mailbox::Queued<Crash>, _: &mut actix::Context<Self>) {
        crash.into_message();
        panic!("a bug");
    }
}
