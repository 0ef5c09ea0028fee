//! Probes that find no fault: Prosody, ejabberd, jabberd2 and Nuncio, by certificate and by dialback.

use std::path::PathBuf;

use super::bench::probes;
use crate::support::{
    Auth, Certificate, Ejabberd, Jabberd2, Network, Node, Prosody, SOON, Server, Setup, Tls,
};

#[test]
fn prosody_accepts_our_certificate_and_our_key() {
    let network = Network::new();
    let (_node, file) = node(&network, Auth::Both);
    let _prosody = Prosody::start(&network, Setup::of("peer.example"));
    let probed = probes(&file, "peer.example");
    probed.arrives("EXTERNAL").finds_us_well();
    let alone = probed.steps("dialback");
    assert!(alone.iter().any(|step| step["authenticated"] == true), "dialback by itself: {probed}");
}

#[test]
fn ejabberd_accepts_our_certificate_and_our_key() {
    let network = Network::for_ejabberd();
    let (_node, file) = node(&network, Auth::Both);
    let _ejabberd = Ejabberd::start(&network, Setup::of("peer.example"));
    let probed = probes(&file, "peer.example");
    probed.arrives("EXTERNAL").finds_us_well_but_for(NUMERIC);
}

#[test]
fn ejabberd_dials_back() {
    let network = Network::for_ejabberd();
    let (_node, file) = node(&network, Auth::Dialback);
    let _ejabberd = Ejabberd::start(&network, Setup::of("peer.example").auth(Auth::Dialback));
    probes(&file, "peer.example").arrives("dialback").finds_us_well_but_for(NUMERIC);
}

#[test]
fn prosody_dials_back() {
    let network = Network::new();
    let (_node, file) = node(&network, Auth::Dialback);
    let _prosody = Prosody::start(&network, Setup::of("peer.example").auth(Auth::Dialback));
    probes(&file, "peer.example").arrives("dialback").finds_us_well();
}

#[test]
fn jabberd2_dials_back_over_tls_and_without_tls() {
    for tls in [Tls::Optional, Tls::Disabled] {
        let network = Network::new();
        let setup = Setup::of("nuncio.example").set("s2s.dialback_secret", "\"shared\"").tls(tls);
        let _node = Node::start(&network, setup);
        let file = network.directory("nuncio.example").join("nuncio.toml");
        let certificate = Setup::of("peer.example").certificate;
        let certificate = if tls == Tls::Disabled { Certificate::Missing } else { certificate };
        let _jabberd2 =
            Jabberd2::start(&network, Setup::of("peer.example").certificate(certificate).tls(tls));
        probes(&file, "peer.example").arrives("dialback");
    }
}

#[test]
fn a_node_accepts_both_proofs_over_direct_tls_too() {
    let network = Network::new();
    let (_node, file) = node(&network, Auth::Both);
    let _peer = Node::start(&network, Setup::of("peer.example").direct_tls());
    // Both ports are shown, not only the one that a link would use.
    network.dns.srv("_xmpp-server._tcp.peer.example", 0, 0, 5269, "server.peer.example");
    let probed = probes(&file, "peer.example");
    probed.arrives("EXTERNAL").finds_us_well();
    let through: Vec<_> =
        probed.steps("external").into_iter().filter(|step| step["authenticated"] == true).collect();
    assert_eq!(through.len(), 2, "{probed}");
    assert!(probed.steps("dialback").iter().any(|step| step["authenticated"] == true), "{probed}");
    assert!(probed.steps("tls").iter().any(|step| step["alpn"] == "xmpp-server"), "{probed}");
}

#[test]
fn a_probe_sends_no_stanza() {
    let network = Network::new();
    let (node, file) = node(&network, Auth::Both);
    let peer = Node::start(&network, Setup::of("peer.example"));
    let (mut inbox, mut outbox) = (peer.inbox(), node.outbox());
    probes(&file, "inbox.peer.example").arrives("EXTERNAL").leaves_out("none was sent");
    outbox.sends("<message from='a@outbox.nuncio.example' to='b@inbox.peer.example' id='first'/>");
    let first = inbox.next(SOON).expect("the message");
    assert_eq!(first.attribute("id"), "first", "{first}");
}

/// A running node whose dialback secret the probe knows.
fn node(network: &Network, auth: Auth) -> (Node, PathBuf) {
    let setup = Setup::of("nuncio.example").auth(auth).set("s2s.dialback_secret", "\"shared\"");
    let node = Node::start(network, setup);
    (node, network.directory("nuncio.example").join("nuncio.toml"))
}

/// The only finding about our side on a network for ejabberd.
const NUMERIC: &str = "own-srv-target-is-address";
