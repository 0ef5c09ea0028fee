//! Asks authoritative servers whether dialback keys are theirs (XEP-0220 2.1.2), for the incoming streams.
//!
//! Each question is an attempt of its own: a fresh connection, over TLS where the peer has it, closed with the answer.
//! How many run at once is bounded, so that nobody can make the node dial around for him.

use std::{collections::VecDeque, sync::Arc};

use actix::{Actor, Context, Handler};
use xmpp::{
    dialback::{Answer, Request},
    stanza,
    stream::initiating::Purpose,
};

use crate::{
    attempt::{Arrival, Means},
    failure::Failure,
    mailbox::{Mailbox, Meter, Outlet, Queued},
};

/// Ask the authoritative server of `request.pair.remote`.
#[derive(Debug)]
pub struct Verify {
    /// The key, and where it was shown.
    pub request: Request,
    /// Who wants to know.
    pub answer: Outlet<Verified>,
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
struct Done;

/// The actor that asks.
pub struct Verifier {
    means: Means,
    own: Mailbox<Self>,
    meter: Arc<Meter>,
    running: usize,
    waiting: VecDeque<Verify>,
}

impl Verifier {
    /// A verifier that asks with these means.
    pub fn new(means: Means, own: Mailbox<Self>, meter: Arc<Meter>) -> Self {
        Self { means, own, meter, running: 0, waiting: VecDeque::new() }
    }

    fn ask(&mut self, verify: Verify) {
        self.running += 1;
        let Verify { request, answer } = verify;
        let purpose = Purpose::Verify(request.clone());
        let attempt = self.means.attempt(request.pair.clone(), purpose, LOG);
        let own = self.own.clone();
        actix_rt::spawn(async move {
            let outcome = actix_rt::spawn(attempt.make()).await.unwrap_or(Err(Failure::Crashed));
            let verdict = match outcome {
                Ok(Arrival::Verified(verdict)) => Ok(verdict),
                Ok(Arrival::Session(_)) => Err(Failure::Crashed.stanza_error(&request.pair.remote)),
                Err(failure) => {
                    log::warn!(
                        target: LOG, pair:% = request.pair, reason:% = failure.sentence(&request.pair.remote);
                        "the authoritative server could not be asked about a dialback key"
                    );
                    Err(failure.stanza_error(&request.pair.remote))
                }
            };
            // A stream that has ended meanwhile wants no answer.
            let _ = answer.signal(Verified { request, answer: verdict });
            let _ = own.signal(Done);
        });
    }
}

impl Actor for Verifier {
    type Context = Context<Self>;
}

impl Handler<Queued<Verify>> for Verifier {
    type Result = ();

    fn handle(&mut self, verify: Queued<Verify>, _: &mut Context<Self>) {
        let verify = verify.open();
        if self.running < AT_ONCE {
            self.ask(verify);
        } else if self.waiting.len() < WAITING {
            self.waiting.push_back(verify);
        } else {
            let Verify { request, answer } = verify;
            let refusal = Failure::Overloaded.stanza_error(&request.pair.remote);
            let _ = answer.signal(Verified { request, answer: Err(refusal) });
        }
    }
}

impl Handler<Queued<Done>> for Verifier {
    type Result = ();

    fn handle(&mut self, done: Queued<Done>, _: &mut Context<Self>) {
        done.open();
        self.running -= 1;
        if let Some(next) = self.waiting.pop_front() {
            self.ask(next);
        }
    }
}

impl Drop for Verifier {
    fn drop(&mut self) {
        self.meter.count_if_panicking();
    }
}

const LOG: &str = "nuncio::dialback";

/// Call-backs under way at once.
const AT_ONCE: usize = 64;

/// Call-backs that wait for their turn; past that the initiator is told to come back later.
const WAITING: usize = 1024;
