//! What the arbiter is told at its start, and what comes out of it.

use crate::{
    Incarnation, NodeName,
    engine::{Bucket, Request},
    ferry::codec::Versions,
    names::{Difference, Names},
    record::{Load, Process},
};
use std::{
    fmt,
    time::{Duration, Instant},
};
use xmpp::{Domain, DomainPair};

/// What the arbiter must know of its node.
#[derive(Clone, Debug)]
pub struct Config {
    /// The name of this node.
    pub own: NodeName,
    /// The versions of frames that this node has.
    pub versions: Versions,
    /// After this time without a beat a node is dead. A beat is a fifth of it.
    pub lease: Duration,
    /// The fingerprint of the secret for dialback ([`crate::text::fingerprint`]).
    pub secret: String,
    /// The domains and components that this node serves.
    pub names: Names,
    /// The process that runs this node.
    pub process: Process,
}

/// A request or a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// For the client of the broker.
    Request(Request),
    /// This node holds the pair.
    Granted {
        /// The pair.
        pair: DomainPair,
    },
    /// Another node holds the pair. The arbiter forgets the wish.
    HeldBy {
        /// The pair.
        pair: DomainPair,
        /// The holder.
        node: NodeName,
    },
    /// It cannot be found out who holds the pair. The arbiter forgets the wish.
    Unknown {
        /// The pair.
        pair: DomainPair,
        /// What the operator reads.
        why: String,
    },
    /// Another node holds a pair that was granted to this one. The arbiter forgets the grant.
    Conflict {
        /// The pair.
        pair: DomainPair,
        /// The holder.
        node: NodeName,
    },
    /// This node has the seat of the component.
    Seated {
        /// The component.
        name: Domain,
    },
    /// Another node has the seat. The arbiter forgets the wish.
    SeatTaken {
        /// The component.
        name: Domain,
        /// The node.
        node: NodeName,
    },
    /// It cannot be found out who has the seat. The arbiter forgets the wish.
    SeatUnknown {
        /// The component.
        name: Domain,
        /// What the operator reads.
        why: String,
    },
    /// Another node has a seat that was granted to this one. The arbiter forgets the grant.
    SeatConflict {
        /// The component.
        name: Domain,
        /// The node.
        node: NodeName,
    },
    /// A component is connected to another node; `None`: no longer.
    SeatAt {
        /// The component.
        name: Domain,
        /// The node.
        node: Option<NodeName>,
    },
    /// A node is there.
    Joined {
        /// The node.
        node: NodeName,
        /// Its run.
        incarnation: Incarnation,
        /// The version of frames that both nodes have. `None`: they cannot exchange any.
        version: Option<u8>,
    },
    /// This run of a node is over.
    Died {
        /// The node.
        node: NodeName,
        /// Its run.
        incarnation: Incarnation,
        /// How long ago its record changed last.
        last_seen: Duration,
        /// How it ended.
        ending: Ending,
        /// What it had at its last beat.
        load: Option<Load>,
    },
    /// This node holds its lease until this time.
    LeaseHeld {
        /// The run to which the lease belongs.
        incarnation: Incarnation,
        /// The end, unless it is renewed.
        until: Instant,
    },
    /// The lease is over, and with it this run of the node. What was granted stays granted until [`Output::Conflict`] says
    /// otherwise.
    LeaseLost,
    /// The broker has refused a request, as it may do each time that it comes again.
    Refused {
        /// The table.
        bucket: Bucket,
        /// What the broker says.
        reason: String,
    },
    /// The record of this node is of an earlier run, of which is not known whether it has ended. If it does not renew the record
    /// within this time, this run takes its place.
    Waits {
        /// The earlier run.
        namesake: Namesake,
        /// The time.
        within: Duration,
    },
    /// A node has another configuration where all must have the same, or another process has the name of this node.
    Disagrees {
        /// The other node, or this one.
        node: NodeName,
        /// What the operator reads.
        about: Disagreement,
    },
    /// What differed between that node and this one does so no more, or no other process has the name of this node any more.
    Agrees {
        /// The other node, or this one.
        node: NodeName,
    },
    /// After `Arbiter::stop`: nothing of this node is left at the broker.
    Left,
}

/// How a run of another node ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ending {
    /// The node stopped in order: it has deleted its record.
    #[error("it stopped in order")]
    Left,
    /// The record has not changed for the time of the lease.
    #[error("it has not renewed its record")]
    Silent,
    /// Another run has replaced the record.
    #[error("it has begun another run: it was started again, or it had lost its lease")]
    Replaced,
    /// The broker lost the record, and the node has not written it again.
    #[error("it has not written its record again after the message broker lost it")]
    Lost,
}

/// What differs between two nodes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Disagreement {
    /// The secret for dialback.
    #[error(
        "it has another dialback_secret: other servers will refuse streams; set the same one on all nodes"
    )]
    Secret,
    /// The domains and components.
    #[error("it serves other domains or components: {0}; configure the same ones on all nodes")]
    Names(Box<Difference>),
    /// The versions of frames.
    #[error(
        "it reads frames of {theirs}, and this node those of {own}: what is for it waits; update the older node"
    )]
    Versions {
        /// Those of the other node.
        theirs: Versions,
        /// Those of this node.
        own: Versions,
    },
    /// There are more nodes than a cluster can have.
    #[error("the cluster has more than {0} other nodes: this one is ignored; remove nodes")]
    TooMany(usize),
    /// The record of this node belongs to another process, which renews it.
    #[error(
        "another process has the name of this node: {0}. This one has no lease and opens no link until that one has ended; \
         stop one of them, or give each node its own cluster.node"
    )]
    SameName(Box<Namesake>),
    /// The record of the node cannot be read.
    #[error(
        "its record at the message broker has a form that this version of the program cannot read; update the older node"
    )]
    Form,
}

impl Disagreement {
    /// The short names of all of them.
    pub const NAMES: [&'static str; 6] = ["secret", "names", "versions", "too-many", "same-name", "form"];

    /// A short name, for metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Names(_) => "names",
            Self::Versions { .. } => "versions",
            Self::TooMany(_) => "too-many",
            Self::SameName(_) => "same-name",
            Self::Form => "form",
        }
    }
}

/// Another run that has the record of this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namesake {
    /// The run; `None`: its record cannot be read.
    pub run: Option<Incarnation>,
    /// The process; `None`: it is of an earlier version, or its record cannot be read.
    pub process: Option<Process>,
}

impl fmt::Display for Namesake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.process {
            Some(process) => write!(f, "{process}")?,
            None => f.write_str("a process that does not tell its host")?,
        }
        self.run.map_or(Ok(()), |run| write!(f, " (run {run})"))
    }
}

/// The state of the cluster as this node sees it, for `nuncio nodes` and metrics.
#[derive(Clone, Debug)]
pub struct Report {
    /// The current run of this node.
    pub incarnation: Incarnation,
    /// Whether the broker is reachable.
    pub up: bool,
    /// The rest of the lease; `None`: there is none.
    pub lease: Option<Duration>,
    /// Why the broker refuses the record of this node, as far as it said so. Without the record there is no lease.
    pub refusal: Option<String>,
    /// Why this node has no lease though the broker answers: another run has its record.
    pub namesake: Option<Namesake>,
    /// Claims are written again after the broker lost its data.
    pub refills: bool,
    /// Pairs that this node holds.
    pub claims: usize,
    /// Components that this node has the seat of.
    pub seats: usize,
    /// The other nodes, also dead ones.
    pub members: Vec<MemberReport>,
    /// The nodes that do not fit together with this one, and why. If another process runs with the name of this node, this one
    /// is among them.
    pub disagreements: Vec<(NodeName, Disagreement)>,
}

/// Another node, for reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberReport {
    /// Its name.
    pub node: NodeName,
    /// Its run.
    pub incarnation: Incarnation,
    /// Whether that run is alive.
    pub alive: bool,
    /// It is not alive, since it stopped in order.
    pub has_left: bool,
    /// The number of its last beat.
    pub beat: u64,
    /// The versions of frames that it has.
    pub versions: Versions,
    /// How long ago its record changed.
    pub last_seen: Duration,
    /// It writes its claims again after the broker lost its data.
    pub refills: bool,
    /// What it had at its last beat.
    pub load: Option<Load>,
}
