//! The log of a node.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

use crate::support::{Auth, BINARY, Listener, Network, Node, Prosody, SOON, Server, Setup};

#[test]
fn the_life_of_a_link_is_readable_at_info() {
    let network = Network::new();
    let prosody = Prosody::start(&network, Setup::of("prosody.example"));
    let node = Node::start(&network, Setup::of("nuncio.example"));
    let mut inbox = node.inbox();
    let answer = inbox.asks(prosody.domain(), "<ping xmlns='urn:xmpp:ping'/>");
    assert!(answer.is("iq", "result"), "{answer}");
    assert!(node.terminate(SOON).success());
    for event in ["queued", "resolved", "connected", "secured", "authenticated", "handed over", "closed"] {
        node.eventually_logs(&["info", event, "prosody.example"]);
    }
    node.eventually_logs(&["secured", "TLSv1.3"]);
}

#[test]
fn mailboxes_are_logged() {
    let network = Network::new();
    let node = Node::start(&network, Setup::of("nuncio.example").set("log_mailboxes", "\"1s\""));
    for actor in ["router", "promise"] {
        let line = node.eventually_logs(&["mailbox", &format!("actor={actor}"), "info"]);
        for key in [
            "instances=",
            "depth=",
            "peak=",
            "capacity=",
            "handled=",
            "rate=",
            "wait_p50=",
            "wait_p99=",
            "refused=",
            "restarts=",
        ] {
            assert!(line.contains(key), "no {key} in {line}");
        }
    }
}

#[test]
fn with_no_interval_mailboxes_are_logged_on_demand() {
    let network = Network::new();
    let node = Node::start(&network, Setup::of("nuncio.example").set("log_mailboxes", "\"0s\""));
    let mut inbox = node.inbox();
    inbox.asks("nuncio.example", "<ping xmlns='urn:xmpp:ping'/>");
    assert!(!node.process().logged(&["mailbox", "actor="]));
    node.process().signal("USR1");
    node.eventually_logs(&["mailbox", "actor=router"]);
    node.eventually_logs(&["mailbox", "actor=component"]);
}

#[test]
fn every_session_is_logged_on_demand() {
    let network = Network::new();
    let node = Node::start(&network, Setup::of("nuncio.example"));
    let other = Node::start(&network, Setup::of("other.example"));
    let (mut near, mut far) = (node.inbox(), other.inbox());
    near.sends_message(far.name(), "there", "");
    far.receives_id("there");
    node.process().signal("USR1");
    node.eventually_logs(&["session direction=outgoing", "state=authenticated", far.name(), "EXTERNAL"]);
    node.eventually_logs(&["session direction=component", near.name(), "stanzas_in=1"]);
    other.process().signal("USR1");
    other.eventually_logs(&["session direction=incoming", "address=", near.name(), "certificate=good"]);
}

#[test]
fn xml_is_logged_at_trace_and_keys_are_cut() {
    let network = Network::new();
    let setup = Setup::of("nuncio.example").auth(Auth::Dialback).log("trace");
    let node = Node::start(&network, setup);
    let address = network.address();
    network.publish("peer.example", address);
    let listener = Listener::at(address);
    let identity = network.authority.certificate(&["peer.example"]).self_signed().issue();

    let mut inbox = node.inbox();
    inbox.sends_message("romeo@peer.example", "out", "");
    let mut peer = listener.accepts();
    peer.answers_to_tls("peer.example", &identity);
    peer.sends_features("<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>");
    let result = peer.expects("result");
    let key = result.text();
    peer.sends("<db:result from='peer.example' to='inbox.nuncio.example' type='valid'/>");
    peer.expects("message");
    node.eventually_logs(&["trace", "<db:result", "peer.example"]);
    let digest = inbox.digest().to_owned();
    assert!(!key.is_empty() && !node.process().logged(&[key.trim()]), "the key {key} is in the log");
    assert!(!node.process().logged(&[&digest]), "the component's digest {digest} is in the log");
}

#[test]
fn an_invalid_rust_log_is_reported_and_the_configured_level_is_used() {
    let network = Network::new();
    // The start waits for the line `ready`, which is logged at info.
    let node = Node::start(&network, Setup::of("nuncio.example").environment("RUST_LOG", "inof"));
    node.eventually_logs(&["ERROR", "RUST_LOG is invalid", "inof"]);
}

#[test]
fn each_line_in_the_journal_of_systemd_has_its_priority_and_no_line_elsewhere_has_one() {
    let network = Network::new();
    let directory = network.directory("journal");
    // A domain without a certificate is a warning, and an address in use an error: the node ends.
    let port = std::net::TcpListener::bind((network.address(), 0)).unwrap();
    let configuration = directory.join("nuncio.toml");
    let taken = port.local_addr().unwrap();
    let text = format!(
        "[listen]\ns2s = [\"{taken}\"]\ncomponent = []\ncontrol = \"\"\n[[domain]]\nname = \"localhost\"\n"
    );
    fs::write(&configuration, text).unwrap();
    let log = |name: &str, inode_offset: u64| {
        let path = directory.join(name);
        let file = File::create(&path).unwrap();
        let of_file = file.metadata().unwrap();
        let mut node = Command::new(BINARY);
        node.args(["run", "--config", configuration.to_str().unwrap()]).stdin(Stdio::null()).stderr(file);
        node.env("JOURNAL_STREAM", format!("{}:{}", of_file.dev(), of_file.ino() + inode_offset));
        assert!(!node.status().unwrap().success());
        fs::read_to_string(&path).unwrap()
    };
    let journal = log("journal", 0);
    let of_level = |level: &str| journal.lines().find(|line| line.contains(level)).unwrap_or_default();
    assert!(of_level(" WARN ").starts_with("<4>2"), "{journal}");
    assert!(of_level("in use").starts_with("<3>nuncio: "), "{journal}");
    let all_have_one = journal.lines().all(|line| line.starts_with('<') && line[2..].starts_with('>'));
    assert!(all_have_one, "{journal}");
    let elsewhere = log("elsewhere", 1);
    assert!(elsewhere.contains(" WARN ") && !elsewhere.contains('<'), "{elsewhere}");
}

#[test]
fn the_documentation_names_every_line_about_components() {
    let documentation = include_str!("../docs/monitoring.md");
    let mut found = 0;
    for source in [
        include_str!("../actors/streams/component/bind.rs"),
        include_str!("../actors/streams/component/closing.rs"),
        include_str!("../actors/streams/component/leftovers.rs"),
        include_str!("../actors/streams/component/ping.rs"),
        include_str!("../actors/streams/component/supply.rs"),
        include_str!("../actors/streams/listener/misplaced.rs"),
        include_str!("../actors/streams/listener/wrong_secrets.rs"),
        include_str!("../actors/routing/router/components.rs"),
        include_str!("../actors/routing/router/registration.rs"),
        include_str!("../actors/routing/mailroom/handover.rs"),
    ] {
        for message in messages(source) {
            // What follows a colon or a semicolon is for this line only.
            let head = message.split([':', ';']).next().unwrap();
            assert!(documentation.contains(&format!("`{head}")), "docs/monitoring.md does not name `{head}`");
            found += 1;
        }
    }
    assert!(found >= 15, "{found}");
}

/// The messages of the log lines in a source: each is a line of its own, the last of its call; and texts that
/// [`log`] gets from a function.
fn messages(source: &str) -> Vec<&str> {
    let code = source.split("#[cfg(test)]").next().unwrap();
    let lines = code.lines().map(str::trim).zip(code.lines().skip(1).map(str::trim));
    let is_message = |line: &str, next: &str| {
        let ends_a_call = next == ");" && line.ends_with('"');
        let is_text = line.contains(" on a port ");
        line.starts_with('"') && (ends_a_call || is_text)
    };
    lines.filter(|(line, next)| is_message(line, next)).map(|(line, _)| line.trim_matches('"')).collect()
}
