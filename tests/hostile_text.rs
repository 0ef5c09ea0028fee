//! Hostile text from peers in logs, metrics and commands: characters that hide, move or reverse text are escaped.

use std::process::Command;

use crate::support::{Auth, BINARY, Listener, Network, Node, Server, Setup, eventually, plays};

#[test]
fn hidden_characters_of_a_peer_are_escaped_in_every_output() {
    let network = Network::new();
    // The length of socket paths is limited.
    let socket = std::env::temp_dir().join(format!("nuncio-h-{}.sock", std::process::id()));
    let address = network.address();
    network.publish("b.example", address);
    let identity = network.authority.issue(&["b.example"]);
    plays(Listener::at(address), move |mut peer| {
        peer.answers_to_tls("b.example", &identity);
        peer.sends(&format!(
            "<stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
             <text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>bad{HOSTILE}&#10;2026-11-22 ERROR end</text>\
             </stream:error></stream:stream>"
        ));
        peer.waits_for_the_end();
    });
    let setup = Setup::of("nuncio.example").auth(Auth::External).log("trace");
    let node = Node::start(&network, setup.set("listen.control", &format!("{socket:?}")));
    let mut sender = node.inbox();
    sender.sends_message("someone@b.example", "one", "");
    node.eventually_logs(&["bad", "ERROR end"]);

    let run = |arguments: &[&str]| {
        let output = Command::new(BINARY).args(arguments).env_remove("RUST_LOG").output().unwrap();
        [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat()
    };
    let socket = socket.to_str().unwrap();
    let config = node.file().to_str().unwrap();
    for command in [
        &["explain", "--socket", socket, "b.example"] as &[&str],
        &["explain", "--socket", socket, "--json", "b.example"],
        &["queues", "--socket", socket],
        &["queues", "--socket", socket, "--json"],
        &["probe", "--config", config, "b.example"],
        &["probe", "--config", config, "--json", "b.example"],
    ] {
        let told =
            eventually("the peer's text is told", || Some(run(command)).filter(|told| told.contains("bad")));
        assert_clean(&command.join(" "), &told);
        if command.contains(&"--json") {
            let lines: Vec<serde_json::Value> =
                told.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
            let whole = lines.iter().map(strings).collect::<String>();
            assert!(whole.contains(HOSTILE), "{command:?} reads back to what the peer wrote: {told}");
        }
    }
    for line in node.process().lines() {
        assert_clean("log", &line);
    }
    let _ = std::fs::remove_file(socket);
}

fn assert_clean(place: &str, text: &str) {
    let raw = text.chars().find(|c| HOSTILE.contains(*c));
    assert_eq!(raw.map(|c| format!("U+{:04X}", u32::from(c))), None, "{place}: {text}");
}

/// All strings of a document.
fn strings(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Array(items) => items.iter().map(strings).collect(),
        serde_json::Value::Object(items) => items.values().map(strings).collect(),
        _ => String::new(),
    }
}

/// One of each kind that XML permits: C1 controls, direction marks, separators, and characters without a glyph.
const HOSTILE: &str = "\u{7f}\u{85}\u{9b}\u{ad}\u{61c}\u{200b}\u{200e}\u{2028}\u{2029}\u{202e}\u{2066}\u{2060}\u{feff}\u{fe0f}\u{e0041}";
