//! Certificates: which ones authenticate a domain in both roles, and which one the node presents.

use crate::support::{
    Auth, Authority, Component, Identity, Listener, Network, Node, Peer, Purpose, Server, Setup,
    offers_external,
};

// rows: D14 D15 D21
#[test]
fn every_kind_of_name_and_chain_authenticates_the_client() {
    let network = Network::new();
    let node = Node::start(&network, Setup::of("nuncio.example").auth(Auth::External));
    let mut inbox = node.inbox();
    for (what, identity) in good(&network, "peer.example") {
        let mut peer = Peer::authenticates(node.address(), "peer.example", "inbox.nuncio.example", &identity);
        peer.sends(&format!(
            "<message from='a@peer.example' to='b@inbox.nuncio.example' id='{what}'><body/></message>"
        ));
        inbox.receives_id(what);
    }
}

// rows: D3 D14 D15 D21
#[test]
fn every_kind_of_name_and_chain_authenticates_the_server() {
    let network = Network::new();
    let node = Node::start(&network, Setup::of("nuncio.example").auth(Auth::External));
    let mut inbox = node.inbox();
    for number in 0..good(&network, "peer.example").len() {
        // Each has its own domain, so that each needs a new link.
        let domain = format!("peer{number}.example");
        let (what, identity) = good(&network, &domain).swap_remove(number);
        let address = network.address();
        network.publish(&domain, address);
        let listener = Listener::at(address);
        inbox.sends_message(&domain, what, "");
        let mut peer = listener.accepts();
        peer.answers_to_external(&domain, &identity);
        assert_eq!(peer.expects("message").attribute("id"), what);
    }
}

// rows: D2 D15 D16 D18
#[test]
fn a_certificate_that_proves_nothing_is_not_offered_external() {
    let network = Network::new();
    let node = Node::start(&network, Setup::of("nuncio.example"));
    for (what, identity) in bad(&network) {
        let mut peer = Peer::dials(node.address());
        peer.starts_tls("peer.example", "nuncio.example", identity.as_ref());
        let features = peer.expects("features");
        assert!(!offers_external(&features), "{what}: {features}");
    }
}

// rows: D18 D23
#[test]
fn with_strict_certificates_a_bad_one_ends_the_stream() {
    let network = Network::new();
    let setup = Setup::of("nuncio.example").set("s2s.strict_certificates", "true");
    let node = Node::start(&network, setup);
    for (what, identity) in bad(&network) {
        let Some(identity) = identity else { continue };
        let mut peer = Peer::dials(node.address());
        peer.starts_tls("peer.example", "nuncio.example", Some(&identity));
        let error = peer.expects("error");
        assert!(
            ["policy-violation", "not-authorized"].iter().any(|condition| error.child(condition).is_some()),
            "{what}: {error}"
        );
    }
}

// rows: D21
#[test]
fn a_client_only_certificate_does_not_authenticate_a_server() {
    let network = Network::new();
    let node = Node::start(&network, Setup::of("nuncio.example").auth(Auth::External));
    let address = network.address();
    network.publish("peer.example", address);
    let listener = Listener::at(address);
    let request = network.authority.certificate(&["peer.example"]);
    let identity = request.purpose(Purpose::ClientOnly).issue();

    let mut inbox = node.inbox();
    inbox.sends_message("peer.example", "1", "");
    let mut peer = listener.accepts();
    peer.answers_to_tls("peer.example", &identity);
    let answer = inbox.receives_id("1");
    let sentence = answer.expect("error").expect("text").text();
    assert!(sentence.contains("certificate"), "{sentence}");
}

// rows: C8
#[test]
fn each_domain_shows_its_own_certificate() {
    let network = Network::new();
    let second = network.files(&network.authority.issue(&["second.example"]));
    let setup = Setup::of("first.example").auth(Auth::External).block(&format!(
        "[[domain]]\nname = \"second.example\"\ncertificate = {:?}\nkey = {:?}\n\
         [[component]]\nname = \"second.example\"\nsecret = \"secret\"",
        second.certificate, second.key
    ));
    let node = Node::start(&network, setup);
    let identity = network.authority.issue(&["peer.example"]);

    // As server, by the name in the TLS handshake …
    for domain in ["first.example", "second.example"] {
        let mut peer = Peer::dials(node.address());
        peer.starts_tls("peer.example", domain, Some(&identity));
        let names = peer.certified_names();
        assert!(names.contains(&domain.to_owned()), "{names:?}");
    }

    // … and as client, by the `from` of the stream.
    let address = network.address();
    network.publish("peer.example", address);
    let listener = Listener::at(address);
    let mut component = Component::connect(node.address(), "second.example");
    component.sends_message("peer.example", "1", "");
    let mut peer = listener.accepts();
    peer.answers_to_external("peer.example", &identity);
    assert_eq!(peer.certified_names(), ["second.example"]);
}

/// Certificates that authenticate `domain`, one of each form.
fn good(network: &Network, domain: &str) -> Vec<(&'static str, Identity)> {
    let authority = &network.authority;
    let between = authority.intermediate("intermediate authority");
    let parent = domain.split_once('.').map_or(domain, |(_, parent)| parent);
    vec![
        ("a DNS name", authority.issue(&[domain])),
        ("one of many", authority.issue(&["a.example.org", domain])),
        ("in capitals", authority.issue(&[&domain.to_uppercase()])),
        ("a wildcard", authority.issue(&[&format!("*.{parent}")])),
        ("an SRV name", authority.certificate(&[]).srv_name(&format!("_xmpp-server.{domain}")).issue()),
        ("an XMPP address", authority.certificate(&[]).xmpp_address(domain).issue()),
        ("for servers only", authority.certificate(&[domain]).purpose(Purpose::ServerOnly).issue()),
        ("by an intermediate", between.issue(&[domain])),
    ]
}

/// Certificates that do not authenticate `peer.example`.
fn bad(network: &Network) -> Vec<(&'static str, Option<Identity>)> {
    let authority = &network.authority;
    let good = || authority.certificate(&["peer.example"]);
    let stranger = Authority::new("stranger").unwrap();
    vec![
        ("none", None),
        ("another name", Some(authority.issue(&["other.example"]))),
        ("a name above", Some(authority.issue(&["example"]))),
        ("a name below", Some(authority.issue(&["sub.peer.example"]))),
        ("a wildcard below", Some(authority.issue(&["*.peer.example"]))),
        ("part of a label", Some(authority.issue(&["p*.example"]))),
        ("a subject", Some(authority.certificate(&[]).common_name("peer.example").issue())),
        (
            "a service for clients",
            Some(authority.certificate(&[]).srv_name("_xmpp-client.peer.example").issue()),
        ),
        ("expired", Some(good().expired().issue())),
        ("not yet valid", Some(good().not_yet_valid().issue())),
        ("self-signed", Some(good().self_signed().issue())),
        ("an authority unknown", Some(stranger.issue(&["peer.example"]))),
    ]
}
