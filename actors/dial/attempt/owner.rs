//! The messages of an attempt to its owner while it waits for a permit to connect.

use mailbox::Outlet;
use xmpp::DomainPair;

/// The attempt waits for a permit to connect, and makes no connection meanwhile.
#[derive(Debug)]
pub struct Waiting {
    /// The pair of the attempt.
    pub pair: DomainPair,
}

/// The attempt no longer waits. It has a permit, or too many attempts wait for one.
#[derive(Debug)]
pub struct Resumed {
    /// The pair of the attempt.
    pub pair: DomainPair,
}

/// The mailbox of the owner. An attempt sends [`Waiting`] and [`Resumed`] in pairs, before its owner learns
/// the outcome. An attempt that is dropped while it waits sends no [`Resumed`].
#[derive(Clone, Debug)]
pub struct Owner {
    /// Takes [`Waiting`].
    pub waiting: Outlet<Waiting>,
    /// Takes [`Resumed`].
    pub resumed: Outlet<Resumed>,
}
