//! Links that are established, cut and closed.

use super::*;

#[actix::test]
async fn stanzas_that_arrive_during_the_handover_keep_their_order() {
    tokio::time::pause();
    let mut node = Node::start(64 * 1024).await;
    for _ in 0..200 {
        node.sends("b.example", 7).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let outcomes = node.outcomes().await;
    outcomes.check();
    assert_eq!(outcomes.arrived("b.example"), (0..1400).collect::<Vec<_>>());
}

#[actix::test]
async fn ten_thousand_stanzas_to_a_new_domain_pause_their_source_and_all_arrive() {
    tokio::time::pause();
    let mut node = Node::start(4096).await;
    for _ in 0..100 {
        node.sends("b.example", 100).await;
    }
    let outcomes = node.outcomes().await;
    outcomes.check();
    assert_eq!(outcomes.arrived("b.example").len(), 10_000);
}

#[actix::test]
async fn a_link_closed_by_an_operator_loses_nothing_and_is_replaced_at_once() {
    tokio::time::pause();
    // A narrow pipe, so that many stanzas are not written yet when it is closed.
    let mut node = Node::start(512).await;
    for _ in 0..10 {
        node.sends("b.example", 100).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let (links, down) = node.operator_closes("b.example").await;
        assert_eq!(links, 1);
        node.sends("b.example", 50).await;
        assert!(down.within(Duration::from_secs(6)).await, "the link is down");
    }
    let outcomes = node.outcomes().await;
    outcomes.check();
    assert_eq!(outcomes.arrived("b.example"), (0..1_500).collect::<Vec<_>>());
}

#[actix::test]
async fn a_cut_link_returns_what_it_has_not_written() {
    tokio::time::pause();
    // A narrow pipe, so that many stanzas are not written yet when it is cut.
    let (pipe, cuts) = (512, 20);
    let mut node = Node::start(pipe).await;
    for _ in 0..cuts {
        for _ in 0..10 {
            node.sends("b.example", 25).await;
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_millis(90)).await;
        node.cuts_every_link();
    }
    let outcomes = node.outcomes().await;
    // With a link are lost the stanzas in the pipe, one that is partly written and one that is partly read.
    let most = cuts * (pipe / Kind::Message.stanza("b.example", 0).len() + 2);
    let lost = outcomes.check();
    assert!(lost <= most, "{lost} stanzas were lost with {cuts} links, at most {most} were in the pipes");
    assert!(outcomes.bounced.is_empty(), "{} were answered", outcomes.bounced("b.example").len());
}

#[actix::test]
async fn a_link_that_is_lost_after_it_carried_stanzas_is_replaced_at_once() {
    tokio::time::pause();
    let mut node = Node::start(64 * 1024).await;
    let mut sent = Vec::new();
    for _ in 0..10 {
        node.sends("b.example", 1).await;
        sent.push(clock::now());
        tokio::time::sleep(Duration::from_millis(500)).await;
        node.cuts_every_link();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let outcomes = node.outcomes().await;
    outcomes.check();
    for (seen, sent) in outcomes.arrived["b.example"].iter().zip(sent) {
        // An attempt takes 80 ms.
        let took = seen.at.duration_since(sent);
        assert!(took < Duration::from_millis(200), "{took:?}");
    }
    assert!(outcomes.bounced.is_empty());
}

// RFC 6120 3.3: even when nothing waits at the moment of the cut.
#[actix::test]
async fn links_that_are_lost_again_and_again_are_followed_by_pauses_below_two_seconds() {
    tokio::time::pause();
    let mut node = Node::start(64 * 1024).await;
    for _ in 0..1200 {
        node.sends("b.example", 1).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        node.cuts_every_link();
    }
    let dials = node.remotes.dials.load(Relaxed);
    assert!((60..=140).contains(&dials), "{dials} attempts in two minutes");
    node.outcomes().await.check();
}

#[actix::test]
async fn an_unexpected_return_changes_nothing() {
    tokio::time::pause();
    let mut node = Node::start(64 * 1024).await;
    node.sends("b.example", 5).await;
    let pair = DomainPair { local: Domain::new(OURS).unwrap(), remote: Domain::new("b.example").unwrap() };
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(30)).await;
        node.promise.signal(outgoing::Returned::nothing(pair.clone(), None)).unwrap();
        node.sends("b.example", 5).await;
    }
    assert_eq!(node.remotes.dials.load(Relaxed), 1, "during the attempt, and with a session");
    let outcomes = node.outcomes().await;
    outcomes.check();
    assert_eq!(outcomes.arrived("b.example"), (0..25).collect::<Vec<_>>());
}

#[actix::test]
async fn held_stanzas_are_sent_when_the_remote_contacts_us() {
    tokio::time::pause();
    let narrow = settings::Promise {
        max_stanzas: 10,
        iq: Duration::from_millis(200),
        backoff_first: Duration::from_secs(2),
        ..bounds()
    };
    let mut node = Node::start_within(64 * 1024, narrow).await;
    // After so many links that were lost at once, a pause follows in which a full queue holds batches.
    for _ in 0..11 {
        node.sends("b.example", 1).await;
        tokio::time::sleep(Duration::from_millis(250)).await;
        node.cuts_every_link();
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    node.sends_all("b.example", &[Kind::Result; 10]).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    node.sends("b.example", 5).await;
    // The results have expired.
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(node.account().await.waiting().stanzas, 5);
    node.remote_authenticates("b.example");
    let outcomes = node.outcomes().await;
    outcomes.check();
    assert_eq!(outcomes.arrived("b.example"), (0..11).chain(21..26).collect::<Vec<_>>());
}

#[actix::test]
async fn returned_stanzas_obey_the_bound_of_all_queues() {
    tokio::time::pause();
    let narrow = settings::Promise { max_bytes: 1 << 15, total_bytes: 1 << 15, ..bounds() };
    let mut node = Node::start_within(512, narrow).await;
    node.sends("b.example", 1).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    node.remotes.behaviour.send_modify(|behaviour| behaviour.reading = Reading::Stopped);
    node.sends("b.example", 300).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    node.remotes_are_up(false);
    node.cuts_every_link();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let waiting = node.account().await.waiting().stanzas;
    assert!((50..=150).contains(&waiting), "no queue gives up more than half at once; {waiting} wait");
    tokio::time::sleep(Duration::from_secs(5)).await;
    let waiting = node.account().await.waiting().stanzas;
    assert!(waiting <= (1 << 15) / 350, "{waiting}");
    node.remotes.behaviour.send_modify(|behaviour| behaviour.reading = Reading::Fast);
    node.remotes_are_up(true);
    node.outcomes().await.check();
}
