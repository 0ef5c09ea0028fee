//! Messages that bring stanzas to the router, from streams and from the promise.

use xmpp::{Stanza, stanza};

use crate::flow::{
    batch::{Answers, Batch, ReadPermit},
    ledger::Outcome,
    refused::RefusedStanzas,
};
use mailbox::Outlet;

/// Take these where they belong.
#[derive(Debug)]
pub struct Route {
    /// What one read brought, sorted.
    pub batches: Vec<Batch>,
    /// The side that they came from.
    pub ingress: Ingress,
}

/// The side of the node at which stanzas came in. It decides whether they may leave the node: a stanza of a remote domain is never relayed to
/// another remote domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ingress {
    /// A local component, or the node itself.
    Local,
    /// A remote server.
    Remote,
}

/// Take these error answers to their senders. A lane of its own: never refused, and it makes no promise.
#[derive(Debug)]
pub struct Return {
    /// Made by [`Stanza::bounce`].
    pub answers: Vec<Stanza>,
    /// That of the stanzas they answer.
    pub pass: ReadPermit,
}

/// Enter these in the account, and take the answers to their senders.
#[derive(Debug)]
pub struct Refuse {
    /// The refused stanzas of one read.
    pub refused: RefusedStanzas,
    /// The error answers that leave on streams of ours.
    pub answers: Vec<Batch>,
}

/// Answers each stanza of a batch that may be answered; `outcome` is what that is called in the account.
pub fn bounce(lane: &Outlet<Return>, batch: Batch, error: &stanza::Error, outcome: Outcome) {
    let Answers { stanzas: answers, pass, .. } = batch.into_answers(error, outcome);
    if !answers.is_empty() {
        // A router that is gone takes the process with it.
        let _ = lane.signal(Return { answers, pass });
    }
}
