//! A cluster with its broker, and messages on their way through it.

use std::thread::JoinHandle;
use std::time::Duration;

use crate::support::{Broker, Component, Network, Node, SOON, Server, Setup, figure, within};

/// Nodes that serve one domain.
pub(super) struct Cluster {
    pub(super) network: Network,
    pub(super) broker: Broker,
    pub(super) nodes: Vec<Node>,
}

impl Cluster {
    /// Starts nodes `a` and `b`, and a broker of one server.
    pub(super) fn of_two() -> Self {
        Self::with(Network::new(), |setup| setup)
    }

    /// The same with a third node, `c`.
    pub(super) fn of_three() -> Self {
        let network = Network::new();
        let broker = Broker::start(&network);
        Self::of(network, broker, &["a", "b", "c"], |_, setup| setup)
    }

    /// Starts two nodes with further settings on a network.
    pub(super) fn with(network: Network, settings: impl Fn(Setup) -> Setup) -> Self {
        let broker = Broker::start(&network);
        Self::of(network, broker, &["a", "b"], |_, setup| settings(setup))
    }

    /// Starts nodes with these names and settings.
    pub(super) fn of(
        network: Network,
        broker: Broker,
        names: &[&str],
        settings: impl Fn(usize, Setup) -> Setup,
    ) -> Self {
        let start =
            |(index, name): (usize, &&str)| Node::start(&network, settings(index, setup(name, &broker)));
        let nodes = names.iter().enumerate().map(start).collect();
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

    /// Kills a node, as a crash of its machine does.
    pub(super) fn kills(&self, node: usize) {
        self.nodes[node].process().signal("KILL");
        self.nodes[node].process().exit_within(SOON);
    }

    /// Starts a node again, and waits until the others know it.
    pub(super) fn starts_again(&mut self, node: usize) {
        let others: Vec<usize> = (0..self.nodes.len()).filter(|other| *other != node).collect();
        let joined = |other: &usize| self.nodes[*other].process().count("node joined");
        let before: Vec<usize> = others.iter().map(joined).collect();
        self.nodes[node].starts_again();
        for (other, before) in others.into_iter().zip(before) {
            within(SOON, "the node is a member again", || {
                (self.nodes[other].process().count("node joined") > before).then_some(())
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
        self.nodes.iter().map(|node| figure_of(&node.settled_account(), name)).sum()
    }
}

/// A figure of an account. One that is zero may be left out.
pub(super) fn figure_of(account: &str, name: &str) -> usize {
    if account.contains(&format!(" {name}=")) { figure(account, name) } else { 0 }
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
