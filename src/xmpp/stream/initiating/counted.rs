//! The acks of a stream that we opened as data: whether there are any, what became of the stream before, and
//! the number of stanzas of the peer that were handled.
use crate::{
    acks::{self, Count, Malformed},
    stream::wire::Wire,
};
use std::time::Duration;

/// The acks of a stream that we opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Acks {
    /// There are none: the peer does not offer them, or we do not want them, or it has refused them.
    #[default]
    Off,
    /// They are requested, and the answer is missing. Stanzas count from here on.
    Requested,
    /// The peer acknowledges stanzas.
    On {
        /// The peer remembers the stream for a while when it is lost.
        resumable: Option<Resumable>,
    },
}

/// A stream that can be resumed after a loss.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumable {
    /// The id that the peer gave it. It is opaque, and has at most 4000 bytes.
    pub id: String,
    /// The time for which the peer remembers a lost stream; `None` if it gave none.
    pub max: Option<Duration>,
}

/// The answer to the request to resume a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resumption {
    /// It was not made: not wanted, or the peer does not offer acks now.
    #[default]
    NotAsked,
    /// The stream goes on. Stanzas up to `h` have arrived; the number of sent stanzas is `h` now, and those
    /// that are sent again count again.
    Resumed {
        /// The number of stanzas that the peer has handled, mod 2^32.
        h: u32,
    },
    /// The stream is over, and this one is new. Stanzas up to `h` of the old one have arrived.
    Counted {
        /// The number of stanzas that the peer has handled, mod 2^32.
        h: u32,
    },
    /// The peer does not know what has arrived.
    Unknown,
}

/// The acks of a stream with the number of stanzas of the peer that were handled.
#[derive(Debug, Default)]
pub(super) struct Counted {
    pub(super) acks: Acks,
    pub(super) resumption: Resumption,
    /// The stanzas of the peer. They count from `<enabled/>` on.
    pub(super) handled: Count,
    /// The peer has asked for an ack, which follows behind all that is read.
    pub(super) asked: bool,
    /// The fault of a `<resumed/>` that cannot be used.
    pub(super) malformed: Option<Malformed>,
}

impl Counted {
    /// Writes an ack, if the stream has them.
    pub(super) fn write<O>(&self, wire: &mut Wire<O>) {
        if matches!(self.acks, Acks::On { .. }) {
            wire.push(&acks::answer(self.handled.get()));
        }
    }
}
