//! The messages of the actor of the cluster, apart from those of promise and router.

use std::time::Duration;

use ::cluster::{arbiter, name::NodeName, names::Names};
use tokio::sync::{mpsc, oneshot};

use crate::{
    flow::claims::{
        Conflict, Contested, Freeze, Granted, HeldBy, SeatAt, SeatDelayed, SeatTaken, SeatUnknown, Seated,
        Unknown,
    },
    relaying::ferry::FerryReport,
};
use mailbox::{Outlet, drain};
use status::report::BrokerReport;

/// Who gets the decisions.
#[derive(Clone, Debug)]
pub(crate) struct Receivers {
    // The promise.
    pub(crate) granted: Outlet<Granted>,
    pub(crate) held_by: Outlet<HeldBy>,
    pub(crate) unknown: Outlet<Unknown>,
    pub(crate) conflict: Outlet<Conflict>,
    // The router.
    pub(crate) seated: Outlet<Seated>,
    pub(crate) seat_taken: Outlet<SeatTaken>,
    pub(crate) seat_unknown: Outlet<SeatUnknown>,
    pub(crate) seat_delayed: Outlet<SeatDelayed>,
    pub(crate) seat_at: Outlet<SeatAt>,
    pub(crate) contested: Outlet<Contested>,
    /// Of a node that closes its links when it has lost its lease: the promise, and then the router.
    pub(crate) freeze: Option<[Outlet<Freeze>; 2]>,
}

/// The secret for dialback or the names that this node serves have changed.
#[derive(Debug)]
pub(crate) struct Reconfigure {
    /// The fingerprint of the secret.
    pub(crate) secret: String,
    pub(crate) names: Names,
}

/// The node stops: take nothing more of other nodes, and give back what is not settled in time.
#[derive(Debug)]
pub(crate) struct StopReceiving {
    /// The time in which what they have lent may be settled.
    pub(crate) within: Duration,
    /// Dropped when nothing of them is here any more.
    pub(crate) token: drain::Token,
}

/// The node stops, and its sessions have ended: give up claims and seats, and delete the record of the node.
#[derive(Debug)]
pub(crate) struct Leave {
    /// Dropped when nothing of this node is left at the broker.
    pub(crate) token: drain::Token,
}

/// Report the nodes.
#[derive(Debug)]
pub(crate) struct Show {
    /// Receives what the actor knows.
    pub(crate) report: oneshot::Sender<Shown>,
    /// Receives a report of each ferry; has room for all of them.
    pub(crate) ferries: mpsc::Sender<FerryReport>,
}

/// The cluster as this node sees it.
#[derive(Debug)]
pub(crate) struct Shown {
    /// The name of the cluster.
    pub(crate) cluster: String,
    /// The name of this node.
    pub(crate) node: NodeName,
    /// The connection to the broker.
    pub(crate) broker: BrokerReport,
    /// What the arbiter knows.
    pub(crate) report: arbiter::Report,
}
