//! Connections of a component that the cluster does not know, and seats that are kept until everything is read.

use super::*;
use crate::streams::component;
use status::report::EndCause;

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
