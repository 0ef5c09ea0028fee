//! `nuncio check`: the configuration with its keys and certificates, looked at and reported.

mod control;
mod machine;
mod names;
mod screen;
mod service;

use std::{
    env, fmt,
    io::{self, IsTerminal as _},
    process::ExitCode,
    time::{Duration, UNIX_EPOCH},
};

use clap::Args;
use openssl::asn1::{Asn1Time, Asn1TimeRef};

use crate::{
    config::{
        self, Finding,
        finding::{Severity, Source},
    },
    output,
    place::Place,
};
use actors::settings::{Identity, Settings};
use screen::Colours;

/// What to check, and how far to go.
#[derive(Args)]
pub(crate) struct Wanted {
    #[command(flatten)]
    place: Place,
    /// Looks at files only: neither at the DNS records of the domains nor at the addresses to listen on
    #[arg(long)]
    offline: bool,
    /// Fails only for problems that keep a node from starting: not for a certificate that other servers refuse
    #[arg(long)]
    startable: bool,
}

/// Prints every problem of the file and fails, or prints in short what a node would serve with it.
pub(crate) fn run(wanted: &Wanted) -> ExitCode {
    let file = &wanted.place.file();
    let examined = match config::examine(file) {
        Ok(examined) => examined,
        Err(finding) => {
            let source = Source::new(file, "");
            let screen = screen::finding(&finding, &source, colours());
            return output::print(format!("{screen}1 error\n"), ExitCode::FAILURE);
        }
    };
    let source = &examined.source;
    machine::secrets(source);
    service::look(source);
    let look =
        examined.read.as_ref().map(|(settings, _)| control::look(source, &settings.listen, wanted.offline));
    let control = look.as_ref().is_some_and(|look| look.usable);
    if let Some((settings, _)) = examined.read.as_ref().filter(|_| !wanted.offline) {
        let nodes = machine::addresses(source, &settings.listen);
        tell_of_node(source, look.and_then(|look| look.node), nodes);
        names::look_up(source, settings);
    }
    let findings = source.findings();
    let shown: String = findings.iter().map(|finding| screen::finding(finding, source, colours())).collect();
    let fine = !findings.iter().any(|finding| match wanted.startable {
        true => finding.severity == Severity::Problem,
        false => finding.is_mistake(),
    });
    match (&examined.read, fine) {
        (Some((settings, _)), true) => {
            let count = count(&findings);
            let but = if count.is_empty() { String::new() } else { format!(", with {count}") };
            let summary = Summary { settings, control };
            let report = format!("{shown}{} is fine{but}\n{summary}", file.display());
            output::print(report, ExitCode::SUCCESS)
        }
        _ => output::print(format!("{shown}{}\n", count(&findings)), ExitCode::FAILURE),
    }
}

/// RecorderHandle in one line that a node is running: its addresses and its socket are in use, and that is expected.
fn tell_of_node(source: &Source, node: Option<u32>, mut nodes: Vec<u32>) {
    nodes.extend(node);
    let in_use = nodes.len();
    nodes.sort_unstable();
    nodes.dedup();
    let processes = nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if in_use > 0 {
        let what = if in_use == 1 { "address" } else { "addresses" };
        let said =
            format!("{in_use} {what} in use by a running node (process {processes}; expected while it runs)");
        source.find_in_default(Severity::Note, "", said);
    }
}

/// `2 errors, 1 warning`; notes are nothing to count.
fn count(findings: &[Finding]) -> String {
    let errors = findings.iter().filter(|finding| finding.is_mistake()).count();
    let warnings = findings.iter().filter(|finding| finding.severity == Severity::Warning).count();
    let told =
        [(errors, "error"), (warnings, "warning")].into_iter().filter_map(|(count, word)| match count {
            0 => None,
            1 => Some(format!("1 {word}")),
            many => Some(format!("{many} {word}s")),
        });
    told.collect::<Vec<_>>().join(", ")
}

/// On a terminal, unless somebody does not want them (no-color.org).
fn colours() -> Colours {
    let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if io::stdout().is_terminal() && !unwanted { Colours::On } else { Colours::Off }
}

/// What a node with these settings serves, and where.
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
            writeln!(f, "  component  {} ({})", component.name, certificate(component.identity.as_ref()))?;
        }
        let sockets = [
            ("servers", &listen.s2s),
            ("servers, direct TLS", &listen.s2s_tls),
            ("components", &listen.component),
            ("metrics", &listen.metrics),
        ];
        for (whom, addresses) in sockets {
            for address in addresses {
                writeln!(f, "  listener   {address} ({whom})")?;
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

/// A day as `2026-11-01`.
pub(crate) fn date(time: &Asn1TimeRef) -> String {
    let since_epoch = Asn1Time::from_unix(0).and_then(|epoch| epoch.diff(time));
    let days = since_epoch.map_or(0, |diff| u64::try_from(diff.days).unwrap_or(0));
    let day = UNIX_EPOCH + Duration::from_secs(days * 24 * 60 * 60);
    humantime::format_rfc3339_seconds(day).to_string().chars().take("2026-11-01".len()).collect()
}
