//! The node that has the link stops, is killed, or hangs, while another node sends through it.

use std::thread;
use std::time::Duration;

use super::fixture::{Cluster, DOMAIN, figure_of, floods};
use super::links::open_links;
use crate::delivery::Tally;
use crate::support::{Node, SOON, Server, Setup, within};

/// Stops in the normal run.
const TIMES: usize = 2;

#[test]
fn nothing_is_lost_or_repeated_when_the_holder_stops() {
    of_holders_that_stop(TIMES);
}

#[test]
fn nothing_that_the_surviving_node_took_is_lost_when_the_holder_is_killed() {
    of_holders_that_are_killed(TIMES);
}

/// The holder gets SIGTERM so often.
pub(crate) fn of_holders_that_stop(times: usize) {
    let (tally, _) = through_holders_that_end(times, |holder| {
        assert!(holder.terminate(SOON).success());
    });
    println!(
        "{times} times SIGTERM of the holder: {} repeats, {} out of order",
        tally.repeats, tally.out_of_order
    );
    tally.is_exact();
}

/// The holder gets SIGKILL so often.
pub(crate) fn of_holders_that_are_killed(times: usize) {
    let (tally, answered) = through_holders_that_end(times, |holder| {
        holder.process().signal("KILL");
        holder.process().exit_within(SOON);
    });
    println!(
        "{times} times SIGKILL of the holder: {} repeats, {} of them without a stamp, {} out of order, {answered} answered",
        tally.repeats, tally.unstamped, tally.out_of_order
    );
    assert!(tally.missing().is_empty(), "lost (from, how many): {:?}", tally.missing());
    assert_eq!((tally.out_of_order, answered), (0, 0));
}

/// The component sends through the holder at one node; the other node holds the link, and ends.
fn through_holders_that_end(times: usize, end: impl Fn(&Node)) -> (Tally, usize) {
    let mut cluster = Cluster::of_two();
    let other = Node::start(&cluster.network, Setup::of("other.example"));
    let mut far = other.inbox();
    let mut tally = Tally::of(times * MESSAGES);
    let mut answered = 0;
    cluster.makes_link(0, &mut far);
    for time in 0..times {
        // The holder is the node at which the component was before.
        let (holder, sender) = (time % 2, (time + 1) % 2);
        let near = cluster.inbox(sender);
        let flood = floods(&near, far.name(), time * MESSAGES, MESSAGES);
        tally.waits_for(&mut far, time * MESSAGES + MESSAGES / 4);
        end(&cluster.nodes[holder]);
        assert_eq!(flood.join().unwrap(), MESSAGES);
        tally.waits_for(&mut far, (time + 1) * MESSAGES);
        answered += near.closes().iter().filter(|stanza| stanza.attribute("type") == "error").count();
        cluster.starts_again(holder);
    }
    assert_eq!(cluster.sum("difference"), 0);
    (tally, answered)
}

#[test]
fn two_nodes_that_send_through_a_third_one_lose_nothing_when_it_is_killed() {
    let cluster = Cluster::of_three();
    let other = Node::start(&cluster.network, Setup::of("other.example"));
    let mut fars = [other.inbox(), other.outbox()];
    let names = ["inbox", "outbox"].map(|label| format!("{label}.{DOMAIN}"));
    let mut tallies = [Tally::of(HELD), Tally::of(HELD)];
    // Node `a` makes the link of both pairs, and then the components are at `b` and `c`.
    for (name, far) in names.iter().zip(&mut fars) {
        let mut near = cluster.nodes[0].component(name);
        near.sends_message(far.name(), "first", "");
        far.receives_id("first");
        near.closes();
    }
    let mut nears = [cluster.nodes[1].component(&names[0]), cluster.nodes[2].component(&names[1])];
    let floods = [0, 1].map(|pair| floods(&nears[pair], fars[pair].name(), 0, HELD));
    for (tally, far) in tallies.iter_mut().zip(&mut fars) {
        tally.waits_for(far, HELD / 4);
    }
    cluster.kills(0);
    for flood in floods {
        assert_eq!(flood.join().unwrap(), HELD);
    }
    for (tally, far) in tallies.iter_mut().zip(&mut fars) {
        tally.waits_for(far, HELD);
        assert_eq!(tally.out_of_order, 0);
        println!("{} repeats", tally.repeats);
    }
    for (name, near) in names.iter().zip(&mut nears) {
        // The killed one is closed by then, as the kernel has reset its connection.
        within(SOON, "one link is left", || (open_links(&other, name) == 1).then_some(()));
        assert!(!near.has_received(), "nothing is answered");
    }
    let survivors = &cluster.nodes[1..];
    let relayed = |node: &Node| figure_of(&node.settled_account(), "relayed");
    assert!(survivors.iter().all(|node| relayed(node) > 0), "the killed node had carried a part of both");
}

#[test]
fn a_holder_that_hangs_writes_nothing_of_others_when_it_goes_on() {
    let cluster = Cluster::of_two();
    let other = Node::start(&cluster.network, Setup::of("other.example"));
    let mut far = other.inbox();
    cluster.makes_link(0, &mut far);
    let near = cluster.inbox(1);
    let mut tally = Tally::of(HANG);
    let flood = floods(&near, far.name(), 0, HANG);
    tally.waits_for(&mut far, HANG / 40);
    cluster.nodes[0].process().signal("STOP");
    thread::sleep(HANGS);
    cluster.nodes[0].process().signal("CONT");
    assert_eq!(flood.join().unwrap(), HANG);
    tally.waits_for(&mut far, HANG);
    cluster.nodes[0].eventually_logs(&["lease lost"]);
    println!("{} repeats", tally.repeats);
    assert_eq!(tally.out_of_order, 0);
    assert!(tally.missing().is_empty(), "{:?}", tally.missing());
}

/// Messages for each end of a holder: one second of them.
const MESSAGES: usize = 1_000;

/// Messages for each pair of a holder with two.
const HELD: usize = 2_000;

/// Messages while a holder hangs: as long as it hangs, and some more.
const HANG: usize = 24_000;

/// Twice the lease of the tests, as the 20 s of the issue are more than the default lease.
const HANGS: Duration = Duration::from_secs(20);
