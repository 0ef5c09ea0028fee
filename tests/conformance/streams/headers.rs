//! Stream headers (RFC 6120, sections 4.7 and 4.8).

use std::collections::HashSet;

use super::{Fixture, INBOX, NAMED, PEER, header, message, setup};
use crate::support::{Certificate, Node, Purpose, Server, Setup, Tenant};

// rows: B1 B2 B3 B12 B27
#[test]
fn a_header_of_ours_names_both_domains_and_no_id_on_each_of_its_streams() {
    let fixture = Fixture::new();
    let listener = fixture.listens();
    let mut inbox = fixture.node.inbox();
    inbox.sends_message(PEER, "1", "");

    let mut peer = listener.accepts();
    let mut headers = vec![peer.expects_header()];
    peer.sends_header(PEER, INBOX, "id='1' xml:lang='en'");
    peer.sends_features("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>");
    peer.expects("starttls");
    peer.sends("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    peer.secures_as_server(&fixture.identity);
    // Each header follows the previous step directly, on the same connection.
    headers.push(peer.expects_header());
    peer.sends_header(PEER, INBOX, "id='2'");
    peer.sends_features(EXTERNAL);
    peer.expects("auth");
    peer.sends("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    peer.restarts();
    headers.push(peer.expects_header());
    peer.sends_header(PEER, INBOX, "id='3'");
    peer.sends_features("");
    assert_eq!(peer.expects("message").attribute("id"), "1");

    for header in headers {
        assert_eq!(header.attribute("to"), PEER, "{header}");
        assert_eq!(header.attribute("from"), INBOX, "{header}");
        assert_eq!(header.attribute("id"), "", "{header}");
        assert_eq!(header.attribute("version"), "1.0", "{header}");
        let text = header.to_string();
        assert!(text.starts_with("<stream:stream ") && text.contains(" xmlns='jabber:server'"), "{text}");
    }
    assert!(listener.accepted().is_none(), "another connection");
}

// rows: B4 B6 B7 B11 B12
#[test]
fn a_response_header_matches_the_request_and_has_a_new_id_each_time() {
    let fixture = Fixture::new();
    let mut peer = fixture.opens(NAMED);
    let mut headers = vec![peer.expects_header()];
    assert!(peer.expects("features").child("starttls").is_some());
    peer.asks_for_tls();
    peer.secures_as_client(Some(&fixture.identity), INBOX);
    peer.sends(&header(NAMED));
    headers.push(peer.expects_header());
    assert!(peer.expects("features").child("mechanisms").is_some());
    peer.sends_external();
    peer.sends(&header(NAMED));
    headers.push(peer.expects_header());
    // The remaining feature announces limits (XEP-0478), once.
    let last = peer.expects("features");
    assert!(last.children().all(|feature| feature.name == "limits"), "{last}");
    peer.says_no_more();

    let ids: HashSet<_> = headers.iter().map(|header| header.attribute("id").to_owned()).collect();
    assert_eq!(ids.len(), 3, "{headers:?}");
    for header in headers {
        assert_eq!(header.attribute("from"), INBOX, "{header}");
        assert_eq!(header.attribute("to"), PEER, "{header}");
        assert_eq!(header.attribute("version"), "1.0", "{header}");
        assert!(!header.attribute("id").is_empty(), "{header}");
        assert!(!header.attribute("xml:lang").is_empty(), "{header}");
    }
}

// rows: B5
#[test]
fn ids_are_never_given_twice_and_show_no_order() {
    let fixture = Fixture::with(
        setup()
            .set("s2s.max_connections_per_address", "4096")
            .set("limits.max_attempts_per_address", "20000"),
    );
    let ids: Vec<String> = (0..DIALS)
        .map(|_| {
            let mut peer = fixture.opens(NAMED);
            peer.expects_header().attribute("id").to_owned()
        })
        .collect();
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), DIALS);
    // Each of at least 64 bits is set in about half of the ids, independently of its neighbours.
    let numbers: Vec<u128> = ids.iter().map(|id| u128::from_str_radix(id, 16).expect("hex digits")).collect();
    let fair = |bit: &u32| {
        let set = numbers.iter().filter(|number| *number >> bit & 1 == 1).count();
        (DIALS * 4 / 10..DIALS * 6 / 10).contains(&set)
    };
    let flips = |bit: &u32| {
        let flipped = numbers.windows(2).filter(|two| (two[0] ^ two[1]) >> bit & 1 == 1).count();
        (DIALS * 4 / 10..DIALS * 6 / 10).contains(&flipped)
    };
    assert!((0..128).filter(fair).filter(flips).count() >= 64, "{:?}", &ids[..8]);
}

// rows: B3
#[test]
fn an_id_in_the_initial_header_is_ignored() {
    let fixture = Fixture::new();
    let mut peer = fixture.opens(&format!("{NAMED} id='mine'"));
    let answer = peer.expects_header();
    assert!(!["", "mine"].contains(&answer.attribute("id")), "{answer}");
    peer.expects("features");
}

// rows: B9
#[test]
fn the_lower_version_is_answered_with_and_compared_by_numbers() {
    let fixture = Fixture::new();
    for version in ["1.0", "1.1", "1.10", "2.0", "10.0"] {
        let mut peer = fixture.opens(&format!("version='{version}' from='{PEER}' to='{INBOX}'"));
        assert_eq!(peer.expects_header().attribute("version"), "1.0", "to {version}");
        peer.expects("features");
    }
}

// rows: B10
#[test]
fn a_header_without_version_is_answered_without_version_and_features() {
    let fixture = Fixture::new();
    for version in ["", "version='0.9'"] {
        let mut peer = fixture.opens(&format!("{version} from='{PEER}' to='{INBOX}'"));
        let answer = peer.expects_header();
        assert_eq!(answer.attribute("version"), "", "{answer}");
        peer.says_no_more();
    }
}

// rows: B23
#[test]
fn another_namespace_for_the_stream_or_its_content_is_refused() {
    let fixture = Fixture::new();
    for header in [
        "<stream:stream xmlns='jabber:server' xmlns:stream='http://example.org/streams' version='1.0'>",
        "<stream xmlns='jabber:server' version='1.0'>",
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>",
        "<stream:stream xmlns='urn:example' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>",
        "<stream:stream xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>",
    ] {
        let mut peer = fixture.dials();
        peer.sends(header);
        peer.expects_header();
        peer.expects_error("invalid-namespace");
    }
}

// rows: B27
#[test]
fn the_prefix_of_the_stream_may_be_any() {
    let fixture = Fixture::new();
    let mut inbox = fixture.node.inbox();
    let open = format!("<s:stream xmlns='jabber:server' xmlns:s='http://etherx.jabber.org/streams' {NAMED}>");
    let mut peer = fixture.authenticated_by(&open);
    peer.sends(&message("1"));
    inbox.receives_id("1");
    peer.sends("</s:stream>");
    peer.expects_closed();
}

// rows: B31
#[test]
fn a_foreign_host_gets_host_unknown_and_no_name_is_adopted() {
    let fixture = Fixture::new();
    for to in ["to='somebody.example'", "to='nuncio.example.org'", ""] {
        let mut peer = fixture.opens(&format!("version='1.0' from='{PEER}' {to}"));
        let answer = peer.expects_header();
        assert_eq!(answer.attribute("from"), "nuncio.example", "{answer}");
        peer.expects_error("host-unknown");
    }
}

// rows: B31
#[test]
fn ejabberd_reads_why_a_host_that_is_not_ours_is_refused() {
    let ejabberd = Tenant::with(&Certificate::Common(Purpose::Both));
    let node = Node::start(ejabberd.network(), Setup::of(&ejabberd.neighbour("nuncio")));
    let elsewhere = ejabberd.neighbour("elsewhere");
    ejabberd.network().publish(&elsewhere, node.address());
    let answer = ejabberd.inbox().asks(&elsewhere, "<ping xmlns='urn:xmpp:ping'/>");
    let text = answer.expect("error").expect("text").text();
    assert!(text.contains("host-unknown"), "{answer}");
}

// rows: B30
#[test]
fn an_early_error_follows_our_own_header() {
    let fixture = Fixture::new();
    for (garbage, condition) in [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "not-well-formed"),
        ("<stream:stream>", "not-well-formed"),
        ("<html>", "invalid-namespace"),
        ("<!DOCTYPE x><x/>", "restricted-xml"),
        ("\u{1}\u{2}\u{3}", "not-well-formed"),
    ] {
        let mut peer = fixture.dials();
        peer.sends(garbage);
        let header = peer.expects_header();
        assert!(header.name == "stream" && !header.attribute("id").is_empty(), "{header}");
        peer.expects_error(condition);
    }
}

const EXTERNAL: &str =
    "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms>";

/// The row says 10,000; fewer suffice to detect a counter, a clock or a weak generator.
const DIALS: usize = 10_000;
