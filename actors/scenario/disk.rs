//! A journal over a store that fails on request, and that lets its questions wait.

use ::journal::fake::Fake;
use actix::{Actor, Context, Handler};

use super::*;
use crate::{
    flow::journal::{Keeping, Writer},
    routing::journal::{Confirm, Fetch, Journal},
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
    pub(super) fn start(max_bytes: u64, wait: Duration) -> Self {
        let (fake, here) = (Fake::default(), Arbiter::current());
        let (log, restored) =
            ::journal::Journal::open(Box::new(fake.clone()), None, max_bytes, clock::now()).unwrap();
        let (mailbox, inbox) = mailbox::open(&Meter::new("journal", CAPACITY, None), "journal");
        let writer = Writer::new(restored.next, mailbox.outlet(), mailbox.outlet());
        let (own, of_actor) = (mailbox.clone(), writer.clone());
        inbox.start_on(&here, move || Journal::new(log, of_actor, own));
        let journal = mailbox.clone();
        let meter = Meter::new("slow", CAPACITY, None);
        let slow = mailbox::start_on(&here, &meter, "slow", move |_| SlowDisk { journal, wait });
        let keeping = Keeping { writer: writer.clone(), after: Duration::from_millis(100) };
        let (sync, confirm, fetch) = (mailbox.outlet(), slow.outlet(), slow.outlet());
        Self { fake, writer, store: journal::Store { keeping, sync, confirm, fetch } }
    }
}

impl Actor for SlowDisk {
    type Context = Context<Self>;
}

impl Handler<Queued<Fetch>> for SlowDisk {
    type Result = ();

    fn handle(&mut self, fetch: Queued<Fetch>, _: &mut Context<Self>) {
        let (journal, wait, fetch) = (self.journal.clone(), self.wait, fetch.into_message());
        actix_rt::spawn(async move {
            tokio::time::sleep(wait).await;
            assert!(journal.signal(fetch).is_ok());
        });
    }
}

impl Handler<Queued<Confirm>> for SlowDisk {
    type Result = ();

    fn handle(&mut self, confirm: Queued<Confirm>, _: &mut Context<Self>) {
        let (journal, wait, confirm) = (self.journal.clone(), self.wait, confirm.into_message());
        actix_rt::spawn(async move {
            tokio::time::sleep(wait).await;
            assert!(journal.signal(confirm).is_ok());
        });
    }
}

/// A journal that no test fills.
pub(super) const WIDE: u64 = 1 << 30;
