//! One connection: a task that drives both directions of a socket for the actor that owns it.
//!
//! Architecture Invariant: the link knows bytes only. What they mean, and what waits to be written, its owner knows.
//!
//! The owner hands it one chunk at a time and hears [`Event::Written`] when the whole of it has left; while it is on
//! its way the next chunk gathers at the owner, so small writes grow into full TLS records under load, and a lone
//! stanza leaves at once. A chunk is never abandoned half written: with TLS that would silently corrupt the stream.
//! Reading needs a permit, which travels with the bytes as their [`ReadPermit`].

use std::{
    future::poll_fn,
    io,
    mem::MaybeUninit,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
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
    farewell::{self, Farewell},
};
use mailbox::Outlet;
use net::{
    stream::Stream,
    tls::{self, Tls},
};

/// What happened on a link, told to its owner.
#[derive(Debug)]
pub enum Event {
    /// Bytes came; the next read waits until the pass is dropped.
    Received {
        /// What came.
        bytes: BytesMut,
        /// Leave to read on.
        pass: ReadPermit,
    },
    /// The peer will send nothing more.
    Eof,
    /// The chunk handed over last has been written, all of it.
    Written,
    /// TLS is up, or will not be.
    Secured(Result<Box<tls::Session>, tls::Error>),
    /// The link is over; nothing follows.
    Ended {
        /// Bytes of the chunk handed over last that were written.
        written: usize,
        /// Why, unless the peer or the owner closed in good order.
        error: Option<io::Error>,
    },
}

/// The owner's hold on a link; the link ends at once when it is dropped.
///
/// Both are on one thread, and what goes between them is little and often: a channel for threads would take more memory
/// than all else that an idle link has outside of TLS.
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
    Close(Farewell),
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

    /// Writes a chunk; the next one may follow after [`Event::Written`].
    pub fn write(&self, chunk: Vec<Bytes>) {
        self.command(Command::Write(chunk));
    }

    /// Does the TLS handshake as the server, once all that was handed over is written.
    pub fn accept_tls(&self, tls: Tls, domain: Option<Domain>) {
        self.command(Command::Accept { tls, domain });
    }

    /// Closes in good order once all that was handed over is written: waits for the peer's closing tag if it is still to
    /// come, then TLS close_notify, then TCP, then waits a moment for the peer to do the same, so that no reset destroys
    /// what it has not read yet.
    pub fn close(&self, farewell: Farewell) {
        self.command(Command::Close(farewell));
    }

    /// At most one chunk, one handshake and one close are ever under way, which bounds the channel; a link that has
    /// ended says so itself with [`Event::Ended`].
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
    /// However the task ends, by a panic too, the owner hears of it; and a peer that said goodbye to TLS gets its answer
    /// (RFC 5246 section 7.2.1), if nothing is half written.
    fn drop(&mut self) {
        if self.eof && !self.chunk.bytes.has_remaining() {
            // It is a few bytes. Where there is no room even for them, nobody reads them.
            let _ = Pin::new(&mut self.stream).poll_shutdown(&mut Context::from_waker(Waker::noop()));
        }
        let (written, error) = (self.chunk.written, self.error.take());
        // An owner that ended the task himself is gone and does not want to know.
        let _ = self.events.signal(Event::Ended { written, error });
    }
}

/// What is being written: one contiguous piece, so that TLS records are full.
#[derive(Debug, Default)]
struct Chunk {
    bytes: BytesMut,
    written: usize,
}

enum Step {
    Command(Option<Command>),
    Wrote,
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
                // In boxes: what a handshake and a goodbye need, every link would else hold all its life.
                Step::Command(Some(Command::Accept { tls, domain })) => {
                    if !Box::pin(self.accept(&tls, domain)).await {
                        return Ok(());
                    }
                }
                Step::Command(Some(Command::Close(farewell))) => {
                    let farewell = if self.eof { Farewell::Now } else { farewell };
                    return Box::pin(farewell::part(&mut self.stream, farewell)).await;
                }
                Step::Command(None) => return Ok(()),
                Step::Wrote => {
                    if self.chunk.written > RECORD {
                        self.stream.cork(false);
                    }
                    self.chunk = Chunk::default();
                    self.tell(Event::Written);
                }
                Step::Read(bytes, pass) => self.tell(Event::Received { bytes, pass }),
                Step::Eof => {
                    // What the owner still wants to say may be read: TCP closes one direction at a time.
                    self.eof = true;
                    self.tell(Event::Eof);
                }
            }
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Step>> {
        if self.chunk.bytes.has_remaining() {
            while self.chunk.bytes.has_remaining() {
                match Pin::new(&mut self.stream).poll_write(context, &self.chunk.bytes)? {
                    Poll::Ready(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Poll::Ready(written) => self.chunk.advance(written),
                    Poll::Pending => return self.poll_read(context),
                }
            }
            // Neither stream buffers past `poll_write`, so all of it is with the kernel now.
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
                // What came before the error counts; the error comes again.
                Poll::Ready(Err(_)) | Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(Step::Read(BytesMut::from(buffer.filled()), ReadPermit::new(permit))))
    }

    /// Whether the link goes on.
    async fn accept(&mut self, tls: &Tls, domain: Option<Domain>) -> bool {
        let Stream::Tcp(socket) = std::mem::replace(&mut self.stream, Stream::Upgrading) else {
            return false;
        };
        match tls.accept(socket, domain.as_ref(), false).await {
            Ok((stream, session)) => {
                self.stream = Stream::Tls(Box::new(stream));
                self.tell(Event::Secured(Ok(Box::new(session))));
                true
            }
            Err(error) => {
                self.tell(Event::Secured(Err(error)));
                false
            }
        }
    }

    fn tell(&self, event: Event) {
        // An owner that is gone drops its hold, which ends the task at its next turn.
        let _ = self.events.signal(event);
    }
}

impl Chunk {
    fn of(pieces: Vec<Bytes>) -> Self {
        let length = pieces.iter().map(Bytes::len).sum();
        let mut bytes = BytesMut::with_capacity(length);
        for piece in pieces {
            bytes.extend_from_slice(&piece);
        }
        Self { bytes, written: 0 }
    }

    fn advance(&mut self, written: usize) {
        self.bytes.advance(written);
        self.written += written;
    }
}

/// Reads whose bytes may be under way at once. With one, whatever follows a `<starttls/>` stays in the socket until the
/// handshake reads it.
const READS: usize = 1;

/// What one read brings at most: enough to make actor messages cheap, little enough to pass the turn to others. Four TLS
/// records.
const READ: usize = 64 * 1024;

/// The most that a TLS record holds (RFC 8446 section 5.1).
const RECORD: usize = 16 * 1024;
