//! Probes that find a fault in the certificate of the remote.

use super::bench::{Bench, Probed, probes};
use crate::support::{Auth, Authority, Identity, Listener, Network, Node, Server, Setup, plays};

#[test]
fn expired() {
    shows(|bench| bench.network.authority.certificate(&["peer.example"]).expired().issue()).fails(
        "certificate",
        "certificate-expired",
        "remote",
    );
}

#[test]
fn the_days_of_a_certificate_are_written_alike_for_both_sides() {
    let bench = Bench::impatient();
    let identity = bench.identity();
    bench.plays_secured(&identity, |peer| peer.waits_for_the_end());
    let days = bench.probes().facts("not_after");
    assert!(days.len() >= 2, "theirs and ours: {days:?}");
    for day in days {
        let parts: Vec<usize> = day.split('-').map(str::len).collect();
        assert_eq!(parts, [4, 2, 2], "{day}");
    }
}

#[test]
fn not_yet_valid() {
    shows(|bench| bench.network.authority.certificate(&["peer.example"]).not_yet_valid().issue()).fails(
        "certificate",
        "certificate-not-yet-valid",
        "remote",
    );
}

#[test]
fn valid_in_a_minute_so_it_is_rather_our_clock() {
    shows(|bench| bench.network.authority.certificate(&["peer.example"]).begins_in(90).issue()).fails(
        "certificate",
        "clock-skew",
        "us",
    );
}

#[test]
fn self_signed() {
    shows(|bench| bench.network.authority.certificate(&["peer.example"]).self_signed().issue()).fails(
        "certificate",
        "certificate-self-signed",
        "remote",
    );
}

#[test]
fn from_an_unknown_authority() {
    shows(|_| Authority::new("nobody's authority").unwrap().issue(&["peer.example"])).fails(
        "certificate",
        "certificate-unknown-authority",
        "remote",
    );
}

#[test]
fn without_the_intermediate() {
    shows(|bench| {
        let between = bench.network.authority.intermediate("between");
        between.certificate(&["peer.example"]).public().issue().alone()
    })
    .fails("certificate", "certificate-incomplete-chain", "remote");
}

#[test]
fn for_another_name() {
    shows(|bench| bench.network.authority.issue(&["server.peer.example"])).fails(
        "certificate",
        "certificate-wrong-name",
        "remote",
    );
}

#[test]
fn for_clients_only() {
    let purpose = crate::support::Purpose::ClientOnly;
    shows(|bench| bench.network.authority.certificate(&["peer.example"]).purpose(purpose).issue()).fails(
        "certificate",
        "certificate-wrong-purpose",
        "remote",
    );
}

#[test]
fn signed_with_a_broken_digest() {
    shows(|bench| bench.network.authority.certificate(&["peer.example"]).sha1().issue()).fails(
        "certificate",
        "certificate-bad",
        "remote",
    );
}

#[test]
fn a_bad_one_is_only_noted_where_dialback_may_vouch() {
    let bench = Bench::new();
    let identity = bench.network.authority.certificate(&["peer.example"]).expired().issue();
    bench.plays_secured(&identity, |peer| {
        peer.sends_features("<dialback xmlns='urn:xmpp:features:dialback'/>");
        peer.expects("result");
        peer.sends("<db:result from='peer.example' to='nuncio.example' type='valid'/>");
    });
    bench.probes().notes("certificate", "certificate-expired", "remote").arrives("dialback");
}

#[test]
fn the_sender_of_a_stanza_reads_the_same_sentence() {
    let network = Network::new();
    let node = Node::start(&network, Setup::of("nuncio.example").auth(Auth::External));
    let address = network.address();
    network.publish("peer.example", address);
    let identity = network.authority.certificate(&["peer.example"]).expired().issue();
    plays(Listener::at(address), move |mut peer| {
        peer.answers_to_tls("peer.example", &identity);
        peer.waits_for_the_end();
    });
    let file = network.directory("nuncio.example").join("nuncio.toml");
    let probed = probes(&file, "peer.example");
    let happened = probed.happened("certificate-expired");

    let mut outbox = node.outbox();
    outbox.sends_message("juliet@peer.example", "m", "hello");
    let bounce = outbox.receives_id("m");
    assert!(bounce.to_string().contains(&happened), "{happened:?} is not in {bounce}");
}

/// Probes a server with that certificate, where only a valid one is accepted.
fn shows(identity: impl FnOnce(&Bench) -> Identity) -> Probed {
    let bench = Bench::of(Setup::of("nuncio.example").auth(Auth::External));
    let identity = identity(&bench);
    bench.plays_secured(&identity, |peer| {
        peer.sends_features(
            "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms>",
        );
    });
    bench.probes()
}
