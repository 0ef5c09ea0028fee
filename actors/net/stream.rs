//! The socket of a connection, before and after TLS.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    network::{PeerEnd, Socket},
    tls::TlsStream,
};

/// The socket of a connection, before and after TLS.
#[derive(Debug)]
pub enum Stream {
    /// In clear text.
    Tcp(Socket),
    /// Encrypted.
    Tls(Box<TlsStream>),
    /// The TLS handshake owns the socket. Reads and writes fail with `NotConnected`.
    Upgrading,
}

impl Stream {
    /// Sets TCP_CORK on a TLS connection: the kernel collects TLS records, each of which is a write of its
    /// own.
    ///
    /// With `corked` false it sends them. The peer is woken once for all of them.
    pub fn cork(&self, corked: bool) {
        if let Self::Tls(stream) = self {
            stream.socket().cork(corked);
        }
    }

    /// Waits until the peer has closed its side of TCP or the connection is broken. Nothing is read. To be polled instead
    /// of a read, by the same task.
    ///
    /// A close_notify of TLS is not noticed: it has to be read. Peers that send one close TCP as well.
    pub fn poll_peer_end(&mut self, context: &mut Context<'_>) -> Poll<PeerEnd> {
        match self {
            Self::Tcp(stream) => stream.poll_peer_end(context),
            Self::Tls(stream) => stream.poll_peer_end(context),
            Self::Upgrading => Poll::Pending,
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
            Self::Upgrading => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Upgrading => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
            Self::Upgrading => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Upgrading => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}
