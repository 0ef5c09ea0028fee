//! Finds where a domain offers its XMPP service to servers (RFC 6120 section 3.2, XEP-0368, RFC 2782).
//!
//! Nothing is kept here: the resolver owns the cache, hands known answers in and is told new ones. What went wrong is told
//! apart with care, because "there is no such domain" goes back to the sender at once, and "nobody answered" is tried
//! again.

mod answer;
mod asked;
mod failure;
mod kept;
mod order;
mod query;
mod rcode;
mod second_look;
mod stream;
#[cfg(test)]
mod tests;
#[cfg(any(test, feature = "test-util"))]
pub mod toy;

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

use answer::{Found, Offer};
pub use asked::{Asked, Record, Reply};
pub use failure::{Failure, Question};
pub use kept::{Cache, Kept, KnownAnswers, Learnt, Owner};
pub use rcode::Rcode;
pub use second_look::Bogus;
use stream::Sockets;

/// The name service. Cheap to clone; clones share connections.
#[derive(Clone, Debug)]
pub struct Dns {
    /// Asks all name servers at once.
    resolver: Resolver<Sockets>,
    /// Ask one name server each; none when there is only one.
    singly: Arc<[Resolver<Sockets>]>,
    /// Where it asks, by datagrams.
    servers: Arc<[SocketAddr]>,
    /// For one query, retries included.
    timeout: Duration,
    /// Who sees every answer.
    observer: Option<Observer>,
}

/// The name servers to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Addresses of the name servers. If there are none, those of the system are used.
    pub nameservers: Vec<SocketAddr>,
    /// The time limit for one query, with its retries.
    pub timeout: Duration,
}

/// Sees every question with its answer.
#[derive(Clone)]
struct Observer(Arc<dyn Fn(&Asked) + Send + Sync>);

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}

/// Somewhere a domain's service is to be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// A name without final dot, or an IP address without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// TLS from the first byte (XEP-0368), else STARTTLS.
    pub direct_tls: bool,
    /// Lower ones come first.
    pub priority: u16,
    /// Share among those of one priority.
    pub weight: u16,
    /// It stands in an SRV record; else it is the domain itself.
    pub from_srv: bool,
}

impl Dns {
    /// Makes it ready; asks nothing yet.
    ///
    /// # Errors
    ///
    /// The library refused the settings.
    pub fn new(settings: &Settings) -> Result<Self, Error> {
        let servers = query::servers(&settings.nameservers);
        let datagrams = query::datagrams(&servers);
        let resolver =
            |servers| query::resolver(servers, settings.timeout).map_err(|error| Error(error.to_string()));
        let singly = match &servers[..] {
            [_] => Arc::default(),
            several => {
                several.iter().map(|server| resolver(vec![server.clone()])).collect::<Result<_, _>>()?
            }
        };
        let (resolver, timeout) = (resolver(servers)?, settings.timeout);
        Ok(Self { resolver, singly, servers: datagrams, timeout, observer: None })
    }

    /// Calls `observer` with every question and its answer.
    #[must_use]
    pub fn observed(self, observer: impl Fn(&Asked) + Send + Sync + 'static) -> Self {
        Self { observer: Some(Observer(Arc::new(observer))), ..self }
    }

    fn show(&self, asked: impl FnOnce() -> Asked) {
        if let Some(Observer(observe)) = &self.observer {
            observe(&asked());
        }
    }

    /// Asks where the service of `domain` is. Gives its targets in the order in which to try them, at least one;
    /// drawn anew at each call.
    ///
    /// # Errors
    ///
    /// There is no service, or the name servers did not say.
    pub async fn service(&self, domain: &Domain) -> Result<Vec<Target>, Failure> {
        self.service_knowing(domain, &KnownAnswers::default()).await
    }

    /// The same, with answers that are known.
    pub async fn service_knowing(
        &self,
        domain: &Domain,
        sheet: &KnownAnswers,
    ) -> Result<Vec<Target>, Failure> {
        if let Some(address) = literal(domain.as_str()) {
            return Ok(vec![Target::itself(address.to_string())]);
        }
        let (direct, starttls) = join!(
            self.offer(DIRECT_TLS, domain.as_str(), true, sheet),
            self.offer(STARTTLS, domain.as_str(), false, sheet)
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
                log::debug!(target: "nuncio::dns", "{failure}, going on without");
            }
            // Those of equal priority and no weight are in no order (RFC 2782), and share the load.
            order::shuffle(&mut targets);
            let mut targets = order::order(targets, order::draw);
            targets.truncate(MOST_TARGETS);
            return Ok(targets);
        }
        // What is not known is no "no": without an answer to both there is no falling back to the domain itself.
        match (starttls?, direct?) {
            (Offer::Nothing, _) => Err(Failure::NotOffered { domain: domain.to_string() }),
            _ => self.itself(domain, sheet).await,
        }
    }

    /// The questions that may have to be asked about the service of a domain.
    pub fn questions_of_service(domain: &Domain) -> [Question; 4] {
        let srv = |service| Question::new(format!("{service}.{domain}"), RecordType::SRV);
        let [six, four] = Self::questions_of_host(domain.as_str());
        [srv(DIRECT_TLS), srv(STARTTLS), six, four]
    }

    /// The questions that may have to be asked about a host.
    pub fn questions_of_host(host: &str) -> [Question; 2] {
        [RecordType::AAAA, RecordType::A].map(|kind| Question::new(host.to_owned(), kind))
    }

    /// Asks for the addresses of a host: at least one, IPv6 and IPv4 in turn, IPv6 first (RFC 8305 section 4); those of
    /// one family in a random order. An IP literal, in brackets or not, is its own address.
    ///
    /// # Errors
    ///
    /// It has none, or the name servers did not say.
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, Failure> {
        self.addresses_knowing(host, &KnownAnswers::default()).await
    }

    /// The same, with answers that are known.
    pub async fn addresses_knowing(&self, host: &str, sheet: &KnownAnswers) -> Result<Vec<IpAddr>, Failure> {
        if let Some(address) = literal(host) {
            return Ok(vec![address]);
        }
        let (six, four) = self.both_families(host, sheet).await;
        let (mut six, mut four) = match (six, four) {
            (Ok(Found::Records(six)), Ok(Found::Records(four))) => (six, four),
            (Ok(Found::Records(six)), _) => (six, Vec::new()),
            (_, Ok(Found::Records(four))) => (Vec::new(), four),
            (six, four) => {
                // Not knowing of one family weighs more than a "no" of the other.
                let exists = [six?, four?].contains(&Found::NoData);
                return Err(Failure::NoAddress { host: host.trim_end_matches('.').to_owned(), exists });
            }
        };
        order::shuffle(&mut six);
        order::shuffle(&mut four);
        let mut addresses = in_turn(six, four);
        addresses.truncate(MOST_ADDRESSES);
        Ok(addresses)
    }

    /// RFC 6120 section 3.2.2: a domain without SRV records may itself be the host.
    async fn itself(&self, domain: &Domain, sheet: &KnownAnswers) -> Result<Vec<Target>, Failure> {
        match self.addresses_knowing(domain.as_str(), sheet).await {
            Ok(_) => Ok(vec![Target::itself(domain.to_string())]),
            Err(Failure::NoAddress { host, exists: true }) => Err(Failure::NoService { domain: host }),
            Err(Failure::NoAddress { host, exists: false }) => Err(Failure::NoSuchDomain { domain: host }),
            Err(failure) => Err(failure),
        }
    }

    /// Asks for IPv6 and IPv4 addresses at once. When one kind is there, the other is waited for only a moment; it
    /// counts as missing when it comes too late.
    async fn both_families(&self, host: &str, sheet: &KnownAnswers) -> (Answer, Answer) {
        let six = Box::pin(self.ipv6(host, sheet));
        let four = Box::pin(self.ipv4(host, sheet));
        match future::select(six, four).await {
            Either::Left((six, four)) => {
                let four = or_late(&six, LATE_IPV4, four).await;
                (six, four)
            }
            Either::Right((four, six)) => {
                let six = or_late(&four, LATE_IPV6, six).await;
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

/// `xmpp.b.example:5269`, `[2001:db8::7]:5269`
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Why there is no name service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "name resolution cannot be set up: {}", self.0)
    }
}

impl std::error::Error for Error {}

/// The addresses of one family.
type Answer = Result<Found<IpAddr>, Failure>;

async fn or_late(first: &Answer, patience: Duration, second: impl Future<Output = Answer>) -> Answer {
    if matches!(first, Ok(Found::Records(_))) {
        time::timeout(patience, second).await.unwrap_or(Ok(Found::NoData))
    } else {
        second.await
    }
}

fn in_turn(six: Vec<IpAddr>, four: Vec<IpAddr>) -> Vec<IpAddr> {
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

/// RFC 6120 section 14.7
const DEFAULT_PORT: u16 = 5269;

/// RFC 8305 section 3, "Resolution Delay".
const LATE_IPV6: Duration = Duration::from_millis(50);

/// A stream is set up for hours: a second is worth having a way out when IPv6 turns out to be broken.
const LATE_IPV4: Duration = Duration::from_secs(1);

/// The largest services name about ten. More would only keep a stanza waiting.
pub const MOST_TARGETS: usize = 20;

/// Of one host, for the same reason.
const MOST_ADDRESSES: usize = 16;
