//! Starts the compared servers: two servers of one kind, the first of which sends to the second.

use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::pipeline;
use crate::relay;
use crate::support::{Auth, Ejabberd, Network, Node, Process, Prosody, Server, Setup};
use crate::wire;

/// The software under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Nuncio,
    Ejabberd,
    Prosody,
    /// Prosody with mod_smacks, which acknowledges stanzas.
    Acknowledging,
    /// Nuncio with its limits lifted, to measure the cost of the limits.
    Lifted,
    /// Nuncio without stream management, to measure the cost of acknowledgements.
    WithoutAcks,
    /// Nuncio with the journal, to measure its cost.
    Journaled,
    /// The bare pipeline: not a server; it reads, frames, validates and writes over the same TLS.
    Bare,
}

impl Kind {
    /// The servers of the comparison.
    pub(crate) const SERVERS: [Self; 3] = [Self::Nuncio, Self::Ejabberd, Self::Prosody];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nuncio => "nuncio",
            Self::Ejabberd => "ejabberd",
            Self::Prosody => "prosody",
            Self::Acknowledging => "prosody with smacks",
            Self::Lifted => "nuncio, limits lifted",
            Self::WithoutAcks => "without acks",
            Self::Journaled => "with the journal",
            Self::Bare => "bare",
        }
    }
}

impl Kind {
    /// Settings of Nuncio that a measurement needs besides names, addresses and certificates. The test
    /// configuration has two workers; the shipped value is 0, one worker per core. All limits keep their
    /// shipped values, except for `Lifted`; acknowledgements are on, except for `WithoutAcks`; the journal is
    /// off, except for `Journaled`.
    fn differences(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Lifted => &LIFTED,
            Self::WithoutAcks => &WITHOUT_ACKS,
            Self::Journaled => &JOURNALED,
            _ => &LIFTED[..1],
        }
    }
}

/// The shipped value of `workers`, followed by the lifted limits.
const LIFTED: [(&str, &str); 7] = [
    ("workers", "0"),
    ("s2s.max_connections_per_address", "100000"),
    ("limits.max_connections", "200000"),
    ("limits.max_connections_unauthenticated", "100000"),
    ("limits.max_attempts_per_address", "1000000"),
    ("limits.max_dials", "100000"),
    ("limits.max_dials_per_address", "100000"),
];

const WITHOUT_ACKS: [(&str, &str); 2] = [LIFTED[0], ("s2s.acks", "false")];

const JOURNALED: [(&str, &str); 2] = [LIFTED[0], ("journal.path", "\"waiting.journal\"")];

/// Two servers of one kind.
pub(crate) struct Pair {
    pub(crate) kind: Kind,
    sending: One,
    receiving: One,
}

impl Pair {
    /// Starts both servers with the given components. Component `c` has the domain `c.one.CALLED` at the
    /// sending server and `c.two.CALLED` at the receiving server.
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

    /// Like `start`, with a round-trip time between the servers; not for the bare pipeline.
    pub(crate) fn start_apart(
        network: &Network,
        kind: Kind,
        called: &str,
        sending: &[String],
        receiving: &[String],
        round_trip: Duration,
    ) -> Self {
        let far = |address| match round_trip {
            Duration::ZERO => address,
            _ => relay::start(network, address, round_trip),
        };
        let receiving = One::start_at(network, kind, &format!("two.{called}"), receiving, far);
        let sending = One::start_at(network, kind, &format!("one.{called}"), sending, far);
        Self { kind, sending, receiving }
    }

    /// The domain of a component of the sending server.
    pub(crate) fn sender(&self, name: &str) -> String {
        format!("{name}.{}", self.sending.domain)
    }

    /// The domain of a component of the receiving server.
    pub(crate) fn receiver(&self, name: &str) -> String {
        format!("{name}.{}", self.receiving.domain)
    }

    /// Connects a component to the sending server.
    pub(crate) fn connect_sender(&self, name: &str) -> TcpStream {
        self.sending.connect(name)
    }

    /// Connects a component to the receiving server.
    pub(crate) fn connect_receiver(&self, name: &str) -> TcpStream {
        self.receiving.connect(name)
    }

    /// The address of the receiving server.
    pub(crate) fn receiving_address(&self) -> Ipv4Addr {
        self.receiving.address
    }

    /// Process ids of the sending and the receiving server.
    pub(crate) fn processes(&self) -> [u32; 2] {
        [self.sending.id(), self.receiving.id()]
    }
}

/// One running server.
pub(crate) struct One {
    pub(crate) domain: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) program: Program,
}

/// A server, or one half of the bare pipeline.
pub(crate) enum Program {
    Server(Box<dyn Server>),
    Bare(Process),
}

impl One {
    /// Starts a server of the given kind. Every component has its own SRV record, as in a real deployment.
    pub(crate) fn start(network: &Network, kind: Kind, domain: &str, components: &[String]) -> Self {
        Self::start_at(network, kind, domain, components, |address| address)
    }

    /// Like `start`; other servers reach it at the address that `reached_at` gives for its own.
    pub(crate) fn start_at(
        network: &Network,
        kind: Kind,
        domain: &str,
        components: &[String],
        reached_at: impl FnOnce(Ipv4Addr) -> Ipv4Addr,
    ) -> Self {
        Self::run(network, kind, Self::setup(kind, domain, components), reached_at)
    }

    /// Like `start`, with changed settings.
    pub(crate) fn start_with(
        network: &Network,
        kind: Kind,
        domain: &str,
        components: &[String],
        change: impl FnOnce(Setup) -> Setup,
    ) -> Self {
        Self::run(network, kind, change(Self::setup(kind, domain, components)), |address| address)
    }

    fn setup(kind: Kind, domain: &str, components: &[String]) -> Setup {
        let mut setup = Setup::of(domain).auth(Auth::External).unpublished();
        setup.smacks = kind == Kind::Acknowledging;
        (setup.loaded, setup.wildcard) = (true, true);
        setup.components = components.iter().map(|name| format!("{name}.{domain}")).collect();
        for (key, value) in kind.differences() {
            setup = setup.set(key, value);
        }
        setup
    }

    fn run(
        network: &Network,
        kind: Kind,
        setup: Setup,
        reached_at: impl FnOnce(Ipv4Addr) -> Ipv4Addr,
    ) -> Self {
        let domain = setup.domain.clone();
        let names: Vec<String> = setup.names().into_iter().map(str::to_owned).collect();
        let server: Box<dyn Server> = match kind {
            Kind::Nuncio | Kind::Lifted | Kind::WithoutAcks | Kind::Journaled => {
                Box::new(Node::start(network, setup))
            }
            Kind::Ejabberd => Box::new(Ejabberd::start(network, setup)),
            Kind::Prosody | Kind::Acknowledging => Box::new(Prosody::start(network, setup)),
            Kind::Bare => panic!("the bare pipeline has no domain"),
        };
        let address = server.address();
        let target = address.to_string();
        network.dns.a(&target, reached_at(address));
        for name in names {
            network.dns.srv(&format!("_xmpp-server._tcp.{name}"), 0, 0, 5269, &target);
        }
        Self { domain, address, program: Program::Server(server) }
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
