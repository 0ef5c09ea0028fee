//! Asks authoritative servers whether dialback keys are theirs (XEP-0220 2.1.2), for the incoming streams.
//!
//! Each question is an attempt of its own: a fresh connection, over TLS where the peer has it, closed with the answer.
//! How many run at once is bounded, and so is what the peers of one address may have us ask, so that nobody can make
//! the node dial around for him: an address whose keys were not confirmed has fewer to ask about for a while. Who waits
//! is served address by address in turn: a flood from one holds up no other. A question that takes long while others
//! wait gives way, one whose stream has ended is dropped, and each is answered in its time, waiting included.

mod question;

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

use self::question::Question;
use crate::{
    attempt::Means,
    clock,
    failure::Failure,
    mailbox::{Mailbox, Meter, Outlet, Queued},
    quiet::{self, Quiet},
    settings::Verifications,
};

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
    pub means: Means,
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
    means: Means,
    limits: Verifications,
    own: Mailbox<Self>,
    meter: Arc<Meter>,
    running: HashMap<u64, Running>,
    /// How many were asked so far.
    asked: u64,
    waiting: usize,
    sites: HashMap<IpAddr, Site>,
    /// Those in which something waits, the one whose turn is next in front.
    turns: VecDeque<IpAddr>,
    unasked: Arc<Quiet>,
    refused: Arc<Quiet>,
}

/// What the peers of one address want to know.
#[derive(Default)]
struct Site {
    /// Under way, or not confirmed a while ago.
    running: usize,
    waiting: VecDeque<Question>,
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
    pub fn new(means: Means, limits: Verifications, own: Mailbox<Self>, meter: Arc<Meter>) -> Self {
        Self {
            means,
            limits,
            own,
            meter,
            running: HashMap::new(),
            asked: 0,
            waiting: 0,
            sites: HashMap::new(),
            turns: VecDeque::new(),
            unasked: Quiet::new(
                LOG,
                quiet::FEW,
                "more authoritative servers could not be asked about dialback keys",
            ),
            refused: Quiet::new(
                LOG,
                quiet::FEW,
                "more dialback keys were refused: too many wait to be verified",
            ),
        }
    }

    /// Asks at once, or in turn, or not at all.
    fn take(&mut self, verify: Verify) {
        let question = Question::new(verify, clock::now());
        let full = self.running.len() >= self.limits.at_once;
        let site = self.sites.entry(question.site).or_default();
        let too_many = site.running + site.waiting.len() >= self.limits.per_address;
        if too_many || full && self.waiting >= self.limits.waiting {
            return self.refuse(question);
        }
        if !full {
            return self.ask(question);
        }
        if site.waiting.is_empty() {
            self.turns.push_back(question.site);
        }
        self.waiting += 1;
        site.waiting.push_back(question);
    }

    fn refuse(&mut self, question: Question) {
        self.forget_if_quiet(question.site);
        if self.refused.permits() {
            log::warn!(
                target: LOG, address:% = question.site, pair:% = question.pair(), running = self.running.len(),
                waiting = self.waiting;
                "refused a dialback key: too many wait to be verified"
            );
        }
        question.fail(Failure::Overloaded);
    }

    /// Asks for the addresses whose turn it is, as long as there is room.
    fn ask_next(&mut self) {
        while self.running.len() < self.limits.at_once
            && let Some(turn) = self.turns.pop_front()
        {
            let Some(site) = self.sites.get_mut(&turn) else { continue };
            let Some(question) = site.waiting.pop_front() else { continue };
            if !site.waiting.is_empty() {
                self.turns.push_back(turn);
            }
            self.waiting -= 1;
            self.ask(question);
        }
    }

    /// Answers those that have waited for too long, forgets those that nobody waits for, and lets the others have
    /// a turn for each question that has had it long enough.
    fn look_after(&mut self) {
        let now = clock::now();
        for site in self.sites.values_mut() {
            let before = site.waiting.len();
            site.waiting.retain(|question| question.is_wanted() && now < question.deadline);
            self.waiting -= before - site.waiting.len();
        }
        self.turns.retain(|turn| self.sites.get(turn).is_some_and(|site| !site.waiting.is_empty()));
        self.sites.retain(|_, site| site.running > 0 || !site.waiting.is_empty());
        self.relieve(now);
        self.ask_next();
    }

    /// Has questions end of the addresses with the most of them, the longest first.
    fn relieve(&mut self, now: Instant) {
        if self.waiting == 0 || self.running.len() < self.limits.at_once {
            return;
        }
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
        for running in slow.into_iter().take(self.waiting.saturating_sub(ending)) {
            // Who has the answer by now needs not be told.
            let _ = running.gives_way.take().map(|gives_way| gives_way.send(()));
        }
    }

    fn release(&mut self, address: IpAddr) {
        if let Some(site) = self.sites.get_mut(&address) {
            site.running -= 1;
        }
        self.forget_if_quiet(address);
    }

    fn forget_if_quiet(&mut self, address: IpAddr) {
        if self.sites.get(&address).is_some_and(|site| site.running == 0 && site.waiting.is_empty()) {
            self.sites.remove(&address);
        }
    }

    fn ask(&mut self, question: Question) {
        self.asked += 1;
        let (number, site) = (self.asked, question.site);
        let (gives_way, ends) = oneshot::channel();
        self.running.insert(number, Running { site, since: clock::now(), gives_way: Some(gives_way) });
        self.sites.entry(site).or_default().running += 1;
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
            self.release(site);
        } else {
            context.run_later(PENANCE, move |verifier, _| verifier.release(site));
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
