//! Wakes the owner of a full outbox when the hold ends.

use std::time::Instant;

use actix::{Actor, AsyncContext, Context, SpawnHandle};

/// A timer for the earliest of the times that were set.
#[derive(Debug, Default)]
pub struct Timer(Option<(Instant, SpawnHandle)>);

impl Timer {
    /// Calls `fire` at `time`, unless the timer fires earlier anyway. After it has fired, it has to be set
    /// again.
    pub fn set<A>(
        &mut self,
        time: Option<Instant>,
        context: &mut Context<A>,
        fire: impl FnOnce(&mut A, &mut Context<A>) + 'static,
    ) where
        A: Actor<Context = Context<A>>,
    {
        let Some(time) = time else { return };
        match self.0.take() {
            Some((earlier, timer)) if clock::now() < earlier && earlier <= time => {
                self.0 = Some((earlier, timer));
                return;
            }
            Some((_, timer)) => drop(context.cancel_future(timer)),
            None => {}
        }
        let wait = time.saturating_duration_since(clock::now());
        self.0 = Some((time, context.run_later(wait, fire)));
    }
}
