//! Asks authoritative servers whether dialback keys are theirs (XEP-0220 2.1.2), for the incoming streams.
//!
//! Each question is an attempt of its own: a fresh connection, over TLS where the peer has it, closed with the answer.
//! Anybody can show a key, so nobody can make the node dial around: questions are bounded at once, by the address and by
//! the network of the asker, and in all by their number per second (`shares`); the gate bounds the connections to each
//! destination. A key that is confirmed costs nothing once it is: a host of ten thousand domains has all of them verified.
//! A question for which there is no share waits in line, address by address in turn: a flood from one holds up no other,
//! and when the line is full, the address with the most in it gives up one. A question that takes long while others wait
//! gives way, one whose stream has ended is dropped, and each is answered in its time, waiting included.

mod question;
mod shares;

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

use self::{question::Question, shares::Shares};
use crate::{
    dial::{attempt::Dialer, error::AttemptError},
    observe::log_limit::{self, LogLimiter},
    settings::Verifications,
};
use mailbox::{Mailbox, Meter, Outlet, Queued};

/// Ask the authoritative server of `request.pair.remote`.
#[derive(Debug)]
pub struct Verify {
    /// The key, and where it was shown.
    pub request: Request,
    /// Where the initiator connects from; an IPv6 /64 is one address.
    pub site: IpAddr,
    /// Who wants to know.
    pub answer: Outlet<Verified>,
    /// How long that can wait.
    pub within: Duration,
    /// Closed when the stream has ended on which the key was shown.
    pub stream: watch::Receiver<()>,
}

/// Ask with these means from now on.
#[derive(Debug)]
pub struct Adopt {
    /// Terms and certificates.
    pub means: Dialer,
    /// How much.
    pub limits: Verifications,
}

/// What the authoritative server said.
#[derive(Debug)]
pub struct Verified {
    /// The question.
    pub request: Request,
    /// Its answer; `Err`: it could not be asked, and this is what the initiator is told.
    pub answer: Result<Answer, stanza::Error>,
}

/// One question is done.
#[derive(Debug)]
struct Done {
    number: u64,
    confirmed: bool,
}

/// The actor that asks.
pub struct Verifier {
    means: Dialer,
    limits: Verifications,
    own: Mailbox<Self>,
    meter: Arc<Meter>,
    running: HashMap<u64, Running>,
    /// How many were asked so far.
    asked: u64,
    shares: Shares,
    waiting: usize,
    /// The questions that wait, by the address of the asker; none is empty.
    lines: HashMap<IpAddr, VecDeque<Question>>,
    /// The addresses in which something waits, the one whose turn is next in front.
    turns: VecDeque<IpAddr>,
    unasked: Arc<LogLimiter>,
    refused: Arc<LogLimiter>,
}

/// A question that is being asked.
struct Running {
    site: IpAddr,
    since: Instant,
    /// Ends it; `None`: that was used.
    gives_way: Option<oneshot::Sender<()>>,
}

impl Verifier {
    /// A verifier that asks with these means.
    pub fn new(means: Dialer, limits: Verifications, own: Mailbox<Self>, meter: Arc<Meter>) -> Self {
        Self {
            means,
            limits,
            own,
            meter,
            running: HashMap::new(),
            asked: 0,
            shares: Shares::new(clock::now()),
            waiting: 0,
            lines: HashMap::new(),
            turns: VecDeque::new(),
            unasked: LogLimiter::new(
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

    /// Asks at once, or in turn, or not at all.
    fn take(&mut self, verify: Verify) {
        let question = Question::new(verify, clock::now());
        let site = question.site;
        if !self.lines.contains_key(&site) && self.may_ask(site) {
            return self.ask(question);
        }
        if self.waiting >= self.limits.waiting && !self.makes_room(site) {
            return self.refuse(question);
        }
        self.waiting += 1;
        let line = self.lines.entry(site).or_default();
        if line.is_empty() {
            self.turns.push_back(site);
        }
        line.push_back(question);
    }

    fn may_ask(&mut self, site: IpAddr) -> bool {
        self.running.len() < self.limits.at_once
            && self.shares.has_room(site, self.limits.per_address, clock::now())
    }

    /// Takes the last question from the longest line, unless the line of `site` would be as long.
    fn makes_room(&mut self, site: IpAddr) -> bool {
        let longest = self.lines.iter().max_by_key(|(_, line)| line.len()).map(|(site, _)| *site);
        let own = self.lines.get(&site).map_or(0, VecDeque::len);
        let Some(line) = longest.and_then(|longest| self.lines.get_mut(&longest)) else { return false };
        if line.len() <= own + 1 {
            return false;
        }
        let Some(last) = line.pop_back() else { return false };
        self.waiting -= 1;
        self.refuse(last);
        true
    }

    fn refuse(&mut self, question: Question) {
        if self.refused.permits() {
            log::warn!(
                target: LOG, address:% = question.site, pair:% = question.pair(), running = self.running.len(),
                waiting = self.waiting;
                "refused a dialback key: too many wait to be verified"
            );
        }
        question.fail(AttemptError::Overloaded);
    }

    /// Asks for the addresses whose turn it is, as long as there is room. Those that have used up their share stay in
    /// line.
    fn ask_next(&mut self) {
        let mut passed_over = 0;
        while self.running.len() < self.limits.at_once
            && passed_over < self.turns.len()
            && let Some(site) = self.turns.pop_front()
        {
            if !self.may_ask(site) {
                self.turns.push_back(site);
                passed_over += 1;
                continue;
            }
            let Some(line) = self.lines.get_mut(&site) else { continue };
            let question = line.pop_front();
            if line.is_empty() {
                self.lines.remove(&site);
            } else {
                self.turns.push_back(site);
            }
            if let Some(question) = question {
                self.waiting -= 1;
                self.ask(question);
                passed_over = 0;
            }
        }
    }

    /// Answers those that have waited for too long, forgets those that nobody waits for, and lets the others have
    /// a turn for each question that has had it long enough.
    fn look_after(&mut self) {
        let now = clock::now();
        for line in self.lines.values_mut() {
            let before = line.len();
            line.retain(|question| question.is_wanted() && now < question.deadline);
            self.waiting -= before - line.len();
        }
        self.lines.retain(|_, line| !line.is_empty());
        self.turns.retain(|site| self.lines.contains_key(site));
        self.relieve(now);
        self.ask_next();
    }

    /// Has questions end of the addresses with the most of them, the longest first.
    fn relieve(&mut self, now: Instant) {
        if self.waiting == 0 || self.running.len() < self.limits.at_once {
            return;
        }
        // Nothing gives way to those who have used up their share.
        let per_address = self.limits.per_address;
        let askable = self.lines.iter().filter(|(site, _)| self.shares.has_room(**site, per_address, now));
        let askable: usize = askable.map(|(_, line)| line.len()).sum();
        let mut of_site: HashMap<IpAddr, usize> = HashMap::new();
        let mut ending = 0;
        for running in self.running.values() {
            *of_site.entry(running.site).or_default() += 1;
            ending += usize::from(running.gives_way.is_none());
        }
        let mut slow: Vec<&mut Running> = self
            .running
            .values_mut()
            .filter(|running| running.gives_way.is_some() && running.since + PATIENCE <= now)
            .collect();
        slow.sort_by_key(|running| (Reverse(of_site.get(&running.site).copied()), running.since));
        for running in slow.into_iter().take(askable.saturating_sub(ending)) {
            // Who has the answer by now needs not be told.
            let _ = running.gives_way.take().map(|gives_way| gives_way.send(()));
        }
    }

    fn ask(&mut self, question: Question) {
        self.asked += 1;
        let (number, site) = (self.asked, question.site);
        let (gives_way, ends) = oneshot::channel();
        self.running.insert(number, Running { site, since: clock::now(), gives_way: Some(gives_way) });
        self.shares.take(site, clock::now());
        let (means, own, unasked) = (self.means.clone(), self.own.clone(), Arc::clone(&self.unasked));
        actix_rt::spawn(async move {
            let confirmed = question.ask(&means, &unasked, ends).await;
            let _ = own.signal(Done { number, confirmed });
        });
    }
}

impl Actor for Verifier {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        context.run_interval(TICK, |verifier, _| verifier.look_after());
    }
}

impl Handler<Queued<Verify>> for Verifier {
    type Result = ();

    fn handle(&mut self, verify: Queued<Verify>, _: &mut Context<Self>) {
        self.take(verify.open());
    }
}

impl Handler<Queued<Done>> for Verifier {
    type Result = ();

    fn handle(&mut self, done: Queued<Done>, context: &mut Context<Self>) {
        let Done { number, confirmed } = done.open();
        let Some(Running { site, .. }) = self.running.remove(&number) else { return };
        if confirmed {
            self.shares.give_back(site, clock::now());
        } else {
            context.run_later(PENANCE, move |verifier, _| verifier.shares.release(site));
        }
        self.ask_next();
    }
}

impl Handler<Queued<Adopt>> for Verifier {
    type Result = ();

    fn handle(&mut self, adopt: Queued<Adopt>, _: &mut Context<Self>) {
        let Adopt { means, limits } = adopt.open();
        (self.means, self.limits) = (means, limits);
        self.ask_next();
    }
}

impl Drop for Verifier {
    fn drop(&mut self) {
        self.meter.count_if_panicking();
    }
}

const LOG: &str = "nuncio::dialback";

/// How long a key that was not confirmed counts as one of its address: with the default of 32, no address has us look
/// into more than one false key a second for long.
const PENANCE: Duration = Duration::from_secs(30);

/// How long a question may take while others wait. An honest server is asked within a dozen round trips.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often those that wait are looked after: no answer is later than its time and this.
const TICK: Duration = Duration::from_millis(250);
