//! The connection of a stream: its link, the outbox in front of it, and how both come to their end.
//!
//! Each actor that owns a stream has one: outgoing, incoming and component. The actor drives the protocol.
//! The connection writes, in order and bounded, and knows whether the link is up.
//!
//! Architecture Invariant: plain data with a link. Timers call methods of the owning actor.

mod intake;

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use actix::{Actor, AsyncContext, Context};
use bytes::Bytes;

pub(super) use self::intake::{Intake, OFFER_AGAIN};
use crate::flow::{
    batch::ReadPermit,
    close::CloseMode,
    link::{self, Link},
    outbox::Outbox,
    trace::Trace,
};
use mailbox::Outlet;
use net::{stream::Stream, tls::Tls};
use status::{
    address::Address,
    amount::Amount,
    report::{self, Direction, Seconds, Time},
};

/// The connection of one stream. `A` is the kind of address that its peers can have.
pub(super) struct Connection<A = SocketAddr> {
    /// The peer's end.
    pub(super) address: A,
    state: ConnectionState,
    /// The queue of stanzas to be written.
    pub(super) outbox: Outbox,
    trace: Trace,
    /// When the connection was accepted or the stream was established.
    pub(super) since: Instant,
    /// When the last stanza came or was sent.
    pub(super) last_stanza: Instant,
    /// When the link got its last chunk.
    pub(super) last_write: Instant,
    /// The link has not written that chunk yet, and its time is limited.
    is_writing: bool,
    bytes_in: u64,
}

/// Whether a connection has a link, and whether the protocol goes on.
enum ConnectionState {
    /// The protocol goes on.
    Up(Link),
    /// The protocol has ended. The link is closed in this way once the outbox is empty.
    Ending(Link, CloseMode),
    /// The peer has closed its side or is gone. What it sent before is read, and nothing is written.
    Remaining {
        /// Reads as long as it is held.
        _link: Link,
    },
    /// The link is down.
    Down,
}

impl<A: Clone + Into<Address>> Connection<A> {
    /// Starts the link on the current arbiter.
    pub(super) fn start(
        stream: Stream,
        address: A,
        since: Instant,
        events: Outlet<link::Event>,
        trace: Trace,
        outbox: Outbox,
    ) -> Self {
        let now = clock::now();
        Self {
            address,
            state: ConnectionState::Up(Link::start(stream, events)),
            outbox,
            trace,
            since,
            last_stanza: now,
            last_write: now,
            is_writing: false,
            bytes_in: 0,
        }
    }

    fn link(&self) -> Option<&Link> {
        match &self.state {
            ConnectionState::Up(link) | ConnectionState::Ending(link, _) => Some(link),
            ConnectionState::Remaining { .. } | ConnectionState::Down => None,
        }
    }

    /// Whether the protocol has ended, or the link.
    pub(super) fn has_ended(&self) -> bool {
        !matches!(self.state, ConnectionState::Up(_))
    }

    /// Whether the link is down.
    pub(super) fn is_down(&self) -> bool {
        matches!(self.state, ConnectionState::Down)
    }

    /// Whether the peer is gone, and what it sent before is still being read.
    pub(super) fn is_remaining(&self) -> bool {
        matches!(self.state, ConnectionState::Remaining { .. })
    }

    /// The peer is gone: only reads what it sent before. False if the protocol had ended before.
    pub(super) fn read_remaining(&mut self) -> bool {
        let was_up = !self.has_ended();
        self.state = match std::mem::replace(&mut self.state, ConnectionState::Down) {
            ConnectionState::Up(link) => ConnectionState::Remaining { _link: link },
            other => other,
        };
        was_up
    }

    /// Reports the end of the connection before the next read: reading is paused.
    pub(super) fn watch_end(&self) {
        if let ConnectionState::Up(link) = &self.state {
            link.watch_end();
        }
    }

    /// Queues bytes of the protocol itself. Gives text for the log, if the log takes it.
    pub(super) fn transmit(&mut self, bytes: Bytes) -> Option<String> {
        let shown = self.trace.sent(&bytes);
        self.outbox.push_raw(bytes);
        shown
    }

    /// Counts bytes that were read. Gives text for the log, if the log takes it.
    pub(super) fn received(&mut self, bytes: &[u8]) -> Option<String> {
        self.bytes_in += bytes.len() as u64;
        self.trace.received(bytes)
    }

    /// Gives the link its next chunk; closes it if the protocol has ended and all is written.
    pub(super) fn flush(&mut self) {
        let (ConnectionState::Up(link) | ConnectionState::Ending(link, _)) = &self.state else { return };
        let now = clock::now();
        if let Some(chunk) = self.outbox.next_chunk(now) {
            self.last_write = now;
            self.is_writing = true;
            link.write(chunk);
        } else if let ConnectionState::Ending(link, mode) = &self.state
            && self.outbox.is_empty()
        {
            link.close(*mode);
        }
    }

    /// The link has written the chunk.
    pub(super) fn written(&mut self) {
        self.outbox.written(clock::now());
        self.is_writing = false;
    }

    /// Since when the link has been writing one chunk.
    pub(super) fn writing_since(&self) -> Option<Instant> {
        self.is_writing.then_some(self.last_write)
    }

    /// Whether the link has been writing one chunk for longer than this.
    pub(super) fn is_stalled(&self, within: Duration) -> bool {
        self.writing_since().is_some_and(|since| clock::since(since) > within)
    }

    /// No longer limits the time of the chunk that is being written.
    pub(super) fn allow_stall(&mut self) {
        self.is_writing = false;
    }

    /// Does the TLS handshake as the server, once all that was handed over is written.
    pub(super) fn accept_tls(&self, tls: Tls, domain: Option<xmpp::Domain>) {
        if let Some(link) = self.link() {
            link.accept_tls(tls, domain);
        }
    }

    /// The protocol has ended: closes the link in this way once all is written. False if it had ended before.
    pub(super) fn end(&mut self, mode: CloseMode) -> bool {
        let was_up = !self.has_ended();
        self.state = match std::mem::replace(&mut self.state, ConnectionState::Down) {
            ConnectionState::Up(link) => ConnectionState::Ending(link, mode),
            other => other,
        };
        was_up
    }

    /// Closes the link at once if all is written: the peer may still read it.
    pub(super) fn close_if_written(&self) {
        if let Some(link) = self.link().filter(|_| self.outbox.is_empty()) {
            link.close(CloseMode::AtOnce);
        }
    }

    /// Drops the link. False if the protocol had ended before, and its end is logged.
    pub(super) fn cut(&mut self) -> bool {
        let was_up = !self.has_ended() || self.is_remaining();
        self.state = ConnectionState::Down;
        was_up
    }

    /// The report for `nuncio sessions`.
    pub(super) fn report(
        &self,
        direction: Direction,
        state: report::LinkState,
        stanzas_in: u64,
    ) -> report::LinkReport {
        let (sent, waiting) = self.outbox.amounts();
        report::LinkReport {
            node: None,
            direction,
            state,
            pairs: Vec::new(),
            pairs_not_shown: 0,
            address: Some(self.address.clone().into()),
            since: Time::of(self.since),
            mechanism: None,
            tls: None,
            received: Amount { stanzas: stanzas_in, bytes: self.bytes_in },
            sent,
            waiting,
            acknowledgement: report::Acknowledgement::default(),
            ping_unanswered: None,
            idle: Seconds::since(self.last_stanza),
        }
    }
}

/// Limits the time in which a peer answers our closing tag: calls `give_up` after `within`, and `cut` when
/// the peer has had a moment to read the rest.
pub(super) fn limit_closing<A: Actor<Context = Context<A>>>(
    within: Duration,
    context: &mut Context<A>,
    give_up: fn(&mut A, &mut Context<A>),
    cut: fn(&mut A, &mut Context<A>),
) {
    context.run_later(within, move |actor, context| {
        give_up(actor, context);
        context.run_later(READ_REST_WITHIN, cut);
    });
}

/// Reads nothing for this time: the permit is held until then.
pub(super) fn pause_reading<A: Actor<Context = Context<A>>>(
    permit: ReadPermit,
    pause: Duration,
    context: &mut Context<A>,
) {
    context.run_later(pause, move |_, _| drop(permit));
}

/// How often deadlines are looked at, the shortest of which is `shortest`.
pub(super) fn tick(shortest: Duration) -> Duration {
    (shortest / 2).clamp(TICK_AT_LEAST, TICK_AT_MOST)
}

/// How long a peer may take to answer our closing tag.
pub(super) const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// Bytes of the last chunk that may be on the wire when a link is cut while it writes: all of them.
pub(super) const WHOLE_CHUNK: usize = usize::MAX;

/// How long a peer that has not answered our closing tag gets to read the rest.
const READ_REST_WITHIN: Duration = Duration::from_millis(300);

/// Deadlines are looked at this often, depending on how long they are.
const TICK_AT_LEAST: Duration = Duration::from_millis(100);
const TICK_AT_MOST: Duration = Duration::from_secs(15);
