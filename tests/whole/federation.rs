//! Two nodes: stanzas both ways, links that are closed and opened again, and a remote that is away.

use std::net::IpAddr;
use std::time::Duration;

use super::fixture::{Component, Network, Node, Setup, paused, sleep, timed};

#[test]
fn stanzas_pass_both_ways_with_certificates() {
    paused(async |network| stanzas_pass_both_ways(network, Setup::external).await);
}

#[test]
fn stanzas_pass_both_ways_with_dialback() {
    paused(async |network| stanzas_pass_both_ways(network, Setup::dialback).await);
}

#[test]
fn stanzas_pass_both_ways_without_tls() {
    let clear = |setup: Setup| setup.without_certificate().dialback().set("s2s.tls", "\"disabled\"");
    paused(async |network| stanzas_pass_both_ways(network, clear).await);
}

async fn stanzas_pass_both_ways(network: &Network, setup: fn(Setup) -> Setup) {
    let (one, other) = pair(network, setup).await;
    let (mut near, mut far) = (one.inbox().await, other.inbox().await);
    for number in 0..100 {
        let (there, back) = (format!("there {number}"), format!("back {number}"));
        near.sends_message(far.name(), &there, "");
        far.receives_id(&there).await;
        far.sends_message(near.name(), &back, "");
        near.receives_id(&back).await;
    }
    for node in [&one, &other] {
        assert_eq!(bounces(node).await, 0);
    }
}

#[test]
fn an_idle_link_is_closed_within_the_hour_and_the_next_stanza_opens_another() {
    paused(async |network| {
        let (one, other) = pair(network, Setup::external).await;
        let (near, mut far) = (one.inbox().await, other.inbox().await);
        near.sends_message(far.name(), "first", "");
        far.receives_id("first").await;
        // The other node announces that it closes a link after an hour (XEP-0478), so this one does so a little before.
        sleep(50 * MINUTE).await;
        near.sends_message(far.name(), "in time", "");
        far.receives_id("in time").await;
        sleep(50 * MINUTE).await;
        near.sends_message(far.name(), "in time again", "");
        far.receives_id("in time again").await;
        assert_eq!(network.attempts(other.address()), 1);
        sleep(60 * MINUTE).await;
        near.sends_message(far.name(), "after the hour", "");
        far.receives_id("after the hour").await;
        assert_eq!(network.attempts(other.address()), 2);
        assert_eq!(bounces(&one).await, 0);
    });
}

#[test]
fn messages_for_a_remote_that_is_away_for_an_hour_arrive_in_order() {
    paused(async |network| {
        let (one, other) = pair(network, |setup| setup.external().set("promise.message", "\"2h\"")).await;
        let (mut near, mut far) = (one.inbox().await, other.inbox().await);
        network.internet.switch(other.address(), false);
        for number in 0..60 {
            near.sends_message(far.name(), &number.to_string(), "");
            sleep(MINUTE).await;
        }
        // A request does not wait for the next attempt.
        near.sends_request(far.name(), "request");
        let (answer, took) = timed(near.receives_id("request")).await;
        assert!(answer.is("iq", "error"), "{answer}");
        assert!(took < MINUTE, "{took:?}");
        // The pauses grow to five minutes, less a random part.
        let attempts = network.attempts(other.address());
        assert!((12..=50).contains(&attempts), "{attempts} attempts in an hour");

        network.internet.switch(other.address(), true);
        let (first, took) = timed(far.next()).await;
        assert_eq!(first.unwrap().attribute("id"), "0");
        assert!(took <= 6 * MINUTE, "tried again after {took:?}");
        for number in 1..60 {
            assert_eq!(far.next().await.unwrap().attribute("id"), number.to_string());
        }
    });
}

#[test]
fn a_remote_that_comes_back_is_tried_as_soon_as_it_contacts_us() {
    paused(async |network| {
        let (one, other) = pair(network, |setup| setup.set("promise.message", "\"2h\"")).await;
        let (mut near, mut far) = (one.inbox().await, other.inbox().await);
        network.internet.switch(other.address(), false);
        near.sends_message(far.name(), "waits", "");
        sleep(30 * MINUTE).await;
        waits_for_a_pause(network, other.address()).await;
        network.internet.switch(other.address(), true);
        let sent = async {
            far.sends_message(near.name(), "hello", "");
            near.receives_id("hello").await;
            far.receives_id("waits").await;
        };
        let ((), took) = timed(sent).await;
        assert!(took < Duration::from_secs(1), "{took:?}");
    });
}

/// Waits until no attempt to connect to `address` is under way.
async fn waits_for_a_pause(network: &Network, address: IpAddr) {
    loop {
        let attempts = network.attempts(address);
        // An attempt waits 10 s for its connection.
        sleep(Duration::from_secs(11)).await;
        if network.attempts(address) == attempts {
            return;
        }
    }
}

#[test]
fn a_message_for_a_remote_that_stays_away_is_answered_in_time() {
    paused(async |network| {
        let (one, other) = pair(network, Setup::external).await;
        let (mut near, far) = (one.inbox().await, other.inbox().await);
        network.internet.switch(other.address(), false);
        near.sends_message(far.name(), "late", "");
        let (answer, took) = timed(near.receives_id("late")).await;
        answer.expect("error").expect("remote-server-timeout");
        assert!((4 * MINUTE..6 * MINUTE).contains(&took), "{took:?}");
    });
}

#[test]
fn both_nodes_stop_with_traffic_under_way_and_every_stanza_has_one_outcome() {
    for order in [[0, 1], [1, 0]] {
        paused(async |network| {
            let (one, other) = pair(network, Setup::external).await;
            let (mut near, mut far) = (one.inbox().await, other.inbox().await);
            near.sends_message(far.name(), "warm", "");
            far.receives_id("warm").await;
            far.sends_message(near.name(), "warm", "");
            near.receives_id("warm").await;
            for number in 0..FLOOD {
                near.sends_message(far.name(), &number.to_string(), &"x".repeat(500));
                far.sends_message(near.name(), &number.to_string(), &"x".repeat(500));
            }
            // Some have arrived, and most are on their way.
            let (first, second) = (near.receives_id("9").await, far.receives_id("9").await);
            assert!(first.is("message", "chat") && second.is("message", "chat"));
            let nodes = [&one, &other];
            let [first, second] = order.map(|number| nodes[number]);
            let accounts = tokio::join!(first.stops(), second.stops());
            for account in [accounts.0, accounts.1] {
                assert_eq!(account.difference().stanzas, 0, "{account:?}");
                assert_eq!(account.waiting().stanzas, 0, "{account:?}");
            }
            every_stanza_has_one_outcome(&mut near, &mut far).await;
        });
    }
}

/// Each stanza that the nodes took in arrived at the other component, or was answered, but not both. A component cannot
/// send any more when its node closes the stream, so the last ones may not have been taken in.
async fn every_stanza_has_one_outcome(near: &mut Component, far: &mut Component) {
    let (at_near, at_far) = (near.rest().await, far.rest().await);
    for (own, arrived, answers) in [(near.name(), &at_far, &at_near), (far.name(), &at_near, &at_far)] {
        let mut outcomes = vec![0; FLOOD];
        let arrived = arrived.iter().filter(|stanza| stanza.is("message", "chat"));
        let answers = answers.iter().filter(|stanza| stanza.is("message", "error"));
        for stanza in arrived.chain(answers) {
            outcomes[stanza.attribute("id").parse::<usize>().unwrap()] += 1;
        }
        // The first ten arrived before.
        let taken = outcomes.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
        let wrong: Vec<_> = (10..taken).filter(|number| outcomes[*number] != 1).collect();
        assert!(
            wrong.is_empty(),
            "of {taken} stanzas of {own}, these have another number of outcomes: {wrong:?}"
        );
    }
}

/// The number of stanzas that the node answered with an error.
async fn bounces(node: &Node) -> u64 {
    node.account().await.bounces().map(|(_, count)| count).sum()
}

/// Two nodes with the components `inbox.one.example` and `inbox.other.example`.
async fn pair(network: &Network, setup: fn(Setup) -> Setup) -> (Node, Node) {
    let one = Node::start(network, setup(Setup::of("one.example"))).await;
    (one, Node::start(network, setup(Setup::of("other.example"))).await)
}

const MINUTE: Duration = Duration::from_secs(60);

/// More than the buffers on the way hold.
const FLOOD: usize = 2_000;
