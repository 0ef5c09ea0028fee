//! Sessions that end: the other node stops, loses its lease, dies, or reports what cannot be.

use ::cluster::{
    engine::{Engine, fake::Faults},
    ferry::{Body, Control, Frame, Header, Parcels, Ranges, Returned, Settlements, codec},
    name::NodeName,
};
use mailbox::drain;
use tokio::sync::mpsc;

use super::{
    stanzas::{carry, write},
    *,
};
use crate::relaying::cluster::StopReceiving;

#[actix::test]
async fn a_node_that_stops_gives_back_what_it_has_not_written() {
    let world = World::new(1, Faults::none());
    let [mut a, mut b] = world.nodes(["a", "b"]).await;
    let way = b.way_to(&mut a).await;
    let relay = b.relay(1);
    for number in 1..=4 {
        carry(&way, &relay, number, number);
    }
    let mut batches = a.router_gets_stanzas(4).await;
    assert_eq!(write(vec![batches.remove(0)]), [1]);
    b.relay_has_settled(1, &[1]).await;
    // The second is in a chunk: it may arrive. The others are in a queue.
    assert!(batches[0].receipt.admits(clock::now()));
    let (token, completion) = drain::tokens();
    a.cluster.signal(StopReceiving { within: Duration::ZERO, token }).unwrap();
    assert!(completion.within(Duration::from_secs(1)).await);
    let (_, in_doubt) = b.relay_ends(1).await;
    assert_eq!(in_doubt, [2]);
    assert_eq!(write(batches), [0_u64; 0], "the other node has taken it back");
    // What comes now goes back at once, and nothing of it is in doubt.
    carry(&way, &b.relay(2), 1, 5);
    let (_, in_doubt) = b.relay_ends(2).await;
    assert_eq!(in_doubt, [0_u64; 0]);
    assert!(a.rest().is_empty());
    assert_eq!(a.carried(), (4, 1));
}

#[actix::test]
async fn a_dead_node_leaves_in_doubt_what_was_sent_to_it() {
    let world = World::new(1, Faults::none());
    let [mut a, mut b] = world.nodes(["a", "b"]).await;
    let way = b.way_to(&mut a).await;
    let relay = b.relay(1);
    carry(&way, &relay, 1, 1);
    carry(&way, &relay, 2, 2);
    let mut batches = a.router_gets_stanzas(2).await;
    write(vec![batches.remove(0)]);
    b.relay_has_settled(1, &[1]).await;
    let gone = a.client;
    world.broker(move |broker| broker.detach(gone)).await;
    carry(&way, &relay, 3, 3);
    let start = clock::now();
    let (reason, in_doubt) = b.relay_ends(1).await;
    assert_eq!(reason, "the other node is dead");
    assert_eq!(in_doubt, [2, 3]);
    let waited = clock::since(start);
    assert!(waited >= Duration::from_secs(12) && waited < Duration::from_secs(25), "{waited:?}");
    // A relay that is started now is told so at once.
    carry(&way, &b.relay(2), 1, 4);
    let (reason, in_doubt) = b.relay_ends(2).await;
    assert_eq!((reason.as_str(), in_doubt.len()), ("node a is not in the cluster", 0));
}

#[actix::test]
async fn an_outage_shorter_than_a_lease_loses_nothing() {
    let world = World::new(1, Faults::none());
    let [mut a, mut b] = world.nodes(["a", "b"]).await;
    let way = b.way_to(&mut a).await;
    let relay = b.relay(1);
    carry(&way, &relay, 1, 1);
    let first = a.router_gets().await;
    world.hub.act(|broker, now| broker.stops(now)).await;
    carry(&way, &relay, 2, 2);
    write(first);
    tokio::time::sleep(Duration::from_secs(6)).await;
    world.hub.act(|broker, now| broker.starts(now)).await;
    let start = clock::now();
    write(a.router_gets().await);
    b.relay_has_settled(1, &[1, 2]).await;
    assert!(clock::since(start) < Duration::from_secs(3), "{:?}", clock::since(start));
    assert!(b.rest().is_empty() && a.rest().is_empty());
}

/// The receiver is cut off. It fences what it was lent; the sender takes it back, and nothing is written twice.
#[actix::test]
async fn a_node_without_a_lease_writes_nothing_that_was_lent_to_it() {
    let world = World::new(1, Faults::none());
    let [mut a, mut b] = world.nodes(["a", "b"]).await;
    let way = b.way_to(&mut a).await;
    let relay = b.relay(1);
    carry(&way, &relay, 1, 1);
    carry(&way, &relay, 2, 2);
    let mut batches = a.router_gets_stanzas(2).await;
    let cut_off = a.client;
    world.cuts_off(cut_off).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(write(vec![batches.remove(0)]), [1], "it has its lease");
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!(write(batches), [0_u64; 0], "it has not");
    let (_, in_doubt) = b.relay_ends(1).await;
    assert_eq!(in_doubt, [1, 2]);
    world.rejoins(cut_off).await;
    // With its new run it is sent stanzas again.
    tokio::time::sleep(Duration::from_secs(30)).await;
    let way = b.way_to(&mut a).await;
    carry(&way, &b.relay(2), 1, 3);
    assert_eq!(write(a.router_gets().await), [3]);
    b.relay_has_settled(2, &[1]).await;
}

/// A hang of 13 s: the node has lost its lease, and the others have not noticed. Both agree about what was written.
#[actix::test]
async fn a_lease_that_was_lost_and_not_noticed_gives_back_exactly_what_was_not_written() {
    let world = World::new(1, Faults::none());
    let [mut a, mut b] = world.nodes(["a", "b"]).await;
    let way = b.way_to(&mut a).await;
    let relay = b.relay(1);
    for number in 1..=3 {
        carry(&way, &relay, number, number);
    }
    let mut batches = a.router_gets_stanzas(3).await;
    let cut_off = a.client;
    world.cuts_off(cut_off).await;
    assert_eq!(write(vec![batches.remove(0)]), [1]);
    let lost = clock::now();
    // Its lease is over after 12 s, and it is back before the others take it for dead.
    while batches[1].receipt.admits(clock::now()) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(clock::since(lost) < Duration::from_secs(14));
    }
    assert_eq!(write(batches), [0_u64; 0]);
    world.rejoins(cut_off).await;
    b.relay_has_settled(1, &[1]).await;
    let (_, in_doubt) = b.relay_ends(1).await;
    // The third was looked at while the lease was held.
    assert!(in_doubt == [3] || in_doubt == [2, 3], "{in_doubt:?}");
}

/// The sender was started again: what it had lent is delivered here, and its new stanzas are taken.
#[actix::test]
async fn stanzas_of_a_node_that_was_started_again_are_delivered() {
    let world = World::new(1, Faults::none());
    let [mut a, mut b] = world.nodes(["a", "b"]).await;
    let way = b.way_to(&mut a).await;
    carry(&way, &b.relay(1), 1, 1);
    let before = a.router_gets().await;
    let (gone, old_run) = (b.client, b.incarnation().await);
    world.broker(move |broker| broker.detach(gone)).await;
    let mut b = world.node("b").await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    let way = b.way_to(&mut a).await;
    carry(&way, &b.relay(1), 1, 2);
    let now = a.router_gets().await;
    // A frame of the old run that comes late changes nothing.
    let header = Header { from: b.name.clone(), incarnation: old_run, to: a.incarnation().await, session: 9 };
    let parcels = Parcels { frame: 1, at: 0, seen: 0, wants_answer: false, first: 1, parcels: Vec::new() };
    let (sender, _events) = mpsc::channel(64);
    let late = world.hub.client(NodeName::new("late").unwrap(), sender).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    late.publish(&a.name, codec::encode(&Frame { header, body: Body::Parcels(parcels) })).unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(write(before), [1]);
    assert_eq!(write(now), [2]);
    b.relay_has_settled(1, &[1]).await;
}

/// A parcel that crosses the end of the way is the relay's again: it must not go to the next session.
#[actix::test]
async fn a_parcel_that_crosses_the_end_is_not_sent() {
    let world = World::new(1, Faults::none());
    let [mut a, mut b] = world.nodes(["a", "b"]).await;
    let way = b.way_to(&mut a).await;
    let relay = b.relay(1);
    carry(&way, &relay, 1, 1);
    a.router_gets().await.into_iter().for_each(|batch| drop(write(vec![batch])));
    b.relay_has_settled(1, &[1]).await;
    let (token, _completion) = drain::tokens();
    a.cluster.signal(StopReceiving { within: Duration::ZERO, token }).unwrap();
    carry(&way, &relay, 2, 2);
    b.relay_ends(1).await;
    carry(&way, &relay, 3, 3);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(a.rest().is_empty() && b.rest().is_empty());
}

/// The node hangs: what it drops when it goes on is behind the fence, and the ferry does not know that yet.
#[actix::test]
async fn what_is_dropped_behind_the_fence_is_not_settled() {
    let world = World::new(1, Faults::none());
    let [mut a, mut b] = world.nodes(["a", "b"]).await;
    let way = b.way_to(&mut a).await;
    carry(&way, &b.relay(1), 1, 1);
    let batches = a.router_gets().await;
    // The time passes, and the stanzas are dropped before any actor runs.
    let hang = tokio::time::advance(Duration::from_secs(13));
    let (_, written) = tokio::join!(hang, async { write(batches) });
    assert_eq!(written, [0_u64; 0]);
    let (_, in_doubt) = b.relay_ends(1).await;
    assert_eq!(in_doubt, [1]);
}

/// The sender ends the session by itself, and takes back its stanzas: they are not written when its next session is there.
#[actix::test]
async fn a_wrong_report_ends_the_session_and_the_next_one_fences_what_was_lent_before() {
    let world = World::new(1, Faults::none());
    let [mut a, mut b] = world.nodes(["a", "b"]).await;
    let way = b.way_to(&mut a).await;
    carry(&way, &b.relay(1), 1, 1);
    let before = a.router_gets().await;
    let returned = Returned::default();
    let settlements = Settlements { first: 1, last: 0, settled: Ranges::new(), returned };
    let received = 1_000_000;
    let lie =
        Control { received, highest: received, missing: Ranges::new(), room: 0, settlements, echo: None };
    let header = Header {
        from: a.name.clone(),
        incarnation: a.incarnation().await,
        to: b.incarnation().await,
        session: 1,
    };
    let frame = codec::encode(&Frame { header, body: Body::Control(lie) });
    let (sender, _events) = mpsc::channel(64);
    let stranger = world.hub.client(NodeName::new("stranger").unwrap(), sender).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    stranger.publish(&b.name, frame).unwrap();
    let (reason, in_doubt) = b.relay_ends(1).await;
    assert_eq!((reason.as_str(), in_doubt), ("the other node reports what cannot be", vec![1]));
    carry(&way, &b.relay(2), 1, 2);
    let next = a.router_gets().await;
    assert_eq!(write(before), [0_u64; 0], "it was taken back");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(
        b.rest().is_empty(),
        "the receipt of the old parcel is not that of the new one with the same number"
    );
    assert_eq!(write(next), [2]);
    b.relay_has_settled(2, &[1]).await;
}
