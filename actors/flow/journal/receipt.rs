//! Receipts: an incoming stream acknowledges what it has read when it is settled or in the journal.
//!
//! All stanzas of one read share a receipt. Each keeps a clone until it is settled or the journal has committed it. The
//! stream watches the receipt, and gets a message at its end only if it waits for that. A clone that is dropped by a panic
//! was not settled: the receipt is lost, and the stream must not acknowledge what it stands for.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering::SeqCst},
    },
    thread,
};

use xmpp::Stanza;

use super::is_worth_keeping;
use mailbox::Outlet;

/// The receipt that the stream waits for has ended.
#[derive(Debug)]
pub(crate) struct Settled;

/// Held for a stanza until it is settled or in the journal. Empty without a journal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Receipt(Option<Held>);

/// One clone of a receipt.
#[derive(Clone, Debug)]
struct Held(Arc<All>);

/// What all clones of a receipt have in common. It is dropped with the last one.
#[derive(Debug)]
struct All {
    stream: Outlet<Settled>,
    progress: Arc<Progress>,
}

/// How far a receipt is. It outlives the receipt in the [`Watch`].
#[derive(Debug, Default)]
struct Progress {
    /// The stream waits for the message.
    is_awaited: AtomicBool,
    /// A [`State`].
    state: AtomicU8,
}

/// Whether the stanzas of a receipt count for the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Some are neither settled nor written.
    Open,
    /// All are settled or written.
    Settled,
    /// An actor that held some has panicked: they may be lost.
    Lost,
}

/// Watches a receipt without holding it.
#[derive(Debug, Default)]
pub(crate) struct Watch(Option<Arc<Progress>>);

impl Receipt {
    /// A receipt for stanzas of this stream.
    pub(crate) fn new(stream: Outlet<Settled>) -> Self {
        Self(Some(Held(Arc::new(All { stream, progress: Arc::default() }))))
    }

    /// For one of its stanzas that goes to a queue. One that is never written counts from there on: a crash loses it.
    pub(crate) fn of(&self, stanza: &Stanza) -> Self {
        if self.0.is_some() && is_worth_keeping(stanza) { self.clone() } else { Self::default() }
    }

    /// Whether it is for stanzas of the same read.
    pub(crate) fn is_of_the_read_of(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => Arc::ptr_eq(&one.0, &other.0),
            (one, other) => one.is_none() && other.is_none(),
        }
    }

    /// Watches it.
    pub(crate) fn watch(&self) -> Watch {
        Watch(self.0.as_ref().map(|held| Arc::clone(&held.0.progress)))
    }
}

impl Watch {
    /// The state of the receipt. If it is open, a message is sent when that changes.
    pub(crate) fn awaits(&self) -> State {
        let Some(progress) = &self.0 else { return State::Settled };
        // Set before the state is read: whoever changes the state later sends the message.
        progress.is_awaited.store(true, SeqCst);
        match progress.state.load(SeqCst) {
            OPEN => State::Open,
            SETTLED => State::Settled,
            _ => State::Lost,
        }
    }
}

impl All {
    /// Changes the state, which changes once.
    fn end(&self, state: u8) {
        let changed = self.progress.state.compare_exchange(OPEN, state, SeqCst, SeqCst).is_ok();
        if changed && self.progress.is_awaited.load(SeqCst) {
            // The stream may have ended.
            let _ = self.stream.signal(Settled);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // An actor that panics has not settled what it drops.
        if thread::panicking() {
            self.0.end(LOST);
        }
    }
}

impl Drop for All {
    fn drop(&mut self) {
        self.end(SETTLED);
    }
}

/// The values of [`State`].
const OPEN: u8 = 0;
const SETTLED: u8 = 1;
const LOST: u8 = 2;

#[cfg(test)]
mod tests {
    use mailbox::{Mailbox, Meter};

    use super::*;

    /// The mailbox of a stream.
    struct Stream;

    impl actix::Actor for Stream {
        type Context = actix::Context<Self>;
    }

    impl actix::Handler<mailbox::Queued<Settled>> for Stream {
        type Result = ();

        fn handle(&mut self, settled: mailbox::Queued<Settled>, _: &mut actix::Context<Self>) {
            let Settled = settled.into_message();
        }
    }

    fn receipt() -> Receipt {
        let (stream, _): (Mailbox<Stream>, _) = mailbox::open(&Meter::new("stream", 8, None), "stream");
        Receipt::new(stream.outlet())
    }

    #[test]
    fn a_receipt_is_settled_when_the_last_clone_is_dropped() {
        let first = receipt();
        let (second, watch) = (first.clone(), first.watch());
        drop(first);
        assert_eq!(watch.awaits(), State::Open);
        drop(second);
        assert_eq!(watch.awaits(), State::Settled);
        assert_eq!(Watch::default().awaits(), State::Settled);
    }

    #[test]
    fn a_clone_that_is_dropped_by_a_panic_is_not_settled() {
        let first = receipt();
        let (second, watch) = (first.clone(), first.watch());
        let panicked = thread::spawn(move || {
            let _held = second;
            panic!("the panic of a test");
        });
        assert!(panicked.join().is_err());
        assert_eq!(watch.awaits(), State::Lost);
        drop(first);
        assert_eq!(watch.awaits(), State::Lost);
    }
}
