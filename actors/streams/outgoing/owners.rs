//! The mailboxes that an outgoing session reports to.

use super::{Closed, Congested, Established, Failed, GivenBack, Requested, Returned, Stopped};
use crate::{
    dial::attempt::Owner as AttemptOwner,
    flow::{
        journal::Keeping,
        route::{Return, Route},
    },
    observe::recorder::RecorderHandle,
};
use mailbox::Outlet;

/// The mailboxes that a session reports to. All sessions share them: an attempt that waits is to cost little memory.
#[derive(Debug)]
pub struct Owners {
    /// The promise, while the attempt waits for a permit.
    pub attempt: AttemptOwner,
    /// A successful attempt: the promise.
    pub established: Outlet<Established>,
    /// A failed attempt: the promise.
    pub failed: Outlet<Failed>,
    /// The end of the stream: the router.
    pub closed: Outlet<Closed>,
    /// A full outbox: the router.
    pub congested: Outlet<Congested>,
    /// Room for a portion: the promise.
    pub requested: Outlet<Requested>,
    /// Stanzas that a peer does not read: the promise.
    pub given_back: Outlet<GivenBack>,
    /// The end of the stream while the promise sends portions: the promise.
    pub stopped: Outlet<Stopped>,
    /// Stanzas that were not written: the promise.
    pub returned: Outlet<Returned>,
    /// Error answers: the router.
    pub bounces: Outlet<Return>,
    /// Error stanzas of the peer: the router.
    pub routes: Outlet<Route>,
    /// The history of the remote domain.
    pub recorder: RecorderHandle,
    /// Takes what waits for a while; `None`: it is in memory only.
    pub journal: Option<Keeping>,
}
