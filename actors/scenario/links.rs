//! Links that come about, are cut and are closed.

use super::*;

#[actix::test]
async fn what_arrives_while_a_link_is_being_handed_over_keeps_its_order() {
    tokio::time::pause();
    let mut node = Node::start(64 * 1024).await;
    for _ in 0..200 {
        node.sends("b.example", 7).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let outcomes = node.outcomes().await;
    outcomes.adds_up();
    assert_eq!(outcomes.arrived("b.example"), (0..1400).collect::<Vec<_>>());
}

#[actix::test]
async fn ten_thousand_stanzas_into_a_cold_link_wait_outside_and_all_arrive() {
    tokio::time::pause();
    let mut node = Node::start(4096).await;
    for _ in 0..100 {
        node.sends("b.example", 100).await;
    }
    let outcomes = node.outcomes().await;
    outcomes.adds_up();
    assert_eq!(outcomes.arrived("b.example").len(), 10_000);
}

#[actix::test]
async fn a_link_that_an_operator_closes_loses_nothing_and_is_made_again_at_once() {
    tokio::time::pause();
    // A narrow pipe, so that much is to be written when it is closed.
    let mut node = Node::start(512).await;
    for _ in 0..10 {
        node.sends("b.example", 100).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let (links, down) = node.closes("b.example").await;
        assert_eq!(links, 1);
        node.sends("b.example", 50).await;
        assert!(down.within(Duration::from_secs(6)).await, "the link is down");
    }
    let outcomes = node.outcomes().await;
    outcomes.adds_up();
    assert_eq!(outcomes.arrived("b.example"), (0..1_500).collect::<Vec<_>>());
}

#[actix::test]
async fn a_link_that_dies_gives_back_what_it_had_not_written() {
    tokio::time::pause();
    // A narrow pipe, so that much is left when it breaks.
    let mut node = Node::start(512).await;
    for _ in 0..20 {
        for _ in 0..10 {
            node.sends("b.example", 25).await;
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_millis(90)).await;
        node.cuts_every_link();
    }
    let outcomes = node.outcomes().await;
    outcomes.adds_up();
    assert!(outcomes.bounced.is_empty(), "{} were answered", outcomes.bounced("b.example").len());
}

// RFC 6120 3.3: also when nothing waits at the moment of the cut.
#[actix::test]
async fn a_link_that_is_cut_as_soon_as_it_stands_is_made_again_after_growing_pauses() {
    tokio::time::pause();
    let mut node = Node::start(64 * 1024).await;
    for _ in 0..1200 {
        node.sends("b.example", 1).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        node.cuts_every_link();
    }
    let dials = node.world.dials.load(Relaxed);
    assert!((4..=40).contains(&dials), "{dials} attempts in two minutes");
    node.outcomes().await.adds_up();
}

#[actix::test]
async fn a_return_that_nobody_awaits_changes_nothing() {
    tokio::time::pause();
    let mut node = Node::start(64 * 1024).await;
    node.sends("b.example", 5).await;
    let pair = DomainPair { local: Domain::new(OURS).unwrap(), remote: Domain::new("b.example").unwrap() };
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(30)).await;
        node.promise.signal(outgoing::Returned::nothing(pair.clone(), None)).unwrap();
        node.sends("b.example", 5).await;
    }
    assert_eq!(node.world.dials.load(Relaxed), 1, "while it was dialled, and when the link stood");
    let outcomes = node.outcomes().await;
    outcomes.adds_up();
    assert_eq!(outcomes.arrived("b.example"), (0..25).collect::<Vec<_>>());
}

#[actix::test]
async fn what_is_held_outside_of_the_queue_is_not_forgotten_at_a_sign_of_life() {
    tokio::time::pause();
    let narrow = settings::Promise {
        max_stanzas: 10,
        iq: Duration::from_millis(200),
        backoff_first: Duration::from_secs(2),
        ..bounds()
    };
    let mut node = Node::start_within(64 * 1024, narrow).await;
    node.sends("b.example", 1).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    // It ends as soon as it stands: a pause, in which a full queue holds up its source.
    node.cuts_every_link();
    tokio::time::sleep(Duration::from_millis(50)).await;
    node.sends_all("b.example", &[Kind::Result; 10]).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    node.sends("b.example", 5).await;
    // The results have waited their time by now.
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(node.account().await.waiting().stanzas, 5);
    node.shows_life("b.example");
    let outcomes = node.outcomes().await;
    outcomes.adds_up();
    assert_eq!(outcomes.arrived("b.example")[..], [0, 11, 12, 13, 14, 15]);
}

#[actix::test]
async fn what_a_dead_link_gives_back_is_held_to_the_bound_of_the_whole() {
    tokio::time::pause();
    let narrow = settings::Promise { max_bytes: 1 << 15, total_bytes: 1 << 15, ..bounds() };
    let mut node = Node::start_within(512, narrow).await;
    node.sends("b.example", 1).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    node.world.weather.send_modify(|weather| weather.reading = Reading::Deaf);
    node.sends("b.example", 300).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    node.remotes_are(false);
    node.cuts_every_link();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let waiting = node.account().await.waiting().stanzas;
    assert!((50..=150).contains(&waiting), "no queue gives up more than half at once, and {waiting} wait");
    tokio::time::sleep(Duration::from_secs(5)).await;
    let waiting = node.account().await.waiting().stanzas;
    assert!(waiting <= (1 << 15) / 350, "{waiting}");
    node.world.weather.send_modify(|weather| weather.reading = Reading::Quick);
    node.remotes_are(true);
    node.outcomes().await.adds_up();
}
