//! Components with rules of their own: messages that are kept for long, and stanzas that are sent again.

use super::*;

#[actix::test]
async fn a_kept_message_waits_for_long_and_is_stamped() {
    let absence = Absence { keep: Some(Duration::from_secs(3600)), ..ABSENCE };
    let house = House::with(Conflict::Refuse, absence);
    let mut sender = house.connect(OURS, WIDE).await;
    sender.sends(BOT, 0..2).await;
    sender.sends_one(BOT, "message", "groupchat", 2).await;
    assert_eq!(sender.is_answered().await.0, 2);
    passes(3000).await;
    sender.sends(BOT, 3..4).await;
    passes(5).await;
    let mut bot = house.connect(BOT, WIDE).await;
    for (expected, stamps) in [(0, 1), (1, 1), (3, 0)] {
        let stanza = bot.next().await.unwrap();
        assert_eq!(number(&stanza), expected);
        assert_eq!(stanza.matches("urn:xmpp:delay").count(), stamps, "{stanza}");
    }
    house.has_settled().await;
}

#[actix::test]
async fn a_kept_message_that_returns_has_one_stamp() {
    let absence = Absence { keep: Some(Duration::from_secs(3600)), ..ABSENCE };
    let house = House::with(Conflict::Refuse, absence);
    let mut sender = house.connect(OURS, WIDE).await;
    sender.sends(BOT, 0..2000).await;
    passes(60).await;
    drop(house.connect(BOT, 16).await);
    passes(60).await;
    let mut bot = house.connect(BOT, WIDE).await;
    let uncertain = house.balances().await.settled(Outcome::Uncertain).stanzas as usize;
    for _ in uncertain..2000 {
        let stanza = bot.next().await.unwrap();
        assert_eq!(stanza.matches("urn:xmpp:delay").count(), 1, "{stanza}");
    }
    house.has_settled().await;
}

#[actix::test]
async fn what_may_not_have_arrived_is_sent_again_with_a_stamp_if_so_configured() {
    let house = House::with(Conflict::Refuse, Absence { redeliver: true, ..ABSENCE });
    let mut sender = house.connect(OURS, WIDE).await;
    let bot = house.connect(BOT, 256).await;
    sender.sends(BOT, 0..100).await;
    passes(1).await;
    drop(bot);
    passes(1).await;
    let account = house.balances().await;
    assert_eq!(account.settled(Outcome::Uncertain).stanzas, 0);
    assert!(account.repeated().stanzas > 0);
    let mut bot = house.connect(BOT, WIDE).await;
    let mut repeated = 0;
    for expected in 0..100 {
        let stanza = bot.next().await.unwrap();
        assert_eq!(number(&stanza), expected);
        repeated += stanza.matches("urn:xmpp:delay").count();
    }
    assert_eq!(repeated, account.repeated().stanzas as usize);
    house.has_settled().await;
}

/// Ten messages that were written to a connection before come again; the first of them with a stamp.
async fn gets_ten_again(house: &House, mut bot: Client) {
    for expected in 0..10 {
        let stanza = bot.next().await.unwrap();
        assert_eq!(number(&stanza), expected);
        assert!(stanza.contains("urn:xmpp:delay") || expected > 0, "{stanza}");
    }
    let account = house.has_settled().await;
    assert_eq!(
        (account.settled(Outcome::Written).stanzas, account.settled(Outcome::Uncertain).stanzas),
        (10, 0)
    );
    assert!(account.repeated().stanzas > 0);
}

#[actix::test]
async fn what_was_written_to_a_component_that_does_not_answer_a_ping_is_sent_again_if_so_configured() {
    let house = House::with(Conflict::Refuse, Absence { redeliver: true, ..ABSENCE });
    let mut sender = house.connect(OURS, WIDE).await;
    let _old = house.connect(BOT, WIDE).await;
    sender.sends(BOT, 0..10).await;
    passes(1).await;
    assert_eq!(house.balances().await.settled(Outcome::Written).stanzas, 10);
    let new = house.connect(BOT, WIDE).await;
    gets_ten_again(&house, new).await;
}

#[actix::test]
async fn what_was_written_to_a_component_that_does_not_read_is_sent_again_if_so_configured() {
    let absence = Absence { redeliver: true, message: Duration::from_secs(3600), ..ABSENCE };
    let house = House::with(Conflict::Refuse, absence);
    let mut sender = house.connect(OURS, WIDE).await;
    let _old = house.connect(BOT, 512).await;
    sender.sends(BOT, 0..2).await;
    passes(1).await;
    sender.sends(BOT, 2..10).await;
    // The chunk with the others stalls until `write_timeout`.
    passes(600).await;
    let new = house.connect(BOT, WIDE).await;
    gets_ten_again(&house, new).await;
}

#[actix::test]
async fn a_stanza_that_is_sent_again_in_vain_is_answered_in_the_end() {
    let house = House::with(Conflict::Refuse, Absence { redeliver: true, ..ABSENCE });
    let mut sender = house.connect(OURS, WIDE).await;
    let bot = house.connect(BOT, 16).await;
    sender.sends(BOT, 0..1).await;
    passes(1).await;
    drop(bot);
    for _ in 0..2 {
        passes(1).await;
        drop(house.connect(BOT, 16).await);
    }
    let (number, condition, text) = sender.is_answered().await;
    assert_eq!((number, condition.as_str()), (0, "service-unavailable"));
    assert!(text.contains("may have arrived"), "{text}");
    house.has_settled().await;
}
