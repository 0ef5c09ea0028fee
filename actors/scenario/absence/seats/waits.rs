//! Nodes that have each other's stanzas: neither waits for the other for ever.

use super::*;
use crate::streams::component;
use status::report::EndCause;

/// Ids of stanzas that another node brings.
const BROUGHT: usize = 1_000_000;

/// They were under way when the component connected to the node that sent them.
#[actix::test]
async fn late_stanzas_of_the_node_of_a_component_go_back_there_and_the_relay_goes_on() {
    tokio::time::pause();
    let mut seats = Seats::new();
    let mut other = seats.connect(OTHER).await;
    seats.is_at_b(BOT);
    other.sends(BOT, 0..1).await;
    moment().await;
    let mut brought = Brought::by("b");
    brought.brings(&seats.house.core.router, OTHER, BOT, Kind::Message, BROUGHT..BROUGHT + 2);
    moment().await;
    assert_eq!(seats.arrived(), [0], "what came from there does not go back at once");
    passes(2).await;
    assert_eq!(seats.arrived(), [BROUGHT, BROUGHT + 1]);
    assert_eq!(brought.settled(), [1]);
    other.sends(BOT, 1..3).await;
    moment().await;
    assert_eq!(seats.arrived(), [1, 2]);
    seats.house.has_settled().await;
}

/// Both nodes have stanzas of each other in their queues, and each waits for the end of a relay to the other.
#[actix::test]
async fn what_another_node_has_lent_does_not_wait_for_the_return_of_a_relay() {
    tokio::time::pause();
    let mut seats = Seats::new();
    let mut other = seats.connect(OTHER).await;
    let long = BUDGET / LONG + 1;
    let filling = "x".repeat(LONG);
    for id in 0..long {
        let text = format!(
            "<message from='a@{OTHER}' to='b@{BOT}' type='chat' id='{id}'><n>{id}</n>{filling}</message>"
        );
        other.writes(&text).await;
    }
    moment().await;
    let mut brought = Brought::by("b");
    brought.brings(&seats.house.core.router, OTHER, BOT, Kind::Message, BROUGHT..BROUGHT + 2);
    moment().await;
    // The relay gets as much as it may have, and the other node does not settle it.
    seats.b.settles(false);
    seats.is_at_b(BOT);
    moment().await;
    assert!(seats.b.unsettled().await.1 >= BUDGET - LONG);
    seats.is_nowhere(BOT);
    let mut bot = seats.connect(BOT).await;
    assert_eq!(bot.receives_some().await, [BROUGHT, BROUGHT + 1]);
    assert_eq!(brought.settled(), [1], "so the other node can settle what it has of this one");
    seats.b.settles(true);
    moment().await;
    let rest = bot.receives_some().await;
    assert_eq!([seats.arrived(), rest].concat(), (0..long).collect::<Vec<_>>());
    seats.house.has_settled().await;
}

/// No component connects anywhere, and the other node waits for this one as well.
#[actix::test]
async fn what_goes_ahead_is_answered_when_its_time_is_over() {
    tokio::time::pause();
    let mut seats = Seats::new();
    let mut other = seats.connect(OTHER).await;
    seats.is_at_b(BOT);
    seats.b.settles(false);
    other.sends(BOT, 0..1).await;
    moment().await;
    seats.is_nowhere(BOT);
    let mut brought = Brought::by("b");
    brought.brings(&seats.house.core.router, OTHER, BOT, Kind::Message, BROUGHT..BROUGHT + 1);
    let begun = clock::now();
    let (number, condition, _) = other.is_answered().await;
    assert_eq!((number, condition.as_str()), (BROUGHT, "service-unavailable"));
    assert!(clock::since(begun) <= ABSENCE.message + Duration::from_secs(1));
    moment().await;
    assert_eq!(brought.settled(), [1]);
    seats.b.settles(true);
    moment().await;
    seats.house.has_settled().await;
}

#[actix::test]
async fn what_goes_ahead_is_answered_when_a_reload_removes_the_component() {
    tokio::time::pause();
    let mut seats = Seats::new();
    let mut other = seats.connect(OTHER).await;
    seats.is_at_b(BOT);
    seats.b.settles(false);
    other.sends(BOT, 0..1).await;
    moment().await;
    seats.is_nowhere(BOT);
    let mut brought = Brought::by("b");
    brought.brings(&seats.house.core.router, OTHER, BOT, Kind::Message, BROUGHT..BROUGHT + 1);
    moment().await;
    assert!(brought.settled().is_empty());
    seats.house.adopts(&[(domain(OTHER), Conflict::Refuse, ABSENCE)]);
    let (number, ..) = other.is_answered().await;
    assert_eq!(number, BROUGHT);
    moment().await;
    assert_eq!(brought.settled(), [1]);
    seats.b.settles(true);
    moment().await;
    seats.house.has_settled().await;
}

/// The cluster could not say where the component is, so it connected here as well. Then it leaves.
#[actix::test]
async fn a_component_that_stays_at_the_other_node_gets_its_stanzas_when_its_connection_here_ends() {
    tokio::time::pause();
    let mut seats = Seats::new();
    let mut other = seats.connect(OTHER).await;
    seats.is_at_b(BOT);
    let unknowing = async {
        moment().await;
        seats.house.core.router.signal(SeatUnknown { name: domain(BOT) }).unwrap();
    };
    let (bot, ()) = tokio::join!(seats.house.connect(BOT, WIDE), unknowing);
    other.sends(BOT, 0..1).await;
    moment().await;
    assert_eq!(bot.closes().await, [0]);
    other.sends(BOT, 1..3).await;
    passes(2).await;
    assert_eq!(seats.arrived(), [1, 2]);
    seats.house.has_settled().await;
}

/// Another node could overtake what is still read here.
#[actix::test]
async fn a_node_keeps_the_seat_until_it_has_read_everything_that_the_component_sent() {
    tokio::time::pause();
    let mut seats = Seats::new();
    let (mut socket, link) = duplex(WIDE);
    let (stream, address) = (Stream::Tcp(link.into()), ([127, 0, 0, 1], 5347).into());
    let environment = environment(&seats.house.names, &seats.house.core);
    let connection = start_component(&seats.house.meter, environment, stream, address);
    let router = seats.house.core.router.clone();
    let granting = async {
        moment().await;
        router.signal(Seated { name: domain(BOT) }).unwrap();
        moment().await;
    };
    let _ = tokio::join!(shows_secret(&mut socket, BOT), granting);
    assert_eq!(seats.noted(), [Noted::Seat(BOT.to_owned())]);
    let (name, reason) = (domain(BOT), "a test".to_owned());
    let component = connection.clone().into();
    let gone = component::Gone { name, component, cause: EndCause::Lost, reason, is_read: true };
    router.signal(gone).unwrap();
    moment().await;
    assert_eq!(seats.noted(), [], "something of it is read still");
    let (name, reason) = (domain(BOT), "a test".to_owned());
    let cause = EndCause::Lost;
    router.signal(component::ReadAll { name, component: connection, cause, reason, debt: None }).unwrap();
    moment().await;
    assert_eq!(seats.noted(), [Noted::Unseat(BOT.to_owned())]);
}
