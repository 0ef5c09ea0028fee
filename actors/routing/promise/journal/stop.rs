//! At the end of the node messages are left in the file of the journal, and everything else is answered.

use actix::{Context, Handler};
use journal::record::{Flags, Source};

use crate::{
    dial::error::AttemptError,
    flow::{
        account::Outcome,
        batch::Batch,
        journal::{RecordHandle, is_worth_keeping},
    },
    routing::{
        journal::{Sync, Synced},
        promise::{LOG, Promise},
    },
};
use mailbox::{Queued, drain};
use status::amount::Amount;

impl Promise {
    /// Leaves messages in the journal, and answers the rest: the node stops.
    pub(in super::super) fn leave_or_answer(&mut self, batches: Vec<Batch>) {
        let Some(keeper) = &mut self.keeper else {
            return self.answer(batches, &AttemptError::Stopping, Outcome::Answered);
        };
        let (mut leaving, mut rest) = (Vec::new(), Vec::new());
        let mut group = keeper.keeping.writer.group();
        for mut batch in batches {
            let mut kept = batch.extract(is_worth_keeping);
            let flags = Flags { may_have_arrived: kept.sends.may_have_arrived, ..Flags::default() };
            let (mut written, since) = (Amount::default(), kept.since);
            let source = if kept.entry.held().stanzas > 0 { Source::Component } else { Source::Node };
            for (stanza, handle) in kept.take_stanzas() {
                let handle = handle.filter(|handle| !handle.is_lost()).unwrap_or_else(|| {
                    written = written.plus(Amount::of([&stanza]));
                    group.add(&stanza, since, source, flags)
                });
                kept.push(stanza, Some(handle));
            }
            kept.entry.journal(written);
            leaving.extend(Some(kept).filter(|batch| !batch.stanzas.is_empty()));
            rest.extend(Some(batch).filter(|batch| !batch.stanzas.is_empty()));
        }
        group.send();
        if !leaving.is_empty() {
            match keeper.sync.signal(Sync { done: self.own.outlet() }) {
                Ok(()) => keeper.leaving.push_back(leaving),
                // The journal has panicked.
                Err(_) => rest.extend(leaving),
            }
        }
        self.answer(rest, &AttemptError::Stopping, Outcome::Answered);
    }

    /// Holds the token until the journal has what was left.
    pub(in super::super) fn hold_until_left(&mut self, token: drain::Token) {
        if let Some(keeper) = self.keeper.as_mut().filter(|keeper| !keeper.leaving.is_empty()) {
            keeper.tokens.push(token);
        }
    }

    /// The journal has everything of the oldest part, or has failed.
    fn left(&mut self) {
        let Some(keeper) = &mut self.keeper else { return };
        let part = keeper.leaving.pop_front().unwrap_or_default();
        let tokens = if keeper.leaving.is_empty() { std::mem::take(&mut keeper.tokens) } else { Vec::new() };
        let (mut count, mut answered) = (0, Vec::new());
        for mut batch in part {
            let mut kept = Amount::default();
            for (stanza, handle) in batch.take_stanzas() {
                match handle.filter(RecordHandle::is_stored) {
                    Some(handle) => {
                        kept = kept.plus(Amount::of([&stanza]));
                        handle.leave();
                    }
                    None => batch.push(stanza, None),
                }
            }
            batch.entry.settle(Outcome::Kept, kept);
            count += kept.stanzas;
            answered.extend(Some(batch).filter(|batch| !batch.stanzas.is_empty()));
        }
        if count > 0 {
            log::info!(target: LOG, stanzas = count; "left in the journal for the next start");
        }
        self.answer(answered, &AttemptError::Stopping, Outcome::Answered);
        drop(tokens);
    }
}

impl Handler<Queued<Synced>> for Promise {
    type Result = ();

    fn handle(&mut self, synced: Queued<Synced>, _: &mut Context<Self>) {
        let Synced = synced.into_message();
        self.left();
    }
}
