//! Stanzas with a `from` that the remote did not authenticate, or a `to` that is not local, are not delivered.

use crate::support::{Auth, Component, Event, Identity, Listener, Network, Node, Peer, SOON, Server, Setup};

// rows: E4
#[test]
fn a_from_that_was_not_proved_ends_the_stream() {
    let stage = Stage::set();
    let mut inbox = stage.node.inbox();
    for from in ["romeo@other.example", "romeo@sub.peer.example", "romeo@example", "peer.example.org"] {
        let mut peer = stage.authenticated();
        peer.sends(&message(from, INBOX, "spoofed"));
        peer.expects_error("invalid-from");
    }
    stage.receives_only_the_truth(&mut inbox);
}

// rows: E1 E3
#[test]
fn a_stanza_without_from_or_to_ends_the_stream_if_the_policy_says_so() {
    let stage = Stage::of(|setup| setup.set("s2s.malformed_stanza", "\"close\""));
    let mut inbox = stage.node.inbox();
    for addresses in [format!("to='{INBOX}'"), "from='romeo@peer.example'".to_owned()] {
        let mut peer = stage.authenticated();
        peer.sends(&format!("<message {addresses} id='spoofed'><body/></message>"));
        peer.expects_error("improper-addressing");
    }
    stage.receives_only_the_truth(&mut inbox);
}

// rows: E2 E16
#[test]
fn a_to_that_is_not_ours_is_neither_delivered_nor_dialled() {
    let stage = Stage::set();
    let mut inbox = stage.node.inbox();
    let third = stage.network.address();
    stage.network.publish("third.example", third);
    let listener = Listener::at(third);
    for to in ["juliet@third.example", "juliet@sub.nuncio.example.org"] {
        let mut peer = stage.authenticated();
        peer.sends(&message("romeo@peer.example", to, "relayed"));
        peer.expects_error("host-unknown");
    }
    stage.receives_only_the_truth(&mut inbox);
    assert!(listener.accepted().is_none(), "a third domain was dialled");
    let asked = stage.network.dns.questions();
    assert!(asked.iter().all(|question| !question.contains("third.example")), "{asked:?}");
}

// rows: E2
#[test]
fn another_local_domain_than_the_stream_is_for_is_refused() {
    let stage = Stage::set();
    let mut outbox = stage.node.outbox();
    let mut peer = stage.authenticated();
    peer.sends(&message("romeo@peer.example", "juliet@outbox.nuncio.example", "unproved pair"));
    peer.expects_error("host-unknown");
    let mut peer = stage.authenticated_to("outbox.nuncio.example");
    peer.sends(&message("romeo@peer.example", "juliet@outbox.nuncio.example", "truth"));
    assert_eq!(outbox.next(SOON).expect("a stanza").attribute("id"), "truth");
}

// rows: B13
#[test]
fn a_stanza_before_authentication_is_refused() {
    let stage = Stage::set();
    let mut inbox = stage.node.inbox();
    let stanza = message("romeo@peer.example", INBOX, "early");

    let mut peer = Peer::dials(stage.node.address());
    peer.sends_header("peer.example", INBOX, "");
    peer.expects_header();
    peer.expects("features");
    peer.sends(&stanza);
    peer.expects_error("not-authorized");

    let mut peer = Peer::dials(stage.node.address());
    peer.starts_tls("peer.example", INBOX, Some(&stage.identity));
    peer.expects("features");
    peer.sends(&stanza);
    peer.expects_error("not-authorized");
    stage.receives_only_the_truth(&mut inbox);
}

// rows: C5
#[test]
fn data_sent_behind_starttls_is_not_treated_as_secured() {
    let stage = Stage::set();
    let mut inbox = stage.node.inbox();
    let mut peer = Peer::dials(stage.node.address());
    peer.sends_header("peer.example", INBOX, "");
    peer.expects_header();
    peer.expects("features");
    let early = message("romeo@peer.example", INBOX, "early");
    peer.sends(&format!("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>{early}"));
    // The node may refuse the element; it must not process what follows.
    while let Ok(Event::Element(element)) = peer.next(SOON) {
        assert!(matches!(element.name.as_str(), "proceed" | "failure" | "error"), "{element}");
        if element.name == "proceed" {
            break;
        }
    }
    stage.receives_only_the_truth(&mut inbox);
}

#[test]
fn a_stanza_on_a_stream_that_the_node_opened_is_not_delivered() {
    let stage = Stage::set();
    let mut inbox = stage.node.inbox();
    let address = stage.network.address();
    stage.network.publish("peer.example", address);
    let listener = Listener::at(address);

    inbox.sends_message("romeo@peer.example", "out", "");
    let mut peer = listener.accepts();
    peer.answers_to_external("peer.example", &stage.identity);
    peer.expects("message");
    peer.sends(&message("romeo@peer.example", INBOX, "backwards"));
    peer.sends(&message("admin@nuncio.example", INBOX, "backwards"));
    stage.receives_only_the_truth(&mut inbox);
}

#[test]
fn a_component_cannot_speak_for_another_domain() {
    let stage = Stage::set();
    let mut inbox = stage.node.inbox();
    let mut outbox = stage.node.outbox();
    for from in ["tester@inbox.nuncio.example", "admin@nuncio.example", "someone@else.example"] {
        let mut liar = Component::connect(stage.node.address(), "liar.nuncio.example");
        liar.sends(&message(from, "juliet@outbox.nuncio.example", "spoofed"));
        drop(liar);
    }
    inbox.sends_message("outbox.nuncio.example", "truth", "");
    assert_eq!(outbox.next(SOON).expect("a stanza").attribute("id"), "truth");
}

// rows: E28
#[test]
fn a_domain_is_compared_without_case() {
    let stage = Stage::set();
    let mut inbox = stage.node.inbox();
    let mut peer = stage.authenticated();
    peer.sends(&message("romeo@PEER.Example", "juliet@Inbox.NUNCIO.example", "folded"));
    assert_eq!(inbox.next(SOON).expect("a stanza").attribute("id"), "folded");
}

/// A node and a peer with a valid certificate for `peer.example`.
struct Stage {
    network: Network,
    node: Node,
    identity: Identity,
}

impl Stage {
    fn set() -> Self {
        Self::of(|setup| setup)
    }

    fn of(wishes: impl Fn(Setup) -> Setup) -> Self {
        let network = Network::new();
        let setup = Setup::of("nuncio.example").component("liar.nuncio.example").auth(Auth::External);
        let node = Node::start(&network, wishes(setup));
        let identity = network.authority.issue(&["peer.example"]);
        Self { network, node, identity }
    }

    #[track_caller]
    fn authenticated(&self) -> Peer {
        self.authenticated_to(INBOX)
    }

    #[track_caller]
    fn authenticated_to(&self, domain: &str) -> Peer {
        Peer::authenticates(self.node.address(), "peer.example", domain, &self.identity)
    }

    /// Sends a legitimate stanza, which must be the first that arrives.
    #[track_caller]
    fn receives_only_the_truth(&self, inbox: &mut Component) {
        let mut peer = self.authenticated();
        peer.sends(&message("romeo@peer.example", INBOX, "truth"));
        let first = inbox.next(SOON).expect("the honest stanza");
        assert_eq!(first.attribute("id"), "truth", "{first}");
    }
}

fn message(from: &str, to: &str, id: &str) -> String {
    format!("<message from='{from}' to='{to}' id='{id}'><body>hello</body></message>")
}

const INBOX: &str = "inbox.nuncio.example";
