//! The messages of an outgoing session.

use std::time::{Duration, Instant};

use cluster::name::NodeName;
use tokio::sync::mpsc;
use xmpp::DomainPair;

use super::Carrier;
use crate::{
    dial::{attempt::Lost, error::AttemptError},
    flow::batch::Batch,
};
use mailbox::drain;
use status::report;

/// Write these stanzas, which have waited in the promise, before any from the router.
#[derive(Debug)]
pub struct SendFirst {
    /// Stanzas for the remote domain of the pair.
    pub batch: Batch,
}

/// Write these stanzas, which have waited in the promise: the answer to [`Requested`].
#[derive(Debug)]
pub struct SendPortion {
    /// Stanzas for the remote domain of the pair, in order.
    pub batches: Vec<Batch>,
}

/// The router knows this session, and sends nothing itself until [`Open`]: ask the promise for stanzas, in portions.
#[derive(Debug)]
pub struct Pull;

/// The promise has sent all that waited: stanzas from the router may follow.
#[derive(Debug)]
pub struct Open;

/// Write these stanzas.
#[derive(Debug)]
pub struct Send {
    /// Stanzas for the remote domain of the pair.
    pub batch: Batch,
}

/// The router, or the promise in its place, has sent its last stanza: give back what was not written, and stop.
#[derive(Debug)]
pub struct Retire;

/// The node stops: write the waiting stanzas, and answer those that come faster than they can be written.
#[derive(Clone, Debug)]
pub struct Flush {
    /// A chunk that takes longer ends the link, so that the rest can be answered.
    pub within: Duration,
    /// Dropped when nothing waits: all is written, or given back and dealt with.
    pub token: drain::Token,
}

/// Give back the stanzas that are not written by now.
#[derive(Clone, Debug)]
pub struct Abandon {
    /// Dropped when the returned stanzas have been dealt with.
    pub token: drain::Token,
}

/// The node stops: close the stream.
#[derive(Clone, Debug)]
pub struct Finish {
    /// The time in which the rest is written and the peer closes its side.
    pub within: Duration,
    /// Dropped when the link is down.
    pub token: drain::Token,
}

/// Report the state of the link.
#[derive(Debug)]
pub struct Show {
    /// Receives the report.
    pub links: mpsc::Sender<report::LinkReport>,
}

/// Close the link.
#[derive(Debug)]
pub struct Dismiss {
    /// Why, for log and history.
    pub reason: &'static str,
    /// Dropped when the link is down.
    pub token: drain::Token,
}

/// The new configuration forbids this link: close it.
#[derive(Debug)]
pub struct Forbid;

/// The attempt has hung for so long that others get its slot: end it, unless it has succeeded by now.
#[derive(Debug)]
pub struct GiveWay;

/// Another node of the cluster has the link of this pair as well, and the claim: close this one, so that the stanzas go to
/// that node.
#[derive(Debug)]
pub struct Yield {
    /// The other node.
    pub node: NodeName,
}

/// The attempt succeeded.
#[derive(Debug)]
pub struct Established {
    /// The domain pair of the session.
    pub pair: DomainPair,
    /// The session, which takes stanzas from now on.
    pub session: Carrier,
    /// The answer of the peer about the lost stream.
    pub handled: Handled,
}

/// The stanzas of a lost stream that the peer has handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handled {
    /// The peer was not asked: it does not resume streams, or none was lost.
    NotAsked,
    /// Those up to this number, modulo 2^32; the stream goes on.
    Resumed(u32),
    /// Those up to this number, modulo 2^32; the stream is over.
    Counted(u32),
    /// The peer does not know.
    Unknown,
}

impl Handled {
    /// The number of the last stanza that the peer has handled, modulo 2^32.
    pub fn count(self) -> Option<u32> {
        match self {
            Self::Resumed(h) | Self::Counted(h) => Some(h),
            Self::NotAsked | Self::Unknown => None,
        }
    }
}

/// The attempt failed; the actor is gone.
#[derive(Debug)]
pub struct Failed {
    /// The domain pair of the attempt.
    pub pair: DomainPair,
    /// The reason.
    pub failure: AttemptError,
}

/// The stream takes no more stanzas. Those that still arrive are given back after [`Retire`].
#[derive(Debug)]
pub struct Closed {
    /// The domain pair of the session.
    pub pair: DomainPair,
    /// The session.
    pub session: Carrier,
}

/// The outbox is full: the next stanzas of the pair have to wait elsewhere.
#[derive(Debug)]
pub struct Congested {
    /// The domain pair of the session.
    pub pair: DomainPair,
    /// The session.
    pub session: Carrier,
}

/// The outbox has drained: the session asks for a portion.
#[derive(Debug)]
pub struct Requested {
    /// The domain pair of the session.
    pub pair: DomainPair,
    /// The session.
    pub session: Carrier,
    /// Bytes that it takes.
    pub room: usize,
}

/// The peer reads nothing: these stanzas go in front of what waits for it.
#[derive(Debug)]
pub struct GivenBack {
    /// The domain pair of the session.
    pub pair: DomainPair,
    /// The session.
    pub session: Carrier,
    /// Not written, in order.
    pub batches: Vec<Batch>,
}

/// The stream takes no more portions.
#[derive(Debug)]
pub struct Stopped {
    /// The domain pair of the session.
    pub pair: DomainPair,
    /// The session.
    pub session: Carrier,
}

/// The stanzas that a retired session leaves.
#[derive(Debug)]
pub struct Returned {
    /// The domain pair of the session.
    pub pair: DomainPair,
    /// Sent and not acknowledged, though the peer acknowledges stanzas. In order.
    pub open: Vec<Batch>,
    /// The loss of the stream, with its open stanzas. `None` without open stanzas.
    pub interruption: Option<Box<Interruption>>,
    /// Not written. In order, behind the open ones; to be delivered before anything that came later.
    pub batches: Vec<Batch>,
    /// The lifetime of the stream. `None`: we closed it ourselves, so the next attempt needs no pause.
    pub lived: Option<Duration>,
    /// Stanzas were written on the stream.
    pub carried: bool,
    /// It was a relay: there was no attempt to connect.
    pub is_relay: bool,
    /// The stream ended without closing tags on both sides.
    pub cut: bool,
    /// Tokens of those that wait for the end of this session: dropped when all that it left has been answered
    /// or waits again.
    pub tokens: Vec<drain::Token>,
}

impl Returned {
    /// Reports a session that panicked, and so gives back nothing.
    pub fn nothing(pair: DomainPair, lived: Option<Duration>) -> Self {
        let (open, batches, tokens) = Default::default();
        Self {
            pair,
            open,
            interruption: None,
            batches,
            lived,
            carried: false,
            is_relay: false,
            cut: true,
            tokens,
        }
    }
}

/// The loss of a stream with stanzas that the peer has not acknowledged.
#[derive(Clone, Debug)]
pub struct Interruption {
    /// When it was lost.
    pub since: Instant,
    /// The number of the first of these stanzas, modulo 2^32.
    pub first: u32,
    /// The stream for which the peer can be asked; `None` if it does not resume streams.
    pub lost: Option<Lost>,
    /// The peer ended the stream with an error that is most likely about the first stanza that it has not
    /// handled.
    pub blames_first: bool,
}
