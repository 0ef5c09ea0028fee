//! Takes in the stanzas that were in the file of the journal at the start.

use actix::{Context, Handler};

use super::{Local, Restore, Router};
use crate::{
    flow::{batch::Batch, route::Ingress},
    routing::{mailroom, promise},
};
use mailbox::Queued;

impl Handler<Queued<Restore>> for Router {
    type Result = ();

    fn handle(&mut self, restore: Queued<Restore>, _: &mut Context<Self>) {
        let Restore { for_links, for_components } = restore.into_message();
        let (for_links, for_components) = (self.restore(for_links), self.restore(for_components));
        // A reload or a restart may have made a remote domain a local one: what waited for a link is older.
        let (local, for_links): (Vec<_>, Vec<_>) =
            for_links.into_iter().partition(|batch| self.local.contains(&batch.to));
        let (served, mut first): (Vec<_>, Vec<_>) =
            local.into_iter().partition(|batch| matches!(self.local.get(&batch.to), Some(Local::Node)));
        first.extend(for_components);
        // If the mailroom or the promise is gone, the process ends.
        let _ = self.mailroom.signal(mailroom::Restore { batches: first });
        served.into_iter().for_each(|batch| self.route(batch, Ingress::Local));
        let _ = self.promise.signal(promise::Restore { batches: for_links });
    }
}

impl Router {
    /// Counts restored stanzas in the account.
    fn restore(&mut self, mut batches: Vec<Batch>) -> Vec<Batch> {
        for batch in &mut batches {
            self.take_in(batch);
            batch.entry.mark_restored();
        }
        batches
    }
}
