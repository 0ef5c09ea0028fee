//! Probes that fail at TCP or TLS.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::thread;
use std::time::Duration;

use openssl::ssl::{
    AlpnError, SniError, Ssl, SslAlert, SslContext, SslContextBuilder, SslMethod, SslVersion,
};

use super::bench::Bench;
use crate::support::{Auth, Identity, Listener, Peer, SOON, Setup, Tls, plays};

#[test]
fn a_closed_port() {
    let bench = Bench::new();
    bench.network.publish("peer.example", bench.peer);
    bench.probes().fails("tcp", "connection-refused", "remote");
}

#[test]
fn a_host_that_drops_every_connection() {
    let bench = Bench::new();
    bench.network.publish("peer.example", bench.peer);
    let _deaf = Listener::deaf(bench.peer);
    bench.probes().fails("tcp", "no-answer", "either");
}

#[test]
fn ipv6_that_is_published_and_dead() {
    let bench = Bench::new();
    let identity = bench.identity();
    bench.plays_secured(&identity, |peer| drop(peer.accepts_external("peer.example")));
    bench.network.dns.aaaa("server.peer.example", Ipv6Addr::LOCALHOST);
    bench.probes().notes("tcp", "ipv6-unreachable", "remote").arrives("EXTERNAL");
}

#[test]
fn ipv6_is_not_blamed_when_ipv4_fails_too() {
    let bench = Bench::new();
    bench.network.publish("peer.example", bench.peer);
    bench.network.dns.aaaa("server.peer.example", Ipv6Addr::LOCALHOST);
    let probed = bench.probes();
    probed.fails("tcp", "connection-refused", "remote").says_nothing_of("ipv6-unreachable");
    let addresses: Vec<_> = probed.steps("tcp").iter().map(|step| step["address"].clone()).collect();
    assert!(addresses.contains(&"[::1]:5269".into()), "both addresses are told of: {probed}");
}

#[test]
fn an_address_that_no_way_can_lead_to() {
    let bench = Bench::new();
    // TCP has no multicast.
    bench.network.publish("peer.example", Ipv4Addr::new(224, 0, 0, 1));
    bench.probes().fails("tcp", "unreachable", "either");
}

#[test]
fn an_address_that_the_system_does_not_take() {
    let bench = Bench::new();
    bench.network.dns.srv("_xmpp-server._tcp.peer.example", 0, 0, 5269, "server.peer.example");
    // A link-local address needs the name of an interface (RFC 4007, section 6).
    bench.network.dns.aaaa("server.peer.example", Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1));
    bench.probes().fails("tcp", "connection-failed", "either");
}

#[test]
fn a_connection_that_is_reset_in_the_middle() {
    let bench = Bench::new();
    bench.plays(|mut peer| {
        peer.expects_header();
        peer.sends_header("peer.example", "nuncio.example", "id='1'");
        peer.sends_features("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>");
        peer.expects("starttls");
        peer.resets();
    });
    bench.probes().fails("stream", "connection-broke", "either");
}

#[test]
fn a_web_server_that_waits_for_the_end_of_the_request() {
    let bench = Bench::impatient();
    bench.plays(|mut peer| {
        let mut request = String::new();
        while !request.ends_with("\r\n\r\n") {
            let Ok(more) = peer.reads(SOON) else { return };
            request += &more;
        }
        peer.sends("HTTP/1.0 400 Bad request syntax\r\nConnection: close\r\n\r\n");
    });
    let probed = bench.probes();
    probed.fails("stream", "http-host", "remote");
    assert!(probed.happened("http-host").contains("HTTP/1.0 400 Bad request syntax"), "{probed}");
}

#[test]
fn a_host_that_accepts_and_stays_silent() {
    let bench = Bench::impatient();
    bench.plays(|peer| {
        thread::sleep(Duration::from_secs(60));
        drop(peer);
    });
    bench.probes().fails("stream", "silent-host", "remote");
}

#[test]
fn a_host_that_closes_at_once() {
    let bench = Bench::new();
    bench.plays(drop);
    bench.probes().fails("stream", "closed-at-once", "remote");
}

#[test]
fn a_web_server() {
    let bench = Bench::new();
    bench.plays(|mut peer| {
        let _ = peer.reads(SOON);
        peer.sends("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        peer.waits_for_the_end();
    });
    let probed = bench.probes();
    probed.fails("stream", "http-host", "remote");
    assert!(probed.happened("http-host").contains("HTTP/1.1 400 Bad Request"), "{probed}");
}

#[test]
fn a_host_with_another_protocol() {
    let bench = Bench::new();
    bench.plays(|mut peer| {
        peer.sends("220 mail.peer.example ESMTP\r\n");
        peer.waits_for_the_end();
    });
    bench.probes().fails("stream", "not-xmpp", "remote");
}

#[test]
fn a_server_without_starttls() {
    let bench = Bench::new();
    bench.plays(|mut peer| {
        peer.expects_header();
        peer.sends_header("peer.example", "nuncio.example", "id='1'");
        peer.sends_features("<dialback xmlns='urn:xmpp:features:dialback'/>");
        peer.expects("starttls");
        peer.sends("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>");
        peer.waits_for_the_end();
    });
    bench.probes().fails("features", "starttls-not-offered", "remote");
}

#[test]
fn a_server_that_offers_starttls_and_refuses_it() {
    let bench = Bench::new();
    bench.plays(|mut peer| {
        peer.expects_header();
        peer.sends_header("peer.example", "nuncio.example", "id='1'");
        peer.sends_features("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
        peer.expects("starttls");
        peer.sends("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>");
        peer.waits_for_the_end();
    });
    bench.probes().fails("tls", "starttls-refused", "remote");
}

#[test]
fn a_server_that_knows_only_the_old_tls() {
    let probed = shakes(|context| {
        context.set_min_proto_version(Some(SslVersion::TLS1)).unwrap();
        context.set_max_proto_version(Some(SslVersion::TLS1_1)).unwrap();
    });
    probed.fails("tls", "tls-too-old", "remote");
}

#[test]
fn a_server_with_no_cipher_in_common() {
    let probed = shakes(|context| {
        context.set_max_proto_version(Some(SslVersion::TLS1_2)).unwrap();
        context.set_cipher_list("ECDHE-ECDSA-AES128-SHA").unwrap();
    });
    probed.fails("tls", "no-common-cipher", "remote");
}

#[test]
fn a_server_that_hangs_up_in_the_middle_of_tls() {
    let bench = Bench::new();
    bench.plays(|mut peer| agrees_to_tls(&mut peer));
    bench.probes().fails("tls", "closed-during-tls", "remote");
}

#[test]
fn a_direct_tls_port_without_tls() {
    let bench = Bench::new();
    bench.network.publish_direct_tls("peer.example", bench.peer);
    plays(Listener::at_port(bench.peer, 5270), |mut peer: Peer| {
        peer.sends("<stream:error/>");
        peer.waits_for_the_end();
    });
    bench.probes().fails("tls", "not-tls", "remote");
}

#[test]
fn a_server_that_ends_tls_because_of_our_certificate() {
    let probed = shakes(|context| {
        // The test has no certificate there.
        context.set_verify(
            openssl::ssl::SslVerifyMode::PEER | openssl::ssl::SslVerifyMode::FAIL_IF_NO_PEER_CERT,
        );
    });
    probed.fails("tls", "our-certificate-refused", "us");
}

#[test]
fn a_server_that_has_no_certificate_for_the_domain() {
    shakes(|context| ends_with(context, SslAlert::UNRECOGNIZED_NAME)).fails(
        "tls",
        "tls-name-unknown",
        "remote",
    );
}

#[test]
fn a_server_that_ends_tls_for_some_other_reason() {
    // OpenSSL has no other alert for this callback.
    shakes(|context| ends_with(context, SslAlert::DECODE_ERROR)).fails("tls", "tls-failed", "either");
}

#[test]
fn a_port_for_direct_tls_that_is_for_another_protocol() {
    let bench = Bench::new();
    bench.network.publish_direct_tls("peer.example", bench.peer);
    let context = context(&bench.identity(), |context| {
        context.set_alpn_select_callback(|_, _| Err(AlpnError::ALERT_FATAL));
    });
    plays(Listener::at_port(bench.peer, 5270), move |mut peer: Peer| {
        let _ = peer.accepts_with(Ssl::new(&context).unwrap());
    });
    bench.probes().fails("tls", "alpn-refused", "remote");
}

#[test]
fn a_server_that_demands_the_tls_that_we_forbid() {
    let bench = Bench::of(Setup::of("nuncio.example").tls(Tls::Disabled).auth(Auth::Dialback));
    bench.plays(|mut peer| {
        peer.expects_header();
        peer.sends_header("peer.example", "nuncio.example", "id='1'");
        peer.sends_features("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>");
        peer.waits_for_the_end();
    });
    bench.probes().fails("features", "tls-forbidden-by-our-policy", "us");
}

fn ends_with(context: &mut SslContextBuilder, alert: SslAlert) {
    context.set_servername_callback(move |_, said| {
        *said = alert;
        Err(SniError::ALERT_FATAL)
    });
}

/// Probes a server with those TLS settings.
fn shakes(change: impl FnOnce(&mut SslContextBuilder)) -> super::bench::Probed {
    let bench = Bench::new();
    let context = context(&bench.identity(), change);
    bench.plays(move |mut peer| {
        agrees_to_tls(&mut peer);
        let _ = peer.accepts_with(Ssl::new(&context).unwrap());
        peer.waits_for_the_end();
    });
    bench.probes()
}

fn agrees_to_tls(peer: &mut Peer) {
    peer.expects_header();
    peer.sends_header("peer.example", "nuncio.example", "id='1'");
    peer.sends_features("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>");
    peer.expects("starttls");
    peer.sends("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
}

fn context(identity: &Identity, change: impl FnOnce(&mut SslContextBuilder)) -> SslContext {
    let mut context = SslContextBuilder::new(SslMethod::tls()).unwrap();
    context.set_security_level(0);
    context.set_certificate(identity.certificate()).unwrap();
    context.set_private_key(&identity.key).unwrap();
    change(&mut context);
    context.build()
}
