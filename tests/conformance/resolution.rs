//! Rows A: resolution and reconnection (RFC 6120, section 3). Simpler cases are in `tests/resolution.rs`.

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{
    Auth, Behaviour, Component, Listener, NEVER, Network, Node, Peer, Server, Setup, eventually,
};

// rows: A2
#[test]
fn a_domain_that_offers_nothing_is_answered_for_at_once_and_left_alone() {
    let network = Network::new();
    let address = network.address();
    network.dns.srv("_xmpp-server._tcp.without.example", 0, 0, 0, ".");
    network.dns.a("without.example", address);
    let listener = Listener::at(address);
    // The timeout is longer than the test, so the answer must not wait for it.
    let node = Node::start(&network, setup().set("promise.iq", NEVER).set("dns.timeout", NEVER));
    let mut sender = node.inbox();
    let answer = sender.asks("without.example", PING);
    let error = answer.expect("error");
    assert_eq!(error.attribute("type"), "cancel", "{answer}");
    assert!(error.child("remote-server-not-found").is_some(), "{answer}");
    assert!(listener.accepted().is_none(), "the domain's address was dialed");
}

// rows: A3
#[test]
fn cold_links_are_shared_among_targets_by_weight() {
    let network = Network::new();
    let listeners = WEIGHTS.map(|weight| {
        let address = network.address();
        network.dns.a(&format!("weight-{weight}.example"), address);
        Listener::at(address)
    });
    for number in 0..DRAWS {
        let service = format!("_xmpp-server._tcp.domain-{number}.example");
        for weight in WEIGHTS {
            network.dns.srv(&service, 1, weight, 5269, &format!("weight-{weight}.example"));
        }
    }
    let node = Node::start(&network, setup().set("limits.max_dials_per_address", "1000"));
    let mut sender = node.inbox();
    for number in 0..DRAWS {
        sender.sends_message(&format!("domain-{number}.example"), "1", "");
    }
    // No target answers, so each domain stays at the target that was selected for it.
    let mut drawn = WEIGHTS.map(|_| Vec::<Peer>::new());
    eventually("a connection for each domain", || {
        for (listener, drawn) in listeners.iter().zip(&mut drawn) {
            drawn.extend(std::iter::from_fn(|| listener.accepted()));
        }
        (drawn.iter().map(Vec::len).sum::<usize>() == DRAWS).then_some(())
    });
    let drawn = drawn.map(|peers| peers.len());
    assert!(drawn[0] < DRAWS / 10, "weight 0 is not rare: {drawn:?}");
    let total: u16 = WEIGHTS.iter().sum();
    let chi_square: f64 = drawn[1..]
        .iter()
        .zip(&WEIGHTS[1..])
        .map(|(drawn, weight)| {
            let expected = DRAWS as f64 * f64::from(*weight) / f64::from(total + 1);
            (*drawn as f64 - expected).powi(2) / expected
        })
        .sum();
    // A false failure occurs about once in a million runs; equal shares would give more than 100.
    assert!(chi_square < 30.0, "{drawn:?} is off by {chi_square}");
}

// rows: A3 A14
#[test]
fn every_address_of_a_target_is_tried_before_the_next_target() {
    let network = Network::new();
    let dead = [network.address(), network.address()];
    let good = network.address();
    network.dns.srv("_xmpp-server._tcp.peer.example", 1, 0, 5269, "first.peer.example");
    network.dns.srv("_xmpp-server._tcp.peer.example", 2, 0, 5269, "second.peer.example");
    dead.iter().for_each(|address| network.dns.a("first.peer.example", *address));
    network.dns.a("second.peer.example", good);
    let dead = dead.map(Listener::at);
    let good = Listener::at(good);
    let node = Node::start(&network, setup());
    node.inbox().sends_message("peer.example", "1", "");
    let mut left: Vec<&Listener> = dead.iter().collect();
    for _ in &dead {
        let (at, peer) = eventually("a connection to the first target", || {
            left.iter().enumerate().find_map(|(at, listener)| Some((at, listener.accepted()?)))
        });
        assert!(good.accepted().is_none(), "the second target did not wait for the first");
        left.remove(at);
        // The server accepts and stays silent.
        drop(peer);
    }
    arrives(&mut good.accepts(), "peer.example", &network, "1");
    assert!(dead.iter().all(|listener| listener.accepted().is_none()), "an address was dialed twice");
}

// rows: A6
#[test]
fn an_operators_address_wins_over_dns_but_not_over_the_certificate() {
    let network = Network::new();
    let (published, configured) = (network.address(), network.address());
    network.publish("peer.example", published);
    let (published, configured_listener) = (Listener::at(published), Listener::at(configured));
    let block = format!("[[remote]]\nname = \"peer.example\"\naddress = \"{configured}:5269\"");
    let node = Node::start(&network, setup().block(&block));
    let mut sender = node.inbox();
    sender.sends(&ping(&sender, "peer.example"));
    let other = network.authority.issue(&["other.example", "configured.example"]);
    let mut peer = configured_listener.accepts();
    peer.answers_to_tls("peer.example", &other);
    let answer = sender.receives("an answer", |stanza| stanza.is("iq", "error"));
    assert!(answer.expect("error").expect("text").text().contains("certificate"), "{answer}");
    assert!(published.accepted().is_none(), "the address in DNS was dialed");
}

// rows: A8
#[test]
fn pauses_between_attempts_differ_and_grow_to_the_longest() {
    let network = Network::new();
    let setup = setup().component("third.nuncio.example").set("promise.backoff", "[\"100ms\", \"800ms\"]");
    let address = network.address();
    network.publish("peer.example", address);
    let attempts = closes_every_connection(address);
    let node = Node::start(&network, setup);
    // Each name has its own link to the peer: three series of pauses.
    let names = ["inbox", "outbox", "third"].map(|name| format!("{name}.nuncio.example"));
    let mut senders = names.each_ref().map(|name| Component::connect(node.address(), name));
    let mut runs = [const { Vec::<Instant>::new() }; 3];
    eventually("ten attempts of each name", || {
        for sender in &mut senders {
            sender.sends_message("peer.example", "fresh", "");
        }
        for (from, when) in attempts.try_iter() {
            let run = senders.iter().position(|sender| sender.name() == from).unwrap();
            runs[run].push(when);
        }
        runs.iter().all(|run| run.len() >= 10).then_some(())
    });
    // The pauses that the node logs: how long they last depends on the machine.
    let lines = node.process().lines();
    let pauses = names.each_ref().map(|name| {
        let failed = lines.iter().filter(|line| line.contains("no link") && line.contains(name.as_str()));
        failed.map(|line| next_attempt_after(line)).collect::<Vec<_>>()
    });
    for (pauses, attempts) in pauses.iter().zip(&runs) {
        assert!(pauses.iter().all(|pause| *pause > 40), "no pause: {pauses:?}");
        assert!(pauses[0] <= 100, "the first is too long: {pauses:?}");
        assert!(pauses.iter().all(|pause| *pause <= 800), "longer than the longest: {pauses:?}");
        assert!(pauses[3..].iter().any(|pause| *pause > 300), "they do not grow: {pauses:?}");
        // Nine pauses lie between ten attempts; the machine can only add time.
        let passed = attempts[9] - attempts[0];
        let least = Duration::from_millis(pauses[..9].iter().sum());
        assert!(passed > least / 2, "nine pauses of {pauses:?} in {passed:?}");
    }
    assert_ne!(pauses[0], pauses[1], "they can be foretold");
    assert_ne!(pauses[1], pauses[2], "they can be foretold");
}

// rows: A11
#[test]
fn a_black_hole_among_the_addresses_is_not_waited_for() {
    let network = Network::new();
    let (hole, _queued) = Listener::deaf_at(SocketAddr::from((Ipv6Addr::LOCALHOST, 0)));
    let address = network.address();
    let listener = Listener::at_port(address, hole.port());
    network.dns.srv("_xmpp-server._tcp.peer.example", 0, 0, hole.port(), "host.example");
    network.dns.aaaa("host.example", Ipv6Addr::LOCALHOST);
    network.dns.a("host.example", address);
    // The connect timeout of the first address is longer than the test: the next address must not wait for it.
    let node = Node::start(
        &network,
        setup()
            .set("s2s.connect_timeout", NEVER)
            .set("s2s.handshake_timeout", NEVER)
            .set("promise.message", NEVER),
    );
    let mut sender = node.inbox();
    let start = Instant::now();
    sender.sends_message("peer.example", "1", "");
    let mut peer = listener.accepts();
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(200), "the black hole was not dialed first: {took:?}");
    arrives(&mut peer, "peer.example", &network, "1");
    eventually("the other attempt is given up", || (!is_dialing(hole.port())).then_some(()));
}

// rows: A11
#[test]
fn a_missing_answer_for_ipv6_delays_nothing() {
    let network = Network::new();
    let address = network.address();
    network.publish("peer.example", address);
    network.dns.behaves("server.peer.example", Behaviour::SilenceOnIpv6);
    let listener = Listener::at(address);
    let node = Node::start(&network, setup().set("dns.timeout", NEVER).set("promise.message", NEVER));
    node.inbox().sends_message("peer.example", "1", "");
    let mut peer = listener.accepts();
    arrives(&mut peer, "peer.example", &network, "1");
}

// rows: A12
#[test]
fn failing_name_servers_are_asked_again_and_prove_nothing() {
    let network = Network::new();
    let address = network.address();
    network.publish("peer.example", address);
    network.dns.behaves("peer.example", Behaviour::ServerFailure);
    network.dns.behaves("mute.example", Behaviour::Silence);
    let setup = setup().set("promise.backoff", "[\"100ms\", \"800ms\"]").set("dns.timeout", "\"1s\"");
    let node = Node::start(&network, setup);
    let listener = Listener::at(address);
    let mut sender = node.inbox();
    for (domain, kind, condition) in [
        ("peer.example", "wait", "remote-server-timeout"),
        ("mute.example", "wait", "remote-server-timeout"),
        ("missing.example", "cancel", "remote-server-not-found"),
    ] {
        let answer = sender.asks(domain, PING);
        let error = answer.expect("error");
        assert_eq!(error.attribute("type"), kind, "{answer}");
        assert!(error.child(condition).is_some(), "{answer}");
    }
    network.dns.clear("peer.example");
    network.publish("peer.example", address);
    let mut peer = eventually("the domain is found again", || {
        sender.sends_message("peer.example", "1", "");
        listener.accepted()
    });
    arrives(&mut peer, "peer.example", &network, "1");
}

// rows: A13
#[test]
fn a_target_that_is_the_node_itself_is_refused() {
    let network = Network::new();
    let node = Node::start(&network, setup());
    network.publish("loop.example", node.address());
    let answer = node.inbox().asks("loop.example", PING);
    let error = answer.expect("error");
    assert!(error.child("remote-server-not-found").is_some(), "{answer}");
    assert!(error.expect("text").text().contains("leads back to this server"), "{answer}");
    assert!(!node.process().logged(&["nuncio::outgoing", "connected"]), "the node dialed itself");
}

// rows: A13
#[test]
fn a_target_that_is_the_node_itself_does_not_hide_the_next() {
    let network = Network::new();
    let node = Node::start(&network, setup());
    let address = network.address();
    network.dns.srv("_xmpp-server._tcp.peer.example", 1, 0, 5269, "first.peer.example");
    network.dns.srv("_xmpp-server._tcp.peer.example", 2, 0, 5269, "second.peer.example");
    network.dns.a("first.peer.example", node.address());
    network.dns.a("second.peer.example", address);
    let listener = Listener::at(address);
    node.inbox().sends_message("peer.example", "1", "");
    arrives(&mut listener.accepts(), "peer.example", &network, "1");
}

// rows: A14
#[test]
fn whatever_fails_at_one_target_the_next_is_tried() {
    let network = Network::new();
    let listeners = [1, 2, 3, 4, 5].map(|priority| {
        let (address, target) = (network.address(), format!("target-{priority}.peer.example"));
        network.dns.srv("_xmpp-server._tcp.peer.example", priority, 0, 5269, &target);
        network.dns.a(&target, address);
        Listener::at(address)
    });
    let node = Node::start(&network, setup());
    node.inbox().sends_message("peer.example", "1", "");
    let [web, stranger, impostor, sceptic, good] = listeners;

    let mut peer = web.accepts();
    peer.expects_header();
    peer.sends("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");

    let mut peer = stranger.accepts();
    peer.expects_header();
    peer.sends_header("peer.example", "inbox.nuncio.example", "id='stranger'");
    peer.sends(
        "<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>\
         </stream:stream>",
    );

    let mut peer = impostor.accepts();
    peer.answers_to_tls("peer.example", &network.authority.issue(&["target-3.peer.example"]));

    let mut peer = sceptic.accepts();
    peer.answers_to_tls("peer.example", &network.authority.issue(&["peer.example"]));
    peer.sends_features(
        "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms>",
    );
    peer.expects("auth");
    peer.sends(
        "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure></stream:stream>",
    );

    arrives(&mut good.accepts(), "peer.example", &network, "1");
}

fn setup() -> Setup {
    Setup::of("nuncio.example").auth(Auth::External)
}

/// Presents a valid certificate for `domain`, and expects the message `id`.
#[track_caller]
fn arrives(peer: &mut Peer, domain: &str, network: &Network, id: &str) {
    peer.answers_to_external(domain, &network.authority.issue(&[domain]));
    assert_eq!(peer.expects("message").attribute("id"), id);
}

fn ping(sender: &Component, to: &str) -> String {
    format!("<iq type='get' id='ping' from='tester@{}' to='{to}'>{PING}</iq>", sender.name())
}

/// The milliseconds until the next attempt, as logged.
fn next_attempt_after(line: &str) -> u64 {
    let rest = line.split("next_attempt_after=").nth(1).unwrap();
    rest.split("ms").next().unwrap().parse().unwrap()
}

/// A server that closes every stream at once, and records the time and domain of each.
fn closes_every_connection(address: Ipv4Addr) -> mpsc::Receiver<(String, Instant)> {
    let listener = TcpListener::bind((address, 5269)).unwrap();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let when = Instant::now();
            let mut peer = Peer::accepted(stream);
            let from = peer.expects_header().attribute("from").to_owned();
            if sender.send((from, when)).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Whether a socket waits for an answer from that port of `::1` (proc(5), `/proc/net/tcp6`).
fn is_dialing(port: u16) -> bool {
    let peer = format!("00000000000000000000000001000000:{port:04X}");
    let table = fs::read_to_string("/proc/net/tcp6").unwrap();
    table.lines().any(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        columns.get(2) == Some(&peer.as_str()) && columns.get(3) == Some(&SYN_SENT)
    })
}

const PING: &str = "<ping xmlns='urn:xmpp:ping'/>";

/// The weights of the example in RFC 2782: large, larger, and one for emergencies only.
const WEIGHTS: [u16; 4] = [0, 10, 30, 60];

/// Enough to distinguish weighted from equal shares, few enough for the limit of open files.
const DRAWS: usize = 200;

/// State of a socket.
const SYN_SENT: &str = "02";
