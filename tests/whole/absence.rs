//! Components that are restarted, or that come late.

use std::time::Duration;

use actors::Outcome;

use super::fixture::{
    Element, Network, Node, Setup, eventually_logs, log_has, log_lines, paused, sleep, timed,
};

#[test]
fn a_component_that_is_restarted_under_traffic_loses_nothing() {
    paused(async |network| {
        let (one, other) = pair(network).await;
        let mut far = other.inbox().await;
        let mut near = one.inbox().await;
        let (near_name, far_name) = (near.name().to_owned(), far.name().to_owned());
        let mut arrived = Vec::new();
        // 500 a second in each direction, and a restart each second.
        for second in 0..ROUNDS {
            for number in second * RATE..(second + 1) * RATE {
                near.sends_message(&far_name, &number.to_string(), "");
                far.sends_message(&near_name, &number.to_string(), "");
                if number % 50 == 49 {
                    sleep(Duration::from_millis(100)).await;
                }
                if number % RATE == RATE / 2 {
                    arrived.extend(near.closes().await);
                    // The traffic to it goes on meanwhile.
                    for extra in 0..10 {
                        far.sends_message(&near_name, &format!("{number} {extra}"), "");
                    }
                    near = one.inbox().await;
                }
            }
        }
        let expected = ROUNDS * (RATE + 10);
        while arrived.len() < expected {
            arrived.push(near.next().await.expect("a message"));
        }
        assert!(arrived.iter().all(|stanza| stanza.is("message", "chat")), "nothing bounces");
        let mut in_order = Vec::new();
        for number in 0..ROUNDS * RATE {
            in_order.push(number.to_string());
            if number % RATE == RATE / 2 {
                in_order.extend((0..10).map(|extra| format!("{number} {extra}")));
            }
        }
        assert_eq!(ids(&arrived), in_order);
        for number in 0..ROUNDS * RATE {
            let stanza = far.next().await.expect("a message");
            assert!(stanza.is("message", "chat"), "{stanza}");
            assert_eq!(stanza.attribute("id"), number.to_string());
        }
    });
}

#[test]
fn nothing_bounces_if_a_component_starts_long_after_its_node() {
    paused(async |network| {
        let (one, other) = pair(network).await;
        let near = one.inbox().await;
        for number in 0..100 {
            near.sends_message("inbox.other.example", &number.to_string(), "");
            sleep(Duration::from_secs(2)).await;
        }
        let mut far = other.inbox().await;
        for number in 0..100 {
            let stanza = far.next().await.expect("a message");
            assert!(stanza.is("message", "chat"), "{stanza}");
            assert_eq!(stanza.attribute("id"), number.to_string());
        }
    });
}

#[test]
fn a_remote_learns_soon_that_a_component_does_not_answer_and_later_at_once_that_it_is_away() {
    paused(async |network| {
        let (one, other) = pair(network).await;
        let mut far = other.inbox().await;
        let name = "inbox.one.example";
        far.sends_request(name, "soon");
        let (answer, took) = timed(far.receives_id("soon")).await;
        assert!((10..=12).contains(&took.as_secs()), "{took:?}");
        is_unavailable(&answer);
        far.sends_message(name, "long", "");
        let (answer, took) = timed(far.receives_id("long")).await;
        assert!((300..=301).contains(&took.as_secs()), "{took:?}");
        is_unavailable(&answer);
        far.sends_message(name, "at once", "");
        let (answer, took) = timed(far.receives_id("at once")).await;
        assert!(took < Duration::from_secs(1), "{took:?}");
        is_unavailable(&answer);
        let text = answer.expect("error").expect("text").text();
        assert!(
            text.starts_with("the component inbox.one.example has not been connected for 5 min"),
            "{text}"
        );
        eventually_logs(&["WARN", "component missing", "inbox.one.example"]).await;
        let mut near = one.inbox().await;
        far.sends_message(name, "again", "");
        near.receives_id("again").await;
    });
}

#[test]
fn the_stop_of_the_node_answers_what_waits_for_a_component() {
    paused(async |network| {
        let block = format!("[[component]]\nname = \"bot.one.example\"\nsecret = {:?}", testkit::SECRET);
        let node = Node::start(network, Setup::of("one.example").block(&block)).await;
        let mut near = node.inbox().await;
        for number in 0..100 {
            near.sends_message("bot.one.example", &number.to_string(), "");
        }
        sleep(Duration::from_secs(1)).await;
        assert_eq!(node.account().await.waiting().stanzas, 100);
        let account = node.stops().await;
        assert_eq!((account.waiting().stanzas, account.difference().stanzas), (0, 0));
        assert_eq!(account.unsent_answers(), 0);
        let answers = near.rest().await;
        assert_eq!(answers.len(), 100);
        answers.iter().for_each(is_unavailable);
    });
}

#[test]
fn answers_that_cannot_be_sent_at_the_stop_are_counted_and_logged() {
    paused(async |network| {
        let (one, other) = pair(network).await;
        let far = other.inbox().await;
        for number in 0..100 {
            far.sends_message("inbox.one.example", &number.to_string(), "");
        }
        sleep(Duration::from_secs(5)).await;
        assert_eq!(one.account().await.waiting().stanzas, 100);
        // It has never sent anything to the other server: there is no link for the answers.
        let account = one.stops().await;
        assert_eq!((account.waiting().stanzas, account.difference().stanzas), (0, 0));
        assert_eq!((account.settled(Outcome::Answered).stanzas, account.unsent_answers()), (100, 100));
        let line = ["WARN nuncio::promise answers not sent", "answers=100", "domains=1"];
        assert_eq!(log_lines().iter().filter(|it| line.iter().all(|part| it.contains(part))).count(), 1);
    });
}

#[test]
fn the_log_says_once_that_a_component_has_not_come_back() {
    paused(async |network| {
        let (one, _other) = pair(network).await;
        let parts = ["WARN", "component missing", "inbox.one.example", "last_end=closed by the component"];
        for _ in 0..3 {
            let near = one.inbox().await;
            // Longer than the same time after the start of the node.
            sleep(Duration::from_secs(40)).await;
            near.closes().await;
            sleep(Duration::from_secs(29)).await;
            assert!(!log_has(&parts), "it is not away for long yet");
        }
        sleep(Duration::from_secs(2)).await;
        assert!(log_has(&parts));
    });
}

fn is_unavailable(answer: &Element) {
    let error = answer.expect("error");
    assert_eq!(error.attribute("type"), "wait", "{answer}");
    error.expect("service-unavailable");
}

fn ids(stanzas: &[Element]) -> Vec<String> {
    stanzas.iter().map(|stanza| stanza.attribute("id").to_owned()).collect()
}

/// Two nodes that federate by certificate.
async fn pair(network: &Network) -> (Node, Node) {
    let one = Node::start(network, Setup::of("one.example").external()).await;
    (one, Node::start(network, Setup::of("other.example").external()).await)
}

/// Messages in each direction between two restarts.
const RATE: usize = 500;

/// Restarts.
const ROUNDS: usize = 4;
