//! Probes that find out whether a server acknowledges stanzas and resumes streams (XEP-0198).

use super::bench::{Bench, Probed};
use crate::support::{Auth, Network, Node, Peer, Prosody, Setup};

#[test]
fn a_server_that_resumes_streams() {
    let probed = enables("<enabled xmlns='urn:xmpp:sm:3' resume='true' id='some-id' max='120'/>");
    finds(&probed, "resumable", "acks, resumable for 120 s", "no stanza is missing and none arrives twice");
    assert_eq!(probed.steps("acks")[0]["keeps_for_s"], 120);
}

// COMPAT: Prosody 0.12 and 13.
#[test]
fn a_server_that_acknowledges_and_gives_no_id() {
    let probed = enables("<enabled xmlns='urn:xmpp:sm:3' resume='true'/>");
    finds(&probed, "yes", "acks, not resumable", "no stanza is missing, and messages may arrive twice");
}

#[test]
fn a_server_that_refuses_to_acknowledge() {
    let probed = enables(
        "<failed xmlns='urn:xmpp:sm:3'>\
         <unexpected-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>",
    );
    finds(&probed, "no", "answered <enable/> with <failed/>", "the last stanzas may be missing");
}

#[test]
fn a_server_that_ends_the_stream_instead_of_an_answer() {
    let probed = enables("</stream:stream>");
    finds(&probed, "no", "did not answer <enable/>", "the last stanzas may be missing");
}

#[test]
fn a_server_that_offers_no_acks_gets_no_request() {
    let bench = Bench::of(Setup::of("nuncio.example").auth(Auth::External));
    let identity = bench.identity();
    bench.plays(move |mut peer| {
        peer.answers_to_external("peer.example", &identity);
        // The closing tag is the next thing that the probe sends.
        peer.expects_closed();
        peer.finishes();
    });
    let probed = bench.probes();
    finds(&probed, "no", "it does not offer urn:xmpp:sm:3", "the last stanzas may be missing");
    assert_eq!(probed.steps("features").last().unwrap()["acks_offered"], false, "{probed}");
}

#[test]
fn acks_that_the_configuration_disables_are_not_requested() {
    let bench = Bench::of(Setup::of("nuncio.example").auth(Auth::External).set("s2s.acks", "false"));
    let probed = offers_acks(&bench, "");
    finds(&probed, "no", "the configuration has acks = false", "the last stanzas may be missing");
}

#[test]
fn without_repeats_messages_are_answered_instead() {
    let bench = Bench::of(Setup::of("nuncio.example").auth(Auth::External).set("s2s.repeat", "\"never\""));
    let probed = offers_acks(&bench, "<enabled xmlns='urn:xmpp:sm:3'/>");
    finds(&probed, "yes", "acks, not resumable", "are answered with an error");
}

#[test]
fn a_node_resumes_streams() {
    let network = Network::new();
    let setup = Setup::of("nuncio.example").set("s2s.dialback_secret", "\"shared\"");
    let _node = Node::start(&network, setup);
    let _peer = Node::start(&network, Setup::of("peer.example"));
    let file = network.directory("nuncio.example").join("nuncio.toml");
    let probed = super::bench::probes(&file, "peer.example");
    probed.arrives("EXTERNAL");
    let acks: Vec<_> = probed.steps("acks").iter().map(|step| step["acks"].clone()).collect();
    assert_eq!(acks, ["resumable", "resumable"], "after EXTERNAL and after dialback: {probed}");
}

#[test]
fn prosody_acknowledges_after_external_and_never_resumes() {
    let network = Network::new();
    let setup = Setup::of("nuncio.example").set("s2s.dialback_secret", "\"shared\"");
    let _node = Node::start(&network, setup);
    let _prosody = Prosody::start(&network, Setup::of("peer.example").smacks());
    let file = network.directory("nuncio.example").join("nuncio.toml");
    let probed = super::bench::probes(&file, "peer.example");
    probed.arrives("EXTERNAL");
    let acks: Vec<_> = probed.steps("acks").iter().map(|step| step["acks"].clone()).collect();
    assert_eq!(acks, ["yes", "no"], "after EXTERNAL and after dialback: {probed}");
}

/// The probe of a server that offers acks and answers `<enable/>` like that.
#[track_caller]
fn enables(answer: &'static str) -> Probed {
    offers_acks(&Bench::of(Setup::of("nuncio.example").auth(Auth::External)), answer)
}

/// An empty answer expects no `<enable/>`.
#[track_caller]
fn offers_acks(bench: &Bench, answer: &'static str) -> Probed {
    let identity = bench.identity();
    bench.plays(move |mut peer: Peer| {
        peer.answers_to_tls("peer.example", &identity);
        peer.sends_features(
            "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms>",
        );
        peer.expects("auth");
        peer.sends("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
        peer.restarts();
        peer.expects_header();
        peer.sends_header("peer.example", "nuncio.example", "id='after-sasl'");
        peer.sends_features("<sm xmlns='urn:xmpp:sm:3'/>");
        if answer.is_empty() {
            peer.expects_closed();
            return peer.finishes();
        }
        let enable = peer.expects("enable");
        assert_eq!((enable.namespace.as_str(), enable.attribute("resume")), ("urn:xmpp:sm:3", "true"), "{enable}");
        peer.sends(answer);
        peer.waits_for_the_end();
    });
    bench.probes()
}

/// Checks the step about acks and the verdict.
#[track_caller]
fn finds(probed: &Probed, acks: &str, offer: &str, consequence: &str) {
    probed.arrives("EXTERNAL");
    let [step] = probed.steps("acks")[..] else { panic!("one step about acks: {probed}") };
    assert_eq!((&step["acks"], &step["result"]), (&acks.into(), &"ok".into()), "{probed}");
    let text = step["text"].as_str().unwrap();
    assert!(text.contains(offer) && text.contains(consequence), "{text}");
    assert_eq!(probed.facts("after_loss").len(), 1, "{probed}");
    assert!(probed.facts("after_loss")[0].contains(consequence), "{probed}");
}
