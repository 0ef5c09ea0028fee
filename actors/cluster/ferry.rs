//! The ferry: brings stanzas to another node, which takes custody of them, over a carrier that loses and repeats frames.
//!
//! Each node has one [`Outbound`] to each other node, and one [`Inbound`] from it. Both are machines without input and
//! output: frames and the time go in, frames and parcels come out.
//!
//! ```text
//!  node A: Outbound                                     node B: Inbound
//!    send(parcel, custody) ── Parcels 1, 2 ─────────────▶ handle: parcels 1 and 2, in order
//!                          ── Parcels 3  (lost)  ×
//!                          ── Parcels 4 ────────────────▶ (kept until 3 is here)
//!                          ◀─ Control: received 2, highest 4, missing 3 ──
//!                          ── Parcels 3 ────────────────▶ handle: parcels 3 and 4
//!    handle: custody 2     ◀─ Control: settled 2 ──────── settle(2)
//!    handle: custody 4     ◀─ Control: returned 4 ─────── give_back(4)
//!    end: custody 1, 3     ◀─ Over: settled 2 ─────────── end
//! ```
//!
//! - A parcel has a number, which begins at 1 in each session. The receiver takes each number once, in order.
//! - A parcel is in the custody of the sender until it is *settled*: the receiver needs nothing from the sender any more.
//!   Settlements come in any order. The receiver repeats them until the sender says that it has seen them.
//! - What the receiver cannot deliver it *gives back* instead, a whole parcel or some of its stanzas: these were not
//!   delivered and will not be. The sender has room for them, as they are in its custody.
//! - A parcel that the receiver does not report is sent again: at once if a frame sent later has arrived, otherwise after
//!   a time that doubles.
//! - [`Outbound::end`] gives back what is left. If the receiver has ended the session, its [`Over`] says what may have
//!   been delivered in part; otherwise that is all that was sent.
//!
//! A session is named by the runs of both nodes and a number, which a sender raises with each session. A frame of a session
//! that the receiver does not know is answered with [`unknown_session`].
//!
//! Frames ([`codec`]) are binary and begin with a version.

pub mod codec;
mod frame;
mod inbound;
mod lie;
mod outbound;
mod ranges;
mod returned;
#[cfg(test)]
mod tests;

pub use self::{
    codec::{FrameError, decode},
    frame::{Body, CarriedBatch, Control, Echo, Final, Frame, Header, Over, Parcel, Parcels, Settlements},
    inbound::Inbound,
    lie::Lie,
    outbound::{Ended, GivenBack, Outbound, Reported, Unsettled},
    ranges::Ranges,
    returned::Returned,
};

use bytes::Bytes;

/// The answer to a frame of a session that this node does not know: it has been started again, or had lost its lease.
/// `header` is that of the frame.
pub fn unknown_session(own: crate::name::NodeName, header: &Header) -> Bytes {
    codec::encode_over(&header.answer(own), &Over::Unknown)
}

/// A frame has at most this length in bytes, unless it has a single parcel that is longer. The broker limits messages to
/// 1 MiB by default, and works best with short ones.
pub const FRAME: usize = 64 * 1024;

/// Whoever makes parcels gives each at most this length in bytes, unless it has a single stanza: a parcel is settled as a whole,
/// and a frame takes several.
pub const PARCEL: usize = 32 * 1024;
