//! The messages between a relay and the ferry to another node of the cluster.
//!
//! A relay takes the place of a session whose link another node has, or of the connection of a component that is connected
//! to another node. It keeps what it gives to the ferry until the other node has settled it. So the ferry has copies of the
//! bytes only, and neither entries in the account nor places in the journal.
//!
//! A [`Parcel`] is settled when every stanza of it is written to a link or a component (and acknowledged, where the peer
//! acknowledges), answered, dropped by a rule, or in the journal of the other node. The other node gives back the stanzas of
//! a component that is not connected to it any more.

use std::time::Instant;

use bytes::Bytes;
use cluster::{ferry::Ranges, name::NodeName};
use xmpp::Domain;

use crate::flow::batch::{Batch, Sends};
use mailbox::Outlet;

/// The ferry to another node.
#[derive(Clone, Debug)]
pub(crate) struct Ferry {
    /// The other node.
    pub(crate) node: NodeName,
    /// Takes parcels.
    pub(crate) carry: Outlet<Carry>,
}

/// Carry this parcel to the other node, behind all earlier ones.
#[derive(Debug)]
pub(crate) struct Carry {
    /// The parcel.
    pub(crate) parcel: Parcel,
    /// The relay that keeps its stanzas. It gets an event when they are settled, and at the end of the way.
    pub(crate) owner: Outlet<Event>,
}

/// Copies of the stanzas that a relay hands over at once.
#[derive(Debug)]
pub(crate) struct Parcel {
    /// Counts the parcels of this relay, from 1 on.
    pub(crate) number: u64,
    /// The bytes of all stanzas.
    pub(crate) bytes: usize,
    /// In order.
    pub(crate) batches: Vec<Carried>,
}

/// A copy of a batch.
#[derive(Debug)]
pub(crate) struct Carried {
    /// The domain in every `from`.
    pub(crate) from: Domain,
    /// The domain in every `to`.
    pub(crate) to: Domain,
    /// When the stanzas were read. The other node gets their age.
    pub(crate) since: Instant,
    /// Error answers on their way back.
    pub(crate) returning: bool,
    /// How often each of them was sent.
    pub(crate) sends: Sends,
    /// The bytes of each stanza.
    pub(crate) stanzas: Vec<Bytes>,
}

/// What a relay gets from the ferry.
#[derive(Debug)]
pub(crate) enum Event {
    /// The other node has settled these parcels.
    Settled {
        /// Their numbers, in any order.
        numbers: Vec<u64>,
    },
    /// The other node gives these stanzas of a parcel back; its other stanzas are settled. What was given to it later comes back
    /// too.
    GivenBack {
        /// The number of the parcel.
        number: u64,
        /// Its stanzas, counted from 0 over all batches, without those that were too long.
        stanzas: Ranges,
    },
    /// The message broker does not permit stanzas of this parcel that are longer than so many bytes. They are not carried, and
    /// never will be; the others of the parcel are, in order, and the parcel is settled with them.
    TooLong {
        /// The number of the parcel.
        number: u64,
        /// The longest stanza that the message broker permits, in bytes.
        longest: usize,
    },
    /// The window of the ferry is used up, or has room again: have no more than this unsettled from now on, if you can.
    Allowed {
        /// Bytes. At least [`ALWAYS_ALLOWED`].
        bytes: usize,
    },
    /// The way to the other node has ended, and the ferry has forgotten the relay. Whatever is settled was reported before.
    Ended {
        /// Why, for the log.
        reason: String,
        /// The numbers of unsettled parcels that may have arrived; all others have not, and will not.
        in_doubt: Vec<u64>,
    },
}

/// A relay may have so many bytes unsettled while the window of the ferry is used up: no pair holds up another.
pub(crate) const ALLOWED_BEYOND_THE_WINDOW: usize = 64 * 1024;

/// And so many, or a single stanza, when hundreds of relays have used that up, because the other node has as many links on
/// which nothing can be written.
pub(crate) const ALWAYS_ALLOWED: usize = 4 * 1024;

impl Parcel {
    /// Takes out the stanzas that are longer than so many bytes. Gives the length of the longest one of these.
    pub(crate) fn take_longer_than(&mut self, longest: usize) -> Option<usize> {
        let lengths = self.batches.iter().flat_map(|batch| &batch.stanzas).map(Bytes::len);
        let taken = lengths.max().filter(|length| *length > longest)?;
        for batch in &mut self.batches {
            batch.stanzas.retain(|stanza| stanza.len() <= longest);
        }
        self.batches.retain(|batch| !batch.stanzas.is_empty());
        self.bytes = self.batches.iter().flat_map(|batch| &batch.stanzas).map(Bytes::len).sum();
        Some(taken)
    }
}

impl Carried {
    /// A copy of a batch.
    pub(crate) fn of(batch: &Batch) -> Self {
        Self {
            from: batch.from.clone(),
            to: batch.to.clone(),
            since: batch.since,
            returning: batch.returning,
            sends: batch.sends,
            stanzas: batch.stanzas.iter().map(|stanza| stanza.bytes().clone()).collect(),
        }
    }
}
