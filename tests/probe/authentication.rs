//! Probes that fail at our authentication: EXTERNAL and dialback.

use super::bench::{Bench, Probed};
use crate::support::{Auth, Certificate, Identity, Peer, SOON, Setup};

#[test]
fn no_external_offered_where_nothing_else_may_be() {
    let bench = Bench::of(Setup::of("nuncio.example").auth(Auth::External));
    offers(&bench, DIALBACK, "");
    bench.probes().fails("features", "external-not-offered", "either");
}

#[test]
fn no_external_offered_is_noted_where_dialback_works() {
    let bench = Bench::new();
    offers(&bench, DIALBACK, VALID);
    bench.probes().notes("features", "external-not-offered", "either").arrives("dialback");
}

#[test]
fn external_refused() {
    let bench = Bench::impatient();
    let identity = bench.identity();
    bench.plays_secured(&identity, |peer| {
        peer.sends_features(EXTERNAL);
        peer.expects("auth");
        peer.sends(REFUSED);
    });
    // The remote's header declares dialback, which is then tried without an offer.
    bench.probes().notes("external", "external-refused", "either");

    let bench = Bench::of(Setup::of("nuncio.example").auth(Auth::External));
    let identity = bench.identity();
    bench.plays_secured(&identity, |peer| {
        peer.sends_features(EXTERNAL);
        peer.expects("auth");
        peer.sends(REFUSED);
    });
    bench.probes().fails("external", "external-refused", "either");
}

#[test]
fn external_offered_and_no_certificate_to_show() {
    let setup = Setup::of("nuncio.example").auth(Auth::External).certificate(Certificate::Missing);
    let bench = Bench::of(setup);
    offers(&bench, EXTERNAL, "");
    bench.probes().fails("features", "own-certificate-missing", "us");
}

#[test]
fn nothing_offered() {
    let bench = Bench::new();
    let identity = bench.identity();
    bench.plays(move |peer| offers_no_dialback(peer, &identity, ""));
    bench.probes().fails("features", "no-common-authentication", "either");
}

#[test]
fn a_remote_that_takes_certificates_only_refuses_a_bad_one() {
    let bench = Bench::new();
    let identity = bench.network.authority.certificate(&["peer.example"]).expired().issue();
    bench.plays(move |peer| offers_no_dialback(peer, &identity, EXTERNAL));
    bench.probes().notes("certificate", "certificate-expired", "remote").fails(
        "certificate",
        "certificate-expired",
        "remote",
    );
}

#[test]
fn dialback_refused() {
    let bench = Bench::new();
    offers(&bench, DIALBACK, "<db:result from='peer.example' to='nuncio.example' type='invalid'/>");
    bench.probes().fails("dialback", "dialback-refused", "us");
}

#[test]
fn dialback_refused_although_the_key_could_not_be_verified() {
    let bench = Bench::of(Setup::of("nuncio.example"));
    offers(&bench, DIALBACK, "<db:result from='peer.example' to='nuncio.example' type='invalid'/>");
    bench
        .probes()
        .notes("dialback", "dialback-secret-not-set", "us")
        .leaves_open()
        .leaves_out("s2s.dialback_secret is not set");
}

#[test]
fn the_verdict_is_unknown_if_only_dialback_is_left_and_the_node_has_another_secret() {
    let bench = Bench::of(Setup::of("nuncio.example"));
    let identity = bench.network.authority.certificate(&["peer.example"]).expired().issue();
    bench.plays_secured(&identity, |peer| {
        peer.sends_features(DIALBACK);
        peer.expects("result");
        peer.sends("<db:result from='peer.example' to='nuncio.example' type='invalid'/>");
    });
    bench
        .probes()
        .notes("certificate", "certificate-expired", "remote")
        .notes("dialback", "dialback-secret-not-set", "us")
        .leaves_open();
    let shown = bench.shows();
    let result = "unknown: Only dialback is left for peer.example (its certificate expired on ";
    assert!(shown.starts_with(result), "{shown}");
    let note = "note    not tested: the probe and the running node have different secrets\n";
    assert!(
        shown.contains(note) && shown.contains("  note   dialback     dialback-secret-not-set: see 3\n"),
        "{shown}"
    );
    assert!(!shown.contains("cannot send") && !shown.contains("FAILED dialback"), "{shown}");
}

#[test]
fn the_authoritative_server_cannot_be_reached() {
    dialback_error("remote-server-timeout").fails("dialback", "authoritative-server-unreachable", "us");
}

#[test]
fn the_authoritative_server_cannot_be_found() {
    dialback_error("remote-server-not-found").fails("dialback", "authoritative-server-not-found", "us");
}

#[test]
fn the_remote_does_not_accept_dialback() {
    dialback_error("policy-violation").fails("dialback", "dialback-not-allowed", "remote");
}

#[test]
fn dialback_fails_for_a_reason_of_the_remote() {
    dialback_error("internal-server-error").fails("dialback", "dialback-error", "remote");
}

#[test]
fn dialback_that_is_never_answered() {
    let bench = Bench::impatient();
    offers(&bench, DIALBACK, "");
    bench.probes().fails("dialback", "authoritative-server-unreachable", "us");
}

/// Makes `peer.example` offer features inside TLS, and answer a key so.
fn offers(bench: &Bench, features: &'static str, answer: &'static str) {
    bench.plays_secured(&bench.identity(), move |peer| {
        peer.sends_features(features);
        if peer.next(SOON).is_ok() {
            peer.sends(answer);
        }
    });
}

/// Answers without dialback: the namespace declaration in a header would announce it.
fn offers_no_dialback(mut peer: Peer, identity: &Identity, features: &str) {
    let header = |id: &str| {
        format!(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:server' version='1.0' from='peer.example' \
             xmlns:stream='http://etherx.jabber.org/streams' id='{id}'>"
        )
    };
    peer.expects_header();
    peer.sends(&header("1"));
    peer.sends_features("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>");
    peer.expects("starttls");
    peer.sends("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    peer.secures_as_server(identity);
    peer.expects_header();
    peer.sends(&header("2"));
    peer.sends_features(features);
    peer.waits_for_the_end();
}

fn dialback_error(condition: &str) -> Probed {
    let bench = Bench::new();
    let answer = format!(
        "<db:result from='peer.example' to='nuncio.example' type='error'><error type='cancel'>\
         <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:result>"
    );
    let identity = bench.identity();
    bench.plays_secured(&identity, move |peer| {
        peer.sends_features(DIALBACK);
        peer.expects("result");
        peer.sends(&answer);
    });
    bench.probes()
}

const VALID: &str = "<db:result from='peer.example' to='nuncio.example' type='valid'/>";
const DIALBACK: &str = "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>";
const EXTERNAL: &str =
    "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms>";
const REFUSED: &str = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>";
