//! Starts actors on the threads of a node, each with a mailbox that the monitor observes.

use std::{sync::Arc, time::Duration};

use actix::{Actor, Arbiter, ArbiterHandle, Context};
use mailbox::{Inbox, Mailbox, Meter, monitor::Monitor, threads::Threads};

/// The threads for single actors, and the monitor.
///
/// Stanzas with a link do not wait for connection attempts or for answers of the services, and a large DNS answer does
/// not hold up the promise: these are on different threads.
pub(super) struct Starter {
    /// The main thread, for the router.
    pub(super) main: ArbiterHandle,
    /// For the promise and the actors that all attempts share.
    pub(super) dial: ArbiterHandle,
    /// For the DNS, the dialback verifications and the resumptions.
    pub(super) dns: ArbiterHandle,
    /// For the services of the node.
    pub(super) service: ArbiterHandle,
    /// For the mailroom.
    pub(super) mail: ArbiterHandle,
    pub(super) monitor: Mailbox<Monitor>,
}

impl Starter {
    /// Starts the threads and the monitor, which logs all mailboxes at this interval.
    pub(super) fn new(threads: &mut Threads, log_mailboxes: Option<Duration>) -> Self {
        let main = Arbiter::current();
        let (dial, dns, service, mail) = (threads.start(), threads.start(), threads.start(), threads.start());
        let meter = Meter::new("monitor", 65_536, None);
        let monitor = mailbox::start_on(&main, &meter, "monitor", move |_| Monitor::new(log_mailboxes));
        Self { main, dial, dns, service, mail, monitor }
    }

    /// A meter for actors of one kind.
    pub(super) fn meter(&self, kind: &'static str, capacity: usize) -> Arc<Meter> {
        Meter::new(kind, capacity, Some(self.monitor.outlet()))
    }

    /// Opens the mailbox of the only actor of its kind.
    pub(super) fn open<A: Actor<Context = Context<A>>>(
        &self,
        kind: &'static str,
        capacity: usize,
    ) -> (Mailbox<A>, Inbox<A>) {
        mailbox::open(&self.meter(kind, capacity), kind)
    }

    /// Starts the only actor of its kind. `build` gets the mailbox of the actor, and so does the caller.
    pub(super) fn start<A, F>(
        &self,
        thread: &ArbiterHandle,
        kind: &'static str,
        capacity: usize,
        build: F,
    ) -> Mailbox<A>
    where
        A: Actor<Context = Context<A>>,
        F: FnOnce(Mailbox<A>) -> A + Send + 'static,
    {
        mailbox::start_on(thread, &self.meter(kind, capacity), kind, build)
    }
}
