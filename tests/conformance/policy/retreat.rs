//! No downgrade to clear text: if one target of a domain has TLS, the others are not used without TLS.

use crate::support::{
    Auth, Component, Identity, Listener, Network, Node, Peer, Server, Setup, Tls, eventually,
};

// rows: C11 C14
#[test]
fn after_a_refused_certificate_no_stanza_leaves_in_clear_text() {
    for fixture in Fixture::each(true) {
        let mut inbox = fixture.node.inbox();
        inbox.sends_message("peer.example", "secret", "");
        fixture.is_refused();
        fixture.wants_tls_of_the_next();
        let text = told(&mut inbox, "secret");
        assert!(text.contains("is self-signed"), "{text}");
    }
}

// rows: C11 C14
#[test]
fn after_tls_no_stanza_leaves_in_clear_text() {
    for fixture in Fixture::each(false) {
        let mut inbox = fixture.node.inbox();
        let from = inbox.name().to_owned();
        inbox.sends(&format!(
            "<iq type='get' id='secret' from='a@{from}' to='peer.example'><ping xmlns='urn:xmpp:ping'/></iq>"
        ));
        fixture.hangs_up_within_tls();
        fixture.wants_tls_of_the_next();
        let text = told(&mut inbox, "secret");
        // The fault of the domain, not its consequence.
        assert!(!text.contains("s2s.tls"), "{text}");
    }
}

// rows: C11 C14
#[test]
fn after_a_refused_certificate_no_key_is_verified_in_clear_text() {
    for fixture in Fixture::each(true) {
        let mut dialing = Peer::dials(fixture.node.address());
        dialing.sends_header("peer.example", INBOX, "");
        dialing.expects_header();
        dialing.expects("features").expect("dialback");
        dialing.sends(&format!("<db:result from='peer.example' to='{INBOX}'>a key</db:result>"));
        fixture.is_refused();
        fixture.wants_tls_of_the_next();
        let verdict = dialing.expects("result");
        assert_eq!(verdict.attribute("type"), "error", "{verdict}");
        dialing.sends(&format!("<message from='a@peer.example' to='b@{INBOX}'/>"));
        dialing.expects_error("not-authorized");
    }
}

/// A node with optional TLS for `peer.example`, which is reachable at two places.
struct Fixture {
    node: Node,
    places: [Listener; 2],
    identity: Identity,
    // Dropped after the node, which uses its DNS.
    _network: Network,
}

impl Fixture {
    /// The places are two targets, or two addresses of one target.
    fn each(strict: bool) -> [Self; 2] {
        [true, false].map(|targets| {
            let network = Network::new();
            let addresses = [network.address(), network.address()];
            for (at, address) in (1..).zip(addresses) {
                let target = if targets { at } else { 1 };
                let host = format!("server-{target}.peer.example");
                if target == at {
                    network.dns.srv("_xmpp-server._tcp.peer.example", target, 0, 5269, &host);
                }
                network.dns.a(&host, address);
            }
            let setup = Setup::of("nuncio.example").tls(Tls::Optional).auth(Auth::Both);
            let node = Node::start(&network, setup.set("s2s.strict_certificates", &strict.to_string()));
            let identity = network.authority.certificate(&["peer.example"]).self_signed().issue();
            Self { node, places: addresses.map(Listener::at), identity, _network: network }
        })
    }

    fn accepts(&self) -> Peer {
        eventually("a connection", || self.places.iter().find_map(Listener::accepted))
    }

    fn is_refused(&self) {
        let mut peer = self.accepts();
        peer.answers_to_tls("peer.example", &self.identity);
        peer.expects("error").expect("policy-violation");
    }

    fn hangs_up_within_tls(&self) {
        self.accepts().answers_to_tls("peer.example", &self.identity);
    }

    /// The other place has no TLS, and refuses `<starttls/>`.
    fn wants_tls_of_the_next(&self) {
        let mut peer = self.accepts();
        let header = peer.expects_header();
        peer.sends_header("peer.example", header.attribute("from"), "id='clear'");
        peer.sends_features("<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>");
        peer.expects("starttls");
        peer.sends("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>");
        peer.expects_closed();
    }
}

#[track_caller]
fn told(sender: &mut Component, id: &str) -> String {
    sender.receives_id(id).expect("error").expect("text").text()
}

const INBOX: &str = "inbox.nuncio.example";
