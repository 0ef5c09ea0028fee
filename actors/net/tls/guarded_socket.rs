//! The socket below TLS. It limits the data that a peer can make OpenSSL process.
//!
//! Before the end of the handshake it limits the bytes. OpenSSL stores the certificates of a peer as long as
//! the connection, which can take forty times their size.
//!
//! After the handshake it charges the records to a [`RecordBudget`], which delivered data replenishes. It
//! also ends the connection if the peer starts to renegotiate: RFC 6120 section 5.3.5 requires to close the
//! TCP connection without a stream error, and OpenSSL would only decline. In TLS 1.2 the type of a record is
//! in clear text, so a handshake record after the handshake is visible here. TLS 1.3 has no renegotiation and
//! hides the type.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use super::{
    Error,
    record_budget::{RECORDS, RecordBudget},
    records::{ClientHello, HANDSHAKE, RecordReader},
};
use crate::network::Socket;

/// A socket under TLS.
#[derive(Debug)]
pub(super) struct GuardedSocket {
    socket: Socket,
    /// Bytes that were read and that OpenSSL gets before any other.
    early: BytesMut,
    /// The number of bytes that may still be read before the end of the handshake.
    left: usize,
    records: RecordReader,
    /// Set at the end of the handshake.
    established: Option<Established>,
}

/// The limits after the handshake.
#[derive(Debug)]
struct Established {
    /// Whether this version of TLS permits another handshake, which ends the connection.
    renegotiable: bool,
    budget: RecordBudget,
}

impl GuardedSocket {
    /// Limits the bytes before the end of the handshake to `limit`.
    pub(super) fn new(socket: Socket, limit: usize) -> Self {
        Self {
            socket,
            early: BytesMut::new(),
            left: limit,
            records: RecordReader::default(),
            established: None,
        }
    }

    /// Reads until the first message of a client is complete, or is known not to be TLS.
    ///
    /// OpenSSL allocates tens of kilobytes for a handshake. A client gets them only for a complete message.
    pub(super) async fn read_client_hello(&mut self) -> Result<(), Error> {
        let (mut records, mut hello) = (RecordReader::default(), ClientHello::default());
        let mut scratch = [0; READ_SIZE];
        while !hello.is_complete() {
            if hello.length().is_some_and(|length| length > self.early.len() + self.left) || self.left == 0 {
                return Err(Error::TooLong);
            }
            let room = self.left.min(scratch.len());
            let read = self.socket.read(&mut scratch[..room]).await;
            let bytes = match read.map_err(|error| Error::Broken(error.kind()))? {
                // OpenSSL reports the end of the connection.
                0 => break,
                length => &scratch[..length],
            };
            self.left -= bytes.len();
            self.early.extend_from_slice(bytes);
            hello.foreign |= self.early.first() != Some(&HANDSHAKE);
            records.read(bytes, usize::MAX, |kind, body| hello.take(kind, body));
        }
        Ok(())
    }

    /// The socket, for its options.
    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// The socket, to watch for its end.
    pub(super) fn socket_mut(&mut self) -> &mut Socket {
        &mut self.socket
    }

    /// Ends the handshake. `renegotiable`: the version of TLS permits another one.
    pub(super) fn establish(&mut self, renegotiable: bool) {
        self.established = Some(Established { renegotiable, budget: RecordBudget::new() });
    }

    /// Reports `bytes` of data that the records contained.
    pub(super) fn delivered(&mut self, bytes: usize) {
        if let Some(established) = &mut self.established {
            established.budget.pay(bytes);
        }
    }
}

impl AsyncRead for GuardedSocket {
    /// OpenSSL reads only after it has processed all earlier bytes, so their data is delivered already.
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let guarded = self.get_mut();
        if let Some(Established { budget, .. }) = &mut guarded.established {
            if budget.is_exceeded() {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::QuotaExceeded, NO_DATA)));
            }
            if budget.take_end_of_turn() {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        let before = buffer.filled().len();
        if !guarded.early.is_empty() {
            let length = guarded.early.len().min(buffer.remaining());
            buffer.put_slice(&guarded.early.split_to(length));
        } else if guarded.established.is_some() {
            ready!(Pin::new(&mut guarded.socket).poll_read(context, buffer))?;
        } else {
            ready!(guarded.poll_read_limited(context, buffer))?;
        }
        let most = if guarded.established.is_some() { RECORDS } else { usize::MAX };
        let new = buffer.filled().get(before..).unwrap_or_default();
        let found = guarded.records.read(new, most, |_, _| {});
        if let Some(established) = &mut guarded.established {
            if found.handshake && established.renegotiable {
                let error =
                    io::Error::new(io::ErrorKind::ConnectionAborted, "the peer tries to renegotiate TLS");
                return Poll::Ready(Err(error));
            }
            established.budget.charge(found.bytes, found.records);
        }
        guarded.keep_rest(buffer, before + found.bytes);
        Poll::Ready(Ok(()))
    }
}

impl GuardedSocket {
    /// Keeps the bytes of `buffer` after the first `length` for the next read.
    fn keep_rest(&mut self, buffer: &mut ReadBuf<'_>, length: usize) {
        let rest = buffer.filled().get(length..).unwrap_or_default();
        if !rest.is_empty() {
            let mut early = BytesMut::with_capacity(rest.len() + self.early.len());
            early.extend_from_slice(rest);
            early.extend_from_slice(&self.early);
            self.early = early;
            buffer.set_filled(length);
        } else if self.early.is_empty() {
            // An empty buffer would keep its memory.
            self.early = BytesMut::new();
        }
    }

    /// Reads no more than the limit permits.
    fn poll_read_limited(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left == 0 {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::QuotaExceeded,
                "TLS handshake exceeds the limit",
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

impl AsyncWrite for GuardedSocket {
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

const NO_DATA: &str = "too many TLS records without data";

/// The number of bytes to read at once. Most first messages are shorter.
const READ_SIZE: usize = 2048;
