//! The socket below TLS, which ends the connection when the peer wants to renegotiate, or says much before TLS is made.
//!
//! OpenSSL keeps what it made of a peer's certificates as long as the connection, which can be forty times their bytes.
//! So the bytes are counted until the handshake is over.
//!
//! RFC 6120 section 5.3.5: who does not support renegotiation drops the TCP connection, without a stream error.
//! OpenSSL would only decline and go on, and tells nobody. But TLS 1.2 leaves the type of a record in the clear, so
//! that a handshake after the handshake is seen from outside. TLS 1.3 knows no renegotiation and hides the type.
//!
//! After the handshake the records are counted against a budget, which data replenishes.

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

use super::{
    Error,
    budget::{Budget, RECORDS},
};

/// A TCP socket under TLS.
#[derive(Debug)]
pub(super) struct Guarded {
    socket: TcpStream,
    /// Bytes that were read and are to be given to OpenSSL first.
    early: BytesMut,
    /// Bytes that may still be read before the handshake is over.
    left: usize,
    records: Records,
    /// There once the handshake is over.
    settled: Option<Settled>,
}

/// What holds after the handshake.
#[derive(Debug)]
struct Settled {
    /// Another handshake could begin in this version of TLS, and ends the connection.
    renegotiable: bool,
    budget: Budget,
}

impl Guarded {
    /// Lets `most` bytes through before the handshake is over.
    pub(super) fn new(socket: TcpStream, most: usize) -> Self {
        Self { socket, early: BytesMut::new(), left: most, records: Records::default(), settled: None }
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
            records.follow(bytes, usize::MAX, |kind, body| hello.take(kind, body));
        }
        Ok(())
    }

    /// The socket itself, for its options.
    pub(super) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// The handshake is over; `renegotiable`: in a version of TLS in which another could begin.
    pub(super) fn settle(&mut self, renegotiable: bool) {
        self.settled = Some(Settled { renegotiable, budget: Budget::new() });
    }

    /// So many bytes of data were found in what was read.
    pub(super) fn delivered(&mut self, bytes: usize) {
        if let Some(settled) = &mut self.settled {
            settled.budget.pay(bytes);
        }
    }
}

impl AsyncRead for Guarded {
    /// OpenSSL reads on only when it has handled all that it was given, so whatever was to be delivered is delivered.
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let guarded = self.get_mut();
        if let Some(Settled { budget, .. }) = &mut guarded.settled {
            if budget.is_exceeded() {
                return Poll::Ready(Err(refused(io::ErrorKind::QuotaExceeded, NO_DATA)));
            }
            if budget.take_turn_over() {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        let before = buffer.filled().len();
        if !guarded.early.is_empty() {
            let length = guarded.early.len().min(buffer.remaining());
            buffer.put_slice(&guarded.early.split_to(length));
        } else if guarded.settled.is_some() {
            ready!(Pin::new(&mut guarded.socket).poll_read(context, buffer))?;
        } else {
            ready!(guarded.poll_read_within(context, buffer))?;
        }
        let most = if guarded.settled.is_some() { RECORDS } else { usize::MAX };
        let new = buffer.filled().get(before..).unwrap_or_default();
        let followed = guarded.records.follow(new, most, |_, _| {});
        if let Some(settled) = &mut guarded.settled {
            if followed.handshake && settled.renegotiable {
                let error = refused(io::ErrorKind::ConnectionAborted, "the peer wants to renegotiate TLS");
                return Poll::Ready(Err(error));
            }
            settled.budget.charge(followed.bytes, followed.records);
        }
        guarded.give_back(buffer, before + followed.bytes);
        Poll::Ready(Ok(()))
    }
}

impl Guarded {
    /// Keeps for the next time what is in `buffer` beyond `length` bytes.
    fn give_back(&mut self, buffer: &mut ReadBuf<'_>, length: usize) {
        let rest = buffer.filled().get(length..).unwrap_or_default();
        if !rest.is_empty() {
            let mut early = BytesMut::with_capacity(rest.len() + self.early.len());
            early.extend_from_slice(rest);
            early.extend_from_slice(&self.early);
            self.early = early;
            buffer.set_filled(length);
        } else if self.early.is_empty() {
            // Empty as it is, it would keep its memory.
            self.early = BytesMut::new();
        }
    }

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

/// What was found in some bytes.
#[derive(Debug, Default)]
struct Followed {
    /// How many of them were looked at.
    bytes: usize,
    /// Records that begin in them.
    records: usize,
    /// A record of the handshake begins in them.
    handshake: bool,
}

impl Records {
    /// Looks at bytes until so many records have begun in them and another one comes. `body` is given the pieces of bodies,
    /// each with the type of its record.
    fn follow(&mut self, bytes: &[u8], most: usize, mut body: impl FnMut(u8, &[u8])) -> Followed {
        let (mut followed, mut left) = (Followed::default(), bytes);
        while let Some((first, rest)) = left.split_first() {
            if self.body > 0 {
                let (piece, rest) = left.split_at(self.body.min(left.len()));
                let [kind, ..] = self.header;
                body(kind, piece);
                self.body -= piece.len();
                left = rest;
                continue;
            }
            if self.read == 0 && followed.records >= most {
                break;
            }
            if let Some(place) = self.header.get_mut(self.read) {
                *place = *first;
                self.read += 1;
                left = rest;
            }
            if self.read == HEADER {
                let [kind, _, _, high, low] = self.header;
                followed.handshake |= kind == HANDSHAKE;
                followed.records += 1;
                self.body = usize::from(u16::from_be_bytes([high, low]));
                self.read = 0;
            }
        }
        followed.bytes = bytes.len() - left.len();
        followed
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

fn refused(kind: io::ErrorKind, reason: &'static str) -> io::Error {
    io::Error::new(kind, reason)
}

const NO_DATA: &str = "the peer sends TLS records without data";

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
            let mut sees = |bytes: &[u8]| {
                bytes.chunks(cut).filter(|piece| records.follow(piece, 99, |_, _| {}).handshake).count()
            };
            assert_eq!(sees(&data), 0, "cut at {cut}");
            assert_eq!(sees(&hello), 1, "cut at {cut}");
        }
    }

    #[test]
    fn no_more_records_are_followed_than_may_begin() {
        let record = [23, 3, 3, 0, 2, 22, 22];
        let bytes = record.repeat(5);
        let mut records = Records::default();
        for (most, whole) in [(2, 2), (0, 0), (1, 1), (9, 2)] {
            let followed = records.follow(&bytes[..whole.max(2) * record.len()], most, |_, _| {});
            assert_eq!((followed.bytes, followed.records), (whole * record.len(), whole));
        }
        // In the middle of a header and of a body it goes on.
        for piece in [&record[..3], &record[3..6], &record[6..]] {
            assert_eq!(records.follow(piece, 1, |_, _| {}).bytes, piece.len());
        }
    }
}
