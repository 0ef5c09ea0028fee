//! `nuncio probe`: connects to a remote domain step by step, as a node would, and reports each step.
//!
//! Architecture Invariant: the probe does not decide how to connect. DNS, TCP, TLS and the stream are the
//! [`Attempt`] of the node with its configuration. The probe observes it and reports.
//!
//! [`Attempt`]: actors::attempt::Attempt

mod acks;
mod cause;
mod certificate;
mod diagnosis;
mod dns;
mod jsonl;
mod observed;
mod progress;
mod report;
mod self_check;
mod setup;
mod step;
mod steps;
mod subject;
mod text;
mod verdict;
mod walk;

use std::{mem, process::ExitCode};

use actix_rt::System;
use clap::Args;
use xmpp::{Domain, DomainPair, Served};

use self::{
    report::Report,
    setup::Probe,
    step::{Kind, Location, Step},
    subject::Subject,
    verdict::{Untested, Verdict},
    walk::Walk,
};
use crate::{
    config::{self, Config, finding::Finding},
    config_path::ConfigPath,
    output,
};
use actors::settings::Settings;

/// Arguments of `probe`.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    config_path: ConfigPath,
    /// The local domain to connect from [default: the first in the configuration]
    #[arg(long, value_name = "DOMAIN", value_parser = domain)]
    from: Option<Domain>,
    /// Prints JSON Lines: an object for each step, and last one for the verdict
    #[arg(long)]
    json: bool,
    /// The remote domain
    #[arg(value_parser = domain)]
    remote: Domain,
}

/// Probes a remote domain. The command fails if the remote server does not authenticate us.
pub(crate) fn run(arguments: Arguments) -> ExitCode {
    let Arguments { config_path, from, json, remote } = arguments;
    crate::logging::start("warn");
    let config = match config::load(&config_path.resolve()) {
        Ok(config) => config,
        Err(findings) => return report_findings(&findings, from.as_ref(), remote, json),
    };
    let local = match local_domain(&config, from) {
        Ok(local) => local,
        Err(error) => {
            output::print_error(format_args!("nuncio: {error}"));
            return ExitCode::from(WRONG_USAGE);
        }
    };
    if is_local(&config, &remote) {
        output::print_error(format_args!(
            "nuncio: {remote} is a domain of this configuration; probe a domain of another server"
        ));
        return ExitCode::from(WRONG_USAGE);
    }
    let system = System::new();
    let outcome = system.block_on(probe(config.settings, DomainPair { local, remote }, json));
    // Dropping the system would wait for DNS lookups that are still running.
    mem::forget(system);
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            output::print_error(format_args!("nuncio: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Probes the remote server and our own side. Returns whether the remote server authenticated us.
///
/// # Errors
/// The probe could not run, or the report could not be written; the text is for the operator.
async fn probe(settings: Settings, pair: DomainPair, json: bool) -> Result<bool, String> {
    let mut probe = Probe::new(settings, pair.clone())?;
    let address = probe.dialer.policies.remote(&pair.remote).address.as_ref().map(ToString::to_string);
    let mut report = Report::begin(Subject { pair, address }, json);
    if probe.dialer.policies.rules().permits(&probe.pair.remote) {
        let attempt = probe.session(probe.pair.clone());
        Walk::to_remote(&mut report, &mut probe.events, &probe.dns, attempt).await;
        self_check::run(&mut probe, &mut report).await;
    } else {
        let text = format!("the configuration does not allow federation with {}", probe.pair.remote);
        report.add(Step::failed(Kind::Policy, &Location::default(), &cause::DENIED, text));
    }
    report.add_untested(Untested::Stanzas);
    let has_path = report.has_path();
    report.end().map_err(|error| format!("cannot write: {error}"))?;
    Ok(has_path)
}

/// The local domain to connect from: `from`, or else the first in the configuration.
fn local_domain(config: &Config, from: Option<Domain>) -> Result<Domain, String> {
    let served = served(&config.settings);
    match from {
        Some(from) if served.contains(&from) => Ok(from),
        Some(from) => {
            Err(format!("--from {from} is neither a [[domain]] nor a [[component]] of the configuration"))
        }
        None => {
            let first = config.settings.names().find(|name| !name.is_wildcard());
            first.cloned().ok_or_else(|| "the configuration contains no domain: set --from DOMAIN".to_owned())
        }
    }
}

fn served(settings: &Settings) -> Served<()> {
    settings.names().map(|name| (name.clone(), ())).collect()
}

/// Whether the configuration serves the domain, so that no connection to it is made.
fn is_local(config: &Config, name: &Domain) -> bool {
    served(&config.settings).contains(name)
}

/// Reports a configuration with problems: on standard error, and with `json` also in the form of a report.
fn report_findings(findings: &[Finding], from: Option<&Domain>, remote: Domain, json: bool) -> ExitCode {
    findings.iter().for_each(output::print_error);
    if json {
        let problems = findings.iter().filter(|finding| !finding.is_warning());
        let problems: Vec<String> = problems.map(ToString::to_string).collect();
        let location = Location::default();
        let step = Step::failed(Kind::Configuration, &location, &cause::CONFIGURATION, problems.join("; "));
        let pair = DomainPair { local: from.unwrap_or(&remote).clone(), remote };
        let failures = step.finding.iter().collect();
        let verdict =
            Verdict { path: None, failures, notes: Vec::new(), untested: Vec::new(), unknown: None };
        let subject = Subject::of(pair);
        let report = jsonl::step(&subject, &step) + &jsonl::verdict(&subject, from, &verdict);
        return output::print(report, ExitCode::FAILURE);
    }
    ExitCode::FAILURE
}

fn domain(text: &str) -> Result<Domain, String> {
    Domain::new(text).map_err(|error| format!("not a domain: {error}"))
}

/// The exit status of clap for wrong usage.
const WRONG_USAGE: u8 = 2;
