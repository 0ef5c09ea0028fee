//! The certificates of both sides, and their log lines (RFC 6120, section 5.4.3.1; RFC 7590, section 3.6).

use openssl::hash::MessageDigest;
use openssl::ssl::{Ssl, SslContext, SslMethod, SslVerifyMode};

use super::{DIALBACK, Fixture, INBOX, PEER, question};
use crate::support::{Auth, Identity, Network, Node, Peer, Server, Setup, offers_external};

// rows: C8
#[test]
fn the_certificate_is_that_of_the_name_in_tls_or_else_of_the_stream() {
    let network = Network::new();
    let second = network.files(&network.authority.issue(&["second.example"]));
    let setup = Setup::of("first.example").auth(Auth::External).block(&format!(
        "[[domain]]\nname = \"second.example\"\ncertificate = {:?}\nkey = {:?}",
        second.certificate, second.key
    ));
    let node = Node::start(&network, setup);
    for domain in ["first.example", "second.example"] {
        for sni in [Some(domain), None, Some("stranger.example")] {
            let mut peer = Peer::dials(node.address());
            peer.opens_for_tls(PEER, domain);
            let mut context = SslContext::builder(SslMethod::tls()).unwrap();
            context.set_verify(SslVerifyMode::NONE);
            let mut ssl = Ssl::new(&context.build()).unwrap();
            if let Some(name) = sni {
                ssl.set_hostname(name).unwrap();
            }
            peer.secures_with(ssl).expect("TLS");
            let names = peer.certified_names();
            assert!(names.contains(&domain.to_owned()), "{names:?} for {domain} with {sni:?}");
        }
    }
}

// rows: C8 C9
#[test]
fn both_sides_ask_for_a_certificate_and_judge_it() {
    let fixture = Fixture::with(Setup::of("nuncio.example"));
    let strangers = crate::support::Authority::new("strangers").unwrap();
    let stranger = strangers.issue(&[PEER]);

    let mut peer = Peer::dials(fixture.node.address());
    peer.starts_tls(PEER, INBOX, Some(&fixture.identity));
    assert!(offers_external(&peer.expects("features")), "ours is not taken");
    let mut peer = Peer::dials(fixture.node.address());
    peer.starts_tls(PEER, INBOX, Some(&stranger));
    assert!(!offers_external(&peer.expects("features")), "anybody's is taken");

    // As client: the node presents the certificate of the sending domain, and the peer's certificate decides how the peer
    // is authenticated.
    let listener = fixture.listens();
    let mut inbox = fixture.node.inbox();
    inbox.sends_message(PEER, "1", "");
    let mut peer = listener.accepts();
    peer.answers_to_tls(PEER, &stranger);
    assert!(peer.certified_names().contains(&INBOX.to_owned()));
    peer.sends_features(DIALBACK);
    peer.expects("result");
    fixture.node.eventually_logs(&["secured", PEER, "certificate=\"comes from an unknown authority"]);
}

// rows: C9
#[test]
fn a_stream_that_needs_a_certificate_ends_without_a_valid_one() {
    let fixture = Fixture::new();
    let stranger = fixture.network.authority.certificate(&[PEER]).self_signed().issue();
    let mut peer = Peer::dials(fixture.node.address());
    peer.starts_tls(PEER, INBOX, Some(&stranger));
    peer.expects_error("policy-violation");

    let listener = fixture.listens();
    let mut inbox = fixture.node.inbox();
    inbox.sends(&question("1"));
    let mut peer = listener.accepts();
    peer.answers_to_tls(PEER, &stranger);
    peer.waits_for_the_end();
    let answer = inbox.receives_id("1");
    assert!(answer.expect("error").expect("text").text().contains("certificate"), "{answer}");
}

// rows: C15
#[test]
fn the_log_shows_how_streams_are_secured_and_certificate_changes() {
    let fixture = Fixture::with(
        Setup::of("nuncio.example").auth(Auth::External).set("promise.backoff", "[\"100ms\", \"1s\"]"),
    );
    let listener = fixture.listens();
    let mut inbox = fixture.node.inbox();
    let renewed = fixture.network.authority.issue(&[PEER]);
    let protection = ["EXTERNAL", "protocol=TLSv1.3", "cipher=TLS_", "certificate=good"];

    for (link, identity) in [("1", &fixture.identity), ("2", &fixture.identity), ("3", &renewed)] {
        let fingerprint = format!("fingerprint={}", fingerprint(identity));
        let _theirs = Peer::authenticates(fixture.node.address(), PEER, INBOX, identity);
        let mut wanted = vec!["nuncio::incoming", "authenticated", PEER, &fingerprint];
        wanted.extend(protection);
        fixture.node.eventually_logs(&wanted);

        inbox.sends_message(PEER, link, "");
        let mut ours = listener.accepts();
        ours.answers_to_external(PEER, identity);
        ours.expects("message");
        let mut wanted = vec!["nuncio::outgoing", "authenticated", PEER, &fingerprint];
        wanted.extend(protection);
        fixture.node.eventually_logs(&wanted);
        ours.sends("</stream:stream>");
        ours.expects_closed();
    }
    // Logged once on each side, with both certificates.
    let (was, is) = (fingerprint(&fixture.identity), fingerprint(&renewed));
    for link in ["link=incoming", "link=outgoing"] {
        let (was, is) = (format!("was={was}"), format!("is={is}"));
        fixture.node.eventually_logs(&["warn", "certificate has changed", PEER, link, &was, &is]);
    }
    let lines = fixture.node.process().lines();
    let told = lines.iter().filter(|line| line.contains("certificate has changed")).count();
    assert_eq!(told, 2);
}

fn fingerprint(identity: &Identity) -> String {
    let digest = identity.certificate().digest(MessageDigest::sha256()).unwrap();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
