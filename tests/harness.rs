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
    Auth, Behaviour, Certificate, Ejabberd, Listener, Network, Peer, Process, Prosody, Server, Setup, Tls,
    eventually,
};

#[test]
fn prosody_and_ejabberd_federate_by_certificate() {
    let network = Network::for_ejabberd();
    let (prosody, ejabberd) = both(&network, |setup| setup.auth(Auth::External));
    converse(&prosody, &ejabberd);
    prosody.process().eventually_logs(&["SASL EXTERNAL with inbox.ejabberd.example succeeded"]);
    ejabberd.process().eventually_logs(&["accepted inbound s2s EXTERNAL authentication"]);
}

#[test]
fn prosody_and_ejabberd_federate_by_dialback() {
    let network = Network::for_ejabberd();
    let (prosody, ejabberd) = both(&network, |setup| setup.certificate(Certificate::SelfSigned));
    converse(&ejabberd, &prosody);
    prosody.process().eventually_logs(&["asking inbox.ejabberd.example if key"]);
    ejabberd.process().eventually_logs(&["(tls|", "accepted inbound s2s dialback authentication"]);
}

#[test]
fn prosody_and_ejabberd_federate_without_tls() {
    let network = Network::for_ejabberd();
    let (prosody, ejabberd) =
        both(&network, |setup| setup.certificate(Certificate::Missing).tls(Tls::Disabled));
    converse(&prosody, &ejabberd);
    ejabberd.process().eventually_logs(&["(tcp|", "accepted inbound s2s dialback authentication"]);
}

#[test]
fn prosody_and_ejabberd_federate_by_direct_tls() {
    let network = Network::for_ejabberd();
    let (prosody, ejabberd) = both(&network, |setup| setup.auth(Auth::External).direct_tls());
    converse(&ejabberd, &prosody);
}

#[test]
fn the_scripted_peer_talks_with_prosody() {
    let network = Network::new();
    talk(&network, &Prosody::start(&network, Setup::of("prosody.example").auth(Auth::External)));
}

#[test]
fn the_scripted_peer_talks_with_ejabberd() {
    let network = Network::for_ejabberd();
    talk(&network, &Ejabberd::start(&network, Setup::of("ejabberd.example").auth(Auth::External)));
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

fn both(network: &Network, wishes: impl Fn(Setup) -> Setup) -> (Prosody, Ejabberd) {
    let prosody = Prosody::start(network, wishes(Setup::of("prosody.example")));
    let ejabberd = Ejabberd::start(network, wishes(Setup::of("ejabberd.example")));
    (prosody, ejabberd)
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
    let identity = network.authority.issue(&["peer.example"]);
    let mut inbox = server.inbox();
    let here = inbox.name().to_owned();

    let mut peer = Peer::authenticates(server.address(), "peer.example", &here, &identity);
    peer.sends(&format!("<message from='romeo@peer.example' to='{here}' id='in'><body>é</body></message>"));
    assert_eq!(inbox.receives_id("in").expect("body").text(), "é");

    let address = network.address();
    network.publish("peer.example", address);
    let listener = Listener::at(address);
    inbox.sends_message("romeo@peer.example", "out", "è");
    let mut peer = listener.accepts();
    peer.answers_to_external("peer.example", &identity);
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
