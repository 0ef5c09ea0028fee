//! An accepted connection, and its events, by which the listener counts connections. Streams of both kinds send them.

use std::net::SocketAddr;

use xmpp::Domain;

/// An accepted connection has ended.
#[derive(Debug)]
pub struct Ended {
    /// The connection.
    pub caller: Caller,
    /// The peer verified one of our dialback keys. So the connection does not count as a failed attempt,
    /// though it never authenticated: a hoster's servers verify one key for each domain that we write to.
    pub is_expected: bool,
}

/// The peer of an accepted connection has authenticated: a server has proved a domain, or a component has shown the
/// secret of its name.
#[derive(Debug)]
pub struct Authenticated {
    /// The connection.
    pub caller: Caller,
    /// The name under which the component is configured; `None`: it is a server.
    pub component: Option<Domain>,
}

/// Identifies an accepted connection. A peer may use one port for connections to two of our sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Caller {
    /// The peer.
    pub peer: Peer,
    /// The index of the listening socket that accepted it.
    pub socket: usize,
}

/// Tells the peers of one listening socket apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Peer {
    /// The address of the peer.
    Tcp(SocketAddr),
    /// The number of the connection: the peers of a Unix socket have no addresses.
    Unix(u64),
}

/// A component has shown a wrong secret.
#[derive(Debug)]
pub struct WrongSecret {
    /// The connection.
    pub caller: Caller,
    /// The name that it claimed, which is a configured one.
    pub name: Domain,
}
