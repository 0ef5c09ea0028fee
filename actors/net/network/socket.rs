//! The socket of one connection, without TLS.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};

#[cfg(any(test, feature = "test-util"))]
use super::memory;
use super::{
    unix::{Credentials, UnixSocket},
    watched::{PeerEnd, Watched},
};
use crate::tcp_options;

/// The socket of one connection, without TLS.
#[derive(Debug)]
pub enum Socket {
    /// A TCP socket of the operating system.
    Tcp(Watched<TcpStream>),
    /// A connection to a Unix socket.
    Unix(UnixSocket),
    /// One in memory, for tests.
    #[cfg(any(test, feature = "test-util"))]
    Memory(memory::Socket),
}

impl Socket {
    /// Sets the options of [`tcp_options::tune`].
    ///
    /// # Errors
    ///
    /// The system refused an option. The connection works without it.
    pub fn tune(&self) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => tcp_options::tune(socket),
            // Both ends are on this machine: a peer that ends closes its side.
            Self::Unix(_) => Ok(()),
            #[cfg(any(test, feature = "test-util"))]
            Self::Memory(_) => Ok(()),
        }
    }

    /// Sets TCP_CORK: the kernel collects what is written. With `corked` false it sends that.
    pub(crate) fn cork(&self, corked: bool) {
        match self {
            // This only saves work. The next write reports a broken socket.
            Self::Tcp(socket) => drop(SockRef::from(socket).set_tcp_cork(corked)),
            Self::Unix(_) => {}
            #[cfg(any(test, feature = "test-util"))]
            Self::Memory(_) => {}
        }
    }

    /// Our address.
    ///
    /// # Errors
    ///
    /// The system does not report it, or it is a Unix socket (`Unsupported`).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(socket) => socket.local_addr(),
            Self::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
            #[cfg(any(test, feature = "test-util"))]
            Self::Memory(socket) => Ok(socket.local()),
        }
    }

    /// The address of the peer.
    ///
    /// # Errors
    ///
    /// The connection has ended, or it is a Unix socket (`Unsupported`).
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(socket) => socket.peer_addr(),
            Self::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
            #[cfg(any(test, feature = "test-util"))]
            Self::Memory(socket) => Ok(socket.peer()),
        }
    }

    /// The process at the other end of a Unix socket; `None` for another socket.
    #[must_use]
    pub fn credentials(&self) -> Option<Credentials> {
        match self {
            Self::Tcp(_) => None,
            Self::Unix(socket) => socket.credentials(),
            #[cfg(any(test, feature = "test-util"))]
            Self::Memory(_) => None,
        }
    }

    /// Waits for the first byte that the peer sends, and leaves it to be read. `None`: the peer has closed its side.
    ///
    /// # Errors
    ///
    /// The connection is broken.
    pub async fn first_byte(&mut self) -> io::Result<Option<u8>> {
        match self {
            Self::Tcp(socket) => {
                let mut first = [0];
                let length = socket.peek(&mut first).await?;
                Ok(first.first().copied().filter(|_| length > 0))
            }
            Self::Unix(socket) => socket.first_byte().await,
            #[cfg(any(test, feature = "test-util"))]
            Self::Memory(socket) => socket.first_byte().await,
        }
    }

    /// Waits until the peer has closed its side or the connection is broken. Nothing is read. To be polled instead of a
    /// read, by the same task.
    pub(crate) fn poll_peer_end(&mut self, context: &mut Context<'_>) -> Poll<PeerEnd> {
        match self {
            Self::Tcp(socket) => socket.poll_peer_end(context),
            Self::Unix(socket) => socket.poll_peer_end(context),
            #[cfg(any(test, feature = "test-util"))]
            Self::Memory(socket) => socket.poll_peer_end(context),
        }
    }

    /// Writes what the socket takes at once.
    ///
    /// # Errors
    ///
    /// The socket takes nothing now (`WouldBlock`), or the connection is broken.
    pub fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.try_write(bytes),
            Self::Unix(socket) => socket.try_write(bytes),
            #[cfg(any(test, feature = "test-util"))]
            Self::Memory(socket) => socket.try_write(bytes),
        }
    }

    /// Reads what has arrived.
    ///
    /// # Errors
    ///
    /// Nothing has arrived (`WouldBlock`), or the connection is broken.
    pub fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.try_read(buffer),
            Self::Unix(socket) => socket.try_read(buffer),
            #[cfg(any(test, feature = "test-util"))]
            Self::Memory(socket) => socket.try_read(buffer),
        }
    }
}

impl From<TcpStream> for Socket {
    fn from(socket: TcpStream) -> Self {
        Self::Tcp(socket.into())
    }
}

impl From<UnixStream> for Socket {
    fn from(socket: UnixStream) -> Self {
        Self::Unix(UnixSocket::new(socket))
    }
}

#[cfg(any(test, feature = "test-util"))]
impl From<tokio::io::DuplexStream> for Socket {
    fn from(stream: tokio::io::DuplexStream) -> Self {
        Self::Memory(stream.into())
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_read(context, buffer),
            Self::Unix(socket) => Pin::new(socket).poll_read(context, buffer),
            #[cfg(any(test, feature = "test-util"))]
            Self::Memory(socket) => Pin::new(socket).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_write(context, bytes),
            Self::Unix(socket) => Pin::new(socket).poll_write(context, bytes),
            #[cfg(any(test, feature = "test-util"))]
            Self::Memory(socket) => Pin::new(socket).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_flush(context),
            Self::Unix(socket) => Pin::new(socket).poll_flush(context),
            #[cfg(any(test, feature = "test-util"))]
            Self::Memory(socket) => Pin::new(socket).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(socket) => Pin::new(socket).poll_shutdown(context),
            Self::Unix(socket) => Pin::new(socket).poll_shutdown(context),
            #[cfg(any(test, feature = "test-util"))]
            Self::Memory(socket) => Pin::new(socket).poll_shutdown(context),
        }
    }
}
