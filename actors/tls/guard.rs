//! The socket below TLS, which ends the connection when the peer wants to renegotiate.
//!
//! RFC 6120 section 5.3.5: who does not support renegotiation drops the TCP connection, without a stream error.
//! OpenSSL would only decline and go on, and tells nobody. But TLS 1.2 leaves the type of a record in the clear, so
//! that a handshake after the handshake is seen from outside. TLS 1.3 knows no renegotiation and hides the type.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// A TCP socket under TLS.
#[derive(Debug)]
pub struct Guarded {
    socket: TcpStream,
    /// `None`: nothing can come any more that is to be looked for.
    records: Option<Records>,
    /// The handshake is over, and there is to be no other.
    settled: bool,
}

impl Guarded {
    pub(super) fn new(socket: TcpStream) -> Self {
        Self { socket, records: Some(Records::default()), settled: false }
    }

    /// The socket itself, for its options.
    pub(crate) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// The handshake is over; `renegotiable`: in a version of TLS in which another could begin.
    pub(super) fn settle(&mut self, renegotiable: bool) {
        self.settled = true;
        if !renegotiable {
            self.records = None;
        }
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let guarded = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut guarded.socket).poll_read(context, buffer))?;
        let new = buffer.filled().get(before..).unwrap_or_default();
        let handshake = guarded.records.as_mut().is_some_and(|records| records.begin_handshake(new));
        if handshake && guarded.settled {
            let error = io::Error::new(io::ErrorKind::ConnectionAborted, "the peer wants to renegotiate TLS");
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().socket).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(context)
    }
}

/// Follows the borders of TLS records (RFC 5246 section 6.2.1) through bytes that come in any pieces.
#[derive(Debug, Default)]
struct Records {
    header: [u8; HEADER],
    /// Bytes of the header that are there.
    read: usize,
    /// Bytes of the body that are to come.
    body: usize,
}

impl Records {
    /// Whether a record of the handshake begins in `bytes`.
    fn begin_handshake(&mut self, mut bytes: &[u8]) -> bool {
        let mut handshake = false;
        while let Some((first, rest)) = bytes.split_first() {
            if self.body > 0 {
                let passed = self.body.min(bytes.len());
                self.body -= passed;
                bytes = bytes.get(passed..).unwrap_or_default();
                continue;
            }
            if let Some(place) = self.header.get_mut(self.read) {
                *place = *first;
                self.read += 1;
                bytes = rest;
            }
            if self.read == HEADER {
                let [kind, _, _, high, low] = self.header;
                handshake |= kind == HANDSHAKE;
                self.body = usize::from(u16::from_be_bytes([high, low]));
                self.read = 0;
            }
        }
        handshake
    }
}

/// Type, version, length.
const HEADER: usize = 5;

/// The type of a record of the handshake.
const HANDSHAKE: u8 = 22;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_is_seen_in_whatever_pieces_it_comes() {
        // Two records of data, one of them empty, whose bodies look like handshakes; then a handshake.
        let data = [23, 3, 3, 0, 6, 22, 3, 3, 0, 1, 0, 23, 3, 3, 0, 0];
        let hello = [22, 3, 3, 0, 2, 1, 2];
        for cut in 1..data.len() {
            let mut records = Records::default();
            assert!(data.chunks(cut).all(|piece| !records.begin_handshake(piece)), "cut at {cut}");
            let seen: Vec<bool> = hello.chunks(cut).map(|piece| records.begin_handshake(piece)).collect();
            assert_eq!(seen.iter().filter(|seen| **seen).count(), 1, "cut at {cut}");
        }
    }
}
