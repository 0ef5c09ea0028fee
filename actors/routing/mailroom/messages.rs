//! The messages of the mailroom, and the outlets to which it reports.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::sync::oneshot;
use xmpp::{Domain, Served, Stanza};

use crate::{
    flow::{
        account::Totals,
        batch::{Batch, ReadPermit},
    },
    routing::journal,
    settings::Absence,
    streams::component::Carrier,
};
use mailbox::{Outlet, drain};
use status::{amount::Amount, report::Seconds};

/// Keep these stanzas until a connection of the component asks for them.
#[derive(Debug)]
pub struct Deliver {
    /// Stanzas for the name of a component.
    pub batch: Batch,
}

/// This connection serves the name, and the router sends nothing to it: give it what waits, as it asks for it.
#[derive(Debug)]
pub struct TakeOver {
    /// The name.
    pub name: Domain,
    /// The connection.
    pub component: Carrier,
    /// The router has sent to it itself before, and it does not know: have it ask.
    pub is_told: bool,
    /// The component was missing or hung, and is back: the time for which no connection served the name.
    pub away: Option<Duration>,
}

/// The router sends to the connection itself from now on: this is its last message until the next [`TakeOver`].
#[derive(Debug)]
pub struct Release {
    /// The name.
    pub name: Domain,
    /// The connection.
    pub component: Carrier,
}

/// A connection no longer serves the name, and the router sends nothing to it: have it retire. It returns the stanzas
/// that it has not written, which go in front of the queue.
#[derive(Debug)]
pub struct Expect {
    /// The name.
    pub name: Domain,
    /// The connection.
    pub component: Carrier,
    /// If a reload has removed the component: those that serve its names now.
    pub heirs: Vec<Domain>,
}

/// Leave in the journal, or answer, what waits and what comes for components that are not connected: the node stops.
#[derive(Debug)]
pub struct Drain {
    /// Dropped when nothing waits for them.
    pub token: drain::Token,
}

/// Let these stanzas wait, which an earlier run of the node has accepted. Comes before everything else.
#[derive(Debug)]
pub struct Restore {
    /// In order. Those for names that are gone are answered.
    pub batches: Vec<Batch>,
}

/// Use these rules from now on, and answer what waits for names that are gone. What waits for a name that another component
/// serves now is moved to that. Stanzas that wait already keep their time.
///
/// The router passes this on when it adopts the same configuration: what it sent before is for the old names, and what it
/// sends afterwards is for the new ones, behind what is moved.
#[derive(Debug)]
pub struct Adopt {
    /// The components, each by the first of its names, with their rules.
    pub components: Vec<(Domain, Absence)>,
    /// The component that serves each name.
    pub names: Served<Domain>,
    /// Bytes in all queues.
    pub total_bytes: usize,
    /// The account of each component that has gained names. Set by the router.
    pub gained: HashMap<Domain, Arc<Totals>>,
    /// Components that have got names which were remote: they get nothing before [`Precede`]. Set by the router.
    pub heirs: Vec<Domain>,
}

/// Stanzas that waited at the promise for names that components serve since a reload. They go in front of the queues.
#[derive(Debug)]
pub struct Precede {
    /// In order, for the names of the heirs.
    pub batches: Vec<Batch>,
    /// Those of [`Adopt`].
    pub heirs: Vec<Domain>,
}

/// Report the queues.
#[derive(Debug)]
pub struct Show {
    /// Only for this name.
    pub of: Option<Domain>,
    /// Receives the report.
    pub answer: oneshot::Sender<Vec<Shown>>,
}

/// The queue of one component.
#[derive(Debug)]
pub struct Shown {
    /// The name.
    pub name: Domain,
    /// Whether a connection serves the name.
    pub is_served: bool,
    /// The stanzas in the queue.
    pub waiting: Amount,
    /// Those that survive a crash.
    pub kept: u64,
    /// Those that are in the file of the journal only, because the queue is full in memory.
    pub on_disk: Amount,
    /// The time for which the oldest has been waiting.
    pub oldest: Option<Seconds>,
    /// The time until the first is answered with an error.
    pub first_answered: Option<Seconds>,
}

/// Everything that waited has been given to the connection.
#[derive(Debug)]
pub struct HandedOver {
    /// The name.
    pub name: Domain,
    /// The connection.
    pub component: Carrier,
}

/// Stanzas were answered because the component is not connected.
#[derive(Debug)]
pub struct Answered {
    /// The name.
    pub name: Domain,
    /// The stanzas.
    pub amount: Amount,
}

/// Error answers to stanzas for components. Unlike those of the promise they may start an attempt: a remote server that
/// has sent a stanza need not have a session of ours.
#[derive(Debug)]
pub struct Bounced {
    /// Made by [`Stanza::bounce`].
    pub answers: Vec<Stanza>,
    /// The read permit of the stanzas that they answer.
    pub permit: ReadPermit,
}

/// Presence that tells users that addresses of an absent component are unavailable.
#[derive(Debug)]
pub struct Notified {
    /// Made by the node.
    pub batches: Vec<Batch>,
}

/// Stanzas for a name which another component serves since a reload, that were on the disk or with a connection then. What
/// was in memory is moved at the reload.
#[derive(Debug)]
pub struct Moved {
    /// In order.
    pub batches: Vec<Batch>,
}

/// The receivers of the mailroom's events: the router.
#[derive(Clone, Debug)]
pub struct Owners {
    /// Receives the ends of handovers.
    pub handed_over: Outlet<HandedOver>,
    /// Receives the amounts that were answered.
    pub answered: Outlet<Answered>,
    /// Receives the error answers.
    pub bounced: Outlet<Bounced>,
    /// Receives presence for users.
    pub notified: Outlet<Notified>,
    /// Receives stanzas for names that have moved.
    pub moved: Outlet<Moved>,
    /// Takes what waits for a while; `None`: it is in memory only.
    pub(crate) journal: Option<journal::Store>,
}
