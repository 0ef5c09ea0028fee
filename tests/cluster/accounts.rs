//! The accounts of all nodes, added up: each stanza has one outcome, in the account of the node that took it in.

use std::thread::JoinHandle;

use super::fixture::{Cluster, DOMAIN, figure_of, floods};
use crate::delivery::Tally;
use crate::support::{Broker, Component, Element, Network, Node, SOON, Server, Setup, within};

#[test]
fn the_accounts_of_all_nodes_add_up_to_what_they_took_in() {
    let network = Network::new();
    network.publish("silent.example", network.address());
    let broker = Broker::start(&network);
    let absent = format!("absent.{DOMAIN}");
    let mut cluster = Cluster::of(network, broker, &["a", "b", "c"], |_, setup| {
        let setup = setup.set("promise.message", "\"3s\"").set("absence.message", "\"3s\"");
        setup.component(&absent).component(&format!("busy.{DOMAIN}"))
    });
    let setup = Setup::of("other.example").set("absence.message", "\"0s\"");
    let other = Node::start(&cluster.network, setup);
    let mut far = other.inbox();
    // Node `a` has the link of the pair, and the components are at `b` and `c`.
    cluster.makes_link(0, &mut far);
    let (mut near, mut busy) = (cluster.inbox(1), cluster.nodes[2].component(&format!("busy.{DOMAIN}")));

    // Through node `a` to the other server, and from it to both components.
    let mut tallies = [Tally::of(MANY), Tally::of(MANY), Tally::of(MANY)];
    let flood: [JoinHandle<usize>; 3] = [
        floods(&near, far.name(), 0, MANY),
        floods(&far, near.name(), 0, MANY),
        floods(&far, busy.name(), 0, MANY),
    ];
    for (tally, receiver) in tallies.iter_mut().zip([&mut far, &mut near, &mut busy]) {
        tally.waits_for(receiver, MANY);
        tally.is_exact();
    }
    flood.into_iter().for_each(|flood| assert_eq!(flood.join().unwrap(), MANY));
    // Errors of another server and of this one, and of a component that never comes.
    for number in 0..FEW {
        let to_one_that_is_away = format!("outbox.{}", other.domain());
        for to in ["nowhere.example", "silent.example", &absent, &to_one_that_is_away] {
            near.sends_message(to, &format!("{to} {number}"), "");
        }
        far.sends_message(&absent, &format!("{absent} {number}"), "");
        // From one component to the other, at another node.
        near.sends_message(busy.name(), &format!("busy {number}"), "");
    }
    let bounces = errors(&mut near, 4 * FEW);
    assert_eq!(count(&bounces, "remote-server-not-found"), FEW);
    assert_eq!(count(&bounces, "remote-server-timeout"), FEW);
    assert_eq!(count(&bounces, "service-unavailable"), 2 * FEW);
    assert_eq!(count(&errors(&mut far, FEW), "service-unavailable"), FEW);
    for number in 0..FEW {
        busy.receives_id(&format!("busy {number}"));
    }
    // `first`, the three floods, six more of each number, and the errors of the other server.
    assert_eq!(cluster.sum("taken"), 1 + 3 * MANY + 6 * FEW + FEW);
    let settled: usize = OUTCOMES.iter().map(|outcome| cluster.sum(outcome)).sum();
    assert_eq!(settled, cluster.sum("taken"));
    assert_eq!(cluster.sum("answered") + cluster.sum("expired"), 4 * FEW);
    assert_eq!(cluster.sum("relayed"), cluster.sum("carried_settled"), "at the senders and at the receivers");
    assert_eq!(cluster.sum("carried"), cluster.sum("carried_settled"), "nothing was given back");
    assert_eq!(cluster.sum("written") + cluster.sum("relayed"), 1 + 3 * MANY + FEW * 3);
    assert_eq!(cluster.sum("difference"), 0);

    // The node with the link is killed: what the others had sent through it comes back, and has an outcome.
    let before: Vec<String> = cluster.nodes[1..].iter().map(Node::settled_account).collect();
    let mut tally = Tally::of(MANY);
    let flood = floods(&near, far.name(), 0, MANY);
    tally.waits_for(&mut far, MANY / 4);
    cluster.kills(0);
    assert_eq!(flood.join().unwrap(), MANY);
    let survivors = &cluster.nodes[1..];
    let more = |name: &str| -> usize {
        let now = survivors.iter().map(|node| figure_of(&node.settled_account(), name)).sum::<usize>();
        now - before.iter().map(|account| figure_of(account, name)).sum::<usize>()
    };
    within(SOON, "the node has taken everything", || (more("taken") == MANY).then_some(()));
    assert_eq!(OUTCOMES.iter().map(|outcome| more(outcome)).sum::<usize>(), MANY);
    // Their time is shorter than the lease of the killed node. Some may have arrived nevertheless.
    let answered = more("answered") + more("expired");
    let mut has_outcome = vec![false; MANY];
    for _ in 0..answered {
        let answer = near.next(SOON).expect("an answer to each");
        assert_eq!(answer.attribute("type"), "error", "{answer}");
        has_outcome[answer.attribute("id").parse::<usize>().unwrap()] = true;
    }
    assert!(!near.has_received());
    while tally.arrived < MANY && far.has_received() {
        tally.takes(&far.next(SOON).unwrap());
    }
    let lost = (0..MANY).filter(|number| !has_outcome[*number] && !tally.has(*number)).count();
    println!("killed: {answered} answered, {} arrived, {} repeats", tally.arrived, tally.repeats);
    assert_eq!(lost, 0, "each message arrived or was answered");
    cluster.nodes.remove(0);
    assert_eq!(cluster.sum("difference"), 0);
}

/// The conditions of so many error answers.
#[track_caller]
fn errors(component: &mut Component, count: usize) -> Vec<String> {
    let condition = |answer: Element| {
        let error = answer.child("error").unwrap_or_else(|| panic!("{answer}")).clone();
        error.children().map(|child| child.name.clone()).find(|name| name != "text").unwrap()
    };
    let next = |_| component.receives("an error", |stanza| stanza.attribute("type") == "error");
    (0..count).map(next).map(condition).collect()
}

fn count(conditions: &[String], condition: &str) -> usize {
    conditions.iter().filter(|it| *it == condition).count()
}

const OUTCOMES: [&str; 7] = ["written", "uncertain", "answered", "expired", "dropped", "kept", "relayed"];

/// Messages on each way.
const MANY: usize = 1_000;

/// Messages of each kind that cannot be delivered.
const FEW: usize = 10;
