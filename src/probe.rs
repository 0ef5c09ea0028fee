//! `nuncio probe`: the way to a remote domain, step by step, as the node itself would go it.
//!
//! Architecture Invariant: nothing here decides how to get to a remote. DNS, TCP, TLS and the stream are the node's own
//! [`Attempt`], with the node's configuration; the probe looks on, and puts what it sees into words.

mod cause;
mod diagnosis;
mod judgement;
mod lines;
mod names;
mod own;
mod report;
mod screen;
mod sight;
mod step;
mod telling;
mod walk;

use std::{mem, process::ExitCode, sync::Arc};

use actix_rt::{Arbiter, System};
use clap::Args;
use tokio::sync::mpsc;
use xmpp::{Domain, DomainPair};

use crate::{
    config::{self, Config, Finding},
    output,
};
use actors::{
    dial::{
        attempt::{Attempt, Dialer, Purpose},
        observer::{Seen, Watch as _},
        remote_policy::Terms,
        resolver::Resolver,
    },
    observe::{fingerprints::Fingerprints, metrics::MetricsHandle, recorder::RecorderHandle},
    settings::{Identity, Settings},
};
use mailbox::Meter;
use net::{dns::Dns, tls::Tls};
use report::Report;
use sight::{Event, Spectator};
use step::{Place, Step};
use walk::Walk;

/// What the probe is asked for.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: crate::place::Place,
    /// The local domain to connect from [default: the first of the configuration]
    #[arg(long, value_name = "DOMAIN", value_parser = domain)]
    from: Option<Domain>,
    /// Prints JSON Lines: an object for each step, the verdict last
    #[arg(long)]
    json: bool,
    /// The remote domain
    #[arg(value_parser = domain)]
    remote: Domain,
}

/// Walks the way to a remote and tells of it; fails unless we would be authenticated there.
pub(crate) fn run(arguments: Arguments) -> ExitCode {
    let Arguments { place, from, json, remote } = arguments;
    crate::logging::start("warn");
    let config = match config::load(&place.file()) {
        Ok(config) => config,
        Err(findings) => return refuse(&findings, from.as_ref(), remote, json),
    };
    let local = match choose(&config, from) {
        Ok(local) => local,
        Err(sentence) => {
            output::complain(format_args!("nuncio: {sentence}"));
            return ExitCode::from(WRONG_USAGE);
        }
    };
    if is_served(&config, &remote) {
        output::complain(format_args!(
            "nuncio: {remote} is served by this configuration; name another server's domain"
        ));
        return ExitCode::from(WRONG_USAGE);
    }
    let system = System::new();
    let outcome = system.block_on(probe(config.settings, DomainPair { local, remote }, json));
    // Dropping it would wait for name lookups that still run.
    mem::forget(system);
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(sentence) => {
            output::complain(format_args!("nuncio: {sentence}"));
            ExitCode::FAILURE
        }
    }
}

/// What a probe goes with.
struct Probe {
    settings: Settings,
    pair: DomainPair,
    means: Dialer,
    dns: Dns,
    spectator: Spectator,
    events: mpsc::Receiver<Event>,
}

impl Probe {
    /// Makes ready what a node would make ready, without its listeners.
    fn new(settings: Settings, pair: DomainPair) -> Result<Self, String> {
        let (spectator, events) = Spectator::new();
        let tls = Tls::new(actors::node::identities(&settings), &settings.trust)
            .map_err(|error| format!("TLS cannot be set up: {error}"))?
            .with_max_handshake(settings.limits.max_handshake);
        let dns = Dns::new(&settings.dns).map_err(|error| error.to_string())?;
        let observer = spectator.announcing(None);
        let dns = dns.observed(move |asked| observer.see(Seen::Asked(asked)));
        let here = Arbiter::current();
        let asked = dns.clone();
        let meter = Meter::new("resolver", MAILBOX, None);
        let counted = Arc::clone(&meter);
        let resolver =
            mailbox::start_on(&here, &meter, "resolver", move |own| Resolver::new(asked, own, counted));
        let meter = Meter::new("fingerprints", MAILBOX, None);
        let counted = Arc::clone(&meter);
        let witness = mailbox::start_on(&here, &meter, "fingerprints", move |_| {
            Fingerprints::new(RecorderHandle::disabled(), counted)
        });
        let bound = [&settings.listen.s2s, &settings.listen.s2s_tls].into_iter().flatten().copied().collect();
        let means = Dialer {
            terms: Terms::new(&settings),
            tls,
            resolver,
            gate: None,
            dials: settings.limits.dials,
            witness,
            tally: MetricsHandle::default(),
            notes: RecorderHandle::disabled(),
            bound,
        };
        Ok(Self { settings, pair, means, dns, spectator, events })
    }

    /// The attempt that a node would make, watched.
    fn attempt(&self, pair: DomainPair, purpose: Purpose) -> Attempt {
        let attempt = self.means.attempt(pair, purpose, LOG);
        Attempt { watch: Some(Arc::new(self.spectator.announcing(None))), ..attempt }
    }

    /// What we show of the local domain.
    fn identity(&self) -> Option<&Identity> {
        let Settings { domains, components, .. } = &self.settings;
        let local = &self.pair.local;
        let of_component = components.iter().find(|component| component.name == *local);
        let of_domain = || domains.iter().find(|domain| domain.name == *local)?.identity.as_ref();
        of_component.and_then(|component| component.identity.as_ref()).or_else(of_domain)
    }
}

/// Goes both ways, and says whether the one to the remote leads there.
async fn probe(settings: Settings, pair: DomainPair, json: bool) -> Result<bool, String> {
    let mut report = Report::begin(&pair, json);
    let mut probe = Probe::new(settings, pair)?;
    if probe.means.terms.rules().permits(&probe.pair.remote) {
        let attempt = probe.attempt(probe.pair.clone(), Purpose::Session);
        Walk::new(&mut report, &mut probe.events, &probe.dns, attempt, false).go().await;
        own::look(&mut probe, &mut report).await;
    } else {
        let happened = format!("the configuration does not let {} federate with us", probe.pair.remote);
        report.tell(Step::failed("policy", &Place::default(), &cause::DENIED, happened));
    }
    report.untested("Stanzas: none was sent to anybody.");
    let good = report.is_good();
    report.end().map_err(|error| format!("cannot write: {error}"))?;
    Ok(good)
}

/// The local domain to connect from: the one that was named, or the first of the configuration.
fn choose(config: &Config, from: Option<Domain>) -> Result<Domain, String> {
    let Settings { domains, components, .. } = &config.settings;
    let mut served =
        domains.iter().map(|domain| &domain.name).chain(components.iter().map(|component| &component.name));
    match from {
        Some(from) if served.any(|name| *name == from) => Ok(from),
        Some(from) => {
            Err(format!("--from {from} is neither a [[domain]] nor a [[component]] of the configuration"))
        }
        None => served.next().cloned().ok_or_else(|| "the configuration serves no domain".to_owned()),
    }
}

/// Whether a domain is one of ours, to which no way leads that could be gone.
fn is_served(config: &Config, name: &Domain) -> bool {
    let Settings { domains, components, .. } = &config.settings;
    domains.iter().any(|domain| domain.name == *name)
        || components.iter().any(|component| component.name == *name)
}

/// Says why the configuration is of no use: a person as `nuncio run` does, a machine in the form of a report.
fn refuse(findings: &[Finding], from: Option<&Domain>, remote: Domain, json: bool) -> ExitCode {
    findings.iter().for_each(output::complain);
    if json {
        let problems = findings.iter().filter(|finding| !finding.is_warning());
        let problems: Vec<String> = problems.map(ToString::to_string).collect();
        let step =
            Step::failed("configuration", &Place::default(), &cause::CONFIGURATION, problems.join("; "));
        let pair = DomainPair { local: from.unwrap_or(&remote).clone(), remote };
        let grave: Vec<_> = step.finding.iter().collect();
        let verdict = lines::verdict(&pair, from, None, &grave, &[], &[]);
        return output::print(lines::step(&pair, &step) + &verdict, ExitCode::FAILURE);
    }
    ExitCode::FAILURE
}

fn domain(text: &str) -> Result<Domain, String> {
    Domain::new(text).map_err(|why| format!("cannot be a domain: {why}"))
}

/// Which log lines are those of the probe.
const LOG: &str = "nuncio::probe";

/// A few messages wait at a time.
const MAILBOX: usize = 256;

/// As clap has it.
const WRONG_USAGE: u8 = 2;
