//! Receipts: whoever has brought a stanza learns when it is settled or in the journal.
//!
//! All stanzas of one read of an incoming stream share a receipt. Each keeps a clone until it is settled or the journal has
//! committed it. The stream watches the receipt, and gets a message at its end only if it waits for that. A clone that is
//! dropped by a panic was not settled: the receipt is lost, and the stream must not acknowledge what it stands for.
//!
//! All stanzas of a parcel from another node share a receipt as well. The ferry gets a message at its end, when it is lost, and
//! when stanzas are given back, always before the end. Such a receipt has a fence: the other node may take back what is not
//! settled.

use std::{
    fmt::Debug,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering::SeqCst},
    },
    thread,
    time::Instant,
};

use cluster::{ferry::Ranges, name::NodeName};
use xmpp::Stanza;

use super::is_worth_keeping;
use crate::flow::fence::{Fence, Mark};
use mailbox::Outlet;
use status::amount::Amount;

/// The receipt that the stream waits for has ended.
#[derive(Debug)]
pub(crate) struct Settled;

/// A parcel from another node was settled, lost or given back, wholly or in part.
#[derive(Debug)]
pub(crate) struct ParcelChanged {
    /// The number of the parcel in its session.
    pub(crate) number: u64,
    /// What has happened to it.
    pub(crate) change: Change,
}

/// What has happened to a parcel.
#[derive(Debug)]
pub(crate) enum Change {
    /// Its receipt has ended: what was not given back is settled.
    Ended,
    /// An actor of this node panicked while it had a stanza of the parcel, or nobody knows which of its stanzas are to be given
    /// back: it is not settled. The session has to end, so that the other node gets it back.
    Lost,
    /// These stanzas go back to the other node. They were not delivered here, and will not be.
    GivenBack {
        /// Their numbers in the parcel.
        stanzas: Ranges,
        /// How much that is.
        amount: Amount,
    },
}

/// Held for a stanza until it is settled or in the journal. Empty for a stanza of an incoming stream without a journal.
#[derive(Clone, Debug, Default)]
pub(crate) enum Receipt {
    /// Nobody waits for it.
    #[default]
    None,
    /// Of a read.
    Read(Held<Read>),
    /// Of a parcel.
    Parcel(Held<Parcel>),
}

/// One clone of a receipt. What all clones have in common is dropped with the last one.
#[derive(Debug)]
pub(crate) struct Held<T: Common>(Arc<T>);

/// What all clones of a receipt have in common.
pub(crate) trait Common: Debug {
    /// An actor that held a clone has panicked.
    fn lose(&self);
}

/// The stanzas of one read.
#[derive(Debug)]
pub(crate) struct Read {
    stream: Outlet<Settled>,
    progress: Arc<Progress>,
}

/// How far the receipt of a read is. It outlives the receipt in the [`Watch`].
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

/// The stanzas of one parcel.
#[derive(Debug)]
pub(crate) struct Parcel {
    number: u64,
    begins: bool,
    ferry: Outlet<ParcelChanged>,
    fence: Fence,
    mark: Mark,
    /// The ferry knows of the end.
    has_ended: AtomicBool,
}

/// Watches the receipt of a read without holding it.
#[derive(Debug, Default)]
pub(crate) struct Watch(Option<Arc<Progress>>);

impl Receipt {
    /// A receipt for stanzas of this stream.
    pub(crate) fn new(stream: Outlet<Settled>) -> Self {
        Self::Read(Held(Arc::new(Read { stream, progress: Arc::default() })))
    }

    /// A receipt for the stanzas of a parcel from another node; `begins`: it is the first of a relay. The mark tells whether one
    /// of the stanzas may have been delivered.
    pub(crate) fn of_parcel(
        number: u64,
        begins: bool,
        ferry: Outlet<ParcelChanged>,
        fence: Fence,
    ) -> (Self, Mark) {
        let mark = Mark::default();
        let has_ended = AtomicBool::new(false);
        let parcel = Parcel { number, begins, ferry, fence, mark: mark.clone(), has_ended };
        (Self::Parcel(Held(Arc::new(parcel))), mark)
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
            (Self::Read(one), Self::Read(other)) => Arc::ptr_eq(&one.0, &other.0),
            (Self::Parcel(one), Self::Parcel(other)) => Arc::ptr_eq(&one.0, &other.0),
            (Self::None, Self::None) => true,
            (Self::None | Self::Read(_) | Self::Parcel(_), _) => false,
        }
    }

    /// Watches it, if it is of a read.
    pub(crate) fn watch(&self) -> Watch {
        match self {
            Self::Read(read) => Watch(Some(Arc::clone(&read.0.progress))),
            Self::None | Self::Parcel(_) => Watch::default(),
        }
    }

    /// The node from which the stanza came, which keeps it until it is settled.
    pub(crate) fn node(&self) -> Option<&NodeName> {
        match self {
            Self::Parcel(parcel) => Some(parcel.0.fence.node()),
            Self::None | Self::Read(_) => None,
        }
    }

    /// The node that keeps the stanza until it is settled, and whether nothing earlier of the same relay is on its way.
    pub(crate) fn lender(&self) -> Option<(&NodeName, bool)> {
        match self {
            Self::Parcel(parcel) => Some((parcel.0.fence.node(), parcel.0.begins)),
            Self::None | Self::Read(_) => None,
        }
    }

    /// Gives stanzas with these numbers back to the node that has lent them. `None`: their numbers are not known, and the
    /// session has to end.
    pub(crate) fn give_back(&self, stanzas: Option<Ranges>, amount: Amount) {
        let Self::Parcel(parcel) = self else { return };
        match stanzas {
            Some(stanzas) => parcel.0.tell(Change::GivenBack { stanzas, amount }),
            None => parcel.0.lose(),
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
            Self::Parcel(parcel) => parcel.0.fence.admits(&parcel.0.mark, now),
        }
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

impl Read {
    /// Changes the state, which changes once.
    fn end(&self, state: u8) {
        let changed = self.progress.state.compare_exchange(OPEN, state, SeqCst, SeqCst).is_ok();
        if changed && self.progress.is_awaited.load(SeqCst) {
            // The stream may have ended.
            let _ = self.stream.signal(Settled);
        }
    }
}

impl Parcel {
    /// Tells the ferry of the end, once.
    fn end(&self, change: Change) {
        if !self.has_ended.swap(true, SeqCst) {
            self.tell(change);
        }
    }

    fn tell(&self, change: Change) {
        // The ferry may have ended.
        let _ = self.ferry.signal(ParcelChanged { number: self.number, change });
    }
}

impl Common for Read {
    fn lose(&self) {
        self.end(LOST);
    }
}

impl Common for Parcel {
    fn lose(&self) {
        self.end(Change::Lost);
    }
}

impl<T: Common> Clone for Held<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Common> Drop for Held<T> {
    fn drop(&mut self) {
        // An actor that panics has not settled what it drops.
        if thread::panicking() {
            self.0.lose();
        }
    }
}

impl Drop for Read {
    fn drop(&mut self) {
        self.end(SETTLED);
    }
}

impl Drop for Parcel {
    fn drop(&mut self) {
        self.end(Change::Ended);
    }
}

/// The values of [`State`].
const OPEN: u8 = 0;
const SETTLED: u8 = 1;
const LOST: u8 = 2;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use actix::Arbiter;
    use mailbox::{Mailbox, Meter};
    use tokio::sync::mpsc;

    use super::*;
    use crate::flow::fence::Lease;

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
    /// Passes on what a ferry would learn.
    struct Ferry(mpsc::Sender<bool>);

    impl actix::Actor for Ferry {
        type Context = actix::Context<Self>;
    }

    impl actix::Handler<mailbox::Queued<ParcelChanged>> for Ferry {
        type Result = ();

        fn handle(&mut self, changed: mailbox::Queued<ParcelChanged>, _: &mut actix::Context<Self>) {
            self.0.try_send(matches!(changed.into_message().change, Change::Lost)).unwrap();
        }
    }

    #[actix::test]
    async fn a_parcel_of_which_an_actor_panics_is_lost_although_others_are_settled_later() {
        let (heard, mut hears) = mpsc::channel(8);
        let meter = Meter::new("ferry", 8, None);
        let ferry = mailbox::start_on(&Arbiter::current(), &meter, "ferry", |_| Ferry(heard));
        let now = clock::now();
        let lease = Arc::new(Lease::new(now, now + Duration::from_secs(3600)));
        let fence = Fence::new(lease, NodeName::new("b").unwrap());
        let parcel = |number| Receipt::of_parcel(number, false, ferry.outlet(), fence.clone()).0;
        drop(parcel(1));
        assert_eq!(hears.recv().await, Some(false));
        let first = parcel(2);
        let second = first.clone();
        let panicked = thread::spawn(move || {
            let _held = second;
            panic!("the panic of a test");
        });
        assert!(panicked.join().is_err());
        assert_eq!(hears.recv().await, Some(true));
        drop(first);
        drop(parcel(3));
        assert_eq!(hears.recv().await, Some(false), "the second parcel is reported once");
    }
}
