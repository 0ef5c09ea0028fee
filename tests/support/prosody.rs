//! Prosody, as installed on this machine.

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use super::process::{TO_START, needs};
use super::{Auth, Network, Process, SECRET, Server, Setup, Tls};

/// A running Prosody.
pub(crate) struct Prosody {
    setup: Setup,
    address: Ipv4Addr,
    directory: PathBuf,
    process: Process,
}

impl Prosody {
    /// Starts Prosody and waits until it listens.
    #[track_caller]
    pub(crate) fn start(network: &Network, setup: Setup) -> Self {
        Self::start_with(network, setup, "")
    }

    /// The same with additional lines in the global section of its configuration.
    #[track_caller]
    pub(crate) fn start_with(network: &Network, setup: Setup, lines: &str) -> Self {
        needs("command -v prosody", "prosody");
        needs("ls /usr/lib/*/lua/5.*/lunbound.so", "lua-unbound");
        let address = network.address();
        setup.publish(network, address);
        let directory = network.directory(&setup.domain);
        fs::create_dir_all(directory.join("data")).unwrap();
        fs::write(directory.join("prosody.cfg.lua"), configuration(network, &setup, address, lines)).unwrap();
        Away { setup, address, directory, lines: Vec::new() }.start()
    }

    /// Stops it in order; it can be started again.
    #[track_caller]
    pub(crate) fn stop(self) -> Away {
        self.process.signal("TERM");
        self.process.exit_within(TO_START);
        let lines = self.process.lines();
        let Self { setup, address, directory, .. } = self;
        Away { setup, address, directory, lines }
    }
}

/// A stopped Prosody.
pub(crate) struct Away {
    setup: Setup,
    address: Ipv4Addr,
    directory: PathBuf,
    /// What the stopped process has logged.
    pub(crate) lines: Vec<String>,
}

impl Away {
    /// Starts it with the same configuration and data.
    #[track_caller]
    pub(crate) fn start(self) -> Prosody {
        let Self { setup, address, directory, .. } = self;
        let file = directory.join("prosody.cfg.lua");
        let arguments = ["--config", file.to_str().unwrap(), "--foreground"];
        let process = Process::start(&setup.domain, &directory, "prosody", &arguments, &[]);
        process.logs_within(TO_START, &["Activated service 'component'", "5347"]);
        process.logs_within(TO_START, &["Activated service 's2s'", "5269"]);
        Prosody { setup, address, directory, process }
    }
}

impl Server for Prosody {
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

fn configuration(network: &Network, setup: &Setup, address: Ipv4Addr, lines: &str) -> String {
    let Setup { domain, components, tls, auth, direct_tls, .. } = setup;
    let name_server = network.dns.address();
    let resolver = format!("{}@{}", name_server.ip(), name_server.port());
    let mut disabled = vec!["c2s", "limits", "offline"];
    if *tls == Tls::Disabled {
        disabled.push("tls");
    }
    if *auth == Auth::External {
        disabled.push("dialback");
    }
    let disabled: String = disabled.iter().map(|module| format!("{module:?}; ")).collect();
    let ssl = match setup.identity(&network.authority) {
        None => String::new(),
        Some(identity) => {
            let (files, authority) = (network.files(&identity), network.file_of(&network.authority));
            format!(
                "ssl = {{ certificate = {:?}; key = {:?}; cafile = {authority:?} }}",
                files.certificate, files.key
            )
        }
    };
    let secret = setup.dialback_secret.as_ref().map(|secret| format!("dialback_secret = {secret:?}"));
    let secret = secret.unwrap_or_default();
    let direct_tls_ports = if *direct_tls { "5270" } else { "" };
    let required = *tls == Tls::Required;
    let secure_auth = *auth == Auth::External;
    let acks = if setup.smacks { "; \"smacks\"" } else { "" };
    let level = if setup.loaded { "info" } else { "debug" };
    let components: String = components
        .iter()
        .map(|name| format!("Component {name:?}\n  component_secret = {SECRET:?}\n"))
        .collect();
    format!(
        r#"run_as_root = true
data_path = "data"
log = {{ {{ levels = {{ min = "{level}" }}; to = "console"; timestamps = true }} }}
interfaces = {{ "{address}" }}
component_interfaces = {{ "{address}" }}
s2s_ports = {{ 5269 }}
s2s_direct_tls_ports = {{ {direct_tls_ports} }}
component_ports = {{ 5347 }}
network_settings = {{ tcp_backlog = 1024 }}
-- libunbound asks nobody but the test's own name server.
unbound = {{
  resolvconf = false; hoststxt = false; forward = "{resolver}";
  options = {{ ["do-not-query-localhost:"] = "no" }};
}}
modules_enabled = {{ "disco"; "dialback"; "tls"; "saslauth"; "ping"; "version"; "time"; "uptime"{acks} }}
modules_disabled = {{ {disabled} }}
s2s_require_encryption = {required}
s2s_secure_auth = {secure_auth}
{secret}
{ssl}
{lines}
VirtualHost "{domain}"
{components}"#
    )
}
