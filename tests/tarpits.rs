//! Servers that accept connections and stay silent: they cost little, and delay no other domain.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::dialback::{Fixture, INBOX, result, verified};
use crate::support::{Listener, Network, Node, Peer, Server, Setup, eventually};

#[test]
fn an_attempt_makes_so_many_connections_and_no_more() {
    let network = Network::new();
    let tarpit = Tarpit::everywhere();
    tarpit.publish(&network, "greedy.example", 20, 16);
    let node = Node::start(&network, Setup::of("nuncio.example").set("s2s.handshake_timeout", "\"200ms\""));
    let mut inbox = node.inbox();
    inbox.sends(&request(inbox.name(), "greedy.example"));
    let answer = inbox.receives_id("request");
    answer.expect("error").expect("remote-server-timeout");
    eventually("all of them are accepted", || (tarpit.met() >= 20).then_some(()));
    assert_eq!(tarpit.met(), 20);
}

#[test]
fn an_attempt_ends_in_time_and_leaves_some_to_its_later_targets() {
    let network = Network::new();
    let tarpit = Tarpit::everywhere();
    let other = Node::start(&network, Setup::of("other.example"));
    let mut receiver = other.inbox();
    let domain = receiver.name().to_owned();
    network.dns.clear(&format!("_xmpp-server._tcp.{domain}"));
    tarpit.publish(&network, &domain, 1, 8);
    network.dns.srv(&format!("_xmpp-server._tcp.{domain}"), 9, 0, 5269, &format!("server.{domain}"));
    let setup = Setup::of("nuncio.example").set("s2s.handshake_timeout", "\"4s\"");
    let node = Node::start(&network, setup.set("s2s.attempt_timeout", "\"16s\""));
    node.inbox().sends_message(&domain, "cold", "");
    receiver.receives_id("cold");
    assert!((1..=3).contains(&tarpit.met()), "{} connections in half of that time", tarpit.met());
}

#[test]
fn attempts_that_hang_leave_their_turns_to_others_and_give_way_in_the_end() {
    let network = Network::new();
    let tarpit = Tarpit::everywhere();
    let other = Node::start(&network, Setup::of("other.example"));
    let setup = Setup::of("nuncio.example").set("s2s.handshake_timeout", "\"60s\"");
    let node = Node::start(&network, setup.set("limits.max_dials", "4").set("limits.max_dials_hanging", "4"));
    let (mut sender, mut receiver) = (node.inbox(), other.inbox());
    for number in 0..12 {
        let domain = format!("d{number}.example");
        tarpit.publish(&network, &domain, 1, 1);
        sender.sends_message(&domain, &number.to_string(), "");
    }
    // A domain without a link, from the same local domain, queued behind all of those.
    sender.sends_message(receiver.name(), "cold", "");
    receiver.receives_id("cold");
}

#[test]
fn the_subdomains_of_one_domain_are_one_in_line() {
    let network = Network::new();
    let tarpit = Tarpit::everywhere();
    let other = Node::start(&network, Setup::of("other.example"));
    let setup = Setup::of("nuncio.example").set("s2s.handshake_timeout", "\"60s\"");
    let node = Node::start(&network, setup.set("limits.max_dials", "2"));
    let (mut sender, mut receiver) = (node.inbox(), other.inbox());
    let domains: Vec<String> = (0..100).map(|number| format!("d{number}.many.example")).collect();
    domains.iter().for_each(|domain| tarpit.publish(&network, domain, 1, 1));
    for domain in &domains {
        sender.sends_message(domain, domain, "");
    }
    sender.sends_message(receiver.name(), "cold", "");
    receiver.receives_id("cold");
    assert!(tarpit.met() < 50, "{} of a hundred went before", tarpit.met());
}

#[test]
fn addresses_that_are_raced_have_to_pass_the_gate_each() {
    let network = Network::new();
    let (silent, deaf) = (network.address(), network.address());
    let (listener, (_deaf, _queued)) = (Listener::at(silent), Listener::deaf(deaf));
    network.publish("one.example", silent);
    network.publish("two.example", deaf);
    network.dns.a("server.two.example", silent);
    let setup = Setup::of("nuncio.example").set("limits.max_dials_per_address", "1");
    let node = Node::start(&network, setup.log("info,nuncio::tcp=debug"));
    let mut sender = node.inbox();
    sender.sends_message("one.example", "1", "");
    let first = listener.accepts();
    sender.sends_message("two.example", "2", "");
    // The attempt to the second domain has raced its addresses up to this one.
    node.eventually_logs(&[
        "refused a connection: the limit of the address is reached",
        &format!("address={silent}"),
    ]);
    assert!(listener.accepted().is_none(), "more than one at once");
    drop(first);
    listener.accepts();
}

#[test]
fn call_backs_to_tarpits_give_way_to_those_of_other_addresses() {
    let fixture = Fixture::with(
        Setup::of("nuncio.example")
            .set("limits.max_verifications", "4")
            .set("limits.max_verifications_per_address", "2"),
    );
    let tarpit = Tarpit::everywhere();
    let mut liars = Vec::new();
    for source in [fixture.network.address(), fixture.network.address()] {
        for number in 0..2 {
            let domain = format!("d{number}.{}.example", source.octets()[3]);
            tarpit.publish(&fixture.network, &domain, 2, 4);
            let mut liar = fixture.dials_from(source, &domain);
            liar.sends(&result(&domain, INBOX, "key"));
            liars.push(liar);
        }
    }
    eventually("every turn is taken", || (tarpit.met() == 4).then_some(()));
    let mut honest = fixture.dials_from(fixture.network.address(), "peer.example");
    honest.sends(&result("peer.example", INBOX, "key"));
    let (mut called, question) = fixture.called_back();
    called.sends(&verified(INBOX, question.attribute("id"), "valid"));
    assert_eq!(honest.expects("result").attribute("type"), "valid");
    drop(liars);
}

#[test]
fn a_call_back_ends_with_the_stream_that_asked_for_it() {
    let fixture = Fixture::with(Setup::of("nuncio.example").set("s2s.handshake_timeout", "\"60s\""));
    let (mut dialing, _) = fixture.dials("peer.example");
    dialing.sends(&result("peer.example", INBOX, "key"));
    let mut called = fixture.listener.accepts();
    called.expects_header();
    drop(dialing);
    called.expects_end();
}

// rows: F17
#[test]
fn a_key_is_answered_in_time_however_many_addresses_and_keys_there_are() {
    let fixture = Fixture::with(
        Setup::of("nuncio.example")
            .set("s2s.handshake_timeout", "\"3s\"")
            .set("limits.max_verifications", "1"),
    );
    let tarpit = Tarpit::everywhere();
    let mut asking: Vec<Peer> = ["one.example", "two.example", "three.example"]
        .into_iter()
        .map(|domain| {
            tarpit.publish(&fixture.network, domain, 20, 16);
            let mut peer = fixture.dials_from(fixture.network.address(), domain);
            peer.sends(&result(domain, INBOX, "key"));
            peer
        })
        .collect();
    for peer in &mut asking {
        let answer = peer.expects("result");
        assert_eq!(answer.attribute("type"), "error", "{answer}");
        peer.expects_error("connection-timeout");
    }
}

fn request(from: &str, to: &str) -> String {
    format!("<iq from='a@{from}' to='{to}' id='request' type='get'><ping xmlns='urn:xmpp:ping'/></iq>")
}

/// Accepts connections at every address of this machine, and keeps them until the test ends.
struct Tarpit {
    port: u16,
    met: Arc<Mutex<Vec<TcpStream>>>,
}

impl Tarpit {
    fn everywhere() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let met = Arc::<Mutex<Vec<TcpStream>>>::default();
        let kept = Arc::clone(&met);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                kept.lock().unwrap().push(stream);
            }
        });
        Self { port, met }
    }

    /// The number of connections so far.
    fn met(&self) -> usize {
        self.met.lock().unwrap().len()
    }

    /// Publishes a domain with so many targets, each with so many addresses of this server.
    fn publish(&self, network: &Network, domain: &str, targets: u16, addresses: usize) {
        for target in 0..targets {
            let host = format!("t{target}.{domain}");
            network.dns.srv(&format!("_xmpp-server._tcp.{domain}"), target, 0, self.port, &host);
            (0..addresses).for_each(|_| network.dns.a(&host, network.address()));
        }
    }
}
