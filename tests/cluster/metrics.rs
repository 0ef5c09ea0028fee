//! The figures and the log of nodes that work together.

use super::fixture::setup;
use crate::metrics::Watched;
use crate::support::{Broker, Network, Node, SOON, Server, Setup, needs};

#[test]
fn a_link_that_both_nodes_use_and_a_node_that_leaves_show_in_the_figures() {
    needs("command -v promtool", "prometheus");
    let network = Network::new();
    let broker = Broker::start(&network);
    let [a, b] = ["a", "b"].map(|name| Watched::start(&network, setup(name, &broker)));
    let other = Node::start(&network, Setup::of("other.example"));
    for node in [&a, &b] {
        node.eventually_shows("nuncio_cluster_nodes{state=\"alive\"} 2\n");
        node.eventually_shows("nuncio_cluster_broker_up 1\n");
        assert!(node.scrape().contains("nuncio_cluster_disagreements{about=\"secret\"} 0\n"));
    }
    let mut far = other.inbox();
    let mut near = a.node.inbox();
    near.sends_message(far.name(), "one", "");
    far.receives_id("one");
    a.eventually_shows("nuncio_claims 1\n");
    a.eventually_shows("nuncio_seats 1\n");
    near.closes();
    let mut near = b.node.inbox();
    near.sends_message(far.name(), "two", "");
    far.receives_id("two");
    for figure in ["nuncio_carried_total 1\n", "nuncio_carried_settled_total 1\n", "nuncio_seats 0\n"] {
        a.eventually_shows(figure);
    }
    for figure in [
        "nuncio_seats 1\n",
        "nuncio_claims 0\n",
        "nuncio_relays{node=\"a\"} 1\n",
        "nuncio_ferry_round_trip_seconds{node=\"a\"} 0.",
        "nuncio_ferry_unsettled_bytes{node=\"a\"} 0\n",
        "nuncio_ferry_oldest_unsettled_seconds{node=\"a\"} 0\n",
        "nuncio_ferry_resent_total{node=\"a\"} ",
        "nuncio_stanzas_settled_total{outcome=\"relayed\"} 1\n",
    ] {
        b.eventually_shows(figure);
    }
    b.suits_promtool();
    assert!(a.node.terminate(SOON).success());
    b.eventually_shows("nuncio_cluster_nodes{state=\"left\"} 1\n");
    b.eventually_shows("nuncio_cluster_nodes{state=\"dead\"} 0\n");
    b.node.eventually_logs(&["INFO", "node left", "node=a", "nodes=1"]);
    assert!(!b.node.process().logged(&["node died"]), "it stopped in order");
    b.node.eventually_logs(&["INFO", "cluster joined", "node=b"]);
}

#[test]
fn a_node_that_is_killed_is_dead_in_figures_and_log() {
    let network = Network::new();
    let broker = Broker::start(&network);
    let b = Watched::start(&network, setup("b", &broker));
    let a = Node::start(&network, setup("a", &broker));
    b.eventually_shows("nuncio_cluster_nodes{state=\"alive\"} 2\n");
    a.process().signal("KILL");
    a.process().exit_within(SOON);
    b.node.eventually_logs(&["WARN", "node died", "node=a", "last_seen=", "it has not renewed its record"]);
    b.eventually_shows("nuncio_cluster_nodes{state=\"dead\"} 1\n");
}
