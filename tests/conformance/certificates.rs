//! Certificates: names, chains, trust stores, expiry and revocation. SASL EXTERNAL itself is in `external`.

use crate::support::{
    Auth, Authority, Event, Identity, Listener, NEVER, Network, Node, Peer, SOON, Server, Setup, Status,
    offers_external,
};

mod external;

// rows: D14 D15 D16 D17 D18 D21
#[test]
fn a_name_matches_whole_labels_and_a_chain_holds_all_the_way() {
    let network = Network::new();
    let node = Node::start(&network, Setup::of("nuncio.example").auth(Auth::Both));
    let authority = &network.authority;
    let named = |names: &[&str]| authority.issue(names);
    let service = |name: &str| authority.certificate(&[]).srv_name(name).issue();
    let address = |name: &str| authority.certificate(&[]).xmpp_address(name).issue();
    let below = |permitted: &str| authority.constrained(&format!("only {permitted}"), permitted);
    let but = |excluded: &str| authority.excluding(&format!("all but {excluded}"), excluded);
    let by_service = |authority: &Authority, name: &str| {
        authority.certificate(&[]).srv_name(&format!("_xmpp-server.{name}")).issue()
    };
    let by_address =
        |authority: &Authority, name: &str| authority.certificate(&[]).xmpp_address(name).issue();
    for (from, identity, proved) in [
        ("a.peer.example", named(&["*.peer.example"]), true),
        ("a.peer.example", named(&["*.PEER.example"]), true),
        ("b.a.peer.example", named(&["*.peer.example"]), false),
        ("peer.example", named(&["*.peer.example"]), false),
        ("b.a.peer.example", named(&["*.*.peer.example"]), false),
        ("a.b.peer.example", named(&["a.*.peer.example"]), false),
        ("foo.peer.example", named(&["f*.peer.example"]), false),
        ("bücher.example", named(&["xn--bcher-kva.example"]), true),
        ("xn--bcher-kva.example", named(&["XN--BCHER-KVA.example"]), true),
        ("bücher.peer.example", named(&["*.peer.example"]), true),
        ("a.peer.example", service("_xmpp-server.a.peer.example"), true),
        ("a.peer.example", service("_xmpp-server.*.peer.example"), false),
        ("a.peer.example", service("_xmpp-client.a.peer.example"), false),
        ("bücher.example", address("bücher.example"), true),
        ("a.peer.example", address("*.peer.example"), false),
        ("peer.example", address("a@peer.example"), false),
        // The target of the SRV record is not the wanted domain.
        ("peer.example", named(&["server.peer.example"]), false),
        ("peer.example", authority.certificate(&[]).common_name("peer.example").issue(), false),
        // Names in certificates are ASCII; others do not count.
        ("peer.example", named(&["\u{ff50}eer.example"]), false),
        ("peer.example", named(&["peer\u{3002}example"]), false),
        ("peer.example", named(&["pe\u{ad}er.example"]), false),
        ("a.peer.example", named(&["*.\u{ff50}eer.example"]), false),
        ("bücher.example", named(&["bücher.example"]), false),
        ("peer.example", service("_xmpp-server.\u{ff50}eer.example"), false),
        ("a.peer.example", below("peer.example").issue(&["a.peer.example"]), true),
        ("a.peer.example", below("peer.example").issue(&["*.peer.example"]), true),
        ("a.peer.example", below("other.example").issue(&["a.peer.example"]), false),
        // Name constraints apply to dNSNames, so other kinds of names below such an authority do not count.
        ("a.peer.example", by_service(&below("other.example"), "a.peer.example"), false),
        ("a.peer.example", by_address(&below("other.example"), "a.peer.example"), false),
        ("a.peer.example", by_service(&below("peer.example"), "a.peer.example"), false),
        ("peer.example", but("peer.example").issue(&["peer.example"]), false),
        ("peer.example", but("peer.example").issue(&["\u{ff50}eer.example"]), false),
        // Other spellings of an excluded name are excluded too.
        ("peer.example", but("peer.example").issue(&["peer.example."]), false),
        ("peer.example", but("peer.example").issue(&["PEER.Example."]), false),
        ("peer.example", but("peer.example.").issue(&["peer.example"]), false),
        ("a.peer.example", but("peer.example").issue(&["a.peer.example."]), false),
        ("bücher.example", but("bücher.example").issue(&["xn--bcher-kva.example."]), false),
        ("peer.example", by_address(&but("peer.example"), "peer.example"), false),
        ("a.peer.example", but("a.peer.example").issue(&["*.peer.example"]), false),
        ("b.peer.example", but("a.peer.example").issue(&["b.peer.example"]), true),
        ("peer.example", authority.certificate(&["peer.example"]).sha1().issue(), false),
    ] {
        let mut peer = Peer::dials(node.address());
        peer.starts_tls(from, "nuncio.example", Some(&identity));
        let features = peer.expects("features");
        assert_eq!(offers_external(&features), proved, "{from}, {:?}: {features}", identity.certificate());
    }
}

// rows: D17 D18
#[test]
fn a_dialed_server_has_to_prove_the_domain() {
    let network = Network::new();
    let node = Node::start(&network, Setup::of("nuncio.example").auth(Auth::External));
    let mut inbox = node.inbox();
    let authority = &network.authority;
    let constrained = authority.constrained("only other.example", "other.example");
    let excluding = authority.excluding("all but excluded.example", "excluded.example");
    for (domain, identity, words) in [
        ("target.example", authority.issue(&["server.target.example"]), "is for another name"),
        ("deep.a.wild.example", authority.issue(&["*.wild.example"]), "is for another name"),
        (
            "subject.example",
            authority.certificate(&[]).common_name("subject.example").issue(),
            "is for no domain",
        ),
        ("constrained.example", constrained.issue(&["constrained.example"]), "permitted subtree"),
        ("excluded.example", excluding.issue(&["excluded.example."]), "not permitted to certify"),
        ("weak.example", authority.certificate(&["weak.example"]).sha1().issue(), "weak"),
        ("revoked.example", revoked(authority, "revoked.example"), "was revoked on 2025-11-01"),
        (
            "below.example",
            revoked(&authority.intermediate("middle"), "below.example"),
            "was revoked on 2025-11-01",
        ),
    ] {
        let address = network.address();
        network.publish(domain, address);
        let listener = Listener::at(address);
        inbox.sends_message(domain, domain, "");
        let mut peer = listener.accepts();
        peer.answers_to_tls(domain, &identity);
        let error = peer.expects("error");
        error.expect("policy-violation");
        let answer = inbox.receives_id(domain);
        let sentence = answer.expect("error").expect("text").text();
        assert!(sentence.contains(words), "{sentence}");
    }
}

// rows: D18
#[test]
fn only_the_issuing_authority_revokes_a_certificate() {
    let network = Network::new();
    let node = Node::start(&network, Setup::of("nuncio.example").auth(Auth::External));
    let mut inbox = node.inbox();
    let authority = &network.authority;
    let other = authority.intermediate("another authority");
    for (domain, stapled) in [
        ("good.example", authority.staples(authority.issue(&["good.example"]), Status::Good)),
        ("forged.example", other.forges(authority, authority.issue(&["forged.example"]), Status::Revoked)),
        ("other.example", other.staples(authority.issue(&["other.example"]), Status::Revoked)),
    ] {
        let address = network.address();
        network.publish(domain, address);
        let listener = Listener::at(address);
        inbox.sends_message(domain, domain, "");
        let mut peer = listener.accepts();
        peer.answers_to_external(domain, &stapled);
        peer.expects("message");
    }
}

// rows: D20
#[test]
fn a_trust_file_replaces_the_authorities_of_the_system() {
    let network = Network::new();
    let system = Authority::new("system").unwrap();
    let setup = Setup::of("nuncio.example")
        .environment("SSL_CERT_FILE", network.file_of(&system).to_str().unwrap())
        .block("[[remote]]\nname = \"*.system.example\"\ntrust = \"system\"");
    let node = Node::start(&network, setup);
    for (from, authority, trusted) in [
        ("a.file.example", &network.authority, true),
        ("a.file.example", &system, false),
        ("a.system.example", &network.authority, false),
        ("a.system.example", &system, true),
    ] {
        let mut peer = Peer::dials(node.address());
        peer.starts_tls(from, "nuncio.example", Some(&authority.issue(&[from])));
        assert_eq!(offers_external(&peer.expects("features")), trusted, "{from}");
    }
}

// rows: D23
#[test]
fn a_refused_certificate_is_reported_at_once() {
    let network = Network::new();
    // Not after a timeout: all of them are longer than the test waits.
    let setup = Setup::of("nuncio.example").set("s2s.handshake_timeout", NEVER);
    let node = Node::start(&network, setup.set("s2s.strict_certificates", "true"));
    let expired = network.authority.certificate(&["peer.example"]).expired().issue();
    for (identity, words) in [(None, "was not presented"), (Some(&expired), "expired on")] {
        let mut peer = Peer::dials(node.address());
        peer.starts_tls("peer.example", "nuncio.example", identity);
        let error = peer.expects("error");
        error.expect("policy-violation");
        let text = error.expect("text").text();
        assert!(text.contains("peer.example") && text.contains(words), "{text}");
        peer.expects_closed();
        peer.expects_end();
    }
}

/// A node, and a remote `peer.example` with a valid certificate.
struct Fixture {
    network: Network,
    node: Node,
    listener: Listener,
    identity: Identity,
}

impl Fixture {
    fn new(setup: Setup) -> Self {
        let fixture = crate::support::Fixture::with(setup);
        let listener = fixture.listens();
        let crate::support::Fixture { network, node, identity } = fixture;
        Self { network, node, listener, identity }
    }

    /// Connects as `peer.example`, up to the offer of EXTERNAL, which must be the first.
    fn reaches_sasl(&self) -> Peer {
        let mut peer = Peer::dials(self.node.address());
        peer.starts_tls("peer.example", INBOX, Some(&self.identity));
        let features = peer.expects("features");
        let first = features.expect("mechanisms").children().next().expect("a mechanism");
        assert_eq!(first.text(), "EXTERNAL");
        peer
    }
}

/// Answers a verification request over TLS: valid.
fn is_called_back(mut peer: Peer, identity: &Identity) {
    let Ok(Event::Opened(header)) = peer.next(SOON) else { return };
    let (domain, local) = (header.attribute("to").to_owned(), header.attribute("from").to_owned());
    peer.sends_header(&domain, &local, "id='before-tls'");
    peer.sends_features("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>");
    peer.expects("starttls");
    peer.sends("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    peer.secures_as_server(identity);
    peer.expects_header();
    peer.sends_header(&domain, &local, "id='after-tls'");
    peer.sends_features(DIALBACK);
    let id = peer.expects("verify").attribute("id").to_owned();
    peer.sends(&format!("<db:verify from='{domain}' to='{local}' id='{id}' type='valid'/>"));
}

/// A revoked certificate, with the OCSP response stapled.
fn revoked(authority: &Authority, name: &str) -> Identity {
    authority.staples(authority.issue(&[name]), Status::Revoked)
}

const INBOX: &str = "inbox.nuncio.example";
const DIALBACK: &str = "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>";
