//! Asks the DNS for all attempts, so that there is one cache and one limit.
//!
//! The cache is bounded in bytes. The look-ups that strangers cause have turns of their own, and fewer: they can neither
//! take those of the node's own links nor have the node hold more than a few large answers at once.

#[cfg(test)]
mod tests;

use std::{collections::VecDeque, net::IpAddr, sync::Arc};

use actix::{Actor, Context, Handler};
use tokio::sync::oneshot;
use xmpp::Domain;

use mailbox::{Mailbox, Meter, Outlet, Queued};
use net::dns::{Cache, Dns, Failure, KnownAnswers, Learnt, Owner, Question, Target};

/// Find the servers of a domain, best first.
#[derive(Debug)]
pub struct Resolve {
    /// The remote domain.
    pub domain: Domain,
    /// Whose turn it takes.
    pub lane: Lane,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Result<Vec<Target>, Failure>>,
}

/// Find the addresses of a host.
#[derive(Debug)]
pub struct Locate {
    /// A name or an IP literal.
    pub host: String,
    /// Whose turn it takes.
    pub lane: Lane,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Result<Vec<IpAddr>, Failure>>,
}

/// Ask these name servers from now on, with an empty cache.
#[derive(Debug)]
pub struct Adopt {
    /// The name servers.
    pub dns: Dns,
}

/// Whom a look-up is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// A session of the node.
    Session,
    /// A dialback key that somebody showed.
    Verification,
}

/// A look-up has ended.
#[derive(Debug)]
struct Done {
    lane: Lane,
}

/// A look-up that waits for its turn.
#[derive(Debug)]
enum Wanted {
    Service(Resolve),
    Addresses(Locate),
}

/// The right to ask, until it is dropped.
struct Turn {
    lane: Lane,
    resolver: Mailbox<Resolver>,
}

#[derive(Debug, Default)]
struct Queue {
    running: usize,
    /// Bounded by the attempts under way, each of which waits for one look-up.
    waiting: VecDeque<Wanted>,
}

/// The actor that owns the DNS and its cache.
pub struct Resolver {
    dns: Dns,
    cache: Cache,
    /// Counts the name servers that were adopted: an answer of others is not kept.
    epoch: u64,
    sessions: Queue,
    verifications: Queue,
    own: Mailbox<Self>,
    meter: Arc<Meter>,
}

impl Resolver {
    /// A resolver over `dns`.
    pub fn new(dns: Dns, own: Mailbox<Self>, meter: Arc<Meter>) -> Self {
        let (sessions, verifications) = (Queue::default(), Queue::default());
        Self { dns, cache: Cache::new(CACHE), epoch: 0, sessions, verifications, own, meter }
    }

    fn queue(&mut self, lane: Lane) -> &mut Queue {
        match lane {
            Lane::Session => &mut self.sessions,
            Lane::Verification => &mut self.verifications,
        }
    }

    fn take(&mut self, wanted: Wanted) {
        let lane = wanted.lane();
        self.queue(lane).waiting.push_back(wanted);
        self.ask_next(lane);
    }

    fn ask_next(&mut self, lane: Lane) {
        while self.queue(lane).running < lane.at_once() {
            let Some(wanted) = self.queue(lane).waiting.pop_front() else { return };
            // The asker may have given up; then nobody wants the answer.
            if !wanted.is_given_up() {
                self.queue(lane).running += 1;
                self.ask(wanted);
            }
        }
    }

    fn ask(&mut self, wanted: Wanted) {
        let turn = Turn { lane: wanted.lane(), resolver: self.own.clone() };
        let (dns, sheet) = (self.dns.clone(), self.sheet(&wanted.questions()));
        actix_rt::spawn(async move {
            let _turn = turn;
            match wanted {
                Wanted::Service(Resolve { domain, answer, .. }) => {
                    reply(answer, dns.service_knowing(&domain, &sheet)).await;
                }
                Wanted::Addresses(Locate { host, answer, .. }) => {
                    reply(answer, dns.addresses_knowing(&host, &sheet)).await;
                }
            }
        });
    }

    /// The answers that are known to some questions.
    fn sheet(&mut self, questions: &[Question]) -> KnownAnswers {
        let now = clock::now();
        let known = questions.iter().filter_map(|question| {
            let answer = self.cache.find(question, now)?;
            Some((question.clone(), answer))
        });
        let known = known.collect();
        let own: Outlet<Learnt> = self.own.outlet();
        // A resolver that is gone keeps nothing.
        let owner = Owner::new(move |learnt| drop(own.signal(learnt)));
        KnownAnswers { known, owner: Some(owner), epoch: self.epoch }
    }
}

/// Answers, unless the asker gives up first.
async fn reply<T>(mut answer: oneshot::Sender<T>, looks_up: impl Future<Output = T>) {
    let found = tokio::select! {
        found = looks_up => found,
        () = answer.closed() => return,
    };
    let _ = answer.send(found);
}

impl Wanted {
    fn lane(&self) -> Lane {
        match self {
            Self::Service(resolve) => resolve.lane,
            Self::Addresses(locate) => locate.lane,
        }
    }

    fn is_given_up(&self) -> bool {
        match self {
            Self::Service(resolve) => resolve.answer.is_closed(),
            Self::Addresses(locate) => locate.answer.is_closed(),
        }
    }

    fn questions(&self) -> Vec<Question> {
        match self {
            Self::Service(resolve) => Dns::questions_of_service(&resolve.domain).into(),
            Self::Addresses(locate) => Dns::questions_of_host(&locate.host).into(),
        }
    }
}

impl Lane {
    fn at_once(self) -> usize {
        match self {
            Self::Session => SESSIONS_AT_ONCE,
            Self::Verification => VERIFICATIONS_AT_ONCE,
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // A resolver that is gone gives no turns.
        let _ = self.resolver.signal(Done { lane: self.lane });
    }
}

impl Actor for Resolver {
    type Context = Context<Self>;
}

impl Handler<Queued<Resolve>> for Resolver {
    type Result = ();

    fn handle(&mut self, resolve: Queued<Resolve>, _: &mut Context<Self>) {
        self.take(Wanted::Service(resolve.open()));
    }
}

impl Handler<Queued<Locate>> for Resolver {
    type Result = ();

    fn handle(&mut self, locate: Queued<Locate>, _: &mut Context<Self>) {
        self.take(Wanted::Addresses(locate.open()));
    }
}

impl Handler<Queued<Learnt>> for Resolver {
    type Result = ();

    fn handle(&mut self, learnt: Queued<Learnt>, _: &mut Context<Self>) {
        let Learnt { question, answer, ttl, epoch } = learnt.open();
        if epoch == self.epoch {
            self.cache.keep(question, answer, clock::now() + ttl);
        }
    }
}

#[cfg(test)]
impl Handler<Queued<tests::Weigh>> for Resolver {
    type Result = ();

    fn handle(&mut self, weigh: Queued<tests::Weigh>, _: &mut Context<Self>) {
        let _ = weigh.open().0.send(self.cache.bytes());
    }
}

impl Handler<Queued<Done>> for Resolver {
    type Result = ();

    fn handle(&mut self, done: Queued<Done>, _: &mut Context<Self>) {
        let Done { lane } = done.open();
        self.queue(lane).running -= 1;
        self.ask_next(lane);
    }
}

impl Handler<Queued<Adopt>> for Resolver {
    type Result = ();

    fn handle(&mut self, adopt: Queued<Adopt>, _: &mut Context<Self>) {
        self.dns = adopt.open().dns;
        self.cache = Cache::new(CACHE);
        self.epoch += 1;
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.meter.count_if_panicking();
    }
}

/// Bytes of the cache. A domain takes four answers of about 400 bytes each: that is 10,000 domains, more than busy nodes
/// have links to. The largest answer that is kept takes about 8 KiB.
const CACHE: usize = 16 * 1024 * 1024;

/// Look-ups for sessions at once. More would only queue at the name server, and each costs a socket.
const SESSIONS_AT_ONCE: usize = 256;

/// Look-ups for the keys of strangers at once: as many as there are verifications by default, so that a name server that
/// does not answer holds up nobody else's. Each holds two answers at most while they are read.
const VERIFICATIONS_AT_ONCE: usize = 64;
