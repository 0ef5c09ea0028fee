//! Rows E: stanzas, addresses and errors (RFC 6120, sections 8 and 10).

mod form;

use std::collections::HashMap;

use crate::support::{
    Auth, Component, Event, Fixture, INBOX, Listener, Network, Node, Peer, SOON, Server, Setup, eventually,
    message,
};

/// Sender addresses of a scripted peer, and the outcome of each.
// rows: E4 E28
#[test]
fn names_are_compared_as_idna_sees_them_and_lookalikes_are_others() {
    let fixture = Fixture::new();
    let mut inbox = fixture.node.inbox();
    // The same domain in other spellings: capitals, full width, a trailing dot.
    let mut peer = fixture.peer();
    for (number, from) in
        ["romeo@PEER.Example", "romeo@\u{ff50}\u{ff45}\u{ff45}\u{ff52}.example", "romeo@peer.example."]
            .iter()
            .enumerate()
    {
        peer.sends(&stanza(from, &format!("juliet@{INBOX}"), &number.to_string()));
        inbox.receives_id(&number.to_string());
    }
    for (number, to) in ["j@INBOX.nuncio.EXAMPLE", "j@inbox.nuncio.example."].iter().enumerate() {
        peer.sends(&stanza("romeo@peer.example", to, &format!("to {number}")));
        inbox.receives_id(&format!("to {number}"));
    }
    // Cyrillic letters that look the same, and a subdomain of the authenticated domain.
    for from in ["romeo@p\u{435}\u{435}r.example", "romeo@xn--pr-nlca.example", "romeo@sub.peer.example"] {
        let mut peer = fixture.peer();
        peer.sends(&stanza(from, INBOX, "spoofed"));
        peer.expects_error("invalid-from");
    }
    fixture.nothing_arrived_at(&mut inbox);
}

// rows: E5 E28
#[test]
fn malformed_addresses_are_never_routed() {
    let setup = Setup::of("nuncio.example").auth(Auth::External).set("s2s.malformed_stanza", "\"close\"");
    let fixture = Fixture::with(setup);
    let mut inbox = fixture.node.inbox();
    let long = |length: usize| format!("{}.example", "a.".repeat(length / 2 - 4));
    let bad = [
        "@inbox.nuncio.example".to_owned(),
        "juliet@".to_owned(),
        "juliet@inbox.nuncio.example/".to_owned(),
        "ju liet@inbox.nuncio.example".to_owned(),
        "ju&quot;liet@inbox.nuncio.example".to_owned(),
        "ju\u{85}liet@inbox.nuncio.example".to_owned(),
        "ju\u{ff20}liet@inbox.nuncio.example".to_owned(),
        "\u{104d8}\u{ff20}liet@inbox.nuncio.example".to_owned(),
        format!("{}@inbox.nuncio.example", "j".repeat(1024)),
        format!("juliet@inbox.nuncio.example/{}", "r".repeat(1024)),
        "inbox..nuncio.example".to_owned(),
        "in box.nuncio.example".to_owned(),
        long(1030),
        String::new(),
    ];
    for to in &bad {
        let mut peer = fixture.peer();
        peer.sends(&stanza("romeo@peer.example", to, "malformed"));
        expects_error(&mut peer, "improper-addressing", to);
    }
    for from in bad.iter().map(|to| to.replace("inbox.nuncio.example", "peer.example")) {
        let mut peer = fixture.peer();
        peer.sends(&stanza(&from, &format!("juliet@{INBOX}"), "malformed"));
        expects_error(&mut peer, "improper-addressing", &from);
    }
    fixture.nothing_arrived_at(&mut inbox);
}

// rows: E2
#[test]
fn a_stanza_for_a_foreign_domain_may_bounce_without_closing() {
    let fixture = Fixture::with(
        Setup::of("nuncio.example").set("s2s.unknown_recipient", "\"bounce\"").set("log_mailboxes", "\"0s\""),
    );
    let listener = fixture.listens();
    let mut inbox = fixture.node.inbox();
    let mut peer = fixture.peer();
    peer.sends(&stanza("romeo@peer.example", "juliet@outbox.nuncio.example", "unproved"));
    peer.sends(&stanza("romeo@peer.example", "juliet@third.example", "elsewhere"));
    peer.sends(&message("mine"));
    inbox.receives_id("mine");

    // The answer comes from the addressed domain if it is local, otherwise from the domain of the stream.
    let mut answers = Vec::new();
    for _ in 0..2 {
        let mut called = listener.accepts();
        called.answers_to_external("peer.example", &fixture.identity);
        answers.push(called.expects("message"));
    }
    answers.sort_by_key(|answer| answer.attribute("id").to_owned());
    for (answer, id, from, condition) in [
        (&answers[0], "elsewhere", INBOX, "item-not-found"),
        (&answers[1], "unproved", "juliet@outbox.nuncio.example", "not-authorized"),
    ] {
        assert!(answer.is("message", "error"), "{answer}");
        assert_eq!(answer.attribute("id"), id);
        assert_eq!(answer.attribute("from"), from, "{answer}");
        assert_eq!(answer.attribute("to"), "romeo@peer.example", "{answer}");
        assert!(answer.expect("error").child(condition).is_some(), "{answer}");
    }
    // Refusals are logged a few times at most, not once per stanza.
    for _ in 0..20 {
        peer.sends("<message type='error' from='romeo@peer.example' to='juliet@third.example'/>");
    }
    peer.sends(&message("still"));
    inbox.receives_id("still");
    let refused =
        || fixture.node.process().lines().iter().filter(|line| line.contains("refused a stanza")).count();
    eventually("the lines that are permitted", || (refused() >= 10).then_some(()));
    assert_eq!(refused(), 10);
    let asked = fixture.network.dns.questions();
    assert!(asked.iter().all(|question| !question.contains("third.example")), "{asked:?}");
}

// rows: E6 E7 E18 E19
#[test]
fn each_request_gets_one_answer_and_no_answer_gets_any() {
    let fixture = Fixture::new();
    let mut asker = fixture.node.outbox();
    let from = format!("tester@{}", asker.name());
    let mut expected = HashMap::new();
    for round in 0..50 {
        for (what, to, kind, payload, answer) in [
            ("ping", "nuncio.example", "get", PING, "result"),
            ("unknown", "nuncio.example/r", "set", "<x xmlns='urn:x'/>", "service-unavailable"),
            ("user", "nobody@nuncio.example", "get", PING, "service-unavailable"),
            ("empty", "nuncio.example", "get", "", "bad-request"),
            ("double", "nuncio.example", "get", "<x xmlns='urn:x'/><x xmlns='urn:x'/>", "bad-request"),
            ("odd", "nuncio.example", "odd", PING, "bad-request"),
            ("result", "nuncio.example", "result", "", ""),
            ("error", "nobody@nuncio.example", "error", "", ""),
        ] {
            let id = format!("{what} {round}");
            asker.sends(&format!("<iq type='{kind}' id='{id}' from='{from}' to='{to}'>{payload}</iq>"));
            if !answer.is_empty() {
                expected.insert(id, answer);
            }
        }
        asker.sends(&format!("<presence id='presence' from='{from}' to='nobody@nuncio.example'/>"));
    }
    asker.sends(&format!("<iq type='get' from='{from}' to='nuncio.example' id='last'>{PING}</iq>"));
    loop {
        let answer = asker.next(SOON).expect("an answer");
        let id = answer.attribute("id");
        if id == "last" {
            break;
        }
        let wanted =
            expected.remove(id).unwrap_or_else(|| panic!("a second answer or one too many: {answer}"));
        match wanted {
            "result" => assert!(answer.is("iq", "result"), "{answer}"),
            condition => assert!(answer.expect("error").child(condition).is_some(), "{condition}: {answer}"),
        }
        assert_eq!(answer.attribute("to"), from);
    }
    assert!(expected.is_empty(), "never answered: {:?}", expected.keys());
}

// rows: E6
#[test]
fn an_iq_that_is_none_reaches_a_component_as_it_is() {
    let fixture = Fixture::new();
    let mut inbox = fixture.node.inbox();
    let mut peer = fixture.peer();
    for (id, iq) in [
        (
            "two",
            "<iq id='two' type='get' from='peer.example' to='inbox.nuncio.example'><x xmlns='urn:x'/><x xmlns='urn:x'/></iq>",
        ),
        ("none", "<iq id='none' type='set' from='peer.example' to='inbox.nuncio.example'/>"),
        (
            "odd",
            "<iq id='odd' type='odd' from='peer.example' to='inbox.nuncio.example'><x xmlns='urn:x'/></iq>",
        ),
    ] {
        peer.sends(iq);
        assert_eq!(inbox.receives_id(id).to_string(), iq);
    }
    let without_id = "<iq type='get' from='peer.example' to='inbox.nuncio.example'><x xmlns='urn:x'/></iq>";
    peer.sends(without_id);
    assert_eq!(inbox.next(SOON).expect("it").to_string(), without_id);
}

// rows: E8
#[test]
fn undeliverable_stanzas_bounce_as_specified() {
    let network = Network::new();
    let node = Node::start(&network, Setup::of("nuncio.example"));
    let mut sender = node.inbox();
    let from = format!("tester@{}/here", sender.name());
    let to = "someone@missing.example/there";
    let mut expected = HashMap::new();
    for (kind, types) in [
        ("message", &["", "normal", "chat", "groupchat", "headline", "error"][..]),
        // Only one connection: the next would replace it.
        ("presence", &["unavailable", "subscribe", "probe", "error"]),
        ("iq", &["get", "set", "result", "error"]),
    ] {
        for type_ in types {
            let id = format!("{kind} {type_}");
            let attribute = if type_.is_empty() { String::new() } else { format!("type='{type_}'") };
            sender.sends(&format!(
                "<{kind} {attribute} id='{id}' from='{from}' to='{to}'><x xmlns='urn:x' a='&amp;'>é</x></{kind}>"
            ));
            if *type_ != "error" && *type_ != "result" {
                expected.insert(id, kind);
            }
        }
    }
    while !expected.is_empty() {
        let answer = sender.next(SOON).unwrap_or_else(|| panic!("left: {expected:?}"));
        let kind = expected.remove(answer.attribute("id")).unwrap_or_else(|| panic!("{answer}"));
        assert!(answer.is(kind, "error"), "{answer}");
        assert_eq!((answer.attribute("from"), answer.attribute("to")), (to, from.as_str()));
        let payload = answer.expect("x");
        assert_eq!((payload.attribute("a"), payload.text().as_str()), ("&", "é"), "{answer}");
        let error = answer.expect("error");
        assert_eq!(error.attribute("type"), "cancel", "{answer}");
        let conditions: Vec<_> = error.children().filter(|child| child.name != "text").collect();
        assert_eq!(conditions.len(), 1, "{answer}");
        assert_eq!(conditions[0].name, "remote-server-not-found", "{answer}");
        assert_eq!(conditions[0].namespace, "urn:ietf:params:xml:ns:xmpp-stanzas", "{answer}");
    }
    let pong = sender.asks("nuncio.example", PING);
    assert!(pong.is("iq", "result"), "an error was answered: {pong}");
}

// rows: E9
#[test]
fn a_long_stanza_bounces_without_its_content() {
    let network = Network::new();
    let node = Node::start(&network, Setup::of("nuncio.example"));
    let mut sender = node.inbox();
    sender.sends_message("missing.example", "long", &"x".repeat(500 * 1024));
    let answer = sender.receives_id("long");
    assert!(answer.is("message", "error"), "{answer}");
    assert!(answer.expect("error").child("remote-server-not-found").is_some());
    assert!(answer.to_string().len() < 1024, "{} bytes came back", answer.to_string().len());
}

// rows: E10 E12 B16
#[test]
fn order_holds_through_every_reconnect_and_nothing_is_lost() {
    let fixture = Fixture::with(Setup::of("nuncio.example").set("promise.backoff", "[\"50ms\", \"1s\"]"));
    let listener = fixture.listens();
    let sender = fixture.node.inbox();
    let (mut sent, mut next, mut links) = (0, 0, 0);
    let mut flood = |component: &Component| {
        let (from, first) = (component.name().to_owned(), sent);
        sent += 500;
        component.floods(500, move |number| {
            let number = first + number;
            format!("<message from='{from}' to='peer.example' id='{number}'><body>{number}</body></message>")
        })
    };
    let mut running = flood(&sender);
    while next < 3000 {
        let mut peer = listener.accepts();
        links += 1;
        peer.answers_to_external("peer.example", &fixture.identity);
        // Closes the stream during a flood, and reads until the node has closed its side.
        let goodbye = next + 250;
        loop {
            match peer.next(SOON) {
                Ok(Event::Element(stanza)) => {
                    assert_eq!(stanza.attribute("id"), next.to_string(), "{stanza}");
                    next += 1;
                    if next == goodbye {
                        peer.sends("</stream:stream>");
                    }
                }
                Ok(Event::Closed) => break,
                other => panic!("{other:?} after {next}"),
            }
        }
        assert!(listener.accepted().is_none(), "a second stream while the first stood");
        assert_eq!(running.join().unwrap(), 500);
        running = flood(&sender);
    }
    assert_eq!(running.join().unwrap(), 500);
    assert!(links > 3, "{links} streams");
}

// rows: E11 E12
#[test]
fn two_components_keep_their_order_on_one_stream_each() {
    let fixture = Fixture::new();
    let listener = fixture.listens();
    let floods = [fixture.node.inbox(), fixture.node.outbox()].map(|component| {
        let from = component.name().to_owned();
        let flood = component.floods(1000, move |number| {
            format!("<message from='{from}' to='peer.example' id='{number}'><body/></message>")
        });
        (component, flood)
    });
    let mut links: Vec<Peer> = (0..2)
        .map(|_| {
            let mut peer = listener.accepts();
            peer.answers_to_external("peer.example", &fixture.identity);
            peer
        })
        .collect();
    for peer in &mut links {
        for number in 0..1000 {
            assert_eq!(peer.expects("message").attribute("id"), number.to_string());
        }
    }
    for (mut component, flood) in floods {
        assert_eq!(flood.join().unwrap(), 1000);
        component.sends_message("peer.example", "on the same stream", "");
    }
    for peer in &mut links {
        assert_eq!(peer.expects("message").attribute("id"), "on the same stream");
    }
    assert!(listener.accepted().is_none(), "a stream that stood was not used");
}

// rows: E17
#[test]
fn a_local_domain_is_local_regardless_of_dns() {
    let network = Network::new();
    let elsewhere = network.address();
    let listener = Listener::at(elsewhere);
    network.publish("inbox.nuncio.example", elsewhere);
    network.publish("nuncio.example", elsewhere);
    let node = Node::start(&network, Setup::of("nuncio.example").unpublished());
    let (mut inbox, mut outbox) = (node.inbox(), node.outbox());
    outbox.sends_message("juliet@inbox.nuncio.example", "near", "");
    inbox.receives_id("near");
    let pong = outbox.asks("nuncio.example", PING);
    assert!(pong.is("iq", "result"), "{pong}");
    assert!(listener.accepted().is_none(), "a local domain was dialed");
}

// rows: E7 E10
#[test]
fn a_flood_of_requests_from_a_remote_is_answered_one_by_one_in_order() {
    let fixture = Fixture::new();
    let listener = fixture.listens();
    let mut inbox = fixture.node.inbox();
    let mut peer =
        Peer::authenticates(fixture.node.address(), "peer.example", "nuncio.example", &fixture.identity);
    for number in 0..500 {
        peer.sends(&format!(
            "<iq type='get' id='{number}' from='peer.example' to='nuncio.example'>{PING}</iq>"
        ));
        peer.sends("<iq type='result' id='r' from='peer.example' to='nuncio.example'/>");
    }
    let mut called = listener.accepts();
    called.answers_to_external("peer.example", &fixture.identity);
    for number in 0..500 {
        let pong = called.expects("iq");
        assert!(pong.is("iq", "result"), "{pong}");
        assert_eq!(pong.attribute("id"), number.to_string());
    }
    eventually("it is still there", || Some(inbox.asks("nuncio.example", PING)));
}

#[track_caller]
fn expects_error(peer: &mut Peer, condition: &str, what: &str) {
    match peer.next(SOON) {
        Ok(Event::Element(error)) if error.name == "error" && error.child(condition).is_some() => {}
        other => panic!("{what:?} ends with {other:?} and not {condition}"),
    }
    peer.expects_closed();
}

fn stanza(from: &str, to: &str, id: &str) -> String {
    format!("<message from='{from}' to='{to}' id='{id}'><body>hello</body></message>")
}

const PING: &str = "<ping xmlns='urn:xmpp:ping'/>";
