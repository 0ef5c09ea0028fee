//! Probes that find a fault on our own side, or none.

use std::fs;
use std::path::PathBuf;

use super::bench::{Bench, Probed, probes};
use crate::support::{
    Auth, Behaviour, Certificate, Identity, Listener, Network, Node, Peer, Server, Setup, configuration,
    plays,
};

#[test]
fn our_name_is_not_in_the_dns() {
    Bench::new().probes().blames_us("dns", "own-name-not-in-dns");
}

#[test]
fn our_record_has_an_alias_where_a_host_belongs() {
    let bench = Bench::new();
    let dns = &bench.network.dns;
    dns.srv("_xmpp-server._tcp.nuncio.example", 0, 0, 5269, "xmpp.nuncio.example");
    dns.cname("xmpp.nuncio.example", "host.example");
    dns.a("host.example", bench.own);
    let probed = bench.probes();
    probed.tells("own", "warning", "dns", "own-srv-alias", "us").says_nothing_of("srv-target-is-alias");
}

#[test]
fn our_name_leads_to_where_nothing_listens() {
    let bench = Bench::new();
    bench.network.publish("nuncio.example", bench.own);
    bench.probes().blames_us("tcp", "own-listener-unreachable");
}

#[test]
fn our_name_leads_to_another_server() {
    let bench = Bench::new();
    let (address, other) = (bench.network.address(), bench.identity());
    bench.network.publish("nuncio.example", address);
    plays(Listener::at(address), move |mut peer| {
        peer.answers_to_tls("nuncio.example", &other);
        peer.sends(
            "<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>\
             </stream:stream>",
        );
        peer.waits_for_the_end();
    });
    bench
        .probes()
        .blames_us("stream", "own-listener-is-another")
        .blames_us("certificate", "own-certificate-wrong-name");
}

#[test]
fn our_name_leads_to_a_server_that_ends_the_stream() {
    let bench = Bench::new();
    let address = bench.network.address();
    bench.network.publish("nuncio.example", address);
    plays(Listener::at(address), move |mut peer| {
        peer.expects_header();
        peer.sends_header("nuncio.example", "peer.example", "id='1'");
        refuses(peer);
    });
    bench.probes().blames_us("stream", "own-listener-refuses");
}

#[test]
fn our_certificate_has_expired() {
    with_certificate(Certificate::Expired).blames_us("certificate", "own-certificate-expired");
}

#[test]
fn our_certificate_is_self_signed() {
    with_certificate(Certificate::SelfSigned).blames_us("certificate", "own-certificate-untrusted");
}

#[test]
fn we_have_no_certificate() {
    with_certificate(Certificate::Missing).tells(
        "own",
        "warning",
        "certificate",
        "own-certificate-missing",
        "us",
    );
}

#[test]
fn our_certificate_is_for_another_name() {
    with(|bench| bench.network.authority.issue(&["server.nuncio.example"]))
        .blames_us("certificate", "own-certificate-wrong-name");
}

#[test]
fn our_certificate_lacks_its_intermediate() {
    with(|bench| bench.network.authority.intermediate("between").issue(&["nuncio.example"]).alone())
        .blames_us("certificate", "own-certificate-untrusted");
}

#[test]
fn our_certificate_is_for_clients_only() {
    let purpose = crate::support::Purpose::ClientOnly;
    with(|bench| bench.network.authority.certificate(&["nuncio.example"]).purpose(purpose).issue())
        .blames_us("certificate", "own-certificate-bad");
}

#[test]
fn our_certificate_is_about_to_expire() {
    with(|bench| bench.network.authority.certificate(&["nuncio.example"]).expires_in(3 * 86_400).issue())
        .tells("own", "warning", "certificate", "own-certificate-expires-soon", "us");
}

#[test]
fn our_certificate_begins_tomorrow() {
    with(|bench| bench.network.authority.certificate(&["nuncio.example"]).not_yet_valid().issue())
        .blames_us("certificate", "own-certificate-not-yet-valid");
}

#[test]
fn our_certificate_begins_in_a_minute_so_it_is_rather_our_clock() {
    with(|bench| bench.network.authority.certificate(&["nuncio.example"]).begins_in(90).issue())
        .blames_us("clock", "clock-skew");
}

#[test]
fn the_key_is_not_that_of_the_certificate() {
    let bench = Bench::new();
    let file = bench.file();
    let other = bench.network.files(&bench.identity());
    let text = fs::read_to_string(&file).unwrap();
    let text: Vec<String> = text
        .lines()
        .map(|line| match line.starts_with("key = ") {
            true => format!("key = {:?}", other.key),
            false => line.to_owned(),
        })
        .collect();
    fs::write(&file, text.join("\n")).unwrap();
    probes(&file, "peer.example").fails("configuration", "configuration-broken", "us");
}

#[test]
fn a_node_that_runs_with_this_configuration_is_found_well() {
    let (network, _node, file) = runs(Setup::of("nuncio.example").set("s2s.dialback_secret", "\"shared\""));
    let probed = probes(&file, "peer.example");
    probed.finds_us_well().fails("dns", "no-such-domain", "remote");
    drop(network);
}

#[test]
fn a_node_that_asks_every_client_for_a_certificate_passes() {
    let setup = || Setup::of("nuncio.example").set("s2s.dialback_secret", "\"shared\"");
    for setup in [setup().set("s2s.strict_certificates", "true"), setup().auth(Auth::External)] {
        let (network, _node, file) = runs(setup);
        let probed = probes(&file, "peer.example");
        probed.finds_us_well().fails("dns", "no-such-domain", "remote").leaves_out("2 and 3 of dialback");
        drop(network);
    }
}

#[test]
fn a_refusing_server_at_our_address_is_not_mistaken_for_us() {
    let bench = Bench::of(Setup::of("nuncio.example").auth(Auth::External));
    let (address, other) = (bench.network.address(), bench.network.authority.issue(&["nuncio.example"]));
    bench.network.publish("nuncio.example", address);
    plays(Listener::at(address), move |mut peer| {
        peer.answers_to_tls("nuncio.example", &other);
        refuses(peer);
    });
    bench.probes().blames_us("stream", "own-listener-refuses");
}

#[test]
fn name_servers_that_are_not_there_say_nothing_of_our_records() {
    let nobody = Setup::of("nuncio.example").set("dns.nameservers", "[\"127.0.0.1:1\"]");
    let probed = Bench::of(nobody.set("dns.timeout", "\"1s\"")).probes();
    probed.blames_us("dns", "dns-no-answer").says_nothing_of("own-name-not-in-dns");
}

#[test]
fn failing_name_servers_are_not_reported_as_a_missing_record() {
    for (behaviour, cause) in [
        (Behaviour::ServerFailure, "own-name-servers-fail"),
        (Behaviour::Silence, "own-name-servers-fail"),
        (Behaviour::Bogus { explained: true }, "own-dns-bogus"),
        (Behaviour::Refusal, "dns-refused"),
    ] {
        let bench = Bench::impatient();
        bench.network.dns.behaves("nuncio.example", behaviour);
        bench.probes().blames_us("dns", cause).says_nothing_of("own-name-not-in-dns");
    }
}

#[test]
fn a_node_that_made_up_its_secret() {
    let (network, _node, file) = runs(Setup::of("nuncio.example"));
    probes(&file, "peer.example")
        .tells("own", "warning", "dialback", "dialback-secret-not-set", "us")
        .leaves_out("s2s.dialback_secret is not set");
    drop(network);
}

#[test]
fn a_node_that_runs_with_another_secret() {
    let (network, _node, file) = runs(Setup::of("nuncio.example").set("s2s.dialback_secret", "\"before\""));
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("\"before\"", "\"after\"")).unwrap();
    probes(&file, "peer.example").blames_us("dialback", "own-dialback-secret-differs");
    drop(network);
}

#[test]
fn a_node_that_has_not_loaded_its_new_certificate() {
    let setup = Setup::of("nuncio.example").set("s2s.dialback_secret", "\"shared\"");
    let (network, node, file) = runs(setup.clone());
    // The configuration is rewritten with another certificate.
    fs::write(&file, configuration(&network, &setup, node.address())).unwrap();
    let cause = "own-certificate-not-loaded";
    probes(&file, "peer.example").tells("own", "warning", "certificate", cause, "us");
}

/// Ends a stream of the probe as a server does that refuses the peer.
fn refuses(mut peer: Peer) {
    peer.sends(
        "<stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>",
    );
    peer.waits_for_the_end();
}

/// A running node and its configuration file.
fn runs(setup: Setup) -> (Network, Node, PathBuf) {
    let network = Network::new();
    let node = Node::start(&network, setup);
    let file = network.directory("nuncio.example").join("nuncio.toml");
    (network, node, file)
}

/// Probes with that certificate.
fn with_certificate(certificate: Certificate) -> Probed {
    Bench::of(Setup::of("nuncio.example").certificate(certificate)).probes()
}

/// Probes with a certificate made by the test.
fn with(identity: impl FnOnce(&Bench) -> Identity) -> Probed {
    let bench = Bench::of(Setup::of("nuncio.example"));
    let file = bench.file();
    let files = bench.network.files(&identity(&bench));
    let lines: Vec<String> = fs::read_to_string(&file)
        .unwrap()
        .lines()
        .map(|line| match line {
            line if line.starts_with("key = ") => format!("key = {:?}", files.key),
            line if line.starts_with("certificate = ") => format!("certificate = {:?}", files.certificate),
            line => line.to_owned(),
        })
        .collect();
    fs::write(&file, lines.join("\n")).unwrap();
    probes(&file, "peer.example")
}
