//! A journal over a store that fails on request, and that lets its questions wait.

use ::journal::fake::Fake;
use actix::{Actor, Context, Handler};

use super::*;
use crate::{
    flow::journal::{Forget, Keeping, Write, Writer},
    routing::journal::{Confirm, Fetch, Journal, Sync},
};
use mailbox::Queued;

/// The store of a node, and the way to it.
pub(super) struct Disk {
    pub(super) fake: Fake,
    pub(super) writer: Writer,
    pub(super) store: journal::Store,
}

/// Has each question to the journal wait.
struct SlowDisk {
    journal: Mailbox<Journal>,
    wait: Duration,
}

impl Disk {
    /// Questions wait.
    pub(super) fn start(max_bytes: u64, wait: Duration) -> Self {
        Self::build(max_bytes, wait, false)
    }

    /// What is written waits too.
    pub(super) fn start_slow(wait: Duration) -> Self {
        Self::build(WIDE, wait, true)
    }

    fn build(max_bytes: u64, wait: Duration, writes_slowly: bool) -> Self {
        let (fake, here) = (Fake::default(), Arbiter::current());
        let (log, restored) =
            ::journal::Journal::open(Box::new(fake.clone()), None, max_bytes, clock::now()).unwrap();
        let (mailbox, inbox) = mailbox::open(&Meter::new("journal", CAPACITY, None), "journal");
        let journal = mailbox.clone();
        let meter = Meter::new("slow", CAPACITY, None);
        let slow = mailbox::start_on(&here, &meter, "slow", move |_| SlowDisk { journal, wait });
        let (write, forget, sync) = match writes_slowly {
            true => (slow.outlet(), slow.outlet(), slow.outlet()),
            false => (mailbox.outlet(), mailbox.outlet(), mailbox.outlet()),
        };
        let writer = Writer::new(restored.next, write, forget);
        let (own, of_actor) = (mailbox.clone(), writer.clone());
        inbox.start_on(&here, move || Journal::new(log, of_actor, own));
        let keeping = Keeping { writer: writer.clone(), after: Duration::from_millis(100) };
        let (confirm, fetch) = (slow.outlet(), slow.outlet());
        Self { fake, writer, store: journal::Store { keeping, sync, confirm, fetch } }
    }
}

impl Actor for SlowDisk {
    type Context = Context<Self>;
}

impl SlowDisk {
    /// Passes a message on after the wait.
    fn delay<M: Send + 'static>(&self, message: M)
    where
        Journal: Handler<Queued<M>>,
    {
        let (journal, wait) = (self.journal.clone(), self.wait);
        actix_rt::spawn(async move {
            tokio::time::sleep(wait).await;
            assert!(journal.signal(message).is_ok());
        });
    }
}

impl Handler<Queued<Fetch>> for SlowDisk {
    type Result = ();

    fn handle(&mut self, message: Queued<Fetch>, _: &mut Context<Self>) {
        self.delay(message.into_message());
    }
}

impl Handler<Queued<Confirm>> for SlowDisk {
    type Result = ();

    fn handle(&mut self, message: Queued<Confirm>, _: &mut Context<Self>) {
        self.delay(message.into_message());
    }
}

impl Handler<Queued<Write>> for SlowDisk {
    type Result = ();

    fn handle(&mut self, message: Queued<Write>, _: &mut Context<Self>) {
        self.delay(message.into_message());
    }
}

impl Handler<Queued<Forget>> for SlowDisk {
    type Result = ();

    fn handle(&mut self, message: Queued<Forget>, _: &mut Context<Self>) {
        self.delay(message.into_message());
    }
}

impl Handler<Queued<Sync>> for SlowDisk {
    type Result = ();

    fn handle(&mut self, message: Queued<Sync>, _: &mut Context<Self>) {
        self.delay(message.into_message());
    }
}

/// A journal that no test fills.
pub(super) const WIDE: u64 = 1 << 30;
