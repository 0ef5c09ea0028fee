//! Limits for unauthenticated peers: memory, connections and log lines; each limit is configurable.

use std::fmt::Write as _;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Instant;

use crate::support::{
    Event, Fixture, HEADER, INBOX, Peer, SOON, Server, Setup, Wire, connect_from, eventually, message,
    most_lines, read_to_end,
};

// rows: E25
#[test]
fn an_address_is_counted_at_all_sockets_together() {
    let setup = Setup::of("nuncio.example").direct_tls().set("s2s.max_connections_per_address", "3");
    let fixture = Fixture::with(setup);
    let greedy = fixture.network.address();
    let [mixed, direct] = [5269, 5270].map(|port| SocketAddr::from((fixture.node.address(), port)));
    let held = [connect_from(greedy, direct), connect_from(greedy, direct)];
    let mut last = Wire::new(connect_from(greedy, mixed));
    last.send(HEADER);
    assert!(matches!(last.next(SOON), Ok(Event::Opened(_))));
    let refused = read_to_end(&mut connect_from(greedy, mixed));
    assert!(refused.contains("<policy-violation "), "{refused}");
    assert_eq!(
        read_to_end(&mut connect_from(greedy, direct)),
        "",
        "who expects TLS is told nothing in clear text"
    );
    drop((held, last));
    eventually("there is room again", || {
        let mut stream = connect_from(greedy, mixed);
        stream.write_all(b"x").ok()?;
        read_to_end(&mut stream).contains("<not-well-formed ").then_some(())
    });
}

// rows: E25
#[test]
fn unauthenticated_components_do_not_fill_the_log() {
    let fixture = Fixture::new();
    let began = Instant::now();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(component_port(&fixture)).unwrap();
        stream.write_all(b"x").unwrap();
        assert!(read_to_end(&mut stream).contains("<not-well-formed "));
    }
    // A component that authenticated is logged each time.
    drop(fixture.node.inbox());
    fixture.node.eventually_logs(&["nuncio::component", "disconnected", INBOX]);
    let lines = fixture.node.process().lines();
    let told = lines.iter().filter(|line| line.contains("component refused")).count();
    assert!((1..=most_lines(10, began)).contains(&told), "{told} lines about 200 connections");
}

// rows: E25
#[test]
fn one_address_cannot_lock_out_components() {
    let setup = Setup::of("nuncio.example").set("limits.max_components_unauthenticated_per_address", "1");
    let fixture = Fixture::with(setup);
    let greedy = fixture.network.address();
    let held = begins(greedy, &fixture);
    let refused = read_to_end(&mut connect_from(greedy, component_port(&fixture)));
    assert!(refused.contains("xmlns='jabber:component:accept'"), "{refused}");
    assert!(refused.contains("<policy-violation "), "{refused}");
    assert!(refused.ends_with("</stream:stream>"), "{refused}");
    // Other addresses have their own slots, and authenticated components do not count.
    let (mut inbox, mut outbox) = (fixture.node.inbox(), fixture.node.outbox());
    outbox.sends_message(inbox.name(), "seated", "");
    inbox.receives_id("seated");
    drop(held);
    eventually("there is room again", || begins_if_let(greedy, &fixture));
}

// rows: E25
#[test]
fn unauthenticated_component_connections_are_limited_in_all() {
    let fixture = Fixture::with(Setup::of("nuncio.example").set("limits.max_component_connections", "3"));
    let connected = (fixture.node.inbox(), fixture.node.outbox());
    let idle = begins(fixture.network.address(), &fixture);
    let refused = read_to_end(&mut connect_from(fixture.network.address(), component_port(&fixture)));
    assert!(refused.contains("<resource-constraint "), "{refused}");
    drop(idle);
    eventually("there is room again", || begins_if_let(fixture.network.address(), &fixture));
    drop(connected);
}

// rows: E25 E27
#[test]
fn a_partial_tls_handshake_costs_no_more_memory_than_its_bytes() {
    let fixture = Fixture::new();
    let sources: Vec<Ipv4Addr> = (0..10).map(|_| fixture.network.address()).collect();
    // The first handshake allocates what all share.
    drop(fixture.peer());
    let (before, count) = (fixture.node.process().status("VmRSS"), 500);
    let held: Vec<TcpStream> = (0..count)
        .map(|number| {
            let mut stream = connect_from(sources[number % 10], (fixture.node.address(), 5269).into());
            // A record with the first part of a hello of 8 KiB.
            stream.write_all(b"\x16\x03\x01\x00\x04\x01\x00\x20\x00").unwrap();
            stream
        })
        .collect();
    // Connections are served in order.
    for _ in 0..3 {
        assert!(fixture.answer_to(b"x").contains("<not-well-formed "));
    }
    let each = (fixture.node.process().status("VmRSS") - before) / count as u64;
    println!("{each} KiB for each");
    assert!(each < 16, "{each} KiB for 9 bytes");
    drop(held);
}

// rows: E27
#[test]
fn a_certificate_that_is_long_without_need_is_not_read() {
    let fixture = Fixture::new();
    let names: Vec<String> = (0..3000).map(|number| format!("{number:05}.a.com")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let identity = fixture.network.authority.issue(&names);
    let mut peer = Peer::dials(fixture.node.address());
    peer.opens_for_tls("peer.example", INBOX);
    // With TLS 1.3 the client may finish before its certificate is checked, or be closed while it sends it.
    if peer.tries_to_secure_as_client(Some(&identity), INBOX).is_ok() {
        peer.waits_for_the_end();
    }
    fixture.node.eventually_logs(&["TLS handshake failed", "limits.max_handshake"]);
    // The operator can raise the limit for such a peer.
    let fixture = Fixture::with(Setup::of("nuncio.example").set("limits.max_handshake", "\"64 KiB\""));
    let identity = fixture.network.authority.issue(&names);
    let mut peer = Peer::dials(fixture.node.address());
    peer.starts_tls("peer.example", INBOX, Some(&identity));
    peer.expects("features");
}

// rows: E24
#[test]
fn the_width_of_elements_is_configurable() {
    let setup = Setup::of("nuncio.example").set("limits.max_attributes", "12");
    let fixture = Fixture::with(setup.set("limits.max_namespaces", "10"));
    let mut inbox = fixture.node.inbox();
    let attributes = |count: usize| (0..count).fold(String::new(), |all, n| all + &format!(" a{n}=''"));
    // The stream header declares three.
    let namespaces =
        |count: usize| (0..count).fold(String::new(), |all, n| all + &format!(" xmlns:n{n}='urn:{n}'"));
    for (what, just, more) in
        [("attributes", attributes(12), attributes(13)), ("namespaces", namespaces(7), namespaces(8))]
    {
        let wide = |wide: &str| message(what).replace("<body>", &format!("<x{wide}/><body>"));
        let mut peer = fixture.peer();
        peer.sends(&wide(&just));
        inbox.receives_id(what);
        peer.sends(&wide(&more));
        peer.expects_error("policy-violation");
    }
}

// rows: E24 E27
#[test]
fn the_length_of_unauthenticated_elements_is_configurable() {
    let fixture =
        Fixture::with(Setup::of("nuncio.example").set("s2s.max_stanza_unauthenticated", "\"12 KiB\""));
    let question = |length: usize| {
        let start = format!("<db:verify from='peer.example' to='{INBOX}' id='1'>");
        format!("{start}{}</db:verify>", "x".repeat(length - start.len() - "</db:verify>".len()))
    };
    let just = fixture.answer_to(format!("{HEADER}{}</stream:stream>", question(12 * 1024)).as_bytes());
    assert!(just.contains("type=\"invalid\"") && !just.contains("<stream:error>"), "{just}");
    let more = fixture.answer_to(format!("{HEADER}{}", question(12 * 1024 + 1)).as_bytes());
    assert!(more.contains("<policy-violation "), "{more}");
    // An authenticated peer may send longer stanzas, but not longer dialback requests.
    let mut inbox = fixture.node.inbox();
    let mut peer = fixture.peer();
    peer.sends(&message("long").replace("hello", &"x".repeat(20_000)));
    inbox.receives_id("long");
    peer.sends(&question(12 * 1024));
    peer.expects("verify");
    peer.sends(&question(12 * 1024 + 1));
    peer.expects_error("policy-violation");
}

// rows: E27
#[test]
fn text_of_peers_is_truncated_in_the_log() {
    let fixture = Fixture::new();
    let long = "x".repeat(9000);
    let mut said = String::new();
    write!(
        said,
        "<stream:error><undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
         <text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>{long}</text></stream:error>"
    )
    .unwrap();
    let mut peer = fixture.peer();
    peer.sends(&said);
    peer.waits_for_the_end();
    fixture.node.eventually_logs(&["closed by the peer: undefined-condition", "xxx…"]);
    // These are refused one by one, and the stream continues.
    let mut peer = fixture.peer();
    for (said, reason) in [
        (format!("<db:result from='{long}' to='{INBOX}'>key</db:result>"), "jid-malformed"),
        (format!("<{long} xmlns='urn:x'/>"), "unexpected element"),
    ] {
        peer.sends(&said);
        fixture.node.eventually_logs(&["refused", reason, "xxx…"]);
    }
    let lines = fixture.node.process().lines();
    let longest = lines.iter().map(String::len).max();
    assert!(longest < Some(1500), "a line of {longest:?} bytes");
}

/// The component port.
fn component_port(fixture: &Fixture) -> SocketAddr {
    (fixture.node.address(), 5347).into()
}

/// Connects to the component port and opens a stream, without a handshake.
#[track_caller]
fn begins(source: Ipv4Addr, fixture: &Fixture) -> Wire {
    begins_if_let(source, fixture).expect("a stream")
}

fn begins_if_let(source: Ipv4Addr, fixture: &Fixture) -> Option<Wire> {
    let mut wire = Wire::new(connect_from(source, component_port(fixture)));
    wire.send(&format!(
        "<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='{INBOX}'>"
    ));
    match wire.next(SOON) {
        Ok(Event::Opened(header)) if header.attribute("from") == INBOX => Some(wire),
        _ => None,
    }
}
