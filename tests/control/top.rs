//! `nuncio top` shows what the node does, and tables fit the terminal.

use std::time::Duration;

use super::*;
use crate::support::Terminal;

#[test]
fn top_prints_what_the_node_does_once() {
    let (network, place) = (Network::new(), Place::new());
    let setup = place.setup().set("promise.backoff", "[\"100s\", \"200s\"]").component("away.nuncio.example");
    network.publish("closed.example", network.address());
    let node = Node::start(&network, setup);
    let other = Node::start(&network, Setup::of("other.example"));
    let (mut here, mut there) = (node.inbox(), other.inbox());
    here.sends_message("someone@inbox.other.example", "ping", "");
    there.receives_id("ping");
    here.sends_message("someone@closed.example", "waits", "");
    node.eventually_logs(&["no link", "closed.example"]);

    let text = place.tells(&["top", "--every", "0.5s"]);
    assert!(text.starts_with("nuncio "), "{text}");
    let title = text.lines().next().unwrap();
    assert!(
        title.contains(" up ") && title.contains("1 stanza waiting, ") && title.ends_with(", 1 failing"),
        "{text}"
    );
    for start in [
        "ACTOR  ",
        "router  ",
        "COMPONENT  ",
        "away.nuncio.example  ",
        "LINK  ",
        "inbox.nuncio.example > inbox.other.example  us  ",
        "WAITING FOR  ",
        "FAILING  ",
        "inbox.nuncio.example > closed.example  ",
    ] {
        assert!(text.lines().any(|line| line.starts_with(start)), "no {start:?} in\n{text}");
    }
    assert!(text.contains("refused the connection"), "{text}");
    assert!(text.contains("away.nuncio.example    never connected"), "{text}");
}

#[test]
fn top_as_json_has_the_rates_between_two_readings() {
    let (network, place) = (Network::new(), Place::new());
    let node = Node::start(&network, place.setup());
    let other = Node::start(&network, Setup::of("other.example"));
    let (here, mut there) = (node.inbox(), other.inbox());
    let _flood = here.floods_evenly(20_000, Duration::from_millis(2), |number| {
        format!("<message from='a@inbox.nuncio.example' to='b@inbox.other.example' id='{number}'><body>hello</body></message>")
    });
    there.receives_id("1");
    let json = eventually("the link has a rate", || {
        let json = place.json(&["top", "--every", "0.5s"]);
        let links = json["links"].as_array().unwrap().clone();
        let link = links.into_iter().find(|link| link["direction"] == "outgoing")?;
        (link["sent"]["stanzas"].as_f64()? > 0.0).then_some(json)
    });
    assert!(json["interval"].as_f64().unwrap() >= 0.5, "{json}");
    assert_eq!(json["links_total"], 2);
    let kind = |actor: &str| {
        let kinds = json["mailboxes"].as_array().unwrap();
        kinds
            .iter()
            .find(|kind| kind["actor"] == actor)
            .unwrap_or_else(|| panic!("no {actor} in {json}"))
            .clone()
    };
    let router = kind("router");
    assert!(router["rate"].as_f64().unwrap() > 0.0 && router["capacity"] == 4096, "{router}");
    assert!(router["wait_p99"].as_f64().unwrap() >= router["wait_p50"].as_f64().unwrap(), "{router}");
    assert_eq!(kind("outgoing")["instances"], 1);
    let component = &json["components"][0];
    assert_eq!((&component["name"], &component["connected"]), (&"inbox.nuncio.example".into(), &true.into()));
    assert!(component["received"]["bytes"].as_f64().unwrap() > 0.0, "{component}");
    assert_eq!((&json["queues"], &json["failing"]), (&serde_json::json!([]), &serde_json::json!([])));
}

#[test]
fn the_command_does_not_reset_the_peak() {
    let (network, place) = (Network::new(), Place::new());
    let node = Node::start(&network, place.setup().set("log_mailboxes", "\"0s\""));
    let _inbox = node.inbox();
    let peak = || {
        let json = place.json(&["top", "--every", "0.5s"]);
        let kinds = json["mailboxes"].as_array().unwrap().clone();
        kinds.into_iter().find(|kind| kind["actor"] == "router").unwrap()["peak"].as_u64().unwrap()
    };
    let first = peak();
    assert!(first > 0);
    assert!(peak() >= first, "without a mailbox line the peak stays");
}

#[test]
fn without_a_node_top_fails_with_a_reason() {
    let place = Place::new();
    let output = place.nuncio(&["top"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("no node is running"), "{output:?}");
    let output = place.nuncio(&["top", "--json"]);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(json["error"].as_str().unwrap().contains("no node is running"), "{json}");
    assert_eq!(place.nuncio(&["top", "--every", "1ms"]).status.code(), Some(2));
}

#[test]
fn in_a_terminal_top_goes_on_when_the_node_is_restarted() {
    let (network, place) = (Network::new(), Place::new());
    let mut node = Node::start(&network, place.setup());
    let arguments = format!("top --every 0.5s --socket {}", path(&place.socket()));
    let mut terminal = Terminal::sized((80, 24), ":", &network.directory("terminal"), &arguments);
    terminal.shows("ACTOR");
    terminal.shows("q quit, s traffic | ");
    terminal.types("3");
    terminal.shows("3 [links]");
    terminal.types("s");
    terminal.shows("s waiting | ");
    assert!(node.terminate(SOON).success());
    terminal.shows("no answer for ");
    node.starts_again();
    terminal.shows("the node was restarted at ");
    terminal.types("q");
    terminal.is_put_back();
}

#[test]
fn top_restores_the_terminal_on_every_signal() {
    let (network, place) = (Network::new(), Place::new());
    let _node = Node::start(&network, place.setup());
    let arguments = format!("top --socket {}", path(&place.socket()));
    for signal in ["TERM", "INT", "HUP", "QUIT"] {
        let mut terminal = Terminal::of(":", &network.directory("terminal"), &arguments);
        terminal.shows("ACTOR");
        terminal.signals(signal);
        terminal.is_put_back();
    }
    let mut terminal = Terminal::of("trap '' HUP", &network.directory("terminal"), &arguments);
    terminal.shows("ACTOR");
    terminal.goes_away();
    terminal.program_ends();
}

#[test]
fn tables_fit_the_terminal_unless_they_shall_be_wide() {
    let (network, place) = (Network::new(), Place::new());
    let other = Node::start(&network, Setup::of("other.example"));
    let node = Node::start(&network, place.setup());
    let (mut here, mut there) = (node.inbox(), other.inbox());
    here.sends_message("someone@inbox.other.example", "ping", "");
    there.receives_id("ping");
    let shown = |columns, arguments: &str| {
        let arguments = format!("{arguments} --socket {}", path(&place.socket()));
        let terminal = Terminal::sized((columns, 40), ":", &network.directory("terminal"), &arguments);
        terminal.shows("same as before");
        let text = terminal.text().replace('\r', "");
        let table = text.split("same as before").next().unwrap();
        table.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    for columns in [80, 120] {
        let lines = shown(columns, "sessions");
        assert!(lines.iter().all(|line| line.chars().count() <= columns.into()), "{columns}: {lines:#?}");
        assert!(
            lines.iter().any(|line| line.starts_with("inbox.nuncio.example > inbox.other.example")),
            "{lines:#?}"
        );
        let note = lines.iter().find(|line| line.starts_with("not shown: ")).unwrap();
        assert!(note.contains("encryption"), "{lines:#?}");
        let wide = shown(columns, "sessions --wide");
        assert!(wide[0].contains("encryption") && wide[0].contains("acks"), "{wide:#?}");
        assert_eq!(wide.last().map(String::as_str), Some("2 links"), "{wide:#?}");
        assert_eq!(wide.len(), 4, "a line for each link: {wide:#?}");
    }
}
