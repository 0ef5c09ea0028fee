//! Stanzas of other nodes for a component go back to these nodes, unless the component is connected here.

use super::*;

/// Ids of stanzas that another node brings.
const BROUGHT: usize = 1_000_000;

#[actix::test]
async fn stanzas_for_a_component_that_is_not_connected_here_go_back() {
    tokio::time::pause();
    for knows in [false, true] {
        let mut seats = Seats::new();
        if knows {
            seats.is_at_b(BOT);
            moment().await;
        }
        for node in ["b", "c"] {
            let mut brought = Brought::by(node);
            let mark = brought.brings(&seats.house.core.router, OTHER, BOT, Kind::Message, 0..3);
            moment().await;
            assert_eq!(brought.given_back(), [(1, vec![(0, 2)])]);
            assert!(brought.settled().is_empty() && !mark.is_touched());
        }
        passes(2).await;
        assert_eq!(seats.b.unsettled().await, (0, 0), "nothing is lent onward");
        assert!(seats.arrived().is_empty());
        seats.house.has_settled().await;
    }
}

#[actix::test]
async fn stanzas_for_a_component_that_a_reload_has_removed_go_back() {
    tokio::time::pause();
    let mut seats = Seats::new();
    let bot = seats.connect_with(BOT, 1024).await;
    let mut brought = Brought::by("b");
    brought.brings(&seats.house.core.router, OTHER, BOT, Kind::Message, 0..MANY);
    moment().await;
    seats.house.adopts(&[(domain(OTHER), Conflict::Refuse, ABSENCE)]);
    passes(10).await;
    drop(bot);
    passes(10).await;
    let given_back = brought.given_back();
    assert!(brought.settled().is_empty());
    let ranges: Vec<(u64, u64)> = given_back.into_iter().flat_map(|(_, stanzas)| stanzas).collect();
    assert_eq!(ranges.last().map(|(_, last)| *last), Some(MANY as u64 - 1), "{ranges:?}");
    seats.house.has_settled().await;
}

#[actix::test]
async fn what_a_connection_has_not_written_goes_back_with_all_that_follows_until_another_relay_begins() {
    tokio::time::pause();
    let mut seats = Seats::new();
    let slow = seats.connect_with(BOT, 1024).await;
    let mut brought = Brought::by("b");
    let router = seats.house.core.router.clone();
    brought.brings(&router, OTHER, BOT, Kind::Message, 0..MANY);
    moment().await;
    brought.brings(&router, OTHER, BOT, Kind::Message, MANY..MANY + 2);
    moment().await;
    drop(slow);
    moment().await;
    let mut given_back = brought.given_back();
    given_back.sort_unstable();
    let first = given_back[0].1[0].0;
    assert!(first > 0 && first < MANY as u64 / 2, "{first} may have arrived");
    assert_eq!(given_back, [(1, vec![(first, MANY as u64 - 1)]), (2, vec![(0, 1)])]);
    // That node does not know yet.
    let mut bot = seats.connect(BOT).await;
    brought.brings(&router, OTHER, BOT, Kind::Message, MANY + 2..MANY + 4);
    assert_eq!(bot.receives_some().await, [0_usize; 0], "earlier ones are on their way back");
    assert_eq!(brought.given_back(), [(3, vec![(0, 1)])]);
    brought.begins();
    brought.brings(&router, OTHER, BOT, Kind::Message, 0..2);
    brought.brings(&router, OTHER, BOT, Kind::Message, 2..4);
    assert_eq!(bot.receives_some().await, [0, 1, 2, 3]);
    assert_eq!((brought.settled(), brought.given_back()), (vec![4, 5], vec![]));
    seats.house.has_settled().await;
}

#[actix::test]
async fn the_relays_of_each_node_begin_anew_after_a_connection_has_ended() {
    tokio::time::pause();
    let mut seats = Seats::new();
    let bot = seats.connect(BOT).await;
    let router = seats.house.core.router.clone();
    let (mut b, mut c) = (Brought::by("b"), Brought::by("c"));
    for brought in [&mut b, &mut c] {
        brought.brings(&router, OTHER, BOT, Kind::Message, 0..1);
    }
    moment().await;
    assert_eq!(bot.closes().await, [0, 0]);
    let mut bot = seats.connect(BOT).await;
    c.begins();
    for brought in [&mut b, &mut c] {
        brought.brings(&router, OTHER, BOT, Kind::Message, 1..2);
    }
    assert_eq!(bot.receives_some().await, [1]);
    assert_eq!((b.settled(), b.given_back()), (vec![1], vec![(2, vec![(0, 0)])]));
    assert_eq!((c.settled(), c.given_back()), (vec![1, 2], vec![]));
    seats.house.has_settled().await;
}

#[actix::test]
async fn a_relay_whose_stanzas_come_back_is_followed_by_another_after_a_pause_as_long_as_the_seat_is_there() {
    tokio::time::pause();
    let mut seats = Seats::new();
    let mut other = seats.connect(OTHER).await;
    seats.is_at_b(BOT);
    seats.b.settles(false);
    other.sends(BOT, 0..3).await;
    moment().await;
    let begun = clock::now();
    let mut times = Vec::new();
    while clock::since(begun) < Duration::from_secs(10) {
        if seats.b.unsettled().await.0 > 0 {
            times.push(clock::since(begun).as_millis());
            seats.b.gives_back(0);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!((10..=15).contains(&times.len()), "pauses double up to a second: {times:?}");
    other.sends(BOT, 3..5).await;
    seats.b.settles(true);
    passes(2).await;
    assert_eq!(seats.arrived(), [0, 1, 2, 3, 4]);
    let account = seats.house.has_settled().await;
    assert_eq!((account.settled(Outcome::Relayed).stanzas, account.repeated().stanzas), (5, 0));
}

/// A stanza that may wait for an absent component for no time is not answered while a relay follows another one.
#[actix::test]
async fn a_component_counts_as_connected_between_two_relays() {
    tokio::time::pause();
    let zero = Absence { message: Duration::ZERO, presence: Duration::ZERO, iq: Duration::ZERO, ..ABSENCE };
    let mut seats = Seats::with(Conflict::Refuse, &zero);
    let mut other = seats.connect(OTHER).await;
    seats.is_at_b(BOT);
    seats.b.settles(false);
    other.sends(BOT, 0..3).await;
    moment().await;
    for _ in 0..4 {
        seats.b.gives_back(0);
        passes(1).await;
    }
    seats.b.settles(true);
    passes(2).await;
    assert_eq!(seats.arrived(), [0, 1, 2]);
    seats.house.has_settled().await;
}

#[actix::test]
async fn what_was_given_back_is_in_order_with_what_the_end_of_the_way_leaves_in_doubt() {
    tokio::time::pause();
    let mut seats = Seats::new();
    let mut other = seats.connect(OTHER).await;
    seats.is_at_b(BOT);
    moment().await;
    seats.b.settles(false);
    for first in [0, 2, 4, 6] {
        other.sends(BOT, first..first + 2).await;
        moment().await;
    }
    // The first may have arrived; the second comes back, so the third cannot have arrived.
    seats.b.gives_back_one(1);
    moment().await;
    seats.is_nowhere(BOT);
    seats.b.dies(2);
    let mut bot = seats.connect(BOT).await;
    let mut received = Vec::new();
    for _ in 0..8 {
        let stanza = bot.next().await.unwrap();
        received.push((number(&stanza), stanza.contains("urn:xmpp:delay")));
    }
    let expected: Vec<(usize, bool)> = (0..8).map(|id| (id, id < 2)).collect();
    assert_eq!(received, expected, "what may have arrived is stamped");
    seats.house.has_settled().await;
}

#[actix::test]
async fn stanzas_of_this_node_and_of_others_share_the_portions_of_a_slow_component() {
    tokio::time::pause();
    let mut seats = Seats::new();
    let mut other = seats.connect(OTHER).await;
    let router = seats.house.core.router.clone();
    let mut brought = Brought::by("b");
    let slow = seats.connect_with(BOT, 1024).await;
    // The outbox is full, and both wait in the mailroom.
    let filling = "x".repeat(LONG);
    let long = |sender: &str, id: usize| {
        format!(
            "<message from='a@{sender}' to='b@{BOT}' type='chat' id='{id}'><n>{id}</n>{filling}</message>"
        )
    };
    for id in 0..3 * BUDGET / LONG {
        other.writes(&long(OTHER, id)).await;
    }
    moment().await;
    brought.brings(&router, OTHER, BOT, Kind::Message, BROUGHT..BROUGHT + MANY);
    moment().await;
    assert!(seats.house.waiting(BOT).await > MANY as u64);
    let mut slow = slow;
    let received = slow.receives_some().await;
    let own: Vec<usize> = received.iter().copied().filter(|id| *id < BROUGHT).collect();
    let lent: Vec<usize> = received.iter().copied().filter(|id| *id >= BROUGHT).collect();
    assert_eq!(own, (0..3 * BUDGET / LONG).collect::<Vec<_>>());
    assert_eq!(lent, (BROUGHT..BROUGHT + MANY).collect::<Vec<_>>());
    let first_lent = received.iter().position(|id| *id >= BROUGHT).unwrap();
    assert!(first_lent < own.len(), "what another node has lent does not wait for all that waits here");
    assert_eq!(brought.settled(), [1]);
    seats.house.has_settled().await;
}

/// They wait no longer than what waits here.
#[actix::test]
async fn what_another_node_has_lent_is_answered_when_its_time_is_over() {
    tokio::time::pause();
    let mut seats = Seats::new();
    let mut other = seats.connect(OTHER).await;
    let _slow = seats.connect_with(BOT, 1024).await;
    let filling = "x".repeat(LONG);
    for id in 0..2 * BUDGET / LONG {
        let text = format!(
            "<message from='a@{OTHER}' to='b@{BOT}' type='chat' id='{id}'><n>{id}</n>{filling}</message>"
        );
        other.writes(&text).await;
    }
    moment().await;
    let mut brought = Brought::by("b");
    brought.brings(&seats.house.core.router, OTHER, BOT, Kind::Request, BROUGHT..BROUGHT + 2);
    let begun = clock::now();
    let (number, condition, _) = other.is_answered().await;
    assert_eq!((number, condition.as_str()), (BROUGHT, "resource-constraint"));
    other.is_answered().await;
    assert!(clock::since(begun) <= Duration::from_secs(11), "{:?}", clock::since(begun));
    moment().await;
    assert_eq!((brought.settled(), brought.given_back()), (vec![1], vec![]));
}

/// What may have arrived is settled for the other node: this one sends it again.
#[actix::test]
async fn what_a_lost_connection_may_have_carried_is_sent_again_here_and_the_rest_goes_back() {
    tokio::time::pause();
    let mut seats = Seats::with(Conflict::Refuse, &Absence { redeliver: true, ..ABSENCE });
    let slow = seats.connect_with(BOT, 1024).await;
    let mut brought = Brought::by("b");
    brought.brings(&seats.house.core.router, OTHER, BOT, Kind::Message, 0..MANY);
    moment().await;
    drop(slow);
    moment().await;
    let given_back = brought.given_back();
    let [(1, stanzas)] = &given_back[..] else { panic!("{given_back:?}") };
    let (first, last) = stanzas[0];
    assert_eq!((stanzas.len(), last), (1, MANY as u64 - 1));
    let mut bot = seats.connect(BOT).await;
    let again = bot.receives_some().await;
    let first = usize::try_from(first).unwrap();
    assert_eq!(again, (again[0]..first).collect::<Vec<_>>());
    assert!(brought.settled().is_empty() && brought.given_back().is_empty());
    seats.house.has_settled().await;
}

/// Much more than one chunk that is written at once.
const MANY: usize = 3_000;
