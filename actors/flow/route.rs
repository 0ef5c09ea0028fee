//! Messages that bring stanzas to the router, from streams and from the promise.

use xmpp::{Stanza, stanza};

use crate::flow::{
    account::Outcome,
    batch::{Answers, Batch, ReadPermit},
    refused::RefusedStanzas,
};
use mailbox::Outlet;

/// Route these stanzas to their destination.
#[derive(Debug)]
pub struct Route {
    /// The stanzas of one read, grouped by domains.
    pub batches: Vec<Batch>,
    /// The side on which they came in.
    pub ingress: Ingress,
}

/// The side of the node on which stanzas came in. It decides whether they may leave the node: a stanza of a
/// remote domain is never relayed to another remote domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ingress {
    /// A local component, or the node itself.
    Local,
    /// A remote server.
    Remote,
    /// Another node of the cluster, which has taken the stanzas in, or made them. They stand in its account.
    Node,
}

/// Route these error answers to their senders. They are never refused, and never start an attempt.
#[derive(Debug)]
pub struct Return {
    /// Made by [`Stanza::bounce`].
    pub answers: Vec<Stanza>,
    /// The read permit of the stanzas that they answer.
    pub permit: ReadPermit,
}

/// Count these refused stanzas in the account, and route the answers to their senders.
#[derive(Debug)]
pub struct Refuse {
    /// The refused stanzas of one read.
    pub refused: RefusedStanzas,
    /// The error answers, which leave on streams that we open.
    pub answers: Vec<Batch>,
}

/// Answers each stanza of a batch that may be answered; `outcome` is that of the answered ones.
pub(crate) fn bounce(lane: &Outlet<Return>, batch: Batch, error: &stanza::Error, outcome: Outcome) {
    let Answers { stanzas: answers, permit, .. } = batch.into_answers(error, outcome);
    if !answers.is_empty() {
        // A router that is gone ends the process.
        let _ = lane.signal(Return { answers, permit });
    }
}
