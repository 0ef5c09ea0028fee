//! Stanzas that the message broker does not permit: they cost nothing but themselves.

use ::cluster::engine::fake::Faults;
use tokio::sync::{mpsc, oneshot};

use super::{
    node::Retire,
    stanzas::{carry, carry_parcel, ids, parcel, write},
    *,
};
use crate::{
    flow::ferry::{Carried, Event, Parcel},
    relaying::{cluster::Show, ferry::AROUND_A_STANZA},
};

/// A parcel of short messages, but for those with the ids `long`.
fn mixed(number: u64, ids: &[u64], long: &[u64]) -> Parcel {
    let length = |id: &u64| if long.contains(id) { LIMIT } else { 100 };
    let batches: Vec<Carried> =
        ids.iter().flat_map(|id| parcel(number, &[*id], length(id)).batches).collect();
    let bytes = batches.iter().flat_map(|batch| &batch.stanzas).map(bytes::Bytes::len).sum();
    Parcel { number, bytes, batches }
}

fn is_too_long(event: &Event, of: u64) -> bool {
    matches!(event, Event::TooLong { number, longest } if *number == of && *longest == LIMIT - AROUND_A_STANZA)
}

/// The relays in the tables of a node's ferries.
async fn relays(node: &Node) -> usize {
    let (report, nodes) = oneshot::channel();
    let (ferries, mut of_ferries) = mpsc::channel(64);
    node.cluster.signal_quietly(Show { report, ferries }).unwrap();
    nodes.await.unwrap();
    let mut relays = 0;
    while let Some(ferry) = of_ferries.recv().await {
        relays += ferry.relays;
    }
    relays
}

#[actix::test]
async fn a_stanza_that_is_too_long_is_reported_and_all_others_of_the_relay_go_on_in_order() {
    let world = World::new(1, Faults::none());
    world.hub.permits(LIMIT);
    let [mut a, mut b] = world.nodes(["a", "b"]).await;
    let way = b.way_to(&mut a).await;
    let relay = b.relay(1);
    carry(&way, &relay, 1, 1);
    carry_parcel(&way, &relay, mixed(2, &[2, 3, 4, 5], &[3, 5]));
    carry_parcel(&way, &relay, mixed(3, &[6], &[6]));
    carry(&way, &relay, 4, 7);
    assert!(is_too_long(&b.relay_hears(1).await, 2));
    assert!(is_too_long(&b.relay_hears(1).await, 3));
    b.relay_has_settled(1, &[3]).await;
    let batches = a.router_gets_stanzas(4).await;
    assert_eq!(ids(&batches), [1, 2, 4, 7]);
    write(batches);
    b.relay_has_settled(1, &[1, 2, 4]).await;
    assert_eq!(a.carried(), (4, 4));
}

#[actix::test]
async fn the_first_stanza_of_a_relay_may_be_too_long() {
    let world = World::new(1, Faults::none());
    world.hub.permits(LIMIT);
    let [mut a, mut b] = world.nodes(["a", "b"]).await;
    let way = b.way_to(&mut a).await;
    let relay = b.relay(1);
    carry_parcel(&way, &relay, mixed(1, &[1], &[1]));
    carry(&way, &relay, 2, 2);
    assert!(is_too_long(&b.relay_hears(1).await, 1));
    b.relay_has_settled(1, &[1]).await;
    assert_eq!(write(a.router_gets_stanzas(1).await), [2]);
    b.relay_has_settled(1, &[2]).await;
}

/// The default of nats-server is 1 MiB; frames have up to 64 KiB and parcels up to 32 KiB.
#[actix::test]
async fn frames_and_parcels_are_no_longer_than_the_broker_permits() {
    let world = World::new(1, Faults::none());
    world.hub.permits(20_000);
    let [mut a, mut b] = world.nodes(["a", "b"]).await;
    let way = b.way_to(&mut a).await;
    let relay = b.relay(1);
    let all: Vec<u64> = (1..=100).collect();
    carry_parcel(&way, &relay, parcel(1, &all, 500));
    for number in 2..=50 {
        carry(&way, &relay, number, 99 + number);
    }
    let batches = a.router_gets_stanzas(149).await;
    assert_eq!(write(batches), (1..=149).collect::<Vec<_>>());
    b.relay_has_settled(1, &(1..=50).collect::<Vec<_>>()).await;
}

#[actix::test]
async fn the_limit_is_that_of_the_present_connection_to_the_broker() {
    let world = World::new(1, Faults::none());
    world.hub.permits(LIMIT);
    let [mut a, mut b] = world.nodes(["a", "b"]).await;
    let way = b.way_to(&mut a).await;
    let relay = b.relay(1);
    carry_parcel(&way, &relay, mixed(1, &[1], &[1]));
    assert!(is_too_long(&b.relay_hears(1).await, 1));
    b.relay_has_settled(1, &[1]).await;
    // The broker comes back with a larger one.
    world.cuts_off(b.client).await;
    world.hub.permits(2 * LIMIT);
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.rejoins(b.client).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    carry_parcel(&way, &relay, mixed(2, &[2], &[2]));
    assert_eq!(write(a.router_gets_stanzas(1).await), [2]);
    b.relay_has_settled(1, &[2]).await;
}

/// It was permitted when the relay handed it over. Sent again it would stand in front of all others for ever.
#[actix::test]
async fn a_stanza_on_the_way_that_the_broker_no_longer_permits_comes_back() {
    let world = World::new(1, Faults::none());
    world.hub.permits(2 * LIMIT);
    let [mut a, mut b] = world.nodes(["a", "b"]).await;
    let way = b.way_to(&mut a).await;
    let relay = b.relay(1);
    world.cuts_off(b.client).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    carry_parcel(&way, &relay, mixed(1, &[1, 2], &[1]));
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.hub.permits(LIMIT);
    world.rejoins(b.client).await;
    let (reason, in_doubt) = b.relay_ends(1).await;
    assert!(reason.contains("max_payload"), "{reason}");
    assert_eq!(in_doubt, [0_u64; 0]);
    let next = b.relay(2);
    carry_parcel(&way, &next, mixed(1, &[1, 2], &[1]));
    assert!(is_too_long(&b.relay_hears(2).await, 1));
    assert_eq!(write(a.router_gets_stanzas(1).await), [2]);
    b.relay_has_settled(2, &[1]).await;
}

#[actix::test]
async fn the_ferry_forgets_relays_that_have_ended_also_if_nothing_of_them_was_carried() {
    let world = World::new(1, Faults::none());
    world.hub.permits(LIMIT);
    let [mut a, mut b] = world.nodes(["a", "b"]).await;
    let way = b.way_to(&mut a).await;
    for number in 1..=20 {
        let relay = b.relay_that_ends(number);
        carry_parcel(&way, &relay.outlet(), mixed(1, &[1], &[1]));
        assert!(is_too_long(&b.relay_hears(number).await, 1));
        relay.signal(Retire).unwrap();
    }
    assert_eq!(relays(&b).await, 20);
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(relays(&b).await, 0);
}

/// What the broker permits, in bytes.
const LIMIT: usize = 50_000;
