//! Forms of the root element: default namespace (RFC 6120, section 4.8.2), and an empty root.

use super::{Fixture, INBOX, NAMED, PEER};
use crate::support::{Component, Event, SECRET, SOON, Server, Wire, read_to_end};
use openssl::sha::sha1;
use std::io::Write;
use std::net::TcpStream;

// rows: B23 B27
#[test]
fn a_peer_may_declare_the_content_namespace_on_each_stanza() {
    let fixture = Fixture::new();
    let mut inbox = fixture.node.inbox();
    for (number, (open, close)) in [
        (format!("<stream xmlns='{STREAMS}' {NAMED}>"), "</stream>"),
        (format!("<s:stream xmlns:s='{STREAMS}' xmlns='{STREAMS}' {NAMED}>"), "</s:stream>"),
        (
            format!("<stream:stream xmlns:stream='{STREAMS}' xmlns:s='jabber:server' {NAMED}>"),
            "</stream:stream>",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let mut peer = fixture.authenticated_by(&open);
        peer.sends(&format!(
            "<message xmlns='jabber:server' from='romeo@{PEER}' to='juliet@{INBOX}' id='{number}'><body>x</body></message>"
        ));
        let arrived = inbox.receives_id(&number.to_string());
        assert_eq!(arrived.namespace, "jabber:component:accept");
        assert_eq!(arrived.expect("body").namespace, "jabber:component:accept", "{arrived}");
        peer.sends(close);
        peer.expects_closed();
    }
}

// rows: B23 B27
#[test]
fn a_peer_that_is_dialed_may_answer_in_that_style_too() {
    let fixture = Fixture::new();
    let listener = fixture.listens();
    let mut inbox = fixture.node.inbox();
    inbox.sends_message(PEER, "out", "");
    let mut peer = listener.accepts();
    let open =
        |id: &str| format!("<stream xmlns='{STREAMS}' from='{PEER}' to='{INBOX}' id='{id}' version='1.0'>");
    let features = |inside: &str| format!("<features>{inside}</features>");
    peer.expects_header();
    peer.sends(
        &(open("1") + &features("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>")),
    );
    peer.expects("starttls");
    peer.sends("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    peer.secures_as_server(&fixture.identity);
    peer.expects_header();
    peer.sends(
        &(open("2")
            + &features(
                "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms>",
            )),
    );
    peer.expects("auth");
    peer.sends("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    peer.restarts();
    peer.expects_header();
    peer.sends(&(open("3") + &features("")));
    assert_eq!(peer.expects("message").attribute("id"), "out");
    peer.sends("</stream>");
    peer.expects_closed();
}

// rows: B16
#[test]
fn a_root_that_is_closed_at_once_is_answered_with_a_stream_that_is_closed() {
    let fixture = Fixture::new();
    for (port, namespace, attributes) in [
        (5269, "jabber:server", NAMED),
        (5269, "jabber:server", "from='peer.example' to='inbox.nuncio.example'"),
        (5347, "jabber:component:accept", "to='inbox.nuncio.example'"),
    ] {
        let mut stream = TcpStream::connect((fixture.node.address(), port)).unwrap();
        write!(stream, "<stream:stream xmlns='{namespace}' xmlns:stream='{STREAMS}' {attributes}/>").unwrap();
        let answer = read_to_end(&mut stream);
        assert!(answer.contains(" from='inbox.nuncio.example' "), "{answer}");
        assert!(answer.ends_with("</stream:stream>") && !answer.contains("<stream:error"), "{answer}");
    }
}

// rows: B16
#[test]
fn an_empty_root_element_as_answer_closes_the_stream() {
    let fixture = Fixture::new();
    let listener = fixture.listens();
    let mut inbox = fixture.node.inbox();
    super::ask(&mut inbox, "asked");
    let mut peer = listener.accepts();
    peer.expects_header();
    peer.sends(&format!(
        "<stream:stream xmlns='jabber:server' xmlns:stream='{STREAMS}' from='{PEER}' to='{INBOX}' version='1.0'/>"
    ));
    peer.expects_closed();
    let answer = inbox.receives_id("asked");
    let error = answer.expect("error");
    assert!(error.child("remote-server-timeout").is_some(), "{answer}");
    let text = error.expect("text").text();
    assert!(text.contains("closed the stream") && !text.contains("not speak XMPP"), "{answer}");
}

// rows: B23 K1
#[test]
fn a_root_in_another_namespace_is_refused_closed_or_not() {
    let fixture = Fixture::new();
    for port in [5269, 5347] {
        for root in ["<a/>", "<a>", "<a xmlns='urn:a'/>", "<stream/>"] {
            let mut stream = TcpStream::connect((fixture.node.address(), port)).unwrap();
            stream.write_all(root.as_bytes()).unwrap();
            let answer = read_to_end(&mut stream);
            assert!(answer.contains("<stream:error><invalid-namespace "), "{port} {root}: {answer}");
            assert!(!answer.contains("from=''"), "{port} {root}: {answer}");
        }
    }
}

// rows: K1
#[test]
fn a_component_may_declare_its_namespace_on_each_stanza() {
    let fixture = Fixture::new();
    let mut outbox: Component = fixture.node.outbox();
    let mut wire = Wire::new(TcpStream::connect((fixture.node.address(), 5347)).unwrap());
    wire.send(&format!("<stream xmlns='{STREAMS}' to='{INBOX}'>"));
    let id = match wire.next(SOON) {
        Ok(Event::Opened(header)) => header.attribute("id").to_owned(),
        other => panic!("{other:?}"),
    };
    let digest = sha1(format!("{id}{}", SECRET).as_bytes());
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    wire.send(&format!("<handshake xmlns='jabber:component:accept'>{digest}</handshake>"));
    wire.send(&format!(
        "<message xmlns='jabber:component:accept' from='a@{INBOX}' to='b@{}' id='said'><body/></message>",
        outbox.name()
    ));
    outbox.receives_id("said");
}

const STREAMS: &str = "http://etherx.jabber.org/streams";
