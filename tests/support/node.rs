//! Nuncio, the binary of this build.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::thread;
use std::time::Duration;

use super::process::TO_START;
use super::{Auth, Network, Process, SECRET, SOON, Server, Setup, Tls, within};

/// A running node.
pub(crate) struct Node {
    setup: Setup,
    address: Ipv4Addr,
    process: Process,
    file: PathBuf,
}

impl Node {
    /// Starts a node and waits until it is ready.
    #[track_caller]
    pub(crate) fn start(network: &Network, setup: Setup) -> Self {
        let address = network.address();
        setup.publish(network, address);
        let directory = network.directory(setup.directory());
        let file = directory.join("nuncio.toml");
        fs::write(&file, configuration(network, &setup, address)).unwrap();
        let process = runs(&setup, &file, address);
        Self { setup, address, process, file }
    }

    /// Starts the node again, after its process has ended, with the same configuration and address.
    #[track_caller]
    pub(crate) fn starts_again(&mut self) {
        self.process = runs(&self.setup, &self.file, self.address);
    }

    /// Reloads the node with another configuration and new certificates.
    pub(crate) fn reconfigures(&self, network: &Network, setup: &Setup) {
        fs::write(&self.file, configuration(network, setup, self.address)).unwrap();
        self.process.signal("HUP");
    }

    /// The configuration file.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Waits for a log line that contains all of `parts`, and returns it.
    #[track_caller]
    pub(crate) fn eventually_logs(&self, parts: &[&str]) -> String {
        self.process.eventually_logs(parts)
    }

    /// Sends SIGTERM, and waits no longer than `limit` for the exit.
    #[track_caller]
    pub(crate) fn terminate(&self, limit: Duration) -> ExitStatus {
        self.process.signal("TERM");
        self.process.exit_within(limit)
    }
}

impl Drop for Node {
    /// Checks the account at the end of every test: each stanza has an outcome or is queued.
    fn drop(&mut self) {
        let tells =
            self.setup.node.log.as_deref().is_none_or(|log| log.contains("info") || log.contains("trace"));
        if thread::panicking() || !tells {
            return;
        }
        if !self.process.has_said_all() {
            // The counters are read one after the other, and differ while stanzas are in transit.
            within(SOON, "the account of the node adds up", || {
                let before = self.accounts().len();
                self.process.signal("USR1");
                within(SOON, "the node logs its account", || {
                    (self.accounts().len() > before || self.process.has_said_all()).then_some(())
                });
                self.accounts().last().is_none_or(|account| account.contains("difference=0")).then_some(())
            });
        } else if let Some(account) = self.accounts().last() {
            assert!(account.contains("difference=0"), "stanzas were let fall: {account}");
        }
    }
}

impl Node {
    /// The node's account of all domains as of now: a line of its log.
    #[track_caller]
    pub(crate) fn account(&self) -> String {
        let before = self.accounts().len();
        self.process.signal("USR1");
        within(SOON, "the node logs its account", || self.accounts().into_iter().nth(before))
    }

    /// Waits until the account says that nothing waits and nothing is unacknowledged, and returns it.
    #[track_caller]
    pub(crate) fn settled_account(&self) -> String {
        let is_settled = |account: &String| {
            let words: Vec<&str> = account.split_whitespace().collect();
            ["waiting=0", "unacked=0", "difference=0"].iter().all(|word| words.contains(word))
        };
        within(SOON, "nothing waits and nothing is unacknowledged", || {
            Some(self.account()).filter(is_settled)
        })
    }

    fn accounts(&self) -> Vec<String> {
        let lines = self.process.lines();
        lines
            .into_iter()
            .filter(|line| line.contains("nuncio::account") && line.contains("domain=*"))
            .collect()
    }
}

impl Server for Node {
    fn setup(&self) -> &Setup {
        &self.setup
    }

    fn address(&self) -> Ipv4Addr {
        self.address
    }

    fn process(&self) -> &Process {
        &self.process
    }
}

/// Runs the binary with the configuration in `file`, and waits until it is ready.
#[track_caller]
fn runs(setup: &Setup, file: &Path, address: Ipv4Addr) -> Process {
    // For debugging: NUNCIO_LOG=trace.
    let wanted = setup.node.log.clone().or_else(|| env::var("NUNCIO_LOG").ok());
    let log = wanted.as_deref().unwrap_or("info");
    let mut environment = vec![("RUST_LOG", log)];
    environment.extend(setup.node.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let arguments = ["run", "--config", file.to_str().unwrap()];
    let process = Process::start(setup.directory(), file.parent().unwrap(), BINARY, &arguments, &environment);
    process.logs_within(TO_START, &["ready", &format!("{address}:5269")]);
    process
}

/// The path of the binary under test.
pub(crate) const BINARY: &str = std::env!("CARGO_BIN_EXE_nuncio");

/// A figure of an account, such as `answered`.
#[track_caller]
pub(crate) fn figure(account: &str, name: &str) -> usize {
    let found = account.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    found.and_then(|figure| figure.parse().ok()).unwrap_or_else(|| panic!("no {name} in {account}"))
}

/// Writes the configuration of a node that listens at `address`.
pub(crate) fn configuration(network: &Network, setup: &Setup, address: Ipv4Addr) -> String {
    let mut values = BTreeMap::new();
    let mut set = |key: &str, value: String| values.insert(key.to_owned(), value);
    set("workers", "2".into());
    set("listen.s2s", format!("[\"{address}:5269\"]"));
    set("listen.component", format!("[\"{address}:5347\"]"));
    // The path of a test's directory is too long for a socket.
    set("listen.control", "\"\"".into());
    if setup.direct_tls {
        set("listen.s2s_tls", format!("[\"{address}:5270\"]"));
    }
    set("dns.nameservers", format!("[\"{}\"]", network.dns.address()));
    set("s2s.trust", format!("{:?}", network.file_of(&network.authority)));
    let tls = match setup.tls {
        Tls::Required => "required",
        Tls::Optional => "optional",
        Tls::Disabled => "disabled",
    };
    set("s2s.tls", format!("{tls:?}"));
    let auth = match setup.auth {
        Auth::External => "[\"external\"]",
        Auth::Dialback => "[\"dialback\"]",
        Auth::Both => "[\"external\", \"dialback\"]",
    };
    set("s2s.auth", auth.into());
    if let Some(secret) = &setup.dialback_secret {
        set("s2s.dialback_secret", format!("{secret:?}"));
    }
    values.extend(setup.node.values.clone());
    values.values_mut().for_each(|value| *value = value.replace("{ip}", &address.to_string()));
    render(network, setup, &values)
}

fn render(network: &Network, setup: &Setup, values: &BTreeMap<String, String>) -> String {
    let mut sections = BTreeMap::<&str, String>::new();
    for (key, value) in values {
        let (section, key) = key.split_once('.').unwrap_or(("", key));
        let _ = writeln!(sections.entry(section).or_default(), "{key} = {value}");
    }
    let mut text = sections.remove("").unwrap_or_default();
    for (section, lines) in sections {
        let _ = write!(text, "\n[{section}]\n{lines}");
    }
    let _ = write!(text, "\n[[domain]]\nname = {:?}\n", setup.domain);
    if let Some(identity) = setup.identity(&network.authority) {
        let files = network.files(&identity);
        let _ = writeln!(text, "certificate = {:?}\nkey = {:?}", files.certificate, files.key);
    }
    for name in &setup.components {
        let _ = write!(text, "\n[[component]]\nname = {name:?}\nsecret = {SECRET:?}\n");
    }
    for block in &setup.node.blocks {
        let _ = write!(text, "\n{block}\n");
    }
    text
}
