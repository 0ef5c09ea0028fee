//! Links that acknowledge (XEP-0198), of a node that also writes what another node sends through it: they are cut, their
//! node is killed or hangs.

use super::fixture::{Cluster, floods};
use super::links::open_links;
use crate::delivery::{Tally, floods_in_step};
use crate::support::{
    Auth, Broker, Network, Node, Prosody, Proxy, Reset, SOON, Server, Setup, figure, within,
};

#[test]
fn a_link_that_is_cut_under_load_of_another_node_is_resumed_and_repeats_nothing() {
    let scene = Scene::with_nuncio();
    let mut far = scene.other.inbox();
    scene.cluster.makes_link(0, &mut far);
    let (mut own, mut near) = (scene.cluster.nodes[0].outbox(), scene.cluster.inbox(1));
    let mut fars = [scene.other.outbox(), far];
    let mut tallies = [Tally::of(MANY), Tally::of(MANY)];
    // Over links of node `a`: of its own component, and of that at node `b`.
    let floods = [
        floods_in_step(&own, fars[0].name(), MANY, &tallies[0], IN_FLIGHT),
        floods_in_step(&near, fars[1].name(), MANY, &tallies[1], IN_FLIGHT),
    ];
    for (cut, seen_by) in
        [Reset::Both, Reset::Initiator, Reset::Receiver, Reset::Both].into_iter().enumerate()
    {
        for (tally, far) in tallies.iter_mut().zip(&mut fars) {
            tally.waits_for(far, (cut + 1) * MANY / 6);
        }
        scene.proxy.resets(seen_by);
    }
    for (tally, far) in tallies.iter_mut().zip(&mut fars) {
        tally.waits_for(far, MANY);
        tally.is_exact();
    }
    floods.into_iter().for_each(|flood| assert_eq!(flood.join().unwrap(), MANY));
    assert!(!own.has_received() && !near.has_received(), "nothing is answered");
    let holder = scene.cluster.nodes[0].settled_account();
    println!("holder: {holder}");
    assert_eq!((figure(&holder, "uncertain"), figure(&holder, "repeated")), (0, 0));
    scene.cluster.nodes[0].eventually_logs(&["nuncio::promise", "resumed", "handled="]);
    let resumes = |node: &Node| node.process().logged(&["nuncio::promise", "resumed", "handled="]);
    assert!(!resumes(&scene.cluster.nodes[1]), "the node that had the stream resumes it");
    assert_eq!(scene.cluster.sum("difference"), 0);
    assert_eq!(scene.other.process().count("no session for this claim"), 0);
}

#[test]
fn a_link_that_is_cut_when_its_node_is_killed_loses_and_reorders_nothing_of_another_node() {
    let scene = Scene::with_nuncio();
    let mut far = scene.other.inbox();
    scene.cluster.makes_link(0, &mut far);
    let mut near = scene.cluster.inbox(1);
    let mut tally = Tally::of(2 * MANY);
    let flood = floods(&near, far.name(), 0, 2 * MANY);
    tally.waits_for(&mut far, MANY / 2);
    // The remote server remembers the stream that nobody resumes.
    scene.proxy.resets(Reset::Both);
    scene.cluster.kills(0);
    tally.waits_for(&mut far, 2 * MANY);
    assert_eq!(flood.join().unwrap(), 2 * MANY);
    println!("killed at a cut: {} repeats, {} without a stamp", tally.repeats, tally.unstamped);
    assert_eq!((tally.out_of_order, tally.unstamped), (0, 0));
    assert!(!near.has_received(), "nothing is answered");
    within(SOON, "one link is left", || (open_links(&scene.other, near.name()) == 1).then_some(()));
    scene.cluster.nodes[1].settled_account();
}

#[test]
fn a_link_that_is_cut_while_its_node_hangs_writes_nothing_old_when_it_goes_on() {
    let scene = Scene::with_nuncio();
    let mut far = scene.other.inbox();
    scene.cluster.makes_link(0, &mut far);
    let near = scene.cluster.inbox(1);
    let mut tally = Tally::of(HANG);
    let flood = floods(&near, far.name(), 0, HANG);
    tally.waits_for(&mut far, MANY / 2);
    scene.cluster.nodes[0].process().signal("STOP");
    scene.proxy.resets(Reset::Both);
    scene.cluster.nodes[1].eventually_logs(&["node died", "node=a"]);
    scene.cluster.nodes[0].process().signal("CONT");
    scene.cluster.nodes[0].eventually_logs(&["lease lost"]);
    assert_eq!(flood.join().unwrap(), HANG);
    tally.waits_for(&mut far, HANG);
    println!("hung at a cut: {} repeats, {} without a stamp", tally.repeats, tally.unstamped);
    assert_eq!((tally.out_of_order, tally.unstamped), (0, 0));
    within(SOON, "one link is left", || (open_links(&scene.other, near.name()) == 1).then_some(()));
    assert_eq!(scene.cluster.sum("difference"), 0);
}

/// Prosody acknowledges and does not resume: what was not acknowledged may arrive twice, with a stamp.
#[test]
fn cuts_on_the_way_to_prosody_lose_nothing_of_another_node() {
    let network = Network::new();
    let broker = Broker::start(&network);
    let prosody =
        Prosody::start(&network, Setup::of("prosody.example").auth(Auth::External).smacks().unpublished());
    let proxy = Proxy::start(network.address(), prosody.address());
    prosody.setup().names().iter().for_each(|name| network.publish(name, proxy.address()));
    let cluster =
        Cluster::of(network, broker, &["a", "b"], |_, setup| setup.set("s2s.ack_timeout", "\"2s\""));
    let mut far = prosody.inbox();
    cluster.makes_link(0, &mut far);
    let mut near = cluster.inbox(1);
    let mut tally = Tally::of(3 * MANY);
    let flood = floods(&near, far.name(), 0, 3 * MANY);
    for (cut, seen_by) in [Reset::Both, Reset::Initiator].into_iter().enumerate() {
        tally.waits_for(&mut far, (cut + 1) * MANY / 2);
        proxy.resets(seen_by);
    }
    tally.waits_for(&mut far, 2 * MANY);
    cluster.kills(0);
    tally.waits_for(&mut far, 3 * MANY);
    assert_eq!(flood.join().unwrap(), 3 * MANY);
    println!("to Prosody: {} repeats, {} without a stamp", tally.repeats, tally.unstamped);
    assert_eq!((tally.out_of_order, tally.unstamped), (0, 0));
    assert!(!near.has_received(), "nothing is answered");
    cluster.nodes[1].settled_account();
}

/// Two nodes, and another server behind a proxy.
struct Scene {
    cluster: Cluster,
    other: Node,
    proxy: Proxy,
}

impl Scene {
    fn with_nuncio() -> Self {
        let cluster = Cluster::with(Network::new(), |setup| setup.set("s2s.ack_timeout", "\"2s\""));
        let other = Node::start(&cluster.network, Setup::of("other.example").unpublished());
        let proxy = Proxy::start(cluster.network.address(), other.address());
        other.setup().names().iter().for_each(|name| cluster.network.publish(name, proxy.address()));
        Self { cluster, other, proxy }
    }
}

/// Messages that were sent and have not arrived.
const IN_FLIGHT: usize = 100;

/// Messages of each flood: two seconds of them.
const MANY: usize = 2_000;

/// The same while a node hangs for longer than its lease.
const HANG: usize = 16_000;
