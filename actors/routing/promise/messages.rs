//! The messages of the promise, and the outlets to which it reports.

use std::sync::Arc;

use tokio::sync::oneshot;
use xmpp::{Domain, DomainPair, Served};

use crate::{
    dial::attempt::Dial,
    flow::{
        account::Totals,
        batch::Batch,
        claims::Claims,
        route::{Return, Route},
    },
    observe::recorder::RecorderHandle,
    routing::journal,
    settings::Promise as Bounds,
    streams::outgoing::{self, Carrier},
};
use mailbox::{Meter, Outlet, drain};
use status::{amount::Amount, report};

/// Keep these stanzas until there is a session for their pair.
#[derive(Debug)]
pub struct Deliver {
    /// From a local domain to a remote domain.
    pub batch: Batch,
}

/// The router sends to the session itself from now on: this is its last message for the pair.
#[derive(Debug)]
pub struct Release {
    /// The pair of the session.
    pub pair: DomainPair,
}

/// The outbox of this session is full: keep the stanzas of its pair, and give them to the session as it asks for them.
#[derive(Debug)]
pub struct TakeOver {
    /// The pair of the session.
    pub pair: DomainPair,
    /// The session.
    pub session: Carrier,
}

/// A session has ended and returns the stanzas that it has not written. They go in front of the queue.
#[derive(Debug)]
pub struct Expect {
    /// The pair of the session.
    pub pair: DomainPair,
}

/// Answer everything that waits, and everything that comes, with an error: the node stops. With a journal, messages are left
/// there.
#[derive(Debug)]
pub struct Drain {
    /// Dropped when nothing waits.
    pub token: drain::Token,
}

/// Log how many answers to stanzas of other servers could not be sent before the stop, if there are some.
#[derive(Debug)]
pub struct LogUnsent {
    /// Dropped when that is logged.
    pub token: drain::Token,
}

/// Report the queues and the attempts.
#[derive(Debug)]
pub struct Show {
    /// Only for this remote domain.
    pub of: Option<Domain>,
    /// The number of queues to report at most: those with the most stanzas.
    pub limit: usize,
    /// Receives the report.
    pub answer: oneshot::Sender<Shown>,
}

/// End the pause of this remote domain and restart its back-off: an operator knows that it is reachable
/// again.
#[derive(Debug)]
pub struct Retry {
    /// The remote domain.
    pub remote: Domain,
    /// Receives the pairs that are tried.
    pub answer: oneshot::Sender<Retried>,
}

/// The queues and the attempts.
#[derive(Debug)]
pub struct Shown {
    /// The queues with the most stanzas first.
    pub queues: Vec<report::QueueReport>,
    /// The number of all queues, reported or not.
    pub total: usize,
    /// The pairs with an attempt under way, and when the pair became known; as many as the limit allows.
    pub attempts: Vec<(DomainPair, report::Time)>,
    /// Everything that waits in all queues.
    pub waiting: Amount,
    /// Whether the policy permits federation with the domain of the question.
    pub permitted: bool,
}

/// The pairs of a remote domain that an operator wants to be tried.
#[derive(Debug)]
pub struct Retried {
    /// Pairs of which an attempt was started, or waits for a slot.
    pub begun: Vec<DomainPair>,
    /// Pairs that were not in a pause.
    pub under_way: Vec<DomainPair>,
}

/// Use this configuration from now on, and answer the stanzas that it forbids.
pub struct Adopt {
    /// Starts the attempts.
    pub dial: Box<dyn Dial>,
    /// Bounds of the queues and of the back-off. Stanzas that wait already keep their time.
    pub bounds: Bounds,
}

/// The node serves these names itself from now on: give up what waits for them. The router sends this at a reload, behind
/// the last stanza that it sends for them.
#[derive(Debug)]
pub struct MoveOut {
    /// Every local name.
    pub local: Served<()>,
    /// The components that have got such names: they get nothing newer before [`MovedOut`].
    pub heirs: Vec<Domain>,
}

/// What has waited for names that the node serves itself since a reload.
#[derive(Debug)]
pub struct MovedOut {
    /// In order.
    pub batches: Vec<Batch>,
    /// Those of [`MoveOut`]. Empty: the stanzas were on the disk or with a session at the reload.
    pub heirs: Vec<Domain>,
}

/// Everything that waited has been given to the session.
#[derive(Debug)]
pub struct Fulfilled {
    /// The pair of the session.
    pub pair: DomainPair,
    /// Takes the stanzas of the pair from now on.
    pub session: Carrier,
}

/// There is a session, which gets the stanzas of its pair from the promise, in portions.
#[derive(Debug)]
pub struct Linked {
    /// The pair of the session.
    pub pair: DomainPair,
    /// The session.
    pub session: Carrier,
}

/// A session that got portions has ended, and the promise has had it retire.
#[derive(Debug)]
pub struct Unlinked {
    /// The pair of the session.
    pub pair: DomainPair,
    /// The session.
    pub session: Carrier,
}

/// The receivers of the promise's events, and of those of the sessions that it starts.
#[derive(Clone, Debug)]
pub struct Owners {
    /// Receives the new sessions.
    pub fulfilled: Outlet<Fulfilled>,
    /// Receives the new sessions that get portions.
    pub linked: Outlet<Linked>,
    /// Receives the ends of sessions that got portions.
    pub unlinked: Outlet<Unlinked>,
    /// Receives the reports of sessions whose outbox is full.
    pub congested: Outlet<outgoing::Congested>,
    /// Receives the ends of the sessions.
    pub closed: Outlet<outgoing::Closed>,
    /// Receives stanzas for names that have become local.
    pub moved_out: Outlet<MovedOut>,
    /// Receives the error answers.
    pub bounces: Outlet<Return>,
    /// Receives error stanzas that remote servers send to the sessions.
    pub routes: Outlet<Route>,
    /// Records the events of remote domains.
    pub recorder: RecorderHandle,
    /// Counts answers that cannot be sent.
    pub account: Arc<Totals>,
    /// `None`: the node is alone, and makes all links itself.
    pub(crate) cluster: Option<Cluster>,
    /// Takes what waits for a while, and confirms at the stop that it has everything; `None`: it is in memory only.
    pub(crate) journal: Option<journal::Store>,
}

/// The other nodes, as far as the promise needs them.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    /// Decides which node makes the link of a pair.
    pub(crate) claims: Claims,
    /// Counts the relays and their mailboxes.
    pub(crate) relays: Arc<Meter>,
}
