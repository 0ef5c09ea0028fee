//! Rows E: limits against abuse by unauthenticated and misbehaving peers (RFC 6120, section 13.12).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use crate::support::{
    Auth, Behaviour, Certificate, Fixture, HEADER, INBOX, NEVER, Node, SOON, Server, Setup, Tls,
    connect_from, eventually, most_lines, read_to_end,
};

// rows: E25
#[test]
fn one_address_gets_its_share_of_connections_and_others_get_theirs() {
    let fixture = Fixture::with(quick().set("s2s.max_connections_per_address", "5"));
    let began = Instant::now();
    let (greedy, modest) = (fixture.network.address(), fixture.network.address());
    let target = port(&fixture.node);
    let mut held: Vec<_> = (0..5).map(|_| connect_from(greedy, target)).collect();
    // Sixteen times as many wait. More are refused at once, and silent ones after a short time.
    let more: Vec<_> = (0..200).map(|_| connect_from(greedy, target)).collect();
    for mut stranger in more {
        let refused = read_to_end(&mut stranger);
        // COMPAT: ejabberd 23.01 reads no stream error behind a header with an empty `from`.
        assert!(refused.contains(" from='nuncio.example' "), "{refused}");
        assert!(refused.contains("<policy-violation ") && refused.ends_with("</stream:stream>"), "{refused}");
    }
    assert!(is_served(&connect_from(modest, target)), "the others have to wait");
    // A connection that ends makes room.
    drop(held.pop());
    eventually("there is room again", || is_served(&connect_from(greedy, target)).then_some(()));
    let lines = fixture.node.process().lines();
    let told = lines.iter().filter(|line| line.contains("refused a connection")).count();
    assert!((1..=most_lines(10, began)).contains(&told), "{told} lines about 200 connections");
}

// rows: E27
#[test]
fn before_authentication_bytes_and_elements_are_counted() {
    let fixture = Fixture::with(
        quick()
            .set("limits.max_bytes_unauthenticated", "\"20 KiB\"")
            .set("limits.max_elements_unauthenticated", "30"),
    );
    let question = format!("<db:verify from='peer.example' to='{INBOX}' id='1'>x</db:verify>");
    let allowed = fixture.answer_to(format!("{HEADER}{}</stream:stream>", question.repeat(30)).as_bytes());
    assert_eq!(allowed.matches("type=\"invalid\"").count(), 30, "{allowed}");
    assert!(!allowed.contains("error"), "{allowed}");
    for (what, too_much) in [
        ("elements", question.repeat(31)),
        ("white space", " ".repeat(21 * 1024)),
        ("long elements", question.replace(">x<", &format!(">{}<", "x".repeat(9 * 1024))).repeat(3)),
    ] {
        let answer = fixture.answer_to(format!("{HEADER}{too_much}").as_bytes());
        assert!(answer.contains("<policy-violation "), "{what}: {answer}");
    }
}

// rows: E27
#[test]
fn a_peer_that_does_not_read_is_closed_and_its_senders_get_errors() {
    let setup = quick()
        .set("s2s.write_timeout", "\"2s\"")
        .set("promise.max_bytes", "\"1 MiB\"")
        .set("promise.backoff", "[\"10s\", \"10s\"]");
    let fixture = Fixture::with(setup);
    let listener = fixture.listens();
    let mut sender = fixture.node.inbox();
    sender.sends_message("peer.example", "first", "");
    let mut peer = listener.accepts();
    peer.answers_to_external("peer.example", &fixture.identity);
    peer.expects("message");
    let from = sender.name().to_owned();
    let flood = sender.floods(300, move |number| {
        let payload = format!("<x xmlns='urn:x'>{}</x>", "x".repeat(64 * 1024));
        format!("<iq type='get' from='{from}' to='peer.example' id='{number}'>{payload}</iq>")
    });
    let answer = sender.receives("an error for what does not fit", |stanza| stanza.is("iq", "error"));
    assert!(answer.expect("error").child("resource-constraint").is_some(), "{}", answer.expect("error"));
    fixture.node.eventually_logs(&["nuncio::outgoing", "closed", "does not read"]);
    assert_eq!(flood.join().unwrap(), 300);
    drop(peer);
}

// rows: E27
#[test]
fn verifications_are_limited_per_address() {
    let setup = dialback()
        .set("limits.max_verifications", "3")
        .set("limits.max_verifications_per_address", "2")
        .set("limits.max_verifications_waiting", "2")
        .set("dns.timeout", NEVER);
    let fixture = Fixture::with(setup);
    fixture.network.dns.behaves("slow.example", Behaviour::Silence);
    let asks = |stream: &mut TcpStream, names: &[&str]| {
        let keys = names
            .iter()
            .map(|name| format!("<db:result from='{name}.slow.example' to='{INBOX}'>key</db:result>"));
        stream.write_all(format!("{HEADER}{}", keys.collect::<String>()).as_bytes()).unwrap();
    };
    let stranger = || connect_from(fixture.network.address(), port(&fixture.node));

    // Two verifications per address run at once, and two more wait.
    let mut greedy = stranger();
    asks(&mut greedy, &["a", "b", "c", "d", "e"]);
    let refused = waits_for(&mut greedy, "type=\"error\"");
    assert!(refused.contains("e.slow.example") && refused.contains("<resource-constraint "), "{refused}");
    // A verification for another address starts at once.
    let mut held = vec![stranger()];
    asks(&mut held[0], &["f"]);
    fixture.node.eventually_logs(&["received a dialback key to verify", "f.slow.example"]);
    // The next one replaces a waiting verification of the address with the most of them.
    held.push(stranger());
    asks(&mut held[1], &["g"]);
    let refused = waits_for(&mut greedy, "type=\"error\"");
    assert!(refused.contains("d.slow.example") && refused.contains("<resource-constraint "), "{refused}");
    let mut late = stranger();
    asks(&mut late, &["h"]);
    let refused = waits_for(&mut late, "type=\"error\"");
    assert!(refused.contains("<resource-constraint "), "{refused}");
    let asked = fixture.network.dns.questions();
    for name in ["c", "d", "e", "g", "h"] {
        let dialed = asked.iter().any(|question| question.contains(&format!("{name}.slow.example")));
        assert!(!dialed, "{name} was looked up: {asked:?}");
    }
    drop((greedy, held));
}

// rows: E27
#[test]
fn the_number_of_domains_per_stream_is_configurable() {
    let setup = dialback().set("limits.max_verifications_per_stream", "2").set("dns.timeout", NEVER);
    let fixture = Fixture::with(setup);
    fixture.network.dns.behaves("slow.example", Behaviour::Silence);
    let mut stream = connect_from(fixture.network.address(), port(&fixture.node));
    let key = |name| format!("<db:result from='{name}.slow.example' to='{INBOX}'>key</db:result>");
    stream.write_all(format!("{HEADER}{}{}{}", key("a"), key("b"), key("c")).as_bytes()).unwrap();
    let refused = waits_for(&mut stream, "type=\"error\"");
    assert!(refused.contains("c.slow.example") && refused.contains("<resource-constraint "), "{refused}");
    assert!(!refused.contains("a.slow.example") && !refused.contains("b.slow.example"), "{refused}");

    let fixture = Fixture::with(Setup::of("nuncio.example").set("limits.max_pairs_per_stream", "1"));
    let mut peer = fixture.peer();
    peer.sends("<db:result from='peer.example' to='outbox.nuncio.example'>key</db:result>");
    let refused = peer.expects("result").to_string();
    assert!(refused.contains("resource-constraint"), "{refused}");
}

/// Whether a header is answered with features.
fn is_served(mut stream: &TcpStream) -> bool {
    stream.set_read_timeout(Some(SOON)).unwrap();
    let _ = stream.write_all(HEADER.as_bytes());
    let (mut answer, mut buffer) = (String::new(), [0; 4096]);
    while !answer.contains("</stream:features>") {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return false,
            Ok(length) => answer.push_str(&String::from_utf8_lossy(&buffer[..length])),
        }
    }
    true
}

/// Reads until `part` has arrived.
#[track_caller]
fn waits_for(stream: &mut TcpStream, part: &str) -> String {
    stream.set_read_timeout(Some(SOON)).unwrap();
    let (mut answer, mut buffer) = (String::new(), [0; 4096]);
    while !(answer.contains(part) && answer.ends_with("</db:result>")) {
        let length = stream.read(&mut buffer).unwrap_or_else(|error| panic!("{error} after {answer}"));
        assert!(length > 0, "the end after {answer}");
        answer.push_str(&String::from_utf8_lossy(&buffer[..length]));
    }
    answer
}

fn port(node: &Node) -> SocketAddr {
    (node.address(), 5269).into()
}

/// A node that accepts certificates only.
fn quick() -> Setup {
    Setup::of("nuncio.example").auth(Auth::External)
}

/// A node without TLS, so that two lines of text lead to dialback.
fn dialback() -> Setup {
    Setup::of("nuncio.example").auth(Auth::Dialback).certificate(Certificate::Missing).tls(Tls::Optional)
}
