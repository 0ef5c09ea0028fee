//! SASL EXTERNAL in both roles (RFC 6120, section 6; XEP-0178).

use super::{DIALBACK, Fixture, INBOX, is_called_back};
use crate::support::{
    Auth, Element, Event, Listener, Network, Node, Peer, SOON, Server, Setup, offers_external, plays,
};

// rows: D1 D9
#[test]
fn no_sasl_without_tls() {
    let network = Network::new();
    for tls in ["required", "optional"] {
        let domain = format!("{tls}.example");
        let node = Node::start(&network, Setup::of(&domain).set("s2s.tls", &format!("{tls:?}")));
        let mut peer = Peer::dials(node.address());
        peer.sends_header("peer.example", &domain, "");
        peer.expects_header();
        let features = peer.expects("features");
        assert!(features.child("mechanisms").is_none(), "{features}");
        peer.sends(&auth("="));
        is_refused(&mut peer, "encryption-required");
    }
}

// rows: D4 D5 D6 D7 D8 D9
#[test]
fn each_way_to_ask_for_external_has_its_answer() {
    let fixture = Fixture::new(Setup::of("nuncio.example"));
    for taken in ["=", "cGVlci5leGFtcGxl", "UEVFUi5FWEFNUExF"] {
        let mut peer = fixture.reaches_sasl();
        peer.sends(&auth(taken));
        peer.expects("success");
    }
    for (text, condition) in [
        ("cGVl ci5leGFtcGxl", "incorrect-encoding"),
        ("\ncGVlci5leGFtcGxl", "incorrect-encoding"),
        ("cGVlci5leGFtcGxl=", "incorrect-encoding"),
        ("cGVlci5leGFtcGx", "incorrect-encoding"),
        ("b3RoZXIuZXhhbXBsZQ==", "invalid-authzid"), // other.example
        ("YUBwZWVyLmV4YW1wbGU=", "invalid-authzid"), // a@peer.example
        ("cGVlci5leGFtcGxlL3I=", "invalid-authzid"), // peer.example/r
    ] {
        let mut peer = fixture.reaches_sasl();
        peer.sends(&auth(text));
        is_refused(&mut peer, condition);
        // The stream continues, and another attempt may succeed.
        peer.sends(&auth("cGVlci5leGFtcGxl"));
        peer.expects("success");
    }

    // Without an initial response the node sends a challenge; a new attempt replaces the current one.
    let mut peer = fixture.reaches_sasl();
    for _ in 0..2 {
        peer.sends(&auth(""));
        assert_eq!(peer.expects("challenge").text(), "");
    }
    peer.sends(&sasl("abort", ""));
    is_refused(&mut peer, "aborted");
    peer.sends(&sasl("response", "="));
    is_refused(&mut peer, "malformed-request");
    peer.sends(&auth("").replace("EXTERNAL", "PLAIN"));
    is_refused(&mut peer, "invalid-mechanism");
    let mut peer = fixture.reaches_sasl();
    peer.sends(&auth(""));
    peer.expects("challenge");
    peer.sends(&sasl("response", "cGVlci5leGFtcGxl"));
    peer.expects("success");
}

// rows: D10
#[test]
fn too_many_failed_attempts_close_the_stream() {
    let fixture = Fixture::new(Setup::of("nuncio.example"));
    let mut peer = fixture.reaches_sasl();
    let mut failures = 0;
    let error = loop {
        peer.sends(&auth("b3RoZXIuZXhhbXBsZQ=="));
        match element(&mut peer) {
            failure if failure.name == "failure" => failures += 1,
            error => break error,
        }
    };
    // The first attempt, and two to five more.
    assert!((3..=6).contains(&failures), "{failures}");
    assert!(error.child("policy-violation").is_some(), "{error}");
    peer.expects_closed();
    peer.expects_end();
}

// rows: D3 D6 D12
#[test]
fn the_node_tries_external_first_with_its_identity() {
    let fixture = Fixture::new(Setup::of("nuncio.example"));
    let mut inbox = fixture.node.inbox();
    inbox.sends_message("peer.example", "1", "");
    let mut peer = fixture.listener.accepts();
    peer.answers_to_tls("peer.example", &fixture.identity);
    peer.sends_features(&format!("{DIALBACK}{EXTERNAL}"));
    let asked = peer.expects("auth");
    assert_eq!(
        (asked.attribute("mechanism"), asked.text().as_str()),
        ("EXTERNAL", "aW5ib3gubnVuY2lvLmV4YW1wbGU=")
    );
    peer.sends(&sasl("success", ""));
    peer.restarts();
    peer.expects_header();
    peer.sends_header("peer.example", INBOX, "id='after-sasl'");
    peer.sends_features("");
    assert_eq!(peer.expects("message").attribute("id"), "1");
}

// rows: D11
#[test]
fn the_node_falls_back_to_dialback_after_a_refused_certificate() {
    let fixture = Fixture::new(Setup::of("nuncio.example"));
    let mut inbox = fixture.node.inbox();
    inbox.sends_message("peer.example", "1", "");
    let mut peer = fixture.listener.accepts();
    peer.answers_to_tls("peer.example", &fixture.identity);
    peer.sends_features(&format!("{EXTERNAL}{DIALBACK}"));
    peer.expects("auth");
    peer.sends(&sasl("failure", "<not-authorized/>"));
    peer.expects("result");
    peer.sends(&format!("<db:result from='peer.example' to='{INBOX}' type='valid'/>"));
    assert_eq!(peer.expects("message").attribute("id"), "1");
}

// rows: D11
#[test]
fn dialback_after_a_failed_external_needs_the_option() {
    let setup = Setup::of("nuncio.example")
        .block("[[remote]]\nname = \"trusted.example\"\ndialback_after_external = true");
    let fixture = Fixture::new(setup);
    let address = fixture.network.address();
    let identity = fixture.network.authority.issue(&["untrusted.example", "trusted.example"]);
    for domain in ["untrusted.example", "trusted.example"] {
        fixture.network.publish(domain, address);
    }
    plays(Listener::at(address), {
        let identity = identity.clone();
        move |peer| is_called_back(peer, &identity)
    });
    for (domain, allowed) in [("untrusted.example", false), ("trusted.example", true)] {
        let mut peer = Peer::dials(fixture.node.address());
        peer.starts_tls(domain, INBOX, Some(&identity));
        peer.expects("features").expect("dialback");
        peer.sends(&auth("b3RoZXIuZXhhbXBsZQ=="));
        is_refused(&mut peer, "invalid-authzid");
        peer.sends(&format!("<db:result from='{domain}' to='{INBOX}'>a key</db:result>"));
        let result = peer.expects("result");
        if allowed {
            assert_eq!(result.attribute("type"), "valid", "{result}");
        } else {
            let error = result.expect("error");
            error.expect("policy-violation");
            assert!(error.expect("text").text().contains("EXTERNAL"), "{error}");
            // On this stream only.
            peer.sends(&format!("<message from='a@{domain}' to='b@{INBOX}' id='early'/>"));
            peer.expects_error("not-authorized");
            let mut peer = Peer::dials(fixture.node.address());
            peer.starts_tls(domain, INBOX, Some(&identity));
            peer.expects("features");
            peer.sends(&format!("<db:result from='{domain}' to='{INBOX}'>a key</db:result>"));
            assert_eq!(peer.expects("result").attribute("type"), "valid");
        }
    }
}

// rows: D12 D13
#[test]
fn the_header_inside_tls_counts() {
    let fixture = Fixture::new(Setup::of("nuncio.example").auth(Auth::Both));
    // The certificate is for peer.example, the name in the second header only.
    let mut peer = Peer::dials(fixture.node.address());
    peer.opens_for_tls("other.example", INBOX);
    peer.secures_as_client(Some(&fixture.identity), INBOX);
    peer.sends_header("peer.example", INBOX, "");
    let before = peer.expects_header();
    assert!(offers_external(&peer.expects("features")));
    peer.sends(&auth("="));
    peer.expects("success");
    peer.restarts();
    peer.sends_header("peer.example", INBOX, "");
    let after = peer.expects_header();
    assert_ne!(before.attribute("id"), after.attribute("id"));
    let features = peer.expects("features");
    assert!(features.child("mechanisms").is_none(), "{features}");
    // It is authenticated as that name, not as the name of the clear-text header.
    peer.sends(&format!("<message from='a@other.example' to='b@{INBOX}' id='1'/>"));
    peer.expects_error("invalid-from");

    // In the other case EXTERNAL is not offered.
    let mut peer = Peer::dials(fixture.node.address());
    peer.opens_for_tls("peer.example", INBOX);
    peer.secures_as_client(Some(&fixture.identity), INBOX);
    peer.sends_header("other.example", INBOX, "");
    peer.expects_header();
    assert!(!offers_external(&peer.expects("features")));
    peer.sends(&auth("="));
    is_refused(&mut peer, "not-authorized");

    // The name cannot change after the authentication.
    let mut peer = fixture.reaches_sasl();
    peer.sends(&auth("="));
    peer.expects("success");
    peer.restarts();
    peer.sends_header("other.example", INBOX, "");
    peer.expects_header();
    peer.expects_error("invalid-from");
}

#[track_caller]
fn is_refused(peer: &mut Peer, condition: &str) {
    peer.expects("failure").expect(condition);
}

#[track_caller]
fn element(peer: &mut Peer) -> Element {
    match peer.next(SOON) {
        Ok(Event::Element(element)) => element,
        other => panic!("no element but {other:?}"),
    }
}

fn auth(text: &str) -> String {
    format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>{text}</auth>")
}

fn sasl(name: &str, content: &str) -> String {
    format!("<{name} xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{content}</{name}>")
}

const EXTERNAL: &str = "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
    <mechanism>EXTERNAL</mechanism></mechanisms>";
