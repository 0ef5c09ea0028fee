//! Components that are restarted while stanzas go both ways between them and other servers.

use std::thread;
use std::time::Duration;

use super::Tally;
use crate::support::{Ejabberd, Network, Node, Prosody, Server, Setup, figure};

#[test]
fn a_component_that_restarts_loses_nothing_of_what_it_exchanges_with_prosody() {
    let network = Network::new();
    let prosody = Prosody::start(&network, loaded("prosody.example"));
    restarts_beside(&network, &prosody);
}

#[test]
fn a_component_that_restarts_loses_nothing_of_what_it_exchanges_with_ejabberd() {
    let network = Network::for_ejabberd();
    let ejabberd = Ejabberd::start(&network, loaded("ejabberd.example"));
    restarts_beside(&network, &ejabberd);
}

#[test]
fn a_component_that_restarts_loses_nothing_of_what_it_exchanges_with_another_node() {
    let network = Network::new();
    let node = Node::start(&network, loaded("other.example"));
    restarts_beside(&network, &node);
}

/// A server without rate limits.
fn loaded(domain: &str) -> Setup {
    let mut setup = Setup::of(domain);
    setup.loaded = true;
    setup
}

/// 500 messages a second each way, while the component of the node is restarted.
fn restarts_beside(network: &Network, other: &dyn Server) {
    let node = Node::start(network, Setup::of("nuncio.example"));
    let (mut near, mut far) = (node.inbox(), other.inbox());
    let (near_name, far_name) = (near.name().to_owned(), far.name().to_owned());
    // COMPAT: Prosody 0.12.3 may send what waited for a new link behind later stanzas.
    far.sends_message(&near_name, "first", "");
    near.receives_id("first");
    near.sends_message(&far_name, "first", "");
    far.receives_id("first");
    let (mut at_near, mut at_far) = (Tally::of(MESSAGES), Tally::of(MESSAGES));
    let from_far = far.floods_evenly(MESSAGES, EVERY, numbered(&far_name, &near_name, 0));
    for restart in 0..RESTARTS {
        let first = restart * BETWEEN;
        let sent = near.floods_evenly(BETWEEN, EVERY, numbered(&near_name, &far_name, first));
        assert_eq!(sent.join().unwrap(), BETWEEN);
        near.closes().iter().for_each(|message| at_near.takes(message));
        thread::sleep(AWAY);
        near = node.inbox();
    }
    assert_eq!(from_far.join().unwrap(), MESSAGES);
    at_near.waits_for(&mut near, MESSAGES);
    at_far.waits_for(&mut far, MESSAGES);
    at_near.is_exact();
    at_far.is_exact();
    let account = node.settled_account();
    assert_eq!((figure(&account, "answered"), figure(&account, "uncertain")), (0, 0), "{account}");
}

/// Makes messages with the numbers from `first` on.
fn numbered(from: &str, to: &str, first: usize) -> impl Fn(usize) -> String + Send + 'static {
    let (from, to) = (from.to_owned(), to.to_owned());
    move |number| {
        let id = first + number;
        format!("<message from='a@{from}' to='b@{to}' id='{id}' type='chat'><body>{id}</body></message>")
    }
}

/// Messages each way.
const MESSAGES: usize = RESTARTS * BETWEEN;

const RESTARTS: usize = 5;

/// Messages between two restarts: one second of them.
const BETWEEN: usize = 500;

/// 500 messages a second.
const EVERY: Duration = Duration::from_millis(2);

/// How long the component is away.
const AWAY: Duration = Duration::from_millis(300);
