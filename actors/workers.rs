//! The threads that run sessions: one arbiter each. A session stays on the arbiter it was born on.

use std::{cell::Cell, sync::Arc};

use actix::{Actor, Arbiter, ArbiterHandle, Context};

use crate::mailbox::{self, Mailbox, Meter};

/// Where sessions are started, by turns. Each owner of sessions has its own.
#[derive(Clone, Debug)]
pub struct Workers {
    arbiters: Vec<ArbiterHandle>,
    next: Cell<usize>,
}

impl Workers {
    /// Starts `count` threads, at least one.
    pub fn start(count: usize) -> (Vec<Arbiter>, Self) {
        let threads: Vec<Arbiter> = (0..count.max(1)).map(|_| Arbiter::new()).collect();
        let arbiters = threads.iter().map(Arbiter::handle).collect();
        (threads, Self { arbiters, next: Cell::new(0) })
    }

    /// The current thread, for tests that pause its time.
    #[cfg(test)]
    pub(crate) fn here() -> Self {
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
        mailbox::start_on(&arbiter, meter, name, build)
    }
}
