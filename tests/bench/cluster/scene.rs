//! The servers of the cluster benchmark, and the components on the three ways of a stanza that it compares.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::flood::Flood;
use crate::latency::Clocked;
use crate::script::Script;
use crate::support::{Auth, Broker, Network, Node, SOON, Server as _, Setup, within};
use crate::wire;

/// How a stanza gets from one component to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The component is connected to node a, which has the link to the remote server.
    Direct,
    /// The component is connected to node b; a has the link.
    Relayed,
    /// From a component at b to one at a.
    Across,
}

impl Way {
    pub(super) const ALL: [Self; 3] = [Self::Direct, Self::Relayed, Self::Across];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Relayed => "relayed",
            Self::Across => "to a component",
        }
    }

    /// The domains of the components of a pair.
    fn domains(self, number: usize) -> [String; 2] {
        match self {
            Self::Direct => [format!("d{number}.{OURS}"), format!("d{number}.{REMOTE}")],
            Self::Relayed => [format!("r{number}.{OURS}"), format!("r{number}.{REMOTE}")],
            Self::Across => [format!("s{number}.{OURS}"), format!("t{number}.{OURS}")],
        }
    }

    pub(super) fn script(self, number: usize) -> Script {
        let [from, to] = self.domains(number);
        Script::messages(&from, &to)
    }
}

/// Nodes a and b of a cluster with their broker, a node alone, and a remote server.
pub(super) struct Scene {
    nodes: [Node; 2],
    broker: Broker,
    alone: Node,
    remote: Node,
}

impl Scene {
    /// Starts all servers. `cold`: how many domains the remote server has that nobody has a link to.
    pub(super) fn start(network: &Network, cold: usize) -> Self {
        let broker = Broker::start(network);
        let ways = |ways: &[Way], end: usize| -> Vec<String> {
            ways.iter().flat_map(|way| (0..=PAIRS).map(move |pair| way.domains(pair)[end].clone())).collect()
        };
        let mut far = ways(&[Way::Direct, Way::Relayed], 1);
        far.extend((0..cold).map(cold_domain));
        let mut ours = ways(&Way::ALL, 0);
        ours.extend(ways(&[Way::Across], 1));
        ours.push(format!("{FIRST}.{OURS}"));
        let remote = Node::start(network, shipped(REMOTE, far));
        let alone = Node::start(network, shipped(ALONE, vec![format!("{FIRST}.{ALONE}")]));
        let nodes = ["a", "b"].map(|name| {
            let mut setup = shipped(OURS, ours.clone()).named(name);
            setup = setup.dialback_secret("the secret of the cluster, which all nodes know");
            let servers = broker.addresses();
            let name = format!("{name:?}");
            for (key, value) in [("name", "\"bench\""), ("node", &name), ("servers", &servers)] {
                setup = setup.set(&format!("cluster.{key}"), value);
            }
            Node::start(network, setup)
        });
        for node in [&remote, &alone].into_iter().chain(&nodes) {
            publish(network, node);
        }
        for node in &nodes {
            within(SOON, "the nodes know each other", || {
                node.process().logged(&["node joined"]).then_some(())
            });
        }
        Self { nodes, broker, alone, remote }
    }

    /// Process ids of a, b, the broker and the remote server.
    pub(super) fn processes(&self) -> [u32; 4] {
        let [a, b] = &self.nodes;
        [a.process().id(), b.process().id(), self.broker.id(), self.remote.process().id()]
    }

    /// The process id of the node alone.
    pub(super) fn alone(&self) -> u32 {
        self.alone.process().id()
    }

    /// Connects the components of [`PAIRS`] pairs.
    pub(super) fn flood(&self, way: Way) -> Flood {
        Flood::new((0..PAIRS).map(|number| self.pair(way, number)).collect()).expect("sockets")
    }

    /// Connects the components of one more pair.
    pub(super) fn clocked(&self, way: Way) -> Clocked {
        let (from, to) = self.pair(way, PAIRS);
        Clocked::new(from, to)
    }

    /// Connects a component to node b, and one to the node alone. They send to cold domains.
    pub(super) fn first_senders(&self) -> [(String, TcpStream); 2] {
        [(OURS, self.nodes[1].address()), (ALONE, self.alone.address())].map(|(domain, address)| {
            let name = format!("{FIRST}.{domain}");
            let stream = wire::component(address, &name);
            (name, stream)
        })
    }

    /// Connects the component of a cold domain.
    pub(super) fn cold_receiver(&self, number: usize) -> TcpStream {
        wire::component(self.remote.address(), &cold_domain(number))
    }

    /// Checks that b has sent at most `cold` stanzas on links of its own.
    pub(super) fn check(&self, cold: usize) -> Result<(), String> {
        let account = self.nodes[1].settled_account();
        let figure = |name: &str| {
            let values =
                account.split_whitespace().filter_map(|word| word.strip_prefix(name)?.strip_prefix('='));
            values.filter_map(|value| value.parse::<usize>().ok()).next().unwrap_or_default()
        };
        let (relayed, written) = (figure("relayed"), figure("written"));
        eprintln!("b: {relayed} stanzas relayed, {written} written to links of its own");
        if written > cold {
            return Err(format!("{written} stanzas went over links of b instead of through a"));
        }
        Ok(())
    }

    fn pair(&self, way: Way, number: usize) -> (TcpStream, TcpStream) {
        let [a, b] = [0, 1].map(|node| self.nodes[node].address());
        let [from, to] = way.domains(number);
        match way {
            Way::Direct => (wire::component(a, &from), wire::component(self.remote.address(), &to)),
            Way::Across => (wire::component(b, &from), wire::component(a, &to)),
            Way::Relayed => {
                let far = wire::component(self.remote.address(), &to);
                // The first node that needs a link claims it.
                let near = wire::component(a, &from);
                let copies = (near.try_clone().expect("a socket"), far.try_clone().expect("a socket"));
                let first = Clocked::new(copies.0, copies.1).run(&way.script(number), 1, Duration::ZERO);
                first.expect("a link of node a");
                closes(near);
                (wire::component(b, &from), far)
            }
        }
    }
}

/// The shipped configuration for a domain with components, but for names, addresses and certificates.
fn shipped(domain: &str, components: Vec<String>) -> Setup {
    let mut setup = Setup::of(domain).auth(Auth::External).unpublished().wildcard().set("workers", "0");
    (setup.loaded, setup.components) = (true, components);
    setup
}

/// Publishes every name of a node, beside what other nodes have published for it.
fn publish(network: &Network, node: &Node) {
    let target = node.address().to_string();
    network.dns.a(&target, node.address());
    for name in node.setup().names() {
        network.dns.srv(&format!("_xmpp-server._tcp.{name}"), 0, 0, 5269, &target);
    }
}

/// The domain at the remote server.
pub(super) fn cold_domain(number: usize) -> String {
    format!("x{number}.{REMOTE}")
}

/// Closes the stream of a component, and waits until the node has closed it too.
fn closes(mut stream: TcpStream) {
    let closed = stream.write_all(b"</stream:stream>").and_then(|()| {
        stream.shutdown(Shutdown::Write)?;
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest)
    });
    closed.expect("the node closes the stream");
}

/// Pairs of components on each way.
pub(super) const PAIRS: usize = 50;

const OURS: &str = "one.cluster.example";
const ALONE: &str = "alone.example";
const REMOTE: &str = "two.example";

/// The component that sends to cold domains.
const FIRST: &str = "first";
