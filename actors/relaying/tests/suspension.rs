//! A node whose machine is suspended: to the others it is away, whatever its own timers say.

use ::cluster::engine::fake::Faults;

use super::{
    stanzas::{carry, write},
    *,
};

/// All nodes of a scenario are on one machine.
#[actix::test]
async fn what_was_lent_is_not_written_after_a_suspension_longer_than_the_lease() {
    let world = World::new(1, Faults::none());
    let [mut a, mut b] = world.nodes(["a", "b"]).await;
    let way = b.way_to(&mut a).await;
    let relay = b.relay(1);
    for number in 1..=3 {
        carry(&way, &relay, number, number);
    }
    let mut batches = a.router_gets_stanzas(3).await;
    let run = a.incarnation().await;
    clock::suspend(Duration::from_secs(5));
    assert_eq!(write(vec![batches.remove(0)]), [1], "it has its lease");
    clock::suspend(Duration::from_secs(3600));
    assert_eq!(write(batches), [0_u64; 0], "it has not, before any timer has noticed");
    b.relay_ends(1).await;
    // Both begin another run, and go on.
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_ne!(a.incarnation().await, run);
    let way = b.way_to(&mut a).await;
    carry(&way, &b.relay(2), 1, 4);
    assert_eq!(write(a.router_gets().await), [4]);
    b.relay_has_settled(2, &[1]).await;
}

#[actix::test]
async fn a_suspension_shorter_than_the_lease_costs_nothing() {
    let world = World::new(1, Faults::none());
    let [mut a, mut b] = world.nodes(["a", "b"]).await;
    let way = b.way_to(&mut a).await;
    let (relay, run) = (b.relay(1), a.incarnation().await);
    for number in 1..=10 {
        carry(&way, &relay, number, number);
        let batches = a.router_gets().await;
        clock::suspend(Duration::from_secs(5));
        assert_eq!(write(batches), [number]);
        b.relay_has_settled(1, &[number]).await;
        // Several beats.
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
    assert_eq!(a.incarnation().await, run);
}
