//! The servers that are compared: two of a kind, the first of which sends to the second.

use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::pipeline;
use crate::relay;
use crate::support::{Auth, Ejabberd, Network, Node, Process, Prosody, Server, Setup};
use crate::wire;

/// Which software.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Nuncio,
    Ejabberd,
    Prosody,
    /// Nuncio with its limits lifted, to see what they cost.
    Lifted,
    /// No server: reads, frames, validates and writes, over the same TLS.
    Bare,
}

impl Kind {
    /// Those that are servers.
    pub(crate) const SERVERS: [Self; 3] = [Self::Nuncio, Self::Ejabberd, Self::Prosody];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nuncio => "nuncio",
            Self::Ejabberd => "ejabberd",
            Self::Prosody => "prosody",
            Self::Lifted => "nuncio, limits lifted",
            Self::Bare => "bare",
        }
    }
}

impl Kind {
    /// The keys of Nuncio's configuration that a measurement needs beside names, addresses and certificates. The tests'
    /// own configuration has two workers; 0, a worker for each core, is the shipped value. No limit differs.
    fn differences(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Lifted => &LIFTED,
            _ => &LIFTED[..1],
        }
    }
}

/// `workers` as shipped, and the limits of a kind without limits.
const LIFTED: [(&str, &str); 7] = [
    ("workers", "0"),
    ("s2s.max_connections_per_address", "100000"),
    ("limits.max_connections", "200000"),
    ("limits.max_connections_unauthenticated", "100000"),
    ("limits.max_attempts_per_address", "1000000"),
    ("limits.max_dials", "100000"),
    ("limits.max_dials_per_address", "100000"),
];

/// Two servers of a kind.
pub(crate) struct Pair {
    pub(crate) kind: Kind,
    sending: One,
    receiving: One,
}

impl Pair {
    /// Starts both, with those components; they are called `component.one.CALLED` and `component.two.CALLED`.
    pub(crate) fn start(
        network: &Network,
        kind: Kind,
        called: &str,
        sending: &[String],
        receiving: &[String],
    ) -> Self {
        if kind == Kind::Bare {
            let [sending, receiving] = pipeline::start(network).map(|half| One {
                domain: half.domain,
                address: half.address,
                program: Program::Bare(half.process),
            });
            return Self { kind, sending, receiving };
        }
        Self::start_apart(network, kind, called, sending, receiving, Duration::ZERO)
    }

    /// The same for servers, with that round trip between them.
    pub(crate) fn start_apart(
        network: &Network,
        kind: Kind,
        called: &str,
        sending: &[String],
        receiving: &[String],
        round_trip: Duration,
    ) -> Self {
        let receiving = One::start_at(network, kind, &format!("two.{called}"), receiving, round_trip);
        let sending = One::start_at(network, kind, &format!("one.{called}"), sending, round_trip);
        Self { kind, sending, receiving }
    }

    /// The domain of a component of the first server.
    pub(crate) fn sender(&self, name: &str) -> String {
        format!("{name}.{}", self.sending.domain)
    }

    /// The domain of a component of the second server.
    pub(crate) fn receiver(&self, name: &str) -> String {
        format!("{name}.{}", self.receiving.domain)
    }

    /// Connects a component of the first server.
    pub(crate) fn connect_sender(&self, name: &str) -> TcpStream {
        self.sending.connect(name)
    }

    /// Connects a component of the second server.
    pub(crate) fn connect_receiver(&self, name: &str) -> TcpStream {
        self.receiving.connect(name)
    }

    /// Where the second server listens.
    pub(crate) fn receiving_address(&self) -> Ipv4Addr {
        self.receiving.address
    }

    /// Their processes.
    pub(crate) fn processes(&self) -> [u32; 2] {
        [self.sending.id(), self.receiving.id()]
    }
}

/// One server.
pub(crate) struct One {
    pub(crate) domain: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) program: Program,
}

/// What runs.
pub(crate) enum Program {
    Server(Box<dyn Server>),
    Bare(Process),
}

impl One {
    /// Starts a server of that kind. Every component gets its own SRV record, as it would in the world.
    pub(crate) fn start(network: &Network, kind: Kind, domain: &str, components: &[String]) -> Self {
        Self::start_at(network, kind, domain, components, Duration::ZERO)
    }

    /// The same, with that round trip from other servers.
    fn start_at(
        network: &Network,
        kind: Kind,
        domain: &str,
        components: &[String],
        round_trip: Duration,
    ) -> Self {
        let mut setup = Setup::of(domain).auth(Auth::External).unpublished();
        (setup.loaded, setup.wildcard) = (true, true);
        setup.components = components.iter().map(|name| format!("{name}.{domain}")).collect();
        for (key, value) in kind.differences() {
            setup = setup.set(key, value);
        }
        let names: Vec<String> = setup.names().into_iter().map(str::to_owned).collect();
        let server: Box<dyn Server> = match kind {
            Kind::Nuncio | Kind::Lifted => Box::new(Node::start(network, setup)),
            Kind::Ejabberd => Box::new(Ejabberd::start(network, setup)),
            Kind::Prosody => Box::new(Prosody::start(network, setup)),
            Kind::Bare => panic!("the bare pipeline has no domain"),
        };
        let address = server.address();
        let target = address.to_string();
        let reached_at =
            if round_trip.is_zero() { address } else { relay::start(network, address, round_trip) };
        network.dns.a(&target, reached_at);
        for name in names {
            network.dns.srv(&format!("_xmpp-server._tcp.{name}"), 0, 0, 5269, &target);
        }
        Self { domain: domain.to_owned(), address, program: Program::Server(server) }
    }

    pub(crate) fn connect(&self, name: &str) -> TcpStream {
        match &self.program {
            Program::Server(_) => wire::component(self.address, &format!("{name}.{}", self.domain)),
            Program::Bare(_) => wire::connect(self.address).expect("the bare pipeline listens"),
        }
    }

    pub(crate) fn id(&self) -> u32 {
        match &self.program {
            Program::Server(server) => server.process().id(),
            Program::Bare(process) => process.id(),
        }
    }
}
