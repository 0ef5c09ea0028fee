//! Probes that find a fault in the DNS records of the remote.

use std::net::Ipv6Addr;
use std::process::Command;

use super::bench::Bench;
use crate::support::{BINARY, Behaviour, Setup};

#[test]
fn a_domain_that_does_not_exist() {
    Bench::new().probes().fails("dns", "no-such-domain", "remote");
}

#[test]
fn a_domain_without_service_record_and_address() {
    let bench = Bench::new();
    bench.network.dns.a("www.peer.example", bench.peer);
    bench.probes().fails("dns", "no-record", "remote");
}

#[test]
fn a_service_record_with_a_target_without_address() {
    let bench = Bench::new();
    bench.network.dns.srv("_xmpp-server._tcp.peer.example", 0, 0, 5269, "typo.peer.example");
    bench.probes().fails("dns", "srv-target-without-address", "remote");
}

#[test]
fn a_service_record_that_denies_the_service() {
    let bench = Bench::new();
    bench.network.dns.srv("_xmpp-server._tcp.peer.example", 0, 0, 0, ".");
    bench.network.dns.a("peer.example", bench.peer);
    bench.probes().fails("dns", "service-not-offered", "remote");
}

#[test]
fn a_service_record_behind_an_alias_is_followed_and_noted() {
    let bench = Bench::new();
    let dns = &bench.network.dns;
    dns.cname("_xmpp-server._tcp.peer.example", "_xmpp-server._tcp.host.example");
    dns.srv("_xmpp-server._tcp.host.example", 0, 0, 5269, "server.host.example");
    dns.a("server.host.example", bench.peer);
    bench.probes().notes("dns", "srv-behind-alias", "remote").fails("tcp", "connection-refused", "remote");
}

#[test]
fn an_alias_as_target_is_followed_and_noted() {
    let bench = Bench::new();
    let dns = &bench.network.dns;
    dns.srv("_xmpp-server._tcp.peer.example", 0, 0, 5269, "xmpp.peer.example");
    dns.cname("xmpp.peer.example", "server.host.example");
    dns.a("server.host.example", bench.peer);
    bench.probes().notes("dns", "srv-target-is-alias", "remote").fails("tcp", "connection-refused", "remote");
}

#[test]
fn a_service_record_that_names_an_address_is_followed_and_noted() {
    let bench = Bench::new();
    bench.network.dns.srv("_xmpp-server._tcp.peer.example", 0, 0, 5269, &bench.peer.to_string());
    let probed = bench.probes();
    probed.notes("dns", "srv-target-is-address", "remote").fails("tcp", "connection-refused", "remote");
}

#[test]
fn a_service_record_with_port_0_is_a_wrong_record() {
    let bench = Bench::new();
    bench.network.dns.srv("_xmpp-server._tcp.peer.example", 0, 0, 0, "xmpp.peer.example");
    bench.network.dns.a("xmpp.peer.example", bench.peer);
    bench.probes().notes("dns", "srv-port-is-zero", "remote").fails("tcp", "connection-refused", "remote");
}

#[test]
fn name_servers_that_fail() {
    let bench = Bench::new();
    bench.network.dns.behaves("peer.example", Behaviour::ServerFailure);
    bench.probes().fails("dns", "dns-server-failure", "remote");
}

#[test]
fn a_wrong_signature_that_the_name_server_explains() {
    let bench = Bench::new();
    bench.network.dns.behaves("peer.example", Behaviour::Bogus { explained: true });
    bench.probes().fails("dns", "dns-bogus", "remote");
}

#[test]
fn a_wrong_signature_that_the_name_server_does_not_explain() {
    let bench = Bench::new();
    bench.network.dns.behaves("peer.example", Behaviour::Bogus { explained: false });
    bench.probes().fails("dns", "dns-bogus", "remote");
}

#[test]
fn name_servers_that_refuse_us() {
    let bench = Bench::new();
    bench.network.dns.behaves("peer.example", Behaviour::Refusal);
    bench.probes().fails("dns", "dns-refused", "us");
}

#[test]
fn name_servers_that_do_not_answer() {
    let bench = Bench::impatient();
    bench.network.dns.behaves("peer.example", Behaviour::Silence);
    bench.probes().fails("dns", "dns-timeout", "remote");
}

#[test]
fn name_servers_that_are_not_there() {
    let nobody = Setup::of("nuncio.example").set("dns.nameservers", "[\"127.0.0.1:1\"]");
    let bench = Bench::of(nobody.set("dns.timeout", "\"1s\""));
    bench.probes().fails("dns", "dns-no-answer", "us");
}

#[test]
fn name_servers_that_cannot_even_be_asked() {
    // Sending to a broadcast address needs a permission.
    let everybody = Setup::of("nuncio.example").set("dns.nameservers", "[\"255.255.255.255:53\"]");
    Bench::of(everybody.set("dns.timeout", "\"1s\"")).probes().fails("dns", "dns-unusable", "us");
}

#[test]
fn name_servers_that_are_silent_about_ipv6_only() {
    let bench = Bench::impatient();
    bench.network.publish("peer.example", bench.peer);
    bench.network.dns.behaves("server.peer.example", Behaviour::SilenceOnIpv6);
    bench.probes().notes("dns", "dns-answer-late", "either").fails("tcp", "connection-refused", "remote");
}

#[test]
fn records_that_lead_to_ourselves() {
    let bench = Bench::new();
    bench.network.publish("peer.example", bench.own);
    bench.probes().fails("dns", "leads-to-ourselves", "us");
}

#[test]
fn a_domain_of_our_own_is_not_gone_to() {
    let bench = Bench::of(Setup::of("nuncio.example").component("echo.nuncio.example"));
    let file = bench.file();
    for own in ["nuncio.example", "echo.nuncio.example"] {
        for more in [&[][..], &["--json"]] {
            let arguments = [&["probe", "--config", file.to_str().unwrap()], more, &[own]].concat();
            let output = Command::new(BINARY).args(arguments).output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{output:?}");
            let told = String::from_utf8_lossy(&output.stderr);
            let expected =
                format!("{own} is a domain of this configuration; probe a domain of another server");
            assert!(told.contains(&expected), "{told}");
            assert!(output.stdout.is_empty(), "{output:?}");
        }
    }
    assert!(bench.network.dns.questions().is_empty());
}

#[test]
fn a_domain_that_our_policy_denies_is_not_even_looked_up() {
    let bench = Bench::of(Setup::of("nuncio.example").set("s2s.deny", "[\"*.example\"]"));
    bench.probes().fails("policy", "denied-by-our-policy", "us");
    assert!(bench.network.dns.questions().is_empty());
}

#[test]
fn an_address_of_the_configuration_is_gone_to_without_asking() {
    let remote = "[[remote]]\nname = \"peer.example\"\naddress = \"127.0.0.1:1\"";
    let bench = Bench::of(Setup::of("nuncio.example").block(remote));
    let probed = bench.probes();
    probed.fails("tcp", "connection-refused", "remote");
    assert!(probed.steps("dns").is_empty(), "{probed}");
    let advice = probed.steps("tcp")[0]["finding"]["advice"].as_str().unwrap().to_owned();
    let expected = "Nothing listens at 127.0.0.1:1, the `address` in the [[remote]] for peer.example: correct it, or ask \
                    the operator of peer.example to start the server there.";
    assert_eq!(advice, expected);
    // Our own side is looked up in the DNS all the same.
    assert!(probed.to_string().contains("_xmpp-server._tcp.nuncio.example"), "{probed}");
}

#[test]
fn every_dns_question_is_shown_with_answer_ttl_and_target_order() {
    let bench = Bench::new();
    let dns = &bench.network.dns;
    dns.srv("_xmpp-server._tcp.peer.example", 20, 0, 5269, "second.peer.example");
    dns.srv("_xmpps-server._tcp.peer.example", 10, 7, 5270, "first.peer.example");
    dns.a("first.peer.example", bench.peer);
    dns.a("second.peer.example", bench.peer);
    dns.aaaa("second.peer.example", Ipv6Addr::LOCALHOST);
    let probed = bench.probes();
    let order = &probed.steps("order")[0]["targets"];
    assert_eq!(order[0]["host"], "first.peer.example", "{probed}");
    assert_eq!((&order[0]["direct_tls"], &order[0]["weight"]), (&true.into(), &7.into()));
    assert_eq!(order[1]["host"], "second.peer.example");
    let mut asked: Vec<_> =
        probed.steps("dns").iter().filter_map(|step| step["question"].as_str()).map(str::to_owned).collect();
    asked.sort();
    let expected = [
        "_xmpp-server._tcp.peer.example SRV",
        "_xmpps-server._tcp.peer.example SRV",
        "first.peer.example A",
        "first.peer.example AAAA",
        "second.peer.example A",
        "second.peer.example AAAA",
    ];
    assert_eq!(asked, expected, "{probed}");
    let with_records = probed.steps("dns").into_iter().find(|step| step["answer"] == "records").unwrap();
    assert_eq!(with_records["records"][0]["ttl"], 1);
}
