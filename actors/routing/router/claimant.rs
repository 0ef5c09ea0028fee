//! A connection that wants to serve a name, while the cluster is asked whether it may.

use std::time::Instant;

use crate::streams::component::Component;
use mailbox::Mailbox;
use status::address::Host;

/// A connection that wants to serve a name.
pub(super) struct Claimant {
    pub(super) component: Mailbox<Component>,
    pub(super) address: Host,
    pub(super) stage: Stage,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The cluster is asked for the seat.
    Asking,
    /// Another node is asked to give it up, until then at most.
    Contesting(Instant),
}

impl Claimant {
    /// Whether it should have been decided by now: the connection has ended, or it would have asked.
    pub(super) fn is_late(&self, now: Instant) -> bool {
        matches!(self.stage, Stage::Contesting(until) if until <= now)
    }
}
