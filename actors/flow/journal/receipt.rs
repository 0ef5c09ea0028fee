//! Receipts: an incoming stream acknowledges what it has read when it is settled or in the journal.
//!
//! All stanzas of one read share a receipt. Each keeps a clone until it is settled or the journal has committed it. The
//! stream watches the receipt, and gets a message at its end only if it waits for that.

use std::sync::{
    Arc, Weak,
    atomic::{
        AtomicBool,
        Ordering::{Acquire, Release},
    },
};

use xmpp::Stanza;

use super::is_worth_keeping;
use mailbox::Outlet;

/// The receipt that the stream waits for has ended.
#[derive(Debug)]
pub(crate) struct Settled;

/// Held for a stanza until it is settled or in the journal. Empty without a journal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Receipt(Option<Arc<Held>>);

#[derive(Debug)]
struct Held {
    stream: Outlet<Settled>,
    is_awaited: AtomicBool,
}

/// Watches a receipt without holding it.
#[derive(Debug, Default)]
pub(crate) struct Watch(Weak<Held>);

impl Receipt {
    /// A receipt for stanzas of this stream.
    pub(crate) fn new(stream: Outlet<Settled>) -> Self {
        Self(Some(Arc::new(Held { stream, is_awaited: AtomicBool::new(false) })))
    }

    /// For one of its stanzas that goes to a queue. One that is never written counts from there on: a crash loses it.
    pub(crate) fn of(&self, stanza: &Stanza) -> Self {
        if self.0.is_some() && is_worth_keeping(stanza) { self.clone() } else { Self::default() }
    }

    /// Whether it is for stanzas of the same read.
    pub(crate) fn is_of_the_read_of(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        }
    }

    /// Watches it.
    pub(crate) fn watch(&self) -> Watch {
        Watch(self.0.as_ref().map(Arc::downgrade).unwrap_or_default())
    }
}

impl Watch {
    /// Has a message sent when the receipt ends. Gives false if it has ended.
    pub(crate) fn awaits(&self) -> bool {
        let Some(held) = self.0.upgrade() else { return false };
        held.is_awaited.store(true, Release);
        // If this is the last clone by now, the message is sent here.
        true
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.is_awaited.load(Acquire) {
            // The stream may have ended.
            let _ = self.stream.signal(Settled);
        }
    }
}
