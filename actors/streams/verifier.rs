//! Verifies dialback keys with the authoritative servers (XEP-0220 section 2.1.2), for the incoming streams.
//!
//! Each verification is an attempt of its own: a new connection, over TLS where the peer has it, closed after
//! the answer. Any peer can show a key, so verifications are limited, or peers could make the node open
//! connections everywhere: by the address and the network of the initiator, and in all by a rate (`shares`).
//! The dial limit bounds the connections to each destination. A confirmed key no longer counts: a host of ten
//! thousand domains has all of them verified.
//!
//! A verification above the limits waits in a queue of its address, and the addresses take turns: a flood
//! from one delays no other. When all queues are full, the longest one loses a verification. A verification
//! that takes long while others wait is ended, and one whose stream has ended is dropped. Each is answered
//! within its time limit, the wait included.

mod shares;
mod verification;

use std::{
    cmp::Reverse,
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{Actor, AsyncContext, Context, Handler};
use tokio::sync::{oneshot, watch};
use xmpp::{
    dialback::{Answer, Request},
    stanza,
};

use self::{shares::Shares, verification::Verification};
use crate::{
    dial::{attempt::Dialer, error::AttemptError},
    observe::log_limit::{self, LogLimiter},
    settings::Verifications,
};
use mailbox::{Mailbox, Outlet, Queued};

/// Verify a dialback key with the authoritative server of `request.pair.remote`.
#[derive(Debug)]
pub(crate) struct Verify {
    /// The key, and the stream on which it was shown.
    pub request: Request,
    /// The address of the initiator; an IPv6 /64 is one address.
    pub site: IpAddr,
    /// Receives the result.
    pub answer: Outlet<Verified>,
    /// The time limit for the result.
    pub within: Duration,
    /// Closed when the stream on which the key was shown has ended.
    pub stream: watch::Receiver<()>,
}

/// Verify under this configuration from now on.
#[derive(Debug)]
pub(crate) struct Adopt {
    /// Makes the attempts.
    pub dialer: Dialer,
    /// The limits.
    pub limits: Verifications,
}

/// The result of a verification.
#[derive(Debug)]
pub(crate) struct Verified {
    /// The key, and the stream on which it was shown.
    pub request: Request,
    /// The answer of the authoritative server. `Err`: the server could not be asked; the error is for the
    /// initiator.
    pub answer: Result<Answer, stanza::Error>,
}

/// A verification is done. Sent by its task.
#[derive(Debug)]
struct Done {
    number: u64,
    confirmed: bool,
}

/// The actor that verifies dialback keys.
pub(crate) struct Verifier {
    dialer: Dialer,
    limits: Verifications,
    own: Mailbox<Self>,
    running: HashMap<u64, Running>,
    /// The number of verifications that were started.
    started: u64,
    shares: Shares,
    /// The number of waiting verifications.
    waiting: usize,
    /// The waiting verifications by address of the initiator; no queue is empty.
    queues: HashMap<IpAddr, VecDeque<Verification>>,
    /// The addresses with waiting verifications, the next one in front.
    turns: VecDeque<IpAddr>,
    /// Limits log lines about servers that could not be asked.
    failed: Arc<LogLimiter>,
    refused: Arc<LogLimiter>,
}

/// A verification that is being made.
struct Running {
    site: IpAddr,
    since: Instant,
    /// Ends it; `None`: it is being ended.
    ends: Option<oneshot::Sender<()>>,
}

impl Verifier {
    /// A verifier that makes its attempts with this dialer.
    pub(crate) fn new(dialer: Dialer, limits: Verifications, own: Mailbox<Self>) -> Self {
        Self {
            dialer,
            limits,
            own,
            running: HashMap::new(),
            started: 0,
            shares: Shares::new(clock::now()),
            waiting: 0,
            queues: HashMap::new(),
            turns: VecDeque::new(),
            failed: LogLimiter::new(
                LOG,
                log_limit::FEW,
                "more authoritative servers could not be asked about dialback keys",
            ),
            refused: LogLimiter::new(
                LOG,
                log_limit::FEW,
                "more dialback keys were refused: too many wait to be verified",
            ),
        }
    }

    /// Starts a verification, queues it, or refuses it.
    fn take(&mut self, verify: Verify) {
        let verification = Verification::new(verify, clock::now());
        let site = verification.site;
        if !self.queues.contains_key(&site) && self.may_start(site) {
            return self.start(verification);
        }
        if self.waiting >= self.limits.waiting && !self.make_room(site) {
            return self.refuse(verification);
        }
        self.waiting += 1;
        let queue = self.queues.entry(site).or_default();
        if queue.is_empty() {
            self.turns.push_back(site);
        }
        queue.push_back(verification);
    }

    fn may_start(&mut self, site: IpAddr) -> bool {
        self.running.len() < self.limits.at_once
            && self.shares.has_room(site, self.limits.per_address, clock::now())
    }

    /// Refuses the last verification of the longest queue, unless the queue of `site` would be as long. Returns
    /// whether one was refused.
    fn make_room(&mut self, site: IpAddr) -> bool {
        let longest = self.queues.iter().max_by_key(|(_, queue)| queue.len()).map(|(site, _)| *site);
        let own = self.queues.get(&site).map_or(0, VecDeque::len);
        let Some(queue) = longest.and_then(|longest| self.queues.get_mut(&longest)) else { return false };
        if queue.len() <= own + 1 {
            return false;
        }
        let Some(last) = queue.pop_back() else { return false };
        self.waiting -= 1;
        self.refuse(last);
        true
    }

    fn refuse(&mut self, verification: Verification) {
        if self.refused.count_line() {
            log::warn!(
                target: LOG, address:% = verification.site, pair:% = verification.pair(),
                running = self.running.len(),
                waiting = self.waiting;
                "refused a dialback key: too many wait to be verified"
            );
        }
        verification.fail(AttemptError::Overloaded);
    }

    /// Starts waiting verifications, address by address, as long as there is room. Addresses that have used
    /// up their share go on waiting.
    fn start_next(&mut self) {
        let mut passed_over = 0;
        while self.running.len() < self.limits.at_once
            && passed_over < self.turns.len()
            && let Some(site) = self.turns.pop_front()
        {
            if !self.may_start(site) {
                self.turns.push_back(site);
                passed_over += 1;
                continue;
            }
            let Some(queue) = self.queues.get_mut(&site) else { continue };
            let next = queue.pop_front();
            if queue.is_empty() {
                self.queues.remove(&site);
            } else {
                self.turns.push_back(site);
            }
            if let Some(verification) = next {
                self.waiting -= 1;
                self.start(verification);
                passed_over = 0;
            }
        }
    }

    /// Answers verifications that have waited for too long, drops those whose stream has ended, and ends slow
    /// ones so that others can start.
    fn check_queues(&mut self) {
        let now = clock::now();
        for queue in self.queues.values_mut() {
            let before = queue.len();
            queue.retain(|verification| verification.is_wanted() && now < verification.deadline);
            self.waiting -= before - queue.len();
        }
        self.queues.retain(|_, queue| !queue.is_empty());
        self.turns.retain(|site| self.queues.contains_key(site));
        self.end_slow(now);
        self.start_next();
    }

    /// Ends slow verifications: first those of the addresses with most of them, and of these the oldest.
    fn end_slow(&mut self, now: Instant) {
        if self.waiting == 0 || self.running.len() < self.limits.at_once {
            return;
        }
        // Addresses that have used up their share could not start anyway.
        let per_address = self.limits.per_address;
        let startable = self.queues.iter().filter(|(site, _)| self.shares.has_room(**site, per_address, now));
        let startable: usize = startable.map(|(_, queue)| queue.len()).sum();
        let mut of_site: HashMap<IpAddr, usize> = HashMap::new();
        let mut ending = 0;
        for running in self.running.values() {
            *of_site.entry(running.site).or_default() += 1;
            ending += usize::from(running.ends.is_none());
        }
        let mut slow: Vec<&mut Running> = self
            .running
            .values_mut()
            .filter(|running| running.ends.is_some() && running.since + SLOW_AFTER <= now)
            .collect();
        slow.sort_by_key(|running| (Reverse(of_site.get(&running.site).copied()), running.since));
        for running in slow.into_iter().take(startable.saturating_sub(ending)) {
            // A verification that has its answer by now needs no end.
            let _ = running.ends.take().map(|ends| ends.send(()));
        }
    }

    fn start(&mut self, verification: Verification) {
        self.started += 1;
        let (number, site) = (self.started, verification.site);
        let (end, ended) = oneshot::channel();
        self.running.insert(number, Running { site, since: clock::now(), ends: Some(end) });
        self.shares.take(site, clock::now());
        let (dialer, own, failed) = (self.dialer.clone(), self.own.clone(), Arc::clone(&self.failed));
        actix_rt::spawn(async move {
            let confirmed = verification.ask(&dialer, &failed, ended).await;
            let _ = own.signal(Done { number, confirmed });
        });
    }
}

impl Actor for Verifier {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        context.run_interval(TICK, |verifier, _| verifier.check_queues());
    }
}

impl Handler<Queued<Verify>> for Verifier {
    type Result = ();

    fn handle(&mut self, verify: Queued<Verify>, _: &mut Context<Self>) {
        self.take(verify.into_message());
    }
}

impl Handler<Queued<Done>> for Verifier {
    type Result = ();

    fn handle(&mut self, done: Queued<Done>, context: &mut Context<Self>) {
        let Done { number, confirmed } = done.into_message();
        let Some(Running { site, .. }) = self.running.remove(&number) else { return };
        if confirmed {
            self.shares.give_back(site, clock::now());
        } else {
            context.run_later(PENALTY, move |verifier, _| verifier.shares.release(site));
        }
        self.start_next();
    }
}

impl Handler<Queued<Adopt>> for Verifier {
    type Result = ();

    fn handle(&mut self, adopt: Queued<Adopt>, _: &mut Context<Self>) {
        let Adopt { dialer, limits } = adopt.into_message();
        (self.dialer, self.limits) = (dialer, limits);
        self.start_next();
    }
}

const LOG: &str = "nuncio::dialback";

/// How long a key that was not confirmed stays counted for its address: with the default limit of 32, an
/// address can have about one false key per second verified in the long run.
const PENALTY: Duration = Duration::from_secs(30);

/// How long a verification may take while others wait. A working server answers within a dozen round trips.
const SLOW_AFTER: Duration = Duration::from_secs(5);

/// How often the queues are checked: no answer is later than its time limit plus this.
const TICK: Duration = Duration::from_millis(250);
