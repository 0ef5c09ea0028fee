//! `nuncio run`: loads the configuration, starts the node, handles signals, and stops the node.

mod notify;
mod reloads;
mod signals;

use std::{mem, path::Path, process::ExitCode, rc::Rc, time::Duration};

use actix_rt::System;
use tokio::time;

use self::{
    notify::Notify,
    reloads::Reloads,
    signals::{Signal, Signals},
};
use crate::{
    config::{self, Config, Finding},
    output,
};
use actors::{
    Heartbeat, Node, Prepared, Preparer, StartError,
    settings::{Limits, Settings},
};
use net::certificate;
use xmpp::Domain;

/// Runs a node with the configuration in `file` until a signal stops it.
pub(crate) fn run(file: &Path) -> ExitCode {
    let config = match config::load(file) {
        Ok(config) => config,
        Err(findings) => {
            findings.iter().for_each(output::print_error);
            return ExitCode::FAILURE;
        }
    };
    crate::logging::start(&config.log);
    raise_file_limit(&config.settings.limits);
    config.warnings.iter().for_each(|warning| log::warn!(target: LOG, "{warning:#}"));

    let system = System::new();
    let served = system.block_on(serve(config, file));
    // Dropping the system would wait for DNS lookups that are still running.
    mem::forget(system);
    match served {
        Ok(code) => code,
        Err(error) => {
            output::print_error(format_args!("nuncio: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Raises the limit of open files to the hard limit. Logs a warning if that is too low for `[limits]`.
fn raise_file_limit(limits: &Limits) {
    let needed = |connections: usize| (connections as u64).saturating_mul(FILES_PER_CONNECTION) + OTHER_FILES;
    let least = limits.max_connections.min(limits.max_connections_unauthenticated);
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(allowed) if allowed >= needed(limits.max_connections) => {}
        Ok(allowed) if allowed >= needed(least) => log::warn!(
            target: LOG, allowed = allowed, needed = needed(limits.max_connections);
            "the limit of open files is too low for limits.max_connections = {}: to allow more links, raise the hard limit \
             (ulimit -Hn, or LimitNOFILE= of the systemd unit)",
            limits.max_connections
        ),
        Ok(allowed) => log::warn!(
            target: LOG, allowed = allowed, needed = needed(least);
            "the limit of open files is too low for {least} unauthenticated connections: raise the hard limit (ulimit -Hn, \
             or LimitNOFILE= of the systemd unit), or lower limits.max_connections_unauthenticated"
        ),
        Err(error) => log::warn!(target: LOG, reason:% = error; "cannot raise the limit of open files"),
    }
}

/// Starts the node and runs it until a signal stops it or a critical actor fails.
async fn serve(config: Config, file: &Path) -> Result<ExitCode, String> {
    let mut signals = Signals::listen(config.settings.shutdown_timeout)
        .map_err(|error| format!("cannot listen for signals: {error}"))?;
    let notify = Rc::new(Notify::from_env());
    let mut node = Node::start(config.settings).await.map_err(|error| error.to_string())?;
    let bound = announce(&node);
    notify.ready(&bound);
    signals.set_account(node.account().await);
    let watchdog = actix_rt::spawn(notify_watchdog(Rc::clone(&notify), node.heartbeat()));

    let (preparer, path) = (node.preparer(), file.to_owned());
    let mut reloads = Reloads::new(move || Loaded::read(&path, &preparer));

    // At start and on reload the warnings of the configuration cover the certificates.
    let mut daily = time::interval_at(time::Instant::now() + DAY, DAY);
    loop {
        let signal = tokio::select! {
            signal = signals.next() => signal,
            _ = daily.tick() => {
                check_certificates(node.settings());
                continue;
            }
            loaded = reloads.next() => {
                let outcome = adopt(&mut node, loaded, file);
                signals.set_shutdown_timeout(node.settings().shutdown_timeout);
                match outcome {
                    _ if reloads.is_busy() => {}
                    Ok(()) => notify.ready(&bound),
                    Err(error) => notify.ready(&format!("{bound}; the last reload failed: {error}")),
                }
                continue;
            }
            actor = node.panicked() => {
                log::error!(target: LOG, actor = actor; "stopped: a critical actor failed");
                return Ok(ExitCode::FAILURE);
            }
        };
        match signal {
            Signal::Stop(_) => break,
            Signal::Report => node.report(),
            Signal::Reload => {
                log::info!(target: LOG, file:% = file.display(); "reloading");
                notify.reloading();
                reloads.request();
            }
        }
    }
    notify.stopping(node.settings().shutdown_timeout);
    watchdog.abort();
    tokio::select! {
        _ = node.drain() => Ok(ExitCode::SUCCESS),
        signal = signals.next_stop() => {
            log::warn!(target: LOG, signal = signal; "stopped immediately, without closing the links");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// A configuration that was read for a running node.
enum Loaded {
    /// It can be adopted.
    Config {
        settings: Box<Prepared>,
        /// The log filter.
        log: String,
        warnings: Vec<Finding>,
    },
    /// The file, or one that it names, is wrong.
    Wrong(Vec<Finding>),
    /// The node cannot use it.
    Unusable(StartError),
}

impl Loaded {
    /// Reads the file, the files that it names, and prepares what takes long. Blocks its thread meanwhile.
    fn read(file: &Path, preparer: &Preparer) -> Self {
        match config::load(file) {
            Ok(Config { settings, log, warnings }) => match preparer.prepare(settings) {
                Ok(settings) => Self::Config { settings: Box::new(settings), log, warnings },
                Err(error) => Self::Unusable(error),
            },
            Err(findings) => Self::Wrong(findings),
        }
    }
}

/// Applies a configuration that was read. One with an error changes nothing.
///
/// # Errors
/// The first error, as a sentence.
fn adopt(node: &mut Node, loaded: Option<Loaded>, file: &Path) -> Result<(), String> {
    let (settings, log, warnings) = match loaded {
        Some(Loaded::Config { settings, log, warnings }) => (settings, log, warnings),
        Some(Loaded::Wrong(findings)) => {
            for finding in &findings {
                let level = if finding.is_warning() { log::Level::Warn } else { log::Level::Error };
                log::log!(target: LOG, level, "{finding:#}");
            }
            let mut errors = findings.iter().filter(|finding| !finding.is_warning());
            let first = errors.next().map(ToString::to_string).unwrap_or_default();
            log::error!(target: LOG, errors = errors.count() + 1; "reload failed: the node keeps its configuration");
            return Err(first);
        }
        Some(Loaded::Unusable(error)) => {
            log::error!(target: LOG, reason:% = error; "reload failed: the node keeps its configuration");
            return Err(error.to_string());
        }
        None => {
            let reason = "internal error of this node".to_owned();
            log::error!(target: LOG, reason = reason.as_str(); "reload failed: the node keeps its configuration");
            return Err(reason);
        }
    };
    warnings.iter().for_each(|warning| log::warn!(target: LOG, "{warning:#}"));
    let connections = |limits: &Limits| (limits.max_connections, limits.max_connections_unauthenticated);
    let before = connections(&node.settings().limits);
    for key in node.reload(*settings) {
        log::warn!(target: LOG, key = key; "changed, but needs a restart to take effect");
    }
    // The limit of the system was raised at the start, with a warning if it is too low.
    if connections(&node.settings().limits) != before {
        raise_file_limit(&node.settings().limits);
    }
    log::info!(target: LOG, file:% = file.display(); "reloaded");
    // Last, since the new filter may suppress the line above.
    crate::logging::set_filter(&log);
    Ok(())
}

/// Logs a warning for each certificate of the node that other servers refuse or will soon refuse.
fn check_certificates(settings: &Settings) {
    let configured: Vec<&Domain> = settings.names().collect();
    for (name, identity) in settings.served() {
        if !configured.contains(&&name) {
            continue;
        }
        for flaw in identity.iter().flat_map(|identity| certificate::flaws(identity, &name)) {
            log::warn!(target: LOG, name:% = name, flaw:% = flaw; "problem with our certificate");
        }
    }
}

/// Logs the last line of the start: the bound addresses, the domains and the components. Returns `ready` and
/// the addresses.
fn announce(node: &Node) -> String {
    let addresses = node.addresses().iter().map(|(kind, address)| format!("{kind}={address}"));
    let control = node.control().map(|path| format!("control={}", path.display()));
    let bound = addresses.chain(control).collect::<Vec<_>>().join(" ");
    let Settings { domains, components, .. } = node.settings();
    let domains = first_names(domains.iter().map(|domain| domain.name.as_str()));
    let components = components_in_words(components.iter().map(|component| component.names.as_slice()));
    log::info!(target: LOG, domains = domains.as_str(), components = components.as_str(); "ready {bound}");
    format!("ready {bound}")
}

/// The components as one log value, each with all its names: `irc.example.org+*.irc.example.org,bot.example.org`.
fn components_in_words<'a>(components: impl ExactSizeIterator<Item = &'a [Domain]>) -> String {
    let all_names = |names: &[Domain]| {
        let more = names.len().saturating_sub(MAX_NAMES_OF_ONE);
        let first = names.iter().take(MAX_NAMES_OF_ONE).map(Domain::as_str).collect::<Vec<_>>().join("+");
        if more > 0 { format!("{first}+{more} more") } else { first }
    };
    let named: Vec<String> = components.map(all_names).collect();
    first_names(named.iter().map(String::as_str))
}

/// The names as one log value: all of them, or the first ones and the number of the others.
fn first_names<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = names.len().saturating_sub(MAX_NAMES);
    let named = names.take(MAX_NAMES).collect::<Vec<_>>().join(",");
    match (named.as_str(), more) {
        ("", _) => "-".to_owned(),
        (_, 0) => named,
        (_, more) => format!("{named} and {more} more"),
    }
}

/// Notifies the watchdog of the service manager each time that the node has answered a heartbeat.
async fn notify_watchdog(notify: Rc<Notify>, heartbeat: Heartbeat) {
    let Some(interval) = notify.watchdog_interval() else { return };
    loop {
        heartbeat.beat().await;
        notify.watchdog();
        tokio::time::sleep(interval).await;
    }
}

const LOG: &str = "nuncio::node";

/// Maximum number of names of domains, and of components, in the log line `ready`.
const MAX_NAMES: usize = 20;

/// Maximum number of names of one component in that line.
const MAX_NAMES_OF_ONE: usize = 6;

/// Interval between checks of the certificates.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A stream that a peer opens and, since streams carry stanzas one way, one that the node opens in return.
const FILES_PER_CONNECTION: u64 = 2;

/// Listeners, components, DNS queries, verifications of dialback keys, and the runtime.
const OTHER_FILES: u64 = 1024;

#[cfg(test)]
mod tests {
    use super::{Domain, components_in_words, first_names};

    #[test]
    fn a_component_is_named_with_all_its_names() {
        let names =
            |names: &[&str]| names.iter().map(|name| Domain::named(name).unwrap()).collect::<Vec<_>>();
        let components = [names(&["irc.example", "*.irc.example"]), names(&["bot.example"])];
        let told = components_in_words(components.iter().map(Vec::as_slice));
        assert_eq!(told, "irc.example+*.irc.example,bot.example");
        let many = names(&["a.example"; 9]);
        assert!(components_in_words([many.as_slice()].into_iter()).ends_with("a.example+3 more"));
    }

    #[test]
    fn names_beyond_the_limit_are_counted() {
        assert_eq!(first_names(std::iter::empty::<&str>().collect::<Vec<_>>().into_iter()), "-");
        assert_eq!(first_names(["a.example", "b.example"].into_iter()), "a.example,b.example");
        assert!(first_names(["x"; 25].into_iter()).ends_with(",x and 5 more"));
    }
}
