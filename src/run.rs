//! `nuncio run`: configuration, logging, start, wait for a signal, drain.

mod signals;

use std::{mem, path::Path, process::ExitCode, rc::Rc, time::Duration};

use actix_rt::System;
use tokio::time;

use self::signals::{Signals, Told};
use crate::{
    config::{self, Config},
    notify::Notify,
    output,
};
use actors::{
    Node,
    node::heartbeat::Heartbeat,
    settings::{Limits, Settings},
};
use net::certificate;

/// Runs a node with the configuration in `file` until it is told to stop.
pub(crate) fn run(file: &Path) -> ExitCode {
    let config = match config::load(file) {
        Ok(config) => config,
        Err(findings) => {
            findings.iter().for_each(output::complain);
            return ExitCode::FAILURE;
        }
    };
    crate::logging::start(&config.log);
    make_room_for_files(&config.settings.limits);
    config.warnings.iter().for_each(|warning| log::warn!(target: LOG, "{warning:#}"));

    let system = System::new();
    let served = system.block_on(serve(config, file));
    // Dropping it would wait for name lookups that still run.
    mem::forget(system);
    match served {
        Ok(code) => code,
        Err(sentence) => {
            output::complain(format_args!("nuncio: {sentence}"));
            ExitCode::FAILURE
        }
    }
}

/// Lets the process open as many files as the system allows. Says so when that is too few for the strangers of
/// `[limits]`, or when it bounds the connections before `max_connections` does.
fn make_room_for_files(limits: &Limits) {
    let wanted = |connections: usize| (connections as u64).saturating_mul(FILES_PER_CONNECTION) + OTHER_FILES;
    let least = limits.max_connections.min(limits.max_connections_unauthenticated);
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(allowed) if allowed >= wanted(limits.max_connections) => {}
        Ok(allowed) if allowed >= wanted(least) => log::info!(
            target: LOG, allowed = allowed, wanted = wanted(limits.max_connections);
            "the limit of open files is reached before max_connections = {}: for more links raise the hard limit \
             (ulimit -Hn, LimitNOFILE)",
            limits.max_connections
        ),
        Ok(allowed) => log::warn!(
            target: LOG, allowed = allowed, wanted = wanted(least);
            "too few files may be open for {least} connections that have not authenticated: raise the hard limit \
             (ulimit -Hn, LimitNOFILE), or lower limits.max_connections_unauthenticated"
        ),
        Err(error) => log::warn!(target: LOG, reason:% = error; "the number of open files cannot be raised"),
    }
}

/// Starts the node and serves until a signal, or until the node is of no use any more.
async fn serve(config: Config, file: &Path) -> Result<ExitCode, String> {
    let mut signals = Signals::listen(config.settings.shutdown_timeout)
        .map_err(|error| format!("cannot wait for signals: {error}"))?;
    let notify = Rc::new(Notify::of_environment());
    let mut node = Node::start(config.settings).await.map_err(|error| error.to_string())?;
    let bound = announce(&node);
    notify.ready(&bound);
    signals.account_is(node.account().await);
    let watchdog = actix_rt::spawn(live(Rc::clone(&notify), node.heartbeat()));

    // At the start and on a reload the configuration's own warnings say it.
    let mut days = time::interval_at(time::Instant::now() + DAY, DAY);
    loop {
        let signal = tokio::select! {
            signal = signals.next() => signal,
            _ = days.tick() => {
                look_at_certificates(node.settings());
                continue;
            }
            dead = node.panicked() => {
                log::error!(target: LOG, actor = dead; "stopped: an actor that the node cannot live without has failed");
                return Ok(ExitCode::FAILURE);
            }
        };
        match signal {
            Told::Stop(_) => break,
            Told::Report => node.report(),
            Told::Reload => {
                notify.reloading();
                let outcome = reload(&mut node, file);
                signals.stop_within(node.settings().shutdown_timeout);
                match outcome {
                    Ok(()) => notify.ready(&bound),
                    Err(mistake) => notify.ready(&format!("{bound}; the last reload failed: {mistake}")),
                }
            }
        }
    }
    notify.stopping(node.settings().shutdown_timeout);
    watchdog.abort();
    tokio::select! {
        () = node.drain() => Ok(ExitCode::SUCCESS),
        why = signals.stop() => {
            log::warn!(target: LOG, signal = why; "stopped at once, without waiting for the links");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Reads the configuration again and has the node go on by it; a file with a mistake changes nothing.
///
/// # Errors
/// The first mistake, in a sentence.
fn reload(node: &mut Node, file: &Path) -> Result<(), String> {
    let config = match config::load(file) {
        Ok(config) => config,
        Err(findings) => {
            for finding in &findings {
                let level = if finding.is_warning() { log::Level::Warn } else { log::Level::Error };
                log::log!(target: LOG, level, "{finding:#}");
            }
            let mut mistakes = findings.iter().filter(|finding| !finding.is_warning());
            let first = mistakes.next().map(ToString::to_string).unwrap_or_default();
            log::error!(target: LOG, mistakes = mistakes.count() + 1; "not reloaded: the configuration stays as it was");
            return Err(first);
        }
    };
    config.warnings.iter().for_each(|warning| log::warn!(target: LOG, "{warning:#}"));
    match node.reload(config.settings) {
        Ok(fixed) => {
            for key in fixed {
                log::warn!(target: LOG, key = key; "changed, but needs a restart to take effect");
            }
            make_room_for_files(&node.settings().limits);
            log::info!(target: LOG, file:% = file.display(); "reloaded");
            // The new level may leave out the line that says so.
            crate::logging::adopt(&config.log);
            Ok(())
        }
        Err(error) => {
            log::error!(target: LOG, reason:% = error; "not reloaded: the configuration stays as it was");
            Err(error.to_string())
        }
    }
}

/// Warns of what other servers hold against our certificates, or soon will.
fn look_at_certificates(settings: &Settings) {
    for (name, identity) in actors::node::identities(settings) {
        for flaw in identity.iter().flat_map(|identity| certificate::flaws(identity, &name)) {
            log::warn!(target: LOG, name:% = name, flaw:% = flaw; "problem with our certificate");
        }
    }
}

/// Logs the last line of the start, for which those wait who wait for the node: the addresses that are bound, and the
/// domains and components that are served. Answers the first part.
fn announce(node: &Node) -> String {
    let addresses = node.addresses().iter().map(|(kind, address)| format!("{kind}={address}"));
    let control = node.control().map(|path| format!("control={}", path.display()));
    let bound = addresses.chain(control).collect::<Vec<_>>().join(" ");
    let Settings { domains, components, .. } = node.settings();
    let domains = few(domains.iter().map(|domain| domain.name.as_str()));
    let components = few(components.iter().map(|component| component.name.as_str()));
    log::info!(target: LOG, domains = domains.as_str(), components = components.as_str(); "ready {bound}");
    format!("ready {bound}")
}

/// Names in one value of the log: all of them, or the first ones and how many there are besides.
fn few<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = names.len().saturating_sub(NAMED);
    let named = names.take(NAMED).collect::<Vec<_>>().join(",");
    match (named.as_str(), more) {
        ("", _) => "-".to_owned(),
        (_, 0) => named,
        (_, more) => format!("{named} and {more} more"),
    }
}

/// Gives the service manager its signs of life, each after a beat of the node.
async fn live(notify: Rc<Notify>, heartbeat: Heartbeat) {
    let Some(rhythm) = notify.rhythm() else { return };
    loop {
        heartbeat.beat().await;
        notify.alive();
        tokio::time::sleep(rhythm).await;
    }
}

const LOG: &str = "nuncio::node";

/// Names of domains, and of components, in the line that says that the node is ready.
const NAMED: usize = 20;

/// How often our certificates are looked at while nobody reloads.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A stream that we accept and, since streams are one-way, the one that we open in return.
const FILES_PER_CONNECTION: u64 = 2;

/// Listeners, components, questions to name servers, call-backs, the runtime itself.
const OTHER_FILES: u64 = 1024;

#[cfg(test)]
mod tests {
    use super::few;

    #[test]
    fn many_names_are_counted() {
        assert_eq!(few(std::iter::empty::<&str>().collect::<Vec<_>>().into_iter()), "-");
        assert_eq!(few(["a.example", "b.example"].into_iter()), "a.example,b.example");
        assert!(few(["x"; 25].into_iter()).ends_with(",x and 5 more"));
    }
}
