//! Components that are away, and the journal: as on one node, whichever node has the stanzas.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::fixture::{Cluster, DOMAIN, figure_of, floods};
use crate::delivery::Tally;
use crate::support::{Broker, Component, Event, Network, Node, SECRET, SOON, Server, Setup, figure, within};

#[test]
fn messages_wait_at_another_node_for_a_component_that_is_away() {
    let cluster = seen_by_a(|_, setup| setup);
    let other = Node::start(&cluster.network, Setup::of("other.example"));
    let far = other.inbox();
    let near = cluster.inbox(1);
    let mut tally = Tally::of(MANY);
    let flood = floods(&far, near.name(), 0, MANY);
    near.closes().iter().for_each(|message| tally.takes(message));
    assert_eq!(flood.join().unwrap(), MANY);
    let mut near = cluster.inbox(1);
    tally.waits_for(&mut near, MANY);
    tally.is_exact();
    assert_eq!((cluster.sum("difference"), cluster.sum("answered"), cluster.sum("expired")), (0, 0, 0));
}

#[test]
fn users_learn_from_the_node_of_a_component_that_it_is_unavailable_and_from_no_other() {
    let cluster = seen_by_a(|_, setup| setup.set("absence.presence", "\"1s\""));
    let other = Node::start(&cluster.network, Setup::of("other.example"));
    let mut far = other.inbox();
    cluster.makes_link(0, &mut far);
    let mut near = cluster.inbox(1);
    let presence =
        |type_: &str| format!("<presence from='bot@{}' to='user@{}'{type_}/>", near.name(), far.name());
    let available = presence("");
    near.sends(&available);
    far.receives("presence", |stanza| stanza.name == "presence" && stanza.attribute("type").is_empty());
    // It is at the other node for longer than presence waits.
    near.closes();
    let mut near = cluster.inbox(0);
    near.sends_message(far.name(), "here", "");
    far.receives_id("here");
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert!(!far.has_received(), "it is connected");
    near.closes();
    far.receives("its absence", |stanza| stanza.attribute("type") == "unavailable");
}

#[test]
fn answers_for_a_server_whose_link_is_at_another_node_are_counted_when_the_node_stops() {
    let cluster = seen_by_a(|_, setup| setup);
    let other = Node::start(&cluster.network, Setup::of("other.example"));
    let mut far = other.inbox();
    let mut near = cluster.inbox(1);
    near.sends_message(far.name(), "here", "");
    far.receives_id("here");
    let name = near.name().to_owned();
    near.closes();
    assert_eq!(floods(&far, &name, 0, MANY).join().unwrap(), MANY);
    let waits = format!("waiting={MANY}");
    within(SOON, "everything waits", || cluster.nodes[0].account().contains(&waits).then_some(()));
    let status = cluster.nodes[0].terminate(LIMIT);
    assert!(status.success(), "{status}");
    let answers = format!("answers={MANY}");
    cluster.nodes[0].eventually_logs(&["WARN", "nuncio::promise", "answers not sent", &answers, "domains=1"]);
    let (answered, unsent) = (format!("answered={MANY}"), format!("unsent_answers={MANY}"));
    cluster.nodes[0].eventually_logs(&["nuncio::account", "domain=*", &answered, &unsent, "difference=0"]);
    assert!(!far.has_received(), "no answer is sent");
}

#[test]
fn messages_in_the_journal_of_a_node_survive_sigkill_and_reach_a_component_at_another_node() {
    let mut cluster = seen_by_a(with_journal);
    let other = Node::start(&cluster.network, Setup::of("other.example"));
    let far = other.inbox();
    let name = format!("inbox.{DOMAIN}");
    assert_eq!(floods(&far, &name, 0, MANY).join().unwrap(), MANY);
    has_journaled(&cluster.nodes[0], MANY);
    // Otherwise it would send some again.
    other.settled_account();
    cluster.kills(0);
    let mut near = cluster.inbox(1);
    cluster.starts_again(0);
    let mut tally = Tally::of(MANY);
    tally.waits_for(&mut near, MANY);
    tally.is_exact();
    let account = cluster.nodes[0].settled_account();
    assert_eq!((figure(&account, "restored"), figure(&account, "relayed")), (MANY, MANY));
}

#[test]
fn messages_that_a_killed_node_had_for_a_component_reach_it_at_another_node() {
    let mut cluster = seen_by_a(with_journal);
    let other = Node::start(&cluster.network, Setup::of("other.example"));
    let far = other.inbox();
    let name = format!("inbox.{DOMAIN}");
    let mut slow = Component::connect_slow(cluster.nodes[1].address(), &name);
    let filling = "x".repeat(LONG);
    let (from, to) = (far.name().to_owned(), name.clone());
    let flood = far.floods(MANY, move |id| {
        format!("<message from='a@{from}' to='b@{to}' id='{id}' type='chat'><body>{filling}</body></message>")
    });
    assert_eq!(flood.join().unwrap(), MANY);
    within(SOON, "node a has taken all of them", || {
        (figure(&cluster.nodes[0].account(), "taken") == MANY).then_some(())
    });
    cluster.kills(1);
    let mut tally = Tally::of(MANY);
    while let Ok(event) = slow.next(SOON) {
        match event {
            Event::Element(message) if message.name == "message" => tally.takes(&message),
            _ => {}
        }
    }
    let read = tally.arrived;
    assert!(read < MANY / 2, "{read} fit into the connection, which the component did not read");
    let mut near = connects_in_the_end(&cluster.nodes[0], &name);
    tally.waits_for(&mut near, MANY);
    assert_eq!(tally.out_of_order, 0);
    println!("{read} were in the connection of the killed node, {} repeats", tally.repeats);
    cluster.starts_again(1);
    assert_eq!(cluster.sum("difference"), 0);
}

#[test]
fn messages_that_a_node_has_from_another_one_in_its_journal_survive_sigkill() {
    // Node `b` has little memory for what waits: the rest is in its file, and settled for node `a`.
    let mut cluster = seen_by_a(|index, setup| {
        let setup = with_journal(index, setup);
        if index == 1 { setup.set("promise.max_stanzas", &FEW.to_string()) } else { setup }
    });
    let mut other = Node::start(&cluster.network, Setup::of("other.example"));
    let mut far = other.inbox();
    cluster.makes_link(1, &mut far);
    assert!(other.terminate(SOON).success());
    // One message waits for a link at node `b`, which keeps the claim. Then the component moves.
    let near = cluster.inbox(1);
    assert_eq!(floods(&near, far.name(), 0, 1).join().unwrap(), 1);
    has_journaled(&cluster.nodes[1], 1);
    near.closes();
    let near = cluster.inbox(0);
    assert_eq!(floods(&near, far.name(), 1, MANY - 1).join().unwrap(), MANY - 1);
    within(SOON, "node b has all but a few in its file", || {
        (figure_of(&cluster.nodes[0].account(), "relayed") >= MOST).then_some(())
    });
    cluster.kills(1);
    other.starts_again();
    far = other.inbox();
    cluster.starts_again(1);
    let mut tally = Tally::of(MANY);
    tally.waits_for(&mut far, MANY);
    assert_eq!(cluster.sum("difference"), 0);
    let restored = figure(&cluster.nodes[1].account(), "restored");
    println!("{restored} in the file of the killed node, {} repeats", tally.repeats);
    assert!(restored >= MOST, "{restored}");
}

/// Two nodes, of which other servers know node `a` only.
fn seen_by_a(settings: impl Fn(usize, Setup) -> Setup) -> Cluster {
    let network = Network::new();
    let broker = Broker::start(&network);
    Cluster::of(network, broker, &["a", "b"], |index, setup| {
        let setup = settings(index, setup);
        if index == 0 { setup } else { setup.unpublished() }
    })
}

fn with_journal(_: usize, setup: Setup) -> Setup {
    setup
        .set("listen.metrics", &format!("[\"{{ip}}:{METRICS}\"]"))
        .set("journal.path", "\"waiting.redb\"")
        .set("absence.max_bytes", "\"64 MiB\"")
}

/// Waits until so many messages are in the file of a node, as its metrics say.
fn has_journaled(node: &Node, count: usize) {
    let wanted = format!("nuncio_journal_records {count}\n");
    within(SOON, "the messages are in the file", || {
        let mut scrape = TcpStream::connect((node.address(), METRICS)).unwrap();
        scrape.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        scrape.read_to_string(&mut text).unwrap();
        text.contains(&wanted).then_some(())
    });
}

/// Connects the component to a node. It is refused as long as the cluster takes its last node for alive.
fn connects_in_the_end(node: &Node, name: &str) -> Component {
    within(SOON, "the component is connected", || {
        Component::try_connect(node.address(), name, SECRET)
            .inspect_err(|why| assert_eq!(why, "conflict"))
            .ok()
    })
}

/// The port of the metrics.
const METRICS: u16 = 9469;

/// For a node to stop.
const LIMIT: Duration = Duration::from_secs(30);

/// Messages of each test.
const MANY: usize = 1_000;

/// Messages for which node `b` has memory, and those that are in its file then. A parcel is settled as a whole.
const FEW: usize = 100;
const MOST: usize = MANY - 2 * FEW;

/// Bytes of a message, so that all of them are more than the system keeps for a connection.
const LONG: usize = 20_000;
