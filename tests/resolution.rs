//! Resolution of remote domains: SRV records, addresses, aliases and failures of DNS.

use std::net::Ipv6Addr;

use crate::support::{Auth, Component, Identity, Listener, Network, Node, Peer, Server, Setup, eventually};

// rows: A5
#[test]
fn without_srv_the_domain_itself_is_dialed_at_5269() {
    let fixture = Fixture::new();
    fixture.network.dns.a("peer.example", fixture.address);
    fixture.arrives("peer.example", &fixture.listener());
}

#[test]
fn an_alias_in_place_of_the_srv_record_is_followed() {
    let fixture = Fixture::new();
    let dns = &fixture.network.dns;
    dns.cname("_xmpp-server._tcp.peer.example", "_xmpp-server._tcp.hosting.example");
    fixture.network.publish("hosting.example", fixture.address);
    fixture.arrives("peer.example", &fixture.listener());
}

// rows: A13
#[test]
fn a_target_that_is_an_alias_is_followed() {
    let fixture = Fixture::new();
    let dns = &fixture.network.dns;
    dns.srv("_xmpp-server._tcp.peer.example", 0, 0, 5269, "alias.example");
    dns.cname("alias.example", "host.example");
    dns.a("host.example", fixture.address);
    fixture.arrives("peer.example", &fixture.listener());
}

#[test]
fn an_ipv6_address_is_dialed() {
    let fixture = Fixture::new();
    let listener = Listener::at_port(Ipv6Addr::LOCALHOST, 0);
    let dns = &fixture.network.dns;
    dns.srv("_xmpp-server._tcp.peer.example", 0, 0, listener.port(), "host.example");
    dns.aaaa("host.example", Ipv6Addr::LOCALHOST);
    fixture.arrives("peer.example", &listener);
}

// rows: A3
#[test]
fn an_address_that_refuses_is_followed_by_the_next() {
    let fixture = Fixture::new();
    let dns = &fixture.network.dns;
    let listener = Listener::at_port(fixture.address, 0);
    dns.srv("_xmpp-server._tcp.peer.example", 0, 0, listener.port(), "host.example");
    dns.aaaa("host.example", Ipv6Addr::LOCALHOST);
    dns.a("host.example", fixture.network.address());
    dns.a("host.example", fixture.address);
    fixture.arrives("peer.example", &listener);
}

// rows: A3
#[test]
fn targets_are_tried_by_priority() {
    let fixture = Fixture::new();
    let dns = &fixture.network.dns;
    let other = fixture.network.address();
    let unwanted = Listener::at(other);
    dns.srv("_xmpp-server._tcp.peer.example", 20, 100, 5269, "second.example");
    dns.srv("_xmpp-server._tcp.peer.example", 10, 0, 5269, "first.example");
    dns.a("first.example", fixture.address);
    dns.a("second.example", other);
    fixture.arrives("peer.example", &fixture.listener());
    assert!(unwanted.accepted().is_none(), "the target of lower priority was dialed");
}

// rows: A4
#[test]
fn with_srv_the_domain_itself_is_not_dialed() {
    let fixture = Fixture::new();
    let dns = &fixture.network.dns;
    dns.srv("_xmpp-server._tcp.peer.example", 0, 0, 5269, "host.example");
    dns.a("host.example", fixture.network.address());
    dns.a("peer.example", fixture.address);
    let listener = fixture.listener();
    let answer = fixture.node.inbox().asks("peer.example", "<ping xmlns='urn:xmpp:ping'/>");
    assert!(answer.expect("error").child("remote-server-timeout").is_some(), "{answer}");
    assert!(listener.accepted().is_none(), "the domain itself was dialed");
}

// rows: A7
#[test]
fn a_subdomain_is_not_found_through_its_parent() {
    let fixture = Fixture::new();
    fixture.network.publish("peer.example", fixture.address);
    let listener = fixture.listener();
    let answer = fixture.node.inbox().asks("rooms.peer.example", "<ping xmlns='urn:xmpp:ping'/>");
    assert!(answer.expect("error").child("remote-server-not-found").is_some(), "{answer}");
    assert!(listener.accepted().is_none(), "the parent was dialed");
}

// rows: A1 E28
#[test]
fn an_international_domain_is_ascii_in_dns_and_unicode_on_the_stream() {
    let fixture = Fixture::new();
    fixture.network.publish("xn--bcher-kva.example", fixture.address);
    let mut inbox = fixture.node.inbox();
    inbox.sends_message("romeo@Bücher.example", "1", "");
    let identity = fixture.network.authority.issue(&["xn--bcher-kva.example"]);
    let mut peer = fixture.listener().accepts();
    let header = peer.answers_to_external("bücher.example", &identity);
    assert_eq!(header.attribute("to"), "bücher.example");
    let message = peer.expects("message");
    assert_eq!((message.attribute("id"), message.attribute("to")), ("1", "romeo@bücher.example"));
    let question = "_xmpp-server._tcp.xn--bcher-kva.example SRV";
    let asked = fixture.network.dns.questions();
    assert!(asked.iter().any(|asked| asked == question), "{asked:?}");
}

// rows: A6
#[test]
fn an_operators_address_needs_no_dns() {
    let network = Network::new();
    let address = network.address();
    let listener = Listener::at_port(address, 0);
    let setup = Setup::of("nuncio.example")
        .auth(Auth::External)
        .block(&format!("[[remote]]\nname = \"peer.example\"\naddress = \"{address}:{}\"", listener.port()));
    let node = Node::start(&network, setup);
    let identity = network.authority.issue(&["peer.example"]);
    let mut inbox = node.inbox();
    inbox.sends_message("peer.example", "1", "");
    arrives(&mut listener.accepts(), "peer.example", &identity, "1");
    let asked = network.dns.questions();
    assert!(asked.is_empty(), "{asked:?}");
}

#[test]
fn an_operators_address_may_speak_tls_from_the_first_byte() {
    let network = Network::new();
    let address = network.address();
    let listener = Listener::at(address);
    let setup = Setup::of("nuncio.example").auth(Auth::External).block(&format!(
        "[[remote]]\nname = \"*.peer.example\"\naddress = \"{address}:5269\"\ndirect_tls = true"
    ));
    let node = Node::start(&network, setup);
    let identity = network.authority.issue(&["a.peer.example"]);
    let mut inbox = node.inbox();
    inbox.sends_message("a.peer.example", "1", "");
    let mut peer = listener.accepts();
    peer.secures_as_server(&identity);
    peer.expects_header();
    peer.sends_header("a.peer.example", "inbox.nuncio.example", "id='direct'");
    peer.accepts_external("a.peer.example");
    assert_eq!(peer.expects("message").attribute("id"), "1");
}

// rows: A10
#[test]
fn a_domain_that_moves_is_found_again() {
    let fixture = Fixture::new();
    fixture.network.publish("peer.example", fixture.address);
    let mut inbox = fixture.node.inbox();
    {
        let listener = fixture.listener();
        inbox.sends_message("peer.example", "before", "");
        arrives(&mut listener.accepts(), "peer.example", &fixture.identity, "before");
        // Listener and stream end here.
    }
    fixture.network.dns.clear("peer.example");
    let address = fixture.network.address();
    fixture.network.publish("peer.example", address);
    let listener = Listener::at(address);
    let mut peer = eventually("the new address is dialed", || {
        inbox.sends_message("peer.example", "after", "");
        listener.accepted()
    });
    arrives(&mut peer, "peer.example", &fixture.identity, "after");
}

/// A node, and a peer with an address and a good certificate that is not yet in DNS.
struct Fixture {
    network: Network,
    node: Node,
    identity: Identity,
    address: std::net::Ipv4Addr,
}

impl Fixture {
    fn new() -> Self {
        let crate::support::Fixture { network, node, identity } = crate::support::Fixture::new();
        let address = network.address();
        Self { network, node, identity, address }
    }

    fn listener(&self) -> Listener {
        Listener::at(self.address)
    }

    /// Sends a message to `domain`, which must arrive at the listener.
    #[track_caller]
    fn arrives(&self, domain: &str, listener: &Listener) {
        let mut inbox: Component = self.node.inbox();
        inbox.sends_message(domain, "1", "");
        arrives(&mut listener.accepts(), domain, &self.identity, "1");
    }
}

#[track_caller]
fn arrives(peer: &mut Peer, domain: &str, identity: &Identity, id: &str) {
    peer.answers_to_external(domain, identity);
    assert_eq!(peer.expects("message").attribute("id"), id);
}
