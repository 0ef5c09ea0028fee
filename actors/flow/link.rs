//! A link: a task that reads and writes one socket for the actor that owns it.
//!
//! Architecture Invariant: the link handles bytes only. Their meaning, and the queue of stanzas, is the
//! owner's.
//!
//! The owner hands over one chunk at a time and gets [`Event::Written`] when the kernel has all of it.
//! Meanwhile the owner gathers the next chunk. So small writes grow into full TLS records under load, and a
//! single stanza is written at once. A chunk is never abandoned half written: with TLS that would silently
//! corrupt the stream. Each read needs a permit, which travels with the bytes as their [`ReadPermit`].

use std::{
    future::poll_fn,
    io,
    mem::MaybeUninit,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::{Buf, Bytes, BytesMut};
use futures_util::Stream as _;
use local_channel::mpsc;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Semaphore,
    task::JoinHandle,
};
use tokio_util::sync::PollSemaphore;
use xmpp::Domain;

use crate::flow::{
    batch::ReadPermit,
    close::{self, CloseMode},
};
use mailbox::Outlet;
use net::{
    stream::Stream,
    tls::{self, Tls},
};

/// An event of a link, sent to its owner.
#[derive(Debug)]
pub enum Event {
    /// Bytes were read. The next read waits until the permit is dropped.
    Received {
        /// The bytes.
        bytes: BytesMut,
        /// The permit of this read.
        permit: ReadPermit,
    },
    /// The peer has closed its side of the transport.
    Eof,
    /// The last chunk has been written completely.
    Written,
    /// The TLS handshake succeeded or failed.
    Secured(Result<Box<tls::Session>, tls::Error>),
    /// The link is down. Nothing follows.
    Ended {
        /// Bytes of the last chunk that were written.
        written: usize,
        /// The error; `None` if the peer or the owner closed the link.
        error: Option<io::Error>,
    },
}

/// The owner's handle of a link. Dropping it ends the link at once.
///
/// Owner and link are on one thread and exchange small, frequent commands. A channel between threads would
/// take more memory than all the rest of an idle link outside of TLS.
#[derive(Debug)]
pub struct Link {
    commands: mpsc::Sender<Command>,
    task: JoinHandle<()>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug)]
enum Command {
    Write(Vec<Bytes>),
    Accept { tls: Tls, domain: Option<Domain> },
    Close(CloseMode),
}

impl Link {
    /// Starts the task on the current arbiter.
    pub fn start(stream: Stream, events: Outlet<Event>) -> Self {
        let (commands, receiver) = mpsc::channel();
        let task = Task {
            stream,
            commands: receiver,
            events,
            permits: PollSemaphore::new(Arc::new(Semaphore::new(READS))),
            chunk: Chunk::default(),
            eof: false,
            error: None,
        };
        Self { commands, task: actix_rt::spawn(task.run()) }
    }

    /// Writes a chunk. The next one may follow after [`Event::Written`].
    pub fn write(&self, chunk: Vec<Bytes>) {
        self.command(Command::Write(chunk));
    }

    /// Does the TLS handshake as the server, once all that was handed over is written.
    pub fn accept_tls(&self, tls: Tls, domain: Option<Domain>) {
        self.command(Command::Accept { tls, domain });
    }

    /// Closes the connection once all that was handed over is written: waits for the peer's closing tag if
    /// `mode` says so, sends TLS close_notify, closes TCP, and waits a moment for the peer to do the same, so
    /// that no reset destroys bytes that the peer has not read yet.
    pub fn close(&self, mode: CloseMode) {
        self.command(Command::Close(mode));
    }

    /// The channel is bounded by its use: at most one chunk, one handshake and a few closes are on their way.
    /// A link that has ended sends [`Event::Ended`] itself.
    fn command(&self, command: Command) {
        let _ = self.commands.send(command);
    }
}

struct Task {
    stream: Stream,
    commands: mpsc::Receiver<Command>,
    events: Outlet<Event>,
    permits: PollSemaphore,
    chunk: Chunk,
    eof: bool,
    error: Option<io::Error>,
}

impl Drop for Task {
    /// Reports every end of the task to the owner, a panic too. A peer that sent close_notify gets ours (RFC
    /// 5246 section 7.2.1), if nothing is half written.
    fn drop(&mut self) {
        if self.eof && !self.chunk.bytes.has_remaining() {
            // A few bytes. If the kernel has no room for them, the peer does not read.
            let _ = Pin::new(&mut self.stream).poll_shutdown(&mut Context::from_waker(Waker::noop()));
        }
        let (written, error) = (self.chunk.written, self.error.take());
        // An owner that dropped the link is gone.
        let _ = self.events.signal(Event::Ended { written, error });
    }
}

/// The chunk that is being written: contiguous, so that TLS records are full.
#[derive(Debug, Default)]
struct Chunk {
    bytes: BytesMut,
    written: usize,
    /// Whether it only keeps an idle stream alive.
    is_keepalive: bool,
}

enum Step {
    Command(Option<Command>),
    Wrote,
    CannotWrite(io::Error),
    Read(BytesMut, ReadPermit),
    Eof,
}

impl Task {
    async fn run(mut self) {
        self.error = self.drive().await.err();
    }

    async fn drive(&mut self) -> io::Result<()> {
        loop {
            match poll_fn(|context| self.poll(context)).await? {
                Step::Command(Some(Command::Write(pieces))) => {
                    self.chunk = Chunk::of(pieces);
                    if self.chunk.bytes.len() > RECORD {
                        self.stream.cork(true);
                    }
                }
                // Boxed: every link would reserve the memory of a handshake and of a close for its lifetime.
                Step::Command(Some(Command::Accept { tls, domain })) => {
                    if !Box::pin(self.accept(&tls, domain)).await {
                        return Ok(());
                    }
                }
                Step::Command(Some(Command::Close(mode))) => {
                    let mode = if self.eof { CloseMode::AtOnce } else { mode };
                    return Box::pin(close::close(&mut self.stream, mode)).await;
                }
                Step::Command(None) => return Ok(()),
                Step::Wrote => {
                    if self.chunk.written > RECORD {
                        self.stream.cork(false);
                    }
                    let Chunk { is_keepalive, .. } = std::mem::take(&mut self.chunk);
                    self.report(Event::Written, is_keepalive);
                }
                Step::CannotWrite(error) => {
                    Box::pin(self.read_rest()).await;
                    return Err(error);
                }
                Step::Read(bytes, permit) => self.received(bytes, permit),
                Step::Eof => {
                    // The peer may still read: TCP closes one direction at a time.
                    self.eof = true;
                    self.report(Event::Eof, false);
                }
            }
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Step>> {
        if self.chunk.bytes.has_remaining() {
            while self.chunk.bytes.has_remaining() {
                match Pin::new(&mut self.stream).poll_write(context, &self.chunk.bytes) {
                    Poll::Ready(Ok(0)) => {
                        return Poll::Ready(Ok(Step::CannotWrite(io::ErrorKind::WriteZero.into())));
                    }
                    Poll::Ready(Ok(written)) => self.chunk.advance(written),
                    Poll::Ready(Err(error)) => return Poll::Ready(Ok(Step::CannotWrite(error))),
                    Poll::Pending => return self.poll_read(context),
                }
            }
            // No kind of stream buffers after `poll_write`, so the kernel has all of it now.
            return Poll::Ready(Ok(Step::Wrote));
        }
        if let Poll::Ready(command) = Pin::new(&mut self.commands).poll_next(context) {
            return Poll::Ready(Ok(Step::Command(command)));
        }
        self.poll_read(context)
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Step>> {
        if self.eof {
            return Poll::Pending;
        }
        let Some(permit) = ready!(self.permits.poll_acquire(context)) else {
            return Poll::Pending;
        };
        // The buffer is on the stack: an idle link holds none.
        let mut scratch = [MaybeUninit::uninit(); READ];
        let mut buffer = ReadBuf::uninit(&mut scratch);
        while buffer.remaining() > 0 {
            let before = buffer.filled().len();
            match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => return Poll::Ready(Ok(Step::Eof)),
                Poll::Ready(Ok(())) if buffer.filled().len() == before => break,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) if before == 0 => return Poll::Ready(Err(error)),
                Poll::Pending if before == 0 => return Poll::Pending,
                // The bytes before the error count. The error comes again.
                Poll::Ready(Err(_)) | Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(Step::Read(BytesMut::from(buffer.filled()), ReadPermit::new(permit))))
    }

    /// Reads what arrived before a connection broke. The kernel keeps it after a reset too, and it may be the
    /// acknowledgement of all that was written (XEP-0198). It ends with the end of the connection, which a failed
    /// write means; the limits are for a connection that is broken in one direction only.
    async fn read_rest(&mut self) {
        if self.eof {
            return;
        }
        let rest = async {
            let mut length = 0;
            while length < REST
                && let Ok(Step::Read(bytes, permit)) = poll_fn(|context| self.poll_read(context)).await
            {
                length += bytes.len();
                self.received(bytes, permit);
            }
        };
        // An owner that is held up for longer learns of the end all the same.
        let _ = tokio::time::timeout(REST_WITHIN, rest).await;
    }

    /// Does the TLS handshake. False if it failed.
    async fn accept(&mut self, tls: &Tls, domain: Option<Domain>) -> bool {
        let Stream::Tcp(socket) = std::mem::replace(&mut self.stream, Stream::Upgrading) else {
            return false;
        };
        match tls.accept(socket, domain.as_ref(), false).await {
            Ok((stream, session)) => {
                self.stream = Stream::Tls(Box::new(stream));
                self.report(Event::Secured(Ok(Box::new(session))), false);
                true
            }
            Err(error) => {
                self.report(Event::Secured(Err(error)), false);
                false
            }
        }
    }

    fn received(&self, bytes: BytesMut, permit: ReadPermit) {
        let is_keepalive = is_keepalive(&bytes);
        self.report(Event::Received { bytes, permit }, is_keepalive);
    }

    /// Sends an event to the owner. An event of `is_keepalive` shows no activity of the peer.
    fn report(&self, event: Event, is_keepalive: bool) {
        // An owner that is gone drops its handle, which ends the task when it is polled next.
        let _ = match is_keepalive {
            true => self.events.signal_quietly(event),
            false => self.events.signal(event),
        };
    }
}

impl Chunk {
    fn of(pieces: Vec<Bytes>) -> Self {
        let length = pieces.iter().map(Bytes::len).sum();
        let mut bytes = BytesMut::with_capacity(length);
        for piece in pieces {
            bytes.extend_from_slice(&piece);
        }
        let is_keepalive = is_keepalive(&bytes);
        Self { bytes, written: 0, is_keepalive }
    }

    fn advance(&mut self, written: usize) {
        self.bytes.advance(written);
        self.written += written;
    }
}

/// Whether the bytes only keep an idle stream alive: a little whitespace (RFC 6120 section 4.6.1).
fn is_keepalive(bytes: &[u8]) -> bool {
    bytes.len() <= KEEPALIVE && bytes.iter().all(u8::is_ascii_whitespace)
}

/// Maximum number of bytes of a keepalive: one character, or a line end, and that of another interval.
const KEEPALIVE: usize = 4;

/// Reads whose bytes may be processed at once. With one, everything after a `<starttls/>` stays in the socket
/// until the TLS handshake reads it.
const READS: usize = 1;

/// Bytes of one read at most: four TLS records. Enough to make actor messages cheap, and few enough to let
/// other actors of the thread run.
const READ: usize = 64 * 1024;

/// Bytes that are read at most when a write has failed: more than the kernel's receive buffer holds.
const REST: usize = 8 * 1024 * 1024;

/// The time limit for this. All of it has arrived.
const REST_WITHIN: Duration = Duration::from_secs(1);

/// Bytes of the longest TLS record (RFC 8446 section 5.1).
const RECORD: usize = 16 * 1024;

#[cfg(test)]
mod tests;
