//! Whether the DNS leads other servers from our domains to our listeners.

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

use super::machine;
use crate::config::{
    finding::{Said, Severity, Source},
    value,
};
use actors::settings::{Listen, Settings};
use net::dns::{Dns, Failure, Target};

/// Looks every domain and component up, as other servers do.
pub(super) fn look_up(source: &Source, settings: &Settings) {
    // What is wrong with the name servers was said; the system's are not meant then.
    if source.findings().iter().any(|finding| finding.title().starts_with("dns.")) {
        return;
    }
    let mut asked: Vec<&Domain> = settings.domains.iter().map(|domain| &domain.name).collect();
    let components = settings.components.iter().map(|component| &component.name);
    components.for_each(|name| {
        if !asked.contains(&name) {
            asked.push(name);
        }
    });
    asked.retain(|name| is_public(name.as_str()));
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let (Ok(dns), Ok(runtime)) = (Dns::new(&settings.dns), runtime) else { return };
    if asked.is_empty() {
        return;
    }
    let found = runtime.block_on(ask(&dns, &asked));
    for name in asked {
        let answer = found.iter().find(|(known, _)| known == name).map(|(_, answer)| answer);
        let own = settings.domains.iter().any(|domain| domain.name == *name);
        let (severity, said) = match answer {
            None => (Severity::Warning, not_asked(name)),
            Some(Err(failure)) => missing(failure, name, own),
            Some(Ok(places)) => match judge(places, &settings.listen) {
                Some(said) => (Severity::Warning, said),
                None => continue,
            },
        };
        tell(source, name, severity, said);
    }
}

/// Where the DNS leads: an address, and whether TLS begins at once there.
type Places = Vec<(SocketAddr, bool)>;

/// Asks for all of them, some at a time; those that took too long are missing.
async fn ask(dns: &Dns, names: &[&Domain]) -> Vec<(Domain, Result<Places, Failure>)> {
    let deadline = Instant::now() + LIMIT;
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut under_way = JoinSet::new();
    for name in names {
        let (dns, name, turns) = (dns.clone(), (*name).clone(), Arc::clone(&turns));
        under_way.spawn(async move {
            let _turn = turns.acquire().await;
            let answer = places(&dns, &name).await;
            (name, answer)
        });
    }
    let mut found = Vec::new();
    while let Ok(Some(answer)) = timeout_at(deadline, under_way.join_next()).await {
        found.extend(answer);
    }
    found
}

async fn places(dns: &Dns, name: &Domain) -> Result<Places, Failure> {
    let mut places = Vec::new();
    let mut failure = None;
    for Target { host, port, direct_tls, .. } in dns.service(name).await? {
        match dns.addresses(&host).await {
            Ok(addresses) => {
                places.extend(addresses.into_iter().map(|ip| (SocketAddr::new(ip, port), direct_tls)));
            }
            Err(why) => failure = Some(why),
        }
    }
    match failure {
        Some(failure) if places.is_empty() => Err(failure),
        _ => Ok(places),
    }
}

/// What is wrong when no way leads to a listener of ours.
fn judge(places: &Places, listen: &Listen) -> Option<Said> {
    let leads_here = |(address, direct): &(SocketAddr, bool)| {
        // The sockets for STARTTLS take a stream that begins with TLS too.
        let listeners = listen.s2s.iter().chain(listen.s2s_tls.iter().filter(|_| *direct));
        listeners.into_iter().any(|listener| {
            let all = listener.ip().is_unspecified() && listener.is_ipv4() == address.is_ipv4();
            listener.port() == address.port()
                && (listener.ip() == address.ip() || all && machine::has(address.ip()))
        })
    };
    if places.iter().any(leads_here) {
        return None;
    }
    let ours: Vec<IpAddr> =
        places.iter().map(|(place, _)| place.ip()).filter(|ip| machine::has(*ip)).collect();
    let mut told: Vec<String> = places.iter().map(|(place, _)| place.to_string()).collect();
    told.sort();
    told.dedup();
    told.truncate(MOST_TOLD);
    let told = told.join(", ");
    Some(match ours.first() {
        Some(_) => Said::with_help(
            format!("DNS records point to {told}, where this node does not listen for servers"),
            format!("it listens for servers at {}: change the record, or [listen]", listeners(listen)),
        ),
        None => Said::with_help(
            format!("DNS records point to {told}, which is not this machine"),
            "correct behind NAT or a proxy that forwards to this machine; otherwise change the record",
        ),
    })
}

fn listeners(listen: &Listen) -> String {
    let all: Vec<String> = listen.s2s.iter().chain(&listen.s2s_tls).map(SocketAddr::to_string).collect();
    if all.is_empty() { "no address".to_owned() } else { all.join(", ") }
}

fn missing(failure: &Failure, name: &Domain, own: bool) -> (Severity, Said) {
    let record = format!(
        "publish `_xmpp-server._tcp.{name}. SRV 0 0 5269 HOST.`, where HOST is this machine's name in the DNS"
    );
    match failure {
        // A component may well be for the programs of this machine alone.
        failure if failure.is_definitive() => {
            let severity = if own { Severity::Warning } else { Severity::Note };
            (
                severity,
                Said::with_help(format!("no DNS record for {name}: other servers cannot find it"), record),
            )
        }
        Failure::NoAddress { .. } => (
            Severity::Warning,
            Said::with_help(
                format!("{failure}, and the records of {name} lead there: other servers do not reach it"),
                "publish its A or AAAA record",
            ),
        ),
        _ => {
            (Severity::Warning, Said::from(format!("{failure}: the DNS records of {name} were not checked")))
        }
    }
}

fn not_asked(name: &Domain) -> Said {
    Said::with_help(
        format!("no DNS answer for {name} within {} s", LIMIT.as_secs()),
        "check again later, or skip it with --offline",
    )
}

fn tell(source: &Source, name: &Domain, severity: Severity, said: Said) {
    let places = source.places(&["domain.name", "component.name"]);
    let place = places.into_iter().find(|place| value::domain(&place.value).as_ref() == Ok(name));
    if let Some(place) = place {
        source.find(severity, place.span, &place.key, said);
    }
}

/// Whether others could ever look it up.
fn is_public(name: &str) -> bool {
    name.contains('.')
        && !name.ends_with(".localhost")
        && name.parse::<IpAddr>().is_err()
        && !name.starts_with('[')
}

/// For all names together: somebody waits.
const LIMIT: Duration = Duration::from_secs(10);

/// Polite to a small name server.
const AT_ONCE: usize = 16;

/// Addresses that a line names.
const MOST_TOLD: usize = 4;
