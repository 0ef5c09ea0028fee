//! The operator's commands to a running node: `explain`, `sessions`, `queues`, `retry`, `close`.

mod acks;
mod address;
mod certificate;
mod component_states;
mod components;
mod probe;
mod socket;
mod top;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process};

use serde_json::Value;

use crate::support::{
    Auth, BINARY, Component, Listener, Network, Node, SOON, Server, Setup, eventually, plays,
};

#[test]
fn explain_names_the_reason_and_the_side_that_has_to_act() {
    let (network, place) = (Network::new(), Place::new());
    let expired = network.authority.certificate(&["b.example"]).expired().issue();
    plays(listener(&network, "b.example"), move |mut peer| {
        peer.answers_to_tls("b.example", &expired);
        peer.waits_for_the_end();
    });
    let node = Node::start(&network, place.setup().auth(Auth::External));
    node.inbox().asks("someone@b.example", PING);

    let told = place.tells(&["explain", "b.example"]);
    let sentence = told.lines().next().unwrap();
    assert!(sentence.starts_with("b.example: no link; certificate of b.example expired on 20"), "{sentence}");
    assert!(sentence.contains("; the operator of b.example must renew it; nothing waits, "), "{sentence}");
    for event in ["queued", "resolved", "connected", "secured", "no link", "bounced"] {
        assert!(told.contains(event), "no {event:?} in\n{told}");
    }
    assert!(told.contains("answered  1 stanza"), "what the account says:\n{told}");

    let json = place.json(&["explain", "b.example"]);
    assert_eq!(json["sentence"].as_str().unwrap().split(';').next(), sentence.split(';').next());
    assert_eq!(json["queues"][0]["trouble"]["side"], "remote");
    assert_eq!(json["queues"][0]["trouble"]["definitive"], true);
    assert_eq!(json["account"]["answered"]["stanzas"], 1);
    assert_eq!(json["unanswered"], serde_json::json!([]));
}

#[test]
fn bounces_for_one_reason_are_counted_in_one_line() {
    let (network, place) = (Network::new(), Place::new());
    let node = Node::start(&network, place.setup());
    let mut sender = node.inbox();
    for number in 0..20 {
        sender.sends_message("someone@missing.example", &number.to_string(), "");
        sender.receives_id(&number.to_string());
    }
    let told = eventually("all are counted", || {
        let json = place.json(&["explain", "missing.example"]);
        let events = json["events"].as_array().unwrap().clone();
        let bounces: Vec<_> = events.into_iter().filter(|event| event["what"] == "bounced").collect();
        (bounces.len() == 1 && bounces[0]["count"] == 20).then_some(bounces)
    });
    assert_eq!(told[0]["text"], "missing.example does not exist");
}

#[test]
fn explain_and_the_probe_name_the_same_cause() {
    let (network, place) = (Network::new(), Place::new());
    let identity = network.authority.issue(&["b.example"]);
    plays(listener(&network, "b.example"), move |mut peer| {
        peer.answers_to_tls("b.example", &identity);
        peer.sends_features("<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>");
        peer.expects("result");
        peer.sends(
            "<db:result from='b.example' to='inbox.nuncio.example' type='error'><error type='auth'>\
             <forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:result>",
        );
        peer.waits_for_the_end();
    });
    let setup = place.setup().set("s2s.dialback_secret", "\"shared\"");
    let node = Node::start(&network, setup);
    node.inbox().asks("someone@b.example", PING);
    let json = place.json(&["explain", "b.example"]);
    let trouble = &json["queues"][0]["trouble"];
    assert_eq!(trouble["cause"], "dialback-not-allowed", "{json}");
    assert_eq!(trouble["side"], "remote", "{json}");
    assert!(json["sentence"].as_str().unwrap().contains("must allow inbox.nuncio.example to "), "{json}");

    let file = network.directory("nuncio.example").join("nuncio.toml");
    let probe =
        nuncio(&["probe", "--json", "--from", "inbox.nuncio.example", "--config", path(&file), "b.example"]);
    let lines = String::from_utf8(probe.stdout).unwrap();
    let verdict: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!(verdict["failures"][0]["cause"], trouble["cause"], "{lines}");
    assert_eq!(verdict["failures"][0]["side"], trouble["side"], "{lines}");
}

#[test]
fn sessions_lists_every_link_with_its_particulars() {
    let (network, place) = (Network::new(), Place::new());
    let other = Node::start(&network, Setup::of("other.example"));
    let node = Node::start(&network, place.setup());
    let (mut here, mut there) = (node.inbox(), other.inbox());
    here.sends_message("someone@inbox.other.example", "ping", "");
    there.receives_id("ping");
    there.sends_message("someone@inbox.nuncio.example", "pong", "");
    here.receives_id("pong");

    let json = eventually("every stanza is counted", || {
        let json = place.json(&["sessions"]);
        let links = json["links"].as_array().unwrap();
        let counted = links.iter().all(|link| {
            link["sent"]["stanzas"].as_u64().unwrap() + link["received"]["stanzas"].as_u64().unwrap() > 0
        });
        (links.len() == 3 && counted).then_some(json)
    });
    assert_eq!(json["total"], 3);
    let link = |direction| {
        let links = json["links"].as_array().unwrap();
        links.iter().find(|link| link["direction"] == direction).unwrap()
    };
    for direction in ["outgoing", "incoming"] {
        let link = link(direction);
        assert_eq!(link["state"], "authenticated", "{link}");
        let pair = serde_json::json!([{ "local": "inbox.nuncio.example", "remote": "inbox.other.example" }]);
        assert_eq!(link["pairs"], pair);
        assert_eq!(link["mechanism"], "EXTERNAL", "{link}");
        assert_eq!(link["tls"]["protocol"], "TLSv1.3", "{link}");
        assert_eq!(link["tls"]["certificate"], "good", "{link}");
    }
    assert_eq!(link("outgoing")["address"], format!("{}:5269", other.address()));
    assert_eq!(link("outgoing")["sent"]["stanzas"], 1);
    assert_eq!(link("incoming")["received"]["stanzas"], 1);
    assert_eq!(link("component")["pairs"][0]["local"], "inbox.nuncio.example");
    assert_eq!(link("component")["received"]["stanzas"], 1);
    assert_eq!(link("component")["sent"]["stanzas"], 1);

    let table = place.tells(&["sessions", "inbox.other.example"]);
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("link  ") && lines[0].contains("certificate"), "{table}");
    assert!(lines[1].starts_with("inbox.nuncio.example > inbox.other.example  us  "), "{table}");
    assert!(lines[2].starts_with("inbox.nuncio.example > inbox.other.example  them  "), "{table}");
    assert_eq!(lines[3], "2 links");
    let told = place.tells(&["explain", "inbox.other.example"]);
    assert!(told.starts_with("inbox.other.example: linked both ways for "), "{told}");
}

#[test]
fn a_pending_link_is_listed_with_its_stage() {
    let (network, place) = (Network::new(), Place::new());
    plays(listener(&network, "slow.example"), |mut peer| peer.waits_for_the_end());
    let node = Node::start(&network, place.setup());
    node.inbox().sends_message("someone@slow.example", "one", "");
    let link = eventually("the attempt is listed", || {
        let json = place.json(&["sessions", "slow.example"]);
        json["links"].as_array().unwrap().first().filter(|link| link["state"] == "negotiating").cloned()
    });
    assert_eq!(link["direction"], "outgoing");
    assert_eq!(link["waiting"]["stanzas"], 1);
    let told = place.tells(&["explain", "slow.example"]);
    assert!(told.starts_with("slow.example: a link is being made, negotiating with 127."), "{told}");
    assert!(told.lines().next().unwrap().ends_with("; 1 stanza waits"), "{told}");
}

#[test]
fn queues_lists_the_longest_queue_first() {
    let (network, place) = (Network::new(), Place::new());
    for domain in ["one.example", "many.example"] {
        network.publish(domain, network.address());
    }
    let node = Node::start(&network, place.setup().set("promise.backoff", "[\"100s\", \"200s\"]"));
    let mut sender = node.inbox();
    sender.sends_message("someone@one.example", "1", "");
    for number in 0..3 {
        sender.sends_message("someone@many.example", &number.to_string(), "");
    }
    let json = eventually("both attempts have failed", || {
        let json = place.json(&["queues"]);
        let queues = json["queues"].as_array().unwrap();
        (queues.len() == 2 && queues.iter().all(|queue| queue["state"] == "pause")).then_some(json)
    });
    assert_eq!(json["waiting"]["stanzas"], 4);
    let first = &json["queues"][0];
    assert_eq!((&first["remote"], &first["waiting"]["stanzas"]), (&"many.example".into(), &3.into()));
    assert_eq!(first["failures"], 1);
    assert!(first["next_attempt"].as_f64().unwrap() > 10.0, "{first}");
    assert!(first["oldest"].as_f64().unwrap() < 30.0, "{first}");
    assert!(first["trouble"]["reason"].as_str().unwrap().contains("refused the connection"), "{first}");

    let one = place.json(&["queues", "--limit", "1"]);
    assert_eq!((one["queues"].as_array().unwrap().len(), &one["total"]), (1, &2.into()));
    let table = place.tells(&["queues", "--limit", "1"]);
    assert!(table.contains("2 queues, 1 not shown: use --limit N to show more"), "{table}");
    assert!(table.contains("4 stanzas, "), "{table}");
}

#[test]
fn retry_ends_the_pause_at_once() {
    let (network, place) = (Network::new(), Place::new());
    let address = network.address();
    network.publish("other.example", address);
    let node = Node::start(&network, place.setup().set("promise.backoff", "[\"100s\", \"200s\"]"));
    node.inbox().sends_message("someone@other.example", "patient", "");
    node.eventually_logs(&["no link", "other.example"]);
    let paused = place.tells(&["explain", "other.example"]);
    assert!(paused.contains("1 stanza waits, next attempt in "), "{paused}");

    let listener = Listener::at(address);
    let told = place.tells(&["retry", "other.example"]);
    assert_eq!(told.trim_end(), "other.example: retrying now (inbox.nuncio.example > other.example)");
    let _attempt = listener.accepts();
    let again = place.json(&["retry", "other.example"]);
    assert_eq!(again["begun"], serde_json::json!([]), "{again}");
}

#[test]
fn retry_resets_the_back_off() {
    let (network, place) = (Network::new(), Place::new());
    network.publish("other.example", network.address());
    let node = Node::start(&network, place.setup().set("promise.backoff", "[\"40s\", \"4000s\"]"));
    node.inbox().sends_message("someone@other.example", "patient", "");
    node.eventually_logs(&["no link", "other.example"]);
    let failed = |retries: usize| {
        eventually("the attempt has failed", || {
            let json = place.json(&["explain", "other.example"]);
            let events = json["events"].as_array().unwrap();
            let retried = events.iter().filter(|event| event["what"] == "retried").count();
            let is_over = events.last().is_some_and(|event| event["what"] == "no-link");
            (retried == retries && is_over).then(|| json["queues"][0].clone())
        })
    };
    failed(0);
    for retries in 1..=4 {
        place.tells(&["retry", "other.example"]);
        let queue = failed(retries);
        assert_eq!(queue["failures"], 1, "{queue}");
        assert!(queue["next_attempt"].as_f64().unwrap() <= 40.0, "{queue}");
    }
}

#[test]
fn close_loses_no_stanza_and_counts_the_closed_links() {
    let (network, place) = (Network::new(), Place::new());
    let other = Node::start(&network, Setup::of("other.example"));
    let node = Node::start(&network, place.setup());
    let (here, mut there) = (node.inbox(), other.inbox());
    let sending = here.floods(COUNT, |number| {
        format!(
            "<message from='a@inbox.nuncio.example' to='b@inbox.other.example' id='{number}' type='chat'>\
             <body>{number}</body></message>"
        )
    });
    let (mut arrived, mut closed) = (0, 0);
    while arrived < COUNT {
        let message = there.next(SOON).expect("the next message");
        assert_eq!(message.attribute("id"), arrived.to_string(), "in order");
        arrived += 1;
        if arrived % (COUNT / 5) == COUNT / 10 {
            let json = place.json(&["close", "inbox.other.example"]);
            assert_eq!(json["down"], true, "{json}");
            closed += json["outgoing"].as_u64().unwrap();
        }
    }
    assert_eq!(sending.join().unwrap(), COUNT);
    assert!(closed >= 1, "no link was closed");
    // The link is closed, and reopened by the next stanza.
    place.tells(&["close", "inbox.other.example"]);
    let told = place.tells(&["explain", "inbox.other.example"]);
    assert!(told.contains("closed") && told.contains("closed by an operator"), "{told}");
}

#[test]
fn close_ends_streams_that_the_other_side_opened_too() {
    let (network, place) = (Network::new(), Place::new());
    let identity = network.authority.issue(&["peer.example"]);
    let node = Node::start(&network, place.setup());
    let mut inbox = node.inbox();
    let mut peer = crate::support::Peer::authenticates(
        node.address(),
        "peer.example",
        "inbox.nuncio.example",
        &identity,
    );
    peer.sends("<message from='a@peer.example' to='b@inbox.nuncio.example' id='1'/>");
    inbox.receives_id("1");
    let told = std::thread::scope(|scope| {
        let closing = scope.spawn(|| place.tells(&["close", "peer.example"]));
        peer.waits_for_the_end();
        closing.join().unwrap()
    });
    assert!(told.starts_with("peer.example: 1 link closed (0 opened here, 1 there)"), "{told}");
}

#[test]
fn an_unknown_domain_is_reported_as_unknown() {
    let (network, place) = (Network::new(), Place::new());
    let _node = Node::start(&network, place.setup());
    for command in ["explain", "retry", "close"] {
        let output = place.nuncio(&[command, "never.example"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains("never.example is unknown: no link, no queue"), "{told}");
    }
    let output = place.nuncio(&["explain", "--json", "never.example"]);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(json["error"].as_str().unwrap().contains("unknown"), "{json}");
    assert_eq!(place.tells(&["sessions", "never.example"]).trim_end(), "0 links");
}

#[test]
fn a_domain_of_our_own_is_never_tried_again() {
    let (network, place) = (Network::new(), Place::new());
    let node = Node::start(&network, place.setup());
    let _inbox = node.inbox();
    for own in ["nuncio.example", "inbox.nuncio.example"] {
        let output = place.nuncio(&["retry", own]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains(&format!("{own} is served by this node")), "{told}");
    }
    let links = place.json(&["sessions"]);
    assert_eq!(links["links"][0]["direction"], "component", "and its link stands: {links}");
}

#[test]
fn a_file_that_is_no_socket_is_reported() {
    let place = Place::new();
    fs::write(place.socket(), "").unwrap();
    let output = place.nuncio(&["sessions"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("nuncio.sock is not a socket"), "{told}");
}

#[test]
fn a_domain_that_is_not_allowed_is_explained_by_our_own_rule() {
    let (network, place) = (Network::new(), Place::new());
    let _node = Node::start(&network, place.setup().set("s2s.deny", "[\"denied.example\"]"));
    let told = place.tells(&["explain", "denied.example"]);
    assert!(told.starts_with("denied.example: not allowed by s2s.allow and s2s.deny"), "{told}");
    let told = place.tells(&["retry", "denied.example"]);
    assert!(told.starts_with("denied.example: not allowed by s2s.allow and s2s.deny"), "{told}");
}

#[test]
fn an_international_domain_is_found_in_any_spelling() {
    let (network, place) = (Network::new(), Place::new());
    let node = Node::start(&network, place.setup());
    let mut sender = node.inbox();
    sender.sends_message("someone@bücher.example", "one", "");
    sender.receives_id("one");
    for spelling in ["bücher.example", "BÜCHER.example", "xn--bcher-kva.example", "Bücher.Example."] {
        let told = place.tells(&["explain", spelling]);
        assert!(told.starts_with("xn--bcher-kva.example: no link; "), "{spelling}: {told}");
    }
    assert_eq!(place.nuncio(&["explain", "no domain"]).status.code(), Some(2));
}

#[test]
fn as_much_is_remembered_as_the_operator_wants() {
    let (network, place) = (Network::new(), Place::new());
    let setup = place.setup().set("limits.recorded_domains", "2").set("limits.recorded_events", "3");
    let node = Node::start(&network, setup);
    let mut sender = node.inbox();
    for domain in ["a.missing.example", "b.missing.example", "c.missing.example"] {
        for kind in ["queued", "resolved", "bounced"] {
            sender.sends_message(domain, kind, "");
            sender.receives_id(kind);
        }
    }
    let events = |domain: &str| {
        let output = place.nuncio(&["explain", domain, "--json"]);
        let json: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        json["events"].as_array().map_or(0, Vec::len)
    };
    assert_eq!(events("c.missing.example"), 3);
    assert_eq!(events("b.missing.example"), 3);
    assert_eq!(events("a.missing.example"), 0, "a third domain is remembered");
}

#[test]
fn explain_names_domains_above_and_below_that_have_links_or_queues() {
    let (network, place) = (Network::new(), Place::new());
    let node = Node::start(&network, place.setup());
    let other = Node::start(&network, Setup::of("chat.b.example").component("x.chat.b.example"));
    let (mut sender, mut receiver) = (node.inbox(), other.inbox());
    sender.sends_message(receiver.name(), "one", "");
    receiver.receives_id("one");
    let linked = receiver.name().to_owned();
    let unknown = place.nuncio(&["explain", "b.example"]);
    let told = String::from_utf8_lossy(&unknown.stderr);
    assert!(told.contains(&format!("related domains: {linked} (1 link, nothing waits)")), "{told}");
    assert!(!told.contains("nuncio.example"), "{told}");
    // Also for a domain with recorded events.
    sender.sends_message("someone@b.example", "two", "");
    sender.receives_id("two");
    let told = place.tells(&["explain", "b.example"]);
    assert!(told.contains("Related domains") && told.contains(&linked), "{told}");
    let json = place.json(&["explain", "b.example"]);
    assert_eq!(json["related"][0]["domain"], linked.as_str());
}

/// A directory for the control socket of a test: socket paths are limited to 107 bytes, and test paths are longer.
pub(crate) struct Place(PathBuf);

impl Place {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("nuncio-s-{}-{count}", process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn socket(&self) -> PathBuf {
        self.file("nuncio.sock")
    }

    /// A file here, whose path is short enough for a socket.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The setup of `nuncio.example` with its socket here.
    pub(crate) fn setup(&self) -> Setup {
        Setup::of("nuncio.example").set("listen.control", &format!("{:?}", self.socket()))
    }

    /// Runs a command against the socket.
    fn nuncio(&self, arguments: &[&str]) -> Output {
        nuncio(&[&arguments[..1], &["--socket", path(&self.socket())], &arguments[1..]].concat())
    }

    /// Runs a command that must succeed, and returns its text.
    #[track_caller]
    pub(crate) fn tells(&self, arguments: &[&str]) -> String {
        let output = self.nuncio(arguments);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command that must fail, and returns the error.
    #[track_caller]
    pub(crate) fn fails(&self, arguments: &[&str]) -> String {
        let output = self.nuncio(arguments);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Runs a command that must succeed, and returns its JSON.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let told = self.tells(&[arguments, &["--json"]].concat());
        serde_json::from_str(&told).unwrap_or_else(|error| panic!("{error} in {told}"))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn nuncio(arguments: &[&str]) -> Output {
    Command::new(BINARY).args(arguments).env_remove("RUST_LOG").env("TZ", "UTC").output().unwrap()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Publishes `domain` and listens at its address.
fn listener(network: &Network, domain: &str) -> Listener {
    let address = network.address();
    network.publish(domain, address);
    Listener::at(address)
}

/// Stanzas of a flood over several links.
const COUNT: usize = 2_000;

const PING: &str = "<ping xmlns='urn:xmpp:ping'/>";
