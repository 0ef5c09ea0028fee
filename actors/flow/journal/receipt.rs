//! Receipts: whoever has brought a stanza learns when it is settled or in the journal.
//!
//! All stanzas of one read of an incoming stream share a receipt. Each keeps a clone until it is settled or the journal has
//! committed it. The stream watches the receipt, and gets a message at its end only if it waits for that. It acknowledges
//! what it has read then.
//!
//! All stanzas of a parcel from another node share a receipt as well. The ferry gets a message at its end. Such a receipt
//! has a fence: the other node may take back what is not settled.

use std::{
    sync::{
        Arc, Weak,
        atomic::{
            AtomicBool,
            Ordering::{Acquire, Release},
        },
    },
    thread,
    time::Instant,
};

use cluster::name::NodeName;
use xmpp::Stanza;

use super::is_worth_keeping;
use crate::flow::fence::{Fence, Mark};
use mailbox::Outlet;

/// The receipt that the stream waits for has ended.
#[derive(Debug)]
pub(crate) struct Settled;

/// The receipt of a parcel that came from another node has ended.
#[derive(Debug)]
pub(crate) struct ParcelSettled {
    /// The number of the parcel in its session.
    pub(crate) number: u64,
    /// An actor of this node panicked while it had a stanza of the parcel: it is not settled. The session has to end, so that
    /// the other node gets it back.
    pub(crate) is_lost: bool,
}

/// Held for a stanza until it is settled or in the journal. Empty for a stanza of an incoming stream without a journal.
#[derive(Clone, Debug, Default)]
pub(crate) enum Receipt {
    /// Nobody waits for it.
    #[default]
    None,
    /// Of a read.
    Read(Arc<Read>),
    /// Of a parcel.
    Parcel(Arc<Parcel>),
}

/// The stanzas of one read.
#[derive(Debug)]
pub(crate) struct Read {
    stream: Outlet<Settled>,
    is_awaited: AtomicBool,
}

/// The stanzas of one parcel.
#[derive(Debug)]
pub(crate) struct Parcel {
    number: u64,
    ferry: Outlet<ParcelSettled>,
    fence: Fence,
    mark: Mark,
}

/// Watches the receipt of a read without holding it.
#[derive(Debug, Default)]
pub(crate) struct Watch(Weak<Read>);

impl Receipt {
    /// A receipt for stanzas of this stream.
    pub(crate) fn new(stream: Outlet<Settled>) -> Self {
        Self::Read(Arc::new(Read { stream, is_awaited: AtomicBool::new(false) }))
    }

    /// A receipt for the stanzas of a parcel from another node. The mark tells whether one of them may have been delivered.
    pub(crate) fn of_parcel(number: u64, ferry: Outlet<ParcelSettled>, fence: Fence) -> (Self, Mark) {
        let mark = Mark::default();
        (Self::Parcel(Arc::new(Parcel { number, ferry, fence, mark: mark.clone() })), mark)
    }

    /// For one of its stanzas that goes to a queue. One of a stream that is never written counts from there on: a crash loses
    /// it.
    pub(crate) fn of(&self, stanza: &Stanza) -> Self {
        match self {
            Self::None => Self::None,
            Self::Read(_) if !is_worth_keeping(stanza) => Self::None,
            Self::Read(_) | Self::Parcel(_) => self.clone(),
        }
    }

    /// Whether it is for stanzas of the same read, or of the same parcel.
    pub(crate) fn is_of_the_read_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Read(one), Self::Read(other)) => Arc::ptr_eq(one, other),
            (Self::Parcel(one), Self::Parcel(other)) => Arc::ptr_eq(one, other),
            (Self::None, Self::None) => true,
            (Self::None | Self::Read(_) | Self::Parcel(_), _) => false,
        }
    }

    /// Watches it, if it is of a read.
    pub(crate) fn watch(&self) -> Watch {
        match self {
            Self::Read(read) => Watch(Arc::downgrade(read)),
            Self::None | Self::Parcel(_) => Watch::default(),
        }
    }

    /// The node from which the stanza came, which keeps it until it is settled.
    pub(crate) fn node(&self) -> Option<&NodeName> {
        match self {
            Self::Parcel(parcel) => Some(parcel.fence.node()),
            Self::None | Self::Read(_) => None,
        }
    }

    /// Whether somebody waits for it.
    pub(crate) fn is_held(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// Whether another node keeps the stanza until it is settled.
    pub(crate) fn is_of_a_parcel(&self) -> bool {
        matches!(self, Self::Parcel(_))
    }

    /// Asks whether the stanza may be written, answered or given to the journal now. False: another node takes it back, and
    /// it is to be dropped without an outcome. True is a promise to do it.
    pub(crate) fn admits(&self, now: Instant) -> bool {
        match self {
            Self::None | Self::Read(_) => true,
            Self::Parcel(parcel) => parcel.fence.admits(&parcel.mark, now),
        }
    }
}

impl Watch {
    /// Has a message sent when the receipt ends. Gives false if it has ended.
    pub(crate) fn awaits(&self) -> bool {
        let Some(read) = self.0.upgrade() else { return false };
        read.is_awaited.store(true, Release);
        // If this is the last clone by now, the message is sent here.
        true
    }
}

impl Drop for Read {
    fn drop(&mut self) {
        if self.is_awaited.load(Acquire) {
            // The stream may have ended.
            let _ = self.stream.signal(Settled);
        }
    }
}

impl Drop for Parcel {
    fn drop(&mut self) {
        let is_lost = thread::panicking();
        // The ferry may have ended.
        let _ = self.ferry.signal(ParcelSettled { number: self.number, is_lost });
    }
}
