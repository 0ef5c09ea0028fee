//! A link: a task that reads and writes one socket for the actor that owns it.
//!
//! Architecture Invariant: the link handles bytes only. Their meaning, and the queue of stanzas, is the
//! owner's.
//!
//! The owner hands over one chunk at a time and gets [`Event::Written`] when the kernel has all of it.
//! Meanwhile the owner gathers the next chunk. So small writes grow into full TLS records under load, and a
//! single stanza is written at once. A chunk is never abandoned half written: with TLS that would silently
//! corrupt the stream. Each read needs a permit, which travels with the bytes as their [`ReadPermit`].

mod chunk;

use std::{
    collections::VecDeque,
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

use self::chunk::{Chunk, is_keepalive};
use crate::flow::{
    batch::ReadPermit,
    close::{self, CloseMode},
};
use mailbox::Outlet;
use net::{
    network::PeerEnd,
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
    /// The peer has closed its side of the transport, or the connection broke, and not everything that it sent is read. The
    /// rest follows, then [`Self::Eof`] or [`Self::Ended`]. Nothing more is written.
    PeerEnded {
        /// How it ended.
        end: PeerEnd,
        /// Bytes of the last chunk that were written.
        written: usize,
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
    WatchEnd,
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
            deferred: VecDeque::new(),
            events,
            permits: PollSemaphore::new(Arc::new(Semaphore::new(READS))),
            chunk: Chunk::default(),
            is_end_watched: false,
            has_peer_ended: false,
            eof: false,
            error: None,
        };
        Self { commands, task: actix_rt::spawn(task.run()) }
    }

    /// Writes a chunk. The next one may follow after [`Event::Written`].
    pub fn write(&self, chunk: Vec<Bytes>) {
        self.command(Command::Write(chunk));
    }

    /// Reports the end of the connection before the next read: the owner pauses reading.
    pub fn watch_end(&self) {
        self.command(Command::WatchEnd);
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
    /// Those that follow the chunk that is being written.
    deferred: VecDeque<Command>,
    events: Outlet<Event>,
    permits: PollSemaphore,
    chunk: Chunk,
    /// The owner wants to know of the end before the next read.
    is_end_watched: bool,
    /// The owner knows of the end, before everything is read.
    has_peer_ended: bool,
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

enum Step {
    Command(Option<Command>),
    Wrote,
    CannotWrite(io::Error),
    Read(BytesMut, ReadPermit),
    PeerEnded(PeerEnd),
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
                Step::Command(Some(Command::WatchEnd)) => self.is_end_watched = true,
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
                    // An owner that pauses reading must not do so now.
                    self.peer_ended(PeerEnd::Broken);
                    Box::pin(self.read_rest()).await;
                    return Err(error);
                }
                Step::Read(bytes, permit) => self.received(bytes, permit),
                Step::PeerEnded(end) => self.peer_ended(end),
                Step::Eof => {
                    // The peer may still read: TCP closes one direction at a time.
                    self.eof = true;
                    self.report(Event::Eof, false);
                }
            }
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Step>> {
        if self.chunk.bytes.has_remaining() && !self.has_peer_ended {
            while self.chunk.bytes.has_remaining() {
                match Pin::new(&mut self.stream).poll_write(context, &self.chunk.bytes) {
                    Poll::Ready(Ok(0)) => {
                        return Poll::Ready(Ok(Step::CannotWrite(io::ErrorKind::WriteZero.into())));
                    }
                    Poll::Ready(Ok(written)) => self.chunk.advance(written),
                    Poll::Ready(Err(error)) => return Poll::Ready(Ok(Step::CannotWrite(error))),
                    Poll::Pending => {
                        self.defer_commands(context);
                        return self.poll_read(context);
                    }
                }
            }
            // No kind of stream buffers after `poll_write`, so the kernel has all of it now.
            return Poll::Ready(Ok(Step::Wrote));
        }
        if let Some(command) = self.deferred.pop_front() {
            return Poll::Ready(Ok(Step::Command(Some(command))));
        }
        if let Poll::Ready(command) = Pin::new(&mut self.commands).poll_next(context) {
            return Poll::Ready(Ok(Step::Command(command)));
        }
        self.poll_read(context)
    }

    /// Takes the commands that arrive while a chunk is written. All but the watch for the end follow the chunk.
    fn defer_commands(&mut self, context: &mut Context<'_>) {
        while let Poll::Ready(Some(command)) = Pin::new(&mut self.commands).poll_next(context) {
            match command {
                Command::WatchEnd => self.is_end_watched = true,
                command => self.deferred.push_back(command),
            }
        }
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Step>> {
        if self.eof {
            return Poll::Pending;
        }
        let permit = match self.permits.poll_acquire(context) {
            Poll::Ready(Some(permit)) => permit,
            Poll::Pending if self.is_end_watched => {
                let end = ready!(self.stream.poll_peer_end(context));
                self.is_end_watched = false;
                return Poll::Ready(Ok(Step::PeerEnded(end)));
            }
            Poll::Ready(None) | Poll::Pending => return Poll::Pending,
        };
        self.is_end_watched = false;
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
        self.is_end_watched = false;
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

    fn peer_ended(&mut self, end: PeerEnd) {
        self.has_peer_ended = true;
        self.report(Event::PeerEnded { end, written: self.chunk.written }, false);
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

/// Reads whose bytes may be processed at once. With one, everything after a `<starttls/>` stays in the socket
/// until the TLS handshake reads it.
const READS: usize = 1;

/// Bytes of one read at most: four TLS records. Enough to make actor messages cheap, and few enough to let
/// other actors of the thread run.
const READ: usize = 64 * 1024;

/// Bytes that are read at most when a write has failed: more than the kernel's receive buffer holds.
const REST: usize = 8 * 1024 * 1024;

/// The time limit for this. All of it has arrived; while the memory of all queues is full, a read waits for 3 s.
const REST_WITHIN: Duration = Duration::from_secs(10);

/// Bytes of the longest TLS record (RFC 8446 section 5.1).
const RECORD: usize = 16 * 1024;

#[cfg(test)]
mod tests;
