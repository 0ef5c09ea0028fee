//! The test tools, checked with Prosody and ejabberd: a tool that fails with these servers proves nothing about Nuncio.

use std::collections::HashSet;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::federation::{answers, carries_a_message_unchanged};
use crate::support::{
    Auth, Behaviour, Certificate, Ejabberd, Listener, Network, Peer, Process, Prosody, Purpose, Server,
    Setup, Tenant, Tls, eventually,
};

#[test]
fn prosody_and_ejabberd_federate_by_certificate() {
    let ejabberd = Tenant::with(&Certificate::Common(Purpose::Both));
    let setup = Setup::of(&ejabberd.neighbour("prosody")).auth(Auth::External);
    let prosody = Prosody::start(ejabberd.network(), setup);
    converse(&prosody, &ejabberd);
    let (ours, theirs) = (&prosody.setup().components[0], &ejabberd.setup().components[0]);
    prosody.process().eventually_logs(&[&format!("SASL EXTERNAL with {theirs} succeeded")]);
    let accepted = format!("accepted inbound s2s EXTERNAL authentication {ours} -> {theirs}");
    ejabberd.process().eventually_logs(&[&accepted]);
}

#[test]
fn prosody_and_ejabberd_federate_by_dialback() {
    let ejabberd = Tenant::with(&Certificate::SelfSigned);
    let setup = Setup::of(&ejabberd.neighbour("prosody")).certificate(Certificate::SelfSigned);
    let prosody = Prosody::start(ejabberd.network(), setup);
    converse(&ejabberd, &prosody);
    let (ours, theirs) = (&prosody.setup().components[0], &ejabberd.setup().components[0]);
    prosody.process().eventually_logs(&[&format!("asking {theirs} if key")]);
    let accepted = format!("accepted inbound s2s dialback authentication {ours} -> {theirs}");
    ejabberd.process().eventually_logs(&["(tls|", &accepted]);
}

#[test]
fn prosody_and_ejabberd_federate_without_tls() {
    let network = Network::for_ejabberd();
    let clear = |domain| Setup::of(domain).certificate(Certificate::Missing).tls(Tls::Disabled);
    let prosody = Prosody::start(&network, clear("prosody.example"));
    let ejabberd = Ejabberd::start(&network, clear("ejabberd.example"));
    converse(&prosody, &ejabberd);
    ejabberd.process().eventually_logs(&["(tcp|", "accepted inbound s2s dialback authentication"]);
}

#[test]
fn prosody_and_ejabberd_federate_by_direct_tls() {
    let ejabberd = Tenant::with(&Certificate::Common(Purpose::Both)).direct_tls();
    let setup = Setup::of(&ejabberd.neighbour("prosody")).auth(Auth::External).direct_tls();
    converse(&ejabberd, &Prosody::start(ejabberd.network(), setup));
}

#[test]
fn the_scripted_peer_talks_with_prosody() {
    let network = Network::new();
    talk(&network, &Prosody::start(&network, Setup::of("prosody.example").auth(Auth::External)));
}

#[test]
fn the_scripted_peer_talks_with_ejabberd() {
    let ejabberd = Tenant::with(&Certificate::Common(Purpose::Both));
    talk(ejabberd.network(), &ejabberd);
}

#[test]
fn a_name_that_does_not_exist_or_fails_is_seen_so_by_prosody() {
    let network = Network::new();
    network.dns.behaves("slow.example", Behaviour::Delay(Duration::from_millis(200)));
    let prosody = Prosody::start(&network, Setup::of("prosody.example"));
    let mut inbox = prosody.inbox();
    for name in ["missing.example", "slow.example"] {
        let error = inbox.asks(name, "<ping xmlns='urn:xmpp:ping'/>");
        assert!(error.expect("error").child("remote-server-not-found").is_some(), "{error}");
        let question = format!("_xmpp-server._tcp.{name} SRV");
        assert!(network.dns.questions().contains(&question), "{:?}", network.dns.questions());
    }
}

/// The same conversation as in the federation tests.
fn converse(one: &dyn Server, other: &dyn Server) {
    let (mut here, mut there) = (one.inbox(), other.inbox());
    carries_a_message_unchanged(&mut here, &mut there);
    carries_a_message_unchanged(&mut there, &mut here);
    answers(&mut here, other.domain());
    answers(&mut there, one.domain());
}

/// The scripted peer connects to the server, and the server to the peer.
fn talk(network: &Network, server: &dyn Server) {
    let peer_domain = format!("peer-{}", server.domain());
    let identity = network.authority.issue(&[&peer_domain]);
    let mut inbox = server.inbox();
    let here = inbox.name().to_owned();

    let mut peer = Peer::authenticates(server.address(), &peer_domain, &here, &identity);
    peer.sends(&format!("<message from='romeo@{peer_domain}' to='{here}' id='in'><body>é</body></message>"));
    assert_eq!(inbox.receives_id("in").expect("body").text(), "é");

    let address = network.address();
    network.publish(&peer_domain, address);
    let listener = Listener::at(address);
    inbox.sends_message(&format!("romeo@{peer_domain}"), "out", "è");
    let mut peer = listener.accepts();
    peer.answers_to_external(&peer_domain, &identity);
    assert_eq!(peer.expects("message").expect("body").text(), "è");
}

#[test]
fn a_process_and_its_children_end_with_their_test_even_if_it_panics() {
    let network = Network::new();
    let directory = network.directory("parent");
    let pids = Arc::<Mutex<Vec<String>>>::default();
    let kept = Arc::clone(&pids);
    let failed = thread::spawn(move || {
        let script = "sleep 1000 & echo child $!; echo parent $$; wait";
        let process = Process::start("parent", &directory, "sh", &["-c", script], &[]);
        for who in ["child ", "parent "] {
            let line = process.eventually_logs(&[who]);
            kept.lock().unwrap().push(line[who.len()..].to_owned());
        }
        panic!("on purpose");
    });
    assert!(failed.join().is_err());
    let pids = pids.lock().unwrap().clone();
    assert_eq!(pids.len(), 2, "{pids:?}");
    for pid in pids {
        let process = Path::new("/proc").join(&pid);
        // Init reaps a child without a parent, after a while.
        let ended = || {
            let status = fs::read_to_string(process.join("status")).ok();
            status.is_none_or(|status| status.contains("State:\tZ")).then_some(())
        };
        eventually(&format!("process {pid} ends"), ended);
    }
}

#[test]
fn no_two_networks_share_an_address_and_nothing_listens_there() {
    let networks = [Network::new(), Network::new()];
    let mut seen = HashSet::new();
    for number in 0..200 {
        let address = networks[number % 2].address();
        assert!(seen.insert(address), "{address} was given twice");
        let listener = TcpListener::bind((address, 5269));
        assert!(listener.is_ok(), "{address}: {listener:?}");
    }
}
