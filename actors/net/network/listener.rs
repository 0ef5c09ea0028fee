//! Listening sockets.

use std::{io, net::SocketAddr, path::Path};

use socket2::{Domain, Protocol, Type};
use tokio::net::{TcpListener, UnixListener};

#[cfg(any(test, feature = "test-util"))]
use super::memory;
use super::socket::Socket;
use crate::unix_socket::SocketFile;

/// A listening socket.
#[derive(Debug)]
pub enum Listener {
    /// A TCP socket of the operating system.
    Tcp(TcpListener),
    /// A Unix socket, and its file.
    Unix(UnixListener, SocketFile),
    /// One in memory, for tests.
    #[cfg(any(test, feature = "test-util"))]
    Memory(memory::Listener),
}

impl Listener {
    /// Waits for a connection, and returns it with the address of the peer. The peer of a Unix socket has none. Dropping
    /// the future loses no connection.
    ///
    /// # Errors
    ///
    /// The system has no room for the connection, or the connection has ended already.
    pub async fn accept(&self) -> io::Result<(Socket, Option<SocketAddr>)> {
        match self {
            Self::Tcp(listener) => {
                listener.accept().await.map(|(socket, address)| (socket.into(), Some(address)))
            }
            Self::Unix(listener, _) => {
                listener.accept().await.map(|(socket, _)| (Socket::from(socket), None))
            }
            #[cfg(any(test, feature = "test-util"))]
            Self::Memory(listener) => {
                let socket = listener.accept().await;
                let address = socket.peer();
                Ok((Socket::Memory(socket), listener.path().is_none().then_some(address)))
            }
        }
    }

    /// The path of a Unix socket; `None` for another socket.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Tcp(_) => None,
            Self::Unix(_, file) => Some(file.path()),
            #[cfg(any(test, feature = "test-util"))]
            Self::Memory(listener) => listener.path(),
        }
    }

    /// The bound address.
    ///
    /// # Errors
    ///
    /// The system does not report it, or it is a Unix socket (`Unsupported`).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr(),
            Self::Unix(..) => Err(io::ErrorKind::Unsupported.into()),
            #[cfg(any(test, feature = "test-util"))]
            Self::Memory(listener) => Ok(listener.address()),
        }
    }
}

/// Binds a TCP socket of the operating system.
pub(super) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Connections that may wait in the kernel until they are accepted.
const BACKLOG: i32 = 1024;
