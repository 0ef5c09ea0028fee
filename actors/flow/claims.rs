//! The messages between the actor of the cluster and those that need to know which node has a link or a component: the
//! promise for pairs of domains, and the router for components.
//!
//! A claim belongs to the node that makes the link of a pair; a seat belongs to the node to which a component is connected.
//! Each has one node at a time. A node alone has no such actor, and sends none of these messages.
//!
//! Each claim has a number, which the answers repeat: an answer to an earlier claim of the same pair may still be on its way.

use std::{fmt, time::Duration};

use cluster::name::NodeName;
use xmpp::{Domain, DomainPair};

use crate::flow::ferry::Ferry;
use mailbox::Outlet;

/// The actor of the cluster, for the promise and the router.
#[derive(Clone, Debug)]
pub(crate) struct Claims {
    /// From the promise.
    pub(crate) claim: Outlet<Claim>,
    /// From the promise.
    pub(crate) renounce: Outlet<Renounce>,
    /// From the router.
    pub(crate) seat: Outlet<Seat>,
    /// From the router.
    pub(crate) unseat: Outlet<Unseat>,
    /// From the router.
    pub(crate) contest: Outlet<Contest>,
}

/// Get this pair for this node, or find the node that has it. Answered by one of [`Granted`], [`HeldBy`] and [`Unknown`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// The pair.
    pub(crate) pair: DomainPair,
    /// Greater than that of every earlier claim.
    pub(crate) number: u64,
}

/// This node does not need the pair any more: give up the claim, if it was granted; do not answer it, if it was not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Renounce {
    /// The pair.
    pub(crate) pair: DomainPair,
    /// The number of its claim.
    pub(crate) number: u64,
}

/// The pair belongs to this node, until [`Renounce`] or [`Conflict`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Granted {
    /// The pair.
    pub(crate) pair: DomainPair,
    /// The number of its claim.
    pub(crate) number: u64,
}

/// The pair belongs to another node. The claim is over: it needs no [`Renounce`].
#[derive(Clone, Debug)]
pub(crate) struct HeldBy {
    /// The pair.
    pub(crate) pair: DomainPair,
    /// The number of the claim.
    pub(crate) number: u64,
    /// The way to that node.
    pub(crate) ferry: Ferry,
}

/// Nobody can say which node has the pair: the engine is not reachable, or loses its data. The claim is over: it needs no
/// [`Renounce`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unknown {
    /// The pair.
    pub(crate) pair: DomainPair,
    /// The number of the claim.
    pub(crate) number: u64,
    /// The reason, for the log.
    pub(crate) why: String,
}

/// The pair, which was granted, belongs to another node by now: close the link and relay. The claim is over: it needs no
/// [`Renounce`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Conflict {
    /// The pair.
    pub(crate) pair: DomainPair,
    /// The number of the claim.
    pub(crate) number: u64,
    /// The other node.
    pub(crate) node: NodeName,
}

/// A component is connected to this node, or is about to be: get its seat. Answered by one of [`Seated`], [`SeatTaken`] and
/// [`SeatUnknown`], with [`SeatDelayed`] before it if that takes a while. Here and below a component is named by the first of its names, under which it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    /// The name.
    pub(crate) name: Domain,
}

/// No component with this name is connected to this node, nor about to be: give up the seat, if this node has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unseat {
    /// The name.
    pub(crate) name: Domain,
}

/// A component wants to serve this name here, which is connected to another node: tell that node ([`Contested`]). If it gives
/// way, [`SeatAt`] follows. If the other node cannot be told, the seat is asked for as with [`Seat`]. The message to that node may
/// be lost, so this one is repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Contest {
    /// The name.
    pub(crate) name: Domain,
    /// The other node.
    pub(crate) node: NodeName,
}

/// The seat belongs to this node, until [`Unseat`] or [`SeatTaken`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seated {
    /// The name.
    pub(crate) name: Domain,
}

/// The seat belongs to another node. It may follow [`SeatUnknown`] or [`Seated`]: then the component has to leave this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SeatTaken {
    /// The name.
    pub(crate) name: Domain,
    /// The other node.
    pub(crate) node: NodeName,
}

/// The seat was asked for, and there is no answer after a moment: the component waits. [`Seated`], [`SeatTaken`] or
/// [`SeatUnknown`] follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SeatDelayed {
    /// The name.
    pub(crate) name: Domain,
    /// Why there is no answer.
    pub(crate) why: Delay,
    /// It follows in this time at the latest.
    pub(crate) within: Duration,
}

/// Why the cluster takes time to say which node has a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delay {
    /// The engine is not connected.
    NoEngine,
    /// Another process has the name of this node, and with it the lease.
    NameInUse,
    /// This node has no lease.
    NoLease,
    /// The engine has no data: it is new, or has lost them. The nodes write what they have.
    Refill,
    /// The engine has not answered.
    NoAnswer,
}

impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoEngine => "the message broker is not connected",
            Self::NameInUse => "another process has the name of this node; see nuncio nodes",
            Self::NoLease => "this node has no lease",
            Self::Refill => {
                "the tables at the message broker are new, and the nodes write to them what they have"
            }
            Self::NoAnswer => "the message broker has not answered",
        })
    }
}

/// Nobody can say which node has the seat. It is asked for as soon as somebody can: [`Seated`] or [`SeatTaken`] follows then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SeatUnknown {
    /// The name.
    pub(crate) name: Domain,
}

/// Another node has got the seat, or no other node has it any more.
#[derive(Clone, Debug)]
pub(crate) struct SeatAt {
    /// The name.
    pub(crate) name: Domain,
    /// The way to the other node.
    pub(crate) seat: Option<Ferry>,
}

/// This node has lost its lease, and `on_engine_loss` says that it then has no links: close them, and claim each pair again
/// before an attempt. The promise gets it first: what the links give back then finds no claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Freeze;

/// Why these links are closed.
pub(crate) const NO_LEASE: &str = "this node has lost its lease, and cluster.on_engine_loss is freeze";

/// A component wants to serve this name at another node: ask the connection here for an answer, or have it give way, as for a
/// second connection to this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Contested {
    /// The name.
    pub(crate) name: Domain,
}
