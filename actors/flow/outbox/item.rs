//! An item of an outbox.

use std::time::Instant;

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

    /// Whether it is a stanza that was taken in from a stream, of this node or of another.
    pub(super) fn is_taken(&self) -> bool {
        self.kept().is_some_and(|kept| kept.taken || kept.receipt.is_of_a_parcel())
    }

    /// Whether it may be written now. False: another node takes the stanza back.
    pub(super) fn is_admitted(&self, now: Instant) -> bool {
        self.kept().is_none_or(|kept| kept.receipt.admits(now))
    }

    fn kept(&self) -> Option<&Kept> {
        match self {
            Self::Stanza(kept) => Some(kept),
            Self::Recast(recast) => Some(&recast.0),
            Self::Raw(_) => None,
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
