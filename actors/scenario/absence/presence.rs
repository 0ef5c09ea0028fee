//! Users learn that a component is unavailable once it is away.

use super::*;

async fn sends_presence(bot: &mut Client, to: &str, number: usize, is_available: bool) {
    let type_ = if is_available { "" } else { " type='unavailable'" };
    let text = format!("<presence from='{BOT}/x' to='{to}'{type_}><n>{number}</n></presence>");
    bot.writes(&text).await;
}

/// The recipients of the presence that a client gets without a number.
async fn is_told(client: &mut Client) -> Vec<String> {
    let mut told = Vec::new();
    while let Ok(Some(stanza)) = tokio::time::timeout(Duration::from_secs(1), client.next()).await {
        if stanza.contains("<n>") || stanza.contains("<error") {
            continue;
        }
        assert!(stanza.contains("unavailable") && stanza.contains(&format!("{BOT}/x")), "{stanza}");
        told.push(component_client::attribute(&stanza, "to"));
    }
    told
}

#[actix::test]
async fn users_who_know_an_address_are_told_once_when_the_component_is_away() {
    let house = House::new();
    let mut users = house.connect(OURS, WIDE).await;
    let mut bot = house.connect(BOT, WIDE).await;
    let addresses = ["u@a.example", "v@a.example/r", "w@a.example", "x@a.example"];
    for (number, to) in addresses.iter().enumerate() {
        sends_presence(&mut bot, to, number, true).await;
    }
    sends_presence(&mut bot, addresses[2], 9, false).await;
    passes(1).await;
    drop(bot);
    // One of them leaves meanwhile.
    passes(5).await;
    users.writes(&format!("<presence type='unavailable' from='x@a.example' to='{BOT}/x'/>")).await;
    assert!(is_told(&mut users).await.is_empty(), "it may come back");
    passes(55).await;
    assert_eq!(is_told(&mut users).await, addresses[..2]);
    passes(3600).await;
    assert!(is_told(&mut users).await.is_empty(), "nothing is told twice");
    // It comes back, says nothing, and goes.
    let bot = house.connect(BOT, WIDE).await;
    passes(1).await;
    drop(bot);
    passes(120).await;
    assert!(is_told(&mut users).await.is_empty());
    house.has_settled().await;
}

#[actix::test]
async fn users_are_not_told_of_a_short_absence() {
    let house = House::new();
    let mut users = house.connect(OURS, WIDE).await;
    let mut bot = house.connect(BOT, WIDE).await;
    sends_presence(&mut bot, "u@a.example", 0, true).await;
    passes(1).await;
    for _ in 0..5 {
        drop(bot);
        passes(50).await;
        bot = house.connect(BOT, WIDE).await;
        passes(50).await;
    }
    assert!(is_told(&mut users).await.is_empty());
    drop(bot);
    passes(60).await;
    assert_eq!(is_told(&mut users).await, ["u@a.example"], "it is still known");
}
