//! A thousand peers that read and never acknowledge.

use std::thread;
use std::time::Duration;

use crate::support::{
    Identity, Listener, Network, Node, OFFER, Peer, Server, Setup, eventually, figure, plays,
};

// rows: H10
/// Each gets more than the window of its link. The bound is that of all messages, as those that do not fit the window wait.
#[test]
fn a_thousand_peers_that_never_acknowledge_cost_bounded_memory() {
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let network = Network::new();
    let address = network.address();
    let identity = network.authority.issue(&["*.deaf.example"]);
    plays(Listener::at(address), move |peer| reads(peer, &identity));
    let pattern = format!("[[remote]]\nname = \"*.deaf.example\"\naddress = \"{address}:5269\"\n");
    let setup = Setup::of("nuncio.example")
        .set("s2s.ack_timeout", "\"30m\"")
        .set("log_mailboxes", "\"0s\"")
        .log("nuncio=warn,nuncio::account=info,nuncio::node=info");
    let node = Node::start(&network, setup.block(&pattern));
    let sender = node.inbox();
    let before = node.process().status("VmRSS");

    let (from, filling) = (sender.name().to_owned(), "x".repeat(BODY));
    let flood = sender.floods(PEERS * MESSAGES, move |number| {
        let (peer, id) = (number % PEERS, number / PEERS);
        format!(
            "<message from='a@{from}' to='b@d{peer}.deaf.example' id='{id}'><body>{filling}</body></message>"
        )
    });
    assert_eq!(flood.join().unwrap(), PEERS * MESSAGES);
    // Most of the window of each; the node counts more than the bytes of a stanza.
    let enough = PEERS * WINDOW / (BODY + MARKUP + ENTRY) * 9 / 10;
    eventually("the windows of all links are full", || {
        (figure(&node.account(), "unacked") >= enough).then_some(())
    });
    // For a minute, in which the node may copy what it keeps.
    let mut peak = 0;
    for _ in 0..60 {
        peak = peak.max(node.process().status("VmRSS"));
        thread::sleep(Duration::from_secs(1));
    }
    let account = node.account();
    println!("{PEERS} peers that never acknowledge: {before} KiB before, {peak} KiB at most; {account}");
    let bound = before as usize + PEERS * (MESSAGES * (BODY + MARKUP + ENTRY) + CONNECTION) / 1024;
    assert!(peak as usize <= bound, "{peak} KiB, the bound is {bound} KiB");
    // Another domain is served as ever.
    let other = Node::start(&network, Setup::of("other.example"));
    let mut healthy = node.outbox();
    let pong = healthy.asks(other.domain(), "<ping xmlns='urn:xmpp:ping'/>");
    assert!(pong.is("iq", "result"), "{pong}");
}

/// A server of any domain that enables stream management, reads everything and acknowledges nothing.
fn reads(mut peer: Peer, identity: &Identity) {
    let header = peer.expects_header();
    let (domain, node) = (header.attribute("to").to_owned(), header.attribute("from").to_owned());
    peer.sends_header(&domain, &node, "id='1'");
    peer.sends_features("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>");
    peer.expects("starttls");
    peer.sends("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    peer.secures_as_server(identity);
    peer.expects_header();
    peer.sends_header(&domain, &node, "id='2'");
    peer.accepts_external_offering(&domain, OFFER);
    peer.takes_enable("id='kept' resume='true'");
    // Unparsed: the transcript of so many peers would be large.
    while peer.reads(Duration::from_secs(3600)).is_ok() {}
}

const PEERS: usize = 1000;

/// Messages for each peer, and the bytes of their text and markup: 10 % more than the window. The rest waits.
const MESSAGES: usize = 270;
const BODY: usize = 1000;
const MARKUP: usize = 100;

/// Unacknowledged bytes of a link to a peer that never acknowledged.
const WINDOW: usize = 256 * 1024;

/// Bytes that a queue needs for a stanza besides its own.
const ENTRY: usize = 288;

/// Bytes of a connection with its actor and TLS, and what the allocator rounds up.
const CONNECTION: usize = 96 * 1024;
