//! An item of an outbox.

use bytes::Bytes;

use crate::flow::batch::Kept;

/// An item to write.
#[derive(Debug)]
pub(super) enum Item {
    /// A stanza.
    Stanza(Kept),
    /// A stanza whose bytes on the wire differ from those in the queue.
    Recast(Box<(Kept, Bytes)>),
    /// Bytes of the protocol itself.
    Raw(Bytes),
}

impl Item {
    /// The stanza, if it is one.
    pub(super) fn into_kept(self) -> Option<Kept> {
        match self {
            Self::Stanza(kept) => Some(kept),
            Self::Recast(recast) => Some(recast.0),
            Self::Raw(_) => None,
        }
    }

    /// Copies the bytes of a stanza, so that it keeps no other memory.
    pub(super) fn detach(&mut self) {
        match self {
            Self::Stanza(kept) => kept.stanza = kept.stanza.clone().detached(),
            Self::Recast(recast) => recast.0.stanza = recast.0.stanza.clone().detached(),
            Self::Raw(_) => {}
        }
    }

    /// Whether it is a stanza that was taken in from a stream.
    pub(super) fn is_taken(&self) -> bool {
        match self {
            Self::Stanza(kept) => kept.taken,
            Self::Recast(recast) => recast.0.taken,
            Self::Raw(_) => false,
        }
    }

    pub(super) fn bytes(&self) -> &Bytes {
        match self {
            Self::Stanza(kept) => kept.stanza.bytes(),
            Self::Recast(recast) => &recast.1,
            Self::Raw(bytes) => bytes,
        }
    }
}
