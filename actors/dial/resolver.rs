//! The DNS resolver of all attempts, with one cache and one limit for lookups at once.
//!
//! The cache is bounded in bytes. Lookups for verifications, which unauthenticated servers cause, have a
//! limit of their own. So they neither delay the lookups for sessions nor make the node hold many large
//! answers at once.

#[cfg(test)]
mod tests;

use std::{collections::VecDeque, net::IpAddr};

use actix::{Actor, Context, Handler};
use tokio::sync::oneshot;
use xmpp::Domain;

use crate::observe::metrics::Purpose;
use mailbox::{Mailbox, Outlet, Queued};
use net::dns::{AnswerSink, Cache, Dns, KnownAnswers, LookupError, NewAnswer, Question, Target};

/// Look up the targets of a domain, in the order in which to try them.
#[derive(Debug)]
pub struct Resolve {
    /// The remote domain.
    pub domain: Domain,
    /// The purpose of the attempt.
    pub purpose: Purpose,
    /// Receives the answer.
    pub answer: oneshot::Sender<Result<Vec<Target>, LookupError>>,
}

/// Look up the addresses of a host.
#[derive(Debug)]
pub struct Locate {
    /// A name or an IP literal.
    pub host: String,
    /// The purpose of the attempt.
    pub purpose: Purpose,
    /// Receives the answer.
    pub answer: oneshot::Sender<Result<Vec<IpAddr>, LookupError>>,
}

/// Use these name servers from now on, with an empty cache.
#[derive(Debug)]
pub struct Adopt {
    /// The name servers.
    pub dns: Dns,
}

/// A lookup has ended.
#[derive(Debug)]
struct Done {
    purpose: Purpose,
}

/// A requested lookup.
#[derive(Debug)]
enum Lookup {
    Targets(Resolve),
    Addresses(Locate),
}

/// Counts a lookup as running until it is dropped.
struct Running {
    purpose: Purpose,
    resolver: Mailbox<Resolver>,
}

#[derive(Debug, Default)]
struct Queue {
    running: usize,
    /// Bounded by the number of attempts, each of which waits for one lookup.
    waiting: VecDeque<Lookup>,
}

/// The actor that owns the DNS client and its cache.
pub struct Resolver {
    dns: Dns,
    cache: Cache,
    /// Counts the changes of name servers. Answers of earlier ones are not cached.
    epoch: u64,
    sessions: Queue,
    verifications: Queue,
    own: Mailbox<Self>,
}

impl Resolver {
    /// A resolver that uses `dns`.
    pub fn new(dns: Dns, own: Mailbox<Self>) -> Self {
        let (sessions, verifications) = (Queue::default(), Queue::default());
        Self { dns, cache: Cache::new(CACHE), epoch: 0, sessions, verifications, own }
    }

    fn queue(&mut self, purpose: Purpose) -> &mut Queue {
        match purpose {
            Purpose::Session => &mut self.sessions,
            Purpose::Verification => &mut self.verifications,
        }
    }

    fn add(&mut self, lookup: Lookup) {
        let purpose = lookup.purpose();
        self.queue(purpose).waiting.push_back(lookup);
        self.start_next(purpose);
    }

    fn start_next(&mut self, purpose: Purpose) {
        while self.queue(purpose).running < max_running(purpose) {
            let Some(lookup) = self.queue(purpose).waiting.pop_front() else { return };
            if !lookup.is_cancelled() {
                self.queue(purpose).running += 1;
                self.start(lookup);
            }
        }
    }

    fn start(&mut self, lookup: Lookup) {
        let running = Running { purpose: lookup.purpose(), resolver: self.own.clone() };
        let (dns, known) = (self.dns.clone(), self.known_answers(&lookup.questions()));
        actix_rt::spawn(async move {
            let _running = running;
            match lookup {
                Lookup::Targets(Resolve { domain, answer, .. }) => {
                    reply(answer, dns.service_knowing(&domain, &known)).await;
                }
                Lookup::Addresses(Locate { host, answer, .. }) => {
                    reply(answer, dns.addresses_knowing(&host, &known)).await;
                }
            }
        });
    }

    /// The cached answers to `questions`.
    fn known_answers(&mut self, questions: &[Question]) -> KnownAnswers {
        let now = clock::now();
        let known = questions.iter().filter_map(|question| {
            let answer = self.cache.find(question, now)?;
            Some((question.clone(), answer))
        });
        let known = known.collect();
        let own: Outlet<NewAnswer> = self.own.outlet();
        // The resolver may be gone when the node stops.
        let sink = Some(AnswerSink::new(move |answer| drop(own.signal(answer))));
        KnownAnswers { known, sink, epoch: self.epoch }
    }
}

/// Sends the result of a lookup. Ends the lookup if the attempt is dropped first.
async fn reply<T>(mut answer: oneshot::Sender<T>, lookup: impl Future<Output = T>) {
    let found = tokio::select! {
        found = lookup => found,
        () = answer.closed() => return,
    };
    let _ = answer.send(found);
}

fn max_running(purpose: Purpose) -> usize {
    match purpose {
        Purpose::Session => MAX_FOR_SESSIONS,
        Purpose::Verification => MAX_FOR_VERIFICATIONS,
    }
}

impl Lookup {
    fn purpose(&self) -> Purpose {
        match self {
            Self::Targets(resolve) => resolve.purpose,
            Self::Addresses(locate) => locate.purpose,
        }
    }

    /// Whether the attempt was dropped.
    fn is_cancelled(&self) -> bool {
        match self {
            Self::Targets(resolve) => resolve.answer.is_closed(),
            Self::Addresses(locate) => locate.answer.is_closed(),
        }
    }

    fn questions(&self) -> Vec<Question> {
        match self {
            Self::Targets(resolve) => Dns::questions_of_service(&resolve.domain).into(),
            Self::Addresses(locate) => Dns::questions_of_host(&locate.host).into(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The resolver may be gone when the node stops.
        let _ = self.resolver.signal(Done { purpose: self.purpose });
    }
}

impl Actor for Resolver {
    type Context = Context<Self>;
}

impl Handler<Queued<Resolve>> for Resolver {
    type Result = ();

    fn handle(&mut self, resolve: Queued<Resolve>, _: &mut Context<Self>) {
        self.add(Lookup::Targets(resolve.into_message()));
    }
}

impl Handler<Queued<Locate>> for Resolver {
    type Result = ();

    fn handle(&mut self, locate: Queued<Locate>, _: &mut Context<Self>) {
        self.add(Lookup::Addresses(locate.into_message()));
    }
}

impl Handler<Queued<NewAnswer>> for Resolver {
    type Result = ();

    fn handle(&mut self, learnt: Queued<NewAnswer>, _: &mut Context<Self>) {
        let NewAnswer { question, answer, ttl, epoch } = learnt.into_message();
        if epoch == self.epoch {
            self.cache.store(question, answer, clock::now() + ttl);
        }
    }
}

#[cfg(test)]
impl Handler<Queued<tests::Weigh>> for Resolver {
    type Result = ();

    fn handle(&mut self, weigh: Queued<tests::Weigh>, _: &mut Context<Self>) {
        let _ = weigh.into_message().0.send(self.cache.bytes());
    }
}

impl Handler<Queued<Done>> for Resolver {
    type Result = ();

    fn handle(&mut self, done: Queued<Done>, _: &mut Context<Self>) {
        let Done { purpose } = done.into_message();
        self.queue(purpose).running -= 1;
        self.start_next(purpose);
    }
}

impl Handler<Queued<Adopt>> for Resolver {
    type Result = ();

    fn handle(&mut self, adopt: Queued<Adopt>, _: &mut Context<Self>) {
        self.dns = adopt.into_message().dns;
        self.cache = Cache::new(CACHE);
        self.epoch += 1;
    }
}

/// The size of the cache in bytes. A domain takes four answers of about 400 bytes each, so 10,000 domains
/// fit: more than busy nodes are connected to. The largest answer that is cached takes about 8 KiB.
const CACHE: usize = 16 * 1024 * 1024;

/// Lookups for sessions at once. More would only queue at the name server, and each takes a socket.
const MAX_FOR_SESSIONS: usize = 256;

/// Lookups for verifications at once: as many as there are verifications by default, so that a name server
/// that does not answer delays no other lookup. Each holds at most two answers in memory.
const MAX_FOR_VERIFICATIONS: usize = 64;
