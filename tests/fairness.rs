//! Slow and unreachable destinations do not stop a healthy one, and a shutdown among them loses no stanza.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::support::{Component, Listener, NEVER, Network, Node, Peer, Prosody, Proxy, SOON, Server, Setup};

/// One component writes to three domains in turn, as fast as the node reads. The remaining rate is printed.
#[test]
fn a_deaf_and_a_dead_destination_do_not_stop_a_healthy_one() {
    let nodes = Nodes::new();
    let mut healthy = nodes.prosody.inbox();
    let (sender, to) = (nodes.node.inbox(), healthy.name().to_owned());
    let count: usize =
        std::env::var("NUNCIO_MESSAGES").ok().and_then(|count| count.parse().ok()).unwrap_or(COUNT);
    let alone = floods(&sender, count, &[&to]);
    let quiet = time_to_receive(&mut healthy, count);
    alone.join().unwrap();

    let mixed = floods(&sender, 3 * count, &["deaf.example", "dead.example", &to]);
    let busy = time_to_receive(&mut healthy, count);
    mixed.join().unwrap();
    let rate = |time: Duration| count as f64 / time.as_secs_f64();
    println!(
        "{count} messages to Prosody: {:.0} a second alone, {:.0} beside a deaf and a dead domain: {:.0} %",
        rate(quiet),
        rate(busy),
        100.0 * rate(busy) / rate(quiet)
    );
    // The deaf domain was still connected while the healthy one received everything.
    assert!(!nodes.node.process().logged(&["closed", "deaf.example"]), "the deaf domain was given up");
    drop(nodes.deaf.join().unwrap());
}

#[test]
fn a_slow_destination_is_answered_for_and_the_others_of_its_source_go_on() {
    let network = Network::new();
    let other = Node::start(&network, Setup::of("other.example"));
    let address = network.address();
    network.publish("slow.example", address);
    let (listener, identity) = (Listener::at(address), network.authority.issue(&["slow.example"]));
    let node = Node::start(&network, Setup::of("nuncio.example").set("promise.max_bytes", "\"2 MiB\""));
    let _slow = thread::spawn(move || {
        let mut peer = listener.accepts();
        peer.answers_to_external("slow.example", &identity);
        // Some hundred KiB a second, until the node closes the connection.
        while peer.reads(SOON).is_ok() {
            thread::sleep(Duration::from_millis(100));
        }
    });
    let (mut sender, mut healthy) = (node.inbox(), other.inbox());
    let flood = floods_with(LONG, &sender, 2 * SLOW_COUNT, &["slow.example", healthy.name()]);
    time_to_receive(&mut healthy, SLOW_COUNT);
    flood.join().unwrap();
    let refused = sender.receives("a refusal", |stanza| stanza.attribute("type") == "error");
    refused.expect("error").expect("resource-constraint");
    assert!(node.process().logged(&["refused: ", "slow.example", "bound=promise.max_bytes"]));
}

#[test]
fn sigterm_beside_a_slow_destination_answers_the_queued_stanzas() {
    let network = Network::new();
    let address = network.address();
    network.publish("slow.example", address);
    let (listener, identity) = (Listener::at(address), network.authority.issue(&["slow.example"]));
    let node = Node::start(&network, Setup::of("nuncio.example"));
    let over = Arc::<AtomicBool>::default();
    let until = Arc::clone(&over);
    let slow = thread::spawn(move || {
        let mut peer = listener.accepts();
        peer.answers_to_external("slow.example", &identity);
        // After the node has ended, the rest in the socket buffers is read without a pause.
        while peer.reads(SOON).is_ok() {
            if !until.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(200));
            }
        }
    });
    let sender = node.inbox();
    let flood = floods_with(LONG, &sender, SLOW_COUNT, &["slow.example"]);
    node.eventually_logs(&["handed over", "slow.example"]);
    stops_without_a_difference(&node);
    over.store(true, Ordering::Relaxed);
    flood.join().unwrap();
    slow.join().unwrap();
}

#[test]
fn sigterm_beside_deaf_and_dead_destinations_leaves_no_difference() {
    let nodes = Nodes::new();
    let mut healthy = nodes.prosody.inbox();
    let sender = nodes.node.inbox();
    let flood = floods(&sender, 3 * COUNT, &["deaf.example", "dead.example", healthy.name()]);
    for _ in 0..COUNT / 4 {
        healthy.next(SOON).expect("a message of the flood");
    }
    stops_without_a_difference(&nodes.node);
    flood.join().unwrap();
    drop(nodes.deaf.join().unwrap());
}

#[test]
fn sigterm_with_five_hundred_queued_leaves_no_difference() {
    let network = Network::new();
    let prosody = Prosody::start(&network, Setup::of("prosody.example"));
    let node = Node::start(&network, Setup::of("nuncio.example"));
    let mut sender = node.inbox();
    sender.asks("prosody.example", PING);
    let _away = prosody.stop();
    for number in 0..500 {
        sender.sends_message("nobody@prosody.example", &number.to_string(), "");
    }
    node.eventually_logs(&["no link", "waiting=500"]);
    stops_without_a_difference(&node);
    for number in 0..500 {
        sender.receives_id(&number.to_string()).expect("error").expect("remote-server-timeout");
    }
}

#[test]
fn sigterm_while_a_link_is_cut_leaves_no_difference() {
    let network = Network::new();
    let other = Node::start(&network, Setup::of("other.example"));
    let proxy = Proxy::start(network.address(), other.address());
    let remote =
        format!("[[remote]]\nname = \"inbox.other.example\"\naddress = \"{}:5269\"", proxy.address());
    let setup = Setup::of("nuncio.example").block(&remote).set("promise.backoff", "[\"50ms\", \"200ms\"]");
    let node = Node::start(&network, setup);
    let (sender, mut receiver) = (node.inbox(), other.inbox());
    let flood = floods(&sender, COUNT * 10, &[receiver.name()]);
    for _ in 0..5 {
        for _ in 0..COUNT / 10 {
            receiver.next(SOON).expect("a message of the flood");
        }
        proxy.cuts();
    }
    stops_without_a_difference(&node);
    flood.join().unwrap();
}

#[test]
fn sigterm_while_two_thousand_domains_are_tried_leaves_no_difference() {
    let network = Network::new();
    let closed = network.address();
    let pattern = format!("[[remote]]\nname = \"*.dead.example\"\naddress = \"{closed}:5269\"");
    let setup = Setup::of("nuncio.example").block(&pattern);
    let node = Node::start(&network, setup.log("warn,nuncio::account=info,nuncio::node=info"));
    let sender = node.inbox();
    let to: Vec<String> = (0..COUNT).map(|number| format!("d{number}.dead.example")).collect();
    let flood = floods(&sender, COUNT, &to.iter().map(String::as_str).collect::<Vec<_>>());
    node.eventually_logs(&["no link"]);
    stops_without_a_difference(&node);
    flood.join().unwrap();
}

/// A healthy Prosody, a domain that reads nothing after the handshake, and a domain at a closed port.
struct Nodes {
    prosody: Prosody,
    node: Node,
    deaf: JoinHandle<Peer>,
    // Dropped last: it removes the files of the others.
    _network: Network,
}

impl Nodes {
    fn new() -> Self {
        let network = Network::new();
        let prosody = Prosody::start(&network, Setup::of("prosody.example"));
        let (closed, silent) = (network.address(), network.address());
        network.publish("dead.example", closed);
        network.publish("deaf.example", silent);
        let (listener, identity) = (Listener::at(silent), network.authority.issue(&["deaf.example"]));
        let deaf = thread::spawn(move || {
            let mut peer = listener.accepts();
            peer.answers_to_external("deaf.example", &identity);
            peer
        });
        // The connection to the deaf domain is not closed while the test lasts.
        let node = Node::start(&network, Setup::of("nuncio.example").set("s2s.write_timeout", NEVER));
        Self { prosody, node, deaf, _network: network }
    }
}

/// Sends messages to each address in turn.
fn floods(sender: &Component, count: usize, to: &[&str]) -> JoinHandle<usize> {
    floods_with(200, sender, count, to)
}

/// Sends messages with bodies of `length` bytes to each address in turn.
fn floods_with(length: usize, sender: &Component, count: usize, to: &[&str]) -> JoinHandle<usize> {
    let (from, filling) = (sender.name().to_owned(), "x".repeat(length));
    let to: Vec<String> = to.iter().map(|&to| to.to_owned()).collect();
    sender.floods(count, move |number| {
        let to = &to[number % to.len()];
        format!("<message from='a@{from}' to='{to}' id='{number}'><body>{filling}</body></message>")
    })
}

/// The time from the first message to the last.
fn time_to_receive(healthy: &mut Component, count: usize) -> Duration {
    healthy.next(SOON).expect("the first message");
    let began = Instant::now();
    for number in 1..count {
        assert!(healthy.next(SOON).is_some(), "only {number} of {count} arrived");
    }
    began.elapsed()
}

fn stops_without_a_difference(node: &Node) {
    let status = node.terminate(SOON);
    assert!(status.success(), "{status}");
    let account = node.eventually_logs(&["nuncio::account", "domain=*"]);
    let last = node.process().lines().into_iter().rfind(|line| line.contains("domain=*")).unwrap_or(account);
    assert!(last.contains(" waiting=0 ") && last.contains("difference=0"), "{last}");
}

const PING: &str = "<ping xmlns='urn:xmpp:ping'/>";

/// Messages to a slow domain, and bytes of each: more than socket buffers hold, and minutes of reading.
const SLOW_COUNT: usize = 5_000;
const LONG: usize = 4_000;

/// Messages to each domain: several seconds of work for Prosody.
const COUNT: usize = 5_000;
