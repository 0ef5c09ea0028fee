//! Reads the configuration file (TOML) into [`Settings`], and reports all of its problems at once.
//!
//! One function reads each section, key by key through [`Section`], which adds a finding for a wrong value
//! and continues with the default. If no finding is a problem, the result is a configuration.

mod absence;
mod access;
mod acks;
pub(crate) mod certificate_files;
mod cluster;
pub(crate) mod default_path;
pub(crate) mod finding;
pub(crate) mod identity;
mod journal;
mod limits;
pub(crate) mod listen;
mod local;
mod promise;
mod remote;
mod section;
pub(crate) mod source;
#[cfg(test)]
mod tests;
pub(crate) mod value;

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use toml::de::DeTable;
use xmpp::{Served, policy::Pattern};

use super::users;
use actors::settings::{Dns, Service, Settings};
use certificate_files::CertificateFiles;
pub(crate) use finding::Finding;
use finding::{Message, Severity};
use section::{REPEATABLE, Section};
use source::Source;

/// A configuration that a node can start with.
#[derive(Debug)]
pub(crate) struct Config {
    /// The settings of the node.
    pub(crate) settings: Settings,
    /// The log filter, which `RUST_LOG` overrides.
    pub(crate) log: String,
    /// Findings that do not keep the node from starting.
    pub(crate) warnings: Vec<Finding>,
}

/// Loads `file` with its keys and certificates.
///
/// # Errors
/// All findings, including warnings, if at least one keeps a node from starting.
pub(crate) fn load(file: &Path) -> Result<Config, Vec<Finding>> {
    let Examined { source, read } = examine(file).map_err(|finding| vec![*finding])?;
    Config::of(&source, read)
}

/// Reads `file` with its keys and certificates as far as it is valid.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn examine(file: &Path) -> Result<Examined, Box<Finding>> {
    let text = fs::read_to_string(file).map_err(|error| Box::new(unreadable(file, &error)))?;
    Ok(Examined::of(file, &text))
}

/// Like [`load`], with `text` as the content of `file`.
///
/// # Errors
/// Those of [`load`].
pub(crate) fn parse(file: &Path, text: &str) -> Result<Config, Vec<Finding>> {
    let Examined { source, read } = Examined::of(file, text);
    Config::of(&source, read)
}

/// The content of a file, valid or not.
#[derive(Debug)]
pub(crate) struct Examined {
    /// The file and its findings.
    pub(crate) source: Source,
    /// The settings, with defaults in place of wrong values, and the log filter; `None` if the file is not
    /// TOML.
    pub(crate) read: Option<(Settings, String)>,
}

impl Examined {
    fn of(file: &Path, text: &str) -> Self {
        let source = Source::new(file, text);
        let (table, faults) = DeTable::parse_recoverable(text);
        for fault in &faults {
            let text = format!("not TOML: {}", fault.message());
            let span = fault.span().unwrap_or_default();
            let (_, line) = source.line_text(source.line(span.start));
            let repeatable = REPEATABLE.iter().find(|key| line.trim_start().starts_with(&format!("[{key}]")));
            let message = match repeatable {
                Some(key) => Message::with_help(text, format!("use [[{key}]] (two brackets)")),
                None => text.into(),
            };
            source.add(Severity::Problem, span, "", message);
        }
        // Keys of a file that is not TOML would cause follow-up errors.
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

/// The path of the control socket of the node with this configuration. Other problems of the file are
/// ignored: the running node may have read it before they were made.
///
/// # Errors
/// The reason why there is no path, as a sentence.
pub(crate) fn control_socket(file: &Path) -> Result<PathBuf, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{:#}", unreadable(file, &error)))?;
    let source = Source::new(file, &text);
    let (table, faults) = DeTable::parse_recoverable(&text);
    if !faults.is_empty() {
        return Err(format!("{} is not TOML: `nuncio check` shows where", file.display()));
    }
    let socket = listen::control(&Section::top(&source, table.get_ref()).section("listen"));
    let empty =
        || format!("listen.control is empty in {}, which turns the control socket off", file.display());
    let finding = source.findings().into_iter().next();
    match (finding, socket) {
        (Some(finding), _) => Err(finding.to_string()),
        (None, socket) => socket.map(|socket| socket.path).ok_or_else(empty),
    }
}

/// The certificate and key files that `file` names.
///
/// # Errors
/// The file cannot be read or is not TOML, as a sentence.
pub(crate) fn certificate_files(file: &Path) -> Result<Vec<CertificateFiles>, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{:#}", unreadable(file, &error)))?;
    certificate_files::read(file, &text)
}

/// The finding for a file that cannot be read.
fn unreadable(file: &Path, error: &io::Error) -> Finding {
    let help = match error.kind() {
        io::ErrorKind::NotFound => Some(default_path::help_if_missing(file)),
        _ => users::help_if_denied(file, error),
    };
    let text = identity::unreadable(file, error);
    match help {
        Some(help) => Finding::of_file(file, Message::with_help(text, help)),
        None => Finding::of_file(file, text),
    }
}

/// Reads the whole file.
fn read(top: Section<'_>) -> (Settings, String) {
    let log = top.read("log", log_filter).unwrap_or_else(|| "info".to_owned());
    let log_mailboxes = top.read("log_mailboxes", value::duration).unwrap_or(Duration::from_secs(10));
    let workers = top.count("workers", 0).unwrap_or_default();
    let shutdown_timeout = top.read("shutdown_timeout", value::duration).unwrap_or(Duration::from_secs(10));
    let listen = listen::listen(top.section("listen"));
    let promise = promise::promise(top.section("promise"));
    let journal = journal::read(top.section("journal"));
    let absence = absence::defaults(top.section("absence"), journal.is_some());

    let mut stores = identity::Stores::default();
    let s2s = top.section("s2s");
    let remote = remote::defaults(&s2s, &mut stores, &promise);
    let allow = s2s.list("allow", value::pattern).unwrap_or_else(|| vec![Pattern::Any]);
    let deny = s2s.list("deny", value::pattern).unwrap_or_default();
    let matches_all = |patterns: &[Pattern]| patterns.contains(&Pattern::Any);
    if matches_all(&deny) {
        s2s.warning("deny", "\"*\" denies every domain: no server can federate with this node");
    }
    if allow.is_empty() && !s2s.has_problem("allow") {
        s2s.warning("allow", "is empty: no server can federate with this node");
    }
    let max_connections_per_address = s2s.count("max_connections_per_address", 1).unwrap_or(64);
    let secrets = s2s.source().values(&["s2s.dialback_secret", "s2s.dialback_secret_file"]);
    let has_dialback_secret = secrets.iter().any(|secret| !secret.text.is_empty());
    let cluster = cluster::read(top.section("cluster"), has_dialback_secret);
    s2s.finish();

    let domains = local::domains(top.sections("domain"), &remote.policy);
    let components = local::components(top.sections("component"), &domains, &remote.policy, &absence);
    if !top.has("domain") && !top.has("component") {
        top.problem("domain", "nothing to serve: add a [[domain]] or a [[component]]");
    }
    if !components.is_empty() && listen.component.is_empty() && listen.component_tls.is_empty() {
        top.problem("component", "no component can connect: listen.component is empty");
    }
    let has_certificate = domains.iter().any(|domain| domain.identity.is_some())
        || components.iter().any(|component| component.identity.is_some());
    let lacks_certificate = !listen.component_tls.is_empty() && !has_certificate;
    if let Some(value) = top.source().values(&["listen.component_tls"]).pop().filter(|_| lacks_certificate) {
        let text =
            "no component can connect with TLS: no [[domain]] and no [[component]] has a certificate and key";
        top.source().add(Severity::Flaw, value.span, &value.key, text);
    }
    let served = domains.iter().map(|domain| &domain.name);
    let served = served.chain(components.iter().flat_map(|known| &known.names));
    let served: Served<()> = served.map(|name| (name.clone(), ())).collect();
    let overrides = remote::overrides(top.sections("remote"), &remote, &served, &mut stores, &promise);
    let limits = limits::limits(top.section("limits"));
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
        journal,
        cluster,
        absence_bytes: absence.total_bytes,
        dns,
        service,
    };
    (settings, log)
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

/// Checks a filter of `env_logger`: `level` and `target=level`, separated by commas.
pub(crate) fn log_filter(text: &str) -> Result<String, String> {
    let directives = text.split('/').next().unwrap_or_default();
    for directive in directives.split(',').map(str::trim).filter(|directive| !directive.is_empty()) {
        let level = match directive.split_once('=') {
            Some((_, level)) => level,
            // A target alone is valid too. Other words are misspelt levels, which env_logger would read as
            // targets.
            None if directive.contains("::") || directive == "nuncio" => continue,
            None => directive,
        };
        if level.trim().parse::<log::LevelFilter>().is_err() {
            return Err(format!("\"{level}\" is not one of off, error, warn, info, debug, trace"));
        }
    }
    Ok(text.to_owned())
}

/// The form fields of XEP-0157 section 3, without `-addresses`.
const CONTACTS: [&str; 7] = ["abuse", "admin", "feedback", "sales", "security", "status", "support"];
