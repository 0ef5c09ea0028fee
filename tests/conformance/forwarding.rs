//! Rows B: the XML of a stanza on its way from stream to stream, byte for byte.

use crate::support::{Fixture, INBOX, Peer, SOON, Server, message};

// rows: B8 B25
#[test]
fn a_forwarded_stanza_keeps_its_meaning() {
    let fixture = Fixture::new();
    let listener = fixture.listens();
    let mut inbox = fixture.node.inbox();
    let mut peer = opens_with(&fixture, "xml:lang='de' xmlns:p='urn:p'");

    // Payload in other namespaces that contains a client stanza stays unchanged, byte for byte.
    let payload = FORWARDED;
    peer.sends(&format!(
        "<message from='romeo@peer.example' to='{INBOX}' id='kept' xml:lang='fr'><body/>{payload}</message>"
    ));
    let kept = inbox.receives_id("kept");
    assert!(kept.to_string().contains(payload), "{kept}");
    assert_eq!(kept.attribute("xml:lang"), "fr");
    assert_eq!(kept.namespace, "jabber:component:accept");

    // Declarations of the stream header move to the stanza.
    peer.sends(&format!(
        "<message from='romeo@peer.example' to='{INBOX}' id='said'><p:x p:a='1'/></message>"
    ));
    let said = inbox.receives_id("said");
    assert_eq!(said.attribute("xml:lang"), "de");
    assert_eq!(said.expect("x").namespace, "urn:p", "{said}");
    assert_eq!(said.expect("x").attribute("{urn:p}a"), "1", "{said}");

    // A stanza of a component and its standard children leave in the server namespace.
    inbox.sends(&format!(
        "<message from='tester@{INBOX}' to='peer.example' id='out' xmlns='jabber:component:accept'>\
         <body>hi</body>{payload}<x xmlns='urn:x'><body xmlns='jabber:component:accept'/></x></message>"
    ));
    let mut called = listener.accepts();
    called.answers_to_external("peer.example", &fixture.identity);
    let out = called.expects("message");
    assert_eq!(out.namespace, "jabber:server");
    assert_eq!(out.expect("body").namespace, "jabber:server", "{out}");
    assert_eq!(out.expect("x").expect("body").namespace, "jabber:server", "{out}");
    assert!(out.to_string().contains(payload), "{out}");
}

// rows: B8 B25 B27 B28
#[test]
fn prefixes_are_redeclared_and_payload_stays_byte_for_byte() {
    let fixture = Fixture::new();
    let mut inbox = fixture.node.inbox();
    let mut peer =
        opens_with(&fixture, "xml:lang='de' xmlns:own='jabber:server' xmlns:p='urn:p' xmlns:unused='urn:u'");
    let with_prefix = "<s:x xmlns:s='jabber:server' s:k = '&#x41;'/>";
    for (id, came, goes) in [
        // The stanza and its standard children with a prefix, declared in the header or in place.
        (
            "1",
            "<own:message R><own:body>a</own:body >F</own:message\n>",
            "<message L R><body>a</body >F</message\n>",
        ),
        (
            "2",
            "<m:message xmlns:m = \"jabber:server\" R>F<m:body/></m:message>",
            "<message L xmlns:m = \"jabber:server\" R>F<body/></message>",
        ),
        (
            "3",
            "<message R>F<x xmlns='urn:x' xmlns:z='jabber:server'/></message>",
            "<message L R>F<x xmlns='urn:x' xmlns:z='jabber:server'/></message>",
        ),
        // A prefix of the header is declared where it is used, and only there.
        (
            "4",
            "<message R><p:x p:a=\"1\">F</p:x></message>",
            "<message xmlns:p='urn:p' L R><p:x p:a=\"1\">F</p:x></message>",
        ),
        (
            "5",
            "<own:message R><x xmlns:p='urn:own'><p:y/></x></own:message>",
            "<message L R><x xmlns:p='urn:own'><p:y/></x></message>",
        ),
        // Inside other payload without a prefix they would have another meaning.
        (
            "6",
            "<own:message R><x xmlns='urn:x'><own:body/>S<p:y/></x><own:body/></own:message>",
            "<message xmlns:own='jabber:server' xmlns:p='urn:p' L R><x xmlns='urn:x'><own:body/>S<p:y/></x><body/></message>",
        ),
        (
            "7",
            "<own:message xml:lang=\"fr\" xmlns='' R><a/></own:message>",
            "<message xml:lang=\"fr\" R><a xmlns=''/></message>",
        ),
    ] {
        let fill = |text: &str| {
            let rest = format!("from='romeo@peer.example'  to=\"{INBOX}\" id='{id}'");
            text.replace(" R", &format!(" {rest}"))
                .replace(" L", " xml:lang='de'")
                .replace('F', FORWARDED)
                .replace('S', with_prefix)
        };
        peer.sends(&fill(came));
        assert_eq!(inbox.receives_id(id).to_string(), fill(goes));
    }
    // A stanza that would become many times longer is refused, and the stream continues.
    let long = format!("<a/>{}", "<a/>".repeat(10_000));
    peer.sends(&format!("<own:message xmlns='' from='romeo@peer.example' to='{INBOX}'>{long}</own:message>"));
    peer.sends(&message("behind"));
    let first = inbox.next(SOON).expect("the stanza behind it");
    assert_eq!(first.attribute("id"), "behind", "{first}");
}

// rows: B25 B27
#[test]
fn a_prefixed_stanza_of_a_component_leaves_in_the_server_namespace() {
    let fixture = Fixture::new();
    let listener = fixture.listens();
    let mut inbox = fixture.node.inbox();
    let rest = format!("from='tester@{INBOX}' to='peer.example' id='1'");
    inbox.sends(&format!(
        "<c:message xmlns:c='jabber:component:accept' {rest}><c:body/>{FORWARDED}<x xmlns='urn:x'><c:y/></x></c:message>"
    ));
    let mut called = listener.accepts();
    called.answers_to_external("peer.example", &fixture.identity);
    assert_eq!(
        called.expects("message").to_string(),
        format!(
            "<message xmlns:c='jabber:server' {rest}><body/>{FORWARDED}<x xmlns='urn:x'><c:y/></x></message>"
        )
    );
}

// rows: B25
#[test]
fn from_component_to_component_all_stays_as_it_is() {
    let fixture = Fixture::new();
    let (mut inbox, mut outbox) = (fixture.node.inbox(), fixture.node.outbox());
    let payload = "<f xmlns='urn:xmpp:forward:0'><message xmlns='jabber:component:accept'><body xml:lang = 'de'/></message>\
                   <c:y xmlns:c=\"jabber:component:accept\"/><z xmlns='jabber:server'/></f>";
    let stanza = |from: &str, to: &str, id: &str| {
        format!("<message from='tester@{from}' to='tester@{to}' id='{id}'><body/>{payload}</message>")
    };
    for id in ["1", "2"] {
        let sent = stanza(outbox.name(), inbox.name(), id);
        outbox.sends(&sent);
        assert_eq!(inbox.receives_id(id).to_string(), sent);
    }
    // The same holds for error answers.
    let nobody = "missing.example";
    outbox.sends(&stanza(outbox.name(), nobody, "3").clone());
    let answer = outbox.receives_id("3");
    assert!(answer.is("message", "error"), "{answer}");
    assert!(answer.to_string().contains(payload), "{answer}");
    fixture.node.process().signal("USR1");
    fixture.node.eventually_logs(&["account domain=*", "difference=0"]);
}

/// Opens a stream with unusual declarations in its header, and authenticates.
fn opens_with(fixture: &Fixture, header: &str) -> Peer {
    let mut peer = Peer::dials(fixture.node.address());
    peer.starts_tls("peer.example", INBOX, Some(&fixture.identity));
    peer.proves_by_external("peer.example", INBOX, header);
    peer
}

/// Payload in other namespaces that contains a client stanza, in a form that no serialiser would produce.
const FORWARDED: &str = "<forwarded xmlns=\"urn:xmpp:forward:0\"><message xmlns='jabber:client' from='a@b/c' type = 'chat' >\
                         <body>&#x41; &amp; b</body><q:x xmlns:q='urn:q'  q:a='1'/></message></forwarded>";
