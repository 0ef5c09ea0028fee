//! Asks authoritative servers whether dialback keys are theirs (XEP-0220 2.1.2), for the incoming streams.
//!
//! Each question is an attempt of its own: a fresh connection, over TLS where the peer has it, closed with the answer.
//! How many run at once is bounded, and so is what the peers of one address may have us ask, so that nobody can make
//! the node dial around for him: an address whose keys were not confirmed has fewer to ask about for a while. Who waits is served address by address in turn: a flood from one holds up no other.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use actix::{Actor, AsyncContext, Context, Handler};
use xmpp::{
    dialback::{Answer, Request},
    stanza,
    stream::initiating::Purpose,
};

use crate::{
    attempt::{Arrival, Means},
    failure::Failure,
    mailbox::{Mailbox, Meter, Outlet, Queued},
    quiet::{self, Quiet},
    recorder::{Event, What},
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
    site: IpAddr,
    confirmed: bool,
}

/// The actor that asks.
pub struct Verifier {
    means: Means,
    limits: Verifications,
    own: Mailbox<Self>,
    meter: Arc<Meter>,
    running: usize,
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
    waiting: VecDeque<Verify>,
}

impl Verifier {
    /// A verifier that asks with these means.
    pub fn new(means: Means, limits: Verifications, own: Mailbox<Self>, meter: Arc<Meter>) -> Self {
        Self {
            means,
            limits,
            own,
            meter,
            running: 0,
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
        let full = self.running >= self.limits.at_once;
        let site = self.sites.entry(verify.site).or_default();
        let too_many = site.running + site.waiting.len() >= self.limits.per_address;
        if too_many || full && self.waiting >= self.limits.waiting {
            return self.refuse(verify);
        }
        if !full {
            return self.ask(verify);
        }
        if site.waiting.is_empty() {
            self.turns.push_back(verify.site);
        }
        self.waiting += 1;
        site.waiting.push_back(verify);
    }

    fn refuse(&mut self, verify: Verify) {
        let Verify { request, site, answer } = verify;
        self.forget_if_quiet(site);
        if self.refused.permits() {
            log::warn!(
                target: LOG, address:% = site, pair:% = request.pair, running = self.running, waiting = self.waiting;
                "refused a dialback key: too many wait to be verified"
            );
        }
        let refusal = Failure::Overloaded.stanza_error(&request.pair.remote);
        let _ = answer.signal(Verified { request, answer: Err(refusal) });
    }

    /// Asks for the addresses whose turn it is, as long as there is room.
    fn ask_next(&mut self) {
        while self.running < self.limits.at_once
            && let Some(turn) = self.turns.pop_front()
        {
            let Some(site) = self.sites.get_mut(&turn) else { continue };
            let Some(verify) = site.waiting.pop_front() else { continue };
            if !site.waiting.is_empty() {
                self.turns.push_back(turn);
            }
            self.waiting -= 1;
            self.ask(verify);
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

    fn ask(&mut self, verify: Verify) {
        self.running += 1;
        let Verify { request, site, answer } = verify;
        self.sites.entry(site).or_default().running += 1;
        let purpose = Purpose::Verify(request.clone());
        let attempt = self.means.attempt(request.pair.clone(), purpose, LOG);
        let (own, unasked, notes) = (self.own.clone(), Arc::clone(&self.unasked), self.means.notes.clone());
        actix_rt::spawn(async move {
            let outcome = actix_rt::spawn(attempt.make()).await.unwrap_or(Err(Failure::Crashed));
            let verdict = match outcome {
                Ok(Arrival::Verified(verdict)) => Ok(verdict),
                Ok(Arrival::Session(_)) => Err(Failure::Crashed.stanza_error(&request.pair.remote)),
                Err(failure) => {
                    if unasked.permits() {
                        log::warn!(
                            target: LOG, pair:% = request.pair, reason:% = failure.sentence(&request.pair.remote);
                            "the authoritative server could not be asked about a dialback key"
                        );
                    }
                    Err(failure.stanza_error(&request.pair.remote))
                }
            };
            let confirmed = matches!(verdict, Ok(Answer::Valid));
            if !confirmed {
                let text = match &verdict {
                    Ok(_) => "its server does not know the dialback key that was shown for it".to_owned(),
                    Err(error) => {
                        format!("its server could not be asked about a dialback key: {}", error.text)
                    }
                };
                let event = Event::now(What::Verified).with(&request.pair.local).saying(text);
                notes.note_claim(&request.pair.remote, event);
            }
            // A stream that has ended meanwhile wants no answer.
            let _ = answer.signal(Verified { request, answer: verdict });
            let _ = own.signal(Done { site, confirmed });
        });
    }
}

impl Actor for Verifier {
    type Context = Context<Self>;
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
        let Done { site, confirmed } = done.open();
        self.running -= 1;
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
