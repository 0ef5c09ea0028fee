//! What a component does not read for a while is given to the journal.

use actix::{AsyncContext, Context};

use super::Component;
use crate::flow::journal::Waits;

impl Component {
    /// Has stanzas given to the journal once they have waited for long enough. A timer that runs is not set again: a stream
    /// of stanzas must not delay it.
    pub(super) fn watch_unwritten(&mut self, context: &mut Context<Self>) {
        if let Some(keeping) = &self.environment.journal
            && !self.is_unwritten_watched
        {
            self.is_unwritten_watched = true;
            context.run_later(keeping.after, Self::write_old);
        }
    }

    fn write_old(&mut self, context: &mut Context<Self>) {
        self.is_unwritten_watched = false;
        let Some(keeping) = &self.environment.journal else { return };
        let outbox = &mut self.connection.outbox;
        let next = keeping.write_old(Waits::ForComponent, |until, group| outbox.write_old(until, group));
        if let Some(next) = next {
            self.is_unwritten_watched = true;
            context.run_later(next.saturating_duration_since(clock::now()), Self::write_old);
        }
    }
}
