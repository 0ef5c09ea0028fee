//! The node as authoritative server: verification requests for its own keys.

use super::{Fixture, told};
use crate::dialback::INBOX;
use crate::support::{
    Auth, Certificate, Component, Ejabberd, Network, Node, Peer, Prosody, Server, Setup, Tls,
};

// rows: F18 F20
#[test]
fn a_question_about_a_foreign_domain_is_an_error_and_the_stream_stays() {
    let fixture = Fixture::new();
    let mut peer = asks(&fixture);
    peer.sends("<db:verify from='peer.example' to='not-here.example' id='1'>key</db:verify>");
    let answer = peer.expects("verify");
    assert_eq!((answer.attribute("from"), answer.attribute("to")), ("not-here.example", "peer.example"));
    assert_eq!(answer.attribute("id"), "1");
    assert_eq!(told(&answer), "cancel item-not-found");
    assert_eq!(answer.expect("error").namespace, "jabber:server");
    peer.sends(&format!("<db:verify from='peer.example' to='{INBOX}' id='2'>key</db:verify>"));
    assert_eq!(peer.expects("verify").attribute("type"), "invalid");
}

// rows: F19
#[test]
fn an_answer_swaps_the_domains_and_copies_the_id() {
    let fixture = Fixture::new();
    let mut inbox = fixture.node.inbox();
    inbox.sends_message("romeo@peer.example", "out", "");
    let mut shown = fixture.listener.accepts();
    let key = fixture.is_asked(&mut shown, "&lt;&quot;1&apos;&gt;").text();
    let mut peer = asks(&fixture);
    for (from, id, verdict) in [
        ("peer.example", "&lt;&quot;1&apos;&gt;", "valid"),
        ("PEER.example", "&lt;&quot;1&apos;&gt;", "valid"),
        ("other.example", "&lt;&quot;1&apos;&gt;", "invalid"),
        ("peer.example", "1", "invalid"),
    ] {
        peer.sends(&format!("<db:verify from='{from}' to='{INBOX}' id='{id}'>{key}</db:verify>"));
        let answer = peer.expects("verify");
        assert_eq!((answer.attribute("from"), answer.attribute("to")), (INBOX, &*from.to_lowercase()));
        assert_eq!(answer.attribute("id"), if id == "1" { "1" } else { "<\"1'>" });
        assert_eq!(answer.attribute("type"), verdict, "{answer}");
    }
    // The stream on which the key was sent has ended.
    drop(shown);
    peer.sends(&format!(
        "<db:verify from='peer.example' to='{INBOX}' id='&lt;&quot;1&apos;&gt;'>{key}</db:verify>"
    ));
    assert_eq!(peer.expects("verify").attribute("type"), "valid");
}

// rows: F25
#[test]
fn nodes_that_share_a_secret_vouch_for_each_other_and_others_do_not() {
    let secret = |text: &str| Setup::of("nuncio.example").set("s2s.dialback_secret", &format!("{text:?}"));
    let showing = Fixture::with(secret("shared"));
    let mut inbox = showing.node.inbox();
    inbox.sends_message("romeo@peer.example", "out", "");
    let mut peer = showing.listener.accepts();
    let key = showing.is_asked(&mut peer, "the-stream").text();

    let restarted = Fixture::with(secret("shared"));
    assert_eq!(restarted.verifies(INBOX, "the-stream", &key), "valid");
    let another = Fixture::with(secret("another"));
    assert_eq!(another.verifies(INBOX, "the-stream", &key), "invalid");
    let own = "[[remote]]\nname = \"peer.example\"\ndialback_secret = \"shared\"";
    let for_this_remote = Fixture::with(secret("another").block(own));
    assert_eq!(for_this_remote.verifies(INBOX, "the-stream", &key), "valid");
    let random = Fixture::new();
    assert_eq!(random.verifies(INBOX, "the-stream", &key), "invalid");
}

/// Opens a stream for verification requests.
#[track_caller]
// rows: F24
#[test]
fn prosody_vouches_for_a_key_made_with_the_secret_that_it_shares() {
    let network = Network::new();
    let prosody = Prosody::start(&network, shares("münchen.example"));
    vouches_for_a_node(&network, &prosody);
}

// rows: F24
#[test]
fn ejabberd_vouches_for_a_key_made_with_the_secret_that_it_shares() {
    let network = Network::for_ejabberd();
    let ejabberd = Ejabberd::start(&network, shares("münchen.example"));
    vouches_for_a_node(&network, &ejabberd);
}

/// Two servers share a domain and the dialback secret: a node sends a key for it, and DNS leads the verification to the
/// other server. So both must compute keys from the same spelling of the domains.
fn vouches_for_a_node(network: &Network, authority: &dyn Server) {
    let common = authority.domain();
    let node = Node::start(network, shares("nuncio.example").component(common).unpublished());
    let receiver = Node::start(network, Setup { dialback_secret: None, ..shares("bücher.example") });
    let mut inbox = receiver.inbox();
    let to = inbox.name().to_owned();
    Component::connect(node.address(), common).sends_message(&to, "vouched for", "");
    inbox.receives_id("vouched for");
}

fn shares(domain: &str) -> Setup {
    let setup = Setup::of(domain).certificate(Certificate::Missing).tls(Tls::Disabled);
    setup.auth(Auth::Dialback).dialback_secret("known to both")
}

fn asks(fixture: &Fixture) -> Peer {
    let mut peer = Peer::dials(fixture.node.address());
    peer.sends_header("peer.example", INBOX, "");
    peer.expects_header();
    peer.expects("features");
    peer
}
