//! A connection that wants to serve a name, while the cluster is asked whether it may.

use std::time::{Duration, Instant};

use cluster::name::NodeName;
use xmpp::Domain;

use crate::{flow::claims::Contest, streams::component::Component};
use mailbox::Mailbox;
use status::{address::Host, report::Time};

/// A connection that wants to serve a name.
pub(super) struct Claimant {
    pub(super) component: Mailbox<Component>,
    pub(super) address: Host,
    pub(super) stage: Stage,
    /// Since when the answer of the cluster is late.
    pub(super) delayed: Option<Time>,
}

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The cluster is asked for the seat.
    Asking,
    /// Another node is asked to give it up.
    Contesting {
        /// That node.
        node: NodeName,
        /// At most until then.
        until: Instant,
        /// It is asked again then: a message between nodes may be lost.
        again: Instant,
    },
}

impl Stage {
    /// This node was asked just now.
    pub(super) fn contesting(node: NodeName, now: Instant) -> Self {
        Self::Contesting { node, until: now + CONTEST_WITHIN, again: now + CONTEST_AGAIN }
    }
}

impl Claimant {
    /// What the other node is asked again, if it is time.
    pub(super) fn contest_again(&mut self, name: &Domain, now: Instant) -> Option<Contest> {
        let Stage::Contesting { node, again, .. } = &mut self.stage else { return None };
        (*again <= now).then(|| {
            *again = now + CONTEST_AGAIN;
            Contest { name: name.clone(), node: node.clone() }
        })
    }

    /// Whether it should have been decided by now: the connection has ended, or it would have asked.
    pub(super) fn is_late(&self, now: Instant) -> bool {
        matches!(self.stage, Stage::Contesting { until, .. } if until <= now)
    }
}

/// How long a connection at another node may take to show that it is alive, or to give way: the time for the answer to a
/// ping, and the way there and back; or, if that node cannot be told, for the cluster to find out who has the seat (three
/// beats).
const CONTEST_WITHIN: Duration = Duration::from_secs(10);

/// When the other node is asked again. The way there and back takes milliseconds, and a broker that restarts some seconds.
const CONTEST_AGAIN: Duration = Duration::from_secs(2);
