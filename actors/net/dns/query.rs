//! Single questions, and the library behind them.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::time;
use trust_dns_resolver::{
    Resolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig},
    lookup::Lookup,
    net::{DnsError, NetError},
    proto::{
        op::ResponseCode,
        rr::{Name, RData, RecordType, rdata::SRV},
    },
    system_conf,
};

use super::{
    Asked, Dns, Failure, MOST_ADDRESSES, Question,
    answer::{Found, Offer},
    kept::{Kept, KnownAnswers},
    order,
    stream::Sockets,
};

impl Question {
    /// A question about `name`, with or without final dot.
    pub fn new(mut name: String, kind: RecordType) -> Self {
        name.truncate(name.trim_end_matches('.').len());
        Self { name, kind: kind.into() }
    }
}

impl Dns {
    /// Asks for the SRV records of `service` at `domain`.
    pub(super) async fn offer(
        &self,
        service: &str,
        domain: &str,
        direct_tls: bool,
        sheet: &KnownAnswers,
    ) -> Result<Offer, Failure> {
        let question = Question::new(format!("{service}.{domain}"), RecordType::SRV);
        if let Some(known) = sheet.offer(&question) {
            return Ok(known);
        }
        let (found, ttl) = self.ask(&question, RecordType::SRV, srv).await?;
        let offer = match found {
            Found::Records(records) => match order::best(records, direct_tls) {
                targets if targets.is_empty() => Offer::Nothing,
                targets => Offer::Targets(targets),
            },
            Found::NoData | Found::NoName => Offer::Unsaid,
        };
        sheet.learn(question, Kept::Offer(offer.clone()), ttl);
        Ok(offer)
    }

    /// Asks for IPv6 addresses.
    pub(super) async fn ipv6(&self, host: &str, sheet: &KnownAnswers) -> Result<Found<IpAddr>, Failure> {
        self.family(host, RecordType::AAAA, sheet, |data| match data {
            RData::AAAA(address) => Some(IpAddr::V6(address.0)),
            _ => None,
        })
        .await
    }

    /// Asks for IPv4 addresses.
    pub(super) async fn ipv4(&self, host: &str, sheet: &KnownAnswers) -> Result<Found<IpAddr>, Failure> {
        self.family(host, RecordType::A, sheet, |data| match data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            _ => None,
        })
        .await
    }

    async fn family(
        &self,
        host: &str,
        kind: RecordType,
        sheet: &KnownAnswers,
        read: impl Fn(&RData) -> Option<IpAddr>,
    ) -> Result<Found<IpAddr>, Failure> {
        let question = Question::new(host.to_owned(), kind);
        if let Some(known) = sheet.addresses(&question) {
            return Ok(known);
        }
        let (found, ttl) = self.ask(&question, kind, read).await?;
        let found = match found {
            Found::Records(addresses) => Found::Records(order::some(addresses, MOST_ADDRESSES)),
            nothing => nothing,
        };
        sheet.learn(question, Kept::Addresses(found.clone()), ttl);
        Ok(found)
    }

    /// Asks the name servers. Gives the answer, and for how long it holds.
    async fn ask<T>(
        &self,
        question: &Question,
        kind: RecordType,
        read: impl Fn(&RData) -> Option<T>,
    ) -> Result<(Found<T>, Duration), Failure> {
        // With a final dot the name is complete, and the system's search list stays out of it.
        // What is too long for the DNS cannot be in it.
        let Ok(absolute) = Name::from_ascii(format!("{}.", question.name)) else {
            return Ok((Found::NoName, Duration::ZERO));
        };
        let mut alias_ttl = u32::MAX;
        let lookup = time::timeout(self.timeout, self.look_up(absolute, kind, &mut alias_ttl)).await;
        let lookup = lookup.unwrap_or(Err(NetError::Timeout));
        self.show(|| Asked::new(question.clone(), &lookup, self.timeout));
        match lookup {
            Ok(lookup) => {
                let answers = lookup.answers();
                let ttl = answers.iter().map(|record| record.ttl).min().unwrap_or_default().min(alias_ttl);
                let records: Vec<T> = answers.iter().filter_map(|record| read(&record.data)).collect();
                let found = if records.is_empty() { Found::NoData } else { Found::Records(records) };
                Ok((found, Duration::from_secs(ttl.into()).min(LONGEST_CACHED)))
            }
            Err(NetError::Dns(DnsError::NoRecordsFound(none))) => {
                let ttl = none.negative_ttl.map_or(SHORTEST_NEGATIVE, |ttl| Duration::from_secs(ttl.into()));
                let found = match none.response_code {
                    ResponseCode::NXDomain => Found::NoName,
                    _ => Found::NoData,
                };
                Ok((found, ttl.clamp(SHORTEST_NEGATIVE, LONGEST_NEGATIVE)))
            }
            Err(error) => Err(Failure::new(&error, question.clone(), self.timeout)),
        }
    }

    /// Asks, and finds SRV records behind an alias too.
    ///
    /// COMPAT: hickory-resolver 0.26 takes an answer of CNAME and SRV, which is what every recursive server sends, for
    /// incomplete, and asks the SRV *target* for SRV records. So a question that failed is followed up by hand.
    /// `ttl` becomes the least of the aliases that were followed.
    async fn look_up(&self, mut name: Name, kind: RecordType, ttl: &mut u32) -> Result<Lookup, NetError> {
        for _ in 0..MOST_ALIASES {
            let error = match self.ask_servers(name.clone(), kind).await {
                Err(error) if kind == RecordType::SRV && strayed(&error, &name) => error,
                answer => return answer,
            };
            match self.alias(&name).await {
                Some((alias, alias_ttl)) => {
                    name = alias;
                    *ttl = alias_ttl.min(*ttl);
                }
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

    async fn alias(&self, name: &Name) -> Option<(Name, u32)> {
        let lookup = self.ask_servers(name.clone(), RecordType::CNAME).await;
        self.show(|| Asked::new(Question::new(name.to_ascii(), RecordType::CNAME), &lookup, self.timeout));
        let lookup = lookup.ok()?;
        lookup.answers().iter().find_map(|record| match &record.data {
            RData::CNAME(alias) => Some((alias.0.clone(), record.ttl)),
            _ => None,
        })
    }
}

/// Makes the library ready to ask `servers`, with one query's retries inside its `timeout`.
pub(super) fn resolver(
    servers: Vec<NameServerConfig>,
    timeout: Duration,
) -> Result<Resolver<Sockets>, NetError> {
    let config = ResolverConfig::from_parts(None, Vec::new(), servers);
    let mut builder = Resolver::builder_with_config(config, Sockets::default());
    let options = builder.options_mut();
    options.ndots = 0;
    // Each attempt repeats its datagram several times.
    options.attempts = 1;
    options.timeout = timeout / 2;
    // The library's cache counts answers, whatever their size, and keeps them whole. The resolver's is bounded in bytes.
    options.cache_size = 0;
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

/// An alias of an alias is a mistake (RFC 1034 section 3.6.2), and is met.
const MOST_ALIASES: usize = 4;

/// Whoever moves a service should not have to wait for more than a day, whatever the records said.
const LONGEST_CACHED: Duration = Duration::from_secs(24 * 3600);

/// RFC 2308 section 5 finds one to three hours sensible. New domains wait for this.
const LONGEST_NEGATIVE: Duration = Duration::from_secs(15 * 60);

/// For a "no" that does not say how long it holds: enough for the burst of stanzas that led to it.
const SHORTEST_NEGATIVE: Duration = Duration::from_secs(5);

const DNS_PORT: u16 = 53;
