//! Stanzas that another node sends back go ahead of all others while a relay still has some. What becomes of them when the
//! component moves on at once.

use super::*;

#[actix::test]
async fn what_the_node_of_the_component_has_sent_back_follows_the_component_there() {
    tokio::time::pause();
    let mut seats = Seats::new();
    let mut other = seats.connect(OTHER).await;
    // The component was here and has left, which the other node did not know when it sent these.
    seats.is_at_b(BOT);
    moment().await;
    let mut brought = Brought::by("b");
    brought.brings(&seats.house.core.router, OTHER, BOT, Kind::Message, 0..2);
    other.sends(BOT, 2..4).await;
    moment().await;
    assert!(seats.arrived().is_empty(), "perhaps the component comes here");
    assert!(brought.settled().is_empty());
    passes(2).await;
    assert_eq!(seats.arrived(), [0, 1, 2, 3]);
    assert_eq!(brought.settled(), [1]);
    assert_eq!(seats.house.has_settled().await.settled(Outcome::Relayed).stanzas, 2);
}

#[actix::test]
async fn what_comes_for_a_component_that_is_about_to_connect_here_waits_for_it() {
    tokio::time::pause();
    let mut seats = Seats::new();
    let coming = async {
        moment().await;
        // This node was asked, and does not know yet that the component has left node `b`. Another one does.
        seats.is_at_b(BOT);
        moment().await;
        let mut brought = Brought::by("c");
        brought.brings(&seats.house.core.router, OTHER, BOT, Kind::Message, 0..2);
        moment().await;
        assert_eq!(seats.b.unsettled().await, (0, 0));
        assert!(brought.settled().is_empty());
        seats.is_granted(BOT);
        brought
    };
    let (mut bot, mut brought) = tokio::join!(seats.house.connect(BOT, WIDE), coming);
    assert_eq!(bot.receives_some().await, [0, 1]);
    assert_eq!(brought.settled(), [1]);
    assert!(seats.arrived().is_empty());
}

#[actix::test]
async fn what_came_while_the_component_was_away_stays_in_front_of_what_follows_it() {
    tokio::time::pause();
    let mut seats = Seats::new();
    let mut brought = Brought::by("b");
    brought.brings(&seats.house.core.router, OTHER, BOT, Kind::Message, 0..2);
    moment().await;
    // The component is at the other node, and this one follows: the relay ends before it has got anything.
    seats.is_at_b(BOT);
    brought.brings(&seats.house.core.router, OTHER, BOT, Kind::Message, 2..3);
    moment().await;
    seats.is_nowhere(BOT);
    let mut bot = seats.connect(BOT).await;
    assert_eq!(bot.receives_some().await, [0, 1, 2]);
    assert_eq!(brought.settled(), [1, 2]);
}

#[actix::test]
async fn what_a_connection_has_not_written_of_it_goes_to_the_next_connection() {
    tokio::time::pause();
    let mut seats = Seats::new();
    let mut other = seats.connect(OTHER).await;
    seats.is_at_b(BOT);
    seats.b.settles(false);
    other.sends(BOT, MANY..MANY + 3).await;
    moment().await;
    seats.is_nowhere(BOT);
    let slow = seats.connect_with(BOT, 1024).await;
    let mut brought = Brought::by("b");
    brought.brings(&seats.house.core.router, OTHER, BOT, Kind::Message, 0..MANY);
    moment().await;
    drop(slow);
    moment().await;
    brought.brings(&seats.house.core.router, OTHER, BOT, Kind::Message, MANY + 3..MANY + 5);
    let mut bot = seats.connect(BOT).await;
    let received = bot.receives_some().await;
    let first = received[0];
    assert!(first > 0 && first < MANY / 2, "{first} may have arrived");
    assert_eq!(received, (first..MANY).chain(MANY + 3..MANY + 5).collect::<Vec<_>>());
    assert_eq!(brought.settled(), [1, 2]);
    seats.b.dies(0);
    assert_eq!(bot.receives_some().await, [MANY, MANY + 1, MANY + 2]);
    let account = seats.house.has_settled().await;
    assert_eq!(account.settled(Outcome::Answered).stanzas, 0);
}

#[actix::test]
async fn what_a_relay_has_not_carried_of_it_goes_to_the_next_relay() {
    tokio::time::pause();
    let mut seats = Seats::new();
    let mut other = seats.connect(OTHER).await;
    seats.is_at_b(BOT);
    seats.b.settles(false);
    other.sends(BOT, 2..4).await;
    moment().await;
    seats.is_nowhere(BOT);
    seats.is_at_b(BOT);
    let mut brought = Brought::by("c");
    brought.brings(&seats.house.core.router, OTHER, BOT, Kind::Message, 0..2);
    moment().await;
    assert_eq!(seats.b.unsettled().await.0, 2, "the earlier relay awaits the settlement of its parcel");
    seats.b.dies(0);
    seats.b.settles(true);
    passes(2).await;
    assert_eq!(seats.arrived(), [0, 1, 2, 3]);
    assert_eq!(brought.settled(), [1]);
    let account = seats.house.has_settled().await;
    assert_eq!(account.settled(Outcome::Answered).stanzas, 0);
}

/// Much more than one chunk that is written at once.
const MANY: usize = 3_000;
