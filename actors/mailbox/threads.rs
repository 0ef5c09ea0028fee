//! The threads of a node, each with an arbiter. They stop when their owner is dropped.

use actix::{Arbiter, ArbiterHandle};

use crate::workers::Workers;

/// Starts threads for actors.
#[derive(Debug)]
pub enum Threads {
    /// Each part of the node has a thread of its own. These were started.
    Own(Vec<Arbiter>),
    /// All parts are on the current thread, for tests that pause its clock.
    Current,
}

impl Default for Threads {
    fn default() -> Self {
        Self::Own(Vec::new())
    }
}

impl Threads {
    /// Starts a thread, and returns its arbiter.
    pub fn start(&mut self) -> ArbiterHandle {
        match self {
            Self::Own(started) => {
                let thread = Arbiter::new();
                let arbiter = thread.handle();
                started.push(thread);
                arbiter
            }
            Self::Current => Arbiter::current(),
        }
    }

    /// Starts `count` worker threads, at least one.
    pub fn start_workers(&mut self, count: usize) -> Workers {
        match self {
            Self::Own(started) => {
                let (threads, workers) = Workers::start(count);
                started.extend(threads);
                workers
            }
            Self::Current => Workers::here(),
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Self::Own(started) = self {
            started.iter().for_each(|thread| {
                thread.stop();
            });
        }
    }
}
