//! nats-server, the broker of a cluster.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use super::process::TO_START;
use super::{Network, Process, SOON, needs, within};

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

    /// The configuration of a server that is one of several.
    fn routed(&self) -> String {
        let routes: Vec<String> =
            self.addresses.iter().map(|route| format!("\"nats://{route}:{ROUTES}\"")).collect();
        let (address, routes) = (self.address(), routes.join(", "));
        self.plain()
            + &format!("cluster {{ name: \"test\", listen: \"{address}:{ROUTES}\", routes: [{routes}] }}\n")
    }
}

impl Broker {
    /// Starts a broker of one server, and waits until it accepts connections.
    pub(crate) fn start(network: &Network) -> Self {
        Self::configured(network, 1, |place| place.plain())
    }

    /// Starts a broker of three servers that keep each table three times, and waits until they have elected a leader.
    pub(crate) fn of_three(network: &Network) -> Self {
        let broker = Self::configured(network, 3, |place| place.routed());
        within(SOON, "the servers of the broker have a leader", || {
            let mut servers = broker.servers.iter();
            servers.any(|server| server.process().logged(&["self is new", "metadata leader"])).then_some(())
        });
        broker
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
        self.addresses_from(0)
    }

    /// The same, from this server on: nodes try them in turn.
    pub(crate) fn addresses_from(&self, first: usize) -> String {
        let addresses = self.servers.iter().cycle().skip(first).take(self.servers.len());
        let addresses: Vec<String> = addresses.map(NatsServer::url).collect();
        format!("[{}]", addresses.join(", "))
    }

    /// The value of `cluster.servers` for a node that uses one server only.
    pub(crate) fn address_of(&self, server: usize) -> String {
        format!("[{}]", self.servers[server].url())
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

    /// Kills one server.
    pub(crate) fn kills(&mut self, server: usize) {
        self.servers[server].dies();
    }

    /// Removes what one server has stored. It must not run.
    pub(crate) fn wipes(&mut self, server: usize) {
        let server = &self.servers[server];
        assert!(server.process.is_none(), "the server has to be stopped first");
        let _ = fs::remove_dir_all(server.directory.join("store"));
    }

    /// The server that leads a table. It says so when it is elected.
    pub(crate) fn leader_of(&self, table: &str) -> usize {
        let said = |server: &NatsServer| {
            let lines = server.process.as_ref()?.lines();
            let table = format!("_{table}'");
            let mut elected = lines.into_iter().filter(|line| line.contains("new stream leader"));
            // Lines begin with the process and the time.
            elected
                .rfind(|line| line.contains(&table))
                .and_then(|line| Some(line.split_once("] ")?.1.to_owned()))
        };
        within(SOON, "a server leads the table", || {
            let elected = self.servers.iter().enumerate().filter_map(|(index, it)| Some((said(it)?, index)));
            elected.max().map(|(_, index)| index)
        })
    }

    /// Starts the servers again that do not run, and waits until they accept connections.
    pub(crate) fn starts_again(&mut self) {
        for server in self.servers.iter_mut().filter(|server| server.process.is_none()) {
            server.starts();
        }
        for server in &self.servers {
            server.process().logs_within(TO_START, &["server is ready"]);
        }
    }

    /// Adds to the configuration of the servers. It holds from their next start on; later values replace earlier ones.
    pub(crate) fn adds_to_configuration(&mut self, text: &str) {
        self.servers.iter_mut().for_each(|server| server.configuration.push_str(text));
    }

    /// Removes what the servers have stored. They must not run.
    pub(crate) fn loses_its_data(&mut self) {
        (0..self.servers.len()).for_each(|server| self.wipes(server));
    }
}

impl NatsServer {
    /// Kills the server.
    pub(crate) fn dies(&mut self) {
        let process = self.process.take().expect("the server runs");
        process.signal("KILL");
        process.exit_within(SOON);
    }

    fn url(&self) -> String {
        format!("\"nats://{}:{PORT}\"", self.address)
    }

    pub(crate) fn address(&self) -> Ipv4Addr {
        self.address
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Stops its process without ending it, or lets it go on.
    pub(crate) fn hangs(&self, hangs: bool) {
        self.process().signal(if hangs { "STOP" } else { "CONT" });
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
pub(super) const PORT: u16 = 4222;

/// The port of the connections between servers.
const ROUTES: u16 = 6222;

/// Debian has it in /usr/sbin.
const PATH: &[(&str, &str)] = &[("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")];
