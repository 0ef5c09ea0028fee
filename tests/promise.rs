//! Stanzas for a remote server that is down are queued and delivered when it is back, and every stanza is accounted for.

use crate::support::{Component, Ejabberd, Network, Node, Prosody, SOON, Server, Setup, eventually};

#[test]
fn five_hundred_messages_to_a_prosody_that_was_away_arrive_in_order() {
    let network = Network::new();
    let prosody = Prosody::start(&network, Setup::of("prosody.example"));
    let node = Node::start(&network, persistent());
    let mut sender = node.inbox();
    sender.asks("prosody.example", PING);

    let away = prosody.stop();
    sends_five_hundred(&mut sender, "prosody.example");
    several_attempts_fail(&node);
    let prosody = away.start();
    let before = failed_attempts(&node);
    answers_each_of_five_hundred(&mut sender);
    let order: Vec<usize> = prosody.process().lines().iter().filter_map(|line| received_id(line)).collect();
    assert_eq!(order, (0..500).collect::<Vec<_>>());
    // The next attempt succeeds. At most one earlier refusal was not in the log yet.
    let failed = failed_attempts(&node) - before;
    assert!(failed <= 1, "{failed} attempts failed after the server was back");
}

#[test]
fn five_hundred_messages_to_an_ejabberd_that_was_away_arrive() {
    let network = Network::for_ejabberd();
    let ejabberd = Ejabberd::start(&network, Setup::of("ejabberd.example"));
    let node = Node::start(&network, persistent());
    let mut sender = node.inbox();
    sender.asks("ejabberd.example", PING);

    let away = ejabberd.stop();
    sends_five_hundred(&mut sender, "ejabberd.example");
    several_attempts_fail(&node);
    let _ejabberd = away.start();
    // It answers them in the order of arrival.
    assert_eq!(answers_each_of_five_hundred(&mut sender), (0..500).collect::<Vec<_>>());
}

#[test]
fn a_prosody_that_opens_a_stream_of_its_own_is_tried_at_once() {
    let network = Network::new();
    let prosody = Prosody::start(&network, Setup::of("prosody.example"));
    // Otherwise the next attempt would be minutes away.
    let setup = Setup::of("nuncio.example").set("promise.backoff", "[\"100s\", \"200s\"]");
    let node = Node::start(&network, setup);
    let mut sender = node.inbox();
    sender.asks("prosody.example", PING);

    let away = prosody.stop();
    let far = "inbox.prosody.example";
    sends_five_hundred(&mut sender, far);
    node.eventually_logs(&["no link", far]);
    let prosody = away.start();
    let mut far = prosody.inbox();
    far.sends_message(sender.name(), "hello", "");
    for number in 0..500 {
        let message = far.next(SOON).expect("all that waited");
        assert_eq!(message.attribute("id"), number.to_string());
    }
}

/// A node with a short back-off.
fn persistent() -> Setup {
    Setup::of("nuncio.example").set("promise.backoff", "[\"200ms\", \"1s\"]")
}

/// Waits until the back-off has grown.
#[track_caller]
fn several_attempts_fail(node: &Node) {
    eventually("several attempts fail", || (failed_attempts(node) >= 5).then_some(()));
}

fn failed_attempts(node: &Node) -> usize {
    node.process().count("no link")
}

fn sends_five_hundred(sender: &mut Component, domain: &str) {
    for number in 0..500 {
        sender.sends_message(&format!("nobody@{domain}"), &number.to_string(), "");
    }
}

/// The addressee does not exist, so the remote server answers each message. Returns the order of the answers.
fn answers_each_of_five_hundred(sender: &mut Component) -> Vec<usize> {
    let mut answered = Vec::new();
    for _ in 0..500 {
        let answer = sender.next(SOON).expect("an answer to each message");
        assert!(answer.expect("error").child("remote-server-timeout").is_none(), "{answer}");
        answered.push(answer.attribute("id").parse().unwrap());
    }
    assert!((0..500).all(|number| answered.contains(&number)), "{answered:?}");
    answered
}

/// The number of a message that Prosody logs as received.
fn received_id(line: &str) -> Option<usize> {
    let received = line.split("Received[s2sin]: <message").nth(1)?;
    received.split("id='").nth(1)?.split('\'').next()?.parse().ok()
}

const PING: &str = "<ping xmlns='urn:xmpp:ping'/>";
