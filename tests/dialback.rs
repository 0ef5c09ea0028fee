//! Server dialback (XEP-0220) against a scripted peer in each role.

use std::net::Ipv4Addr;

use crate::support::{
    Auth, Behaviour, Certificate, Component, Element, Listener, Network, Node, Peer, SOON, Server, Setup,
    Tls, connect_from,
};

#[test]
fn a_peer_older_than_version_1_is_asked_without_features() {
    let fixture = Fixture::new();
    let mut inbox = fixture.node.inbox();
    inbox.sends_message("romeo@peer.example", "out", "");
    let mut peer = fixture.listener.accepts();
    peer.expects_header();
    peer.sends(
        "<stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
         xmlns:stream='http://etherx.jabber.org/streams' id='old' from='peer.example'>",
    );
    let result = peer.expects("result");
    assert_eq!(result.attribute("from"), INBOX);
    assert_eq!(result.attribute("to"), "peer.example");
    peer.sends(VALID);
    assert_eq!(peer.expects("message").attribute("id"), "out");
}

#[test]
fn a_peer_that_announces_dialback_by_namespace_alone_is_asked() {
    let fixture = Fixture::new();
    let mut inbox = fixture.node.inbox();
    inbox.sends_message("romeo@peer.example", "out", "");
    let mut peer = fixture.listener.accepts();
    peer.expects_header();
    peer.sends_header("peer.example", INBOX, "id='by-namespace'");
    peer.sends_features("");
    peer.expects("result");
    peer.sends(VALID);
    assert_eq!(peer.expects("message").attribute("id"), "out");
}

// rows: F19
#[test]
fn the_node_knows_its_own_keys_and_no_others() {
    let fixture = Fixture::new();
    let mut inbox = fixture.node.inbox();
    inbox.sends_message("romeo@peer.example", "out", "");
    let mut peer = fixture.listener.accepts();
    let key = fixture.is_asked(&mut peer, "the-stream").text();

    let altered = key.replacen(|c: char| c.is_ascii_hexdigit(), "x", 1);
    assert_eq!(fixture.verifies(INBOX, "the-stream", &key), "valid");
    assert_eq!(fixture.verifies(INBOX, "the-stream", &altered), "invalid");
    assert_eq!(fixture.verifies(INBOX, "another-stream", &key), "invalid");
    assert_eq!(fixture.verifies("nuncio.example", "the-stream", &key), "invalid");
}

// rows: F7
#[test]
fn a_key_that_the_peer_calls_invalid_is_an_internal_error() {
    let fixture = Fixture::new();
    let mut inbox = fixture.node.inbox();
    inbox.sends_message("romeo@peer.example", "out", "");
    let mut peer = fixture.listener.accepts();
    fixture.is_asked(&mut peer, "the-stream");
    peer.sends(&VALID.replace("valid", "invalid"));
    let answer = inbox.receives_id("out");
    let error = answer.expect("error");
    assert_eq!(error.attribute("type"), "cancel", "{answer}");
    assert!(error.child("internal-server-error").is_some(), "{answer}");
}

// rows: F10
#[test]
fn a_peer_with_a_valid_key_is_authenticated() {
    let fixture = Fixture::new();
    let mut inbox = fixture.node.inbox();
    let (mut dialing, id) = fixture.dials("peer.example");
    dialing.sends(&result("peer.example", INBOX, "the key"));
    let (mut called, verify) = fixture.called_back();
    assert_eq!((verify.attribute("id"), verify.text().as_str()), (id.as_str(), "the key"));
    assert_eq!(verify.attribute("from"), INBOX);
    assert_eq!(verify.attribute("to"), "peer.example");
    called.sends(&verified(INBOX, &id, "valid"));
    let result = dialing.expects("result");
    assert_eq!(result.attribute("type"), "valid", "{result}");
    dialing.sends(&message(INBOX, "proved"));
    inbox.receives_id("proved");
}

// rows: F16
#[test]
fn a_bad_key_is_answered_invalid_and_no_stanza_is_accepted() {
    let fixture = Fixture::new();
    let mut inbox = fixture.node.inbox();
    let (mut dialing, id) = fixture.dials("peer.example");
    dialing.sends(&result("peer.example", INBOX, "a guess"));
    let (mut called, _) = fixture.called_back();
    called.sends(&verified(INBOX, &id, "invalid"));
    let result = dialing.expects("result");
    assert_eq!(result.attribute("type"), "invalid", "{result}");
    dialing.sends(&message(INBOX, "unproved"));
    receives_nothing_else(&fixture, &mut inbox);
}

// rows: F17
#[test]
fn a_domain_that_cannot_be_called_back_gets_an_error() {
    let fixture = Fixture::new();
    let (mut dialing, _) = fixture.dials("missing.example");
    dialing.sends(&result("missing.example", INBOX, "whatever"));
    let result = dialing.expects("result");
    assert_eq!(result.attribute("type"), "error", "{result}");
    assert!(result.expect("error").child("remote-server-not-found").is_some(), "{result}");
}

#[test]
fn a_target_that_is_not_ours_gets_an_error() {
    let fixture = Fixture::new();
    let (mut dialing, _) = fixture.dials("peer.example");
    dialing.sends(&result("peer.example", "not-here.example", "whatever"));
    let answer = dialing.next(SOON);
    let told = format!("{answer:?}");
    assert!(told.contains("item-not-found") || told.contains("host-unknown"), "{told}");
    assert!(fixture.listener.accepted().is_none(), "the peer was called back for nothing");
}

#[test]
fn several_pairs_are_proved_on_one_stream() {
    let fixture = Fixture::new();
    let mut inbox = fixture.node.inbox();
    let mut outbox = fixture.node.outbox();
    let (mut dialing, id) = fixture.dials("peer.example");
    for domain in [INBOX, OUTBOX] {
        fixture.proves(&mut dialing, domain, &id);
    }
    dialing.sends(&message(INBOX, "to one"));
    dialing.sends(&message(OUTBOX, "to the other"));
    inbox.receives_id("to one");
    outbox.receives_id("to the other");
}

// rows: F5 F14
#[test]
fn a_slow_callback_delays_no_other_pair_of_the_stream() {
    let fixture = Fixture::new();
    let mut inbox = fixture.node.inbox();
    let (mut dialing, id) = fixture.dials("peer.example");
    fixture.proves(&mut dialing, INBOX, &id);

    fixture.network.dns.behaves("slow.example", Behaviour::Silence);
    dialing.sends(&result("slow.example", INBOX, "the key"));
    dialing.sends(&message(INBOX, "meanwhile"));
    inbox.receives_id("meanwhile");
}

#[test]
fn with_tls_required_no_key_is_accepted_before_tls() {
    let network = Network::new();
    let node = Node::start(&network, Setup::of("nuncio.example").auth(Auth::Dialback));
    let mut peer = Peer::dials(node.address());
    peer.sends_header("peer.example", "nuncio.example", "");
    peer.expects_header();
    let features = peer.expects("features");
    assert!(features.child("dialback").is_none(), "{features}");
    peer.sends(&result("peer.example", "nuncio.example", "the key"));
    let answer = format!("{:?}", peer.next(SOON));
    assert!(answer.contains("policy-violation") || answer.contains("not-authorized"), "{answer}");
}

/// A node without TLS, so that scripts consist of dialback only, and the peer's listener.
pub(crate) struct Fixture {
    pub(crate) network: Network,
    pub(crate) node: Node,
    pub(crate) listener: Listener,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with(Setup::of("nuncio.example"))
    }

    /// The same with other settings of the node.
    pub(crate) fn with(setup: Setup) -> Self {
        let network = Network::new();
        let setup = setup.auth(Auth::Dialback).certificate(Certificate::Missing).tls(Tls::Optional);
        let node = Node::start(&network, setup);
        let address = network.address();
        network.publish("peer.example", address);
        Self { network, node, listener: Listener::at(address) }
    }

    /// Opens a stream to the node from an address of its own.
    #[track_caller]
    pub(crate) fn dials_from(&self, source: Ipv4Addr, from: &str) -> Peer {
        let mut peer = Peer::accepted(connect_from(source, (self.node.address(), 5269).into()));
        peer.sends_header(from, INBOX, "");
        peer.expects_header();
        peer.expects("features");
        peer
    }

    /// Opens a stream to the node, and returns the id of the stream.
    #[track_caller]
    pub(crate) fn dials(&self, from: &str) -> (Peer, String) {
        let mut peer = Peer::dials(self.node.address());
        peer.sends_header(from, INBOX, "");
        let id = peer.expects_header().attribute("id").to_owned();
        peer.expects("features").expect("dialback");
        (peer, id)
    }

    /// Answers a stream of the node up to its key.
    #[track_caller]
    pub(crate) fn is_asked(&self, peer: &mut Peer, id: &str) -> Element {
        peer.expects_header();
        peer.sends_header("peer.example", INBOX, &format!("id='{id}'"));
        peer.sends_features("<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>");
        peer.expects("result")
    }

    /// Accepts a stream of the node, and answers it up to the question about a key.
    #[track_caller]
    pub(crate) fn called_back(&self) -> (Peer, Element) {
        let mut peer = self.listener.accepts();
        peer.expects_header();
        peer.sends_header("peer.example", INBOX, "id='call-back'");
        peer.sends_features("<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>");
        let question = peer.expects("verify");
        (peer, question)
    }

    /// Answers `valid` to the node's verification request on a new stream.
    #[track_caller]
    pub(crate) fn confirms(&self, domain: &str, id: &str) {
        let (mut called, _) = self.called_back();
        called.sends(&verified(domain, id, "valid"));
    }

    /// Proves `peer.example` to `domain` on a stream to the node, whose id is `id`.
    #[track_caller]
    pub(crate) fn proves(&self, peer: &mut Peer, domain: &str, id: &str) {
        peer.sends(&result("peer.example", domain, "the key"));
        self.confirms(domain, id);
        let answer = peer.expects("result");
        assert_eq!(answer.attribute("type"), "valid", "{answer}");
    }

    /// Asks the node to verify `key`, as a receiving server does, and returns the verdict.
    #[track_caller]
    pub(crate) fn verifies(&self, domain: &str, id: &str, key: &str) -> String {
        let mut peer = Peer::dials(self.node.address());
        peer.sends_header("peer.example", domain, "");
        peer.expects_header();
        peer.expects("features");
        peer.sends(&format!("<db:verify from='peer.example' to='{domain}' id='{id}'>{key}</db:verify>"));
        let verdict = peer.expects("verify");
        assert_eq!(verdict.attribute("id"), id);
        assert_eq!(verdict.attribute("from"), domain);
        verdict.attribute("type").to_owned()
    }
}

/// Checks that a local stanza, sent now, is the first that arrives.
#[track_caller]
pub(crate) fn receives_nothing_else(fixture: &Fixture, inbox: &mut Component) {
    fixture.node.outbox().sends_message(INBOX, "local", "");
    let first = inbox.next(SOON).expect("a stanza");
    assert_eq!(first.attribute("id"), "local", "{first}");
}

pub(crate) fn result(from: &str, to: &str, key: &str) -> String {
    format!("<db:result from='{from}' to='{to}'>{key}</db:result>")
}

pub(crate) fn verified(to: &str, id: &str, verdict: &str) -> String {
    format!("<db:verify from='peer.example' to='{to}' id='{id}' type='{verdict}'/>")
}

pub(crate) fn message(to: &str, id: &str) -> String {
    format!("<message from='romeo@peer.example' to='juliet@{to}' id='{id}'><body/></message>")
}

pub(crate) const INBOX: &str = "inbox.nuncio.example";
pub(crate) const OUTBOX: &str = "outbox.nuncio.example";
pub(crate) const VALID: &str = "<db:result from='peer.example' to='inbox.nuncio.example' type='valid'/>";
