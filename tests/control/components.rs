//! `nuncio components`, and `close` for a component.

use super::{PING, Place};
use crate::support::{Component, Network, Node, SECRET, Server, eventually};

#[test]
fn each_configured_component_is_listed_with_its_state_and_its_last_end() {
    let (network, place) = (Network::new(), Place::new());
    let node = Node::start(&network, place.setup().component("bot.nuncio.example").answers_for_absent());
    let state = |name: &str| {
        let json = place.json(&["components", name]);
        assert_eq!(json["components"].as_array().unwrap().len(), 1, "{json}");
        json["components"][0].clone()
    };
    let never = state("inbox.nuncio.example");
    assert_eq!((&never["connected"], &never["last_end"]), (&false.into(), &serde_json::Value::Null));

    let inbox = node.inbox();
    let connected = eventually("it is connected", || {
        let it = state("inbox.nuncio.example");
        (it["connected"] == true && !it["link"].is_null()).then_some(it)
    });
    assert_eq!(connected["link"]["direction"], "component", "{connected}");

    drop(inbox);
    let gone = eventually("it is gone", || {
        let it = state("inbox.nuncio.example");
        (it["connected"] == false).then_some(it)
    });
    assert!(gone["last_end"]["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{gone}");

    let mut outbox = node.outbox();
    outbox.asks("inbox.nuncio.example", PING);
    let refused = Component::try_connect(node.address(), "bot.nuncio.example", "guess");
    assert_eq!(refused.err().as_deref(), Some("not-authorized"));
    let told = eventually("what was refused is counted", || {
        let told = place.tells(&["components"]);
        (state("inbox.nuncio.example")["refused"]["stanzas"] == 1
            && state("bot.nuncio.example")["rejected"]["count"] == 1)
            .then_some(told)
    });
    for name in ["bot.nuncio.example", "inbox.nuncio.example", "outbox.nuncio.example"] {
        assert!(told.contains(name), "{told}");
    }
    let output = place.nuncio(&["components", "other.example"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("other.example is not a configured component of this node"), "{told}");
}

#[test]
fn a_replaced_connection_is_the_last_end_of_its_component() {
    let (network, place) = (Network::new(), Place::new());
    let block = "[[component]]\nname = \"bot.nuncio.example\"\nsecret = \"secret\"\nconflict = \"replace\"";
    let node = Node::start(&network, place.setup().block(block));
    let mut first = Component::connect(node.address(), "bot.nuncio.example");
    let _second = Component::connect(node.address(), "bot.nuncio.example");
    first.expects_end();
    let told = place.tells(&["explain", "bot.nuncio.example"]);
    assert!(told.starts_with("bot.nuncio.example: component connected for "), "{told}");
    assert!(
        told.contains("its last connection ended ") && told.contains(" ago: replaced by another connection"),
        "{told}"
    );
}

#[test]
fn explain_shows_the_state_of_components_and_local_domains() {
    let (network, place) = (Network::new(), Place::new());
    let node = Node::start(&network, place.setup());
    let told = place.tells(&["explain", "inbox.nuncio.example"]);
    assert!(told.starts_with("inbox.nuncio.example: component never connected, the node started "), "{told}");
    let _inbox = node.inbox();
    let told = place.tells(&["explain", "inbox.nuncio.example"]);
    assert!(told.starts_with("inbox.nuncio.example: component connected for "), "{told}");
    let told = place.tells(&["explain", "nuncio.example"]);
    assert!(told.starts_with("nuncio.example: served by this node itself"), "{told}");
}

#[test]
fn what_waits_for_a_component_on_the_disk_is_shown() {
    let (network, place) = (Network::new(), Place::new());
    let setup = place.setup().set("journal.path", "\"waiting.redb\"").set("absence.max_stanzas", "4");
    let node = Node::start(&network, setup);
    let mut outbox = node.outbox();
    for number in 0..10 {
        outbox.sends_message("inbox.nuncio.example", &number.to_string(), "");
    }
    let told = eventually("six stanzas wait on the disk", || {
        let told = place.tells(&["explain", "inbox.nuncio.example"]);
        told.contains("; 10 stanzas wait, all of them in the journal, 6 of them on the disk only")
            .then_some(told)
    });
    assert!(told.contains("because the queue is full, the first is answered with an error in "), "{told}");
    let json = place.json(&["components", "inbox.nuncio.example"]);
    assert_eq!(json["components"][0]["on_disk"]["stanzas"], 6, "{json}");
    assert_eq!(json["components"][0]["kept"], 10, "{json}");
    let json = place.json(&["queues"]);
    assert_eq!(json["queues"][0]["on_disk"]["stanzas"], 6, "{json}");
    assert!(place.tells(&["queues"]).contains("10 (6 on the disk)"), "{}", place.tells(&["queues"]));
    assert!(place.tells(&["components"]).contains("(6 on the disk)"), "{}", place.tells(&["components"]));
}

#[test]
fn what_waits_for_a_component_is_shown_until_it_connects() {
    let (network, place) = (Network::new(), Place::new());
    let node = Node::start(&network, place.setup());
    let mut outbox = node.outbox();
    for number in 0..3 {
        outbox.sends_message("inbox.nuncio.example", &number.to_string(), "");
    }
    let told = eventually("three stanzas wait", || {
        let told = place.tells(&["explain", "inbox.nuncio.example"]);
        told.contains("; 3 stanzas wait, the first is answered with an error in ").then_some(told)
    });
    assert!(told.starts_with("inbox.nuncio.example: component never connected, "), "{told}");
    let told = place.tells(&["queues"]);
    let line = told.lines().find(|line| line.contains("* > inbox.nuncio.example"));
    assert!(line.is_some_and(|line| line.contains("component not connected")), "{told}");
    let json = place.json(&["components", "inbox.nuncio.example"]);
    assert_eq!(json["components"][0]["waiting"]["stanzas"], 3, "{json}");
    node.eventually_logs(&["nuncio::mailroom", "queued", "name=inbox.nuncio.example"]);

    let mut inbox = node.inbox();
    for number in 0..3 {
        inbox.receives_id(&number.to_string());
    }
    node.eventually_logs(&["nuncio::mailroom", "handed over", "name=inbox.nuncio.example", "stanzas=3"]);
    let told = place.tells(&["queues"]);
    assert!(!told.contains("inbox.nuncio.example"), "{told}");
}

#[test]
fn close_ends_the_connection_of_a_component_and_frees_its_name() {
    let (network, place) = (Network::new(), Place::new());
    let node = Node::start(&network, place.setup());
    let told = place.tells(&["close", "inbox.nuncio.example"]);
    assert!(told.contains("the component is not connected"), "{told}");

    let mut first = node.inbox();
    let told = place.tells(&["close", "inbox.nuncio.example"]);
    assert!(told.contains("the connection of the component is closed"), "{told}");
    first.expects_end();
    // An unresponsive component holds its name no longer than a responsive one.
    let deaf = Component::connect_deaf(node.address(), "inbox.nuncio.example");
    let told = place.tells(&["close", "inbox.nuncio.example"]);
    assert!(told.contains("the connection of the component is closed"), "{told}");
    let json = place.json(&["components", "inbox.nuncio.example"]);
    assert_eq!(json["components"][0]["last_end"]["reason"], "closed by an operator", "{json}");
    let mut second = node.inbox();
    assert!(second.asks("nuncio.example", PING).is("iq", "result"));
    drop(deaf);

    let output = place.nuncio(&["close", "nuncio.example"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("nuncio.example is served by this node itself"), "{told}");
    assert!(Component::try_connect(node.address(), "inbox.nuncio.example", SECRET).is_err());
}

#[test]
fn a_component_is_found_by_each_of_its_names() {
    let (network, place) = (Network::new(), Place::new());
    let block = format!(
        "[[component]]\nnames = [\"*.rooms.nuncio.example\", \"bot.nuncio.example\"]\nsecret = \"{SECRET}\"\n"
    );
    let node = Node::start(&network, place.setup().block(&block));
    let gateway = Component::connect(node.address(), "rooms.nuncio.example");
    for name in ["*.rooms.nuncio.example", "any.rooms.nuncio.example", "bot.nuncio.example"] {
        let json = place.json(&["components", name]);
        let component = &json["components"][0];
        assert_eq!(component["name"], "*.rooms.nuncio.example", "{json}");
        assert_eq!(component["names"].as_array().map(Vec::len), Some(2), "{json}");
        let connected = eventually("it is connected", || {
            let json = place.json(&["components", name]);
            (!json["components"][0]["link"].is_null()).then_some(json)
        });
        assert_eq!(connected["components"][0]["connected"], true, "{connected}");
        let told = place.tells(&["explain", name]);
        assert!(told.starts_with("*.rooms.nuncio.example: component connected for "), "{told}");
        assert!(told.contains("; serves *.rooms.nuncio.example, bot.nuncio.example"), "{told}");
    }
    let output = place.nuncio(&["components", "rooms.nuncio.example"]);
    assert_eq!(output.status.code(), Some(1), "it serves only what is below: {output:?}");
    let told = place.tells(&["close", "other.rooms.nuncio.example"]);
    assert!(told.contains("the connection of the component is closed"), "{told}");
    drop(gateway);
}
