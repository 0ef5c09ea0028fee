//! Shutdown: every stanza is delivered or answered, and streams are closed in order.

use std::collections::HashMap;
use std::time::Duration;

use crate::support::{Component, Element, NEVER, Network, Node, Prosody, SOON, Server, Setup, eventually};

#[test]
fn under_load_towards_prosody_every_stanza_is_delivered_or_answered() {
    let network = Network::new();
    let prosody = Prosody::start(&network, Setup::of("prosody.example"));
    stopping_sender_accounts_for_every_stanza(&network, &prosody);
}

// rows: B35
#[test]
fn under_load_towards_nuncio_every_stanza_is_delivered_or_answered() {
    let network = Network::new();
    let other = Node::start(&network, Setup::of("other.example"));
    stopping_sender_accounts_for_every_stanza(&network, &other);
}

// rows: B35
#[test]
fn under_load_from_nuncio_every_stanza_is_delivered_or_answered() {
    let network = Network::new();
    // Messages to a node that has stopped are queued, here for a short time.
    let setup = Setup::of("other.example").set("promise.message", "\"10s\"");
    let other = Node::start(&network, setup);
    let node = Node::start(&network, patient());
    let (mut sender, mut receiver) = (other.inbox(), node.inbox());
    let flood = flood(&sender, receiver.name());
    eventually("the flood arrives", || receiver.has_received().then_some(()));
    let status = node.terminate(LIMIT);
    assert!(status.success(), "{status}");
    let arrived = receiver.expects_end();
    // The flood continues after the node has ended; the other node must answer the rest.
    let sent = flood.join().unwrap();
    account(sent, arrived, &mut sender);
}

// rows: B35
#[test]
fn an_idle_node_stops_at_once_and_closes_its_streams() {
    let network = Network::new();
    let prosody = Prosody::start(&network, Setup::of("prosody.example"));
    let node = Node::start(&network, Setup::of("nuncio.example").set("shutdown_timeout", NEVER));
    let mut inbox = node.inbox();
    let answer = inbox.asks(prosody.domain(), "<ping xmlns='urn:xmpp:ping'/>");
    assert!(answer.is("iq", "result"), "{answer}");
    let status = node.terminate(SOON);
    assert!(status.success(), "{status}");
    assert!(inbox.expects_end().is_empty());
    for stream in ["inbox.nuncio.example->prosody.example", "prosody.example->inbox.nuncio.example"] {
        prosody.process().eventually_logs(&[stream, "closed: system-shutdown"]);
    }
}

#[test]
fn sigint_stops_the_node_too() {
    let network = Network::new();
    let node = Node::start(&network, Setup::of("nuncio.example").set("shutdown_timeout", NEVER));
    node.process().signal("INT");
    let status = node.process().exit_within(SOON);
    assert!(status.success(), "{status}");
}

#[test]
fn a_second_signal_stops_at_once() {
    let network = Network::new();
    let node = Node::start(&network, Setup::of("nuncio.example").set("shutdown_timeout", NEVER));
    // The peer never answers the closing tag, so the node has to wait.
    let _deaf = Component::connect_deaf(node.address(), "inbox.nuncio.example");
    node.process().signal("TERM");
    node.eventually_logs(&["stopping"]);
    node.process().signal("TERM");
    node.process().exit_within(SOON);
}

#[track_caller]
fn stopping_sender_accounts_for_every_stanza(network: &Network, server: &dyn Server) {
    let node = Node::start(network, patient());
    let (mut sender, mut receiver) = (node.inbox(), server.inbox());
    let flood = flood(&sender, receiver.name());
    eventually("the flood arrives", || receiver.has_received().then_some(()));
    let status = node.terminate(LIMIT);
    assert!(status.success(), "{status}");
    let sent = flood.join().unwrap();
    // The stream error at the end is not an outcome of a stanza.
    let mut outcomes = sender.expects_end();
    outcomes.retain(|outcome| outcome.is("message", outcome.attribute("type")));
    while outcomes.len() < sent {
        match receiver.next(SOON) {
            Some(stanza) => outcomes.push(stanza),
            None => break,
        }
    }
    each_has_one_outcome(sent, &outcomes);
}

/// Waits until `sender` has an error for each of the `sent` stanzas that did not arrive.
#[track_caller]
fn account(sent: usize, arrived: Vec<Element>, sender: &mut Component) {
    let mut outcomes = arrived;
    while outcomes.len() < sent {
        match sender.next(SOON) {
            Some(answer) => outcomes.push(answer),
            None => break,
        }
    }
    each_has_one_outcome(sent, &outcomes);
}

#[track_caller]
fn each_has_one_outcome(sent: usize, outcomes: &[Element]) {
    let mut counts = HashMap::<String, usize>::new();
    for stanza in outcomes {
        *counts.entry(stanza.attribute("id").to_owned()).or_default() += 1;
    }
    let lost: Vec<_> = (0..sent).filter(|number| !counts.contains_key(&number.to_string())).collect();
    let runs: Vec<_> = lost.chunk_by(|a, b| a + 1 == *b).map(|run| (run[0], run.len())).collect();
    assert!(lost.is_empty(), "{} of {sent} lost (from, how many): {runs:?}", lost.len());
    let twice: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "delivered and answered: {twice:?}");
}

/// A node with enough time to deliver a flood on a busy machine.
fn patient() -> Setup {
    Setup::of("nuncio.example").set("shutdown_timeout", "\"60s\"")
}

fn flood(sender: &Component, to: &str) -> std::thread::JoinHandle<usize> {
    let (from, to) = (sender.name().to_owned(), to.to_owned());
    sender.floods(FLOOD, move |number| {
        format!("<message from='a@{from}' to='b@{to}' id='{number}'><body>{number}</body></message>")
    })
}

/// More than is delivered before the signal arrives.
const FLOOD: usize = 30_000;

/// The shutdown timeout of `patient` plus [`SOON`].
const LIMIT: Duration = Duration::from_secs(180);
