//! Lets attempts through to an address, a few at a time.
//!
//! One host may serve a thousand domains: it is not to meet a thousand connections at once, and when it is dead it must
//! not take the turns of all others. Sessions and verifications have lanes of their own: two nodes that make links to
//! each other and each have to verify the other's dialback keys first would otherwise wait for each other.
//!
//! On a long way a link takes many round trips, so a few at a time are slow. Each connection that serves its purpose
//! lets one more through, up to eight times as many; each that does not lets two fewer through. An address that
//! does not answer, or refuses, is soon met by as few as one that is not known.
//!
//! Strangers choose the addresses of verifications, so each address has a budget for those that did not confirm a key: the
//! node cannot be made to send many connections to a third party, however many sources ask for them.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{Actor, AsyncContext, Context, Handler};
use tokio::sync::oneshot;
use xmpp::DomainPair;

use crate::dial::token_bucket::TokenBucket;
use mailbox::{Mailbox, Meter, Outlet, Queued};

/// Let me connect to this address.
#[derive(Debug)]
pub struct Acquire {
    /// Which.
    pub address: IpAddr,
    /// What for.
    pub purpose: Purpose,
    /// Whether to wait until there is room.
    pub waits: bool,
    /// Where the pass goes.
    pub answer: oneshot::Sender<Result<DialPermit, Full>>,
}

/// Let so many through to each address from now on.
#[derive(Debug)]
pub struct Adopt {
    /// In each lane.
    pub per_address: usize,
}

/// What a connection is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The session of this pair.
    Session(DomainPair),
    /// A question about a dialback key.
    Verification,
}

/// An attempt has to wait here.
#[derive(Debug)]
pub struct Waiting {
    /// Whose.
    pub pair: DomainPair,
}

/// An attempt that had to wait goes on.
#[derive(Debug)]
pub struct Acquired {
    /// Whose.
    pub pair: DomainPair,
}

/// There is no room, or too many wait for that address already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// The right to connect to an address, until it is dropped.
#[derive(Debug)]
pub struct DialPermit {
    door: Key,
    gate: Mailbox<DialLimit>,
    /// The session stands, or the verification confirmed the key.
    succeeded: bool,
}

/// A connection has ended or stands, told by its pass.
#[derive(Debug)]
struct Released {
    door: Key,
    succeeded: bool,
}

/// An address (an IPv6 /64 is one), and one of its lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    address: IpAddr,
    verifies: bool,
}

/// Whom the gate tells that attempts wait: the promise.
#[derive(Clone, Debug)]
pub struct Owners {
    /// One has to wait.
    pub held: Outlet<Waiting>,
    /// It goes on.
    pub admitted: Outlet<Acquired>,
}

/// The actor at the gate.
pub struct DialLimit {
    per_address: usize,
    own: Mailbox<Self>,
    owners: Owners,
    meter: Arc<Meter>,
    doors: HashMap<Key, Queue>,
    /// Attempts that wait, for all addresses.
    waiting: usize,
}

#[derive(Default)]
struct Queue {
    inside: usize,
    /// How many more than `per_address` may be inside, because others succeeded.
    grown: usize,
    waiting: VecDeque<Acquire>,
    /// Of verifications that have not confirmed a key; none for sessions.
    unconfirmed: Option<TokenBucket>,
}

impl DialLimit {
    /// A gate that lets `per_address` connections through to each address at once, in each lane.
    pub fn new(per_address: usize, own: Mailbox<Self>, owners: Owners, meter: Arc<Meter>) -> Self {
        Self { per_address, own, owners, meter, doors: HashMap::new(), waiting: 0 }
    }

    fn enter(&mut self, enter: Acquire) {
        let (door, now) = (Key::of(&enter), clock::now());
        let queue = self.doors.entry(door).or_default();
        if door.verifies {
            // Those under way have not confirmed anything yet, and are not to use it up.
            let most = UNCONFIRMED.max(2 * self.per_address);
            queue.unconfirmed.get_or_insert_with(|| TokenBucket::new(most, UNCONFIRMED_PER_SECOND, now));
            if !queue.has_budget(now) {
                let _ = enter.answer.send(Err(Full));
                return;
            }
        }
        if queue.has_room(self.per_address) {
            queue.enter(now);
            self.let_in(door, enter);
        } else if !enter.waits
            || queue.waiting.len() >= self.per_address.saturating_mul(LINE)
            || self.waiting >= WAITING
        {
            // Whoever asked may have given up.
            let _ = enter.answer.send(Err(Full));
        } else {
            if let Purpose::Session(pair) = &enter.purpose {
                let _ = self.owners.held.signal(Waiting { pair: pair.clone() });
            }
            queue.waiting.push_back(enter);
            self.waiting += 1;
        }
    }

    /// Gives a pass to one that has been counted; a pass that nobody takes counts itself out.
    fn let_in(&self, door: Key, enter: Acquire) {
        let _ = enter.answer.send(Ok(DialPermit { door, gate: self.own.clone(), succeeded: false }));
    }

    fn left(&mut self, door: Key, succeeded: bool) {
        if let Some(queue) = self.doors.get_mut(&door) {
            queue.inside -= 1;
            queue.learn(succeeded, self.per_address);
            if succeeded && let Some(budget) = &mut queue.unconfirmed {
                // Its own cost, and that of another: a host of many domains has some that are broken.
                budget.give_back(2, clock::now());
            }
            self.let_in_next(door);
        }
    }

    /// Lets in as many as there is room for. Those who have given up meanwhile are passed over.
    fn let_in_next(&mut self, door: Key) {
        while let Some(queue) = self.doors.get_mut(&door)
            && queue.has_room(self.per_address)
        {
            let Some(next) = queue.waiting.pop_front() else {
                if queue.is_done(clock::now()) {
                    self.doors.remove(&door);
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
            queue.enter(clock::now());
            // The promise has to know before the attempt can tell it anything.
            if let Purpose::Session(pair) = &next.purpose {
                let _ = self.owners.admitted.signal(Acquired { pair: pair.clone() });
            }
            self.let_in(door, next);
        }
    }
}

impl Queue {
    /// Counts one that goes in.
    fn enter(&mut self, now: Instant) {
        self.inside += 1;
        if let Some(budget) = &mut self.unconfirmed {
            budget.take(now);
        }
    }

    fn has_room(&self, per_address: usize) -> bool {
        // A reload may have made it less.
        self.inside < per_address.saturating_add(self.grown.min(per_address.saturating_mul(GROWTH - 1)))
    }

    /// One has left. An address at which most connections come to nothing is not met by more of them.
    fn learn(&mut self, succeeded: bool, per_address: usize) {
        self.grown = match succeeded {
            true => (self.grown + 1).min(per_address.saturating_mul(GROWTH - 1)),
            false => self.grown.saturating_sub(2),
        };
    }

    fn has_budget(&mut self, now: Instant) -> bool {
        self.unconfirmed.as_mut().is_none_or(|budget| budget.has_room(now))
    }

    /// Whether there is nothing to remember.
    fn is_done(&mut self, now: Instant) -> bool {
        self.inside == 0
            && self.waiting.is_empty()
            && self.unconfirmed.as_mut().is_none_or(|budget| budget.is_whole(now))
    }
}

impl DialPermit {
    /// Ends the pass of a session that stands, or of a verification that confirmed a key, which costs the address
    /// nothing.
    pub fn succeed(mut self) {
        self.succeeded = true;
    }
}

impl Key {
    fn of(enter: &Acquire) -> Self {
        let verifies = matches!(enter.purpose, Purpose::Verification);
        Self { address: net::site::site(enter.address), verifies }
    }
}

impl Drop for DialPermit {
    fn drop(&mut self) {
        // A gate that is gone counts no more.
        let _ = self.gate.signal(Released { door: self.door, succeeded: self.succeeded });
    }
}

impl Actor for DialLimit {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        context.run_interval(SWEEP, |gate, _| {
            let now = clock::now();
            gate.doors.retain(|_, queue| !queue.is_done(now));
        });
    }
}

impl Handler<Queued<Acquire>> for DialLimit {
    type Result = ();

    fn handle(&mut self, enter: Queued<Acquire>, _: &mut Context<Self>) {
        self.enter(enter.open());
    }
}

impl Handler<Queued<Released>> for DialLimit {
    type Result = ();

    fn handle(&mut self, left: Queued<Released>, _: &mut Context<Self>) {
        let Released { door, succeeded } = left.open();
        self.left(door, succeeded);
    }
}

impl Handler<Queued<Adopt>> for DialLimit {
    type Result = ();

    fn handle(&mut self, adopt: Queued<Adopt>, _: &mut Context<Self>) {
        self.per_address = adopt.open().per_address;
        // Where there is more room now, nobody waits for the next one to leave.
        let doors: Vec<Key> = self.doors.keys().copied().collect();
        doors.into_iter().for_each(|door| self.let_in_next(door));
    }
}

impl Drop for DialLimit {
    fn drop(&mut self) {
        self.meter.count_if_panicking();
    }
}

/// How many times as many connections as at first may be under way to an address where they succeed. With 32 at first
/// these are 256, as many as the attempts of the node at once: a link takes six round trips, so with 100 ms each a hoster
/// of 1,000 domains is reached within 3 s instead of 19.
const GROWTH: usize = 8;

/// Attempts that may wait for one address, for each connection to it that is under way at once: with 32, the 10,000
/// domains of a large hoster. At a hundred links a second, which is what one core makes, all have their turn within the
/// time that a message waits.
const LINE: usize = 512;

/// Attempts that may wait for all addresses. One that waits takes about 8 KiB.
const WAITING: usize = 32_768;

/// Verifications without a confirmed key that may go to one address in a burst.
const UNCONFIRMED: usize = 60;

/// Those that may go there in the long run: one connection a second is no burden to any server, and a host with broken
/// domains is still asked about each of them now and then.
const UNCONFIRMED_PER_SECOND: f64 = 1.0;

/// How often addresses are forgotten whose budget is whole again. Until then each takes some 150 bytes, and the verifier's
/// own limits let strangers name 80 of them in a second.
const SWEEP: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests;
