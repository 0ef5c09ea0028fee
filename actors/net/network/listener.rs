//! Listening sockets.

use std::{io, net::SocketAddr};

use socket2::{Domain, Protocol, Type};
use tokio::net::TcpListener;

#[cfg(any(test, feature = "test-util"))]
use super::memory;
use super::socket::Socket;

/// A listening socket.
#[derive(Debug)]
pub enum Listener {
    /// A TCP socket of the operating system.
    Tcp(TcpListener),
    /// One in memory, for tests.
    #[cfg(any(test, feature = "test-util"))]
    Memory(memory::Listener),
}

impl Listener {
    /// Waits for a connection, and returns it with the address of the peer. Dropping the future loses no connection.
    ///
    /// # Errors
    ///
    /// The system has no room for the connection, or the connection has ended already.
    pub async fn accept(&self) -> io::Result<(Socket, SocketAddr)> {
        match self {
            Self::Tcp(listener) => {
                listener.accept().await.map(|(socket, address)| (Socket::Tcp(socket), address))
            }
            #[cfg(any(test, feature = "test-util"))]
            Self::Memory(listener) => {
                let socket = listener.accept().await;
                let address = socket.peer();
                Ok((Socket::Memory(socket), address))
            }
        }
    }

    /// The bound address.
    ///
    /// # Errors
    ///
    /// The system does not report it.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr(),
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
