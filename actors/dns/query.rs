//! Single questions, and the library behind them.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::time;
use trust_dns_resolver::{
    Resolver, TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig},
    lookup::Lookup,
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
    proto::{
        op::ResponseCode,
        rr::{Name, RData, RecordType, rdata::SRV},
    },
    system_conf,
};

use super::{Asked, Dns, Failure, Question, Target};

/// What a question brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<T> {
    /// At least one.
    Records(Vec<T>),
    /// The name exists and has none.
    NoData,
    /// The name does not exist.
    NoName,
}

/// What a domain says of one service.
#[derive(Debug)]
pub(super) enum Offer {
    /// Here; at least one.
    Targets(Vec<Target>),
    /// It says that there is none: target `.` (RFC 2782).
    Nothing,
    /// It says nothing.
    Unsaid,
}

impl Dns {
    /// Asks for the SRV records of `service` at `domain`.
    pub(super) async fn offer(
        &self,
        service: &str,
        domain: &str,
        direct_tls: bool,
    ) -> Result<Offer, Failure> {
        let Found::Records(records) = self.ask(&format!("{service}.{domain}"), RecordType::SRV, srv).await?
        else {
            return Ok(Offer::Unsaid);
        };
        let targets: Vec<_> = records
            .into_iter()
            .filter(|record| !record.target.is_root())
            .map(|record| Target {
                host: without_dot(&record.target),
                port: record.port,
                direct_tls,
                priority: record.priority,
                weight: record.weight,
                from_srv: true,
            })
            .collect();
        Ok(if targets.is_empty() { Offer::Nothing } else { Offer::Targets(targets) })
    }

    /// Asks for IPv6 addresses.
    pub(super) async fn ipv6(&self, host: &str) -> Result<Found<IpAddr>, Failure> {
        self.ask(host, RecordType::AAAA, |data| match data {
            RData::AAAA(address) => Some(IpAddr::V6(address.0)),
            _ => None,
        })
        .await
    }

    /// Asks for IPv4 addresses.
    pub(super) async fn ipv4(&self, host: &str) -> Result<Found<IpAddr>, Failure> {
        self.ask(host, RecordType::A, |data| match data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            _ => None,
        })
        .await
    }

    async fn ask<T>(
        &self,
        name: &str,
        kind: RecordType,
        read: impl Fn(&RData) -> Option<T>,
    ) -> Result<Found<T>, Failure> {
        // With a final dot the name is complete, and the system's search list stays out of it.
        let name = name.trim_end_matches('.');
        // What is too long for the DNS cannot be in it.
        let Ok(absolute) = Name::from_ascii(format!("{name}.")) else { return Ok(Found::NoName) };
        let lookup = time::timeout(self.timeout, self.look_up(absolute, kind)).await;
        let lookup = lookup.unwrap_or(Err(NetError::Timeout));
        self.show(|| Asked::new(name, kind.into(), &lookup, self.timeout));
        match lookup {
            Ok(lookup) => {
                let records: Vec<T> =
                    lookup.answers().iter().filter_map(|record| read(&record.data)).collect();
                Ok(if records.is_empty() { Found::NoData } else { Found::Records(records) })
            }
            Err(NetError::Dns(DnsError::NoRecordsFound(none))) => match none.response_code {
                ResponseCode::NXDomain => Ok(Found::NoName),
                _ => Ok(Found::NoData),
            },
            Err(error) => {
                let question = Question { name: name.to_owned(), kind: kind.into() };
                Err(Failure::new(&error, question, self.timeout))
            }
        }
    }

    /// Asks, and finds SRV records behind an alias too.
    ///
    /// COMPAT: hickory-resolver 0.26 takes an answer of CNAME and SRV, which is what every recursive server sends, for
    /// incomplete, and asks the SRV *target* for SRV records. So a question that failed is followed up by hand.
    async fn look_up(&self, mut name: Name, kind: RecordType) -> Result<Lookup, NetError> {
        for _ in 0..MOST_ALIASES {
            let error = match self.ask_servers(name.clone(), kind).await {
                Err(error) if kind == RecordType::SRV && strayed(&error, &name) => error,
                answer => return answer,
            };
            match self.alias(&name).await {
                Some(alias) => name = alias,
                None => return Err(error),
            }
        }
        self.ask_servers(name, kind).await
    }

    /// Asks all name servers at once and, when that brings an error, one after the other: the library takes the first
    /// "no" that arrives for the answer of all, and a server that knows nothing is the quickest to say so.
    async fn ask_servers(&self, name: Name, kind: RecordType) -> Result<Lookup, NetError> {
        let answer = self.resolver.lookup(name.clone(), kind).await;
        if is_refusal(&answer) {
            for resolver in &*self.singly {
                let answer = resolver.lookup(name.clone(), kind).await;
                if !is_refusal(&answer) {
                    return answer;
                }
            }
        }
        answer
    }

    async fn alias(&self, name: &Name) -> Option<Name> {
        let lookup = self.ask_servers(name.clone(), RecordType::CNAME).await;
        self.show(|| Asked::new(&name.to_ascii(), RecordType::CNAME.into(), &lookup, self.timeout));
        let lookup = lookup.ok()?;
        lookup.answers().iter().find_map(|record| match &record.data {
            RData::CNAME(alias) => Some(alias.0.clone()),
            _ => None,
        })
    }
}

/// Makes the library ready to ask `servers`, with one query's retries inside its `timeout`.
pub(super) fn resolver(servers: Vec<NameServerConfig>, timeout: Duration) -> Result<TokioResolver, NetError> {
    let config = ResolverConfig::from_parts(None, Vec::new(), servers);
    let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options = builder.options_mut();
    options.ndots = 0;
    // Each attempt repeats its datagram several times.
    options.attempts = 1;
    options.timeout = timeout / 2;
    options.cache_size = CACHED_ANSWERS;
    options.positive_max_ttl = Some(LONGEST_CACHED);
    options.negative_max_ttl = Some(LONGEST_NEGATIVE);
    options.negative_min_ttl = Some(SHORTEST_NEGATIVE);
    builder.build()
}

/// The name servers of the settings, or those of the system; at least one.
pub(super) fn servers(configured: &[SocketAddr]) -> Vec<NameServerConfig> {
    if configured.is_empty() { system_servers() } else { configured.iter().copied().map(server).collect() }
}

/// Where name servers take datagrams.
pub(super) fn datagrams(servers: &[NameServerConfig]) -> Arc<[SocketAddr]> {
    let port =
        |server: &NameServerConfig| server.connections.first().map_or(DNS_PORT, |connection| connection.port);
    servers.iter().map(|server| SocketAddr::new(server.ip, port(server))).collect()
}

fn system_servers() -> Vec<NameServerConfig> {
    match system_conf::read_system_conf() {
        Ok((config, _)) => config.name_servers().to_vec(),
        Err(error) => {
            // What the C library does too (resolv.conf(5)).
            log::warn!(target: "nuncio::dns", "{error}, asking a name server on this machine");
            vec![server(SocketAddr::from((Ipv4Addr::LOCALHOST, DNS_PORT)))]
        }
    }
}

fn server(address: SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.into())
}

fn srv(data: &RData) -> Option<SRV> {
    match data {
        RData::SRV(record) => Some(record.clone()),
        _ => None,
    }
}

/// Whether a name server answered, and with an error.
fn is_refusal(answer: &Result<Lookup, NetError>) -> bool {
    matches!(answer, Err(NetError::Dns(DnsError::ResponseCode(_))))
}

/// Whether the library may have failed at another name than the one it was asked for.
fn strayed(error: &NetError, name: &Name) -> bool {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => none.query.name() != name,
        // It does not say of which name.
        NetError::Dns(DnsError::ResponseCode(_)) => true,
        _ => false,
    }
}

fn without_dot(name: &Name) -> String {
    name.to_ascii().trim_end_matches('.').to_ascii_lowercase()
}

/// An alias of an alias is a mistake (RFC 1034 section 3.6.2), and is met.
const MOST_ALIASES: usize = 4;

/// A handful for each of the domains that a busy node talks to. Some 10 MB at worst.
const CACHED_ANSWERS: u64 = 8192;

/// Whoever moves a service should not have to wait for more than a day, whatever the records said.
const LONGEST_CACHED: Duration = Duration::from_secs(24 * 3600);

/// RFC 2308 section 5 finds one to three hours sensible. New domains wait for this.
const LONGEST_NEGATIVE: Duration = Duration::from_secs(15 * 60);

/// For a "no" that does not say how long it holds: enough for the burst of stanzas that led to it.
const SHORTEST_NEGATIVE: Duration = Duration::from_secs(5);

const DNS_PORT: u16 = 53;
