//! The network of a node: that of the operating system, or one in memory for tests.
//!
//! A node gets its network when it starts, and opens and accepts all connections through it.

mod listener;
#[cfg(any(test, feature = "test-util"))]
pub mod memory;
mod socket;
mod unix;
mod watched;

use std::{io, net::SocketAddr, path::Path};

use tokio::net::TcpStream;

use crate::{
    address,
    unix_socket::{self, Permissions},
};
pub use listener::Listener;
pub use socket::Socket;
pub use unix::Credentials;
pub use watched::{PeerEnd, Watched};

/// The network that a node uses.
#[derive(Clone, Debug, Default)]
pub enum Network {
    /// That of the operating system.
    #[default]
    System,
    /// One in memory, as a host of it sees it.
    #[cfg(any(test, feature = "test-util"))]
    Memory(memory::Host),
}

impl Network {
    /// Opens a TCP connection. There is no time limit; the caller sets one.
    ///
    /// # Errors
    ///
    /// The connection could not be opened.
    pub async fn connect(&self, address: SocketAddr) -> io::Result<Socket> {
        match self {
            Self::System => TcpStream::connect(address).await.map(Socket::from),
            #[cfg(any(test, feature = "test-util"))]
            Self::Memory(host) => Ok(Socket::Memory(host.connect(address).await?)),
        }
    }

    /// Binds a listening socket. An IPv6 socket is for IPv6 only, so that both families can have the same port.
    ///
    /// # Errors
    ///
    /// The address cannot be bound, or the system has no room for a socket.
    pub fn bind(&self, address: SocketAddr) -> io::Result<Listener> {
        match self {
            Self::System => listener::bind(address).map(Listener::Tcp),
            #[cfg(any(test, feature = "test-util"))]
            Self::Memory(host) => host.bind(address).map(Listener::Memory),
        }
    }

    /// Binds a listening Unix socket at `path`. Its file is removed with the listener.
    ///
    /// # Errors
    ///
    /// The socket could not be created. The socket of a running node is not touched.
    pub fn bind_unix(&self, path: &Path, permissions: Permissions) -> Result<Listener, unix_socket::Error> {
        match self {
            Self::System => {
                unix_socket::bind(path, permissions).map(|(listener, file)| Listener::Unix(listener, file))
            }
            #[cfg(any(test, feature = "test-util"))]
            Self::Memory(host) => {
                if !unix_socket::fits(path) {
                    return Err(unix_socket::Error::TooLong);
                }
                host.bind_unix(path).map(Listener::Memory).ok_or(unix_socket::Error::Taken)
            }
        }
    }

    /// Opens a connection to the Unix socket at `path`, as a component on this machine does.
    ///
    /// # Errors
    ///
    /// Nothing listens there.
    #[cfg(any(test, feature = "test-util"))]
    pub async fn connect_unix(&self, path: &Path) -> io::Result<Socket> {
        match self {
            Self::System => tokio::net::UnixStream::connect(path).await.map(Socket::from),
            Self::Memory(host) => host.connect_unix(path).await.map(Socket::Memory),
        }
    }

    /// Returns whether there is a route to an address. No packet is sent.
    #[must_use]
    pub fn has_route_to(&self, address: SocketAddr) -> bool {
        match self {
            Self::System => address::has_route_to(address),
            #[cfg(any(test, feature = "test-util"))]
            Self::Memory(_) => true,
        }
    }

    /// Returns whether name servers can be asked over UDP.
    pub(crate) fn has_datagrams(&self) -> bool {
        matches!(self, Self::System)
    }
}
