//! A cluster of two nodes or more with their broker, and how its nodes are stopped and looked at.

use crate::support::{Broker, Component, Network, Node, SOON, Server, Setup, figure, within};

/// Nodes `a`, `b`, … that serve one domain.
pub(super) struct Cluster {
    pub(super) network: Network,
    pub(super) broker: Broker,
    pub(super) nodes: Vec<Node>,
}

impl Cluster {
    /// Starts two nodes and a broker of one server.
    pub(super) fn of_two() -> Self {
        let network = Network::new();
        let broker = Broker::start(&network);
        Self::with(network, broker, 2, |setup| setup)
    }

    /// Starts nodes with further settings.
    pub(super) fn with(
        network: Network,
        broker: Broker,
        count: usize,
        settings: impl Fn(Setup) -> Setup,
    ) -> Self {
        let nodes =
            NAMES.iter().take(count).map(|name| Node::start(&network, settings(setup(name, &broker))));
        let nodes: Vec<Node> = nodes.collect();
        let cluster = Self { network, broker, nodes };
        cluster.is_joined();
        cluster
    }

    /// Waits until each node knows all others.
    pub(super) fn is_joined(&self) {
        let others = self.nodes.len() - 1;
        for node in &self.nodes {
            within(SOON, "the nodes know each other", || {
                (node.process().count("node joined") >= others).then_some(())
            });
        }
    }

    /// Connects the component `name.nuncio.example` to a node.
    pub(super) fn component(&self, node: usize, name: &str) -> Component {
        self.nodes[node].component(&format!("{name}.{DOMAIN}"))
    }

    /// The sum of a figure over the accounts of all nodes.
    pub(super) fn sum(&self, name: &str) -> usize {
        self.nodes.iter().map(|node| figure(&node.settled_account(), name)).sum()
    }
}

/// The settings of the node with this name.
pub(super) fn setup(name: &str, broker: &Broker) -> Setup {
    Setup::of(DOMAIN)
        .named(name)
        .dialback_secret("the secret of the cluster, which all nodes know")
        .set("cluster.name", "\"test\"")
        .set("cluster.node", &format!("{name:?}"))
        .set("cluster.servers", &broker.addresses())
        .set("cluster.replicas", &broker.size().to_string())
}

/// The domain that all nodes serve.
pub(super) const DOMAIN: &str = "nuncio.example";

const NAMES: [&str; 3] = ["a", "b", "c"];
