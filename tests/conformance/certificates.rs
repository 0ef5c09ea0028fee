//! SASL EXTERNAL and the certificates below it.

use std::time::{Duration, Instant};

use crate::support::{
    Auth, Authority, Element, Event, Identity, Listener, Network, Node, Peer, SOON, Server, Setup,
    offers_external, plays,
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
    let stage = Stage::set(Setup::of("nuncio.example"));
    for taken in ["=", "cGVlci5leGFtcGxl", "UEVFUi5FWEFNUExF"] {
        let mut peer = stage.reaches_sasl();
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
        let mut peer = stage.reaches_sasl();
        peer.sends(&auth(text));
        is_refused(&mut peer, condition);
        // The stream goes on, and another attempt may do.
        peer.sends(&auth("cGVlci5leGFtcGxl"));
        peer.expects("success");
    }

    // Without an initial response it is asked for; a new attempt drops the one under way.
    let mut peer = stage.reaches_sasl();
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
    let mut peer = stage.reaches_sasl();
    peer.sends(&auth(""));
    peer.expects("challenge");
    peer.sends(&sasl("response", "cGVlci5leGFtcGxl"));
    peer.expects("success");
}

// rows: D10
#[test]
fn who_fails_too_often_is_shown_the_door() {
    let stage = Stage::set(Setup::of("nuncio.example"));
    let mut peer = stage.reaches_sasl();
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
fn the_node_tries_external_first_and_says_who_it_is() {
    let stage = Stage::set(Setup::of("nuncio.example"));
    let mut inbox = stage.node.inbox();
    inbox.sends_message("peer.example", "1", "");
    let mut peer = stage.listener.accepts();
    peer.answers_to_tls("peer.example", &stage.identity);
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
fn the_node_goes_on_with_dialback_when_its_certificate_is_refused() {
    let stage = Stage::set(Setup::of("nuncio.example"));
    let mut inbox = stage.node.inbox();
    inbox.sends_message("peer.example", "1", "");
    let mut peer = stage.listener.accepts();
    peer.answers_to_tls("peer.example", &stage.identity);
    peer.sends_features(&format!("{EXTERNAL}{DIALBACK}"));
    peer.expects("auth");
    peer.sends(&sasl("failure", "<not-authorized/>"));
    peer.expects("result");
    peer.sends(&format!("<db:result from='peer.example' to='{INBOX}' type='valid'/>"));
    assert_eq!(peer.expects("message").attribute("id"), "1");
}

// rows: D11
#[test]
fn who_failed_external_may_use_dialback_only_where_the_switch_says_so() {
    let setup = Setup::of("nuncio.example")
        .block("[[remote]]\nname = \"trusted.example\"\ndialback_after_external = true");
    let stage = Stage::set(setup);
    let address = stage.network.address();
    let identity = stage.network.authority.issue(&["untrusted.example", "trusted.example"]);
    for domain in ["untrusted.example", "trusted.example"] {
        stage.network.publish(domain, address);
    }
    plays(Listener::at(address), {
        let identity = identity.clone();
        move |peer| is_called_back(peer, &identity)
    });
    for (domain, allowed) in [("untrusted.example", false), ("trusted.example", true)] {
        let mut peer = Peer::dials(stage.node.address());
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
            // On this stream, not for ever.
            peer.sends(&format!("<message from='a@{domain}' to='b@{INBOX}' id='early'/>"));
            peer.expects_error("not-authorized");
            let mut peer = Peer::dials(stage.node.address());
            peer.starts_tls(domain, INBOX, Some(&identity));
            peer.expects("features");
            peer.sends(&format!("<db:result from='{domain}' to='{INBOX}'>a key</db:result>"));
            assert_eq!(peer.expects("result").attribute("type"), "valid");
        }
    }
}

// rows: D12 D13
#[test]
fn what_counts_is_the_header_within_tls() {
    let stage = Stage::set(Setup::of("nuncio.example").auth(Auth::Both));
    // The certificate is for peer.example, and only the second header says so.
    let mut peer = Peer::dials(stage.node.address());
    peer.sends_header("other.example", INBOX, "");
    peer.expects_header();
    peer.expects("features");
    peer.sends("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    peer.expects("proceed");
    peer.secures_as_client(Some(&stage.identity), INBOX);
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
    // It is authenticated as that, not as what it said in the clear.
    peer.sends(&format!("<message from='a@other.example' to='b@{INBOX}' id='1'/>"));
    peer.expects_error("invalid-from");

    // The other way round there is nothing for it.
    let mut peer = Peer::dials(stage.node.address());
    peer.sends_header("peer.example", INBOX, "");
    peer.expects_header();
    peer.expects("features");
    peer.sends("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    peer.expects("proceed");
    peer.secures_as_client(Some(&stage.identity), INBOX);
    peer.sends_header("other.example", INBOX, "");
    peer.expects_header();
    assert!(!offers_external(&peer.expects("features")));
    peer.sends(&auth("="));
    is_refused(&mut peer, "not-authorized");

    // And nobody changes who he is behind the authentication.
    let mut peer = stage.reaches_sasl();
    peer.sends(&auth("="));
    peer.expects("success");
    peer.restarts();
    peer.sends_header("other.example", INBOX, "");
    peer.expects_header();
    peer.expects_error("invalid-from");
}

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
        // What the SRV record points to is not what was wanted.
        ("peer.example", named(&["server.peer.example"]), false),
        ("peer.example", authority.certificate(&[]).common_name("peer.example").issue(), false),
        ("a.peer.example", below("peer.example").issue(&["a.peer.example"]), true),
        ("a.peer.example", below("other.example").issue(&["a.peer.example"]), false),
        ("peer.example", authority.certificate(&["peer.example"]).sha1().issue(), false),
    ] {
        let mut peer = Peer::dials(node.address());
        peer.starts_tls(from, "nuncio.example", Some(&identity));
        let features = peer.expects("features");
        let names = &identity.certificate_file;
        assert_eq!(offers_external(&features), proved, "{from}, {}: {features}", names.display());
    }
}

// rows: D17 D18
#[test]
fn who_is_dialled_has_to_be_who_was_wanted() {
    let network = Network::new();
    let node = Node::start(&network, Setup::of("nuncio.example").auth(Auth::External));
    let mut inbox = node.inbox();
    let authority = &network.authority;
    let constrained = authority.constrained("only other.example", "other.example");
    for (domain, identity, words) in [
        ("target.example", authority.issue(&["server.target.example"]), "is for another name"),
        ("deep.a.wild.example", authority.issue(&["*.wild.example"]), "is for another name"),
        (
            "subject.example",
            authority.certificate(&[]).common_name("subject.example").issue(),
            "is for no domain",
        ),
        ("constrained.example", constrained.issue(&["constrained.example"]), "permitted subtree"),
        ("weak.example", authority.certificate(&["weak.example"]).sha1().issue(), "weak"),
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

// rows: D19
#[test]
fn a_stream_ends_with_the_certificate_it_rests_on() {
    let setup = Setup::of("nuncio.example").set("s2s.keepalive", "\"1s\"");
    let stage = Stage::set(setup);
    let mut inbox = stage.node.inbox();
    let identity = stage.network.authority.certificate(&["peer.example"]).expires_in(4).issue();
    let began = Instant::now();
    let mut proved = Peer::authenticates(stage.node.address(), "peer.example", INBOX, &identity);
    // Dialback rests on DNS, whatever becomes of the certificate.
    let mut other = Peer::dials(stage.node.address());
    other.starts_tls("peer.example", INBOX, Some(&identity));
    other.expects("features");
    other.sends(&format!("<db:result from='peer.example' to='{INBOX}'>a key</db:result>"));
    is_called_back(stage.listener.accepts(), &identity);
    assert_eq!(other.expects("result").attribute("type"), "valid");
    proved.sends(&message("while it is good"));
    inbox.receives_id("while it is good");

    let error = loop {
        // White space keeps the streams alive; it is no event.
        match element(&mut proved) {
            error if error.name == "error" => break error,
            other => panic!("{other}"),
        }
    };
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    error.expect("reset");
    assert!(error.expect("text").text().contains("expired"), "{error}");
    // Until the peer closes its side, too, what it sends still counts.
    proved.sends(&message("on its way"));
    inbox.receives_id("on its way");
    proved.expects_closed();
    proved.sends("</stream:stream>");
    proved.expects_end();

    other.sends(&message("by dialback"));
    inbox.receives_id("by dialback");
    let mut again = Peer::dials(stage.node.address());
    again.starts_tls("peer.example", INBOX, Some(&identity));
    assert!(!offers_external(&again.expects("features")));
}

// rows: D20
#[test]
fn a_trust_file_replaces_the_authorities_of_the_system() {
    let network = Network::new();
    let system = Authority::new(&network.directory("system"), "system");
    let setup = Setup::of("nuncio.example")
        .environment("SSL_CERT_FILE", system.file().to_str().unwrap())
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
fn a_refusal_says_why_within_a_second() {
    let network = Network::new();
    let node = Node::start(&network, Setup::of("nuncio.example").set("s2s.strict_certificates", "true"));
    let expired = network.authority.certificate(&["peer.example"]).expired().issue();
    for (identity, words) in [(None, "was not shown"), (Some(&expired), "expired on")] {
        let mut peer = Peer::dials(node.address());
        let began = Instant::now();
        peer.starts_tls("peer.example", "nuncio.example", identity);
        let error = peer.expects("error");
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        error.expect("policy-violation");
        let text = error.expect("text").text();
        assert!(text.contains("peer.example") && text.contains(words), "{text}");
        peer.expects_closed();
        peer.expects_end();
    }
}

/// A node, and a remote `peer.example` with a certificate that proves it.
struct Stage {
    network: Network,
    node: Node,
    listener: Listener,
    identity: Identity,
}

impl Stage {
    fn set(setup: Setup) -> Self {
        let network = Network::new();
        let node = Node::start(&network, setup);
        let address = network.address();
        network.publish("peer.example", address);
        let identity = network.authority.issue(&["peer.example"]);
        Self { network, node, listener: Listener::at(address), identity }
    }

    /// Dials as `peer.example`, up to the offer of EXTERNAL, which stands first.
    fn reaches_sasl(&self) -> Peer {
        let mut peer = Peer::dials(self.node.address());
        peer.starts_tls("peer.example", INBOX, Some(&self.identity));
        let features = peer.expects("features");
        let first = features.expect("mechanisms").children().next().expect("a mechanism");
        assert_eq!(first.text(), "EXTERNAL");
        peer
    }
}

/// Answers a question about a key, over TLS: it is valid.
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

fn message(id: &str) -> String {
    format!("<message from='a@peer.example' to='b@{INBOX}' id='{id}'><body/></message>")
}

const INBOX: &str = "inbox.nuncio.example";
const EXTERNAL: &str = "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
    <mechanism>EXTERNAL</mechanism></mechanisms>";
const DIALBACK: &str = "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>";
