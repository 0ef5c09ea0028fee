//! Rows K: components (XEP-0114) and the node's own services.

use std::io::Write;
use std::net::TcpStream;

use openssl::sha::sha1;

use crate::support::{
    Component, Event, Fixture, INBOX, Network, Node, Nothing, SOON, Server, Setup, Wire, eventually, message,
    read_to_end,
};

// rows: K1
#[test]
fn a_component_header_is_one_for_a_served_name_in_its_own_namespace() {
    let fixture = Fixture::new();
    for (namespace, to, condition) in [
        ("jabber:server", INBOX, "invalid-namespace"),
        ("jabber:client", INBOX, "invalid-namespace"),
        ("jabber:component:connect", INBOX, "invalid-namespace"),
        ("jabber:component:accept", "unserved.nuncio.example", "host-unknown"),
        ("jabber:component:accept", "peer.example", "host-unknown"),
        // A domain without a configured component.
        ("jabber:component:accept", "nuncio.example", "host-unknown"),
    ] {
        let mut stream = TcpStream::connect((fixture.node.address(), 5347)).unwrap();
        write!(stream, "<stream:stream xmlns='{namespace}' xmlns:stream='{STREAMS}' to='{to}'>").unwrap();
        let answer = read_to_end(&mut stream);
        assert!(answer.contains(&format!("<stream:error><{condition} ")), "{namespace} {to}: {answer}");
        assert!(answer.ends_with("</stream:stream>"), "{answer}");
    }
}

// rows: K2
#[test]
fn only_the_right_digest_opens_a_component_stream() {
    let fixture = Fixture::new();
    let digest = |id: &str, secret: &str| -> String {
        sha1(format!("{id}{secret}").as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    };
    // Stream id and secret of the example in XEP-0114, with the correct digest.
    assert_eq!(digest("3BF96D32", "foo"), "4ed8305756e11e6ebe6611b9341d3b963a46f75b");
    type Wrong<'a> = &'a dyn Fn(&str) -> String;
    let wrong: [(&str, Wrong<'_>); 5] = [
        ("another secret", &|id| digest(id, "guess")),
        ("another stream's", &|_| digest("another", "secret")),
        ("capitals", &|id| digest(id, "secret").to_uppercase()),
        ("the secret itself", &|_| "secret".to_owned()),
        ("nothing", &|_| String::new()),
    ];
    for (what, shown) in wrong {
        let (mut wire, id) = opened(&fixture.node);
        wire.send(&format!("<handshake>{}</handshake>", shown(&id)));
        expects_error(&mut wire, "not-authorized", what);
    }
    // A stanza before the handshake.
    let (mut wire, _) = opened(&fixture.node);
    wire.send(&format!("<message from='{INBOX}' to='outbox.nuncio.example' id='early'/>"));
    expects_error(&mut wire, "not-authorized", "a stanza");

    let (mut wire, id) = opened(&fixture.node);
    wire.send(&format!("<handshake>{}</handshake>", digest(&id, "secret")));
    let accepted = wire.next(SOON);
    let Ok(Event::Element(handshake)) = accepted else { panic!("{accepted:?}") };
    assert_eq!(handshake.name, "handshake");
    assert_eq!((handshake.children().count(), handshake.text().as_str()), (0, ""));
}

// rows: K3
#[test]
fn a_component_sends_from_its_own_name_only() {
    let fixture = Fixture::new();
    let mut outbox = fixture.node.outbox();
    let to = format!("to='juliet@{}'", outbox.name());
    let mut liar = authenticated(&fixture.node);
    for (addresses, condition) in [
        (to.clone(), "bad-request"),
        (format!("from='tester@{INBOX}'"), "bad-request"),
        (format!("from='' {to}"), "jid-malformed"),
        (format!("from='nuncio.example' {to}"), "forbidden"),
        (format!("from='romeo@peer.example' {to}"), "forbidden"),
        (format!("from='sub.{INBOX}' {to}"), "forbidden"),
    ] {
        liar.send(&format!("<message {addresses} id='spoofed'><body/></message>"));
        match liar.next(SOON) {
            Ok(Event::Element(answer)) => {
                assert!(answer.expect("error").child(condition).is_some(), "{addresses}: {answer}");
            }
            other => panic!("{addresses}: {other:?}"),
        }
    }
    // Names are not case-sensitive.
    liar.send(&format!("<message from='a@INBOX.nuncio.example' {to} id='valid'><body/></message>"));
    let first = outbox.next(SOON).expect("the valid stanza");
    assert_eq!(first.attribute("id"), "valid", "{first}");
}

// rows: K4 E15
#[test]
fn a_component_may_come_and_go_under_traffic() {
    let fixture = Fixture::with(Setup::of("nuncio.example").answers_for_absent());
    let mut asker = fixture.node.outbox();
    let mut inbox = fixture.node.inbox();
    let question = |id: &str| {
        format!(
            "<iq type='get' id='{id}' from='tester@outbox.nuncio.example' to='{INBOX}'><x xmlns='urn:x'/></iq>"
        )
    };
    for round in 0..3 {
        asker.sends(&question("before"));
        inbox.receives_id("before");
        drop(inbox);
        eventually("the node sees it go", || {
            let lines = fixture.node.process().lines();
            let left = lines.iter().filter(|line| line.contains("disconnected") && line.contains(INBOX));
            (left.count() == round + 1).then_some(())
        });
        // From now on the node answers every request, once.
        let unserved = eventually("the node knows that it is gone", || {
            asker.sends(&question("gone"));
            let answer = asker.receives_id("gone");
            answer.child("error").is_some().then_some(answer)
        });
        assert!(unserved.expect("error").child("service-unavailable").is_some(), "{unserved}");
        assert_eq!(unserved.expect("error").attribute("type"), "wait", "{unserved}");
        for number in 0..100 {
            asker.sends(&question(&format!("{round} {number}")));
        }
        for number in 0..100 {
            asker.receives_id(&format!("{round} {number}"));
        }
        assert!(!asker.has_received(), "answered twice");
        inbox = eventually("the name is free", || {
            Component::try_connect(fixture.node.address(), INBOX, crate::support::SECRET).ok()
        });
    }
}

// rows: K6 K7
#[test]
fn discovery_knows_contacts_and_no_nodes() {
    let network = Network::new();
    let setup = Setup::of("nuncio.example").set("contact.abuse", "[\"mailto:abuse@nuncio.example\"]");
    let node = Node::start(&network, setup);
    let mut asker = node.inbox();
    let answer = asker.asks("nuncio.example", "<query xmlns='http://jabber.org/protocol/disco#info'/>");
    let form = answer.expect("query").expect("x").to_string();
    for part in ["http://jabber.org/network/serverinfo", "abuse-addresses", "mailto:abuse@nuncio.example"] {
        assert!(form.contains(part), "no {part} in {answer}");
    }
    for what in ["info", "items"] {
        let query = format!("<query xmlns='http://jabber.org/protocol/disco#{what}' node='urn:unknown'/>");
        let answer = asker.asks("nuncio.example", &query);
        let missing = answer.child("error").is_some_and(|error| error.child("item-not-found").is_some());
        assert!(missing, "{answer}");
    }
    // A domain without components below it has an empty list, not an error.
    let answer =
        node.outbox().asks("nuncio.example", "<query xmlns='http://jabber.org/protocol/disco#items'/>");
    assert!(answer.is("iq", "result"), "{answer}");
}

// rows: K9
#[test]
fn a_remote_is_never_sent_more_than_it_announced() {
    let fixture = Fixture::new();
    let listener = fixture.listens();
    let mut inbox = fixture.node.inbox();
    inbox.sends_message("peer.example", "first", "");
    let mut peer = listener.accepts();
    announces(&mut peer, &fixture, "<max-bytes>20000</max-bytes>");
    peer.expects("message");
    inbox.sends_message("peer.example", "too long", &"x".repeat(20_000));
    let answer = inbox.receives_id("too long");
    assert!(answer.is("message", "error"), "{answer}");
    assert!(answer.expect("error").child("policy-violation").is_some(), "{}", answer.expect("error"));
    inbox.sends_message("peer.example", "long", &"x".repeat(19_000));
    assert_eq!(peer.expects("message").attribute("id"), "long");
}

// rows: K10
#[test]
fn a_remote_may_close_an_idle_stream_as_it_announced() {
    let fixture = Fixture::new();
    let listener = fixture.listens();
    let mut inbox = fixture.node.inbox();
    inbox.sends_message("peer.example", "first", "");
    let mut peer = listener.accepts();
    announces(&mut peer, &fixture, "<idle-seconds>1</idle-seconds>");
    peer.expects("message");
    peer.sends("</stream:stream>");
    peer.expects_closed();
    drop(peer);
    fixture.node.eventually_logs(&["nuncio::outgoing", "closed", "peer.example"]);
    inbox.sends_message("peer.example", "second", "");
    let mut peer = listener.accepts();
    announces(&mut peer, &fixture, "<idle-seconds>1</idle-seconds>");
    assert_eq!(peer.expects("message").attribute("id"), "second");
    let lines = fixture.node.process().lines();
    let is_alarm = |line: &&String| line.contains(" WARN ") || line.contains(" ERROR ");
    // The secret of the test is weak, and the machine may permit few open files.
    let is_about_the_test =
        |line: &String| line.contains("component.secret") || line.contains("the limit of open files");
    let alarms: Vec<_> = lines.iter().filter(is_alarm).filter(|line| !is_about_the_test(line)).collect();
    assert!(alarms.is_empty(), "{alarms:?}");
}

// rows: E24
#[test]
fn stanzas_of_components_have_the_limits_of_remotes() {
    let fixture = Fixture::new();
    let listener = fixture.listens();
    let mut outbox = fixture.node.outbox();
    let nested = format!("{}{}", "<x>".repeat(5000), "</x>".repeat(5000));
    let attributes: String = (0..100).map(|number| format!(" a{number}=''")).collect();
    let namespaces: String = (0..60).map(|number| format!(" xmlns:n{number}='urn:{number}'")).collect();
    for (what, inside) in [
        ("depth", nested),
        ("width", format!("<x{attributes}/>")),
        ("namespaces", format!("<x{namespaces}/>")),
        ("length", "x".repeat(5 * 512 * 1024)),
    ] {
        for to in ["peer.example", outbox.name()] {
            let mut wire = authenticated(&fixture.node);
            wire.send(&format!("<message from='{INBOX}' to='{to}' id='{what}'>{inside}</message>"));
            expects_error(&mut wire, "policy-violation", what);
        }
    }
    assert!(listener.accepted().is_none(), "a remote was to get it");
    // An allowed stanza, 64 elements deep, is delivered.
    let mut wire = authenticated(&fixture.node);
    let deep = format!("{}{}", "<x>".repeat(63), "</x>".repeat(63));
    wire.send(&format!("<message from='{INBOX}' to='{}' id='deep'>{deep}</message>", outbox.name()));
    let first = outbox.next(SOON).expect("what is allowed");
    assert_eq!(first.attribute("id"), "deep");
}

// rows: E24
#[test]
fn stanzas_of_remotes_to_components_are_limited() {
    let fixture = Fixture::with(Setup::of("nuncio.example").set("limits.max_depth", "10"));
    let mut inbox = fixture.node.inbox();
    let nested = |depth: usize| {
        let inside = format!("{}{}", "<x>".repeat(depth - 1), "</x>".repeat(depth - 1));
        message("deep").replace("<body>hello</body>", &inside)
    };
    let mut peer = fixture.peer();
    peer.sends(&nested(10));
    inbox.receives_id("deep");
    peer.sends(&nested(11));
    peer.expects_error("policy-violation");
    assert!(!inbox.has_received());
}

/// Answers a stream of the node as a server that announces its limits in the last features.
#[track_caller]
fn announces(peer: &mut crate::support::Peer, fixture: &Fixture, limits: &str) {
    peer.answers_to_tls("peer.example", &fixture.identity);
    peer.sends_features(
        "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms>",
    );
    peer.expects("auth");
    peer.sends("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    peer.restarts();
    let header = peer.expects_header();
    peer.sends_header("peer.example", header.attribute("from"), "id='after-sasl'");
    peer.sends_features(&format!("<limits xmlns='urn:xmpp:stream-limits:0'>{limits}</limits>"));
}

/// A component stream for `inbox.` after the exchange of headers, and its id.
#[track_caller]
fn opened(node: &Node) -> (Wire, String) {
    let mut wire = Wire::new(TcpStream::connect((node.address(), 5347)).unwrap());
    wire.send(&format!(
        "<stream:stream xmlns='jabber:component:accept' xmlns:stream='{STREAMS}' to='{INBOX}'>"
    ));
    let opened = wire.next(SOON);
    let Ok(Event::Opened(header)) = opened else { panic!("{opened:?}") };
    assert_eq!((header.namespace.as_str(), header.attribute("from")), (STREAMS, INBOX));
    let id = header.attribute("id").to_owned();
    (wire, id)
}

/// A component stream for `inbox.` after its handshake; waits until the name is free.
#[track_caller]
fn authenticated(node: &Node) -> Wire {
    eventually("the name is free", || {
        let (mut wire, id) = opened(node);
        let digest = sha1(format!("{id}{}", crate::support::SECRET).as_bytes());
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        wire.send(&format!("<handshake>{digest}</handshake>"));
        match wire.next(SOON) {
            Ok(Event::Element(element)) if element.name == "handshake" => Some(wire),
            _ => None,
        }
    })
}

#[track_caller]
fn expects_error(wire: &mut Wire, condition: &str, what: &str) {
    match wire.next(SOON) {
        Ok(Event::Element(error)) if error.name == "error" && error.child(condition).is_some() => {}
        other => panic!("{what:?} ends with {other:?} and not {condition}"),
    }
    assert_eq!(wire.next(SOON), Ok(Event::Closed), "{what}");
    wire.send("</stream:stream>");
    assert_eq!(wire.next(SOON), Err(Nothing::Ended), "{what}");
}

const STREAMS: &str = "http://etherx.jabber.org/streams";
