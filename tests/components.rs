//! External components (XEP-0114): authentication, names and delivery.

use std::fs;
use std::process::Command;

use crate::support::{
    BINARY, Component, Network, Node, Process, Prosody, SECRET, Server, Setup, eventually, needs,
};

#[test]
fn slixmpp_answers_a_remote_through_the_node() {
    needs("/usr/bin/python3 -c 'import slixmpp.componentxmpp'", "python3-slixmpp");
    let network = Network::new();
    let prosody = Prosody::start(&network, Setup::of("prosody.example"));
    let node = Node::start(&network, Setup::of("nuncio.example").component("echo.nuncio.example"));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/echo.py");
    let address = node.address().to_string();
    let arguments = [script, "echo.nuncio.example", SECRET, &address, "5347"];
    let echo = Process::start("slixmpp", &network.directory("slixmpp"), "/usr/bin/python3", &arguments, &[]);
    echo.eventually_logs(&["connected"]);

    let mut asker = prosody.inbox();
    asker.sends_message("anyone@echo.nuncio.example", "asked", "Grüße &lt;3");
    let answer = asker.receives("an echo", |stanza| stanza.name == "message");
    assert_eq!(answer.attribute("from"), "anyone@echo.nuncio.example");
    assert_eq!(answer.expect("body").text(), "you said: Grüße <3");
}

#[test]
fn the_component_of_the_readme_answers() {
    needs("/usr/bin/python3 -c 'import slixmpp.componentxmpp'", "python3-slixmpp");
    let network = Network::new();
    let setup = Setup::of("nuncio.example").component("echo.nuncio.example");
    let node = Node::start(&network, setup.set("listen.control", "\"node.sock\""));
    let script = include_str!("../README.md").split("```python\n").nth(1).unwrap();
    let script = script
        .split("```")
        .next()
        .unwrap()
        .replace("echo.example.org", "echo.nuncio.example")
        .replace("a long random text", SECRET)
        .replace("127.0.0.1", &node.address().to_string());
    let directory = network.directory("readme");
    let file = directory.join("echo.py");
    fs::write(&file, script).unwrap();
    let _echo = Process::start("readme", &directory, "/usr/bin/python3", &[file.to_str().unwrap()], &[]);
    let connected = || {
        let lines = node.process().lines();
        let is_connected =
            |line: &&String| line.contains(" connected ") && line.contains("echo.nuncio.example");
        lines.iter().filter(is_connected).count()
    };
    eventually("it connects", || (connected() == 1).then_some(()));
    let mut asker = node.inbox();
    asker.sends_message("anyone@echo.nuncio.example", "asked", "hello");
    let answer = asker.receives("an echo", |stanza| stanza.name == "message");
    assert_eq!(answer.expect("body").text(), "hello");

    let file = network.directory("nuncio.example").join("nuncio.toml");
    let arguments = ["close", "echo.nuncio.example", "--config", file.to_str().unwrap()];
    assert!(Command::new(BINARY).args(arguments).status().unwrap().success());
    eventually("it connects again", || (connected() == 2).then_some(()));
}

// rows: K1
#[test]
fn a_second_connection_for_the_same_name_gets_conflict() {
    let network = Network::new();
    let node = Node::start(&network, Setup::of("nuncio.example"));
    let mut first = node.inbox();
    let second = Component::try_connect(node.address(), first.name(), SECRET);
    assert_eq!(second.err().as_deref(), Some("conflict"));
    let pong = first.asks("nuncio.example", PING);
    assert!(pong.is("iq", "result"), "{pong}");
}

#[test]
fn a_component_that_reconnects_at_once_gets_its_name_back() {
    let network = Network::new();
    let node = Node::start(&network, Setup::of("nuncio.example"));
    for _ in 0..50 {
        drop(node.inbox());
    }
}

// rows: K2
#[test]
fn a_wrong_secret_is_not_authorized() {
    let network = Network::new();
    let node = Node::start(&network, Setup::of("nuncio.example"));
    let refused = Component::try_connect(node.address(), "inbox.nuncio.example", "guess");
    assert_eq!(refused.err().as_deref(), Some("not-authorized"));
}

#[test]
fn a_second_connection_replaces_the_first_if_so_configured() {
    let network = Network::new();
    let block = "[[component]]\nname = \"bot.nuncio.example\"\nsecret = \"secret\"\nconflict = \"replace\"";
    let node = Node::start(&network, Setup::of("nuncio.example").block(block));
    let mut sender = node.inbox();
    let mut first = Component::connect(node.address(), "bot.nuncio.example");
    for number in 0..3 {
        let mut second = Component::connect(node.address(), "bot.nuncio.example");
        first.expects_end();
        let id = format!("to the new one {number}");
        sender.sends_message("bot.nuncio.example", &id, "");
        second.receives_id(&id);
        first = second;
    }
    node.eventually_logs(&["WARN", "bot.nuncio.example", "a new connection replaces"]);
}

#[test]
fn a_component_that_answers_nothing_loses_its_name_to_one_that_does() {
    let network = Network::new();
    let node = Node::start(&network, Setup::of("nuncio.example"));
    let hung = Component::connect_deaf(node.address(), "inbox.nuncio.example");
    // The component never answers.
    let mut second = node.inbox();
    assert!(second.asks("nuncio.example", PING).is("iq", "result"));
    node.eventually_logs(&["WARN", "inbox.nuncio.example", "does not answer a ping"]);
    drop(hung);
}

#[test]
fn a_component_that_answers_keeps_its_name() {
    let network = Network::new();
    let node = Node::start(&network, Setup::of("nuncio.example"));
    // The test's own component answers the node's ping.
    let mut first = node.inbox();
    for _ in 0..3 {
        let second = Component::try_connect(node.address(), first.name(), SECRET);
        assert_eq!(second.err().as_deref(), Some("conflict"));
        assert!(first.asks("nuncio.example", PING).is("iq", "result"));
    }
    // Neither the ping nor its answer counts as a carried stanza.
    node.process().signal("USR1");
    node.eventually_logs(&["nuncio::account", "domain=*", "taken=3 "]);
}

#[test]
fn a_wrong_secret_is_a_warning_that_names_the_component() {
    let network = Network::new();
    let node = Node::start(&network, Setup::of("nuncio.example"));
    for _ in 0..30 {
        let refused = Component::try_connect(node.address(), "inbox.nuncio.example", "guess");
        assert_eq!(refused.err().as_deref(), Some("not-authorized"));
    }
    let refused = Component::try_connect(node.address(), "outbox.nuncio.example", "guess");
    assert_eq!(refused.err().as_deref(), Some("not-authorized"));
    let refused = Component::try_connect(node.address(), "unknown.nuncio.example", "guess");
    assert_eq!(refused.err().as_deref(), Some("host-unknown"));
    for name in
        ["name=inbox.nuncio.example", "name=outbox.nuncio.example", "name=- announced=unknown.nuncio.example"]
    {
        node.eventually_logs(&["WARN", "component refused", name, "address="]);
    }
}

#[test]
fn a_missing_component_is_logged_with_the_first_stanza_that_is_answered_for_it() {
    let network = Network::new();
    let node = Node::start(&network, Setup::of("nuncio.example").answers_for_absent());
    let mut outbox = node.outbox();
    for _ in 0..5 {
        assert!(outbox.asks("inbox.nuncio.example", PING).is("iq", "error"));
    }
    node.eventually_logs(&["WARN", "component missing", "inbox.nuncio.example", "has not connected yet"]);
    let told = |node: &Node| {
        let lines = node.process().lines();
        lines.iter().filter(|line| line.contains("component missing")).count()
    };
    assert_eq!(told(&node), 1, "once for an absence");
    drop(node.inbox());
    node.eventually_logs(&["nuncio::component", "disconnected", "inbox.nuncio.example"]);
    let answer = outbox.asks("inbox.nuncio.example", PING);
    assert!(answer.expect("error").child("service-unavailable").is_some(), "{answer}");
    eventually("the next absence is told too", || (told(&node) == 2).then_some(()));
}

// rows: K1
#[test]
fn a_name_that_is_not_configured_is_unknown() {
    let network = Network::new();
    let node = Node::start(&network, Setup::of("nuncio.example"));
    let refused = Component::try_connect(node.address(), "unheard.nuncio.example", SECRET);
    assert_eq!(refused.err().as_deref(), Some("host-unknown"));
}

// rows: K4
#[test]
fn a_component_serves_a_whole_local_domain() {
    let network = Network::new();
    let prosody = Prosody::start(&network, Setup::of("prosody.example"));
    let node = Node::start(&network, Setup::of("nuncio.example").component("nuncio.example"));
    let mut domain = Component::connect(node.address(), "nuncio.example");
    let mut remote = prosody.inbox();

    remote.sends_message("juliet@nuncio.example", "to a user", "hello");
    assert_eq!(domain.receives_id("to a user").attribute("to"), "juliet@nuncio.example");
    domain.sends_message(remote.name(), "from the domain", "hello");
    assert_eq!(remote.receives_id("from the domain").attribute("from"), "tester@nuncio.example");

    // The component takes precedence over the node's own services.
    remote.sends(&format!(
        "<iq type='get' id='ping' from='tester@{}' to='nuncio.example'>{PING}</iq>",
        remote.name()
    ));
    assert_eq!(domain.receives_id("ping").expect("ping").namespace, "urn:xmpp:ping");
}

// rows: E17
#[test]
fn components_of_one_node_reach_each_other() {
    let network = Network::new();
    let node = Node::start(&network, Setup::of("nuncio.example"));
    let (mut inbox, mut outbox) = (node.inbox(), node.outbox());
    outbox.sends_message(inbox.name(), "near", "hello");
    assert_eq!(inbox.receives_id("near").expect("body").text(), "hello");
    let asked = network.dns.questions();
    assert!(asked.is_empty(), "{asked:?}");
}

// rows: K4
#[test]
fn a_component_that_is_not_connected_is_unavailable_for_now() {
    let network = Network::new();
    let node = Node::start(&network, Setup::of("nuncio.example").answers_for_absent());
    let answer = node.outbox().asks("inbox.nuncio.example", PING);
    let error = answer.expect("error");
    assert_eq!(error.attribute("type"), "wait", "{answer}");
    assert!(error.child("service-unavailable").is_some(), "{answer}");
}

const PING: &str = "<ping xmlns='urn:xmpp:ping'/>";
