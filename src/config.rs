//! The configuration file: TOML in, [`Settings`] out, and every problem on the way found in one go.
//!
//! Each section is read by one function, key by key through [`Section`], which notes what is wrong and goes on
//! with the default. What was found decides at the end whether there are settings.

pub(crate) mod finding;
mod identity;
mod local;
mod section;
mod terms;
#[cfg(test)]
mod tests;
pub(crate) mod usual;
pub(crate) mod value;

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use toml::de::DeTable;
use xmpp::policy::{Bounds, Pattern};

use super::users;
use actors::{
    node::control::socket,
    settings::{
        ComponentLimits, ControlSocket, Dials, Dns, Limits, Listen, Promise, Recording, Service, Settings,
        Verifications,
    },
};
pub(crate) use finding::Finding;
use finding::{Severity, Source};
use net::tls;
use section::Section;

/// A configuration that a node can start with.
#[derive(Debug)]
pub(crate) struct Config {
    /// What the node is given.
    pub(crate) settings: Settings,
    /// The log filter, for when `RUST_LOG` is unset.
    pub(crate) log: String,
    /// What the operator should know.
    pub(crate) warnings: Vec<Finding>,
}

/// Reads `file` with the keys and certificates it names.
///
/// # Errors
/// Everything that was found, problems and warnings, when at least one keeps a node from starting.
pub(crate) fn load(file: &Path) -> Result<Config, Vec<Finding>> {
    let Examined { source, read } = examine(file).map_err(|finding| vec![*finding])?;
    Config::of(&source, read)
}

/// Reads `file` with the keys and certificates it names, and gives what can be understood of it.
///
/// # Errors
/// There is nothing to read.
pub(crate) fn examine(file: &Path) -> Result<Examined, Box<Finding>> {
    let text = fs::read_to_string(file).map_err(|error| Box::new(unreadable(file, &error)))?;
    Ok(Examined::of(file, &text))
}

/// As [`load`], with `text` for the content of `file`.
///
/// # Errors
/// As [`load`].
pub(crate) fn parse(file: &Path, text: &str) -> Result<Config, Vec<Finding>> {
    let Examined { source, read } = Examined::of(file, text);
    Config::of(&source, read)
}

/// What a file says, right or wrong.
#[derive(Debug)]
pub(crate) struct Examined {
    /// The file with what was found in it.
    pub(crate) source: Source,
    /// What the node would be given, with defaults for what is wrong, and the log filter; `None` where it is not TOML.
    pub(crate) read: Option<(Settings, String)>,
}

impl Examined {
    fn of(file: &Path, text: &str) -> Self {
        let source = Source::new(file, text);
        let (table, faults) = DeTable::parse_recoverable(text);
        for fault in &faults {
            let said = format!("not TOML: {}", fault.message());
            let span = fault.span().unwrap_or_default();
            let (_, line) = source.line_text(source.line(span.start));
            let several = SEVERAL.iter().find(|key| line.trim_start().starts_with(&format!("[{key}]")));
            let said = match several {
                Some(key) => finding::Said::with_help(said, format!("use [[{key}]] (two brackets)")),
                None => said.into(),
            };
            source.find(Severity::Problem, span, "", said);
        }
        // Half-understood keys would only bring follow-up complaints.
        let read = faults.is_empty().then(|| read(Section::top(&source, table.get_ref())));
        Self { source, read }
    }
}

impl Config {
    fn of(source: &Source, read: Option<(Settings, String)>) -> Result<Self, Vec<Finding>> {
        let findings = source.findings();
        match read {
            Some((settings, log)) if findings.iter().all(Finding::is_warning) => {
                Ok(Self { settings, log, warnings: findings })
            }
            _ => Err(findings),
        }
    }
}

/// Finds where the node of `file` has its control socket. Whatever else is wrong with the file does not matter for that:
/// the node that runs read it when it was good.
///
/// # Errors
/// Says why it cannot be found.
pub(crate) fn control_socket(file: &Path) -> Result<PathBuf, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{:#}", unreadable(file, &error)))?;
    let source = Source::new(file, &text);
    let (table, faults) = DeTable::parse_recoverable(&text);
    if !faults.is_empty() {
        return Err(format!("{} is not TOML", file.display()));
    }
    let socket = control(&Section::top(&source, table.get_ref()).section("listen"));
    let why = || format!("listen.control is empty in {}: its node has no control socket", file.display());
    let finding = source.findings().into_iter().next();
    match (finding, socket) {
        (Some(finding), _) => Err(finding.to_string()),
        (None, socket) => socket.map(|socket| socket.path).ok_or_else(why),
    }
}

/// Says why the configuration cannot be read, and what to do about it.
fn unreadable(file: &Path, error: &io::Error) -> Finding {
    let help = match error.kind() {
        io::ErrorKind::NotFound => Some(usual::missing(file)),
        _ => users::permission(file, error),
    };
    let said = identity::unreadable(file, error);
    match help {
        Some(help) => Finding::of_file(file, finding::Said::with_help(said, help)),
        None => Finding::of_file(file, said),
    }
}

/// Reads the whole file.
fn read(top: Section<'_>) -> (Settings, String) {
    let log = top.read("log", log_filter).unwrap_or_else(|| "info".to_owned());
    let log_mailboxes = top.read("log_mailboxes", value::duration).unwrap_or(Duration::from_secs(10));
    let workers = top.count("workers", 0).unwrap_or_default();
    let shutdown_timeout = top.read("shutdown_timeout", value::duration).unwrap_or(Duration::from_secs(10));
    let listen = listen(top.section("listen"));

    let mut stores = identity::Stores::default();
    let s2s = top.section("s2s");
    let remote = terms::everywhere(&s2s, &mut stores);
    let allow = s2s.list("allow", value::pattern).unwrap_or_else(|| vec![Pattern::Any]);
    let deny = s2s.list("deny", value::pattern).unwrap_or_default();
    let everyone = |patterns: &[Pattern]| patterns.contains(&Pattern::Any);
    if everyone(&deny) {
        s2s.warning("deny", "forbids every domain with \"*\": nobody can federate with this node");
    }
    if allow.is_empty() && !s2s.was_wrong("allow") {
        s2s.warning("allow", "is empty: nobody can federate with this node");
    }
    let max_connections_per_address = s2s.count("max_connections_per_address", 1).unwrap_or(64);
    s2s.finish();

    let domains = local::domains(top.sections("domain"), &remote.policy);
    let components = local::components(top.sections("component"), &domains, &remote.policy);
    if !top.has("domain") && !top.has("component") {
        top.problem("domain", "nothing to serve: the file has no [[domain]] and no [[component]]");
    }
    if !components.is_empty() && listen.component.is_empty() {
        top.problem("component", "cannot connect: listen.component is empty");
    }
    let served = domains.iter().map(|domain| &domain.name).chain(components.iter().map(|known| &known.name));
    let served: Vec<_> = served.cloned().collect();
    let overrides = terms::special(top.sections("remote"), &remote, &served, &mut stores);
    let limits = limits(top.section("limits"));
    let promise = promise(top.section("promise"));
    let dns = dns(top.section("dns"));
    let service = Service { contact: contact(top.section("contact")) };
    top.finish();

    let settings = Settings {
        workers: if workers == 0 { thread::available_parallelism().map_or(1, usize::from) } else { workers },
        shutdown_timeout,
        log_mailboxes: Some(log_mailboxes).filter(|every| !every.is_zero()),
        listen,
        domains,
        components,
        trust: stores.into_stores(),
        remote,
        overrides,
        allow,
        deny,
        max_connections_per_address,
        limits,
        promise,
        dns,
        service,
    };
    (settings, log)
}

fn listen(section: Section<'_>) -> Listen {
    let addresses = |key, default: &[&str]| {
        let given = section.list(key, value::listen);
        given.unwrap_or_else(|| default.iter().filter_map(|address| address.parse().ok()).collect())
    };
    let listen = Listen {
        s2s: addresses("s2s", &["0.0.0.0:5269", "[::]:5269"]),
        s2s_tls: addresses("s2s_tls", &[]),
        component: addresses("component", &["127.0.0.1:5347"]),
        metrics: addresses("metrics", &[]),
        control: control(&section),
    };
    let all: Vec<_> = [&listen.s2s, &listen.s2s_tls, &listen.component, &listen.metrics]
        .into_iter()
        .flatten()
        .copied()
        .collect();
    // Port 0 is a new port each time.
    let fixed: Vec<_> = all.into_iter().filter(|address| address.port() != 0).collect();
    if let Some(address) = value::repeated(&fixed) {
        let said = format!("{address} is listed twice in this section; it can be bound only once");
        let source = section.source();
        let mut places = source.places(&LISTEN);
        places.retain(|place| value::listen(&place.value).as_ref() == Ok(address));
        match places.pop() {
            Some(second) => source.find(Severity::Problem, second.span, &second.key, said),
            None => section.problem("s2s", said),
        }
    }
    if let Some(address) = listen.component.iter().find(|address| !address.ip().is_loopback()) {
        let what = format!(
            "{address} is not a loopback address, and XEP-0114 has no encryption: others on the network can read \
             stanzas and try secrets"
        );
        let help = "listen on 127.0.0.1, or reach it through a tunnel";
        section.warning("component", finding::Said::with_help(what, help));
    }
    if let Some(address) = listen.metrics.iter().find(|address| !address.ip().is_loopback()) {
        let what =
            format!("{address} is not a loopback address: everybody who reaches it can read the metrics");
        section.warning("metrics", what);
    }
    section.finish();
    listen
}

/// The control socket, `None` when its path is empty. Only one that is not where it would be by default was wanted there,
/// and is worth refusing to start for.
fn control(listen: &Section<'_>) -> Option<ControlSocket> {
    let source = listen.source();
    let named = listen.read("control", |path| {
        let path = Some(path).filter(|path| !path.is_empty()).map(|path| source.path(path));
        match path {
            Some(path) if !socket::fits(&path) => {
                Err(format!("{}: {}", path.display(), socket::Error::TooLong))
            }
            path => Ok(path),
        }
    });
    let default = default_socket(source.file());
    let path = named.unwrap_or_else(|| Some(default.clone()))?;
    Some(ControlSocket { required: path != default, path })
}

/// Beside the file and with its name; of a file below `/etc`, where nothing that runs belongs, in `/run/nuncio`.
fn default_socket(file: &Path) -> PathBuf {
    let socket = file.with_extension("sock");
    match socket.file_name() {
        Some(name) if file.starts_with("/etc") => Path::new("/run/nuncio").join(name),
        _ => socket,
    }
}

fn promise(section: Section<'_>) -> Promise {
    let time = |key, default| {
        section.read(key, value::some_duration).unwrap_or_else(|| Duration::from_secs(default))
    };
    let (backoff_first, backoff_longest) = backoff(&section);
    let promise = Promise {
        max_stanzas: section.count("max_stanzas", 1).unwrap_or(1000),
        max_bytes: section.read("max_bytes", value::size).unwrap_or(4 << 20),
        total_bytes: section.read("total_bytes", value::size).unwrap_or(256 << 20),
        message: time("message", 5 * 60),
        presence: time("presence", 60),
        iq: time("iq", 45),
        backoff_first,
        backoff_longest,
    };
    if promise.max_bytes > promise.total_bytes {
        let key = if section.has("max_bytes") { "max_bytes" } else { "total_bytes" };
        section.problem(
            key,
            "one domain pair may hold more (max_bytes) than all of them together (total_bytes)",
        );
    }
    section.finish();
    promise
}

fn limits(section: Section<'_>) -> Limits {
    let stream = Bounds::default();
    let limits = Limits {
        max_connections: section.count("max_connections", 1).unwrap_or(16_384),
        max_connections_unauthenticated: section.count("max_connections_unauthenticated", 1).unwrap_or(4096),
        max_attempts_per_address: section.count("max_attempts_per_address", 1).unwrap_or(600),
        max_handshake: section.read("max_handshake", value::size).unwrap_or(tls::MAX_HANDSHAKE),
        components: ComponentLimits {
            connections: section.count("max_component_connections", 1).unwrap_or(1024),
            unproved_per_address: section
                .count("max_components_unauthenticated_per_address", 1)
                .unwrap_or(64),
        },
        stream: Bounds {
            early_bytes: section.read("max_bytes_unauthenticated", value::size).unwrap_or(stream.early_bytes),
            early_elements: section.count("max_elements_unauthenticated", 8).unwrap_or(stream.early_elements),
            depth: section.count("max_depth", 8).unwrap_or(stream.depth),
            attributes: section.count("max_attributes", 8).unwrap_or(stream.attributes),
            declarations: section.count("max_namespaces", 8).unwrap_or(stream.declarations),
            pairs: section.count("max_pairs_per_stream", 1).unwrap_or(stream.pairs),
            pending_keys: section.count("max_verifications_per_stream", 1).unwrap_or(stream.pending_keys),
        },
        verifications: Verifications {
            at_once: section.count("max_verifications", 1).unwrap_or(64),
            per_address: section.count("max_verifications_per_address", 1).unwrap_or(32),
            waiting: section.count("max_verifications_waiting", 0).unwrap_or(1024),
        },
        dials: Dials {
            at_once: section.count("max_dials", 1).unwrap_or(256),
            hanging: section.count("max_dials_hanging", 0).unwrap_or(1024),
            per_address: section.count("max_dials_per_address", 1).unwrap_or(32),
            per_attempt: section.count("max_dials_per_attempt", 1).unwrap_or(20),
        },
        recording: Recording {
            domains: section.count("recorded_domains", 0).unwrap_or(2_000),
            events: section.count("recorded_events", 1).unwrap_or(32),
        },
    };
    section.finish();
    limits
}

fn backoff(section: &Section<'_>) -> (Duration, Duration) {
    let default = (Duration::from_secs(1), Duration::from_secs(5 * 60));
    match section.list("backoff", value::some_duration).as_deref() {
        Some(&[first, longest]) if first <= longest => (first, longest),
        Some(_) => {
            section
                .problem("backoff", "expected the first and the longest pause, for example [\"1s\", \"5m\"]");
            default
        }
        None => default,
    }
}

fn dns(section: Section<'_>) -> Dns {
    let dns = Dns {
        nameservers: section.list("nameservers", value::nameserver).unwrap_or_default(),
        timeout: section.read("timeout", value::some_duration).unwrap_or(Duration::from_secs(5)),
    };
    section.finish();
    dns
}

fn contact(section: Section<'_>) -> Vec<(String, Vec<String>)> {
    let mut contact = Vec::new();
    for key in CONTACTS {
        if let Some(uris) = section.list(key, value::uri).filter(|uris| !uris.is_empty()) {
            contact.push((format!("{key}-addresses"), uris));
        }
    }
    section.finish();
    contact
}

/// Checks a filter as `env_logger` reads it: `level` and `target=level`, with commas between.
fn log_filter(text: &str) -> Result<String, String> {
    let directives = text.split('/').next().unwrap_or_default();
    for directive in directives.split(',').map(str::trim).filter(|directive| !directive.is_empty()) {
        let level = match directive.split_once('=') {
            Some((_, level)) => level,
            // A target alone is a filter too; env_logger would take a misspelt level for one.
            None if directive.contains("::") || directive == "nuncio" => continue,
            None => directive,
        };
        if level.trim().parse::<log::LevelFilter>().is_err() {
            return Err(format!("\"{level}\" is not one of off, error, warn, info, debug, trace"));
        }
    }
    Ok(text.to_owned())
}

/// Sections of which there may be several.
const SEVERAL: [&str; 3] = ["domain", "component", "remote"];

/// The keys of addresses to listen on, in the order of [`Listen`].
pub(crate) const LISTEN: [&str; 4] = ["listen.s2s", "listen.s2s_tls", "listen.component", "listen.metrics"];

/// The form fields of XEP-0157 section 3, without `-addresses`.
const CONTACTS: [&str; 7] = ["abuse", "admin", "feedback", "sales", "security", "status", "support"];
