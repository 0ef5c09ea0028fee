//! Wakes the owner of a full outbox when the patience with it ends.

use std::time::Instant;

use actix::{Actor, AsyncContext, Context, SpawnHandle};

/// One alarm; the earliest time counts.
#[derive(Debug, Default)]
pub struct Alarm(Option<(Instant, SpawnHandle)>);

impl Alarm {
    /// Has the actor look at `time`, unless it does so earlier anyway. When it rings, it has to be set anew.
    pub fn set<A>(
        &mut self,
        time: Option<Instant>,
        context: &mut Context<A>,
        ring: impl FnOnce(&mut A, &mut Context<A>) + 'static,
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
        self.0 = Some((time, context.run_later(wait, ring)));
    }
}
