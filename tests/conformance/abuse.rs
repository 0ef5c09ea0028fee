//! Rows of shared/CONFORMANCE.md about limits (RFC 6120 section 13.12): what strangers and strange peers can make the
//! node do. Each test names its rows in a line `// rows: …` above `#[test]`.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{
    Auth, Behaviour, Certificate, Component, Event, HEADER, INBOX, Network, Node, Peer, Scene, Server, Setup,
    Tls, connect_from, eventually, message, read_to_end,
};

// rows: E25
#[test]
fn one_address_gets_its_share_of_connections_and_others_get_theirs() {
    let scene = Scene::of(quick().set("s2s.max_connections_per_address", "5"));
    let (greedy, modest) = (scene.network.address(), scene.network.address());
    let target = port(&scene.node);
    let mut held: Vec<_> = (0..5).map(|_| connect_from(greedy, target)).collect();
    for _ in 0..200 {
        let refused = refusal(greedy, target);
        // COMPAT: ejabberd 23.01 reads no reason behind a header with an empty `from`.
        assert!(refused.contains(" from='nuncio.example' "), "{refused}");
        assert!(refused.contains("<policy-violation ") && refused.ends_with("</stream:stream>"), "{refused}");
    }
    assert!(is_served(&connect_from(modest, target)), "the others have to wait");
    // Who leaves makes room.
    drop(held.pop());
    eventually("there is room again", || is_served(&connect_from(greedy, target)).then_some(()));
    let lines = scene.node.process().lines();
    let told = lines.iter().filter(|line| line.contains("refused a connection")).count();
    assert!((1..=11).contains(&told), "{told} lines about 200 connections");
}

// rows: E25
#[test]
fn all_addresses_together_get_so_many_connections() {
    let scene = Scene::of(quick().set("limits.max_connections", "8").set("s2s.handshake_timeout", "\"3s\""));
    let target = port(&scene.node);
    let held: Vec<_> = (0..8).map(|_| connect_from(scene.network.address(), target)).collect();
    let refused = refusal(scene.network.address(), target);
    assert!(refused.contains("<resource-constraint "), "{refused}");
    // Those who do nothing with theirs lose them.
    eventually("there is room again", || {
        is_served(&connect_from(scene.network.address(), target)).then_some(())
    });
    drop(held);
}

// rows: E26
#[test]
fn a_peer_is_held_to_its_rate_and_loses_nothing() {
    let scene = Scene::of(quick().block("[[remote]]\nname = \"peer.example\"\nmax_rate = \"100 KiB\""));
    let mut inbox = scene.node.inbox();
    let mut peer = scene.peer();
    let start = Instant::now();
    let sending = thread::spawn(move || {
        for number in 0..50 {
            let body = format!("<body>{}", "x".repeat(10 * 1024));
            peer.sends(&message(&number.to_string()).replace("<body>", &body));
        }
        peer
    });
    for number in 0..50 {
        assert_eq!(
            inbox.next(Duration::from_secs(30)).expect("a stanza").attribute("id"),
            number.to_string()
        );
    }
    // 500 KiB at 100 a second, less the second's worth that may come at once and what one read brings.
    let took = start.elapsed();
    assert!(took > Duration::from_millis(2500), "500 KiB came through in {took:?}");
    drop(sending.join().unwrap());
}

// rows: E27
#[test]
fn who_does_not_authenticate_in_time_is_closed_in_every_phase() {
    let scene = Scene::of(quick().set("s2s.handshake_timeout", "\"1s\""));
    let target = port(&scene.node);
    let starttls = format!("{HEADER}<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    let plain: Vec<(&str, TcpStream)> = [
        ("silence", ""),
        ("part of a header", &HEADER[..40]),
        ("a header", HEADER),
        ("part of an element", &starttls[..starttls.len() - 10]),
        ("no TLS", &starttls),
    ]
    .into_iter()
    .map(|(what, said)| {
        let mut stream = connect_from(scene.network.address(), target);
        stream.write_all(said.as_bytes()).unwrap();
        (what, stream)
    })
    .collect();
    // A byte now and then is not enough either.
    let mut dripping = connect_from(scene.network.address(), target);
    let mut dripped = dripping.try_clone().unwrap();
    let drip = thread::spawn(move || {
        for byte in HEADER.bytes() {
            if dripped.write_all(&[byte]).is_err() {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
    });
    let mut peer = Peer::dials(scene.node.address());
    peer.starts_tls("peer.example", INBOX, Some(&scene.identity));
    peer.expects("features");

    for (what, mut stream) in plain {
        let answer = read_to_end(&mut stream);
        // In the middle of a handshake nothing can be said.
        let told = answer.contains("<connection-timeout ") || what == "no TLS";
        assert!(told, "{what}: {answer}");
    }
    assert!(read_to_end(&mut dripping).contains("<connection-timeout "));
    peer.expects_error("connection-timeout");
    drip.join().unwrap();
    scene.node.eventually_logs(&["closed", "not authenticated in time"]);
}

// rows: E27
#[test]
fn before_authentication_bytes_and_elements_are_counted() {
    let scene = Scene::of(
        quick()
            .set("limits.max_bytes_unauthenticated", "\"20 KiB\"")
            .set("limits.max_elements_unauthenticated", "30"),
    );
    let question = format!("<db:verify from='peer.example' to='{INBOX}' id='1'>x</db:verify>");
    let allowed = scene.answer_to(format!("{HEADER}{}</stream:stream>", question.repeat(30)).as_bytes());
    assert_eq!(allowed.matches("type=\"invalid\"").count(), 30, "{allowed}");
    assert!(!allowed.contains("error"), "{allowed}");
    for (what, too_much) in [
        ("elements", question.repeat(31)),
        ("white space", " ".repeat(21 * 1024)),
        ("long elements", question.replace(">x<", &format!(">{}<", "x".repeat(9 * 1024))).repeat(3)),
    ] {
        let answer = scene.answer_to(format!("{HEADER}{too_much}").as_bytes());
        assert!(answer.contains("<policy-violation "), "{what}: {answer}");
    }
}

// rows: E27
#[test]
fn an_element_that_takes_too_long_ends_an_authenticated_stream() {
    let scene = Scene::of(quick().set("s2s.element_timeout", "\"1s\""));
    let mut inbox = scene.node.inbox();
    let mut peer = scene.peer();
    let dripping = message("never whole");
    let mut told = None;
    for byte in dripping[..dripping.len() - 1].chars().cycle().take(1000) {
        peer.sends(&byte.to_string());
        if let Ok(event) = peer.next(Duration::from_millis(30)) {
            told = Some(event);
            break;
        }
    }
    let Some(Event::Element(error)) = told else { panic!("{told:?}") };
    assert!(error.child("connection-timeout").is_some(), "{error}");

    // Whole elements may come as slowly as they like.
    let mut peer = scene.peer();
    for number in 0..4 {
        let text = message(&number.to_string());
        let (first, second) = text.split_at(text.len() / 2);
        peer.sends(first);
        assert!(peer.next(Duration::from_millis(500)).is_err());
        peer.sends(second);
        inbox.receives_id(&number.to_string());
    }
}

// rows: E27
#[test]
fn a_peer_that_reads_nothing_is_given_up_and_its_senders_are_told() {
    let scene =
        Scene::of(quick().set("s2s.write_timeout", "\"2s\"").set("promise.backoff", "[\"10s\", \"10s\"]"));
    let listener = scene.listens();
    let mut sender = scene.node.inbox();
    sender.sends_message("peer.example", "first", "");
    let mut peer = listener.accepts();
    peer.answers_to_external("peer.example", &scene.identity);
    peer.expects("message");
    let from = sender.name().to_owned();
    let flood = sender.floods(300, move |number| {
        let payload = format!("<x xmlns='urn:x'>{}</x>", "x".repeat(64 * 1024));
        format!("<iq type='get' from='{from}' to='peer.example' id='{number}'>{payload}</iq>")
    });
    let answer = sender.receives("an error for what does not fit", |stanza| stanza.is("iq", "error"));
    assert!(answer.expect("error").child("resource-constraint").is_some(), "{}", answer.expect("error"));
    scene.node.eventually_logs(&["nuncio::outgoing", "closed", "reads nothing"]);
    assert_eq!(flood.join().unwrap(), 300);
    drop(peer);
}

// rows: E27
#[test]
fn nobody_makes_the_node_dial_around() {
    let setup = dialback()
        .set("limits.max_verifications", "3")
        .set("limits.max_verifications_per_address", "2")
        .set("limits.max_verifications_waiting", "2")
        .set("dns.timeout", "\"20s\"");
    let scene = Scene::of(setup);
    scene.network.dns.behaves("slow.example", Behaviour::Silence);
    let asks = |stream: &mut TcpStream, names: &[&str]| {
        let keys = names
            .iter()
            .map(|name| format!("<db:result from='{name}.slow.example' to='{INBOX}'>key</db:result>"));
        stream.write_all(format!("{HEADER}{}", keys.collect::<String>()).as_bytes()).unwrap();
    };
    let stranger = || connect_from(scene.network.address(), port(&scene.node));

    // One address may have two things asked.
    let mut greedy = stranger();
    asks(&mut greedy, &["a", "b", "c"]);
    let refused = waits_for(&mut greedy, "type=\"error\"");
    assert!(refused.contains("c.slow.example") && refused.contains("<resource-constraint "), "{refused}");
    // Of the others one is asked and two wait, and that is all.
    let held: Vec<TcpStream> = ["d", "e", "f"]
        .into_iter()
        .map(|name| {
            let mut stream = stranger();
            asks(&mut stream, &[name]);
            scene.node.eventually_logs(&["asked to verify", &format!("{name}.slow.example")]);
            stream
        })
        .collect();
    let mut late = stranger();
    asks(&mut late, &["g"]);
    let refused = waits_for(&mut late, "type=\"error\"");
    assert!(refused.contains("<resource-constraint "), "{refused}");
    let asked = scene.network.dns.questions();
    for name in ["c", "e", "f", "g"] {
        let dialled = asked.iter().any(|question| question.contains(&format!("{name}.slow.example")));
        assert!(!dialled, "{name} was looked up: {asked:?}");
    }
    drop((greedy, held));
}

// rows: E24 E25 E27
#[test]
fn a_thousand_idlers_and_two_hundred_liars_cost_little() {
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let network = Network::new();
    let healthy = Node::start(&network, dialback_as("healthy.example"));
    let node = Node::start(
        &network,
        dialback_as("nuncio.example").set("s2s.handshake_timeout", "\"4s\"").set("log_mailboxes", "\"0s\""),
    );
    let mut asker = node.outbox();
    median(&mut asker, healthy.domain(), 20);
    let quiet = median(&mut asker, healthy.domain(), 200);
    let (before, lines_before) = (node.process().status("VmHWM"), node.process().lines().len());

    let over = Arc::<AtomicBool>::default();
    let sources: Vec<Ipv4Addr> = (0..40).map(|_| network.address()).collect();
    let target = port(&node);
    let idlers: Vec<TcpStream> = (0..1000).map(|number| connect_from(sources[number % 20], target)).collect();
    let mut attackers = vec![drips(&idlers[300..600], &over), opens_tags(&idlers[600..], &over)];
    let liars = sources[20..].to_vec();
    attackers.extend((0..4).map(|part| lies(liars.clone(), target, part, &over)));
    let attacked = median(&mut asker, healthy.domain(), 200);
    node.eventually_logs(&["more streams ended without authentication"]);
    node.eventually_logs(&["more dialback keys were shown to be verified"]);
    over.store(true, Ordering::Relaxed);
    let lies: usize = attackers.into_iter().map(|attacker| attacker.join().unwrap()).sum();
    assert!(median(&mut asker, healthy.domain(), 5) > Duration::ZERO, "still there");

    let peak = node.process().status("VmHWM");
    let lines = node.process().lines().len() - lines_before;
    println!(
        "{lies} lies; peak memory {before} KiB before, {peak} KiB after; median latency {quiet:?} quiet, \
         {attacked:?} attacked, ratio {:.2}; {lines} lines in the log",
        attacked.as_secs_f64() / quiet.as_secs_f64()
    );
    assert!(peak - before < MEMORY, "{} KiB for an attack", peak - before);
    assert!(lines < LINES, "{lines} lines in the log:\n{}", node.process().lines().join("\n"));
}

/// Sends a byte a second on each connection; lasts until the attack is over.
fn drips(streams: &[TcpStream], over: &Arc<AtomicBool>) -> thread::JoinHandle<usize> {
    let mut streams = clones(streams);
    let over = Arc::clone(over);
    thread::spawn(move || {
        for byte in HEADER.bytes() {
            for stream in &mut streams {
                let _ = stream.write_all(&[byte]);
            }
            if over.load(Ordering::Relaxed) {
                break;
            }
            thread::sleep(Duration::from_secs(1));
        }
        0
    })
}

/// Opens elements without end on each connection.
fn opens_tags(streams: &[TcpStream], over: &Arc<AtomicBool>) -> thread::JoinHandle<usize> {
    let mut streams = clones(streams);
    let over = Arc::clone(over);
    thread::spawn(move || {
        for stream in &mut streams {
            let _ = stream.write_all(HEADER.as_bytes());
        }
        while !over.load(Ordering::Relaxed) {
            for stream in &mut streams {
                let _ = stream.write_all(b"<a xmlns='urn:x' b='c'>");
            }
            thread::sleep(Duration::from_millis(100));
        }
        0
    })
}

/// Shows keys for domains that are made up, on fifty connections at a time; returns how many.
fn lies(
    sources: Vec<Ipv4Addr>,
    target: SocketAddr,
    part: usize,
    over: &Arc<AtomicBool>,
) -> thread::JoinHandle<usize> {
    let over = Arc::clone(over);
    thread::spawn(move || {
        let mut count = 0;
        while !over.load(Ordering::Relaxed) {
            let mut streams: Vec<TcpStream> =
                (0..50).map(|number| connect_from(sources[number % sources.len()], target)).collect();
            for (number, stream) in streams.iter_mut().enumerate() {
                let keys: String = (0..40)
                    .map(|key| {
                        count += 1;
                        let name = format!("x{part}-{number}-{key}-{count}.made-up.example");
                        format!("<db:result from='{name}' to='{INBOX}'>a lie</db:result>")
                    })
                    .collect();
                let _ = stream.write_all(format!("{HEADER}{keys}").as_bytes());
            }
            for stream in &mut streams {
                let _ = stream.shutdown(Shutdown::Write);
                let _ = stream.set_read_timeout(Some(Duration::from_millis(500)));
                let _ = stream.read_to_end(&mut Vec::new());
            }
            thread::sleep(Duration::from_millis(500));
        }
        count
    })
}

fn clones(streams: &[TcpStream]) -> Vec<TcpStream> {
    streams.iter().map(|stream| stream.try_clone().unwrap()).collect()
}

/// The median time of so many pings.
fn median(asker: &mut Component, domain: &str, count: usize) -> Duration {
    let mut times: Vec<Duration> = (0..count)
        .map(|_| {
            let start = Instant::now();
            let pong = asker.asks(domain, "<ping xmlns='urn:xmpp:ping'/>");
            assert!(pong.is("iq", "result"), "{pong}");
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[count / 2]
}

/// What is said to a connection that is turned away.
fn refusal(source: Ipv4Addr, target: SocketAddr) -> String {
    read_to_end(&mut connect_from(source, target))
}

/// Whether a header is answered with features.
fn is_served(mut stream: &TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
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

/// Reads until `part` and what follows it is there.
#[track_caller]
fn waits_for(stream: &mut TcpStream, part: &str) -> String {
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
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

/// A node that takes certificates only.
fn quick() -> Setup {
    Setup::of("nuncio.example").auth(Auth::External)
}

fn dialback() -> Setup {
    dialback_as("nuncio.example")
}

/// A node without TLS, so that strangers get as far as dialback for the price of two lines.
fn dialback_as(domain: &str) -> Setup {
    Setup::of(domain).auth(Auth::Dialback).certificate(Certificate::Missing).tls(Tls::Optional)
}

/// KiB that the node may take for all of an attack.
const MEMORY: u64 = 96 * 1024;

/// Lines in which an attack must be told.
const LINES: usize = 200;
