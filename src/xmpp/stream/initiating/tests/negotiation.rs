//! Headers, features, STARTTLS, the end.
use super::*;

// B1, B2, B3, F2
#[test]
fn our_header_names_both_sides_and_has_no_id() {
    let expected = "<?xml version='1.0'?><stream:stream xmlns='jabber:server' \
        xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback' from='a.example' \
        to='b.example' version='1.0'>";
    assert_eq!(Peer::new(plan(policy())).gets(), expected);
    let without_dialback = Peer::new(plan(terms(Tls::Required, &[External]))).gets();
    assert_eq!(without_dialback, expected.replace(" xmlns:db='jabber:server:dialback'", ""));
    let mut peer = Peer::new(plan(policy()));
    peer.gets();
    peer.opens(STARTTLS);
    peer.sends(PROCEED);
    assert_eq!(peer.last(), "[start tls]");
    peer.stream.secured(secured(trusted()));
    assert_eq!(peer.gets(), expected);
    assert_eq!(peer.last(), "[certificate good]");
}

// C11
#[test]
fn required_tls_is_tried_although_it_is_not_offered() {
    for (answer, told) in [
        ("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "</stream:stream>"),
        (
            "<stream:error><unsupported-stanza-type xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
            "</stream:stream>",
        ),
    ] {
        let mut peer = Peer::new(plan(policy()));
        peer.gets();
        assert_eq!(peer.opens(DIALBACK), STARTTLS);
        assert_eq!(peer.stream.stage().to_string(), "waiting for the answer to STARTTLS");
        assert_eq!(peer.sends(answer), told);
        assert_eq!(peer.last(), "[failed: b.example does not offer TLS (required by s2s.tls)]");
    }
    let mut peer = Peer::new(plan(policy()));
    peer.gets();
    peer.opens("");
    assert_eq!(peer.sends(PROCEED), "");
    assert_eq!(peer.last(), "[start tls]");
}

// C11, C14: no TLS, no word in clear text to a peer from before versions either
#[test]
fn a_peer_without_versions_cannot_have_tls() {
    let mut peer = Peer::new(plan(policy()));
    peer.gets();
    assert_eq!(peer.sends(&header("")), "</stream:stream>");
    assert_eq!(peer.last(), "[failed: b.example does not offer TLS (required by s2s.tls)]");
}

// C3
#[test]
fn tls_that_is_offered_and_refused_ends_the_attempt() {
    let mut peer = Peer::new(plan(terms(Tls::Optional, &[Dialback])));
    peer.gets();
    assert_eq!(peer.opens(STARTTLS), STARTTLS);
    peer.sends("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    assert_eq!(peer.last(), "[failed: b.example offers TLS and then refuses it]");
}

// C5: bytes in front of TLS, with <proceed/> or behind it
#[test]
fn bytes_between_proceed_and_tls_end_the_attempt() {
    for injected in ["<stream:features/>", " "] {
        let mut peer = Peer::new(plan(policy()));
        peer.gets();
        peer.opens(STARTTLS);
        assert_eq!(peer.sends(&format!("{PROCEED}{injected}")), "");
        assert!(peer.last().contains("bytes in clear text after <proceed/>"), "{}", peer.last());

        let mut peer = Peer::new(plan(policy()));
        peer.gets();
        peer.opens(STARTTLS);
        peer.sends(PROCEED);
        assert_eq!(peer.sends(injected), "");
        assert!(peer.last().contains("bytes in clear text after <proceed/>"), "{}", peer.last());
    }
}

// C11
#[test]
fn a_peer_that_hangs_up_on_an_unoffered_starttls_has_no_tls() {
    let mut peer = Peer::new(plan(policy()));
    peer.gets();
    peer.opens("");
    peer.sends("</stream:stream>");
    assert_eq!(peer.last(), "[failed: b.example does not offer TLS (required by s2s.tls)]");
}

// A14: a web server at the address
#[test]
fn a_server_that_is_no_xmpp_server_is_reported_as_such() {
    for bytes in [
        "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        "<html><body>hello</body></html>",
        "\u{15}\u{3}\u{1}",
        "220 mail.b.example ESMTP\r\n",
    ] {
        let mut peer = Peer::new(plan(policy()));
        peer.gets();
        peer.sends(bytes);
        assert_eq!(peer.last(), "[failed: the server at this address does not speak XMPP]", "{bytes}");
    }
}

// B15
#[test]
fn an_unknown_required_feature_ends_the_handshake() {
    let unknown = "<amqp xmlns='urn:example'><required/></amqp>";
    let error = "<stream:error><unsupported-feature xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>";
    let mut peer = Peer::secured(plan(policy()));
    assert!(peer.opens(unknown).starts_with(error));
    assert!(
        peer.last().starts_with("[failed: b.example violated the protocol: unsupported-feature"),
        "{}",
        peer.last()
    );

    let mut peer = Peer::secured(plan(policy()));
    assert!(
        peer.opens(&format!("{unknown}{EXTERNAL}")).starts_with("<auth "),
        "what can be done is done first"
    );
    peer.sends("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    assert!(peer.opens(unknown).starts_with(error));
}

// B29, B32, E14
#[test]
fn a_stream_error_is_reported_and_answered_with_the_closing_tag_alone() {
    let error = "<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
        <text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>who?</text></stream:error></stream:stream>";
    let mut peer = Peer::new(plan(policy()));
    peer.gets();
    assert_eq!(peer.sends(&format!("{}{error}", header("version='1.0'"))), "</stream:stream>");
    assert_eq!(peer.last(), "[failed: b.example closed the stream: host-unknown (who?)]");
    assert!(!peer.stream.is_established());
    let nameless = header("version='1.0'").replace("from='b.example'", "from=''");
    let mut peer = Peer::new(plan(policy()));
    peer.gets();
    peer.sends(&format!("{nameless}{error}"));
    assert_eq!(peer.last(), "[failed: b.example closed the stream: host-unknown (who?)]");
}

// B23, B27
#[test]
fn reads_answers_on_a_stream_whose_default_namespace_is_that_of_streams() {
    let mut peer = Peer::new(plan(terms(Tls::Optional, &[Dialback])));
    peer.gets();
    peer.sends(
        "<stream xmlns='http://etherx.jabber.org/streams' from='b.example' to='a.example' id='D6' version='1.0'>",
    );
    let shown = peer.sends("<features><dialback xmlns='urn:xmpp:features:dialback'/></features>");
    assert_eq!(shown, format!("<db:result from='a.example' to='b.example'>{}</db:result>", key()));
    peer.sends("<result xmlns='jabber:server:dialback' from='b.example' to='a.example' type='valid'/>");
    assert_eq!(peer.last(), "[established by dialback over clear text]");
    let error = "<error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></error></stream>";
    assert_eq!(peer.sends(error), "</stream:stream>");
    assert_eq!(peer.last(), "[closed by the peer: reset]");
}

// B10: RFC 3920 section 8.3 lets an answering header leave out everything but the id
#[test]
fn dialback_goes_on_with_any_attribute_missing_in_the_response_header() {
    for number in 0..8 {
        let parts = [(1, "from='b.example'"), (2, "to='a.example'"), (4, "version='1.0'")];
        let parts = parts.iter().filter(|(bit, _)| number & bit != 0).map(|(_, part)| format!(" {part}"));
        let attributes: String = parts.collect();
        let features = if number & 4 == 0 { "" } else { "<stream:features/>" };
        let answer = format!(
            "<stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
             xmlns:stream='http://etherx.jabber.org/streams' id='D6'{attributes}>{features}"
        );
        let mut peer = Peer::new(plan(terms(Tls::Optional, &[Dialback])));
        peer.gets();
        let shown = peer.sends(&answer);
        assert_eq!(shown, format!("<db:result from='a.example' to='b.example'>{}</db:result>", key()));
        peer.sends("<db:result from='b.example' to='a.example' type='valid'/>");
        assert_eq!(peer.last(), "[established by dialback over clear text]", "{attributes}");

        let mut peer = Peer::asked(plan(terms(Tls::Optional, &[Dialback])), question());
        peer.gets();
        let asked = peer.sends(&answer);
        assert_eq!(
            asked, "<db:verify from='a.example' to='b.example' id='1'>key</db:verify>",
            "{attributes}"
        );
        peer.sends("<db:verify from='b.example' to='a.example' id='1' type='valid'/>");
        assert_eq!(peer.events[0], "[verified valid]", "{attributes}");
    }
}

// B16: it gave no reason, and may do better the next time
#[test]
fn a_root_that_is_closed_at_once_is_a_stream_that_the_peer_closed() {
    for mut peer in [Peer::new(plan(policy())), Peer::asked(plan(policy()), question())] {
        peer.gets();
        let answer = peer.sends(&header("version='1.0'").replace('>', "/>").replacen("?/>", "?>", 1));
        assert_eq!(answer, "</stream:stream>");
        assert!(peer.last().contains("closed the stream"), "{}", peer.last());
        assert!(!peer.last().contains("XMPP"), "{}", peer.last());
    }
}

fn question() -> dialback::Request {
    dialback::Request { pair: pair("a.example", "b.example"), id: "1".into(), key: "key".into() }
}

// B33, B34
#[test]
fn a_redirection_is_reported_with_how_it_came() {
    let error = "<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>c.example:5270\
        </see-other-host></stream:error>";
    for (mut peer, over_tls) in [(Peer::new(plan(policy())), false), (Peer::secured(plan(policy())), true)] {
        peer.gets();
        peer.stream.receive(BytesMut::from(format!("{}{error}", header("version='1.0'")).as_str()));
        let failure = std::iter::from_fn(|| peer.stream.poll()).find_map(|output| match output {
            Opens::Failed(failure) => Some(failure.cause),
            _ => None,
        });
        let expected = Cause::Redirected { host: "c.example:5270".to_owned(), secured: over_tls };
        assert_eq!(failure, Some(expected));
    }
}

#[test]
fn a_peer_that_just_closes_is_reported_so() {
    let mut peer = Peer::new(plan(policy()));
    peer.gets();
    assert_eq!(peer.sends(&format!("{}</stream:stream>", header("version='1.0'"))), "</stream:stream>");
    assert_eq!(peer.last(), "[failed: b.example closed the stream without giving a reason]");
}

// B23, E20, E21
#[test]
fn a_peer_that_violates_the_protocol_gets_the_error() {
    for (bytes, condition) in [
        (header("version='x'"), "unsupported-version"),
        (header("version='1.0'").replace("jabber:server", "jabber:client"), "invalid-namespace"),
        (format!("{}<!-- -->", header("version='1.0'")), "restricted-xml"),
        (format!("{}</x>", header("version='1.0'")), "not-well-formed"),
        (format!("{}<message/>", header("version='1.0'")), "not-authorized"),
        (format!("{}<x xmlns='urn:example'/>", header("version='1.0'")), "unsupported-stanza-type"),
        (format!("{}<db:x xmlns:db='{}'/>", header("version='1.0'"), "x".repeat(11_000)), "policy-violation"),
    ] {
        let mut peer = Peer::secured(plan(policy()));
        let answer = peer.sends(&bytes);
        assert!(answer.starts_with(&format!("<stream:error><{condition} ")), "{bytes}: {answer}");
        assert!(answer.ends_with("</stream:error></stream:stream>"), "{answer}");
        let expected = format!("[failed: b.example violated the protocol: {condition}");
        assert!(peer.last().starts_with(&expected), "{}", peer.last());
    }
}

pub(super) fn established() -> Peer {
    let mut peer = Peer::secured(plan(policy()));
    peer.opens(DIALBACK);
    peer.sends(&dialback_answer("type='valid'"));
    assert_eq!(peer.last(), "[established by dialback over TLS]");
    assert!(peer.stream.is_established());
    peer
}

fn dialback_answer(attributes: &str) -> String {
    format!("<db:result xmlns:db='jabber:server:dialback' from='b.example' to='a.example' {attributes}/>")
}

// F6
#[test]
fn an_open_stream_ignores_stray_answers() {
    let mut peer = established();
    for stray in [dialback_answer("type='invalid'"), "<stream:features/>".to_owned(), " ".to_owned()] {
        assert_eq!(peer.sends(&stray), "");
        assert!(peer.stream.is_established());
    }
}

// B16, B29
#[test]
fn an_open_stream_ends_when_the_peer_ends_it() {
    let mut peer = established();
    assert_eq!(peer.sends("</stream:stream>"), "</stream:stream>");
    assert_eq!(peer.last(), "[closed]");
    let mut peer = established();
    let error = "<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>";
    assert_eq!(peer.sends(error), "</stream:stream>");
    assert_eq!(peer.last(), "[closed by the peer: reset]");
}

// B17, B22
#[test]
fn closing_waits_for_the_peers_tag() {
    let mut peer = established();
    peer.stream.close(None);
    assert_eq!(peer.gets(), "</stream:stream>");
    assert!(!peer.stream.is_established());
    assert_eq!(peer.sends("<message from='u@b.example' to='v@a.example'/>"), "");
    assert_eq!(peer.stream.stage().to_string(), "waiting for the closing tag");
    assert_eq!(peer.sends("</stream:stream>"), "");
    assert_eq!(peer.last(), "[closed]");
}

// C6
#[test]
fn a_close_during_the_tls_handshake_writes_nothing() {
    let mut peer = Peer::new(plan(policy()));
    peer.gets();
    peer.opens(STARTTLS);
    peer.sends(PROCEED);
    peer.stream.close(Some(Error::new(crate::stream::Condition::SystemShutdown, "")));
    assert_eq!(peer.gets(), "");
    assert_eq!(peer.last(), "[closed by us: system-shutdown]");
}

// E27
#[test]
fn the_elements_of_a_handshake_are_limited() {
    let mut peer = Peer::secured(plan(policy()));
    peer.opens(DIALBACK);
    let stray = "<db:result xmlns:db='jabber:server:dialback' from='c.example' to='a.example' type='valid'/>";
    let answer = peer.sends(&stray.repeat(open::ELEMENTS));
    assert!(answer.starts_with("<stream:error><policy-violation "), "{answer}");
}

// E27
#[test]
fn the_bytes_of_a_handshake_are_limited() {
    let features = format!("{DIALBACK}<x xmlns='urn:x'>{}</x>", "y".repeat(3000));
    let stray = format!("<stream:features>{features}</stream:features>");
    let bounds = Bounds { early_bytes: 10_000, ..Bounds::default() };
    let mut peer = Peer::secured(Plan { bounds, ..plan(policy()) });
    peer.opens(&features);
    assert_eq!(peer.sends(&stray), "");
    assert_eq!(peer.sends(&stray), "");
    let answer = peer.sends(&stray);
    assert!(answer.starts_with("<stream:error><policy-violation "), "{answer}");
    assert!(answer.contains("bytes before authentication"), "{answer}");

    // What it says on a stream that stands is no part of that.
    let mut peer = Peer::secured(Plan { bounds, ..plan(policy()) });
    peer.opens(&features);
    peer.sends("<db:result xmlns:db='jabber:server:dialback' from='b.example' to='a.example' type='valid'/>");
    assert!(peer.stream.is_established());
    (0..10).for_each(|_| assert_eq!(peer.sends(&stray), ""));
}

// E27
#[test]
fn depth_and_attributes_of_a_handshake_are_limited() {
    let bounds = Bounds { depth: 3, attributes: 8, ..Bounds::default() };
    for (features, wide) in [
        ("<a xmlns='urn:x'><b/></a>", false),
        ("<a xmlns='urn:x'><b><c/></b></a>", true),
        ("<a xmlns='urn:x' b='' c='' d='' e='' f='' g='' h=''/>", false),
        ("<a xmlns='urn:x' b='' c='' d='' e='' f='' g='' h='' i=''/>", true),
    ] {
        let mut peer = Peer::secured(Plan { bounds, ..plan(policy()) });
        let answer = peer.opens(&format!("{DIALBACK}{features}"));
        assert_eq!(answer.contains("policy-violation"), wide, "{features}: {answer}");
    }
}
