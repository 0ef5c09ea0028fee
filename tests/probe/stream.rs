//! Probes that fail on the stream: stream errors of the remote, and protocol violations.

use super::bench::{Bench, Probed};
use crate::support::{Listener, Peer, plays};

#[test]
fn a_server_that_does_not_serve_the_domain() {
    ends_with("host-unknown", "").fails("stream", "host-unknown", "remote");
}

#[test]
fn a_server_with_a_policy_against_us() {
    ends_with("policy-violation", "<text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>blocked</text>").fails(
        "stream",
        "policy-violation",
        "remote",
    );
}

#[test]
fn a_server_that_does_not_believe_us() {
    ends_with("not-authorized", "").fails("stream", "not-authorized", "either");
}

#[test]
fn a_server_that_is_overloaded() {
    ends_with("resource-constraint", "").fails("stream", "remote-in-trouble", "remote");
}

#[test]
fn a_server_that_refuses_our_name_as_malformed() {
    ends_with("invalid-from", "").fails("stream", "our-name-refused", "either");
}

#[test]
fn a_server_that_ends_the_stream_for_some_other_reason() {
    ends_with("unsupported-version", "").fails("stream", "stream-error", "remote");
}

#[test]
fn a_port_for_clients() {
    let bench = Bench::new();
    bench.plays(|mut peer| {
        peer.expects_header();
        peer.sends(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
             xmlns:stream='http://etherx.jabber.org/streams' version='1.0' from='peer.example' id='1'>",
        );
        peer.waits_for_the_end();
    });
    bench.probes().fails("stream", "wrong-namespace", "remote");
}

#[test]
fn a_server_that_answers_under_another_name() {
    let bench = Bench::new();
    bench.plays(|mut peer| {
        peer.expects_header();
        peer.sends_header("other.example", "nuncio.example", "id='1'");
        says(&mut peer, "host-unknown", "");
    });
    bench.probes().notes("stream", "wrong-from", "remote").fails("stream", "host-unknown", "remote");
}

#[test]
fn a_server_that_breaks_the_protocol() {
    let bench = Bench::new();
    bench.plays(|mut peer| {
        peer.expects_header();
        peer.sends_header("peer.example", "nuncio.example", "id='1'");
        peer.sends("<stream:features><starttls></stream:features>");
        peer.waits_for_the_end();
    });
    bench.probes().fails("stream", "protocol-breach", "remote");
}

#[test]
fn a_server_that_closes_the_stream_without_a_reason() {
    let bench = Bench::new();
    bench.plays(|mut peer| {
        peer.expects_header();
        peer.sends_header("peer.example", "nuncio.example", "id='1'");
        peer.sends("</stream:stream>");
        peer.waits_for_the_end();
    });
    bench.probes().fails("stream", "closed-without-reason", "remote");
}

#[test]
fn a_server_that_stops_in_the_middle() {
    let bench = Bench::impatient();
    bench.plays(|mut peer| {
        peer.expects_header();
        peer.sends_header("peer.example", "nuncio.example", "id='1'");
        peer.waits_for_the_end();
    });
    bench.probes().fails("stream", "no-answer-in-time", "remote");
}

#[test]
fn a_server_that_sends_us_elsewhere_in_clear_text() {
    let bench = Bench::new();
    bench.plays(|mut peer| {
        peer.expects_header();
        peer.sends_header("peer.example", "nuncio.example", "id='1'");
        peer.sends(
            "<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>other.example\
             </see-other-host></stream:error></stream:stream>",
        );
        peer.waits_for_the_end();
    });
    bench.probes().fails("stream", "redirect-not-followed", "remote");
}

#[test]
fn a_server_that_sends_us_elsewhere_over_tls_is_followed() {
    let bench = Bench::new();
    let (elsewhere, identity) = (bench.network.address(), bench.identity());
    bench.network.dns.a("other.example", elsewhere);
    plays(Listener::at_port(elsewhere, 5333), {
        let identity = identity.clone();
        move |mut peer| drop(peer.answers_to_external("peer.example", &identity))
    });
    bench.plays_secured(&identity, |peer| {
        peer.sends(
            "<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>other.example:5333\
             </see-other-host></stream:error></stream:stream>",
        );
    });
    let probed = bench.probes();
    probed.arrives("EXTERNAL");
    assert_eq!(probed.steps("redirect").len(), 1, "{probed}");
}

/// Probes a server that answers with a stream error.
fn ends_with(condition: &'static str, more: &'static str) -> Probed {
    let bench = Bench::new();
    bench.plays(move |mut peer| {
        peer.expects_header();
        peer.sends_header("peer.example", "nuncio.example", "id='1'");
        says(&mut peer, condition, more);
    });
    bench.probes()
}

fn says(peer: &mut Peer, condition: &str, more: &str) {
    peer.sends(&format!(
        "<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>{more}</stream:error>\
         </stream:stream>"
    ));
    peer.waits_for_the_end();
}
