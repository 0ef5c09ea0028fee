//! A cluster of two nodes with its broker, and messages on their way through it.

use std::thread::JoinHandle;
use std::time::Duration;

use crate::support::{Broker, Component, Network, Node, SOON, Server, Setup, figure, within};

/// Nodes `a` and `b`, which serve one domain.
pub(super) struct Cluster {
    pub(super) network: Network,
    pub(super) broker: Broker,
    pub(super) nodes: Vec<Node>,
}

impl Cluster {
    /// Starts two nodes and a broker of one server.
    pub(super) fn of_two() -> Self {
        Self::with(Network::new(), |setup| setup)
    }

    /// Starts two nodes with further settings on a network.
    pub(super) fn with(network: Network, settings: impl Fn(Setup) -> Setup) -> Self {
        let broker = Broker::start(&network);
        let start = |name: &&str| Node::start(&network, settings(setup(name, &broker)));
        let nodes = NAMES.iter().map(start).collect();
        let cluster = Self { network, broker, nodes };
        cluster.is_joined();
        cluster
    }

    /// Waits until each node knows the other one.
    pub(super) fn is_joined(&self) {
        for node in &self.nodes {
            within(SOON, "the nodes know each other", || {
                node.process().logged(&["node joined"]).then_some(())
            });
        }
    }

    /// Connects the component `inbox` to a node.
    pub(super) fn inbox(&self, node: usize) -> Component {
        self.nodes[node].inbox()
    }

    /// Has a node make the link from the component `inbox` to another one, which then disconnects.
    pub(super) fn makes_link(&self, node: usize, far: &mut Component) {
        let mut near = self.inbox(node);
        near.sends_message(far.name(), "first", "");
        far.receives_id("first");
        near.closes();
    }

    /// The sum of a figure over the accounts of all nodes, when nothing waits.
    pub(super) fn sum(&self, name: &str) -> usize {
        let of = |node: &Node| {
            let account = node.settled_account();
            // A figure that is zero in every account is left out.
            if account.contains(&format!(" {name}=")) { figure(&account, name) } else { 0 }
        };
        self.nodes.iter().map(of).sum()
    }
}

/// The settings of the node with this name. The lease is the shortest one: the tests wait for its end.
pub(super) fn setup(name: &str, broker: &Broker) -> Setup {
    Setup::of(DOMAIN)
        .named(name)
        .dialback_secret("the secret of the cluster, which all nodes know")
        .set("cluster.name", "\"test\"")
        .set("cluster.node", &format!("{name:?}"))
        .set("cluster.servers", &broker.addresses())
        .set("cluster.replicas", &broker.size().to_string())
        .set("cluster.lease", "\"10s\"")
        .set("shutdown_timeout", "\"60s\"")
}

/// Sends numbered messages, 1,000 a second, from the number `first` on.
pub(super) fn floods(sender: &Component, to: &str, first: usize, count: usize) -> JoinHandle<usize> {
    let (from, to) = (sender.name().to_owned(), to.to_owned());
    sender.floods_evenly(count, Duration::from_millis(1), move |number| {
        let id = first + number;
        format!("<message from='a@{from}' to='b@{to}' id='{id}' type='chat'><body>{id}</body></message>")
    })
}

/// The domain that the nodes serve.
pub(super) const DOMAIN: &str = "nuncio.example";

const NAMES: [&str; 2] = ["a", "b"];
