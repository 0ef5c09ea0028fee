//! Connection attempts are limited in total and per address, and waiting attempts do not block other domains.

use std::{
    net::{Ipv4Addr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use crate::support::{Listener, Network, Node, Peer, Server, Setup, eventually};

#[test]
fn one_address_meets_a_few_connections_at_once() {
    let network = Network::new();
    let address = network.address();
    let listener = Listener::at(address);
    let pattern = format!("[[remote]]\nname = \"*.host.example\"\naddress = \"{address}:5269\"");
    let setup = Setup::of("nuncio.example").set("limits.max_dials_per_address", "3").block(&pattern);
    let node = Node::start(&network, setup.log(LOG));
    let mut sender = node.inbox();
    for number in 0..10 {
        sender.sends_message(&format!("d{number}.host.example"), &number.to_string(), "");
    }
    let mut inside: Vec<Peer> = (0..3).map(|_| listener.accepts()).collect();
    wait(&node, 7);
    // Each connection that ends makes room for exactly one.
    for _ in 0..7 {
        assert!(stays_away(&listener), "more than three at once");
        drop(inside.remove(0));
        inside.push(listener.accepts());
    }
}

#[test]
fn waiting_attempts_start_when_a_reload_raises_the_limit() {
    let network = Network::new();
    let address = network.address();
    let silent = Listener::at(address);
    let setup = |most| {
        let pattern = format!("[[remote]]\nname = \"*.silent.example\"\naddress = \"{address}:5269\"");
        Setup::of("nuncio.example").set("limits.max_dials_per_address", most).block(&pattern)
    };
    let node = Node::start(&network, setup("1").log(LOG));
    let mut sender = node.inbox();
    for number in 0..3 {
        sender.sends_message(&format!("d{number}.silent.example"), &number.to_string(), "");
    }
    let first = silent.accepts();
    wait(&node, 2);
    assert!(stays_away(&silent), "more than one at once");
    node.reconfigures(&network, &setup("3"));
    let _others = [silent.accepts(), silent.accepts()];
    drop(first);
}

#[test]
fn a_host_of_a_hundred_silent_domains_leaves_turns_to_others() {
    let network = Network::new();
    let other = Node::start(&network, Setup::of("other.example"));
    let address = network.address();
    let silent = Listener::at(address);
    let pattern = format!("[[remote]]\nname = \"*.silent.example\"\naddress = \"{address}:5269\"");
    let setup = Setup::of("nuncio.example").set("limits.max_dials", "4").block(&pattern);
    let setup = setup.set("limits.max_dials_per_address", "3").set("s2s.handshake_timeout", "\"60s\"");
    let node = Node::start(&network, setup);
    let (mut sender, mut receiver) = (node.inbox(), other.inbox());
    for number in 0..100 {
        sender.sends_message(&format!("d{number}.silent.example"), &number.to_string(), "");
    }
    let inside: Vec<Peer> = (0..3).map(|_| silent.accepts()).collect();
    // A domain without a link, queued behind a hundred that will not connect within the minute.
    sender.sends_message(receiver.name(), "cold", "");
    receiver.receives_id("cold");
    drop(inside);
}

#[test]
fn domains_that_are_away_are_tried_again_at_a_pace() {
    const DOMAINS: usize = 1_500;
    const TRIES: usize = 3_000;
    let network = Network::new();
    let address = network.address();
    let knocks = counts_connections(address);
    let pattern = format!("[[remote]]\nname = \"*.away.example\"\naddress = \"{address}:5269\"");
    let setup = Setup::of("nuncio.example").set("promise.backoff", "[\"100ms\", \"100ms\"]").block(&pattern);
    let node = Node::start(&network, setup.log("warn,nuncio::account=info,nuncio::node=info"));
    let sender = node.inbox();
    let from = sender.name().to_owned();
    let flood = sender.floods(DOMAINS, move |number| {
        format!("<message from='a@{from}' to='d{number}.away.example'><body>hello</body></message>")
    });
    flood.join().unwrap();
    // The first attempts are not paced; every later one is.
    let last = DOMAINS + TRIES;
    eventually("many have been tried again", || (node.process().count("no link") > last).then_some(()));
    assert!(knocks.load(Relaxed) > DOMAINS, "those that failed were not dialed");
    let lines = node.process().lines();
    let failures: Vec<_> = lines.iter().filter(|line| line.contains("no link")).collect();
    // The node's own timestamps. No attempt is repeated before the first failure, so from then on all repeated attempts
    // count, and a node that waits for the processor cannot make up for more time than has passed.
    let took = (time_of_day(failures[last]) + DAY - time_of_day(failures[0])) % DAY;
    let rate = TRIES as f64 / (took as f64 / 1_000.0);
    // Without pacing each domain would be tried ten times a second, as far as the processor can.
    assert!(rate < 700.0, "{rate} a second");
}

/// The time limits are hours, so only the second target can deliver the stanza.
#[test]
fn a_silent_first_target_is_overtaken_by_the_second() {
    let network = Network::new();
    let other = Node::start(&network, Setup::of("other.example"));
    let mut receiver = other.inbox();
    let domain = receiver.name().to_owned();
    let (service, address) = (format!("_xmpp-server._tcp.{domain}"), network.address());
    network.dns.clear(&service);
    network.dns.srv(&service, 0, 0, 5269, "silent.example");
    network.dns.a("silent.example", address);
    network.dns.srv(&service, 1, 0, 5269, &format!("server.{domain}"));
    let silent = Listener::at(address);
    let setup = Setup::of("nuncio.example").set("s2s.handshake_timeout", "\"2h\"");
    let node = Node::start(&network, setup.set("s2s.attempt_timeout", "\"4h\""));
    let mut sender = node.inbox();
    sender.sends_message(&domain, "cold", "");
    let mut peer = silent.accepts();
    peer.expects_header();
    receiver.receives_id("cold");
    node.eventually_logs(&["overtaken", "at=silent.example:5269", "waiting for the stream header"]);
    peer.expects_closed();
    peer.finishes();
}

#[test]
fn too_many_domains_at_one_dead_address_bounce() {
    let network = Network::new();
    let address = network.address();
    let silent = Listener::at(address);
    let pattern = format!("[[remote]]\nname = \"*.silent.example\"\naddress = \"{address}:5269\"");
    let setup = Setup::of("nuncio.example").set("limits.max_dials_per_address", "1").block(&pattern);
    let node = Node::start(&network, setup.log("warn,nuncio::account=info,nuncio::node=info"));
    let mut sender = node.inbox();
    let from = sender.name().to_owned();
    let flood = sender.floods(1_100, move |number| {
        format!(
            "<iq type='get' from='a@{from}' to='d{number}.silent.example' id='{number}'><ping xmlns='urn:xmpp:ping'/></iq>"
        )
    });
    let _inside = silent.accepts();
    let answer = sender.receives("an answer", |stanza| stanza.is("iq", "error"));
    let error = answer.expect("error");
    error.expect("resource-constraint");
    assert_eq!(error.expect("text").text(), format!("too many connection attempts to {address} are waiting"));
    flood.join().unwrap();
}

/// The time of a log line in milliseconds since midnight: `2026-11-21T10:00:00.123Z …`.
fn time_of_day(line: &str) -> u64 {
    let time = line.split(['T', 'Z']).nth(1).unwrap();
    time.split([':', '.'])
        .zip([3_600_000, 60_000, 1_000, 1])
        .map(|(part, unit)| part.parse::<u64>().unwrap() * unit)
        .sum()
}

/// In milliseconds.
const DAY: u64 = 24 * 60 * 60 * 1_000;

/// Waits until so many attempts wait for a permit to connect.
fn wait(node: &Node, attempts: usize) {
    eventually("the other attempts wait", || {
        (node.process().count("a connection waits") == attempts).then_some(())
    });
}

/// Has the node log the attempts that wait.
const LOG: &str = "info,nuncio::tcp=debug";

/// Whether there is no connection for 200 ms.
fn stays_away(listener: &Listener) -> bool {
    let end = Instant::now() + Duration::from_millis(200);
    eventually("a moment passes, or somebody connects", || {
        let came = listener.accepted().is_some();
        (came || Instant::now() > end).then_some(!came)
    })
}

/// Accepts, counts and closes connections.
fn counts_connections(address: Ipv4Addr) -> Arc<AtomicUsize> {
    let listener = TcpListener::bind((address, 5269)).unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    thread::spawn(move || {
        for _ in listener.incoming() {
            counted.fetch_add(1, Relaxed);
        }
    });
    count
}
