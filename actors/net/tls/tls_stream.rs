//! A connection after its TLS handshake.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use openssl::ssl::{SslRef, SslVersion};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_openssl::SslStream;

use super::GuardedSocket;
use crate::network::{PeerEnd, Socket};

/// An encrypted connection. The number of records without data is limited.
#[derive(Debug)]
pub struct TlsStream(SslStream<GuardedSocket>);

impl TlsStream {
    /// Ends the handshake of `stream`. Another handshake ends the connection.
    pub(super) fn established(mut stream: SslStream<GuardedSocket>) -> Self {
        let renegotiable = stream.ssl().version2() != Some(SslVersion::TLS1_3);
        stream.get_mut().establish(renegotiable);
        Self(stream)
    }

    /// The negotiated parameters of the connection.
    pub fn ssl(&self) -> &SslRef {
        self.0.ssl()
    }

    /// Waits for the end of the connection below TLS. Nothing is read.
    pub(crate) fn poll_peer_end(&mut self, context: &mut Context<'_>) -> Poll<PeerEnd> {
        self.0.get_mut().socket_mut().poll_peer_end(context)
    }

    /// The socket, for its options.
    pub(crate) fn socket(&self) -> &Socket {
        self.0.get_ref().socket()
    }
}

impl AsyncRead for TlsStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.0).poll_read(context, buffer))?;
        let delivered = buffer.filled().len() - before;
        if delivered > 0 {
            self.0.get_mut().delivered(delivered);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
