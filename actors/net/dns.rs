//! Finds where a domain offers its XMPP service to servers (RFC 6120 section 3.2, XEP-0368, RFC 2782).
//!
//! [`Dns`] stores nothing: the caller owns the [`Cache`], passes known answers in and receives new ones. A
//! [`LookupError`] tells a definitive answer from a temporary error: "no such domain" goes back to the sender
//! at once, and a lookup without an answer is repeated.

mod answer;
mod bounded_tcp;
mod cache;
mod dnssec;
mod error;
mod exchange;
mod known_answers;
mod query;
mod question;
mod selection;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use futures_util::future::{self, Either};
use tokio::{join, time};
use trust_dns_resolver::{Resolver, proto::rr::RecordType};
use xmpp::Domain;

use crate::network::Network;
use answer::{Found, Offer};
use bounded_tcp::Sockets;
pub use cache::Cache;
pub use dnssec::Bogus;
pub use error::{LookupError, Rcode, SetupError};
pub use exchange::{Exchange, Record, Reply};
pub use known_answers::{AnswerSink, CachedAnswer, KnownAnswers, NewAnswer};
pub use question::Question;

/// A DNS client. It is cheap to clone, and clones share their sockets.
#[derive(Clone, Debug)]
pub struct Dns {
    /// Asks all name servers at once.
    resolver: Resolver<Sockets>,
    /// Each asks one name server; empty if there is only one.
    single: Arc<[Resolver<Sockets>]>,
    /// The UDP addresses of the name servers.
    servers: Arc<[SocketAddr]>,
    /// The time limit of one query with its retries.
    timeout: Duration,
    /// Receives each question with its answer.
    observer: Option<Observer>,
}

/// The configured name servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The addresses of the name servers; empty for those of the system (resolv.conf).
    pub nameservers: Vec<SocketAddr>,
    /// The time limit of one query with its retries.
    pub timeout: Duration,
}

/// A callback for each question with its answer.
#[derive(Clone)]
struct Observer(Arc<dyn Fn(&Exchange) + Send + Sync>);

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}

/// A host and port that offer the service of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// A host name without its final dot, or an IP address without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// TLS from the first byte (XEP-0368); otherwise STARTTLS.
    pub direct_tls: bool,
    /// The priority (RFC 2782). Lower values are tried first.
    pub priority: u16,
    /// The weight (RFC 2782): the share among targets of one priority.
    pub weight: u16,
    /// Whether it comes from an SRV record; otherwise it is the domain itself.
    pub from_srv: bool,
}

impl Dns {
    /// Makes a client that asks over `network`. It sends nothing yet.
    ///
    /// # Errors
    ///
    /// The resolver library rejects the settings.
    pub fn new(settings: &Settings, network: &Network) -> Result<Self, SetupError> {
        let servers = query::servers(&settings.nameservers, network);
        let datagrams = query::datagrams(&servers);
        let resolver = |servers| {
            query::resolver(servers, settings.timeout, network).map_err(|error| SetupError(error.to_string()))
        };
        let single = match &servers[..] {
            [_] => Arc::default(),
            several => {
                several.iter().map(|server| resolver(vec![server.clone()])).collect::<Result<_, _>>()?
            }
        };
        let (resolver, timeout) = (resolver(servers)?, settings.timeout);
        Ok(Self { resolver, single, servers: datagrams, timeout, observer: None })
    }

    /// Calls `observer` with each question and its answer.
    #[must_use]
    pub fn observed(self, observer: impl Fn(&Exchange) + Send + Sync + 'static) -> Self {
        Self { observer: Some(Observer(Arc::new(observer))), ..self }
    }

    fn observe(&self, exchange: impl FnOnce() -> Exchange) {
        if let Some(Observer(callback)) = &self.observer {
            callback(&exchange());
        }
    }

    /// Looks up the targets of the XMPP service of `domain`: at least one and at most [`MOST_TARGETS`].
    ///
    /// They are in the order in which to try them (RFC 2782). Targets of one priority are shuffled by weight
    /// at each call.
    ///
    /// # Errors
    ///
    /// There is no service, or the name servers gave no answer.
    pub async fn service(&self, domain: &Domain) -> Result<Vec<Target>, LookupError> {
        self.service_knowing(domain, &KnownAnswers::default()).await
    }

    /// Like [`service`](Self::service), with answers that are known already.
    ///
    /// # Errors
    ///
    /// There is no service, or the name servers gave no answer.
    pub async fn service_knowing(
        &self,
        domain: &Domain,
        known: &KnownAnswers,
    ) -> Result<Vec<Target>, LookupError> {
        if let Some(address) = literal(domain.as_str()) {
            return Ok(vec![Target::itself(address.to_string())]);
        }
        let (direct, starttls) = join!(
            self.offer(DIRECT_TLS, domain.as_str(), true, known),
            self.offer(STARTTLS, domain.as_str(), false, known)
        );
        // XEP-0368 section 3: the records of both services are one set.
        let mut targets = Vec::new();
        for offer in [&direct, &starttls] {
            if let Ok(Offer::Targets(some)) = offer {
                targets.extend_from_slice(some);
            }
        }
        if !targets.is_empty() {
            for failure in [&direct, &starttls].into_iter().filter_map(|offer| offer.as_ref().err()) {
                log::debug!(target: "nuncio::dns", "{failure}: continuing without these records");
            }
            // Targets of equal priority without weight have no order (RFC 2782): shuffling spreads the load.
            selection::shuffle(&mut targets);
            let mut targets = selection::by_weight(targets, selection::random_up_to);
            targets.truncate(MOST_TARGETS);
            return Ok(targets);
        }
        // A missing answer is not a negative answer: the domain itself is the target only after two negative
        // answers.
        match (starttls?, direct?) {
            (Offer::Nothing, _) => Err(LookupError::NotOffered { domain: domain.to_string() }),
            _ => self.domain_itself(domain, known).await,
        }
    }

    /// Returns the questions that a lookup of a service may ask.
    pub fn questions_of_service(domain: &Domain) -> [Question; 4] {
        let srv = |service| Question::new(format!("{service}.{domain}"), RecordType::SRV);
        let [six, four] = Self::questions_of_host(domain.as_str());
        [srv(DIRECT_TLS), srv(STARTTLS), six, four]
    }

    /// Returns the questions that a lookup of a host may ask.
    pub fn questions_of_host(host: &str) -> [Question; 2] {
        [RecordType::AAAA, RecordType::A].map(|kind| Question::new(host.to_owned(), kind))
    }

    /// Looks up the addresses of a host: at least one and at most 16.
    ///
    /// IPv6 and IPv4 addresses alternate, and IPv6 is first (RFC 8305 section 4). Addresses of one family are
    /// in random order. An IP literal, with or without brackets, is its own address.
    ///
    /// # Errors
    ///
    /// The host has no address, or the name servers gave no answer.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, LookupError> {
        self.addresses_knowing(host, &KnownAnswers::default()).await
    }

    /// Like [`addresses`](Self::addresses), with answers that are known already.
    ///
    /// # Errors
    ///
    /// The host has no address, or the name servers gave no answer.
    pub async fn addresses_knowing(
        &self,
        host: &str,
        known: &KnownAnswers,
    ) -> Result<Vec<IpAddr>, LookupError> {
        if let Some(address) = literal(host) {
            return Ok(vec![address]);
        }
        let (six, four) = self.both_families(host, known).await;
        let (mut six, mut four) = match (six, four) {
            (Ok(Found::Records(six)), Ok(Found::Records(four))) => (six, four),
            (Ok(Found::Records(six)), _) => (six, Vec::new()),
            (_, Ok(Found::Records(four))) => (Vec::new(), four),
            (six, four) => {
                // An error for one family takes precedence over a negative answer for the other.
                let exists = [six?, four?].contains(&Found::NoData);
                return Err(LookupError::NoAddress { host: host.trim_end_matches('.').to_owned(), exists });
            }
        };
        selection::shuffle(&mut six);
        selection::shuffle(&mut four);
        let mut addresses = alternate(six, four);
        addresses.truncate(MOST_ADDRESSES);
        Ok(addresses)
    }

    /// Returns the domain itself as the target: the fallback for a domain without SRV records (RFC 6120
    /// section 3.2.2).
    async fn domain_itself(&self, domain: &Domain, known: &KnownAnswers) -> Result<Vec<Target>, LookupError> {
        match self.addresses_knowing(domain.as_str(), known).await {
            Ok(_) => Ok(vec![Target::itself(domain.to_string())]),
            Err(LookupError::NoAddress { host, exists: true }) => {
                Err(LookupError::NoService { domain: host })
            }
            Err(LookupError::NoAddress { host, exists: false }) => {
                Err(LookupError::NoSuchDomain { domain: host })
            }
            Err(failure) => Err(failure),
        }
    }

    /// Asks for IPv6 and IPv4 addresses at the same time. After the first answer it waits for the other only
    /// for a moment, and a later one counts as missing.
    async fn both_families(&self, host: &str, known: &KnownAnswers) -> (FamilyResult, FamilyResult) {
        let six = Box::pin(self.ipv6(host, known));
        let four = Box::pin(self.ipv4(host, known));
        match future::select(six, four).await {
            Either::Left((six, four)) => {
                let four = second_within(&six, IPV4_DELAY, four).await;
                (six, four)
            }
            Either::Right((four, six)) => {
                let six = second_within(&four, IPV6_DELAY, six).await;
                (six, four)
            }
        }
    }
}

impl Target {
    fn itself(host: String) -> Self {
        Self { host, port: DEFAULT_PORT, direct_tls: false, priority: 0, weight: 0, from_srv: false }
    }
}

impl fmt::Display for Target {
    /// Writes `xmpp.b.example:5269` or `[2001:db8::7]:5269`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// The result for the addresses of one family.
type FamilyResult = Result<Found<IpAddr>, LookupError>;

/// Waits for `second`, at most for `limit` if `first` has addresses.
async fn second_within(
    first: &FamilyResult,
    limit: Duration,
    second: impl Future<Output = FamilyResult>,
) -> FamilyResult {
    if matches!(first, Ok(Found::Records(_))) {
        time::timeout(limit, second).await.unwrap_or(Ok(Found::NoData))
    } else {
        second.await
    }
}

fn alternate(six: Vec<IpAddr>, four: Vec<IpAddr>) -> Vec<IpAddr> {
    let (mut six, mut four) = (six.into_iter(), four.into_iter());
    let mut addresses = Vec::with_capacity(six.len() + four.len());
    while six.len() + four.len() > 0 {
        addresses.extend(six.next());
        addresses.extend(four.next());
    }
    addresses
}

fn literal(host: &str) -> Option<IpAddr> {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).parse().ok()
}

const DIRECT_TLS: &str = "_xmpps-server._tcp";

const STARTTLS: &str = "_xmpp-server._tcp";

/// The registered port (RFC 6120 section 14.7).
const DEFAULT_PORT: u16 = 5269;

/// The wait for IPv6 addresses after the IPv4 ones (RFC 8305 section 3, "Resolution Delay").
const IPV6_DELAY: Duration = Duration::from_millis(50);

/// The wait for IPv4 addresses after the IPv6 ones. Links last for hours, and IPv4 is the alternative to
/// broken IPv6.
const IPV4_DELAY: Duration = Duration::from_secs(1);

/// The maximum number of targets of a service. The largest services have about ten; more would only delay a
/// stanza.
pub const MOST_TARGETS: usize = 20;

/// The maximum number of addresses of a host, for the same reason.
const MOST_ADDRESSES: usize = 16;
