//! Reads the section `[cluster]`.

use std::{fs, net::IpAddr, time::Duration};

use super::{finding::Message, local::first_line, section::Section, value};
use actors::settings::{Cluster, HostPort, Login, NodeName, OnEngineLoss};

/// The cluster; `None` if it has no name.
pub(super) fn read(section: Section<'_>, has_dialback_secret: bool) -> Option<Cluster> {
    let name = section.read("name", some_name).flatten();
    let node = section.read("node", some_name).flatten();
    let servers = section.list("servers", server).unwrap_or_else(|| vec![default_server()]);
    let user = section.read("user", |user| Ok(user.to_owned())).filter(|user| !user.is_empty());
    let password = section.read("password_file", |path| password(&section, path)).flatten();
    let replicas = section.count("replicas", 1).unwrap_or(1);
    let lease = section.read("lease", lease).unwrap_or(LEASE);
    let window = section.read("window", value::size).unwrap_or(WINDOW);
    let on_engine_loss = section.read("on_engine_loss", value::one_of(&ON_ENGINE_LOSS)).unwrap_or_default();
    if name.is_none() && !section.has_problem("name") && KEYS.iter().any(|key| section.has(key)) {
        section.warning("name", "is empty: this node is not in a cluster, and the other keys have no effect");
    }
    let Some(name) = name else {
        section.finish();
        return None;
    };
    if !has_dialback_secret {
        let text = "a node of a cluster has to verify the dialback keys of the others";
        let help = "set s2s.dialback_secret or s2s.dialback_secret_file to the same value on all nodes";
        section.problem("name", Message::with_help(text, help));
    }
    if servers.is_empty() && !section.has_problem("servers") {
        section.problem("servers", "is empty: the nodes of a cluster reach each other through a broker");
    }
    if !REPLICAS.contains(&replicas) {
        section.problem("replicas", "expected 1, 3 or 5: as many servers of the broker keep each claim");
    }
    if window < MIN_WINDOW {
        section.problem("window", "must be at least 256 KiB");
    }
    for server in servers.iter().filter(|server| !is_this_machine(&server.host)) {
        let message = Message::of_name(
            "no TLS to the broker at ",
            format!("{}:{}", server.host, server.port),
            ": whoever can read the connection reads stanzas and the password",
        );
        let help = "run a nats-server on this machine, and connect the servers of the broker with TLS";
        section.warning("servers", message.and_help(help));
    }
    let login = match (user, password) {
        (Some(user), Some(password)) => Some(Login { user, password }),
        (Some(_), None) => {
            if !section.has_problem("password_file") {
                section.problem("password_file", "is missing: it has the password of cluster.user");
            }
            None
        }
        (None, Some(_)) => {
            section.problem("user", "is missing: cluster.password_file is the password of a user");
            None
        }
        (None, None) => None,
    };
    let node = node.or_else(|| {
        let named = host_name().as_deref().and_then(|name| NodeName::new(name).ok());
        if named.is_none() && !section.has_problem("node") {
            let text = "is missing, and the name of this machine is no name for a node";
            section.problem("node", Message::with_help(text, "set a name of a-z, 0-9 and -"));
        }
        named
    });
    section.finish();
    Some(Cluster {
        name: name.to_string(),
        node: node?,
        servers,
        login,
        replicas,
        lease,
        window,
        on_engine_loss,
    })
}

/// A name; `None` if it is empty.
fn some_name(text: &str) -> Result<Option<NodeName>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    NodeName::new(text)
        .map(Some)
        .map_err(|_| format!("\"{text}\" is not 1 to 63 characters out of a-z, 0-9 and -"))
}

/// The address of a server of the broker.
fn server(text: &str) -> Result<HostPort, String> {
    let example = "for example \"nats://127.0.0.1:4222\"";
    if text.starts_with("tls://") {
        return Err(format!(
            "\"{text}\": this version connects to the broker without TLS. Run a nats-server on this machine, which \
             connects to the other servers with TLS, and set its address, {example}"
        ));
    }
    let Some(address) = text.strip_prefix("nats://") else {
        return Err(format!("\"{text}\" is not the address of a NATS server, {example}"));
    };
    if address.contains('@') {
        return Err("contains a user: set cluster.user and cluster.password_file".to_owned());
    }
    let address = address.trim_end_matches('/');
    let with_port = value::host_port(address);
    let with_port =
        with_port.or_else(|error| value::host_port(&format!("{address}:{PORT}")).map_err(|_| error));
    with_port.map_err(|_| format!("\"{text}\" is not the address of a NATS server, {example}"))
}

fn default_server() -> HostPort {
    HostPort { host: "127.0.0.1".to_owned(), port: PORT }
}

/// The password in the first line of a file; `None` if the path is empty.
fn password(section: &Section<'_>, path: &str) -> Result<Option<String>, String> {
    if path.is_empty() {
        return Ok(None);
    }
    first_line(&section.source().path(path)).map(Some)
}

fn lease(text: &str) -> Result<Duration, String> {
    let lease = value::some_duration(text)?;
    if lease < MIN_LEASE {
        return Err("must be at least 10 s: when a server of the broker dies, no claim is answered for 5 s"
            .to_owned());
    }
    if lease > MAX_LEASE {
        return Err(
            "must not be longer than 5 min: for so long nobody serves the links of a dead node".to_owned()
        );
    }
    Ok(lease)
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The first label of the name of this machine.
fn host_name() -> Option<String> {
    let name =
        fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| fs::read_to_string("/etc/hostname"));
    Some(name.ok()?.trim().split('.').next()?.to_ascii_lowercase())
}

const ON_ENGINE_LOSS: [(&str, OnEngineLoss); 2] =
    [("go on", OnEngineLoss::GoOn), ("freeze", OnEngineLoss::Freeze)];

/// The keys that have no effect without a name.
const KEYS: [&str; 8] =
    ["node", "servers", "user", "password_file", "replicas", "lease", "window", "on_engine_loss"];

/// The port that NATS servers have by default.
const PORT: u16 = 4222;

/// Five beats of a node: an election among the servers of the broker takes less than two.
const LEASE: Duration = Duration::from_secs(15);

/// An election among the servers of the broker takes up to 5.4 s, and a node gives up its lease a fifth before the others
/// take it for dead.
const MIN_LEASE: Duration = Duration::from_secs(10);

/// Longer than any stanza waits by default.
const MAX_LEASE: Duration = Duration::from_secs(5 * 60);

/// What a fast link carries in the time in which a busy node answers.
const WINDOW: usize = 8 << 20;

/// Four frames.
const MIN_WINDOW: usize = 256 << 10;

/// The numbers of copies of which a majority survives the loss of one server, and no copies at all.
const REPLICAS: [usize; 3] = [1, 3, 5];
