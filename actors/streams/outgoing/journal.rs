//! What a link does not take for a while, or a peer does not acknowledge, is given to the journal.

use actix::Context;

use super::Outgoing;
use crate::flow::journal::Waits;

impl Outgoing {
    /// Sets the timer that gives stanzas to the journal once they have waited for long enough.
    pub(super) fn watch_unwritten(&mut self, context: &mut Context<Self>) {
        if let Some(keeping) = &self.owners.journal {
            let first = clock::now() + keeping.after;
            self.journal_timer.set(Some(first), context, Self::write_old);
        }
    }

    fn write_old(&mut self, context: &mut Context<Self>) {
        let (Some(keeping), Some(session)) = (&self.owners.journal, self.state.session_mut()) else { return };
        let outbox = &mut session.connection.outbox;
        let next = keeping.write_old(Waits::ForLink, |until, group| outbox.write_old(until, group));
        self.journal_timer.set(next, context, Self::write_old);
    }
}
