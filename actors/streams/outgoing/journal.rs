//! What a link does not take for a while, or a peer does not acknowledge, is given to the journal.

use std::time::Instant;

use actix::{AsyncContext, Context};

use super::Outgoing;
use crate::flow::journal::Waits;

impl Outgoing {
    /// Has stanzas given to the journal once they have waited for long enough. A timer that runs is not set again: a stream
    /// of stanzas must not delay it.
    pub(super) fn watch_unwritten(&mut self, context: &mut Context<Self>) {
        if let Some(keeping) = &self.owners.journal
            && !self.is_unwritten_watched
        {
            let at = clock::now() + keeping.after;
            self.write_old_at(at, context);
        }
    }

    /// Gives what is old to the journal at `at`. Before that the peer is asked for an acknowledgement: on a link that is up it
    /// saves the write.
    fn write_old_at(&mut self, at: Instant, context: &mut Context<Self>) {
        let Some(keeping) = &self.owners.journal else { return };
        let wait = at.saturating_duration_since(clock::now());
        self.is_unwritten_watched = true;
        context.run_later(wait.saturating_sub(keeping.after / 2), Self::ask_before_writing);
        context.run_later(wait, Self::write_old);
    }

    fn ask_before_writing(&mut self, context: &mut Context<Self>) {
        if self.state.session().is_some_and(|session| session.connection.outbox.unacked() > 0) {
            self.ask(context);
        }
    }

    fn write_old(&mut self, context: &mut Context<Self>) {
        self.is_unwritten_watched = false;
        let (Some(keeping), Some(session)) = (&self.owners.journal, self.state.session_mut()) else { return };
        let outbox = &mut session.connection.outbox;
        let next = keeping.write_old(Waits::ForLink, |until, group| outbox.write_old(until, group));
        if let Some(next) = next {
            self.write_old_at(next, context);
        }
    }
}
