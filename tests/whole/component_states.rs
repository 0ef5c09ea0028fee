//! What the log and the metrics say about the states of a component: missing, hung, restored, refused.

use std::time::Duration;

use testkit::SECRET;

use super::{
    fixture::{Component, DAY, Element, Event, Node, Setup, Wire, eventually_logs, log_has, paused, sleep},
    scene::{INBOX, quick},
};

#[test]
fn a_component_that_was_missing_is_restored_with_the_number_of_stanzas_that_waited() {
    paused(async |network| {
        let node = Node::start(network, setup()).await;
        let bot = node.component(BOT).await;
        let restored = ["INFO", "nuncio::component", "component restored", "name=inbox.nuncio.example"];
        sleep(Duration::from_secs(20)).await;
        bot.sends_message(INBOX, "one", "");
        bot.sends_message(INBOX, "two", "");
        sleep(Duration::from_secs(20)).await;
        eventually_logs(&["WARN", "component missing", INBOX, "last_end=it has not connected yet"]).await;
        let mut inbox = node.inbox().await;
        inbox.receives_id("two").await;
        let away = [&restored[..], &["away=40.", "waiting=2"]].concat();
        eventually_logs(&away).await;
        shows(
            &node,
            "nuncio_component_connections_total{component=\"inbox.nuncio.example\",result=\"accepted\"} 1",
        )
        .await;
    });
}

#[test]
fn a_component_that_reconnects_soon_is_not_called_restored() {
    paused(async |network| {
        let node = Node::start(network, setup()).await;
        for _ in 0..3 {
            let inbox = node.inbox().await;
            sleep(Duration::from_secs(40)).await;
            inbox.closes().await;
            sleep(Duration::from_secs(20)).await;
        }
        let _inbox = node.inbox().await;
        sleep(Duration::from_secs(1)).await;
        assert!(!log_has(&["component restored"]));
        shows(&node, &ends("inbox", "closed", 3)).await;
    });
}

#[test]
fn a_component_that_is_away_for_a_moment_at_the_first_look_is_not_called_missing() {
    paused(async |network| {
        let node = Node::start(network, setup()).await;
        let inbox = node.inbox().await;
        sleep(Duration::from_secs(20)).await;
        inbox.closes().await;
        sleep(Duration::from_secs(20)).await;
        assert!(log_has(&["component missing", BOT]));
        assert!(!log_has(&["component missing", INBOX]), "it is away for 20 s");
        eventually_logs(&["component missing", INBOX, "not connected for 30 s"]).await;
    });
}

#[test]
fn a_component_that_a_reload_adds_has_as_much_time_to_connect() {
    paused(async |network| {
        let node = Node::start(network, quick()).await;
        let _inbox = node.inbox().await;
        sleep(Duration::from_secs(60)).await;
        node.reloads(network, &setup()).await;
        sleep(Duration::from_secs(29)).await;
        assert!(!log_has(&["component missing"]));
        eventually_logs(&["component missing: not connected 30 s after a reload added it", BOT]).await;
    });
}

#[test]
fn a_component_that_hangs_shows_its_ping_then_its_end_and_is_restored() {
    paused(async |network| {
        let node = Node::start(network, setup().set("s2s.keepalive", "\"1m\"")).await;
        let mut hanging = node.deaf_inbox().await;
        let ping = next_stanza(&mut hanging).await;
        hanging.send(&answer_to(&ping)).await;
        sleep(Duration::from_secs(1)).await;
        shows(&node, "nuncio_component_ping_unanswered_seconds{component=\"inbox.nuncio.example\"} 0").await;
        next_stanza(&mut hanging).await;
        sleep(Duration::from_secs(20)).await;
        let scrape = node.scrape().await;
        let unanswered = figure(&scrape, "nuncio_component_ping_unanswered_seconds", "inbox");
        assert!((19.0..30.0).contains(&unanswered), "{unanswered}");
        assert!(scrape.contains("nuncio_component_up{component=\"inbox.nuncio.example\"} 1"), "{scrape}");

        let wait = hanging.next(DAY).await;
        assert!(wait.is_err(), "{wait:?}");
        eventually_logs(&[
            "disconnected",
            "name=inbox.nuncio.example",
            "cause=hung",
            "did not answer a ping",
        ])
        .await;
        shows(&node, &ends("inbox", "hung", 1)).await;
        // Its end was noted, so that it is restored also before it is called missing.
        let _inbox = node.inbox().await;
        eventually_logs(&["component restored", "name=inbox.nuncio.example", "away=", "waiting=0"]).await;
    });
}

#[test]
fn a_second_connection_and_a_wrong_secret_are_counted() {
    paused(async |network| {
        let node = Node::start(network, setup()).await;
        let _first = node.component(BOT).await;
        node.refused_component(BOT).await.expect("conflict");
        let wire = node.wire_from(network, network.address(), 5347).await;
        assert!(Component::shake_hands(wire, BOT, "guess").await.is_err());
        for (result, number) in [("accepted", 1), ("conflict", 1), ("wrong-secret", 1)] {
            let labels = format!("component=\"{BOT}\",result=\"{result}\"");
            shows(&node, &format!("nuncio_component_connections_total{{{labels}}} {number}")).await;
        }
        // The components that never came have figures too.
        let never =
            format!("nuncio_component_connections_total{{component=\"{INBOX}\",result=\"conflict\"}} 0");
        shows(&node, &never).await;
    });
}

#[test]
fn a_replaced_connection_is_an_end_with_its_cause() {
    paused(async |network| {
        let setup = quick().component(&format!("name = \"{BOT}\"\nconflict = \"replace\""));
        let node = Node::start(network, setup).await;
        let mut first = node.component(BOT).await;
        let _second = node.component(BOT).await;
        first.rest().await;
        shows(&node, &ends("bot", "replaced", 1)).await;
        shows(&node, &ends("bot", "lost", 0)).await;
        eventually_logs(&["disconnected", BOT, "cause=replaced"]).await;
    });
}

#[test]
fn a_component_that_closes_its_stream_above_its_rate_has_closed_it_once() {
    paused(async |network| {
        let node = Node::start(network, quick().component(&format!("name = \"{BOT}\"\nmax_rate = 70"))).await;
        let mut inbox = node.inbox().await;
        let wire = node.wire_from(network, node.address(), 5347).await;
        let mut bot = Component::shake_hands(wire, BOT, SECRET).await.unwrap();
        let stanzas = (0..2000).map(|id| format!("<message from='a@{BOT}' to='u@{INBOX}' id='{id}'/>"));
        bot.send(&(stanzas.collect::<String>() + "</stream:stream>")).await;
        inbox.receives_id("0").await;
        // The end is noticed while stanzas are unread, and the closing tag is behind them.
        drop(bot);
        eventually_logs(&["disconnected", BOT, "cause=closed", "closed by the component"]).await;
        shows(&node, &ends("bot", "closed", 1)).await;
        shows(&node, &ends("bot", "lost", 0)).await;
    });
}

#[test]
fn denied_stanzas_are_counted_by_sender() {
    paused(async |network| {
        let rules = format!("name = \"{BOT}\"\ndeny = [\"inbox.other.example\"]");
        let setup = quick().certified_for(&[BOT]).component(&rules);
        let node = Node::start(network, setup).await;
        network.publish(BOT, node.address());
        let other = Node::start(network, Setup::of("other.example").external()).await;
        let (mut bot, mut far) = (node.component(BOT).await, other.inbox().await);
        far.sends_message(&format!("someone@{BOT}"), "to it", "");
        far.receives_id("to it").await.expect("error");
        for id in ["from it", "from it again"] {
            bot.sends_message("tester@inbox.other.example", id, "");
            bot.receives_id(id).await.expect("error");
        }
        eventually_logs(&[
            "nuncio::component",
            "refused a stanza",
            "name=bot.nuncio.example",
            "reason=denied",
        ])
        .await;
        for (sender, number) in [("remote", 1), ("component", 2)] {
            let labels = format!("component=\"{BOT}\",sender=\"{sender}\"");
            shows(&node, &format!("nuncio_component_stanzas_denied_total{{{labels}}} {number}")).await;
        }
    });
}

#[test]
fn every_line_has_the_configured_name_first_and_the_announced_one_beside_it() {
    paused(async |network| {
        let setup = quick().component(&format!("names = [\"{BOT}\", \"*.rooms.nuncio.example\"]"));
        let node = Node::start(network, setup).await;
        let announced = "a.rooms.nuncio.example";
        let _bot = node.component(announced).await;
        let both = [&*format!("name={BOT}"), "announced=a.rooms.nuncio.example"];
        eventually_logs(&["nuncio::component", "connected", both[0], both[1]]).await;
        let wire = node.wire_from(network, network.address(), 5347).await;
        assert!(Component::shake_hands(wire, announced, SECRET).await.is_err());
        eventually_logs(&["WARN", "component refused", both[0], both[1], "conflict"]).await;
        let wire = node.wire_from(network, network.address(), 5347).await;
        assert!(Component::shake_hands(wire, "unknown.nuncio.example", SECRET).await.is_err());
        eventually_logs(&["WARN", "component refused", "name=- ", "announced=unknown.nuncio.example"]).await;
        let _inbox = node.inbox().await;
        eventually_logs(&["connected", "name=inbox.nuncio.example address="]).await;
    });
}

/// The node with the component `bot.`, beside `inbox.`.
fn setup() -> Setup {
    quick().component(&format!("name = \"{BOT}\""))
}

/// The line of an end in the metrics.
fn ends(component: &str, cause: &str, number: u32) -> String {
    format!(
        "nuncio_component_ends_total{{component=\"{component}.nuncio.example\",cause=\"{cause}\"}} {number}"
    )
}

/// Waits until the metrics have a line.
async fn shows(node: &Node, line: &str) {
    for _ in 0..100 {
        if node.scrape().await.lines().any(|shown| shown == line) {
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("no line {line} in\n{}", node.scrape().await);
}

/// The value of a metric that has the component as its only label.
fn figure(scrape: &str, name: &str, component: &str) -> f64 {
    let start = format!("{name}{{component=\"{component}.nuncio.example\"}} ");
    let value = scrape.lines().find_map(|line| line.strip_prefix(&start));
    value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in {scrape}"))
}

async fn next_stanza(wire: &mut Wire) -> Element {
    match wire.next(DAY).await {
        Ok(Event::Element(stanza)) => stanza,
        other => panic!("{other:?}"),
    }
}

fn answer_to(ping: &Element) -> String {
    let (id, from, to) = (ping.attribute("id"), ping.attribute("from"), ping.attribute("to"));
    format!("<iq type='result' id='{id}' from='{to}' to='{from}'/>")
}

const BOT: &str = "bot.nuncio.example";
