//! Components of a cluster: each is connected to one node at a time, and comes and goes.

mod moves;
mod returns;
mod too_long;
mod waits;
mod world;

use super::*;
use crate::{
    flow::{
        claims::{Claims, Contested, Delay, SeatAt, SeatDelayed, SeatTaken, SeatUnknown, Seated},
        outbox::BUDGET,
    },
    routing::router,
    scenario::{
        component_client::shows_secret,
        nodes::{
            brought::Brought,
            other_node::{FakeCluster, Noted, OtherNode, ferry},
        },
    },
};
use status::report::ComponentState;
use tokio::sync::oneshot;

/// A node of a cluster with two components, of which one is connected here.
struct Seats {
    house: House,
    noted: mpsc::Receiver<Noted>,
    b: OtherNode,
    arrived: mpsc::Receiver<Seen>,
}

impl Seats {
    fn with(conflict: Conflict, absence: &Absence) -> Self {
        let (engine, noted) = FakeCluster::start();
        let claims = Some(Claims {
            claim: engine.outlet(),
            renounce: engine.outlet(),
            seat: engine.outlet(),
            unseat: engine.outlet(),
            contest: engine.outlet(),
        });
        let names = [BOT, OTHER].map(|name| (domain(name), conflict, absence.clone()));
        let house = House::beside(names.to_vec(), Beside { seats: claims, ..Beside::default() });
        let (arriving, arrived) = mpsc::channel(1_000_000);
        Self { house, noted, b: OtherNode::start(arriving), arrived }
    }

    fn new() -> Self {
        Self::with(Conflict::Refuse, &ABSENCE)
    }

    /// The component with this name is connected to the other node.
    fn is_at_b(&self, name: &str) {
        let seat = Some(ferry("b", &self.b));
        self.house.core.router.signal(SeatAt { name: domain(name), seat }).unwrap();
    }

    fn is_nowhere(&self, name: &str) {
        self.house.core.router.signal(SeatAt { name: domain(name), seat: None }).unwrap();
    }

    fn is_granted(&self, name: &str) {
        self.house.core.router.signal(Seated { name: domain(name) }).unwrap();
    }

    fn is_taken(&self, name: &str) {
        let node = cluster::name::NodeName::new("b").unwrap();
        self.house.core.router.signal(SeatTaken { name: domain(name), node }).unwrap();
    }

    fn is_contested(&self, name: &str) {
        self.house.core.router.signal(Contested { name: domain(name) }).unwrap();
    }

    /// Connects a component, and has the cluster give it the seat.
    async fn connect(&mut self, name: &str) -> Client {
        self.connect_with(name, WIDE).await
    }

    /// The same with a connection that takes so many bytes which the component does not read.
    async fn connect_with(&mut self, name: &str, pipe: usize) -> Client {
        let (house, noted) = (&self.house, &mut self.noted);
        let granting = async {
            while noted.recv().await != Some(Noted::Seat(name.to_owned())) {}
            house.core.router.signal(Seated { name: domain(name) }).unwrap();
        };
        tokio::join!(house.connect(name, pipe), granting).0
    }

    fn noted(&mut self) -> Vec<Noted> {
        std::iter::from_fn(|| self.noted.try_recv().ok()).collect()
    }

    /// The numbers that the other node has written.
    fn arrived(&mut self) -> Vec<usize> {
        std::iter::from_fn(|| self.arrived.try_recv().ok()).map(|seen| seen.id).collect()
    }

    async fn state(&self, name: &str) -> ComponentState {
        let (answer, shown) = oneshot::channel();
        self.house.core.router.signal(router::ShowComponents { of: Some(domain(name)), answer }).unwrap();
        shown.await.unwrap()[0].state
    }

    async fn relayed(&self) -> u64 {
        self.house.account().await.settled(Outcome::Relayed).stanzas
    }
}

async fn moment() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}

#[actix::test]
async fn a_component_connects_when_the_cluster_gives_it_the_seat_and_gives_it_up_at_its_end() {
    tokio::time::pause();
    let mut seats = Seats::new();
    let mut other = seats.connect(OTHER).await;
    let bot = seats.connect(BOT).await;
    assert_eq!(seats.noted(), []);
    other.sends(BOT, 0..3).await;
    moment().await;
    assert_eq!(bot.closes().await, [0, 1, 2]);
    moment().await;
    assert_eq!(seats.noted(), [Noted::Unseat(BOT.to_owned())]);
    seats.house.has_settled().await;
}

#[actix::test]
async fn a_component_connects_while_nobody_can_say_whether_it_is_elsewhere() {
    tokio::time::pause();
    let seats = Seats::new();
    let unknowing = async {
        moment().await;
        seats.house.core.router.signal(SeatUnknown { name: domain(BOT) }).unwrap();
    };
    let (bot, ()) = tokio::join!(seats.house.connect(BOT, WIDE), unknowing);
    // The cluster has an answer in the end.
    seats.is_granted(BOT);
    moment().await;
    assert!(bot.closes().await.is_empty());
}

#[actix::test]
async fn a_component_that_waits_for_an_answer_of_the_cluster_is_shown_as_waiting() {
    tokio::time::pause();
    let seats = Seats::new();
    let waiting = async {
        moment().await;
        assert_eq!(seats.state(BOT).await, ComponentState::NeverConnected, "an answer may come in a moment");
        let (why, within) = (Delay::NoEngine, Duration::from_secs(8));
        seats.house.core.router.signal(SeatDelayed { name: domain(BOT), why, within }).unwrap();
        assert_eq!(seats.state(BOT).await, ComponentState::WaitsForCluster);
        seats.is_granted(BOT);
    };
    let (bot, ()) = tokio::join!(seats.house.connect(BOT, WIDE), waiting);
    moment().await;
    assert_eq!(seats.state(BOT).await, ComponentState::Connected);
    assert!(bot.closes().await.is_empty());
}

#[actix::test]
async fn stanzas_go_to_the_node_of_the_component_and_its_absence_here_does_not_count() {
    tokio::time::pause();
    let zero = Absence { message: Duration::ZERO, presence: Duration::ZERO, iq: Duration::ZERO, ..ABSENCE };
    let mut seats = Seats::with(Conflict::Refuse, &zero);
    let mut other = seats.connect(OTHER).await;
    seats.is_at_b(BOT);
    passes(600).await;
    other.sends(BOT, 0..5).await;
    moment().await;
    other.sends(BOT, 5..10).await;
    moment().await;
    assert_eq!(seats.arrived(), (0..10).collect::<Vec<_>>());
    assert_eq!(seats.relayed().await, 10);
    seats.house.has_settled().await;
    seats.is_nowhere(BOT);
    other.sends(BOT, 10..11).await;
    let (number, condition, _) = other.is_answered().await;
    assert_eq!((number, condition.as_str()), (10, "service-unavailable"));
    seats.house.has_settled().await;
}

#[actix::test]
async fn a_component_that_moves_here_gets_what_the_other_node_gives_back_before_what_waited_here() {
    tokio::time::pause();
    let mut seats = Seats::new();
    let mut other = seats.connect(OTHER).await;
    seats.is_at_b(BOT);
    seats.b.settles(false);
    other.sends(BOT, 0..3).await;
    moment().await;
    other.sends(BOT, 3..5).await;
    moment().await;
    seats.is_nowhere(BOT);
    other.sends(BOT, 5..8).await;
    moment().await;
    let mut bot = seats.connect(BOT).await;
    assert_eq!(bot.receives_some().await, Vec::<usize>::new(), "older ones are on their way back");
    // One of them was written there.
    seats.b.gives_back(1);
    assert_eq!(bot.receives_some().await, (1..8).collect::<Vec<_>>());
    assert_eq!(seats.arrived(), [0]);
    other.sends(BOT, 8..10).await;
    assert_eq!(bot.receives_some().await, [8, 9]);
    let account = seats.house.has_settled().await;
    assert_eq!((account.settled(Outcome::Relayed).stanzas, account.repeated().stanzas), (1, 0));
}

#[actix::test]
async fn what_was_given_back_waits_in_front_for_a_component_that_is_away() {
    tokio::time::pause();
    let mut seats = Seats::new();
    let mut other = seats.connect(OTHER).await;
    seats.is_at_b(BOT);
    seats.b.settles(false);
    other.sends(BOT, 0..3).await;
    moment().await;
    seats.b.gives_back(0);
    other.sends(BOT, 3..6).await;
    seats.is_nowhere(BOT);
    moment().await;
    assert_eq!(seats.house.waiting(BOT).await, 6);
    let mut bot = seats.connect(BOT).await;
    assert_eq!(bot.receives_some().await, (0..6).collect::<Vec<_>>());
    seats.house.has_settled().await;
}

#[actix::test]
async fn a_node_that_dies_gives_back_what_it_has_not_settled_in_order() {
    tokio::time::pause();
    let mut seats = Seats::new();
    let mut other = seats.connect(OTHER).await;
    seats.is_at_b(BOT);
    moment().await;
    seats.b.settles(false);
    for first in [0, 2, 4] {
        other.sends(BOT, first..first + 2).await;
        moment().await;
    }
    seats.b.settles_first(1);
    moment().await;
    seats.b.dies(1);
    seats.is_nowhere(BOT);
    other.sends(BOT, 6..8).await;
    moment().await;
    let mut bot = seats.connect(BOT).await;
    let mut received = Vec::new();
    for _ in 0..6 {
        let stanza = bot.next().await.unwrap();
        received.push((number(&stanza), stanza.contains("urn:xmpp:delay")));
    }
    let expected: Vec<(usize, bool)> = (2..8).map(|id| (id, id < 4)).collect();
    assert_eq!(received, expected, "what may have arrived is stamped");
    let account = seats.house.has_settled().await;
    assert_eq!(account.settled(Outcome::Relayed).stanzas, 2);
    assert_eq!(account.repeated().stanzas, 2);
}

#[actix::test]
async fn a_way_that_ends_while_the_component_stays_there_is_followed_by_another() {
    tokio::time::pause();
    let mut seats = Seats::new();
    let mut other = seats.connect(OTHER).await;
    seats.is_at_b(BOT);
    seats.b.settles(false);
    other.sends(BOT, 0..3).await;
    moment().await;
    seats.b.dies(0);
    other.sends(BOT, 3..6).await;
    seats.b.settles(true);
    passes(2).await;
    assert_eq!(seats.arrived(), (0..6).collect::<Vec<_>>());
    seats.house.has_settled().await;
}

#[actix::test]
async fn a_slow_node_gets_no_more_than_the_budget_and_the_rest_waits_here() {
    tokio::time::pause();
    let mut seats = Seats::new();
    let mut other = seats.connect(OTHER).await;
    seats.is_at_b(BOT);
    moment().await;
    seats.b.settles(false);
    let filling = "x".repeat(LONG);
    for id in 0..3 * BUDGET / LONG {
        other
            .writes(&format!(
                "<message from='a@{OTHER}' to='b@{BOT}' type='chat' id='{id}'><n>{id}</n>{filling}</message>"
            ))
            .await;
    }
    moment().await;
    let (_, unsettled) = seats.b.unsettled().await;
    assert!((BUDGET..BUDGET + 3 * 64 * 1024).contains(&unsettled), "{unsettled}");
    assert!(seats.house.waiting(BOT).await > 0);
    seats.b.settles(true);
    moment().await;
    assert_eq!(seats.arrived(), (0..3 * BUDGET / LONG).collect::<Vec<_>>());
    seats.house.has_settled().await;
}

#[actix::test]
async fn a_connection_whose_seat_is_elsewhere_contests_it_again_and_is_refused_when_nothing_changes() {
    tokio::time::pause();
    let mut seats = Seats::new();
    seats.is_at_b(BOT);
    moment().await;
    let (mut socket, link) = duplex(WIDE);
    let (stream, address) = (Stream::Tcp(link.into()), ([127, 0, 0, 1], 5347).into());
    let _ = start_component(
        &seats.house.meter,
        environment(&seats.house.names, &seats.house.core),
        stream,
        address,
    );
    let mut read = shows_secret(&mut socket, BOT).await;
    let begun = clock::now();
    while socket.read_buf(&mut read).await.unwrap() > 0 {}
    assert!(String::from_utf8_lossy(&read).contains("<conflict"));
    let lasted = clock::since(begun);
    assert!(lasted >= Duration::from_secs(10) && lasted < Duration::from_secs(11), "{lasted:?}");
    // At once, and every two seconds: the message to the other node may be lost.
    assert_eq!(seats.noted(), [(); 5].map(|()| Noted::Contest(BOT.to_owned())));
}

#[actix::test]
async fn a_connection_that_contests_a_seat_gets_it_when_the_other_node_gives_it_up() {
    tokio::time::pause();
    let mut seats = Seats::new();
    let mut other = seats.connect(OTHER).await;
    let contesting = async {
        moment().await;
        // Another node was faster.
        seats.is_taken(BOT);
        seats.is_at_b(BOT);
        passes(1).await;
        other.sends(BOT, 0..2).await;
        moment().await;
        seats.is_nowhere(BOT);
        moment().await;
        seats.is_granted(BOT);
    };
    let (mut bot, ()) = tokio::join!(seats.house.connect(BOT, WIDE), contesting);
    other.sends(BOT, 2..4).await;
    assert_eq!(bot.receives_some().await, [2, 3]);
    assert_eq!(seats.arrived(), [0, 1]);
    let bot = || BOT.to_owned();
    assert_eq!(seats.noted(), [Noted::Seat(bot()), Noted::Contest(bot()), Noted::Seat(bot())]);
    seats.house.has_settled().await;
}

#[actix::test]
async fn a_connection_gives_way_to_one_at_another_node_as_to_a_second_one_here() {
    tokio::time::pause();
    for conflict in [Conflict::Replace, Conflict::Refuse] {
        let mut seats = Seats::with(conflict, &ABSENCE);
        let mut other = seats.connect(OTHER).await;
        let mut bot = seats.connect(BOT).await;
        moment().await;
        seats.is_contested(BOT);
        moment().await;
        match conflict {
            Conflict::Replace => {
                let end = bot.next().await.unwrap();
                assert!(end.contains("<conflict"), "{end}");
            }
            // It does not answer the ping.
            Conflict::Refuse => {
                assert!(bot.next().await.unwrap().contains("urn:xmpp:ping"));
                assert_eq!(seats.noted(), []);
                passes(6).await;
            }
        }
        assert_eq!(seats.noted(), [Noted::Unseat(BOT.to_owned())]);
        other.sends(BOT, 0..2).await;
        moment().await;
        seats.is_at_b(BOT);
        passes(6).await;
        assert_eq!(seats.arrived(), [0, 1]);
        seats.house.has_settled().await;
    }
}

#[actix::test]
async fn a_connection_that_loses_its_seat_leaves_and_its_stanzas_follow() {
    tokio::time::pause();
    let mut seats = Seats::new();
    let mut other = seats.connect(OTHER).await;
    let mut bot = seats.connect(BOT).await;
    // It got the seat of a component that had connected while the cluster did not know.
    seats.is_at_b(BOT);
    moment().await;
    other.sends(BOT, 0..1).await;
    assert_eq!(
        bot.receives(1).await,
        [0],
        "the connection here has the seat until the cluster says otherwise"
    );
    seats.is_taken(BOT);
    other.sends(BOT, 1..3).await;
    passes(6).await;
    assert!(bot.next().await.unwrap().contains("<conflict"));
    assert_eq!(seats.arrived(), [1, 2]);
    seats.house.has_settled().await;
}

#[actix::test]
async fn a_node_that_stops_waits_for_the_settlements_of_components_elsewhere() {
    tokio::time::pause();
    for settles in [true, false] {
        let mut seats = Seats::new();
        let mut other = seats.connect(OTHER).await;
        seats.is_at_b(BOT);
        seats.b.settles(false);
        other.sends(BOT, 0..3).await;
        moment().await;
        let (token, finished) = drain::tokens();
        let within = Duration::from_secs(10);
        seats.house.core.router.signal(router::FinishSeats { within, token }).unwrap();
        moment().await;
        if settles {
            seats.b.settles(true);
        }
        assert!(finished.within(Duration::from_secs(60)).await);
        let (token, answered) = drain::tokens();
        seats.house.core.mailroom.signal(mailroom::Drain { token }).unwrap();
        answered.within(Duration::from_secs(60)).await;
        let account = seats.house.has_settled().await;
        let outcome = if settles { Outcome::Relayed } else { Outcome::Uncertain };
        assert_eq!(account.settled(outcome).stanzas, 3);
    }
}
