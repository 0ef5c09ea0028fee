//! Rows I: direct TLS (XEP-0368).

use std::net::{Ipv4Addr, TcpStream};

use openssl::ssl::{NameType, Ssl, SslContextBuilder, SslMethod};

use crate::support::{
    Auth, Component, Identity, Listener, Network, Node, Peer, Server, Setup, Tls, offers_external,
};

// rows: I1 I2
#[test]
fn starttls_and_direct_tls_records_form_one_list() {
    let network = Network::new();
    let services = ["_xmpp-server", "_xmpps-server", "_xmpp-server", "_xmpps-server"];
    let listeners: Vec<Listener> = (1..)
        .zip(services)
        .map(|(priority, service)| {
            let (address, target) = (network.address(), format!("target-{priority}.peer.example"));
            network.dns.srv(&format!("{service}._tcp.peer.example"), priority, 0, 5269, &target);
            network.dns.a(&target, address);
            Listener::at(address)
        })
        .collect();
    let node = Node::start(&network, setup());
    node.inbox().sends_message("peer.example", "1", "");
    let mut last = None;
    for (listener, service) in listeners.iter().zip(services) {
        // The previous target closes the connection, so that the next is tried.
        drop(last.take());
        let peer = listener.accepts();
        let expected = if service == "_xmpps-server" { HANDSHAKE } else { b'<' };
        assert_eq!(peer.first_byte(), expected, "{service}");
        last = Some(peer);
    }
    arrives(&mut last.unwrap(), "peer.example", &network.authority.issue(&["peer.example"]), "1");
}

// rows: I5
#[test]
fn the_client_names_the_domain_and_the_protocol() {
    let fixture = Fixture::new();
    fixture.node.inbox().sends_message("peer.example", "1", "");
    let mut peer = fixture.listener.accepts();
    arrives(&mut peer, "peer.example", &fixture.identity, "1");
    assert_eq!(peer.tls().servername(NameType::HOST_NAME), Some("peer.example"));
    assert_eq!(peer.tls().selected_alpn_protocol(), Some(b"xmpp-server".as_slice()));
}

// rows: I3
#[test]
fn the_certificate_must_name_the_domain_and_not_the_target() {
    let fixture = Fixture::new();
    let mut sender = fixture.node.inbox();
    let from = sender.name().to_owned();
    sender.sends(&format!("<iq type='get' id='1' from='{from}' to='peer.example'>{PING}</iq>"));
    let mut peer = fixture.listener.accepts();
    peer.secures_as_server(&fixture.network.authority.issue(&["server.peer.example"]));
    peer.expects_header();
    peer.sends_header("peer.example", &from, "id='target'");
    peer.sends_features(EXTERNAL);
    let answer = sender.receives_id("1");
    let error = answer.expect("error");
    assert!(error.child("remote-server-timeout").is_some(), "{answer}");
    assert!(error.expect("text").text().contains("certificate"), "{answer}");
}

// rows: I4
#[test]
fn inside_of_direct_tls_no_starttls_is_asked_for() {
    let fixture = Fixture::new();
    fixture.node.inbox().sends_message("peer.example", "1", "");
    let mut peer = fixture.listener.accepts();
    peer.secures_as_server(&fixture.identity);
    peer.expects_header();
    peer.sends_header("peer.example", "inbox.nuncio.example", "id='confused'");
    // An offer of TLS inside TLS is ignored.
    peer.sends_features(&format!("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>{EXTERNAL}"));
    peer.expects("auth");
}

// rows: I6
#[test]
fn a_domain_that_denies_direct_tls_is_reached_by_starttls() {
    let network = Network::new();
    let address = network.address();
    network.dns.srv("_xmpps-server._tcp.peer.example", 0, 0, 0, ".");
    network.publish("peer.example", address);
    // The domain denies both services, so its address and STARTTLS remain.
    let bare = network.address();
    network.dns.srv("_xmpps-server._tcp.bare.example", 0, 0, 0, ".");
    network.dns.a("bare.example", bare);
    let node = Node::start(&network, setup());
    let mut sender = node.inbox();
    for (domain, address) in [("peer.example", address), ("bare.example", bare)] {
        let (listener, direct) = (Listener::at(address), Listener::at_port(address, 5270));
        sender.sends_message(domain, "1", "");
        let mut peer = listener.accepts();
        peer.answers_to_external(domain, &network.authority.issue(&[domain]));
        assert_eq!(peer.expects("message").attribute("id"), "1");
        assert!(direct.accepted().is_none(), "direct TLS was tried at {domain}");
    }
}

// rows: I6
#[test]
fn a_direct_tls_target_that_refuses_is_not_replaced_by_the_domain_itself() {
    let network = Network::new();
    let address = network.address();
    network.publish_direct_tls("peer.example", network.address());
    network.dns.a("peer.example", address);
    let listeners = [5269, 5270].map(|port| Listener::at_port(address, port));
    let node = Node::start(&network, setup());
    let answer = node.inbox().asks("peer.example", PING);
    assert!(answer.expect("error").child("remote-server-timeout").is_some(), "{answer}");
    assert!(listeners.iter().all(|listener| listener.accepted().is_none()), "the domain was dialed");
}

// rows: I2
#[test]
fn where_tls_is_never_a_direct_tls_target_is_none() {
    let network = Network::new();
    let [direct, clear, only] = [(); 3].map(|()| network.address());
    network.dns.srv("_xmpps-server._tcp.peer.example", 0, 0, 5270, "direct.peer.example");
    network.dns.a("direct.peer.example", direct);
    network.dns.srv("_xmpp-server._tcp.peer.example", 1, 0, 5269, "clear.peer.example");
    network.dns.a("clear.peer.example", clear);
    network.publish_direct_tls("only.example", only);
    let listeners = [direct, only].map(|address| Listener::at_port(address, 5270));
    let clear = Listener::at(clear);
    let node = Node::start(&network, Setup::of("nuncio.example").tls(Tls::Disabled).auth(Auth::Dialback));
    let mut inbox = node.inbox();
    inbox.sends_message("peer.example", "1", "");
    assert_eq!(clear.accepts().first_byte(), b'<');
    let answer = inbox.asks("only.example", PING);
    let error = answer.expect("error");
    assert!(error.child("remote-server-timeout").is_some(), "{answer}");
    assert!(error.expect("text").text().contains("s2s.tls = \"disabled\""), "{answer}");
    assert!(listeners.iter().all(|listener| listener.accepted().is_none()), "direct TLS was tried");
}

// rows: I4 I5 I9
#[test]
fn the_direct_tls_port_offers_external_and_no_starttls() {
    let network = Network::new();
    let node = Node::start(&network, setup().auth(Auth::Both).direct_tls().unpublished());
    let identity = network.authority.issue(&["peer.example"]);
    comes_in_by_direct_tls(&node, 5270, &identity);
    // Without a certificate there is no EXTERNAL, and still no TLS inside TLS.
    let mut peer = Peer::dials_port(node.address(), 5270);
    let features = opens(&mut peer, None);
    assert!(!offers_external(&features), "{features}");
    assert!(features.child("starttls").is_none(), "{features}");
}

// rows: I5
#[test]
fn a_client_that_wants_another_protocol_is_refused() {
    let network = Network::new();
    let node = Node::start(&network, setup().direct_tls().unpublished());
    for port in [5269, 5270] {
        let shaken = |protocols| shakes(node.address(), port, protocols);
        assert_eq!(shaken(Some(b"\x0bxmpp-server")).unwrap(), Some(b"xmpp-server".to_vec()));
        let among_others = shaken(Some(b"\x02h2\x0bxmpp-server"));
        assert_eq!(among_others.unwrap(), Some(b"xmpp-server".to_vec()));
        // XEP-0368 recommends the server name and does not require it.
        assert_eq!(shaken(None).unwrap(), None);
        let refusal = shaken(Some(b"\x0bxmpp-client\x08http/1.1")).expect_err("another protocol was taken");
        assert!(refusal.contains("no application protocol"), "{refusal}");
    }
}

// rows: I7
#[test]
fn one_port_accepts_starttls_and_direct_tls() {
    let network = Network::new();
    let node = Node::start(&network, setup());
    let identity = network.authority.issue(&["peer.example"]);
    comes_in_by_direct_tls(&node, 5269, &identity);
    let mut inbox = node.inbox();
    let mut peer = Peer::authenticates(node.address(), "peer.example", inbox.name(), &identity);
    says(&mut peer, &mut inbox, "starttls");
    // The first byte may arrive alone.
    let mut peer = Peer::dials(node.address());
    peer.sends("<");
    peer.sends("?xml version='1.0'?>");
    peer.sends(
        "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' \
         from='peer.example' to='nuncio.example'>",
    );
    peer.expects_header();
    peer.expects("features").expect("starttls");
}

/// A node, and a peer that offers only direct TLS.
struct Fixture {
    network: Network,
    node: Node,
    listener: Listener,
    identity: Identity,
}

impl Fixture {
    fn new() -> Self {
        let crate::support::Fixture { network, node, identity } = crate::support::Fixture::with(setup());
        let address = network.address();
        network.publish_direct_tls("peer.example", address);
        Self { listener: Listener::at_port(address, 5270), network, node, identity }
    }
}

fn setup() -> Setup {
    Setup::of("nuncio.example").auth(Auth::External)
}

/// Answers a direct TLS connection: accepts EXTERNAL, and expects the message `id`.
#[track_caller]
fn arrives(peer: &mut Peer, domain: &str, identity: &Identity, id: &str) {
    peer.secures_as_server(identity);
    let header = peer.expects_header();
    peer.sends_header(domain, header.attribute("from"), "id='direct'");
    peer.accepts_external(domain);
    assert_eq!(peer.expects("message").attribute("id"), id);
}

/// Connects with direct TLS as `peer.example`, opens a stream, and returns the features.
#[track_caller]
fn opens(peer: &mut Peer, identity: Option<&Identity>) -> crate::support::Element {
    peer.secures_as_client(identity, "nuncio.example");
    peer.sends_header("peer.example", "inbox.nuncio.example", "");
    peer.expects_header();
    peer.expects("features")
}

/// Authenticates and sends a stanza, which must be delivered.
#[track_caller]
fn comes_in_by_direct_tls(node: &Node, port: u16, identity: &Identity) {
    let mut inbox = node.inbox();
    let mut peer = Peer::dials_port(node.address(), port);
    let features = opens(&mut peer, Some(identity));
    assert!(features.child("starttls").is_none(), "{features}");
    assert!(offers_external(&features), "{features}");
    assert_eq!(peer.tls().selected_alpn_protocol(), Some(b"xmpp-server".as_slice()));
    peer.sends_external();
    peer.sends_header("peer.example", "inbox.nuncio.example", "");
    peer.expects_header();
    let features = peer.expects("features");
    assert!(features.child("starttls").is_none(), "{features}");
    says(&mut peer, &mut inbox, "direct");
}

#[track_caller]
fn says(peer: &mut Peer, inbox: &mut Component, id: &str) {
    peer.sends(&format!("<message from='a@peer.example' to='{}' id='{id}'/>", inbox.name()));
    inbox.receives_id(id);
}

/// Connects with TLS and those ALPN protocols, and returns the selected one.
fn shakes(address: Ipv4Addr, port: u16, protocols: Option<&[u8]>) -> Result<Option<Vec<u8>>, String> {
    let mut ssl = Ssl::new(&SslContextBuilder::new(SslMethod::tls()).unwrap().build()).unwrap();
    ssl.set_hostname("nuncio.example").unwrap();
    if let Some(protocols) = protocols {
        ssl.set_alpn_protos(protocols).unwrap();
    }
    let socket = TcpStream::connect((address, port)).unwrap();
    let stream = ssl.connect(socket).map_err(|error| error.to_string())?;
    Ok(stream.ssl().selected_alpn_protocol().map(<[u8]>::to_vec))
}

const PING: &str = "<ping xmlns='urn:xmpp:ping'/>";

const EXTERNAL: &str = "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
                        <mechanism>EXTERNAL</mechanism></mechanisms>";

/// A TLS record of type handshake.
const HANDSHAKE: u8 = 0x16;
