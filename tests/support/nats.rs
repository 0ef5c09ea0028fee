//! nats-server, the broker of a cluster.

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;

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
    /// The addresses of the routes to the other servers.
    routes: Vec<Ipv4Addr>,
    process: Option<Process>,
}

impl Broker {
    /// Starts a broker of one server, and waits until it accepts connections.
    pub(crate) fn start(network: &Network) -> Self {
        Self::of(network, 1)
    }

    fn of(network: &Network, count: usize) -> Self {
        needs(&format!("command -v {}", program()), "nats-server");
        let addresses: Vec<Ipv4Addr> = (0..count).map(|_| network.address()).collect();
        let servers = addresses.iter().enumerate().map(|(number, address)| {
            let directory = network.directory(&format!("broker-{number}"));
            let routes = if count > 1 { addresses.clone() } else { Vec::new() };
            let mut server = NatsServer { address: *address, directory, routes, process: None };
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

    /// The process id of the first server.
    #[allow(dead_code, reason = "only the benchmark needs it")]
    pub(crate) fn id(&self) -> u32 {
        self.servers[0].process().id()
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

    fn starts(&mut self) {
        let file = self.directory.join("nats.conf");
        fs::write(&file, self.configuration()).unwrap();
        let arguments = ["-c", file.to_str().unwrap()];
        let process = Process::start("nats-server", &self.directory, &program(), &arguments, PATH);
        self.process = Some(process);
    }

    fn configuration(&self) -> String {
        let Self { address, directory, routes, .. } = self;
        let store = directory.join("store");
        let mut text = format!(
            "server_name: \"{address}\"\nlisten: \"{address}:{PORT}\"\njetstream {{ store_dir: {store:?} }}\n"
        );
        if !routes.is_empty() {
            let routes: Vec<String> =
                routes.iter().map(|route| format!("\"nats://{route}:{ROUTES}\"")).collect();
            text += &format!(
                "cluster {{ name: \"test\", listen: \"{address}:{ROUTES}\", routes: [{}] }}\n",
                routes.join(", ")
            );
        }
        text
    }

    fn process(&self) -> &Process {
        self.process.as_ref().expect("the server runs")
    }
}

/// NUNCIO_NATS selects another version than Debian's.
fn program() -> String {
    std::env::var("NUNCIO_NATS").unwrap_or_else(|_| "nats-server".to_owned())
}

/// The port for nodes.
const PORT: u16 = 4222;

/// The port of the connections between servers.
const ROUTES: u16 = 6222;

/// Debian has it in /usr/sbin.
const PATH: &[(&str, &str)] = &[("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")];
