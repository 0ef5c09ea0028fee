//! Many domains behind one address with the default limits, which apply to unauthenticated connections.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{
    Auth, Component, Fixture, HEADER, NEVER, Network, Node, Peer, SECRET, Server, Setup, connect_from,
    eventually, offers_external, read_to_end,
};

#[test]
fn a_large_hoster_is_reached_beside_unauthenticated_connections() {
    let network = Network::new();
    // All limits are the defaults. Unauthenticated connections last longer here than on an idle machine, and those that
    // talk do not give way to others before the end of the test.
    let mut setup = quiet("hoster.example")
        .answers_for_absent()
        .set("s2s.handshake_timeout", "\"30m\"")
        .set("s2s.attempt_timeout", "\"3m\"");
    (setup.loaded, setup.wildcard) = (true, true);
    for number in 0..DOMAINS {
        setup = setup.component(&format!("d{number}.hoster.example"));
    }
    let hoster = Node::start(&network, setup);
    let node = Node::start(&network, quiet("nuncio.example"));
    let target = SocketAddr::from((hoster.address(), 5269));
    // The node connects from this address too.
    let own = Ipv4Addr::LOCALHOST;
    let silent: Vec<TcpStream> = (0..200).map(|_| connect_from(own, target)).collect();
    let elsewhere = network.address();
    let talking: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut stranger = connect_from(elsewhere, target);
            stranger.write_all(HEADER.replace("inbox.nuncio.example", "hoster.example").as_bytes()).unwrap();
            stranger
        })
        .collect();

    // That address gets its limit of served connections; the others wait.
    let served = || talking.iter().filter(|stranger| is_answered(stranger)).count();
    eventually("as many strangers are served as may be", || (served() == 64).then_some(()));

    writes_to_every_domain(&node);
    assert_eq!(served(), 64, "beside the flood");
    drop((silent, talking));
}

#[test]
fn every_domain_of_a_large_hoster_is_verified_by_dialback() {
    let network = Network::new();
    // On a busy machine a handshake may take longer than by default.
    let patient = |domain| {
        let setup = quiet(domain).auth(Auth::Dialback);
        setup.set("s2s.handshake_timeout", "\"3m\"").set("s2s.attempt_timeout", "\"3m\"")
    };
    let setup = (0..DOMAINS).fold(patient("hoster.example").answers_for_absent(), |setup, number| {
        setup.component(&format!("d{number}.hoster.example"))
    });
    let _hoster = Node::start(&network, Setup { loaded: true, wildcard: true, ..setup });
    let node = Node::start(&network, patient("nuncio.example"));
    writes_to_every_domain(&node);
    let lines = node.process().lines();
    assert!(!lines.iter().any(|line| line.contains("no link")), "an attempt failed");
}

/// Sends a message to each domain of the hoster. The components are not connected, so the hoster answers with errors,
/// over a link of each domain in the other direction.
fn writes_to_every_domain(node: &Node) {
    let mut sender = node.inbox();
    let from = sender.name().to_owned();
    let flood = sender.floods(DOMAINS, move |number| {
        format!(
            "<message from='a@{from}' to='b@d{number}.hoster.example' id='{number}'><body>x</body></message>"
        )
    });
    flood.join().unwrap();
    let mut answered = BTreeSet::new();
    while answered.len() < DOMAINS {
        let answer =
            sender.receives_within(LONG, "the answer of every domain", |answer| answer.name == "message");
        let id = answer.attribute("id").to_owned();
        let error = answer.expect("error");
        assert!(error.child("service-unavailable").is_some(), "bounced: {answer}");
        assert!(answer.attribute("from").ends_with(".hoster.example"), "{answer}");
        assert!(answered.insert(id), "twice: {answer}");
    }
}

#[test]
fn all_of_many_connections_at_once_authenticate_in_turn() {
    const CONNECTIONS: usize = 200;
    let fixture = Fixture::with(quiet("nuncio.example").set("limits.max_attempts_per_address", "100"));
    let (address, identity) = (fixture.node.address(), &fixture.identity);
    let peers: Vec<Peer> = (0..CONNECTIONS)
        .map(|_| {
            let mut peer = Peer::dials(address);
            peer.sends_header("peer.example", "nuncio.example", "");
            peer
        })
        .collect();
    // The first 64 have an answer, the others only after these. No attempt fails.
    let mut held = Vec::new();
    for mut peer in peers {
        peer.expects_header();
        peer.expects("features");
        peer.asks_for_tls();
        peer.secures_as_client(Some(identity), "nuncio.example");
        peer.sends_header("peer.example", "nuncio.example", "");
        peer.expects_header();
        assert!(offers_external(&peer.expects("features")));
        peer.sends_external();
        held.push(peer);
    }
    assert_eq!(held.len(), CONNECTIONS);
}

// rows: E25
#[test]
fn a_silent_stranger_gives_way_to_a_peer_of_the_same_address() {
    let setup = Setup::of("nuncio.example").set("s2s.max_connections_per_address", "2");
    let fixture = Fixture::with(setup.set("s2s.handshake_timeout", NEVER));
    let target = SocketAddr::from((fixture.node.address(), 5269));
    let mut silent: Vec<TcpStream> = (0..2).map(|_| connect_from(Ipv4Addr::LOCALHOST, target)).collect();
    // The silent connections would last longer than the test.
    drop(fixture.peer());
    let refused = silent.iter_mut().map(|stranger| {
        stranger.set_nonblocking(true).unwrap();
        let mut said = String::new();
        let _ = stranger.read_to_string(&mut said);
        said
    });
    assert!(refused.filter(|said| said.contains("<policy-violation ")).count() >= 1);
}

// rows: E25
#[test]
fn connections_that_fail_are_counted_and_those_that_authenticate_are_not() {
    let fixture = Fixture::with(Setup::of("nuncio.example").set("limits.max_attempts_per_address", "5"));
    for _ in 0..10 {
        drop(fixture.peer());
    }
    let address = fixture.network.address();
    let target = SocketAddr::from((fixture.node.address(), 5269));
    for _ in 0..5 {
        let mut stranger = connect_from(address, target);
        stranger.write_all(b"x").unwrap();
        assert!(read_to_end(&mut stranger).contains("<not-well-formed "));
    }
    eventually("the address has failed too often", || {
        let mut stranger = connect_from(address, target);
        stranger.write_all(b"x").ok()?;
        read_to_end(&mut stranger).contains("within a minute").then_some(())
    });
    // Other addresses, and connections that authenticate, are not affected.
    drop(fixture.peer());
}

// rows: E25
#[test]
fn call_backs_about_right_dialback_keys_are_no_failed_attempts() {
    let network = Network::new();
    let limited = quiet("nuncio.example").auth(Auth::Dialback).set("limits.max_attempts_per_address", "5");
    let node = Node::start(&network, limited);
    let domains = |setup: Setup, number| setup.component(&format!("d{number}.hoster.example"));
    let setup = (0..20).fold(quiet("hoster.example").auth(Auth::Dialback), domains);
    let hoster = Node::start(&network, setup);
    // The hoster verifies a key of the node for each of its domains, on a connection that does not authenticate.
    let mut sender = node.inbox();
    for number in 0..20 {
        let mut receiver = Component::connect(hoster.address(), &format!("d{number}.hoster.example"));
        sender.sends_message(receiver.name(), &number.to_string(), "");
        receiver.receives_id(&number.to_string());
    }
}

// rows: E25
#[test]
fn wrong_secrets_are_slowed_down_without_locking_out_neighbours() {
    let setup = Setup::of("nuncio.example").set("limits.max_components_unauthenticated_per_address", "4");
    let node = Node::start(&Network::new(), setup);
    let address = node.address();
    // A misconfigured component in a restart loop: the first attempts are answered at once, then one in two seconds.
    let (began, mut tries) = (Instant::now(), 0);
    while began.elapsed() < Duration::from_secs(4) {
        let refused = Component::try_connect(address, "inbox.nuncio.example", "guess");
        assert_eq!(refused.err().as_deref(), Some("not-authorized"));
        tries += 1;
    }
    // Five are free, four more have a slot, and each slot is occupied for eight seconds. More time is more attempts.
    let most = 5 + 4 * (2 + began.elapsed().as_secs() / 8);
    assert!(tries <= most, "{tries} tries in {:?}", began.elapsed());
    node.eventually_logs(&["too many wrong secrets", "name=inbox.nuncio.example"]);
    let looping =
        thread::spawn(move || Component::try_connect(address, "inbox.nuncio.example", "guess").err());
    let mut neighbour = node.outbox();
    let pong = neighbour.asks("nuncio.example", "<ping xmlns='urn:xmpp:ping'/>");
    assert!(pong.is("iq", "result"), "{pong}");
    assert_eq!(looping.join().unwrap().as_deref(), Some("not-authorized"));
    // With the right secret the component is connected.
    assert!(Component::try_connect(address, "inbox.nuncio.example", SECRET).is_ok());
}

#[test]
fn every_configured_component_has_a_place_whatever_the_limit() {
    let mut setup = Setup::of("nuncio.example").set("limits.max_component_connections", "2");
    setup = (0..20).fold(setup, |setup, number| setup.component(&format!("c{number}.nuncio.example")));
    let node = Node::start(&Network::new(), setup);
    let connect = |number| Component::connect(node.address(), &format!("c{number}.nuncio.example"));
    let components: Vec<Component> = (0..20).map(connect).collect();
    drop(components);
}

/// Whether the node has answered a stream header.
fn is_answered(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    stream.peek(&mut [0]).is_ok_and(|length| length > 0)
}

/// A node with a short log: hundreds of links would fill it.
fn quiet(domain: &str) -> Setup {
    Setup::of(domain).log("warn,nuncio::account=info,nuncio::node=info")
}

/// More than the limit of failed connections per minute.
const DOMAINS: usize = 700;

/// Time for many handshakes of a debug build on a busy machine.
const LONG: Duration = Duration::from_secs(240);
