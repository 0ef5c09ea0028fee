//! What an operator sees of a cluster: a command at one node asks all of them.

use serde_json::{Value, json};

use super::fixture::Cluster;
use crate::control::Place;
use crate::support::{Component, Listener, Network, Node, Server, Setup, eventually};

/// Two nodes with their control sockets.
struct Commanded {
    cluster: Cluster,
    places: [Place; 2],
}

impl Commanded {
    fn start(settings: impl Fn(Setup) -> Setup) -> Self {
        let places = [Place::new(), Place::new()];
        let cluster = Cluster::with(Network::new(), |setup| {
            let place = &places[usize::from(setup.directory() == "b")];
            let socket = format!("{:?}", place.file("nuncio.sock"));
            settings(setup).set("listen.control", &socket)
        });
        Self { cluster, places }
    }

    /// The first node makes a link from its component to the component of another server.
    fn links(&self, other: &Node) -> (Component, Component) {
        let (mut near, mut far) = (self.cluster.inbox(0), other.inbox());
        near.sends_message(far.name(), "first", "");
        far.receives_id("first");
        (near, far)
    }
}

fn nodes_of(entries: &Value) -> Vec<&str> {
    entries.as_array().unwrap().iter().map(|entry| entry["node"].as_str().unwrap_or_default()).collect()
}

#[test]
fn the_command_nodes_shows_members_links_and_components() {
    let commanded = Commanded::start(|setup| setup);
    let other = Node::start(&commanded.cluster.network, Setup::of("other.example"));
    let _ends = commanded.links(&other);
    let text = commanded.places[0].tells(&["nodes", "--wide"]);
    let words =
        |line: usize| text.lines().nth(line).unwrap_or_default().split_whitespace().collect::<Vec<_>>();
    assert_eq!(words(0), ["cluster", "test,", "seen", "by", "a"], "{text}");
    assert!(text.lines().nth(1).is_some_and(|line| line.starts_with("broker connected since")), "{text}");
    assert_eq!(words(3)[..6], ["a", "this", "node", "-", "1", "1"], "{text}");
    assert_eq!(words(4)[..2], ["b", "alive"], "{text}");
}

#[test]
fn how_many_links_and_components_a_node_has_shows_at_the_others_and_in_the_line_about_its_death() {
    let commanded = Commanded::start(|setup| setup);
    let other = Node::start(&commanded.cluster.network, Setup::of("other.example"));
    let _ends = commanded.links(&other);
    let there = &commanded.places[1];
    eventually("a beat of node a has them", || {
        let nodes = there.json(&["nodes"])["nodes"].clone();
        let a = nodes.as_array().unwrap().iter().find(|node| node["name"] == "a").cloned().unwrap();
        (a["claims"] == 1 && a["components"] == 1).then_some(())
    });
    commanded.cluster.kills(0);
    let b = &commanded.cluster.nodes[1];
    b.eventually_logs(&["WARN", "node died", "node=a", "claims=1", "components=1"]);
    let nodes = there.json(&["nodes"])["nodes"].clone();
    let a = nodes.as_array().unwrap().iter().find(|node| node["name"] == "a").cloned().unwrap();
    assert!(a["state"] == "dead" && a["claims"].is_null(), "{a}");
}

#[test]
fn links_and_components_of_another_node_are_shown_and_closed() {
    let commanded = Commanded::start(|setup| setup);
    let other = Node::start(&commanded.cluster.network, Setup::of("other.example"));
    let (mut near, _far) = commanded.links(&other);
    let [here, there] = &commanded.places;

    let sessions = there.json(&["sessions"]);
    assert_eq!((&sessions["asked_node"], &sessions["total"]), (&json!("b"), &json!(2)), "{sessions}");
    assert_eq!(nodes_of(&sessions["links"]), ["a", "a"], "{sessions}");
    assert_eq!((&sessions["unanswered"], sessions.get("missing")), (&json!([]), None), "{sessions}");
    assert_eq!(here.json(&["sessions"])["total"], 2);
    let table = there.tells(&["sessions", "inbox.other.example"]);
    let words: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(words[0][..2], ["link", "node"], "{table}");
    assert_eq!(words[1][..4], ["inbox.nuncio.example", ">", "inbox.other.example", "a"], "{table}");

    let alone = there.json(&["sessions", "--this-node"]);
    assert_eq!((&alone["total"], alone.get("asked_node")), (&json!(0), None), "{alone}");
    assert_eq!(there.tells(&["sessions", "--this-node"]).trim_end(), "0 links");

    let told = there.tells(&["explain", "inbox.other.example"]);
    let sentence = told.lines().next().unwrap();
    let linked = "inbox.other.example: linked from here, not from there for ";
    assert!(sentence.starts_with(linked) && sentence.contains(" by node a, EXTERNAL over TLSv1.3"), "{told}");
    let told = here.tells(&["explain", "inbox.other.example"]);
    assert!(told.lines().next().unwrap().contains(" by this node, EXTERNAL over"), "{told}");
    let explained = there.json(&["explain", "inbox.other.example"]);
    assert_eq!(nodes_of(&explained["events"]).first(), Some(&"a"), "{explained}");

    let components = there.json(&["components", near.name()]);
    assert_eq!(nodes_of(&components["components"]), ["a"], "{components}");
    assert_eq!(components["components"][0]["link"]["node"], "a", "{components}");
    let told = there.tells(&["explain", near.name()]);
    assert!(told.starts_with("inbox.nuncio.example: component connected to node a for "), "{told}");

    let closed = there.json(&["close", "inbox.other.example"]);
    assert_eq!(
        closed["sentence"],
        "inbox.other.example: 1 link closed (1 opened here, 0 there) on node a; nothing waits"
    );
    let nodes = json!([{ "node": "a", "outgoing": 1, "incoming": 0, "down": true }]);
    assert_eq!(closed["nodes"], nodes, "{closed}");
    let told = there.tells(&["close", near.name()]);
    assert_eq!(
        told.trim_end(),
        "inbox.nuncio.example: the connection of the component is closed on node a; it may connect again"
    );
    near.expects_end();
    for command in ["explain", "retry", "close"] {
        let refused = there.fails(&[command, "never.example"]);
        assert!(refused.contains("never.example is unknown to the nodes b, a: no link"), "{refused}");
    }
}

#[test]
fn what_waits_at_another_node_is_shown_with_its_reason_and_tried_again_there() {
    let commanded = Commanded::start(|setup| setup.set("promise.backoff", "[\"100s\", \"200s\"]"));
    let network = &commanded.cluster.network;
    let address = network.address();
    network.publish("down.example", address);
    let mut sender = commanded.cluster.inbox(1);
    sender.sends_message("someone@down.example", "patient", "");
    commanded.cluster.nodes[1].eventually_logs(&["no link", "down.example"]);
    let here = &commanded.places[0];

    let queues = here.json(&["queues"]);
    assert_eq!((nodes_of(&queues["queues"]), &queues["waiting"]["stanzas"]), (vec!["b"], &json!(1)));
    let told = here.tells(&["explain", "down.example"]);
    let sentence = told.lines().next().unwrap();
    assert!(sentence.contains("refused the connection; "), "{told}");
    assert!(sentence.contains("; 1 stanza waits on node b, next attempt in "), "{told}");
    assert!(sentence.ends_with(" by node b"), "{told}");

    // The component moves, and its stanzas go to the node that makes the attempts.
    sender.closes();
    let mut sender = commanded.cluster.inbox(0);
    sender.sends_message("someone@down.example", "second", "");
    eventually("both stanzas wait there", || {
        let queues = here.json(&["queues"]);
        (queues["waiting"]["stanzas"] == 2 && nodes_of(&queues["queues"]) == ["b"]).then_some(())
    });
    let told = here.tells(&["explain", "down.example"]);
    assert!(told.contains("; 2 stanzas wait on node b, next attempt in "), "{told}");

    let listener = Listener::at(address);
    let told = here.tells(&["retry", "down.example"]);
    assert!(
        told.contains("retrying now (") && told.contains("inbox.nuncio.example > down.example by node b"),
        "{told}"
    );
    let _attempt = listener.accepts();
}

#[test]
fn a_node_that_hangs_is_named_and_the_rest_is_shown() {
    let commanded = Commanded::start(|setup| setup);
    let other = Node::start(&commanded.cluster.network, Setup::of("other.example"));
    let _ends = commanded.links(&other);
    let [here, _] = &commanded.places;
    commanded.cluster.nodes[1].process().signal("STOP");
    let began = std::time::Instant::now();
    let sessions = here.json(&["sessions"]);
    println!("answered in {:?}", began.elapsed());
    assert_eq!((&sessions["total"], &sessions["unanswered"]), (&json!(2), &json!(["node b"])), "{sessions}");
    assert_eq!(sessions["missing"], json!([{ "node": "b", "reason": "no-answer" }]), "{sessions}");
    let told = here.tells(&["sessions"]);
    assert!(
        told.contains("\nincomplete: node b did not answer in time; nuncio nodes shows whether"),
        "{told}"
    );
    commanded.cluster.nodes[1].process().signal("CONT");
    eventually("it answers again", || (here.json(&["sessions"])["unanswered"] == json!([])).then_some(()));
}
