//! The threads that run sessions: one arbiter each. A session stays on the arbiter it was born on.

use std::{cell::Cell, sync::Arc};

use actix::{Actor, Arbiter, ArbiterHandle, Context};

use crate::{Mailbox, Meter};

/// Where sessions are started, by turns. Each owner of sessions has its own.
#[derive(Clone, Debug)]
pub struct Workers {
    arbiters: Vec<ArbiterHandle>,
    next: Cell<usize>,
}

impl Workers {
    /// Starts `count` threads, at least one.
    pub fn start(count: usize) -> (Vec<Arbiter>, Self) {
        let threads: Vec<Arbiter> = (0..count.max(1)).map(|_| thread()).collect();
        let arbiters = threads.iter().map(Arbiter::handle).collect();
        (threads, Self { arbiters, next: Cell::new(0) })
    }

    /// The current thread, for tests that pause its time.
    pub fn here() -> Self {
        Self { arbiters: vec![Arbiter::current()], next: Cell::new(0) }
    }

    /// Starts a session's actor on the next thread.
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

/// A thread of sessions. It looks at the sockets more often than by default (every 61 tasks): sessions that have much to do
/// wake each other all the time, and the others would wait for so many of their turns.
fn thread() -> Arbiter {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().event_interval(TASKS).build();
    // Where that runtime cannot be had, the default one reports why.
    Arbiter::try_with_tokio_rt(runtime).unwrap_or_else(|_| Arbiter::new())
}

/// Tasks between two looks at the sockets: a look costs about a microsecond, the turn of a busy session a hundred times
/// as much.
const TASKS: u32 = 8;
