//! The socket below TLS, which ends the connection when the peer wants to renegotiate, or says much before TLS is made.
//!
//! OpenSSL keeps what it made of a peer's certificates as long as the connection, which can be forty times their bytes.
//! So the bytes are counted until the handshake is over.
//!
//! RFC 6120 section 5.3.5: who does not support renegotiation drops the TCP connection, without a stream error.
//! OpenSSL would only decline and go on, and tells nobody. But TLS 1.2 leaves the type of a record in the clear, so
//! that a handshake after the handshake is seen from outside. TLS 1.3 knows no renegotiation and hides the type.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::BytesMut;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::Error;

/// A TCP socket under TLS.
#[derive(Debug)]
pub struct Guarded {
    socket: TcpStream,
    /// Bytes that were read before there was somebody to take them.
    early: BytesMut,
    /// Bytes that may still be read before the handshake is over.
    left: usize,
    /// `None`: nothing can come any more that is to be looked for.
    records: Option<Records>,
    /// The handshake is over, and there is to be no other.
    settled: bool,
}

impl Guarded {
    /// Lets `most` bytes through before the handshake is over.
    pub(super) fn new(socket: TcpStream, most: usize) -> Self {
        let (early, records) = (BytesMut::new(), Some(Records::default()));
        Self { socket, early, left: most, records, settled: false }
    }

    /// Reads until a client's first message is whole, or what is there is none: a handshake costs tens of kilobytes, which
    /// nobody gets for less than that message.
    pub(super) async fn await_hello(&mut self) -> Result<(), Error> {
        let (mut records, mut hello) = (Records::default(), Hello::default());
        let mut scratch = [0; HELLO];
        while !hello.is_whole() {
            if hello.length().is_some_and(|length| length > self.early.len() + self.left) || self.left == 0 {
                return Err(Error::TooLong);
            }
            let room = self.left.min(scratch.len());
            let read = self.socket.read(&mut scratch[..room]).await;
            let bytes = match read.map_err(|error| Error::Broken(error.kind()))? {
                // OpenSSL finds out what it means that there is no more.
                0 => break,
                length => &scratch[..length],
            };
            self.left -= bytes.len();
            self.early.extend_from_slice(bytes);
            hello.foreign |= self.early.first() != Some(&HANDSHAKE);
            records.follow(bytes, |kind, body| hello.take(kind, body));
        }
        Ok(())
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
        if !guarded.early.is_empty() {
            let length = guarded.early.len().min(buffer.remaining());
            buffer.put_slice(&guarded.early.split_to(length));
            if guarded.early.is_empty() {
                guarded.early = BytesMut::new();
            }
        } else if guarded.settled {
            ready!(Pin::new(&mut guarded.socket).poll_read(context, buffer))?;
        } else {
            ready!(guarded.poll_read_within(context, buffer))?;
        }
        let new = buffer.filled().get(before..).unwrap_or_default();
        let handshake = guarded.records.as_mut().is_some_and(|records| records.follow(new, |_, _| {}));
        if handshake && guarded.settled {
            let error = io::Error::new(io::ErrorKind::ConnectionAborted, "the peer wants to renegotiate TLS");
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(()))
    }
}

impl Guarded {
    /// Reads no more than may be read.
    fn poll_read_within(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left == 0 {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::QuotaExceeded,
                "a TLS handshake too long",
            )));
        }
        let room = self.left.min(buffer.remaining());
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(room));
        ready!(Pin::new(&mut self.socket).poll_read(context, &mut part))?;
        let length = part.filled().len();
        buffer.advance(length);
        self.left -= length;
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
    /// Whether a record of the handshake begins in `bytes`. `body` is given the pieces of bodies, each with the type of its
    /// record.
    fn follow(&mut self, mut bytes: &[u8], mut body: impl FnMut(u8, &[u8])) -> bool {
        let mut handshake = false;
        while let Some((first, rest)) = bytes.split_first() {
            if self.body > 0 {
                let (piece, rest) = bytes.split_at(self.body.min(bytes.len()));
                let [kind, ..] = self.header;
                body(kind, piece);
                self.body -= piece.len();
                bytes = rest;
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

/// The first message of a handshake, as far as it is there (RFC 8446 section 4): type, length, and what is so long. It
/// may be spread over records.
#[derive(Debug, Default)]
struct Hello {
    start: [u8; 4],
    /// Bytes that are there, those of the start among them.
    seen: usize,
    /// What came is nothing of a handshake.
    foreign: bool,
}

impl Hello {
    fn take(&mut self, kind: u8, body: &[u8]) {
        self.foreign |= kind != HANDSHAKE;
        for (place, byte) in self.start.iter_mut().skip(self.seen).zip(body) {
            *place = *byte;
        }
        self.seen += body.len();
    }

    /// How long it says it is in all.
    fn length(&self) -> Option<usize> {
        let [_, high, middle, low] = self.start;
        (self.seen >= self.start.len())
            .then(|| self.start.len() + u32::from_be_bytes([0, high, middle, low]) as usize)
    }

    fn is_whole(&self) -> bool {
        self.foreign || self.length().is_some_and(|length| self.seen >= length)
    }
}

/// What is read at once of a first message: the whole of most.
const HELLO: usize = 2048;

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
            assert!(data.chunks(cut).all(|piece| !records.follow(piece, |_, _| {})), "cut at {cut}");
            let seen: Vec<bool> = hello.chunks(cut).map(|piece| records.follow(piece, |_, _| {})).collect();
            assert_eq!(seen.iter().filter(|seen| **seen).count(), 1, "cut at {cut}");
        }
    }
}
