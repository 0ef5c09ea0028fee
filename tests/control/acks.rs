//! The commands show which stanzas are acknowledged (XEP-0198).

use super::{Place, listener};
use crate::support::{Auth, Identity, Network, Node, Peer, SOON, Server, Setup, eventually, plays};

#[test]
fn the_links_of_two_nodes_are_resumable_and_their_stanzas_acknowledged() {
    let (network, place) = (Network::new(), Place::new());
    let other = Node::start(&network, Setup::of("other.example"));
    let node = Node::start(&network, place.setup());
    let (mut here, mut there) = (node.inbox(), other.inbox());
    here.sends_message("someone@inbox.other.example", "ping", "");
    there.receives_id("ping");
    there.sends_message("someone@inbox.nuncio.example", "pong", "");
    here.receives_id("pong");
    let links = eventually("the message is acknowledged", || {
        let json = place.json(&["sessions", "inbox.other.example"]);
        let links = json["links"].as_array().unwrap().clone();
        let outgoing = links.iter().find(|link| link["direction"] == "outgoing")?;
        (outgoing["ack_latency"].is_number() && outgoing["open"]["stanzas"] == 0).then_some(links)
    });
    assert_eq!(links.len(), 2, "{links:?}");
    assert!(links.iter().all(|link| link["acks"] == "resumable"), "{links:?}");
    let table = place.tells(&["sessions", "inbox.other.example"]);
    let head = table.lines().next().unwrap();
    assert!(head.contains("  acks ") && head.contains("  open ") && head.contains("  acked in  "), "{table}");
    let told = place.tells(&["explain", "inbox.other.example"]);
    let sentence = told.lines().next().unwrap();
    assert!(sentence.ends_with("; nothing waits; all stanzas acknowledged"), "{sentence}");
    let account = place.json(&["explain", "inbox.other.example"])["account"].clone();
    let stanzas =
        ["written", "acknowledged", "unacked", "repeated"].map(|name| account[name]["stanzas"].clone());
    assert_eq!(stanzas, [1, 1, 0, 0], "{account}");
}

#[test]
fn a_message_that_the_peer_does_not_acknowledge_is_shown_as_open() {
    let (network, place) = (Network::new(), Place::new());
    let identity = network.authority.issue(&["peer.example"]);
    plays(listener(&network, "peer.example"), move |mut peer| {
        enables_acks(&mut peer, &identity);
        // No request is answered.
        while peer.next(SOON).is_ok() {}
    });
    let node = Node::start(&network, place.setup().auth(Auth::External));
    node.inbox().sends_message("someone@peer.example", "one", "");
    let link = eventually("the message is open", || {
        let json = place.json(&["sessions", "peer.example"]);
        json["links"].as_array().unwrap().first().filter(|link| link["open"]["stanzas"] == 1).cloned()
    });
    assert_eq!((&link["acks"], &link["ack_latency"].is_null()), (&"yes".into(), &true), "{link}");
    let told = place.tells(&["explain", "peer.example"]);
    let sentence = told.lines().next().unwrap();
    assert!(sentence.contains("; 1 stanza sent, not acknowledged "), "{sentence}");
    assert!(told.contains("unacked  "), "{told}");
}

#[test]
fn a_link_without_acks_says_so_in_the_list_only() {
    let (network, place) = (Network::new(), Place::new());
    let other = Node::start(&network, Setup::of("other.example").set("s2s.acks", "false"));
    let node = Node::start(&network, place.setup());
    let mut there = other.inbox();
    node.inbox().sends_message("someone@inbox.other.example", "ping", "");
    there.receives_id("ping");
    let json = place.json(&["sessions", "inbox.other.example"]);
    assert_eq!(json["links"][0]["acks"], "no", "{json}");
    let told = place.tells(&["explain", "inbox.other.example"]);
    assert!(!told.lines().next().unwrap().contains("acknowledged"), "{told}");
}

#[test]
fn a_stanza_that_a_lost_link_carried_is_told_apart_in_the_queue() {
    let (network, place) = (Network::new(), Place::new());
    let identity = network.authority.issue(&["peer.example"]);
    let listener = listener(&network, "peer.example");
    let setup = place.setup().auth(Auth::External).set("promise.backoff", "[\"60s\", \"60s\"]");
    let node = Node::start(&network, setup);
    node.inbox().sends_message("someone@peer.example", "one", "");
    let mut peer = listener.accepts();
    enables_acks(&mut peer, &identity);
    peer.expects("message");
    // The next attempt fails.
    drop(listener);
    peer.resets();
    eventually("the stanza waits for the next link", || {
        let json = place.json(&["queues", "peer.example"]);
        let queue = json["queues"].as_array().unwrap().first()?;
        (queue["state"] == "pause" && queue["open"]["stanzas"] == 1).then_some(())
    });
    let table = place.tells(&["queues", "peer.example"]);
    assert!(table.contains("  1 (1 may have arrived)  "), "{table}");
    let told = place.tells(&["explain", "peer.example"]);
    let sentence = told.lines().next().unwrap();
    assert!(
        sentence.contains("; 1 stanza waits (1 of them may have arrived), next attempt in "),
        "{sentence}"
    );
}

/// A server that enables acks without resumption.
fn enables_acks(peer: &mut Peer, identity: &Identity) {
    peer.answers_to_tls("peer.example", identity);
    peer.sends_features(
        "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms>",
    );
    peer.expects("auth");
    peer.sends("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    peer.restarts();
    peer.expects_header();
    peer.sends_header("peer.example", "nuncio.example", "id='after-sasl'");
    peer.sends_features("<sm xmlns='urn:xmpp:sm:3'/>");
    peer.expects("enable");
    peer.sends("<enabled xmlns='urn:xmpp:sm:3'/>");
}
