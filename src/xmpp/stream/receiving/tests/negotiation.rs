//! Headers, features, STARTTLS.
use super::*;

// B4, B6, B7, B9, F2
#[test]
fn the_answer_to_a_header_names_both_sides_and_the_stream() {
    for version in ["1.0", "1.10", "2.0"] {
        let mut peer = Peer::new(node());
        let answer =
            peer.sends(&header(&format!("from='b.example' to='A.example' id='mine' version='{version}'")));
        let expected = "<?xml version='1.0'?><stream:stream xmlns='jabber:server' \
            xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback' from='a.example' \
            to='b.example' id='id1' xml:lang='en' version='1.0'>";
        assert!(answer.starts_with(expected), "{answer}");
        assert_eq!(peer.events, ["[opened by b.example for a.example]"]);
    }
}

// C1, C2, D1: before a TLS that is required, nothing that authenticates
#[test]
fn features_before_tls_follow_the_policy() {
    let starttls = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'";
    let dialback = "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>";
    let disabled = Policy { tls: Tls::Disabled, ..policy() };
    for (rules, offers, offers_not) in [
        (node(), vec![starttls, "<required/>"], vec!["dialback'>", "mechanisms"]),
        (lax(), vec![starttls, dialback], vec!["required", "mechanisms"]),
        (rules(&["a.example"], disabled, true), vec![dialback], vec!["starttls", "mechanisms"]),
        (rules(&["a.example"], policy(), false), vec!["<stream:features/>"], vec!["starttls", "mechanisms"]),
    ] {
        let answer = Peer::new(rules).opens();
        let features = answer.split_once("<stream:features").unwrap().1.to_owned();
        for feature in offers {
            assert!(answer.contains(feature), "{feature} in {answer}");
        }
        for feature in offers_not {
            assert!(!features.contains(feature), "{feature} not in {features}");
        }
    }
}

// B10
#[test]
fn a_peer_from_before_versions_gets_neither_version_nor_features() {
    let mut peer = Peer::new(lax());
    let answer = peer.sends(&header("from='b.example' to='a.example'"));
    assert!(answer.ends_with("xml:lang='en'>"), "{answer}");
    let answer = peer.is_verified("a.example", "b.example");
    assert_eq!(answer, "<db:result from='a.example' to='b.example' type='valid'/>");
}

// C3, C4, C5, C7, B6: nothing from before TLS is left, least of all what was sent behind <starttls/>
#[test]
fn tls_restarts_the_stream() {
    let mut peer = Peer::new(node());
    peer.opens();
    let starttls = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
    let injected = "<db:result from='b.example' to='a.example'>key</db:result>";
    let answer = peer.sends(&format!("{starttls}{injected}"));
    assert_eq!(answer, "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    assert_eq!(peer.events.last().unwrap(), "[start tls]");
    assert_eq!(peer.stream.stage().to_string(), "waiting for the TLS handshake");
    assert_eq!(peer.sends(injected), "");
    peer.stream.secured(secured(trusted()));
    let answer = peer.opens();
    assert!(answer.contains("id='id2'"), "{answer}");
    assert!(answer.contains("<mechanism>EXTERNAL</mechanism>"), "{answer}");
    assert!(!answer.contains("starttls"), "{answer}");
    assert!(peer.requests.is_empty());
    let again = peer.sends(starttls);
    assert_eq!(again, "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>");
}

// C3
#[test]
fn starttls_is_refused_where_tls_is_not_possible() {
    let disabled = Policy { tls: Tls::Disabled, ..policy() };
    for rules in [rules(&["a.example"], disabled, true), rules(&["a.example"], policy(), false)] {
        let mut peer = Peer::new(rules);
        peer.opens();
        let answer = peer.sends("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        assert_eq!(answer, "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>");
        assert_eq!(peer.events.last().unwrap(), "[closed]");
    }
}

// C5: authorisation from before TLS would have to be forgotten, so TLS after it is refused
#[test]
fn tls_does_not_come_after_authentication() {
    let mut peer = Peer::new(lax());
    peer.opens();
    peer.is_verified("a.example", "b.example");
    let answer = peer.sends("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    assert!(answer.starts_with("<failure"), "{answer}");
}

// B23, B30, B31, E20, E21, E22
#[test]
fn a_bad_header_is_answered_with_a_header_and_an_error() {
    let stream = "xmlns:stream='http://etherx.jabber.org/streams'";
    for (bytes, condition) in [
        (header("from='b.example' to='c.example' version='1.0'"), "host-unknown"),
        (
            header("from='b.example' version='1.0'").replace(" xmlns:db='jabber:server:dialback'", ""),
            "host-unknown",
        ),
        (header("from='u@b.example' to='a.example' version='1.0'"), "improper-addressing"),
        (header("from='b.example' to='a.example' version='one'"), "unsupported-version"),
        (header("from='denied.example' to='a.example' version='1.0'"), "policy-violation"),
        (header("from='also.example' to='a.example' version='1.0'"), "invalid-from"),
        (
            format!("<stream:stream xmlns='jabber:client' {stream} to='a.example' version='1.0'>"),
            "invalid-namespace",
        ),
        ("<stream xmlns='jabber:server' to='a.example' version='1.0'>".to_owned(), "invalid-namespace"),
        ("<a/>".to_owned(), "invalid-namespace"),
        (
            header("from='b.example' to='c.example' version='1.0'")
                .replace('>', "/>")
                .replacen("?/>", "?>", 1),
            "host-unknown",
        ),
        ("<!DOCTYPE x><stream>".to_owned(), "restricted-xml"),
        ("<!-- hello --><stream>".to_owned(), "restricted-xml"),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), "not-well-formed"),
        ("<?xml version='1.0' encoding='UTF-16'?>".to_owned(), "unsupported-encoding"),
    ] {
        let mut peer = Peer::new(node());
        let answer = peer.sends(&bytes);
        assert!(answer.starts_with("<?xml version='1.0'?><stream:stream "), "{bytes}: {answer}");
        // `from` is the name that was meant, else the first that we have.
        assert!(answer.contains(" from='a.example' "), "{bytes}: {answer}");
        peer.ends_with(&answer, condition);
        let mut peer = Peer::new(node());
        assert_eq!(peer.dribbles(bytes.as_bytes()), answer, "{bytes}");
    }
}

// B29, B32
#[test]
fn after_a_stream_error_of_the_peer_only_the_closing_tag_is_sent() {
    let mut peer = Peer::new(node());
    peer.opens();
    let error = "<stream:error><tired xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>";
    assert_eq!(peer.sends(&format!("{error}<db:result/>")), "</stream:stream>");
    assert_eq!(peer.events.last().unwrap(), "[closed by the peer: undefined-condition]");
    assert!(peer.stream.poll().is_none());
}

// B16
#[test]
fn the_closing_tag_is_answered() {
    let mut peer = Peer::new(lax());
    peer.opens();
    peer.is_verified("a.example", "b.example");
    let stanza = "<message from='u@b.example' to='v@a.example'/>";
    assert_eq!(peer.sends(&format!("{stanza}</stream:stream>")), "</stream:stream>");
    assert!(peer.events.iter().any(|event| event == &format!("[stanza {stanza}]")));
    assert_eq!(peer.events.last().unwrap(), "[closed]");
}

// B17, B35
#[test]
fn stanzas_under_way_at_our_close_are_still_taken() {
    let mut peer = Peer::new(lax());
    peer.opens();
    peer.is_verified("a.example", "b.example");
    peer.stream.close(Some(Error::new(crate::stream::Condition::SystemShutdown, "")));
    let error = "<stream:error><system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>";
    assert_eq!(peer.gets(), format!("{error}</stream:stream>"));
    assert_eq!(peer.stream.stage().to_string(), "waiting for the closing tag");
    let stanza = "<message from='u@b.example' to='v@a.example'/>";
    assert_eq!(peer.sends(&format!("{stanza}<db:result from='c.example' to='a.example'>x</db:result>")), "");
    assert_eq!(peer.events.last().unwrap(), &format!("[stanza {stanza}]"));
    assert_eq!(peer.sends("</stream:stream>"), "");
    assert_eq!(peer.events.last().unwrap(), "[closed by us: system-shutdown]");
}

// B30
#[test]
fn closing_before_a_header_came_opens_first() {
    let mut peer = Peer::new(node());
    peer.stream.close(None);
    let answer = peer.gets();
    assert!(answer.starts_with("<?xml"), "{answer}");
    assert!(answer.ends_with("</stream:stream>"), "{answer}");
}

// E24, E27
#[test]
fn the_limits_before_authentication_are_low() {
    let mut peer = Peer::new(node());
    peer.opens();
    let answer = peer.sends(&format!("<db:verify id='{}'", "x".repeat(11 * 1024)));
    peer.ends_with(&format!("<stream:stream >{answer}"), "policy-violation");

    let mut peer = Peer::new(node());
    peer.opens();
    let question = "<db:verify from='b.example' to='a.example' id='1'>x</db:verify>";
    let most = crate::policy::Bounds::default().early_elements;
    let answer = peer.sends(&question.repeat(most));
    assert_eq!(answer.matches("type='invalid'").count(), most);
    let answer = peer.sends(question);
    peer.ends_with(&format!("<stream:stream >{answer}"), "policy-violation");

    // White space is bytes too.
    let mut peer = Peer::new(node());
    peer.opens();
    let most = crate::policy::Bounds::default().early_bytes;
    let answer = peer.sends(&" ".repeat(most));
    peer.ends_with(&format!("<stream:stream >{answer}"), "policy-violation");
}
