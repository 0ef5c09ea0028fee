//! Components that hang: the connection is open, and nothing is read from it or answered.

use std::time::Duration;

use actors::Outcome;

use super::fixture::{
    Element, Event, Network, Node, Nothing, Setup, Wire, eventually_logs, paused, sleep, timed,
};

#[test]
fn a_component_that_has_answered_a_ping_and_then_hangs_loses_its_name() {
    paused(async |network| {
        let (one, other) = pair(network).await;
        let far = other.inbox().await;
        let mut near = one.deaf_inbox().await;
        let (ping, took) = timed(next_stanza(&mut near, HOUR)).await;
        assert!((KEEPALIVE..KEEPALIVE + TICK).contains(&took), "the first ping after {took:?}");
        near.send(&answer_to(&ping)).await;
        let (_, took) = timed(next_stanza(&mut near, HOUR)).await;
        assert!((KEEPALIVE..KEEPALIVE + TICK).contains(&took), "the second ping after {took:?}");
        far.sends_message(NEAR, "while it hangs", "");
        next_stanza(&mut near, HOUR).await;
        let (end, took) = timed(near.next(HOUR)).await;
        assert!(matches!(end, Err(Nothing::Ended)), "{end:?}");
        assert!(took <= Duration::from_secs(30), "given up after {took:?}");
        eventually_logs(&["does not answer a ping", "name=inbox.one.example"]).await;

        // It may have been read. The next one waits for the next connection.
        far.sends_message(NEAR, "while it is away", "");
        let mut near = one.inbox().await;
        near.receives_id("while it is away").await;
        let account = one.account().await;
        assert_eq!(account.settled(Outcome::Uncertain).stanzas, 1);
    });
}

#[test]
fn a_component_that_never_answers_pings_keeps_its_connection_and_is_asked_once() {
    paused(async |network| {
        let (one, other) = pair(network).await;
        let far = other.inbox().await;
        let mut near = one.deaf_inbox().await;
        next_stanza(&mut near, HOUR).await;
        let more = near.next(3 * HOUR).await;
        assert!(matches!(more, Err(Nothing::Late)), "{more:?}");
        far.sends_message(NEAR, "much later", "");
        assert_eq!(next_stanza(&mut near, HOUR).await.attribute("id"), "much later");
    });
}

#[test]
fn whatever_a_component_sends_shows_that_it_does_not_hang() {
    paused(async |network| {
        let (one, other) = pair(network).await;
        let mut far = other.inbox().await;
        let mut near = one.deaf_inbox().await;
        let ping = next_stanza(&mut near, HOUR).await;
        near.send(&answer_to(&ping)).await;
        for number in 0..5 {
            next_stanza(&mut near, HOUR).await;
            near.send(&format!("<message from='a@{NEAR}' to='b@{FAR}' id='{number}'/>")).await;
            far.receives_id(&number.to_string()).await;
        }
        // White space is enough too.
        next_stanza(&mut near, HOUR).await;
        near.send(" ").await;
        next_stanza(&mut near, HOUR).await;
    });
}

#[test]
fn what_a_component_read_before_it_answered_a_ping_is_not_uncertain() {
    paused(async |network| {
        let setup = Setup::of("one.example").set("s2s.keepalive", "\"30s\"");
        let (one, other) =
            (Node::start(network, setup).await, Node::start(network, Setup::of("other.example")).await);
        let far = other.inbox().await;
        let mut near = one.deaf_inbox().await;
        far.sends_message(NEAR, "before the ping", "");
        next_stanza(&mut near, HOUR).await;
        let ping = next_stanza(&mut near, HOUR).await;
        near.send(&answer_to(&ping)).await;
        // It answers this one no more.
        next_stanza(&mut near, HOUR).await;
        assert!(matches!(near.next(HOUR).await, Err(Nothing::Ended)));
        assert_eq!(one.account().await.settled(Outcome::Uncertain).stanzas, 0);
    });
}

#[test]
fn what_a_silent_component_may_not_have_read_is_uncertain_when_the_node_stops() {
    paused(async |network| {
        for (answers, uncertain) in [(false, 1), (true, 0)] {
            let (one, other) = pair(network).await;
            let mut far = other.inbox().await;
            let mut near = one.deaf_inbox().await;
            far.sends_message(NEAR, "the last one", "");
            next_stanza(&mut near, HOUR).await;
            if answers {
                sleep(Duration::from_secs(1)).await;
                near.send(&format!("<message from='a@{NEAR}' to='b@{FAR}' id='read'/>")).await;
                far.receives_id("read").await;
            }
            let account = one.stops().await;
            assert_eq!(account.settled(Outcome::Uncertain).stanzas, uncertain, "answers: {answers}");
            other.stops().await;
        }
    });
}

async fn pair(network: &Network) -> (Node, Node) {
    let [one, other] = ["one.example", "other.example"].map(Setup::of);
    (Node::start(network, one).await, Node::start(network, other).await)
}

async fn next_stanza(wire: &mut Wire, limit: Duration) -> Element {
    match wire.next(limit).await {
        Ok(Event::Element(stanza)) => stanza,
        other => panic!("{other:?}"),
    }
}

fn answer_to(ping: &Element) -> String {
    let (id, from, to) = (ping.attribute("id"), ping.attribute("from"), ping.attribute("to"));
    assert!(ping.child("ping").is_some(), "{ping}");
    format!("<iq type='result' id='{id}' from='{to}' to='{from}'/>")
}

/// The default of `s2s.keepalive`.
const KEEPALIVE: Duration = Duration::from_secs(5 * 60);

/// Silence is looked at once in this time.
const TICK: Duration = Duration::from_secs(61);

const HOUR: Duration = Duration::from_secs(3600);

const NEAR: &str = "inbox.one.example";

const FAR: &str = "inbox.other.example";
