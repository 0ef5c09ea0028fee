//! Seats of components.

use ::cluster::engine::fake::Faults;
use xmpp::Domain;

use super::*;
use crate::flow::{
    claims::{Contest, Contested, Delay, Seat, SeatAt, SeatDelayed, SeatTaken, SeatUnknown, Seated, Unseat},
    ferry::Ferry,
};

fn name() -> Domain {
    Domain::new("echo.a.example").unwrap()
}

impl Node {
    fn wants_the_seat(&self) {
        self.claims.seat.signal(Seat { name: name() }).unwrap();
    }

    async fn has_the_seat(&mut self) {
        let seated = self.hears("its seat", |said| match said {
            Said::Seated(seated) => Ok(seated),
            other => Err(other),
        });
        assert_eq!(seated.await, Seated { name: name() });
    }

    async fn learns_where_the_seat_is(&mut self) -> Option<Ferry> {
        let seat = self.hears("a seat", |said| match said {
            Said::SeatAt(SeatAt { name, seat }) => Ok((name, seat)),
            other => Err(other),
        });
        let (of, seat) = seat.await;
        assert_eq!(of, name());
        seat
    }
}

#[actix::test]
async fn all_nodes_learn_where_a_component_is_connected() {
    let world = World::new(1, Faults::none());
    let [mut a, mut b, mut c] = world.nodes(["a", "b", "c"]).await;
    a.wants_the_seat();
    a.has_the_seat().await;
    for other in [&mut b, &mut c] {
        assert_eq!(other.learns_where_the_seat_is().await.unwrap().node, a.name);
    }
    a.claims.unseat.signal(Unseat { name: name() }).unwrap();
    for other in [&mut b, &mut c] {
        assert!(other.learns_where_the_seat_is().await.is_none());
    }
    b.wants_the_seat();
    b.has_the_seat().await;
    assert_eq!(a.learns_where_the_seat_is().await.unwrap().node, b.name);
}

#[actix::test]
async fn a_seat_that_is_taken_is_contested_at_its_node() {
    let world = World::new(1, Faults::none());
    let [mut a, mut b] = world.nodes(["a", "b"]).await;
    a.wants_the_seat();
    a.has_the_seat().await;
    b.wants_the_seat();
    let taken = b.hears("that the seat is taken", |said| match said {
        Said::SeatTaken(taken) => Ok(taken),
        other => Err(other),
    });
    let SeatTaken { node, .. } = taken.await;
    assert_eq!(node, a.name);
    b.claims.contest.signal(Contest { name: name(), node }).unwrap();
    let contested = a.hears("the contest", |said| match said {
        Said::Contested(contested) => Ok(contested),
        other => Err(other),
    });
    assert_eq!(contested.await, Contested { name: name() });
}

#[actix::test]
async fn a_contest_at_a_node_that_is_gone_gives_the_seat() {
    let world = World::new(1, Faults::none());
    let [mut a, b] = world.nodes(["a", "b"]).await;
    let gone = b.client;
    world.broker(move |broker| broker.detach(gone)).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    a.claims.contest.signal(Contest { name: name(), node: b.name.clone() }).unwrap();
    a.has_the_seat().await;
}

#[actix::test]
async fn a_contest_without_the_broker_is_answered_and_the_seat_is_asked_for_when_it_is_back() {
    let world = World::new(1, Faults::none());
    let [mut a, mut b] = world.nodes(["a", "b"]).await;
    b.wants_the_seat();
    b.has_the_seat().await;
    world.hub.act(|broker, now| broker.stops(now)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let begun = clock::now();
    // The router repeats it.
    for _ in 0..3 {
        a.claims.contest.signal(Contest { name: name(), node: b.name.clone() }).unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    let unknown = a.hears("that nobody knows", |said| match said {
        Said::SeatUnknown(unknown) => Ok(unknown),
        other => Err(other),
    });
    assert_eq!(unknown.await, SeatUnknown { name: name() });
    assert!(clock::since(begun) < Duration::from_secs(10));
    let delayed = a.hears("that the component waits", |said| match said {
        Said::SeatDelayed(delayed) => Ok(delayed),
        other => Err(other),
    });
    assert_eq!(delayed.await.why, Delay::NoEngine);
    world.hub.act(|broker, now| broker.starts(now)).await;
    let taken = a.hears("that the seat is taken", |said| match said {
        Said::SeatTaken(taken) => Ok(taken),
        other => Err(other),
    });
    assert_eq!(taken.await.node, b.name);
}

#[actix::test]
async fn a_seat_of_which_nobody_knows_is_asked_for_again() {
    let world = World::new(1, Faults::none());
    let [mut a, _b] = world.nodes(["a", "b"]).await;
    world.hub.act(|broker, now| broker.stops(now)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    a.wants_the_seat();
    let unknown = a.hears("that nobody knows", |said| match said {
        Said::SeatUnknown(unknown) => Ok(unknown),
        other => Err(other),
    });
    assert_eq!(unknown.await, SeatUnknown { name: name() });
    world.hub.act(|broker, now| broker.starts(now)).await;
    a.has_the_seat().await;
}

#[actix::test]
async fn a_component_that_waits_for_the_broker_is_reported_once_with_the_reason_and_the_longest_time() {
    let world = World::new(1, Faults::none());
    let [mut a, _b] = world.nodes(["a", "b"]).await;
    a.wants_the_seat();
    a.has_the_seat().await;
    a.claims.unseat.signal(Unseat { name: name() }).unwrap();
    world.hub.act(|broker, now| broker.stops(now)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    a.wants_the_seat();
    let begun = clock::now();
    let delayed = a.hears("that the component waits", |said| match said {
        Said::SeatDelayed(delayed) => Ok(delayed),
        other => Err(other),
    });
    let SeatDelayed { name: of, why, within } = delayed.await;
    assert_eq!((of, why), (name(), Delay::NoEngine), "and not for the first seat, which was granted at once");
    let (asked, longest) = (clock::since(begun), begun + Duration::from_secs(10));
    assert!(asked < Duration::from_secs(2), "{asked:?}");
    assert!(clock::now() + within <= longest, "{within:?}");
    let next = a.hears("that nobody knows", |said| match said {
        Said::SeatUnknown(_) => Ok(None),
        Said::SeatDelayed(again) => Ok(Some(again)),
        other => Err(other),
    });
    assert_eq!(next.await, None);
}

#[actix::test]
async fn a_component_that_waits_until_lost_data_is_written_again_is_reported_with_that_reason() {
    let world = World::new(1, Faults::none());
    let [mut a, _b] = world.nodes(["a", "b"]).await;
    world.hub.act(|broker, now| broker.loses_data(now)).await;
    // Until a beat finds that its record is gone.
    let why = loop {
        a.wants_the_seat();
        let said = a.hears("an answer", |said| match said {
            Said::Seated(_) => Ok(None),
            Said::SeatDelayed(SeatDelayed { why, .. }) => Ok(Some(why)),
            other => Err(other),
        });
        match said.await {
            Some(why) => break why,
            None => a.claims.unseat.signal(Unseat { name: name() }).unwrap(),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(why, Delay::Refill);
    a.has_the_seat().await;
}
