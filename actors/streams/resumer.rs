//! Remembers the resumable streams of remote servers: who holds the id of each, and for a while after its connection
//! was lost, the number of stanzas that it has taken (XEP-0198 section 5).
//!
//! The two connections of a resumed stream meet here. The peer claims the id of the old one on the new one. If the old
//! one seems alive, it is asked to yield: it takes nothing more, and its count is final once the router has taken
//! everything that it read. Only then the new one learns the count. So everything that it brings comes after that, also when the
//! two streams are on different threads.
//!
//! A stream that cannot be resumed any more leaves its count, with which the peer sends the rest on a new stream.
//! Nothing is kept across a restart of the node.

mod entries;
mod identity;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use actix::{Actor, AsyncContext, Context, Handler};

use self::entries::{Answer, Decision, Entries};
pub(crate) use self::identity::{Identity, Right};
use crate::{dial::remote_policy::RemotePolicies, streams::accepted::Caller};
use mailbox::{Outlet, Queued};

/// A stream has enabled resumption: it holds this id.
#[derive(Debug)]
pub(crate) struct Enrol {
    /// The id: at least 128 random bits, so that it is unique and cannot be guessed.
    pub id: Arc<str>,
    /// The connection of the stream.
    pub holder: Caller,
    /// The stream.
    pub stream: Outlet<Contested>,
}

/// A stream that holds an id takes nothing more: keep its state.
#[derive(Debug)]
pub(crate) struct Part {
    /// The id.
    pub id: Arc<str>,
    /// The connection of the stream.
    pub holder: Caller,
    /// The state.
    pub state: Parted,
}

/// The state of a stream that takes nothing more.
#[derive(Debug)]
pub(crate) struct Parted {
    /// The pairs that it has proved.
    pub identity: Identity,
    /// The number of stanzas that the router took since acks were enabled, mod 2^32.
    pub handled: u32,
    /// How long the stream can be resumed. `None`: it was closed, and only its count is kept.
    pub resumable_for: Option<Duration>,
}

/// A stream that holds an id has ended, and its count is not known.
#[derive(Debug)]
pub(crate) struct Forget {
    /// The id.
    pub id: Arc<str>,
    /// The connection of the stream.
    pub holder: Caller,
}

/// A stream that was asked to yield its id keeps it: the claimant has no right to it.
#[derive(Debug)]
pub(crate) struct Keep {
    /// The id.
    pub id: Arc<str>,
    /// The connection of the stream.
    pub holder: Caller,
}

/// The peer of a stream wants to resume the stream with this id.
#[derive(Debug)]
pub(crate) struct Claim {
    /// The id, as the peer gave it.
    pub id: Arc<str>,
    /// The connection of the claiming stream.
    pub claimant: Caller,
    /// The pairs that the claiming stream has proved.
    pub identity: Identity,
    /// The claiming stream. It holds the id if it resumes.
    pub stream: Outlet<Contested>,
    /// Receives the result.
    pub answer: Outlet<Claimed>,
}

/// A stream that claims an id has ended before it learned the result.
#[derive(Debug)]
pub(crate) struct Withdraw {
    /// The id that it claims.
    pub id: Arc<str>,
    /// The connection of the claiming stream.
    pub claimant: Caller,
}

/// Another connection of the peer claims the id that a stream holds. The stream answers with [`Part`] when its count is
/// final, or with [`Keep`].
#[derive(Debug)]
pub(crate) struct Contested {
    /// The id.
    pub id: Arc<str>,
    /// The pairs that the other connection has proved.
    pub by: Identity,
}

/// The result of a claim.
#[derive(Debug)]
pub(crate) struct Claimed {
    /// The id that was claimed.
    pub id: Arc<str>,
    /// The result.
    pub outcome: Outcome,
}

/// The result of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The claiming stream goes on with the old one. It holds the id.
    Resumed {
        /// The number of stanzas that the old one took.
        handled: u32,
        /// The time since the old one took its last.
        interrupted: Duration,
    },
    /// The old stream is over. This is its count.
    Counted {
        /// The number of stanzas that it took.
        handled: u32,
    },
    /// The id is not known.
    Unknown,
    /// Another connection of the peer has claimed the id later.
    Overtaken,
    /// The old stream did not yield in time. It has the id, and its count is not final.
    NotYet,
    /// The peer has no right to the old stream.
    Refused,
}

/// Remember streams under this configuration from now on.
#[derive(Debug)]
pub(crate) struct Adopt {
    /// The policies towards remote domains.
    pub policies: RemotePolicies,
    /// Parted streams at most.
    pub limit: usize,
}

/// The actor that remembers resumable streams.
pub(crate) struct Resumer {
    entries: Entries,
    policies: RemotePolicies,
    /// The number of claims so far.
    claims: u64,
}

impl Resumer {
    /// Remembers at most `limit` streams that have parted.
    pub(crate) fn new(policies: RemotePolicies, limit: usize) -> Self {
        Self { entries: Entries::new(limit), policies, claims: 0 }
    }
}

/// Tells the claiming stream. If it has ended, it withdraws its claim.
fn send(answer: Answer) {
    let Answer { claim, outcome } = answer;
    let _ = claim.answer.signal(Claimed { id: claim.id, outcome });
}

/// Whether the configuration still admits all pairs.
fn admits(policies: &RemotePolicies, identity: &Identity) -> bool {
    let (rules, mut pairs) = (policies.rules(), identity.pairs().peekable());
    // Those of a stream that a reload closes were withdrawn.
    pairs.peek().is_some()
        && pairs.all(|pair| rules.permits(&pair.remote) && rules.hosted(&pair.local).is_some())
}

impl Actor for Resumer {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        context.run_interval(TICK, |resumer, _| resumer.entries.expire(clock::now()));
    }
}

impl Handler<Queued<Enrol>> for Resumer {
    type Result = ();

    fn handle(&mut self, enrol: Queued<Enrol>, _: &mut Context<Self>) {
        self.entries.enrol(enrol.into_message());
    }
}

impl Handler<Queued<Part>> for Resumer {
    type Result = ();

    fn handle(&mut self, part: Queued<Part>, _: &mut Context<Self>) {
        let Part { id, holder, state } = part.into_message();
        let answer = match admits(&self.policies, &state.identity) {
            true => self.entries.part(id, holder, state, clock::now()),
            false => self.entries.forget(&id, holder),
        };
        answer.into_iter().for_each(send);
    }
}

impl Handler<Queued<Forget>> for Resumer {
    type Result = ();

    fn handle(&mut self, forget: Queued<Forget>, _: &mut Context<Self>) {
        let Forget { id, holder } = forget.into_message();
        self.entries.forget(&id, holder).into_iter().for_each(send);
    }
}

impl Handler<Queued<Claim>> for Resumer {
    type Result = ();

    fn handle(&mut self, claim: Queued<Claim>, context: &mut Context<Self>) {
        let claim = claim.into_message();
        self.claims += 1;
        let (number, id, identity) = (self.claims, Arc::clone(&claim.id), claim.identity.clone());
        match self.entries.claim(claim, number, clock::now()) {
            Decision::Answer(answer) => send(answer),
            Decision::Ask { stream, replaced } => {
                replaced.into_iter().for_each(send);
                // A stream that has ended has sent its state, or that it has none.
                let _ = stream.signal(Contested { id: Arc::clone(&id), by: identity });
                context.run_later(YIELD_WITHIN, move |resumer, _| {
                    resumer.entries.give_up(&id, number).into_iter().for_each(send);
                });
            }
        }
    }
}

impl Handler<Queued<Keep>> for Resumer {
    type Result = ();

    fn handle(&mut self, keep: Queued<Keep>, _: &mut Context<Self>) {
        let Keep { id, holder } = keep.into_message();
        self.entries.refuse(&id, holder).into_iter().for_each(send);
    }
}

impl Handler<Queued<Withdraw>> for Resumer {
    type Result = ();

    fn handle(&mut self, withdraw: Queued<Withdraw>, _: &mut Context<Self>) {
        let Withdraw { id, claimant } = withdraw.into_message();
        self.entries.withdraw(id, claimant, clock::now()).into_iter().for_each(send);
    }
}

impl Handler<Queued<Adopt>> for Resumer {
    type Result = ();

    fn handle(&mut self, adopt: Queued<Adopt>, _: &mut Context<Self>) {
        let Adopt { policies, limit } = adopt.into_message();
        self.entries.adopt(limit, |identity| admits(&policies, identity));
        self.policies = policies;
    }
}

/// The time limit for a stream to yield its id. It needs the router to take everything that it has read, which takes milliseconds;
/// a peer may abandon the resumption after 5 s. The claimant can claim again later.
const YIELD_WITHIN: Duration = Duration::from_secs(2);

/// How often the times of parted streams are checked.
const TICK: Duration = Duration::from_secs(15);
