//! Requests that are on their way, and what comes out of the arbiter.

use super::Output;
use crate::{
    Incarnation, NodeName,
    engine::{Bucket, Op, Request},
};
use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};
use xmpp::{Domain, DomainPair};

/// Why a request was sent.
#[derive(Clone, Debug)]
pub(super) enum Purpose {
    OwnRead,
    OwnWrite {
        incarnation: Incarnation,
    },
    OwnDelete,
    /// Is this node dead? Its record has not changed for the time of a lease.
    Alive(NodeName),
    /// Is this run of the node the current one?
    Judge(NodeName, Incarnation),
    ListNodes,
    ListSeats,
    Claim(DomainPair),
    Seat(Domain),
    Sweep,
    SweepDelete,
    /// Deletes the record of a node that has been dead for long.
    Forget(NodeName),
    /// Deletes the record of a run that is over.
    CleanUp(Bucket),
}

impl Purpose {
    /// The table that the request is for.
    pub(super) fn bucket(&self) -> Bucket {
        match self {
            Self::OwnRead
            | Self::OwnWrite { .. }
            | Self::OwnDelete
            | Self::Alive(_)
            | Self::Judge(..)
            | Self::ListNodes
            | Self::Forget(_) => Bucket::Nodes,
            Self::Claim(_) | Self::Sweep | Self::SweepDelete => Bucket::Claims,
            Self::Seat(_) | Self::ListSeats => Bucket::Seats,
            Self::CleanUp(bucket) => *bucket,
        }
    }
}

/// The way out, and the numbers of requests.
pub(super) struct Io {
    pub(super) outputs: VecDeque<Output>,
    open: BTreeMap<u64, (Purpose, Instant)>,
    last: u64,
    patience: Duration,
    random: Box<dyn FnMut() -> u64 + Send>,
}

impl Io {
    pub(super) fn new(patience: Duration, random: impl FnMut() -> u64 + Send + 'static) -> Self {
        Self { outputs: VecDeque::new(), open: BTreeMap::new(), last: 0, patience, random: Box::new(random) }
    }

    pub(super) fn tell(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(super) fn ask(&mut self, op: Op, purpose: Purpose, now: Instant) {
        let bucket = purpose.bucket();
        self.last += 1;
        self.open.insert(self.last, (purpose, now));
        self.tell(Output::Request(Request { id: self.last, bucket, op }));
    }

    /// What the request was for, and when it was sent. An answer that came too late has none.
    pub(super) fn answered(&mut self, id: u64) -> Option<(Purpose, Instant)> {
        self.open.remove(&id)
    }

    /// Takes out the requests that were not answered in time.
    pub(super) fn expired(&mut self, now: Instant) -> Vec<(Purpose, Instant)> {
        let mut expired = Vec::new();
        while self.next_expiry().is_some_and(|at| at <= now) {
            expired.extend(self.open.pop_first().map(|(_, request)| request));
        }
        expired
    }

    /// All requests have the same time, so the one with the lowest number ends first.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.open.first_key_value().map(|(_, (_, sent))| *sent + self.patience)
    }

    pub(super) fn random(&mut self) -> u64 {
        (self.random)()
    }

    /// A pause from half of a time to the whole, so that nodes do not repeat requests at the same moment.
    pub(super) fn pause(&mut self, at_most: Duration) -> Duration {
        at_most / 2 + (at_most / 2).mul_f64((self.random() % 1024) as f64 / 1024.0)
    }
}
