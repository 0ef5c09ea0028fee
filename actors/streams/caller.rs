//! The far end of an accepted connection, and its events for the listener that counts it.

use std::net::SocketAddr;

use xmpp::Domain;

/// A stream of this listener is over.
#[derive(Debug)]
pub struct Ended {
    /// The connection.
    pub caller: Caller,
    /// It verified a dialback key that is ours. So it does not count as an attempt, though it never authenticated: the
    /// servers of a hoster verify one key for each domain that we write to.
    pub is_expected: bool,
}

/// The peer has authenticated: a server has proved a domain, or a component has shown the secret of its name.
#[derive(Debug)]
pub struct Proved {
    /// The connection.
    pub caller: Caller,
}

/// Who is at the other end of a connection. A peer may use one port for two of our sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Caller {
    /// The peer's end.
    pub address: SocketAddr,
    /// By which of the sockets it came.
    pub door: usize,
}

/// A component has shown a wrong secret.
#[derive(Debug)]
pub struct Mistaken {
    /// The connection.
    pub caller: Caller,
    /// The name that it claimed; only a name that the node knows.
    pub name: Domain,
}
