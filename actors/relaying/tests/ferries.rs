//! Parcels between nodes.

use ::cluster::engine::fake::Faults;

use super::{
    stanzas::{carry, carry_parcel, ids, parcel, write},
    *,
};
use crate::flow::{
    batch::Batch,
    ferry::{ALLOWED_BEYOND_THE_WINDOW, ALWAYS_ALLOWED, Event},
    journal::Places,
    outbox::BUDGET,
};

#[actix::test]
async fn brings_parcels_to_the_router_of_the_other_node_and_reports_what_is_settled() {
    let world = World::new(1, Faults::none());
    let [mut a, mut b] = world.nodes(["a", "b"]).await;
    let way = b.way_to(&mut a).await;
    assert_eq!(way.node, a.name);
    let relay = b.relay(1);
    for number in 1..=3 {
        carry(&way, &relay, number, number);
    }
    let batches = a.router_gets_stanzas(3).await;
    assert_eq!(ids(&batches), [1, 2, 3]);
    assert!(batches.iter().all(|batch| batch.receipt.node() == Some(&b.name)));
    assert_eq!(a.carried(), (3, 0));
    let mut batches = batches.into_iter();
    let first = batches.next().unwrap();
    assert_eq!(write(batches.collect()), [2, 3]);
    b.relay_has_settled(1, &[2, 3]).await;
    assert_eq!(write(vec![first]), [1]);
    b.relay_has_settled(1, &[1]).await;
    assert_eq!(a.carried(), (3, 3));
}

#[actix::test]
async fn the_age_and_the_marks_of_stanzas_go_with_them() {
    let world = World::new(1, Faults::none());
    let [mut a, mut b] = world.nodes(["a", "b"]).await;
    let way = b.way_to(&mut a).await;
    let mut old = parcel(1, &[1], 10);
    old.batches[0].since = clock::now() - Duration::from_secs(9);
    old.batches[0].returning = true;
    old.batches[0].sends = crate::flow::batch::Sends { times: 2, may_have_arrived: true };
    let sends = old.batches[0].sends;
    carry_parcel(&way, &b.relay(1), old);
    let batch = a.router_gets().await.remove(0);
    let age = clock::since(batch.since);
    assert!(age >= Duration::from_secs(9) && age < Duration::from_secs(10), "{age:?}");
    assert!(batch.returning);
    assert_eq!(batch.sends, sends);
}

#[actix::test]
async fn three_nodes_exchange_parcels_in_order_over_a_broker_that_loses_and_repeats_frames() {
    let faults = Faults { frame_lost: 200, twice: 200, ..Faults::none() };
    let world = World::new(7, faults);
    let [mut a, mut b, mut c] = world.nodes(["a", "b", "c"]).await;
    let (from_b, from_c) = (b.way_to(&mut a).await, c.way_to(&mut a).await);
    let (relay_b, relay_c) = (b.relay(1), c.relay(1));
    for number in 1..=200 {
        carry(&from_b, &relay_b, number, number);
        carry(&from_c, &relay_c, number, 1_000 + number);
        if number % 20 == 0 {
            tokio::time::sleep(Duration::from_millis(7)).await;
        }
    }
    let mut written = Vec::new();
    while written.len() < 400 {
        written.extend(write(a.router_gets().await));
    }
    let (of_b, of_c): (Vec<u64>, Vec<u64>) = written.into_iter().partition(|id| *id < 1_000);
    assert_eq!(of_b, (1..=200).collect::<Vec<_>>());
    assert_eq!(of_c, (1_001..=1_200).collect::<Vec<_>>());
    let all: Vec<u64> = (1..=200).collect();
    b.relay_has_settled(1, &all).await;
    c.relay_has_settled(1, &all).await;
}

#[actix::test]
async fn a_large_parcel_goes_in_pieces_and_is_settled_once() {
    let world = World::new(1, Faults::none());
    let [mut a, mut b] = world.nodes(["a", "b"]).await;
    let way = b.way_to(&mut a).await;
    let relay = b.relay(1);
    let all: Vec<u64> = (1..=300).collect();
    carry_parcel(&way, &relay, parcel(1, &all, 3_000));
    carry(&way, &relay, 2, 301);
    let mut batches = a.router_gets_stanzas(301).await;
    let last = batches.pop().unwrap();
    let half = batches.split_off(batches.len() / 2);
    write(batches);
    write(vec![last]);
    b.relay_has_settled(1, &[2]).await;
    write(half);
    b.relay_has_settled(1, &[1]).await;
}

#[actix::test]
async fn what_cannot_be_delivered_comes_back_by_stanza_when_the_rest_is_settled() {
    let world = World::new(1, Faults::none());
    let [mut a, mut b] = world.nodes(["a", "b"]).await;
    let way = b.way_to(&mut a).await;
    let relay = b.relay(1);
    // In several pieces, and two small ones.
    let all: Vec<u64> = (1..=30).collect();
    carry_parcel(&way, &relay, parcel(1, &all, 3_000));
    carry_parcel(&way, &relay, parcel(2, &[31, 32, 33], 100));
    carry(&way, &relay, 3, 34);
    let mut batches = a.router_gets_stanzas(34).await;
    let begins = |batch: &Batch| batch.receipt.lender().map(|(_, begins)| begins);
    assert!(batches.iter().all(|batch| begins(batch) == Some(ids(std::slice::from_ref(batch))[0] == 1)));
    let last = batches.pop().unwrap();
    let mut second = batches.pop().unwrap();
    let rest = batches.split_off(1);
    assert_eq!(rest.iter().map(|batch| batch.stanzas.len()).sum::<usize>() + batches[0].stanzas.len(), 30);
    let delivered = batches[0].stanzas.len() as u64 - 2;
    let mut first = batches.remove(0);
    first.split_off(usize::try_from(delivered).unwrap()).give_back();
    assert_eq!(write(vec![first]).len() as u64, delivered);
    rest.into_iter().for_each(Batch::give_back);
    let mut behind = second.split_off(1);
    let third = behind.split_off(1);
    behind.give_back();
    assert_eq!(write(vec![second, third]), [31, 33]);
    last.give_back();
    let mut given_back = Vec::new();
    for _ in 0..3 {
        let Event::GivenBack { number, stanzas } = b.relay_hears(1).await else { panic!("not given back") };
        given_back.push((number, stanzas.iter().collect::<Vec<_>>()));
    }
    given_back.sort_unstable();
    assert_eq!(given_back, [(1, vec![(delivered, 29)]), (2, vec![(1, 1)]), (3, vec![(0, 0)])]);
    assert_eq!(a.carried(), (34, delivered + 2));
}

#[actix::test]
async fn a_node_that_does_not_know_the_numbers_of_stanzas_gives_the_session_back() {
    let world = World::new(1, Faults::none());
    let [mut a, mut b] = world.nodes(["a", "b"]).await;
    let way = b.way_to(&mut a).await;
    carry(&way, &b.relay(1), 1, 1);
    let mut batches = a.router_gets_stanzas(1).await;
    batches[0].places = Places::From(7);
    batches.into_iter().for_each(Batch::give_back);
    let (_, in_doubt) = b.relay_ends(1).await;
    assert_eq!(in_doubt, [1], "nobody knows");
}

#[actix::test]
async fn relays_may_have_less_on_the_way_while_the_window_is_used_up() {
    let mut world = World::new(1, Faults::none());
    world.window = 100_000;
    let [mut a, mut b] = world.nodes(["a", "b"]).await;
    let way = b.way_to(&mut a).await;
    let (one, other) = (b.relay(1), b.relay(2));
    let many: Vec<u64> = (1..=40).collect();
    carry_parcel(&way, &one, parcel(1, &many, 3_000));
    assert!(matches!(b.relay_hears(1).await, Event::Allowed { bytes: ALLOWED_BEYOND_THE_WINDOW }));
    carry(&way, &other, 1, 41);
    assert!(matches!(b.relay_hears(2).await, Event::Allowed { bytes: ALLOWED_BEYOND_THE_WINDOW }));
    // It goes all the same.
    let batches = a.router_gets_stanzas(41).await;
    write(batches);
    for relay in [1, 2] {
        let mut events = [b.relay_hears(relay).await, b.relay_hears(relay).await];
        events.sort_by_key(|event| matches!(event, Event::Allowed { .. }));
        assert!(matches!(&events[0], Event::Settled { numbers } if numbers == &[1]), "{events:?}");
        assert!(matches!(events[1], Event::Allowed { bytes: BUDGET }), "{events:?}");
    }
}

/// Remote servers that do not read, at the node that has their links: eight of them use up the window.
#[actix::test]
async fn pairs_whose_stanzas_are_not_settled_hold_up_no_other_pair() {
    let mut world = World::new(1, Faults::none());
    world.window = 100_000;
    let [mut a, mut b] = world.nodes(["a", "b"]).await;
    let way = b.way_to(&mut a).await;
    let many: Vec<u64> = (1..=8).collect();
    let mut stalled = Vec::new();
    for relay in 1..=8 {
        carry_parcel(&way, &b.relay(relay), parcel(1, &many, 8_000));
        stalled.extend(a.router_gets_stanzas(8).await);
    }
    // They have used up the window four times, so another pair may have less on the way.
    let relay = b.relay(9);
    carry(&way, &relay, 1, 1);
    assert!(matches!(b.relay_hears(9).await, Event::Allowed { bytes: ALWAYS_ALLOWED }));
    assert_eq!(write(a.router_gets_stanzas(1).await), [1]);
    b.relay_has_settled(9, &[1]).await;
    for number in 2..=50 {
        carry(&way, &relay, number, number);
        let begun = clock::now();
        assert_eq!(write(a.router_gets_stanzas(1).await), [number]);
        b.relay_has_settled(9, &[number]).await;
        assert!(clock::since(begun) < Duration::from_secs(1), "{:?}", clock::since(begun));
    }
    assert!(b.rest().iter().all(|said| !matches!(said, Said::Relay(1..=8, Event::Settled { .. }))));
    drop(stalled);
}

#[actix::test]
async fn a_full_router_gets_the_stanzas_later_in_order() {
    let world = World::new(1, Faults::none());
    let (mut a, inbox) = world.node_with_router("a", 1).await;
    let mut b = world.node("b").await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let way = b.way_to(&mut a).await;
    let relay = b.relay(1);
    for number in 1..=20 {
        carry(&way, &relay, number, number);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(a.carried().0, 1, "there is room for one message");
    a.router_starts(inbox);
    let batches = a.router_gets_stanzas(20).await;
    assert_eq!(ids(&batches), (1..=20).collect::<Vec<_>>());
    write(batches);
    b.relay_has_settled(1, &(1..=20).collect::<Vec<_>>()).await;
}
