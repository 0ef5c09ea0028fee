//! ejabberd, as installed on this machine.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::process::{TO_START, needs};
use super::{Auth, Network, Process, SECRET, Server, Setup, Tls};

/// A running ejabberd.
pub(crate) struct Ejabberd {
    /// At least one; all have the policy of the first.
    setups: Vec<Setup>,
    address: Ipv4Addr,
    directory: PathBuf,
    process: Process,
}

impl Ejabberd {
    /// Starts ejabberd and waits until it listens.
    ///
    /// Its `inetrc` file makes Erlang ask only the network's name server. It has no Erlang node name, so that nothing
    /// listens outside the test.
    #[track_caller]
    pub(crate) fn start(network: &Network, setup: Setup) -> Self {
        let ejabberd = Self::start_for(network, vec![setup]);
        ejabberd.setup().publish(network, ejabberd.address());
        ejabberd
    }

    /// Starts one for several domains, and publishes none of them.
    #[track_caller]
    pub(crate) fn start_for(network: &Network, setups: Vec<Setup>) -> Self {
        needs("command -v ejabberdctl", "ejabberd");
        assert!(network.is_for_ejabberd(), "made by `Network::for_ejabberd`");
        let address = network.address();
        let directory = network.directory(&setups[0].domain);
        let write = |name: &str, text: String| fs::write(directory.join(name), text).unwrap();
        let name_server = network.dns.address();
        let (octets, port) = (name_server.ip().to_string().replace('.', ","), name_server.port());
        write("inetrc", format!("{{resolv_conf,\"\"}}.\n{{nameserver,{{{octets}}},{port}}}.\n"));
        write("ejabberd.yml", configuration(network, &setups, address, &directory));
        Away { setups, address, directory }.start()
    }

    /// Stops it; it can be started again.
    #[track_caller]
    pub(crate) fn stop(self) -> Away {
        self.process.signal("TERM");
        self.process.exit_within(TO_START);
        let Self { setups, address, directory, .. } = self;
        Away { setups, address, directory }
    }
}

/// A stopped ejabberd.
pub(crate) struct Away {
    setups: Vec<Setup>,
    address: Ipv4Addr,
    directory: PathBuf,
}

impl Away {
    /// Starts it with the same configuration and data.
    #[track_caller]
    pub(crate) fn start(self) -> Ejabberd {
        // A start uses a core for seconds: several at once only delay each other.
        static STARTING: Mutex<()> = Mutex::new(());
        let _turn = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        let Self { setups, address, directory } = self;
        let setup = &setups[0];
        let machine: &[&str] = if setup.loaded { &ALL_CORES } else { &ONE_CORE };
        let mut arguments = [machine, &ARGUMENTS].concat();
        let sharing = setup.dialback_secret.as_ref().map(|secret| {
            format!("ejabberd_config:set_option(shared_key, <<{secret:?}>>), io:format(\"{SHARED}~n\").")
        });
        arguments.extend(sharing.iter().flat_map(|sharing| ["-eval", sharing]));
        let process = Process::start(
            &setup.domain,
            &directory,
            "erl",
            &arguments,
            &[
                ("ERL_LIBS", &erlang_libraries()),
                ("ERL_INETRC", directory.join("inetrc").to_str().unwrap()),
                ("ERL_CRASH_DUMP", "erl_crash.dump"),
                ("EJABBERD_CONFIG_PATH", "ejabberd.yml"),
                ("EJABBERD_LOG_PATH", "ejabberd.log"),
                ("HOME", directory.to_str().unwrap()),
            ],
        );
        process.logs_within(TO_START, &["Start accepting TCP connections", ":5347"]);
        process.logs_within(TO_START, &["Start accepting TCP connections", ":5269"]);
        if sharing.is_some() {
            process.logs_within(TO_START, &[SHARED]);
        }
        Ejabberd { setups, address, directory, process }
    }
}

impl Server for Ejabberd {
    fn setup(&self) -> &Setup {
        &self.setups[0]
    }

    fn address(&self) -> Ipv4Addr {
        self.address
    }

    fn process(&self) -> &Process {
        &self.process
    }
}

/// A component listener with `hosts` would register all hosts for each connection and distribute stanzas among the
/// connections; with `password` a connection serves the host in its header.
fn configuration(network: &Network, setups: &[Setup], address: Ipv4Addr, directory: &Path) -> String {
    let setup = &setups[0];
    let domains: Vec<_> = setups.iter().map(|setup| &setup.domain).collect();
    let starttls = match setup.tls {
        Tls::Required => "required",
        Tls::Optional => "optional",
        Tls::Disabled => "false",
    };
    let dialback = if setup.auth == Auth::External { "" } else { "  mod_s2s_dialback: {}\n" };
    let identities = setups.iter().filter_map(|setup| setup.identity(&network.authority));
    let files: Vec<_> = identities.map(|identity| network.files(&identity).combined).collect();
    let certificates = if files.is_empty() { String::new() } else { format!("certfiles: {files:?}\n") };
    // For several domains always: each decides whether it publishes that.
    let direct_tls = if setup.direct_tls || setups.len() > 1 {
        format!("  - {{port: 5270, ip: \"{address}\", module: ejabberd_s2s_in, tls: true}}\n")
    } else {
        String::new()
    };
    let authority = network.file_of(&network.authority);
    fs::create_dir_all(directory.join("spool")).unwrap();
    format!(
        r#"hosts: {domains:?}
loglevel: info
log_rotate_size: infinity
ca_file: {authority:?}
s2s_cafile: {authority:?}
{certificates}s2s_use_starttls: {starttls}
listen:
{direct_tls}  - {{port: 5269, ip: "{address}", module: ejabberd_s2s_in, backlog: 1024}}
  - port: 5347
    ip: "{address}"
    module: ejabberd_service
    access: all
    shaper: none
    password: {SECRET:?}
modules:
  mod_disco: {{}}
{dialback}  mod_ping: {{}}
  mod_time: {{}}
  mod_version: {{}}
"#
    )
}

/// The directory of ejabberd and its libraries in Debian.
fn erlang_libraries() -> String {
    let found = fs::read_dir("/usr/lib").unwrap().flatten().find(|entry| {
        let inside = fs::read_dir(entry.path()).into_iter().flatten().flatten();
        entry.file_type().is_ok_and(|kind| kind.is_dir())
            && inside.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with("ejabberd-"))
    });
    let found = found.expect("ejabberd (Debian package `ejabberd`) under /usr/lib");
    found.path().to_str().unwrap().to_owned()
}

/// The log is in UTF-8, for names with any letters.
const ARGUMENTS: [&str; 8] = [
    "-noinput",
    "-mnesia",
    "dir",
    "\"spool\"",
    "-eval",
    "io:setopts(user, [{encoding, unicode}]).",
    "-s",
    "ejabberd",
];

/// Printed when the dialback secret is set. There is no option for it: ejabberd derives it from the cluster's cookie.
const SHARED: &str = "the secret is shared";

/// One scheduler that does not spin, as many tests share the machine.
const ONE_CORE: [&str; 4] = ["+S", "1", "+sbwt", "none"];

/// The options of Debian's ejabberdctl, and schedulers that do not spin when idle: no loss on a busy processor, and no
/// processor time charged for waiting.
const ALL_CORES: [&str; 10] =
    ["+K", "true", "+P", "250000", "+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none"];
