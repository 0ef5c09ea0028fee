//! What `components`, `explain`, `sessions` and `top` say about refused, denied and hanging components.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::{PING, Place};
use crate::support::{Component, Network, Node, Server, Setup, eventually};

const BOT: &str = "bot.nuncio.example";

#[test]
fn a_wrong_secret_and_a_second_connection_show_their_time_and_address() {
    let (network, place) = (Network::new(), Place::new());
    let node = Node::start(&network, place.setup().component(BOT));
    let _first = Component::connect(node.address(), BOT);
    for (secret, error, key) in
        [("guess", "not-authorized", "rejected"), (crate::support::SECRET, "conflict", "conflicts")]
    {
        let refused = Component::try_connect(node.address(), BOT, secret);
        assert_eq!(refused.err().as_deref(), Some(error));
        let json = eventually("it is counted", || {
            let bot = report(&place, BOT);
            (bot[key]["count"] == 1).then_some(bot)
        });
        is_recent(&json[key]["last"]);
        assert_eq!(json[key]["address"], "127.0.0.1", "{json}");
    }
    let table = place.tells(&["components", BOT]);
    assert_eq!(table.matches(" ago from 127.0.0.1").count(), 2, "{table}");
    let told = place.tells(&["explain", BOT]);
    assert!(told.contains("; 1 connection with a wrong secret, the last "), "{told}");
    assert!(told.contains("; 1 connection refused because another one serves the name"), "{told}");
    let top = place.tells(&["top", "--once", "--every", "0.5s"]);
    let line = top.lines().find(|line| line.starts_with(BOT)).unwrap_or_else(|| panic!("{top}"));
    assert_eq!(line.matches("  1x").count(), 2, "{top}");
}

#[test]
fn a_component_that_never_came_says_since_when_the_node_waits_for_it() {
    let (network, place) = (Network::new(), Place::new());
    let setup = place.setup().component(BOT);
    let node = Node::start(&network, setup.clone());
    let bot = report(&place, BOT);
    assert_eq!((&bot["state"], &bot["since_event"]), (&"never-connected".into(), &"node-started".into()));
    let table = place.tells(&["components", BOT]);
    assert!(table.contains("  never connected  start of the node, "), "{table}");
    let told = place.tells(&["explain", BOT]);
    assert!(told.contains(": component never connected, the node started "), "{told}");

    let late = "late.nuncio.example";
    node.reconfigures(&network, &setup.component(late));
    node.eventually_logs(&["nuncio::node", "reloaded"]);
    let told = place.tells(&["explain", late]);
    assert!(told.contains(": component never connected, a reload added it "), "{told}");
    assert_eq!(report(&place, late)["since_event"], "added-by-reload");

    let component = Component::connect(node.address(), late);
    eventually("it is connected", || (report(&place, late)["state"] == "connected").then_some(()));
    component.closes();
    let gone = eventually("it is gone", || {
        let gone = report(&place, late);
        (gone["state"] == "not-connected").then_some(gone)
    });
    assert_eq!(gone["last_end"]["cause"], "closed", "{gone}");
    is_recent(&gone["last_end"]["at"]);
    let table = place.tells(&["components", late]);
    assert!(table.contains(" ago: closed by the component"), "{table}");
}

#[test]
fn a_component_that_does_not_answer_a_ping_shows_since_when() {
    let (network, place) = (Network::new(), Place::new());
    let node = Node::start(&network, place.setup().component(BOT).set("s2s.keepalive", "\"1s\""));
    let hanging = Component::connect_deaf(node.address(), BOT);
    let bot = eventually("a ping is not answered", || {
        let bot = report(&place, BOT);
        (bot["state"] == "ping-unanswered").then_some(bot)
    });
    is_recent(&bot["ping_unanswered"]["since"]);
    assert_eq!(
        (&bot["connected"], &bot["ping_unanswered"]["closes"]),
        (&true.into(), &false.into()),
        "{bot}"
    );
    let table = place.tells(&["components", BOT]);
    assert!(table.contains("  connected, ping unanswered for "), "{table}");
    let told = place.tells(&["explain", BOT]);
    assert!(
        told.contains("; a ping is unanswered for ") && told.contains("the connection stays open"),
        "{told}"
    );
    let table = place.tells(&["sessions"]);
    assert!(table.contains("  authenticated, ping unanswered for "), "{table}");
    let top = place.tells(&["top", "--once", "--every", "0.5s"]);
    assert!(top.contains("  connected, ping unanswered for "), "{top}");
    drop(hanging);
}

#[test]
fn a_connection_that_the_component_resets_ends_with_a_plain_sentence() {
    let (network, place) = (Network::new(), Place::new());
    let node = Node::start(&network, place.setup().component(BOT));
    let mut outbox = node.outbox();
    let deaf = Component::connect_deaf(node.address(), BOT);
    outbox.sends_message(BOT, "not read", "");
    eventually("it is written", || (report(&place, BOT)["link"]["sent"]["stanzas"] == 1).then_some(()));
    deaf.reset();
    let gone = eventually("it is gone", || {
        let gone = report(&place, BOT);
        (gone["state"] == "not-connected").then_some(gone)
    });
    assert_eq!(gone["last_end"]["reason"], "the connection was reset by the component", "{gone}");
    assert_eq!(gone["last_end"]["cause"], "lost", "{gone}");
    node.eventually_logs(&["disconnected", BOT, "cause=lost", "was reset by the component"]);
    assert!(!node.process().logged(&["os error"]));
}

#[test]
fn a_denied_stanza_shows_its_addresses_and_its_time() {
    let (network, place) = (Network::new(), Place::new());
    let block = "[[component]]\nname = \"rules.nuncio.example\"\nsecret = \"secret\"\ndeny = [\"inbox.other.example\"]";
    let node = Node::start(&network, place.setup().block(block).set("s2s.auth", "[\"dialback\"]"));
    network.publish("rules.nuncio.example", node.address());
    let other = Node::start(&network, Setup::of("other.example"));
    let mut far = other.inbox();
    far.sends_message("someone@rules.nuncio.example/here", "denied", "");
    assert!(far.receives_id("denied").expect("error").child("not-allowed").is_some());
    let json = eventually("it is counted", || {
        let json = report(&place, "rules.nuncio.example");
        (json["denied"]["from_remote"] == 1).then_some(json)
    });
    let last = &json["denied"]["last"];
    is_recent(&last["at"]);
    assert_eq!(last["from"], "tester@inbox.other.example", "{json}");
    assert_eq!(last["to"], "someone@rules.nuncio.example", "{json}");
    assert!(last["address"].as_str().is_some_and(|address| address.starts_with("127.")), "{json}");
    let table = place.tells(&["components", "rules.nuncio.example"]);
    assert!(
        table.contains(" ago from tester@inbox.other.example to someone@rules.nuncio.example at 127."),
        "{table}"
    );
    let told = place.tells(&["explain", "rules.nuncio.example"]);
    assert!(told.contains("; 1 stanza denied by allow and deny, the last "), "{told}");
}

#[test]
fn a_name_below_an_own_domain_that_no_component_serves_comes_with_advice() {
    let (network, place) = (Network::new(), Place::new());
    let node = Node::start(&network, place.setup());
    let name = "foo.nuncio.example";
    let advice = format!("add \"{name}\" or \"*.nuncio.example\" to names of a [[component]]");
    let told = place.tells(&["explain", name]);
    assert!(
        told.starts_with(&format!("{name}: it lies below nuncio.example, which this node serves, ")),
        "{told}"
    );
    assert!(told.contains("no component serves it") && told.contains(&advice), "{told}");
    assert_eq!(place.json(&["explain", name])["above"], "nuncio.example");
    let output = place.nuncio(&["components", name]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains(&advice), "{output:?}");
    // With events it is explained as any remote domain, and the advice stays.
    node.inbox().asks(name, PING);
    let told = place.tells(&["explain", name]);
    assert!(told.contains(": no link; ") && told.contains(&advice), "{told}");
    assert!(!place.nuncio(&["explain", "foo.example"]).status.success());
}

#[test]
fn tables_and_json_have_one_word_for_the_stanzas_of_each_direction() {
    let (network, place) = (Network::new(), Place::new());
    let node = Node::start(&network, place.setup());
    let _inbox = node.inbox();
    for command in ["sessions", "components"] {
        let table = place.tells(&[command]);
        let header: Vec<&str> = table.lines().next().unwrap().split("  ").map(str::trim).collect();
        assert!(header.contains(&"received") && header.contains(&"sent"), "{table}");
        assert!(!header.contains(&"in") && !header.contains(&"out"), "{table}");
    }
    let json = place.json(&["sessions"]);
    let link = &json["links"][0];
    assert!(link["received"].is_object() && link["sent"].is_object(), "{json}");
    assert_eq!(link["direction"], "component", "who opened it: {json}");
}

#[test]
fn the_ready_line_has_all_names_of_each_component() {
    let (network, place) = (Network::new(), Place::new());
    let block =
        "[[component]]\nnames = [\"irc.nuncio.example\", \"*.irc.nuncio.example\"]\nsecret = \"secret\"";
    let node = Node::start(&network, place.setup().block(block));
    node.eventually_logs(&["ready", "irc.nuncio.example+*.irc.nuncio.example"]);
}

/// The report of one component.
#[track_caller]
fn report(place: &Place, name: &str) -> Value {
    let json = place.json(&["components", name]);
    json["components"][0].clone()
}

/// Fails if this is not a time of RFC 3339 within the last hour.
#[track_caller]
fn is_recent(time: &Value) {
    let time = humantime::parse_rfc3339(time.as_str().unwrap()).unwrap();
    let age = SystemTime::now().duration_since(time).unwrap_or_default();
    assert!(age < Duration::from_secs(3600), "{age:?}");
}
