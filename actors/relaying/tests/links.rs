//! Claims of pairs.

use ::cluster::engine::fake::Faults;
use mailbox::drain;
use tokio::sync::{mpsc, oneshot};

use super::{
    stanzas::{carry, pair},
    *,
};
use crate::{
    flow::claims::{Conflict, Renounce, Unknown},
    relaying::cluster::{Leave, Show},
};

#[actix::test]
async fn the_first_node_holds_a_pair_and_the_others_learn_the_way_to_it() {
    let world = World::new(1, Faults::none());
    let [mut a, mut b, mut c] = world.nodes(["a", "b", "c"]).await;
    let pair = pair("a.example", "b.example");
    let number = a.claims(&pair);
    assert_eq!(a.is_granted(&pair).await, number);
    for other in [&mut b, &mut c] {
        other.claims(&pair);
        assert_eq!(other.is_held_by(&pair).await.node, a.name);
    }
}

#[actix::test]
async fn an_old_renunciation_does_not_end_a_new_claim() {
    let world = World::new(1, Faults::none());
    let [mut a, mut b] = world.nodes(["a", "b"]).await;
    let pair = pair("a.example", "b.example");
    let old = a.claims(&pair);
    a.is_granted(&pair).await;
    let new = a.claims(&pair);
    assert_eq!(a.is_granted(&pair).await, new);
    a.claims.renounce.signal(Renounce { pair: pair.clone(), number: old }).unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    b.claims(&pair);
    assert_eq!(b.is_held_by(&pair).await.node, a.name);
    a.claims.renounce.signal(Renounce { pair: pair.clone(), number: new }).unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    b.claims(&pair);
    b.is_granted(&pair).await;
}

#[actix::test]
async fn a_claim_without_a_broker_is_answered_as_unknown() {
    let world = World::new(1, Faults::none());
    let [mut a, _b] = world.nodes(["a", "b"]).await;
    world.hub.act(|broker, now| broker.stops(now)).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let wanted = pair("a.example", "b.example");
    let claimed = a.claims(&wanted);
    let unknown = a.hears("unknown", |said| match said {
        Said::Unknown(unknown) => Ok(unknown),
        other => Err(other),
    });
    let Unknown { pair, number, why } = unknown.await;
    assert_eq!((pair, number), (wanted, claimed));
    assert!(!why.is_empty());
}

#[actix::test]
async fn the_pair_of_a_dead_node_goes_to_another_one() {
    let world = World::new(1, Faults::none());
    let [mut a, mut b] = world.nodes(["a", "b"]).await;
    let pair = pair("a.example", "b.example");
    a.claims(&pair);
    a.is_granted(&pair).await;
    b.claims(&pair);
    let way = b.is_held_by(&pair).await;
    carry(&way, &b.relay(1), 1, 1);
    a.router_gets().await;
    let gone = a.client;
    world.broker(move |broker| broker.detach(gone)).await;
    let (_, in_doubt) = b.relay_ends(1).await;
    assert_eq!(in_doubt, [1]);
    b.claims(&pair);
    b.is_granted(&pair).await;
}

/// Two nodes that were cut off from each other hold the same pair. One gives it up.
#[actix::test]
async fn a_second_link_is_found_after_a_partition() {
    let world = World::new(1, Faults::none());
    let [mut a, mut b] = world.nodes(["a", "b"]).await;
    let wanted = pair("a.example", "b.example");
    let claimed = a.claims(&wanted);
    a.is_granted(&wanted).await;
    let cut_off = a.client;
    world.cuts_off(cut_off).await;
    tokio::time::sleep(Duration::from_secs(25)).await;
    b.claims(&wanted);
    b.is_granted(&wanted).await;
    world.rejoins(cut_off).await;
    let conflict = a.hears("a conflict", |said| match said {
        Said::Conflict(conflict) => Ok(conflict),
        other => Err(other),
    });
    let Conflict { pair, number, node } = conflict.await;
    assert_eq!((pair, number, &node), (wanted.clone(), claimed, &b.name));
    a.claims(&wanted);
    assert_eq!(a.is_held_by(&wanted).await.node, b.name);
}

#[actix::test]
async fn a_node_that_leaves_frees_its_pairs_at_once() {
    let world = World::new(1, Faults::none());
    let [mut a, mut b] = world.nodes(["a", "b"]).await;
    let pair = pair("a.example", "b.example");
    a.claims(&pair);
    a.is_granted(&pair).await;
    let (token, completion) = drain::tokens();
    a.cluster.signal(Leave { token }).unwrap();
    assert!(completion.within(Duration::from_secs(5)).await);
    b.claims(&pair);
    let start = clock::now();
    b.is_granted(&pair).await;
    assert!(clock::since(start) < Duration::from_secs(1));
}

#[actix::test]
async fn shows_the_nodes_and_what_is_on_the_way() {
    let world = World::new(1, Faults::none());
    let [mut a, mut b] = world.nodes(["a", "b"]).await;
    let way = b.way_to(&mut a).await;
    carry(&way, &b.relay(1), 1, 1);
    let _batches = a.router_gets().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (report, nodes) = oneshot::channel();
    let (ferries, mut of_ferries) = mpsc::channel(64);
    b.cluster.signal_quietly(Show { report, ferries }).unwrap();
    let nodes = nodes.await.unwrap();
    assert!(nodes.report.up && nodes.report.lease.is_some());
    let ferry = of_ferries.recv().await.unwrap();
    assert_eq!(ferry.node, a.name);
    assert!(ferry.round_trip.is_some());
    assert!(ferry.unsettled > 0 && ferry.oldest.is_some_and(|age| age >= Duration::from_secs(1)));
    assert_eq!((ferry.relays, ferry.resent), (1, 0));
    assert!(of_ferries.recv().await.is_none());
}
