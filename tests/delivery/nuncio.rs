//! Between two nodes: every message arrives once and in order, whichever side sees the reset.

use std::thread;
use std::time::Duration;

use super::{Plan, SHORT, Tally, floods, patient, through};
use crate::support::{Component, Event, Network, Node, Proxy, Reset, SOON, Server, figure};

#[test]
fn resets_on_both_sides_lose_and_repeat_nothing() {
    both_ways_between_two_nodes(SHORT, Reset::Both);
}

#[test]
fn resets_that_only_the_sender_sees_lose_and_repeat_nothing() {
    both_ways_between_two_nodes(SHORT, Reset::Initiator);
}

#[test]
fn resets_that_only_the_receiver_sees_lose_and_repeat_nothing() {
    both_ways_between_two_nodes(SHORT, Reset::Receiver);
}

#[test]
fn resets_with_a_slow_component_at_the_receiver_lose_and_repeat_nothing() {
    to_a_slow_component(SHORT);
}

/// Messages in both directions at once, each through its own proxy.
pub(crate) fn both_ways_between_two_nodes(plan: Plan, seen_by: Reset) {
    let Route { network: _network, nodes, proxies } = Route::set();
    let (one, other) = (nodes[0].inbox(), nodes[1].inbox());
    // A component of its own for each direction.
    let (back, forth) = (nodes[1].outbox(), nodes[0].outbox());
    thread::scope(|scope| {
        let there = scope.spawn(|| carries(one, other, &proxies[0], plan, seen_by));
        let here = scope.spawn(|| carries(back, forth, &proxies[1], plan, seen_by));
        for direction in [there, here] {
            direction.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    });
    for node in &nodes {
        let account = node.settled_account();
        println!("{seen_by:?}: {account}");
        assert_eq!((figure(&account, "uncertain"), figure(&account, "repeated")), (0, 0), "{account}");
        assert_eq!((figure(&account, "answered"), figure(&account, "dropped")), (0, 0), "{account}");
        assert_eq!(figure(&account, "acknowledged"), plan.messages, "{account}");
    }
}

/// Two nodes, and a proxy before each: messages from the first to the second go through the first proxy.
struct Route {
    network: Network,
    nodes: [Node; 2],
    proxies: [Proxy; 2],
}

impl Route {
    #[track_caller]
    fn set() -> Self {
        let network = Network::new();
        let domains = ["one.example", "two.example"];
        // The addresses of the nodes are not known before they start, so the names lead to the proxies in the DNS.
        let nodes = domains.map(|domain| Node::start(&network, patient(domain).unpublished()));
        let [to_one, to_two] = nodes.each_ref().map(|node| {
            let proxy = Proxy::start(network.address(), node.address());
            node.setup().names().iter().for_each(|name| network.publish(name, proxy.address()));
            proxy
        });
        Self { network, nodes, proxies: [to_two, to_one] }
    }
}

/// Carries numbered messages one way, and cuts the link.
fn carries(mut sender: Component, mut receiver: Component, proxy: &Proxy, plan: Plan, seen_by: Reset) {
    let mut tally = Tally::of(plan.messages);
    let flood = floods(&sender, receiver.name(), 0, plan.messages, "");
    tally.waits_and_cuts(&mut receiver, plan, || proxy.resets(seen_by));
    assert_eq!(flood.join().unwrap(), plan.messages);
    if let Some(late) = receiver.next(A_MOMENT) {
        tally.takes(&late);
    }
    tally.is_exact();
    assert!(!sender.has_received(), "{:?}", sender.next(A_MOMENT));
}

/// The receiving component reads more slowly than messages come, so that most of them wait for it at its node.
pub(crate) fn to_a_slow_component(plan: Plan) {
    let network = Network::new();
    let other = Node::start(&network, patient("other.example"));
    let proxy = Proxy::start(network.address(), other.address());
    let node = Node::start(
        &network,
        patient("nuncio.example")
            .block(&through(&proxy, "inbox.other.example"))
            .set("s2s.ack_timeout", "\"10m\""),
    );
    let mut sender = node.inbox();
    let mut receiver = Component::connect_slow(other.address(), "inbox.other.example");
    let flood = floods(&sender, "inbox.other.example", 0, plan.messages, &"x".repeat(BODY));
    let mut tally = Tally::of(plan.messages);
    let mut cuts = 0;
    while tally.arrived < plan.messages {
        match receiver.next(SOON) {
            Ok(Event::Element(message)) => tally.takes(&message),
            other => panic!("{other:?} after {} messages: {:?}", tally.arrived, tally.missing()),
        }
        thread::sleep(PAUSE);
        if cuts < plan.cuts && tally.arrived > plan.cut(cuts) {
            // Both kinds of reset by turns.
            proxy.resets(if cuts % 2 == 0 { Reset::Both } else { Reset::Initiator });
            cuts += 1;
        }
    }
    assert_eq!(flood.join().unwrap(), plan.messages);
    tally.is_exact();
    let account = node.settled_account();
    println!("slow component: {account}");
    assert_eq!((figure(&account, "uncertain"), figure(&account, "repeated")), (0, 0), "{account}");
    assert!(!sender.has_received(), "{:?}", sender.next(A_MOMENT));
}

/// Bytes of a message's text. A component that takes one message in [`PAUSE`] gets less than half of what is sent, and the
/// messages of the shortest run do not fit its queue at the node (1 MiB) and the sockets (4 MiB).
const BODY: usize = 8000;
const PAUSE: Duration = Duration::from_millis(1);

/// How long the test waits for a message that must not come.
const A_MOMENT: Duration = Duration::from_millis(200);
