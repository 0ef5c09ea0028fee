//! `nuncio check`: checks the configuration, its files, this machine, the DNS and the broker of the cluster, and prints
//! findings.

mod addresses;
mod broker;
mod certificates;
mod component_sockets;
mod control_socket;
mod dns;
mod eyes;
mod journal;
mod permissions;
mod render;
mod service_user;
mod unit;

use std::{
    fmt,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use status::escape::escaped;

use self::render::Group;
use crate::{
    config::{self, finding::Severity, listen::addresses_of, source::Source},
    config_path::ConfigPath,
    output,
    text::{
        colours::{Colours, GREEN, RED},
        size::counted,
        time::date,
        wrap,
    },
};
use actors::settings::{Identity, Settings};

/// Arguments of `check`.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    config_path: ConfigPath,
    /// Checks files only: neither the DNS records of the domains, nor the addresses to listen on, nor the message broker of
    /// the cluster
    #[arg(long)]
    offline: bool,
    /// Fails only for problems with which a node does not start, and not for a certificate that other servers
    /// refuse
    #[arg(long)]
    startable: bool,
    /// Checks nothing, and lists the name, the certificate file and the key file of each domain and component, separated
    /// by tabs; with FILE only the names that this certificate is for. For scripts that install certificates
    #[arg(long, value_name = "FILE", num_args = 0..=1, conflicts_with_all = ["offline", "startable"])]
    certificates: Option<Option<PathBuf>>,
}

/// Prints the result, then the findings: errors, warnings, notes; each once, with all of its places. If no finding is an error, prints a summary of the configuration too.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let file = &arguments.config_path.resolve();
    if let Some(certificate) = &arguments.certificates {
        return certificates::list(file, certificate.as_deref());
    }
    let colours = Colours::of_stdout();
    let examined = match config::examine(file) {
        Ok(examined) => examined,
        Err(finding) => {
            let source = Source::new(file, "");
            let findings = rendered(&Group::all(vec![*finding]), &source, colours);
            let result = format!("the node cannot start with {}: 1 error", file.display());
            return output::print(report(&result, RED, colours, &findings), ExitCode::FAILURE);
        }
    };
    let source = &examined.source;
    permissions::check(source);
    let unit = unit::Unit::installed(Path::new("/"));
    service_user::check(source, unit.as_ref(), examined.read.as_ref().map(|(settings, _)| settings));
    let is_made = |directory: &Path| unit.as_ref().is_some_and(|unit| unit.makes(directory));
    let socket = examined
        .read
        .as_ref()
        .map(|(settings, _)| control_socket::check(source, &settings.listen, arguments.offline, is_made));
    if let Some((settings, _)) = &examined.read {
        journal::check(source, settings.journal.as_ref());
        component_sockets::check(source, &settings.listen, unit.as_ref());
        broker::check_program(source, settings);
    }
    let control = socket.as_ref().is_some_and(|socket| socket.usable);
    if let Some((settings, _)) = examined.read.as_ref().filter(|_| !arguments.offline) {
        let node = socket.and_then(|socket| socket.node);
        let has_socket = settings.listen.control.is_some();
        let socket_path = settings.listen.control.as_ref().map(|control| control.path.as_path());
        // A node of this configuration listens on its control socket, unless it could not create the socket.
        let is_ours = |process| {
            !has_socket || node == Some(process) || control_socket::has_config(process, source.file())
        };
        let mut nodes = addresses::check(source, &settings.listen, is_ours);
        nodes.extend(component_sockets::nodes(source, &settings.listen, is_ours));
        nodes.extend(node);
        let is_running = !nodes.is_empty();
        note_running_nodes(source, nodes.clone());
        dns::check(source, settings);
        broker::check(source, settings, |cluster, process| {
            // The process with the name may be another one, for which the node of this configuration waits.
            let is_possible = process.is_none_or(|process| nodes.contains(&process));
            is_possible
                && match socket_path.filter(|_| control) {
                    Some(path) if node.is_some() => control_socket::is_node(path, cluster),
                    _ => is_running,
                }
        });
    }
    let findings = source.findings();
    let failed = findings.iter().any(|finding| match arguments.startable {
        true => finding.severity == Severity::Problem,
        false => finding.is_error(),
    });
    let is_startable =
        examined.read.is_some() && findings.iter().all(|finding| finding.severity != Severity::Problem);
    let groups = Group::all(findings);
    let shown = rendered(&groups, source, colours);
    let count = count(&groups);
    let count = if count.is_empty() { count } else { format!(": {count}") };
    let can = if is_startable { "can start" } else { "cannot start" };
    let result = format!("the node {can} with {}{count}", file.display());
    let colour = if failed { RED } else { GREEN };
    let mut text = report(&result, colour, colours, &shown);
    if let Some((settings, _)) = examined.read.as_ref().filter(|_| !failed) {
        text.push_str(&format!("\n{}", Summary { settings, control }));
    }
    output::print(text, if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn rendered(groups: &[Group], source: &Source, colours: Colours) -> String {
    groups.iter().map(|group| render::render(group, source, colours)).collect()
}

/// The result, and below it the findings.
fn report(result: &str, colour: &str, colours: Colours, findings: &str) -> String {
    let result = colours.paint(colour, &wrap::line(&escaped(result), wrap::columns()));
    match findings.trim_end() {
        "" => format!("{result}\n"),
        findings => format!("{result}\n\n{findings}\n"),
    }
}

/// Adds one note for all addresses and sockets that running nodes use, which is expected while they run.
/// `nodes` has a process for each address.
fn note_running_nodes(source: &Source, mut nodes: Vec<u32>) {
    let in_use = nodes.len();
    if in_use == 0 {
        return;
    }
    nodes.sort_unstable();
    nodes.dedup();
    let processes = nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let noun = if in_use == 1 { "address" } else { "addresses" };
    let text =
        format!("{in_use} {noun} in use by a running node (process {processes}; expected while it runs)");
    source.add_for_default(Severity::Note, "", text);
}

/// The numbers of errors and warnings: `2 errors, 1 warning`. Notes are not counted.
fn count(groups: &[Group]) -> String {
    let errors = groups.iter().filter(|group| group.finding.is_error()).count();
    let warnings = groups.iter().filter(|group| group.finding.severity == Severity::Warning).count();
    let counts = [(errors, "error"), (warnings, "warning")];
    let counts = counts.into_iter().filter(|(count, _)| *count > 0);
    counts.map(|(count, noun)| counted(count as u64, noun)).collect::<Vec<_>>().join(", ")
}

/// The domains, components and listeners of a node with these settings.
struct Summary<'a> {
    settings: &'a Settings,
    /// Whether it has a control socket.
    control: bool,
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { domains, components, listen, .. } = self.settings;
        for domain in domains {
            writeln!(f, "  domain     {} ({})", domain.name, certificate(domain.identity.as_ref()))?;
        }
        for component in components {
            for name in &component.names {
                let identity = self.settings.identity_of(component, name);
                writeln!(f, "  component  {name} ({})", certificate(identity))?;
            }
        }
        let purposes = ["servers", "servers, direct TLS", "components", "components, TLS", "metrics"];
        for (purpose, addresses) in purposes.into_iter().zip(addresses_of(listen)) {
            for address in addresses {
                writeln!(f, "  listener   {address} ({purpose})")?;
            }
        }
        if let Some(control) = listen.control.as_ref().filter(|_| self.control) {
            writeln!(f, "  listener   {} (commands)", control.path.display())?;
        }
        Ok(())
    }
}

fn certificate(identity: Option<&Identity>) -> String {
    match identity.and_then(|identity| identity.chain.first()) {
        Some(leaf) => format!("certificate until {}", date(leaf.not_after())),
        None => "no certificate".to_owned(),
    }
}
