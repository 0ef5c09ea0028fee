//! Sends single questions through the resolver library.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::time;
use trust_dns_resolver::{
    Resolver,
    config::{ConnectionConfig, NameServerConfig, ProtocolConfig, ResolverConfig},
    lookup::Lookup,
    net::{DnsError, NetError},
    proto::{
        op::ResponseCode,
        rr::{Name, RData, RecordType, rdata::SRV},
    },
    system_conf,
};

use super::{
    Dns, Exchange, LookupError, MOST_ADDRESSES, Question,
    answer::{Found, Offer},
    bounded_tcp::Sockets,
    known_answers::{CachedAnswer, KnownAnswers},
    selection,
};
use crate::network::Network;

impl Dns {
    /// Asks for the SRV records of `service` at `domain`, such as `_xmpp-server._tcp`.
    pub(super) async fn offer(
        &self,
        service: &str,
        domain: &str,
        direct_tls: bool,
        known: &KnownAnswers,
    ) -> Result<Offer, LookupError> {
        let question = Question::new(format!("{service}.{domain}"), RecordType::SRV);
        if let Some(known) = known.offer(&question) {
            return Ok(known);
        }
        let (found, ttl) = self.ask(&question, RecordType::SRV, srv).await?;
        let offer = match found {
            Found::Records(records) => match selection::best_targets(records, direct_tls) {
                targets if targets.is_empty() => Offer::Nothing,
                targets => Offer::Targets(targets),
            },
            Found::NoData | Found::NoName => Offer::Unsaid,
        };
        known.learn(question, CachedAnswer::Offer(offer.clone()), ttl);
        Ok(offer)
    }

    /// Asks for IPv6 addresses.
    pub(super) async fn ipv6(&self, host: &str, known: &KnownAnswers) -> Result<Found<IpAddr>, LookupError> {
        self.family(host, RecordType::AAAA, known, |data| match data {
            RData::AAAA(address) => Some(IpAddr::V6(address.0)),
            _ => None,
        })
        .await
    }

    /// Asks for IPv4 addresses.
    pub(super) async fn ipv4(&self, host: &str, known: &KnownAnswers) -> Result<Found<IpAddr>, LookupError> {
        self.family(host, RecordType::A, known, |data| match data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            _ => None,
        })
        .await
    }

    async fn family(
        &self,
        host: &str,
        kind: RecordType,
        known: &KnownAnswers,
        read: impl Fn(&RData) -> Option<IpAddr>,
    ) -> Result<Found<IpAddr>, LookupError> {
        let question = Question::new(host.to_owned(), kind);
        if let Some(known) = known.addresses(&question) {
            return Ok(known);
        }
        let (found, ttl) = self.ask(&question, kind, read).await?;
        let found = match found {
            Found::Records(addresses) => Found::Records(selection::some_addresses(addresses, MOST_ADDRESSES)),
            nothing => nothing,
        };
        known.learn(question, CachedAnswer::Addresses(found.clone()), ttl);
        Ok(found)
    }

    /// Asks the name servers. Returns the answer and its time to live.
    async fn ask<T>(
        &self,
        question: &Question,
        kind: RecordType,
        read: impl Fn(&RData) -> Option<T>,
    ) -> Result<(Found<T>, Duration), LookupError> {
        // The final dot makes the name absolute, so the search list of the system is not used.
        // A name that is too long for the DNS does not exist.
        let Ok(absolute) = Name::from_ascii(format!("{}.", question.name)) else {
            return Ok((Found::NoName, Duration::ZERO));
        };
        let mut alias_ttl = u32::MAX;
        let lookup = time::timeout(self.timeout, self.look_up(absolute, kind, &mut alias_ttl)).await;
        let lookup = lookup.unwrap_or(Err(NetError::Timeout));
        self.observe(|| Exchange::new(question.clone(), &lookup, self.timeout));
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
            Err(error) => Err(LookupError::new(&error, question.clone(), self.timeout)),
        }
    }

    /// Asks, and follows aliases of SRV records.
    ///
    /// COMPAT: recursive name servers answer with CNAME and SRV records together. hickory-resolver 0.26
    /// treats that as incomplete and asks the SRV *target* for SRV records. If that fails, the aliases are
    /// followed here. `ttl` becomes the minimum of the aliases that were followed.
    async fn look_up(&self, mut name: Name, kind: RecordType, ttl: &mut u32) -> Result<Lookup, NetError> {
        for _ in 0..MOST_ALIASES {
            let error = match self.ask_servers(name.clone(), kind).await {
                Err(error) if kind == RecordType::SRV && is_about_other_name(&error, &name) => error,
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

    /// Asks all name servers at once, and one after the other if the result is an error.
    ///
    /// The library takes the first error as the answer of all, and a server without knowledge answers first.
    async fn ask_servers(&self, name: Name, kind: RecordType) -> Result<Lookup, NetError> {
        let answer = self.resolver.lookup(name.clone(), kind).await;
        if is_refusal(&answer) {
            for resolver in &*self.single {
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
        self.observe(|| {
            Exchange::new(Question::new(name.to_ascii(), RecordType::CNAME), &lookup, self.timeout)
        });
        let lookup = lookup.ok()?;
        lookup.answers().iter().find_map(|record| match &record.data {
            RData::CNAME(alias) => Some((alias.0.clone(), record.ttl)),
            _ => None,
        })
    }
}

/// Configures the library for `servers`. `timeout` limits a query with its retries.
pub(super) fn resolver(
    servers: Vec<NameServerConfig>,
    timeout: Duration,
    network: &Network,
) -> Result<Resolver<Sockets>, NetError> {
    let config = ResolverConfig::from_parts(None, Vec::new(), servers);
    let mut builder = Resolver::builder_with_config(config, Sockets::new(network.clone()));
    let options = builder.options_mut();
    options.ndots = 0;
    // The library repeats the datagram several times in each attempt.
    options.attempts = 1;
    options.timeout = timeout / 2;
    // The cache of the library is bounded in answers of any size. The cache in this crate is bounded in
    // bytes.
    options.cache_size = 0;
    builder.build()
}

/// Returns the configured name servers, or those of the system; at least one.
pub(super) fn servers(configured: &[SocketAddr], network: &Network) -> Vec<NameServerConfig> {
    let mut servers = if configured.is_empty() {
        system_servers()
    } else {
        configured.iter().copied().map(server).collect()
    };
    if !network.has_datagrams() {
        for server in &mut servers {
            server.connections.retain(|connection| matches!(connection.protocol, ProtocolConfig::Tcp));
        }
    }
    servers
}

/// Returns the UDP addresses of name servers.
pub(super) fn datagrams(servers: &[NameServerConfig]) -> Arc<[SocketAddr]> {
    let port =
        |server: &NameServerConfig| server.connections.first().map_or(DNS_PORT, |connection| connection.port);
    servers.iter().map(|server| SocketAddr::new(server.ip, port(server))).collect()
}

fn system_servers() -> Vec<NameServerConfig> {
    match system_conf::read_system_conf() {
        Ok((config, _)) => config.name_servers().to_vec(),
        Err(error) => {
            // The C library does the same (resolv.conf(5)).
            log::warn!(target: "nuncio::dns", "cannot read resolv.conf: {error}; using a name server at 127.0.0.1:53");
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

/// Returns whether a name server answered with an error code.
fn is_refusal(answer: &Result<Lookup, NetError>) -> bool {
    matches!(answer, Err(NetError::Dns(DnsError::ResponseCode(_))))
}

/// Returns whether the error may be about another name than the requested one.
fn is_about_other_name(error: &NetError, name: &Name) -> bool {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => none.query.name() != name,
        // This error does not contain the name.
        NetError::Dns(DnsError::ResponseCode(_)) => true,
        _ => false,
    }
}

/// The maximum number of aliases in a chain. RFC 1034 section 3.6.2 allows one, and longer chains exist.
const MOST_ALIASES: usize = 4;

/// The maximum time to live. A service that moves is found again after a day at most.
const LONGEST_CACHED: Duration = Duration::from_secs(24 * 3600);

/// The maximum time to live of a negative answer. RFC 2308 section 5 suggests one to three hours; new domains
/// need less.
const LONGEST_NEGATIVE: Duration = Duration::from_secs(15 * 60);

/// The time to live of a negative answer without one: enough for the burst of stanzas that caused the
/// question.
const SHORTEST_NEGATIVE: Duration = Duration::from_secs(5);

const DNS_PORT: u16 = 53;
