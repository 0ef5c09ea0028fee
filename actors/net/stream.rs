//! The socket of a connection, before and after TLS.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::tls::Secure;

/// The socket, before and after TLS.
#[derive(Debug)]
pub enum Stream {
    /// In the clear.
    Tcp(TcpStream),
    /// Encrypted.
    Tls(Box<Secure>),
    /// The socket is with the TLS handshake.
    Upgrading,
    /// In memory, for tests.
    #[cfg(any(test, feature = "test-util"))]
    Memory(tokio::io::DuplexStream),
}

impl Stream {
    /// Has the kernel gather TLS records, each of which is a write of its own, or send what it has gathered. The peer is
    /// woken once for all of them, and reads them at once.
    pub fn cork(&self, corked: bool) {
        if let Self::Tls(stream) = self {
            // It only saves work: a socket that is broken says so when it is written to.
            let _ = SockRef::from(stream.socket()).set_tcp_cork(corked);
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
            #[cfg(any(test, feature = "test-util"))]
            Self::Memory(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Upgrading => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
            #[cfg(any(test, feature = "test-util"))]
            Self::Memory(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Upgrading => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
            #[cfg(any(test, feature = "test-util"))]
            Self::Memory(stream) => Pin::new(stream).poll_flush(context),
            Self::Upgrading => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            #[cfg(any(test, feature = "test-util"))]
            Self::Memory(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Upgrading => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}
