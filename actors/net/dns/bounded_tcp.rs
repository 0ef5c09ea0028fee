//! TCP connections to name servers that limit the size of an answer.
//!
//! A DNS message over TCP can have 64 KiB. The library needs several times that memory, and for a negative
//! answer the memory grows with the square of the number of records. A hostile zone could exhaust the memory
//! with a few answers. So a message that is longer than any useful answer is replaced by the error SERVFAIL
//! before the library reads it. The other answers on the connection are not changed.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::timeout,
};
use trust_dns_resolver::net::runtime::{
    RuntimeProvider, TokioRuntimeProvider, TokioTime, iocompat::AsyncIoTokioAsStd,
};

use crate::network::{Network, Socket};

/// The socket factory of the library.
#[derive(Clone)]
pub(super) struct Sockets {
    runtime: TokioRuntimeProvider,
    network: Network,
}

impl Sockets {
    pub(super) fn new(network: Network) -> Self {
        Self { runtime: TokioRuntimeProvider::new(), network }
    }
}

impl RuntimeProvider for Sockets {
    type Handle = <TokioRuntimeProvider as RuntimeProvider>::Handle;
    type Timer = TokioTime;
    type Udp = <TokioRuntimeProvider as RuntimeProvider>::Udp;
    type Tcp = AsyncIoTokioAsStd<BoundedStream<Socket>>;

    fn create_handle(&self) -> Self::Handle {
        self.runtime.create_handle()
    }

    fn connect_tcp(
        &self,
        server: SocketAddr,
        _: Option<SocketAddr>,
        within: Option<Duration>,
    ) -> Pin<Box<dyn Send + Future<Output = io::Result<Self::Tcp>>>> {
        let (network, within) = (self.network.clone(), within.unwrap_or(CONNECT));
        Box::pin(async move {
            let opened = timeout(within, network.connect(server)).await;
            let socket = opened.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
            if let Err(error) = socket.tune() {
                log::debug!(target: "nuncio::dns", "cannot set the socket options for {server}: {error}");
            }
            Ok(AsyncIoTokioAsStd(BoundedStream::new(socket)))
        })
    }

    fn bind_udp(
        &self,
        local: SocketAddr,
        server: SocketAddr,
    ) -> Pin<Box<dyn Send + Future<Output = io::Result<Self::Udp>>>> {
        self.runtime.bind_udp(local, server)
    }
}

/// A stream of DNS messages, each with a length prefix (RFC 1035 section 4.2.2).
pub(super) struct BoundedStream<S> {
    stream: S,
    state: State,
    /// Bytes to deliver before the next read: a length, perhaps with a header.
    ready: [u8; LENGTH + HEADER],
    /// The number of bytes of `ready` that were delivered.
    given: usize,
    /// The number of bytes in `ready`.
    filled: usize,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// In the length of a message, of which `got` bytes were read.
    Length { bytes: [u8; LENGTH], got: usize },
    /// In a message that is delivered, of which `left` bytes are missing.
    Message { left: usize },
    /// In the header of a message that is too long. After the header, `left` bytes of it follow.
    Header { bytes: [u8; HEADER], got: usize, left: usize },
    /// In the rest of a message that is too long, which is discarded.
    Excess { left: usize },
}

impl State {
    const BETWEEN: Self = Self::Length { bytes: [0; LENGTH], got: 0 };
}

impl<S> BoundedStream<S> {
    fn new(stream: S) -> Self {
        Self { stream, state: State::BETWEEN, ready: [0; LENGTH + HEADER], given: 0, filled: 0 }
    }

    fn give(&mut self, length: [u8; LENGTH], header: &[u8]) {
        let bytes = length.iter().chain(header);
        self.filled = self.ready.iter_mut().zip(bytes).map(|(place, byte)| *place = *byte).count();
        self.given = 0;
    }
}

impl<S: AsyncRead + Unpin> BoundedStream<S> {
    fn pull(&mut self, context: &mut Context<'_>, scratch: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(scratch);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for BoundedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let mut scratch = [0; SCRATCH];
        loop {
            if let Some(ready) = this.ready.get(this.given..this.filled).filter(|ready| !ready.is_empty()) {
                let given = ready.len().min(buffer.remaining());
                buffer.put_slice(&ready[..given]);
                this.given += given;
                return Poll::Ready(Ok(()));
            }
            match this.state {
                State::Length { mut bytes, mut got } => {
                    let read = ready!(this.pull(context, &mut bytes[got..]))?;
                    if read == 0 {
                        return Poll::Ready(Ok(()));
                    }
                    got += read;
                    let length = usize::from(u16::from_be_bytes(bytes));
                    this.state = if got < LENGTH {
                        State::Length { bytes, got }
                    } else if length > LONGEST {
                        State::Header { bytes: [0; HEADER], got: 0, left: length - HEADER }
                    } else {
                        this.give(bytes, &[]);
                        if length == 0 { State::BETWEEN } else { State::Message { left: length } }
                    };
                }
                State::Message { left } => {
                    let most = left.min(buffer.remaining()).min(SCRATCH);
                    let read = ready!(this.pull(context, &mut scratch[..most]))?;
                    buffer.put_slice(&scratch[..read]);
                    this.state = match left - read {
                        0 => State::BETWEEN,
                        left => State::Message { left },
                    };
                    return Poll::Ready(Ok(()));
                }
                State::Header { mut bytes, mut got, left } => {
                    let read = ready!(this.pull(context, &mut bytes[got..]))?;
                    if read == 0 {
                        return Poll::Ready(Ok(()));
                    }
                    got += read;
                    this.state = if got < HEADER {
                        State::Header { bytes, got, left }
                    } else {
                        log::debug!(target: "nuncio::dns", bytes = left + HEADER; "DNS answer over TCP exceeds the limit: treated as SERVFAIL");
                        this.give([0, HEADER as u8], &refusal(bytes));
                        State::Excess { left }
                    };
                }
                State::Excess { left } => {
                    let read = ready!(this.pull(context, &mut scratch[..left.min(SCRATCH)]))?;
                    if read == 0 {
                        return Poll::Ready(Ok(()));
                    }
                    this.state = match left - read {
                        0 => State::BETWEEN,
                        left => State::Excess { left },
                    };
                }
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for BoundedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Changes the header of an answer into the error SERVFAIL without records (RFC 1035 section 4.1.1).
fn refusal([id_high, id_low, flags, codes, ..]: [u8; HEADER]) -> [u8; HEADER] {
    const TRUNCATED: u8 = 0x02;
    const SERVFAIL: u8 = 2;
    [id_high, id_low, flags & !TRUNCATED, codes & 0xf0 | SERVFAIL, 0, 0, 0, 0, 0, 0, 0, 0]
}

/// The time limit of a connection, if the library sets none.
const CONNECT: Duration = Duration::from_secs(5);

/// The maximum size of a message in bytes. Fifty SRV records have less than half of that.
const LONGEST: usize = 8 * 1024;

/// The size of a length prefix in bytes.
const LENGTH: usize = 2;

/// The size of the header of a message in bytes.
const HEADER: usize = 12;

/// The number of bytes copied at once.
const SCRATCH: usize = 1024;

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    fn message(id: u8, length: usize) -> Vec<u8> {
        let mut message = u16::try_from(length).unwrap().to_be_bytes().to_vec();
        message.extend([0, id, 0x87, 0x80, 0, 1, 0, 9, 0, 0, 0, 0].into_iter().take(length));
        message.resize(LENGTH + length, id);
        message
    }

    /// Reads `bytes` through a bounded stream, in pieces of `size`.
    async fn read(bytes: Vec<u8>, size: usize) -> Vec<u8> {
        let mut stream = BoundedStream::new(&bytes[..]);
        let mut all = Vec::new();
        let mut piece = vec![0; size];
        loop {
            match stream.read(&mut piece).await.unwrap() {
                0 => return all,
                read => all.extend(&piece[..read]),
            }
        }
    }

    #[tokio::test]
    async fn a_message_that_is_too_long_becomes_servfail_and_the_others_are_unchanged() {
        let (short, longest) = (message(1, 40), message(3, LONGEST));
        let refusal = |id| [0, 12, 0, id, 0x85, 0x82, 0, 0, 0, 0, 0, 0, 0, 0];
        let sent =
            [short.clone(), message(2, LONGEST + 1), longest.clone(), message(4, 65_535), short.clone()]
                .concat();
        let expected = [&short[..], &refusal(2), &longest, &refusal(4), &short].concat();
        for size in [1, 2, 7, 12, 14, 1_000, 100_000] {
            assert!(read(sent.clone(), size).await == expected, "in pieces of {size}");
        }
    }

    #[tokio::test]
    async fn a_connection_can_end_within_a_message() {
        for length in [0, 1, 2, 10, 14, 100, 9_000] {
            let mut sent = message(1, LONGEST + 1_000);
            sent.truncate(length);
            let read = read(sent, 64).await;
            assert!(read.len() <= LENGTH + HEADER, "{} bytes of {length}", read.len());
        }
        assert_eq!(read([message(1, 0), message(2, 3)].concat(), 64).await, [0, 0, 0, 3, 0, 2, 0x87]);
    }
}
