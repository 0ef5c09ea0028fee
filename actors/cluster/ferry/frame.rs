//! What frames between two nodes say.

use std::time::Duration;

use bytes::Bytes;
use xmpp::Domain;

use super::{ranges::Ranges, returned::Returned};
use crate::name::{Incarnation, NodeName};

/// A message from one node to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Who sends it to whom, and in which session.
    pub header: Header,
    /// What it says.
    pub body: Body,
}

/// The nodes and the session of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The node that sends the frame.
    pub from: NodeName,
    /// Its run.
    pub incarnation: Incarnation,
    /// The run of the node that is to receive it.
    pub to: Incarnation,
    /// The number of the session. The sender of its parcels raises it with each session.
    pub session: u64,
}

/// What a frame says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// From the sender of parcels.
    Parcels(Parcels),
    /// From their receiver.
    Control(Control),
    /// From their receiver, which has ended the session.
    Over(Over),
    /// A component at the sender of the frame wants the seat that the receiver has. Of no session, and sent once.
    Contest(Domain),
}

/// Parcels with successive numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcels {
    /// The number of this frame among the frames with parcels of the session, from 1.
    pub frame: u64,
    /// When it was sent, in microseconds since the session began, by the clock of the sender.
    pub at: u64,
    /// The sender has seen all settlements up to this number.
    pub seen: u64,
    /// The receiver is to answer at once.
    pub wants_answer: bool,
    /// The number of the first parcel.
    pub first: u64,
    /// The parcels. There may be none.
    pub parcels: Vec<Parcel>,
}

/// Batches of one pair or one component, which are settled together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parcel {
    /// It has the first stanzas of a relay: nothing earlier of the same pair or component is on its way.
    pub begins: bool,
    /// The batches, in order.
    pub batches: Vec<CarriedBatch>,
}

/// Stanzas from one domain to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarriedBatch {
    /// The domain in every `from`.
    pub from: Domain,
    /// The domain in every `to`.
    pub to: Domain,
    /// How long ago the first node read them. Frames have it in milliseconds.
    pub age: Duration,
    /// Error answers on their way back.
    pub returning: bool,
    /// On so many links each of them was sent.
    pub times: u8,
    /// They may have arrived before.
    pub may_have_arrived: bool,
    /// The stanzas as XML.
    pub stanzas: Vec<Bytes>,
}

/// What the receiver has got, and what is settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// All parcels up to this number have been received.
    pub received: u64,
    /// The highest number that has been received; `received` if there is no gap.
    pub highest: u64,
    /// The numbers between these two that are missing.
    pub missing: Ranges,
    /// The bytes above `received` that the receiver has room for, as far as they are not settled.
    pub room: u64,
    /// Settled numbers.
    pub settlements: Settlements,
    /// The last frame with parcels that has arrived.
    pub echo: Option<Echo>,
}

/// A part of what has become of parcels. The receiver numbers the parts from 1, and repeats them until the sender has seen
/// them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlements {
    /// The number of the first part in this frame.
    pub first: u64,
    /// The number of the last one; `first - 1` if there is none.
    pub last: u64,
    /// The settled numbers of these parts.
    pub settled: Ranges,
    /// What comes back to the sender.
    pub returned: Returned,
}

/// Identifies a frame with parcels, so that its sender knows what was sent before it, and measures the round trip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Echo {
    /// [`Parcels::frame`].
    pub frame: u64,
    /// [`Parcels::at`].
    pub at: u64,
    /// The microseconds for which the receiver has not answered it.
    pub held: u64,
}

/// The end of a session, by the receiver of its parcels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Over {
    /// The receiver knows the session, and takes nothing more.
    Known(Final),
    /// The receiver does not know the session: nobody knows what was delivered.
    Unknown,
}

/// What has become of the parcels of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Final {
    /// Nothing above this number was delivered.
    pub received: u64,
    /// All that is settled.
    pub settled: Ranges,
    /// What comes back, as far as the sender has not seen it before.
    pub returned: Returned,
    /// What is neither, and may have been delivered in part.
    pub in_doubt: Ranges,
}

impl Header {
    /// The header of an answer to a frame, from the node that has got it.
    pub fn answer(&self, own: NodeName) -> Self {
        Self { from: own, incarnation: self.to, to: self.incarnation, session: self.session }
    }

    /// Whether a session of the same node began after this one, or with another run.
    pub fn is_before(&self, other: &Self) -> bool {
        self.incarnation != other.incarnation || self.session < other.session
    }
}

impl Over {
    /// The end of a session of which nothing was taken.
    pub fn nothing() -> Self {
        let returned = Returned::default();
        Self::Known(Final { received: 0, settled: Ranges::new(), returned, in_doubt: Ranges::new() })
    }
}

impl Parcel {
    /// The bytes of the stanzas.
    pub fn bytes(&self) -> usize {
        self.batches.iter().flat_map(|batch| &batch.stanzas).map(Bytes::len).sum()
    }
}
