//! Limits the connection attempts to one address.
//!
//! A host may serve a thousand domains. It must not get a thousand connections at once, and while it is down
//! it must not use up the attempts for all other hosts. Sessions and verifications are counted separately:
//! two nodes that connect to each other, and each verify a dialback key of the other first, would otherwise
//! wait for each other.
//!
//! The limit adapts. Each connection that succeeds raises the limit of its address by one, up to `GROWTH`
//! times the configured one, so that a distant host with many domains is reached in time. Each that fails
//! lowers it by two, down to the configured one.
//!
//! Unauthenticated servers choose the addresses of verifications, so each address also has a budget for
//! verifications that confirm no key. It bounds the connections that others can direct at a third party
//! through this node.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    time::{Duration, Instant},
};

use actix::{Actor, AsyncContext, Context, Handler};
use tokio::sync::oneshot;

use crate::{dial::token_bucket::TokenBucket, observe::metrics::Purpose};
use mailbox::{Mailbox, Queued};

/// Request a permit to connect to an address.
#[derive(Debug)]
pub struct Acquire {
    /// The address to connect to.
    pub address: IpAddr,
    /// The purpose of the connection.
    pub purpose: Purpose,
    /// Whether to wait for a permit. Without it the answer is [`Full`] while the limit is reached.
    pub waits: bool,
    /// Receives the permit.
    pub answer: oneshot::Sender<Result<DialPermit, Full>>,
}

/// Apply another limit from now on.
#[derive(Debug)]
pub struct Adopt {
    /// Connections to one address at once, for each purpose.
    pub per_address: usize,
}

/// The limit of the address is reached, and the request does not wait or too many wait already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Permission to connect to an address, one connection at a time, until it is dropped.
#[derive(Debug)]
pub struct DialPermit {
    key: Key,
    limit: Mailbox<DialLimit>,
    /// The session is established, or the key is confirmed.
    succeeded: bool,
}

/// A permit was dropped.
#[derive(Debug)]
struct Released {
    key: Key,
    succeeded: bool,
}

/// An address (an IPv6 /64 network counts as one) and a purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    address: IpAddr,
    purpose: Purpose,
}

/// The actor that gives the permits.
pub struct DialLimit {
    per_address: usize,
    own: Mailbox<Self>,
    queues: HashMap<Key, Queue>,
    /// Requests that wait, for all addresses.
    waiting: usize,
}

/// The permits and requests of one key.
#[derive(Default)]
struct Queue {
    /// Permits in use.
    in_use: usize,
    /// Permits above `per_address`, added by successes.
    grown: usize,
    waiting: VecDeque<Acquire>,
    /// The budget for verifications that confirm no key; `None` for sessions.
    unconfirmed: Option<TokenBucket>,
}

impl DialLimit {
    /// Limits connections to `per_address` for each address and purpose.
    pub fn new(per_address: usize, own: Mailbox<Self>) -> Self {
        Self { per_address, own, queues: HashMap::new(), waiting: 0 }
    }

    fn acquire(&mut self, request: Acquire) {
        let (key, now) = (Key::of(&request), clock::now());
        let queue = self.queues.entry(key).or_default();
        if key.purpose == Purpose::Verification {
            // The capacity exceeds `per_address`, as verifications under way take tokens before they succeed.
            let capacity = UNCONFIRMED.max(2 * self.per_address);
            queue.unconfirmed.get_or_insert_with(|| TokenBucket::new(capacity, UNCONFIRMED_PER_SECOND, now));
            if !queue.has_budget(now) {
                let _ = request.answer.send(Err(Full));
                return;
            }
        }
        if queue.has_room(self.per_address) {
            queue.take(now);
            self.grant(key, request);
        } else if !request.waits
            || queue.waiting.len() >= self.per_address.saturating_mul(WAITING_PER_PERMIT)
            || self.waiting >= MAX_WAITING
        {
            log::debug!(target: LOG, address:% = request.address; "refused a connection: the limit of the address is reached");
            // The attempt may have been dropped.
            let _ = request.answer.send(Err(Full));
        } else {
            log::debug!(target: LOG, address:% = request.address; "a connection waits: the limit of the address is reached");
            queue.waiting.push_back(request);
            self.waiting += 1;
        }
    }

    /// Answers with a permit that is counted already. If the attempt was dropped, the permit is dropped with
    /// the answer and releases itself.
    fn grant(&self, key: Key, request: Acquire) {
        let _ = request.answer.send(Ok(DialPermit { key, limit: self.own.clone(), succeeded: false }));
    }

    fn release(&mut self, key: Key, succeeded: bool) {
        if let Some(queue) = self.queues.get_mut(&key) {
            queue.in_use -= 1;
            queue.adapt(succeeded, self.per_address);
            if succeeded && let Some(budget) = &mut queue.unconfirmed {
                // Its own token, and that of a failed one: some domains of a large host are misconfigured.
                budget.give_back(2, clock::now());
            }
            self.grant_next(key);
        }
    }

    /// Grants permits to waiting requests while there is room. Requests of dropped attempts are skipped.
    fn grant_next(&mut self, key: Key) {
        while let Some(queue) = self.queues.get_mut(&key)
            && queue.has_room(self.per_address)
        {
            let Some(next) = queue.waiting.pop_front() else {
                if queue.is_unused(clock::now()) {
                    self.queues.remove(&key);
                }
                return;
            };
            self.waiting -= 1;
            if next.answer.is_closed() {
                continue;
            }
            if !queue.has_budget(clock::now()) {
                let _ = next.answer.send(Err(Full));
                continue;
            }
            queue.take(clock::now());
            self.grant(key, next);
        }
    }
}

impl Queue {
    /// Counts a permit.
    fn take(&mut self, now: Instant) {
        self.in_use += 1;
        if let Some(budget) = &mut self.unconfirmed {
            budget.take(now);
        }
    }

    fn has_room(&self, per_address: usize) -> bool {
        // A reload may have lowered `per_address` since `grown` was counted.
        self.in_use < per_address.saturating_add(self.grown.min(most_grown(per_address)))
    }

    /// Raises or lowers the limit when a permit is released.
    fn adapt(&mut self, succeeded: bool, per_address: usize) {
        self.grown = match succeeded {
            true => (self.grown + 1).min(most_grown(per_address)),
            false => self.grown.saturating_sub(2),
        };
    }

    fn has_budget(&mut self, now: Instant) -> bool {
        self.unconfirmed.as_mut().is_none_or(|budget| budget.has_room(now))
    }

    /// Whether the queue can be forgotten without a difference.
    fn is_unused(&mut self, now: Instant) -> bool {
        self.in_use == 0
            && self.waiting.is_empty()
            && self.unconfirmed.as_mut().is_none_or(|budget| budget.is_full(now))
    }
}

fn most_grown(per_address: usize) -> usize {
    per_address.saturating_mul(GROWTH - 1)
}

impl DialPermit {
    /// Releases the permit after a success: the session is established, or the key is confirmed.
    pub fn succeed(mut self) {
        self.succeeded = true;
    }
}

impl Key {
    fn of(request: &Acquire) -> Self {
        Self { address: net::address::site(request.address), purpose: request.purpose }
    }
}

impl Drop for DialPermit {
    fn drop(&mut self) {
        // The actor may be gone when the node stops.
        let _ = self.limit.signal(Released { key: self.key, succeeded: self.succeeded });
    }
}

impl Actor for DialLimit {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        context.run_interval(SWEEP, |limit, _| {
            let now = clock::now();
            limit.queues.retain(|_, queue| !queue.is_unused(now));
        });
    }
}

impl Handler<Queued<Acquire>> for DialLimit {
    type Result = ();

    fn handle(&mut self, request: Queued<Acquire>, _: &mut Context<Self>) {
        self.acquire(request.into_message());
    }
}

impl Handler<Queued<Released>> for DialLimit {
    type Result = ();

    fn handle(&mut self, released: Queued<Released>, _: &mut Context<Self>) {
        let Released { key, succeeded } = released.into_message();
        self.release(key, succeeded);
    }
}

impl Handler<Queued<Adopt>> for DialLimit {
    type Result = ();

    fn handle(&mut self, adopt: Queued<Adopt>, _: &mut Context<Self>) {
        self.per_address = adopt.into_message().per_address;
        // The limit may be higher now.
        let keys: Vec<Key> = self.queues.keys().copied().collect();
        keys.into_iter().for_each(|key| self.grant_next(key));
    }
}

const LOG: &str = "nuncio::tcp";

/// The limit of an address grows to this multiple of the configured one. With the default of 32 that is 256,
/// as many as the attempts of the node at once. A connection takes six round trips, so at 100 ms each a host
/// of 1,000 domains is reached within 3 s instead of 19.
const GROWTH: usize = 8;

/// Requests that may wait for one address, for each configured permit. With the default of 32, these are more
/// than the 10,000 domains of a large host. One core establishes about 100 connections a second, so all are
/// served within the time that a message waits.
const WAITING_PER_PERMIT: usize = 512;

/// Requests that may wait for all addresses. An attempt that waits takes about 4.5 KiB, which no other bound counts.
const MAX_WAITING: usize = 32_768;

/// Verifications of one address in a burst that confirm no key.
const UNCONFIRMED: usize = 60;

/// Verifications of one address a second, over a long time, that confirm no key. One connection a second is
/// no burden to a server, and each misconfigured domain of a host is still asked about now and then.
const UNCONFIRMED_PER_SECOND: f64 = 1.0;

/// The interval at which unused addresses are forgotten. An address takes about 150 bytes, and the limits of
/// the verifier let others name 80 addresses a second.
const SWEEP: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests;
