//! nats-server, the broker of a cluster.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use super::process::TO_START;
use super::{Network, Process, SOON, needs};

/// A broker of one server or several.
pub(crate) struct Broker {
    servers: Vec<NatsServer>,
}

/// A server of the broker.
pub(crate) struct NatsServer {
    address: Ipv4Addr,
    directory: PathBuf,
    configuration: String,
    process: Option<Process>,
}

/// Where a server of a broker runs.
pub(crate) struct Place<'a> {
    /// Its number, from 0.
    pub(crate) number: usize,
    /// The addresses of all servers.
    pub(crate) addresses: &'a [Ipv4Addr],
    pub(crate) directory: &'a Path,
}

impl Place<'_> {
    pub(crate) fn address(&self) -> Ipv4Addr {
        self.addresses[self.number]
    }

    /// The configuration of a server that is alone and asks nobody for a password.
    pub(crate) fn plain(&self) -> String {
        let (address, store) = (self.address(), self.directory.join("store"));
        format!(
            "server_name: \"{address}\"\nlisten: \"{address}:{PORT}\"\njetstream {{ store_dir: {store:?} }}\n"
        )
    }
}

impl Broker {
    /// Starts a broker of one server, and waits until it accepts connections.
    pub(crate) fn start(network: &Network) -> Self {
        Self::configured(network, 1, |place| place.plain())
    }

    /// Starts a broker of some servers, each with a configuration, and waits until they accept connections.
    pub(crate) fn configured(network: &Network, count: usize, text: impl Fn(&Place<'_>) -> String) -> Self {
        needs(&format!("command -v {}", program()), "nats-server");
        let addresses: Vec<Ipv4Addr> = (0..count).map(|_| network.address()).collect();
        let servers = (0..count).map(|number| {
            let directory = network.directory(&format!("broker-{}", addresses[number]));
            let place = Place { number, addresses: &addresses, directory: &directory };
            let (address, configuration) = (addresses[number], text(&place));
            let mut server = NatsServer { address, directory, configuration, process: None };
            server.starts();
            server
        });
        let broker = Self { servers: servers.collect() };
        for server in &broker.servers {
            server.process().logs_within(TO_START, &["server is ready"]);
        }
        broker
    }

    /// The value of `cluster.servers`.
    pub(crate) fn addresses(&self) -> String {
        let addresses: Vec<String> =
            self.servers.iter().map(|server| format!("\"nats://{}:{PORT}\"", server.address)).collect();
        format!("[{}]", addresses.join(", "))
    }

    /// The address of the first server.
    pub(crate) fn address(&self) -> Ipv4Addr {
        self.servers[0].address
    }

    /// The servers.
    pub(crate) fn servers(&self) -> &[NatsServer] {
        &self.servers
    }

    /// The number of servers.
    pub(crate) fn size(&self) -> usize {
        self.servers.len()
    }

    /// Kills all servers, as a crash of their machine does.
    pub(crate) fn dies(&mut self) {
        self.servers.iter_mut().for_each(NatsServer::dies);
    }

    /// Starts the servers again, and waits until they accept connections.
    pub(crate) fn starts_again(&mut self) {
        for server in &mut self.servers {
            server.starts();
        }
        for server in &self.servers {
            server.process().logs_within(TO_START, &["server is ready"]);
        }
    }

    /// Removes what the servers have stored. They must not run.
    pub(crate) fn loses_its_data(&mut self) {
        for server in &self.servers {
            assert!(server.process.is_none(), "the server has to be stopped first");
            let _ = fs::remove_dir_all(server.directory.join("store"));
        }
    }
}

impl NatsServer {
    /// Kills the server.
    pub(crate) fn dies(&mut self) {
        let process = self.process.take().expect("the server runs");
        process.signal("KILL");
        process.exit_within(SOON);
    }

    pub(crate) fn address(&self) -> Ipv4Addr {
        self.address
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        self.process().lines().join("\n")
    }

    fn starts(&mut self) {
        let file = self.directory.join("nats.conf");
        fs::write(&file, &self.configuration).unwrap();
        let arguments = ["-c", file.to_str().unwrap()];
        let process = Process::start("nats-server", &self.directory, &program(), &arguments, PATH);
        self.process = Some(process);
    }

    fn process(&self) -> &Process {
        self.process.as_ref().expect("the server runs")
    }
}

/// The program. NUNCIO_NATS selects another version than Debian's.
pub(crate) fn program() -> String {
    std::env::var("NUNCIO_NATS").unwrap_or_else(|_| "nats-server".to_owned())
}

/// The port for nodes.
const PORT: u16 = 4222;

/// Debian has it in /usr/sbin.
const PATH: &[(&str, &str)] = &[("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")];
