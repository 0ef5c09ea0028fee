//! Checks whether the DNS records of the domains lead remote servers to the listeners of the node.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    runtime,
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, timeout_at},
};
use xmpp::Domain;

use super::addresses;
use crate::config::{
    finding::{Finding, Message, Severity},
    source::Source,
    value,
};
use actors::settings::{Listen, Settings};
use net::{
    dns::{Dns, LookupError, Target},
    network::Network,
};

/// Looks up every domain and component as remote servers do, and adds findings.
pub(super) fn check(source: &Source, settings: &Settings) {
    // If [dns] is wrong, the name servers to ask are not known.
    if source.findings().iter().any(|finding: &Finding| finding.is_in_section("dns")) {
        return;
    }
    let mut names: Vec<&Domain> = settings.domains.iter().map(|domain| &domain.name).collect();
    let components = settings.components.iter().flat_map(|component| &component.names);
    components.for_each(|name| {
        if !names.contains(&name) {
            names.push(name);
        }
    });
    // The domains of a wildcard are not known.
    names.retain(|name| is_public(name.as_str()) && !name.is_wildcard());
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let (Ok(dns), Ok(runtime)) = (Dns::new(&settings.dns, &Network::System), runtime) else { return };
    if names.is_empty() {
        return;
    }
    let found = runtime.block_on(look_up(&dns, &names));
    let (mut silent, mut late) = (Vec::new(), Vec::new());
    for name in names {
        let answer = found.iter().find(|(known, _)| known == name).map(|(_, answer)| answer);
        let is_domain = settings.domains.iter().any(|domain| domain.name == *name);
        let (severity, message) = match answer {
            None => {
                late.push(name);
                continue;
            }
            Some(Err(failure @ LookupError::Silent { .. })) => {
                silent.push((name, failure));
                continue;
            }
            Some(Err(failure)) => explain(failure, name, is_domain),
            Some(Ok(targets)) => match compare(targets, &settings.listen) {
                Some(message) => (Severity::Warning, message),
                None => continue,
            },
        };
        add(source, name, severity, message);
    }
    // Name servers that do not answer are one problem, not one for each domain.
    if let Some((first, failure)) = silent.first() {
        let names: Vec<&Domain> = silent.iter().map(|(name, _)| *name).collect();
        let text = format!("{failure}: the DNS records of {} were not checked", few(&names));
        add(source, first, Severity::Warning, Message::with_help(text, SKIP));
    }
    if let Some(first) = late.first() {
        let text = format!("no DNS answer for {} within {} s", few(&late), TIMEOUT.as_secs());
        add(source, first, Severity::Warning, Message::with_help(text, SKIP));
    }
}

/// Some of the names, and how many more there are.
fn few(names: &[&Domain]) -> String {
    let shown: Vec<&str> = names.iter().take(MAX_SHOWN).map(|name| name.as_str()).collect();
    match names.len().saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// The addresses in the DNS, each with whether it is for direct TLS.
type Targets = Vec<(SocketAddr, bool)>;

/// Looks up all names, [`CONCURRENT`] at a time. Names without an answer within [`TIMEOUT`] are left out.
async fn look_up(dns: &Dns, names: &[&Domain]) -> Vec<(Domain, Result<Targets, LookupError>)> {
    let deadline = Instant::now() + TIMEOUT;
    let slots = Arc::new(Semaphore::new(CONCURRENT));
    let mut running = JoinSet::new();
    for name in names {
        let (dns, name, slots) = (dns.clone(), (*name).clone(), Arc::clone(&slots));
        running.spawn(async move {
            let _slot = slots.acquire().await;
            let answer = targets(&dns, &name).await;
            (name, answer)
        });
    }
    let mut found = Vec::new();
    while let Ok(Some(answer)) = timeout_at(deadline, running.join_next()).await {
        found.extend(answer);
    }
    found
}

async fn targets(dns: &Dns, name: &Domain) -> Result<Targets, LookupError> {
    let mut targets = Vec::new();
    let mut failure = None;
    for Target { host, port, direct_tls, .. } in dns.service(name).await? {
        match dns.addresses(&host).await {
            Ok(addresses) => {
                targets.extend(addresses.into_iter().map(|ip| (SocketAddr::new(ip, port), direct_tls)));
            }
            Err(error) => failure = Some(error),
        }
    }
    match failure {
        Some(failure) if targets.is_empty() => Err(failure),
        _ => Ok(targets),
    }
}

/// The problem if no target is a listener of the node; `None` if one is.
fn compare(targets: &Targets, listen: &Listen) -> Option<Message> {
    let is_ours = |(address, direct): &(SocketAddr, bool)| {
        // The listeners for STARTTLS accept direct TLS too.
        let listeners = listen.s2s.iter().chain(listen.s2s_tls.iter().filter(|_| *direct));
        listeners.into_iter().any(|listener| {
            let all = listener.ip().is_unspecified() && listener.is_ipv4() == address.is_ipv4();
            listener.port() == address.port()
                && (listener.ip() == address.ip() || all && addresses::is_local(address.ip()))
        })
    };
    if targets.iter().any(is_ours) {
        return None;
    }
    let on_this_machine = targets.iter().any(|(address, _)| addresses::is_local(address.ip()));
    let mut shown: Vec<String> = targets.iter().map(|(address, _)| address.to_string()).collect();
    shown.sort();
    shown.dedup();
    shown.truncate(MAX_SHOWN);
    let shown = shown.join(", ");
    Some(if on_this_machine {
        Message::with_help(
            format!("DNS records point to {shown}, where this node does not listen for servers"),
            format!("it listens for servers at {}: change the record, or [listen]", listeners(listen)),
        )
    } else {
        Message::with_help(
            format!("DNS records point to {shown}, which is not this machine"),
            "this is correct behind NAT or a proxy that forwards to this machine; otherwise change the record",
        )
    })
}

fn listeners(listen: &Listen) -> String {
    let all: Vec<String> = listen.s2s.iter().chain(&listen.s2s_tls).map(SocketAddr::to_string).collect();
    if all.is_empty() { "no address".to_owned() } else { all.join(", ") }
}

/// The finding for a name that cannot be looked up.
fn explain(failure: &LookupError, name: &Domain, is_domain: bool) -> (Severity, Message) {
    let record = format!(
        "publish `_xmpp-server._tcp.{name}. SRV 0 0 5269 HOST.`, where HOST is this machine's name in the DNS"
    );
    match failure {
        // A component may be for senders on this node only.
        failure if failure.is_definitive() => {
            let severity = if is_domain { Severity::Warning } else { Severity::Note };
            (
                severity,
                Message::with_help(format!("no DNS record for {name}: other servers cannot find it"), record),
            )
        }
        LookupError::NoAddress { .. } => (
            Severity::Warning,
            Message::with_help(
                format!("{failure}, but the SRV record of {name} points to it: other servers cannot connect"),
                "publish an A or AAAA record for it",
            ),
        ),
        _ => (
            Severity::Warning,
            Message::from(format!("{failure}: the DNS records of {name} were not checked")),
        ),
    }
}

fn add(source: &Source, name: &Domain, severity: Severity, message: Message) {
    let values = source.values(&["domain.name", "component.name", "component.names"]);
    let value = values.into_iter().find(|value| value::domain(&value.text).as_ref() == Ok(name));
    if let Some(value) = value {
        source.add(severity, value.span, &value.key, message);
    }
}

/// Whether a name can be in the public DNS.
fn is_public(name: &str) -> bool {
    name.contains('.')
        && !name.ends_with(".localhost")
        && name.parse::<IpAddr>().is_err()
        && !name.starts_with('[')
}

/// Time for all names together; the operator waits for it.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Look-ups at the same time, few enough for a small name server.
const CONCURRENT: usize = 16;

const SKIP: &str = "check again later, or skip the DNS with --offline";

/// Maximum number of addresses, or of names, in a finding.
const MAX_SHOWN: usize = 4;
