//! `nuncio check`: the configuration with its keys and certificates, looked at and reported.

use std::{
    fmt,
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
    time::{Duration, UNIX_EPOCH},
};

use actors::settings::{Identity, Settings};
use openssl::asn1::{Asn1Time, Asn1TimeRef};

use crate::config::{self, Finding};

/// Prints every problem of `file` and fails, or prints in short what a node would serve with it.
pub(crate) fn run(file: &Path) -> ExitCode {
    let (report, code) = match config::load(file) {
        Ok(config) => {
            let summary = Summary(&config.settings);
            (format!("{}{} is fine\n{summary}", lines(&config.warnings), file.display()), ExitCode::SUCCESS)
        }
        Err(findings) => {
            let problems = findings.iter().filter(|finding| !finding.is_warning()).count();
            let word = if problems == 1 { "problem" } else { "problems" };
            (format!("{}{problems} {word}\n", lines(&findings)), ExitCode::FAILURE)
        }
    };
    // Whoever reads only the beginning still gets the exit status.
    let _ = io::stdout().write_all(report.as_bytes());
    code
}

fn lines(findings: &[Finding]) -> String {
    findings.iter().map(|finding| format!("{finding}\n")).collect()
}

/// What a node with these settings serves, and where.
struct Summary<'a>(&'a Settings);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { domains, components, listen, .. } = self.0;
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
        ];
        for (whom, addresses) in sockets {
            for address in addresses {
                writeln!(f, "  listener   {address} ({whom})")?;
            }
        }
        if let Some(control) = &listen.control {
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
fn date(time: &Asn1TimeRef) -> String {
    let since_epoch = Asn1Time::from_unix(0).and_then(|epoch| epoch.diff(time));
    let days = since_epoch.map_or(0, |diff| u64::try_from(diff.days).unwrap_or(0));
    let day = UNIX_EPOCH + Duration::from_secs(days * 24 * 60 * 60);
    humantime::format_rfc3339_seconds(day).to_string().chars().take("2026-11-01".len()).collect()
}
