//! The form of stanzas: XML, characters and length.

use super::expects_error;
use crate::support::{Fixture, HEADER, INBOX, Peer, Server, Setup};

// rows: E20 E21 E22
#[test]
fn xml_that_xmpp_has_no_place_for_ends_the_stream() {
    let fixture = Fixture::new();
    let laughs = "<!DOCTYPE x [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;'>]><x>&b;</x>";
    for (text, condition) in [
        ("<!-- comment -->", "restricted-xml"),
        ("<x xmlns='urn:x'><!-- comment --></x>", "restricted-xml"),
        ("<?pi data?>", "restricted-xml"),
        ("<x xmlns='urn:x'><?pi data?></x>", "restricted-xml"),
        (laughs, "restricted-xml"),
        ("<x xmlns='urn:x'>&laugh;</x>", "restricted-xml"),
        ("<x xmlns='urn:x' a='&laugh;'/>", "restricted-xml"),
        ("<x xmlns='urn:x'><y></x>", "not-well-formed"),
        ("<p:x/>", "not-well-formed"),
        ("<x xmlns='urn:x' p:a=''/>", "not-well-formed"),
        ("<x xmlns='urn:x' a='' a=''/>", "not-well-formed"),
        ("<x xmlns='urn:x' xmlns:p='urn:p' xmlns:q='urn:p' p:a='' q:a=''/>", "not-well-formed"),
        ("<x xmlns='urn:x' a=b/>", "not-well-formed"),
        ("<x xmlns='urn:x'>&#0;</x>", "not-well-formed"),
        ("<x xmlns='urn:x'>\u{1}</x>", "not-well-formed"),
        ("<x xmlns='urn:x'>a & b</x>", "not-well-formed"),
        ("<x xmlns='urn:x'>]]></x>", "not-well-formed"),
        ("text", "bad-format"),
        ("&lt;", "bad-format"),
        ("<![CDATA[x]]>", "bad-format"),
        ("</nothing>", "not-well-formed"),
    ] {
        let answer = fixture.answer_to(format!("{HEADER}{text}").as_bytes());
        ends_with(&answer, condition, text);
    }
    let utf16: Vec<u8> = format!("\u{feff}{HEADER}").encode_utf16().flat_map(u16::to_be_bytes).collect();
    ends_with(&fixture.answer_to(&utf16), "unsupported-encoding", "UTF-16");
    let latin = format!("<?xml version='1.0' encoding='ISO-8859-1'?>{HEADER}");
    ends_with(&fixture.answer_to(latin.as_bytes()), "unsupported-encoding", "ISO-8859-1");
    // Not UTF-8, an overlong form, half a surrogate pair, beyond the last character.
    for bytes in [&b"\xff"[..], b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"] {
        let text = [HEADER.as_bytes(), b"<x xmlns='urn:x'>", bytes, b"</x>"].concat();
        ends_with(&fixture.answer_to(&text), "unsupported-encoding", &format!("{bytes:x?}"));
    }
}

// rows: E20 E22 E23
#[test]
fn allowed_xml_arrives_with_the_same_meaning() {
    let fixture = Fixture::new();
    let mut inbox = fixture.node.inbox();
    // `Peer` sends an XML declaration; a stream without one is in `xml_that_xmpp_has_no_place_for_ends_the_stream`.
    let mut peer = fixture.peer();
    for (id, sent, meant) in [
        ("entities", "&amp;&lt;&gt;&quot;&apos;", "&<>\"'"),
        ("numbers", "&#65;&#x42;&#x1F600;", "AB\u{1f600}"),
        ("cdata", "<![CDATA[<&>]]>", "<&>"),
        ("no byte order mark", "\u{feff}a\u{feff}", "\u{feff}a\u{feff}"),
    ] {
        let from = "romeo@peer.example";
        peer.sends(&format!(
            " \r\n\t<message from='{from}' to='{INBOX}' id='{id}'><body>{sent}</body></message>\n"
        ));
        assert_eq!(inbox.receives_id(id).expect("body").text(), meant);
    }
    peer.sends(" \n \n</stream:stream>");
    // White space between stanzas is ignored.
    fixture.node.eventually_logs(&["closed", "stanzas_in=4"]);
}

// rows: E24 K8
#[test]
fn a_stanza_may_be_as_long_as_announced_and_not_longer() {
    let fixture = Fixture::with(
        Setup::of("nuncio.example").set("s2s.max_stanza", "\"10000 B\"").set("s2s.idle_timeout", "\"90s\""),
    );
    let mut inbox = fixture.node.inbox();
    let mut peer = Peer::dials(fixture.node.address());
    peer.starts_tls("peer.example", INBOX, Some(&fixture.identity));
    let features = peer.proves_by_external("peer.example", INBOX, "");
    let limits = features.expect("limits");
    assert_eq!(limits.namespace, "urn:xmpp:stream-limits:0");
    assert_eq!(limits.expect("max-bytes").text(), "10000");
    assert_eq!(limits.expect("idle-seconds").text(), "90");

    for length in [9_999, 10_000] {
        peer.sends(&of_length(length));
        inbox.receives_id(&length.to_string());
    }
    peer.sends(&of_length(10_001));
    peer.expects_error("policy-violation");
    assert!(!inbox.has_received());
}

// rows: E24
#[test]
fn a_stanza_is_measured_while_it_is_read() {
    let fixture = Fixture::new();
    let start = format!("<message from='romeo@peer.example' to='{INBOX}' id='endless'");
    let nested = format!("{start}>{}", "<x>".repeat(10_000));
    let attributes: String = (0..10_000).map(|number| format!(" a{number}=''")).collect();
    for endless in [
        format!("{start} a='{}", "x".repeat(600 * 1024)),
        format!("{start}{}", " ".repeat(600 * 1024)),
        format!("{start}><body>{}", "x".repeat(600 * 1024)),
        format!("<{}", "x".repeat(600 * 1024)),
        nested,
        format!("{start}{attributes}>"),
    ] {
        // No element is complete.
        let mut peer = fixture.peer();
        peer.sends(&endless);
        expects_error(&mut peer, "policy-violation", &endless[..80]);
    }
    // Before authentication the limit is 10 KiB.
    for endless in [format!("{start} a='{}", "x".repeat(11 * 1024)), "<x>".repeat(20)] {
        let answer = fixture.answer_to(format!("{HEADER}{endless}").as_bytes());
        ends_with(&answer, "policy-violation", &endless[..40]);
    }
}

#[track_caller]
fn ends_with(answer: &str, condition: &str, what: &str) {
    assert!(answer.contains(&format!("<stream:error><{condition} ")), "{what:?}: {answer}");
    assert!(answer.ends_with("</stream:error></stream:stream>"), "{what:?}: {answer}");
}

/// A message of exactly so many bytes.
fn of_length(length: usize) -> String {
    let around =
        format!("<message from='romeo@peer.example' to='{INBOX}' id='{length}'><body></body></message>");
    around.replace("<body>", &format!("<body>{}", "x".repeat(length - around.len())))
}
