//! The messages of a ferry, apart from those of relays and receipts.

use std::{sync::Arc, time::Duration};

use ::cluster::{
    ferry::Frame,
    name::{Incarnation, NodeName},
};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::flow::fence::Lease;
use mailbox::drain;

/// A frame of the other node has arrived.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) frame: Box<Frame>,
    /// Dropped when it is handled.
    pub(crate) permit: OwnedSemaphorePermit,
}

/// The other node is a member of the cluster, with this run.
#[derive(Debug)]
pub(crate) struct Joined {
    pub(crate) incarnation: Incarnation,
}

/// This run of the other node is over.
#[derive(Debug)]
pub(crate) struct Died {
    pub(crate) incarnation: Incarnation,
}

/// This node has begun a run, with this lease.
#[derive(Clone, Debug)]
pub(crate) struct LeaseHeld {
    pub(crate) incarnation: Incarnation,
    pub(crate) lease: Arc<Lease>,
}

/// The lease is over: give back what other nodes have lent. What was sent to them stays there.
#[derive(Clone, Debug)]
pub(crate) struct LeaseLost;

/// The broker is reachable.
#[derive(Clone, Debug)]
pub(crate) struct Up;

/// The broker is not reachable.
#[derive(Clone, Debug)]
pub(crate) struct Down;

/// The node stops: take nothing more, and give back what is not settled in time.
#[derive(Clone, Debug)]
pub(crate) struct StopReceiving {
    /// The time in which what is lent may be settled.
    pub(crate) within: Duration,
    /// Dropped when nothing of the other node is here any more.
    pub(crate) token: drain::Token,
}

/// Report what is on its way.
#[derive(Clone, Debug)]
pub(crate) struct Show {
    /// Receives the report; has room for it.
    pub(crate) answer: mpsc::Sender<FerryReport>,
}

/// What is on its way between this node and another one.
#[derive(Clone, Debug)]
pub(crate) struct FerryReport {
    /// The other node.
    pub(crate) node: NodeName,
    /// The time from a frame to its answer.
    pub(crate) round_trip: Option<Duration>,
    /// Bytes that the other node has not settled.
    pub(crate) unsettled: usize,
    /// The time since the oldest of them came here.
    pub(crate) oldest: Option<Duration>,
    /// Parcels that were sent again since the start.
    pub(crate) resent: u64,
    /// Relays that use the ferry.
    pub(crate) relays: usize,
}
