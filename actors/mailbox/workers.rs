//! The worker threads. Each runs one arbiter, and a session stays on the arbiter on which it was started.

use std::{cell::Cell, sync::Arc};

use actix::{Actor, Arbiter, ArbiterHandle, Context};

use crate::{Mailbox, Meter};

/// Starts actors on the worker threads, in round-robin order. Each owner of sessions has a clone with its own
/// order.
#[derive(Clone, Debug)]
pub struct Workers {
    arbiters: Vec<ArbiterHandle>,
    next: Cell<usize>,
}

impl Workers {
    /// Starts `count` threads, at least one. Returns them, and the handle that starts actors on them.
    pub fn start(count: usize) -> (Vec<Arbiter>, Self) {
        let threads: Vec<Arbiter> = (0..count.max(1)).map(|_| start_thread()).collect();
        let arbiters = threads.iter().map(Arbiter::handle).collect();
        (threads, Self { arbiters, next: Cell::new(0) })
    }

    /// Starts actors on the current thread, for tests that pause its clock.
    pub fn here() -> Self {
        Self { arbiters: vec![Arbiter::current()], next: Cell::new(0) }
    }

    /// Starts an actor on the next thread. `name` identifies its mailbox in the log.
    pub fn start_actor<A, F>(&self, meter: &Arc<Meter>, name: &str, build: F) -> Mailbox<A>
    where
        A: Actor<Context = Context<A>>,
        F: FnOnce(Mailbox<A>) -> A + Send + 'static,
    {
        let turn = self.next.get();
        self.next.set(turn.wrapping_add(1));
        let arbiter = self.arbiters.get(turn % self.arbiters.len()).cloned().unwrap_or_else(Arbiter::current);
        crate::start_on(&arbiter, meter, name, build)
    }
}

/// Starts a thread that polls its sockets more often than tokio's default of every 61 tasks.
///
/// Busy sessions wake each other all the time. With the default, the other sessions would wait for 61 of
/// their turns.
fn start_thread() -> Arbiter {
    let runtime =
        || tokio::runtime::Builder::new_current_thread().enable_all().event_interval(EVENT_INTERVAL).build();
    // If that runtime cannot be built, the default one fails too and reports the reason.
    Arbiter::try_with_tokio_rt(runtime).unwrap_or_else(|_| Arbiter::new())
}

/// The number of tasks between two polls of the sockets. A poll takes about 1 us, the turn of a busy session
/// about 100 us.
const EVENT_INTERVAL: u32 = 8;
