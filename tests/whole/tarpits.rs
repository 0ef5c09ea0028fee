//! Servers that accept connections and stay silent: they cost little, and delay no other domain.

use std::{cell::RefCell, net::IpAddr, time::Duration};

use super::{
    fixture::{Listener, Network, Node, Peer, Setup, paused, sleep, timed},
    scene::{INBOX, PEER},
};

#[test]
fn an_attempt_makes_so_many_connections_and_no_more() {
    paused(async |network| {
        let tarpit = Tarpit::default();
        tarpit.publish(network, "greedy.example", 20, 16);
        let setup = Setup::of("nuncio.example").set("s2s.attempt_timeout", "\"1h\"");
        let node = Node::start(network, setup.set("promise.iq", "\"1h\"")).await;
        let mut inbox = node.inbox().await;
        inbox.sends_request("greedy.example", "request");
        inbox.receives_id("request").await.expect("error").expect("remote-server-timeout");
        assert_eq!(tarpit.met(network), 20);
    });
}

#[test]
fn an_attempt_ends_in_time_and_leaves_some_to_its_later_targets() {
    paused(async |network| {
        let tarpit = Tarpit::default();
        let other = Node::start(network, Setup::of("other.example")).await;
        let mut receiver = other.inbox().await;
        let domain = receiver.name().to_owned();
        network.dns.clear(&format!("_xmpp-server._tcp.{domain}"));
        tarpit.publish(network, &domain, 1, 8);
        let service = format!("_xmpp-server._tcp.{domain}");
        network.dns.srv(&service, 9, 0, 5269, &format!("server.{domain}"));
        let node = Node::start(network, Setup::of("nuncio.example")).await;
        node.inbox().await.sends_message(&domain, "cold", "");
        let (_, took) = timed(receiver.receives_id("cold")).await;
        // Half of the time of the attempt is for the first target: 30 s for each address of it.
        assert!(took <= Duration::from_secs(60), "{took:?}");
        assert!((1..=2).contains(&tarpit.met(network)), "{} connections", tarpit.met(network));
    });
}

#[test]
fn attempts_that_hang_leave_their_turns_to_others_and_give_way_in_the_end() {
    paused(async |network| {
        let tarpit = Tarpit::default();
        let other = Node::start(network, Setup::of("other.example")).await;
        let setup = Setup::of("nuncio.example").set("s2s.handshake_timeout", "\"60s\"");
        let setup = setup.set("limits.max_dials", "4").set("limits.max_dials_hanging", "4");
        let node = Node::start(network, setup).await;
        let (sender, mut receiver) = (node.inbox().await, other.inbox().await);
        for number in 0..12 {
            let domain = format!("d{number}.example");
            tarpit.publish(network, &domain, 1, 1);
            sender.sends_message(&domain, &number.to_string(), "");
        }
        // A domain without a link, from the same local domain, queued behind all of those.
        sender.sends_message(receiver.name(), "cold", "");
        let (_, took) = timed(receiver.receives_id("cold")).await;
        assert!(took < Duration::from_secs(60), "{took:?}");
    });
}

#[test]
fn the_subdomains_of_one_domain_are_one_in_line() {
    paused(async |network| {
        let tarpit = Tarpit::default();
        let other = Node::start(network, Setup::of("other.example")).await;
        let setup = Setup::of("nuncio.example").set("s2s.handshake_timeout", "\"60s\"");
        let node = Node::start(network, setup.set("limits.max_dials", "2")).await;
        let (sender, mut receiver) = (node.inbox().await, other.inbox().await);
        let domains: Vec<String> = (0..100).map(|number| format!("d{number}.many.example")).collect();
        domains.iter().for_each(|domain| tarpit.publish(network, domain, 1, 1));
        for domain in &domains {
            sender.sends_message(domain, domain, "");
        }
        sender.sends_message(receiver.name(), "cold", "");
        receiver.receives_id("cold").await;
        assert!(tarpit.met(network) < 50, "{} of a hundred went before", tarpit.met(network));
    });
}

#[test]
fn addresses_that_are_raced_have_to_pass_the_gate_each() {
    paused(async |network| {
        let silent = Listener::of(network, "one.example");
        let off = network.address();
        network.publish("two.example", off);
        network.internet.switch(off, false);
        network.publish_host("server.two.example", silent.address());
        let setup = Setup::of("nuncio.example").set("limits.max_dials_per_address", "1");
        let node = Node::start(network, setup).await;
        let sender = node.inbox().await;
        sender.sends_message("one.example", "1", "");
        let first = silent.accepts().await;
        sender.sends_message("two.example", "2", "");
        let second = silent.accepts_within(Duration::from_secs(5)).await;
        assert!(second.is_none(), "more than one at once");
        drop(first);
        silent.accepts().await;
    });
}

#[test]
fn call_backs_to_tarpits_give_way_to_those_of_other_addresses() {
    paused(async |network| {
        let limits = dialback().set("limits.max_verifications", "4");
        let node = Node::start(network, limits.set("limits.max_verifications_per_address", "2")).await;
        let tarpit = Tarpit::default();
        let mut liars = Vec::new();
        for source in [network.address(), network.address()] {
            for number in 0..2 {
                let domain = format!("d{number}.{}.example", source.to_string().replace('.', "-"));
                tarpit.publish(network, &domain, 2, 4);
                let mut liar = dials_from(network, &node, source, &domain).await;
                liar.sends(&result(&domain)).await;
                liars.push(liar);
            }
        }
        // Every turn is taken.
        while tarpit.met(network) < 4 {
            sleep(Duration::from_millis(10)).await;
        }
        let listener = Listener::of(network, PEER);
        let mut honest = dials_from(network, &node, network.address(), PEER).await;
        honest.sends(&result(PEER)).await;
        let mut called = listener.accepts().await;
        called.expects_header().await;
        called.sends_header(PEER, INBOX, "id='call-back'").await;
        called.sends_features("<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>").await;
        let id = called.expects("verify").await.attribute("id").to_owned();
        called.sends(&format!("<db:verify from='{PEER}' to='{INBOX}' id='{id}' type='valid'/>")).await;
        let (answer, took) = timed(honest.expects("result")).await;
        assert_eq!(answer.attribute("type"), "valid");
        assert!(took < Duration::from_secs(30), "{took:?}");
        drop(liars);
    });
}

#[test]
fn a_call_back_ends_with_the_stream_that_asked_for_it() {
    paused(async |network| {
        let node = Node::start(network, dialback()).await;
        let listener = Listener::of(network, PEER);
        let mut dialling = dials_from(network, &node, network.address(), PEER).await;
        dialling.sends(&result(PEER)).await;
        let mut called = listener.accepts().await;
        called.expects_header().await;
        drop(dialling);
        let ((), took) = timed(called.expects_end()).await;
        assert!(took < Duration::from_secs(5), "{took:?}");
    });
}

// rows: F17
#[test]
fn a_key_is_answered_in_time_however_many_addresses_and_keys_there_are() {
    paused(async |network| {
        let node = Node::start(network, dialback().set("limits.max_verifications", "1")).await;
        let (tarpit, mut asking) = (Tarpit::default(), Vec::new());
        let began = clock::now();
        for domain in ["one.example", "two.example", "three.example"] {
            tarpit.publish(network, domain, 20, 16);
            let mut peer = dials_from(network, &node, network.address(), domain).await;
            peer.sends(&result(domain)).await;
            asking.push(peer);
        }
        for mut peer in asking {
            let answer = peer.expects("result").await;
            assert_eq!(answer.attribute("type"), "error", "{answer}");
            peer.expects_error("connection-timeout").await;
        }
        let took = clock::since(began);
        assert!(took < Duration::from_secs(45), "{took:?}");
    });
}

/// A node without TLS, so that scripts consist of dialback only.
fn dialback() -> Setup {
    Setup::of("nuncio.example").dialback().without_certificate().set("s2s.tls", "\"optional\"")
}

/// Opens a stream to the node from that address.
async fn dials_from(network: &Network, node: &Node, source: IpAddr, domain: &str) -> Peer {
    let mut peer = Peer::dials_from(network, source, node).await;
    peer.sends_header(domain, INBOX, "").await;
    peer.expects_header().await;
    peer.expects("features").await;
    peer
}

fn result(domain: &str) -> String {
    format!("<db:result from='{domain}' to='{INBOX}'>key</db:result>")
}

/// Servers that keep every connection until the test ends, and send nothing.
#[derive(Default)]
struct Tarpit(RefCell<Vec<Listener>>);

impl Tarpit {
    /// The number of connections so far.
    fn met(&self, network: &Network) -> usize {
        self.0.borrow().iter().map(|listener| network.attempts(listener.address())).sum()
    }

    /// Publishes a domain with so many targets, each with so many addresses.
    fn publish(&self, network: &Network, domain: &str, targets: u16, addresses: usize) {
        for target in 0..targets {
            let host = format!("t{target}.{domain}");
            network.dns.srv(&format!("_xmpp-server._tcp.{domain}"), target, 0, 5269, &host);
            for _ in 0..addresses {
                let address = network.address();
                network.publish_host(&host, address);
                self.0.borrow_mut().push(Listener::at(network, address));
            }
        }
    }
}
