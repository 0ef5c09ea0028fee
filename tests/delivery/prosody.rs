//! With Prosody, which acknowledges and does not resume.

use std::time::Duration;

use super::{Plan, SHORT, Tally, floods, floods_in_step, patient, through};
use crate::support::{
    Auth, Counted, Network, Node, Prosody, Proxy, Reset, SOON, Server, Setup, Wiretap, figure,
};

#[test]
fn resets_on_the_way_to_prosody_lose_nothing_and_repeats_are_stamped() {
    few(to_prosody(SHORT, Reset::Both));
}

#[test]
fn half_open_connections_to_prosody_lose_nothing_and_repeats_are_stamped() {
    few(to_prosody(SHORT, Reset::Initiator));
}

#[test]
fn the_count_for_prosody_is_what_was_delivered_at_every_cut() {
    from_prosody(SHORT);
}

/// Without a request for each chunk, hundreds would be unacknowledged at a cut.
#[track_caller]
fn few(repeats: usize) {
    assert!(repeats <= 10 * SHORT.cuts, "{repeats} repeats in {} resets", SHORT.cuts);
}

/// Numbered messages to Prosody through a proxy that resets its connections. Returns how many were repeated.
pub(crate) fn to_prosody(plan: Plan, seen_by: Reset) -> usize {
    let network = Network::new();
    let prosody = Prosody::start(&network, Setup::of("prosody.example").auth(Auth::External).smacks());
    let proxy = Proxy::start(network.address(), prosody.address());
    let far = "inbox.prosody.example";
    let setup = patient("nuncio.example").auth(Auth::External).block(&through(&proxy, far));
    let node = Node::start(&network, setup);
    let (mut sender, mut receiver) = (node.inbox(), prosody.inbox());
    let mut tally = Tally::of(plan.messages);
    let flood = floods_in_step(&sender, far, plan.messages, &tally, IN_FLIGHT);
    tally.waits_and_cuts(&mut receiver, plan, || proxy.resets(seen_by));
    assert_eq!(flood.join().unwrap(), plan.messages);
    // Repeats of the last messages come before this one.
    sender.sends_message(far, &format!("{}", plan.messages), "the last one");
    loop {
        let message = receiver.next(SOON).expect("the last message");
        if message.attribute("id") == plan.messages.to_string() {
            break;
        }
        tally.takes(&message);
    }
    tally.is_complete();
    let account = node.settled_account();
    println!(
        "to Prosody, {} resets: {} repeats, {} out of order; {account}",
        plan.cuts, tally.repeats, tally.out_of_order
    );
    assert!(!sender.has_received(), "bounced: {:?}", sender.next(A_MOMENT));
    assert_eq!(figure(&account, "uncertain"), 0, "{account}");
    assert_eq!(figure(&account, "acknowledged"), figure(&account, "written"), "{account}");
    assert!(tally.repeats <= figure(&account, "repeated"), "{} repeats: {account}", tally.repeats);
    tally.repeats
}

/// Numbered messages from Prosody through a relay that asks the node for its count at each cut.
pub(crate) fn from_prosody(plan: Plan) {
    let network = Network::new();
    let node = Node::start(&network, patient("nuncio.example").auth(Auth::External).unpublished());
    let setup = Setup::of("prosody.example").auth(Auth::External).smacks();
    let as_node = node.setup().identity(&network.authority).expect("a certificate");
    let as_prosody = setup.identity(&network.authority).expect("a certificate");
    let relay = Wiretap::start(network.address(), node.address(), as_node, as_prosody);
    node.setup().names().iter().for_each(|name| network.publish(name, relay.address()));
    let prosody = Prosody::start(&network, setup);
    let (sender, mut receiver) = (prosody.inbox(), node.inbox());
    let flood = floods(&sender, receiver.name(), 0, plan.messages, "");
    let mut tally = Tally::of(plan.messages);
    for number in 0..plan.cuts {
        // Prosody bounces what it has no acknowledgement for, so a number is awaited and not a count.
        tally.waits_for_number(&mut receiver, plan.cut(number));
        let Counted { h, ids } = relay.counts_and_cuts(AT_LEAST * (number + 1));
        println!("from Prosody, cut {number}: h={h}, {} stanzas on the wire", ids.len());
        assert_eq!(h as usize, ids.len(), "the node's count, and what came before its answer");
        let end: usize = ids.last().unwrap().parse().unwrap();
        tally.waits_for_number(&mut receiver, end);
        let missing: Vec<&String> = ids.iter().filter(|id| !tally.has(id.parse().unwrap())).collect();
        assert!(missing.is_empty(), "counted and not delivered: {missing:?}");
    }
    flood.join().unwrap();
    // Prosody answers what is not acknowledged, and sends nothing twice. It may send the rest in another order.
    assert_eq!(tally.repeats, 0);
}

/// How long the test waits for a message that must not come.
const A_MOMENT: Duration = Duration::from_millis(200);

/// Messages that were sent and have not arrived, at most.
const IN_FLIGHT: usize = 4;

/// Stanzas on the first connection from Prosody before it is cut; the next ones have more.
const AT_LEAST: usize = 20;
