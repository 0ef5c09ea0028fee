//! Takes in the stanzas that were in the file of the journal at the start.

use actix::{Context, Handler};

use super::{Restore, Router};
use crate::{flow::route::Ingress, routing::promise};
use mailbox::Queued;

impl Handler<Queued<Restore>> for Router {
    type Result = ();

    fn handle(&mut self, restore: Queued<Restore>, _: &mut Context<Self>) {
        let Restore { mut batches } = restore.into_message();
        for batch in &mut batches {
            self.accounts.take_in(batch);
            batch.entry.mark_restored();
        }
        // A reload or a restart may have made a remote domain a local one.
        let (local, batches): (Vec<_>, Vec<_>) =
            batches.into_iter().partition(|batch| self.local.contains_key(&batch.to));
        local.into_iter().for_each(|batch| self.route(batch, Ingress::Local));
        // If the promise is gone, the process ends.
        let _ = self.promise.signal(promise::Restore { batches });
    }
}
