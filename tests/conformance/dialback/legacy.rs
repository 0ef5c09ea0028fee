//! Stream headers without addresses and version, as in early dialback (RFC 3920, section 8.3).

use super::{Fixture, told};
use crate::dialback::{INBOX, OUTBOX, message, result};
use crate::support::{Auth, Network, Node, Peer, Server, Setup};

// rows: B10 F10 F16
#[test]
fn a_peer_authenticates_on_a_stream_with_an_incomplete_header() {
    let fixture = Fixture::new();
    let mut inbox = fixture.node.inbox();
    for (number, attributes) in every_header().iter().enumerate() {
        let (mut dialing, id) = opens(&fixture.node, attributes);
        dialing.sends(&result("peer.example", INBOX, "key"));
        fixture.confirms(INBOX, &id);
        assert_eq!(dialing.expects("result").attribute("type"), "valid", "{attributes}");
        dialing.sends(&message(INBOX, &number.to_string()));
        inbox.receives_id(&number.to_string());
        dialing.sends("</stream:stream>");
        dialing.expects_closed();
        if number == 0 {
            // The log has both domains although the header has none.
            let to = format!("to={INBOX}");
            fixture.node.eventually_logs(&["nuncio::incoming closed", "from=peer.example", &to]);
        }
    }
}

// rows: B10 F18 F19 F20
#[test]
fn a_peer_verifies_a_key_on_a_stream_with_an_incomplete_header() {
    let fixture = Fixture::new();
    let mut inbox = fixture.node.inbox();
    inbox.sends_message("romeo@peer.example", "out", "");
    let mut shown = fixture.listener.accepts();
    let key = fixture.is_asked(&mut shown, "the-stream").text();
    for attributes in every_header() {
        let (mut asking, _) = opens(&fixture.node, &attributes);
        for (to, key, verdict) in [
            (INBOX, &*key, "valid"),
            (OUTBOX, &*key, "invalid"),
            (INBOX, "guess", "invalid"),
            ("not-here.example", &*key, "error"),
        ] {
            asking.sends(&verify("peer.example", to, key));
            let answer = asking.expects("verify");
            assert_eq!(answer.attribute("type"), verdict, "{attributes}: {answer}");
            assert_eq!((answer.attribute("from"), answer.attribute("to")), (to, "peer.example"));
            assert_eq!(answer.attribute("id"), "the-stream");
        }
    }
}

// rows: F18 C1
#[test]
fn with_tls_required_keys_are_verified_but_not_accepted_in_clear_text() {
    let network = Network::new();
    let node = Node::start(&network, Setup::of("nuncio.example").auth(Auth::Dialback));
    for attributes in every_header() {
        let (mut peer, _) = opens(&node, &attributes);
        peer.sends(&verify("peer.example", INBOX, "guess"));
        assert_eq!(peer.expects("verify").attribute("type"), "invalid", "{attributes}");
        peer.sends(&result("peer.example", INBOX, "key"));
        assert_eq!(told(&peer.expects("result")), "cancel policy-violation", "{attributes}");
        peer.sends(&message(INBOX, "unproved"));
        peer.expects_error("not-authorized");
    }
}

// rows: F15 F18
#[test]
fn dialback_refuses_the_domains_that_headers_refuse() {
    let fixture = Fixture::with(Setup::of("nuncio.example").set("s2s.deny", "[\"denied.example\"]"));
    for attributes in every_header() {
        for (from, to, condition) in [
            ("peer.example", "not-here.example", "cancel item-not-found"),
            ("denied.example", INBOX, "cancel not-allowed"),
            (OUTBOX, INBOX, "cancel not-allowed"),
        ] {
            let (mut peer, _) = opens(&fixture.node, &attributes);
            peer.sends(&result(from, to, "key"));
            assert_eq!(told(&peer.expects("result")), condition, "{attributes}");
            peer.sends(&verify(from, to, "key"));
            assert_eq!(told(&peer.expects("verify")), condition, "{attributes}");
            peer.sends("</stream:stream>");
            peer.expects_closed();
        }
    }
    assert!(fixture.listener.accepted().is_none(), "a peer was called back for nothing");
}

/// Opens a stream with these attributes in its header, and returns its id.
#[track_caller]
fn opens(node: &Node, attributes: &str) -> (Peer, String) {
    let mut peer = Peer::dials(node.address());
    peer.sends(&format!(
        "<stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
         xmlns:stream='http://etherx.jabber.org/streams' {attributes}>"
    ));
    let header = peer.expects_header();
    assert!(!header.attribute("id").is_empty(), "{header}");
    if attributes.contains("version") {
        peer.expects("features");
    }
    (peer, header.attribute("id").to_owned())
}

/// With and without each of `to`, `from` and `version`.
fn every_header() -> Vec<String> {
    let to = format!("to='{INBOX}'");
    (0..8)
        .map(|number| {
            let parts = [(1, &*to), (2, "from='peer.example'"), (4, "version='1.0'")];
            let kept: Vec<_> =
                parts.iter().filter(|(bit, _)| number & bit != 0).map(|(_, part)| *part).collect();
            kept.join(" ")
        })
        .collect()
}

fn verify(from: &str, to: &str, key: &str) -> String {
    format!("<db:verify from='{from}' to='{to}' id='the-stream'>{key}</db:verify>")
}
