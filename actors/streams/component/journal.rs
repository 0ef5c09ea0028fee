//! What a component does not read for a while is given to the journal.

use actix::Context;

use super::Component;
use crate::flow::journal::Waits;

impl Component {
    /// Sets the timer that gives stanzas to the journal once they have waited for long enough.
    pub(super) fn watch_unwritten(&mut self, context: &mut Context<Self>) {
        if let Some(keeping) = &self.environment.journal {
            let first = clock::now() + keeping.after;
            self.journal_timer.set(Some(first), context, Self::write_old);
        }
    }

    fn write_old(&mut self, context: &mut Context<Self>) {
        let Some(keeping) = &self.environment.journal else { return };
        let outbox = &mut self.connection.outbox;
        let next = keeping.write_old(Waits::ForComponent, |until, group| outbox.write_old(until, group));
        self.journal_timer.set(next, context, Self::write_old);
    }
}
