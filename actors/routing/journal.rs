//! The journal: an actor that writes waiting stanzas to a file, on a thread of its own.
//!
//! It commits what has come since the last commit when its mailbox is empty: the message that asks for the commit is the
//! last in the mailbox. So one commit serves all that arrived during the one before.
//!
//! While the file cannot be written, nothing is refused and nothing is lost: the stanzas wait in memory, and the file is
//! opened again every ten seconds.

mod keeper;
mod messages;
mod start;
#[cfg(test)]
mod tests;

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use actix::{Actor, AsyncContext, Context, Handler};
use journal::{Journal as Log, record::Record, store};

pub(in crate::routing) use self::keeper::{Keeper, Left};
pub use self::start::OpenError;
pub(crate) use self::{
    keeper::{Conclude, GiveUp, LeaveAll, Store, WriteDue},
    messages::{Close, Confirm, Confirmed, Fetch, Fetched, Sync, Synced, TryAgain},
    start::{Opened, Restored, Restoring, open},
};
use crate::flow::journal::{Cause, Forget, NewRecord, Pending, Write, Writer};
use mailbox::{Mailbox, Queued};

/// The actor.
pub(crate) struct Journal {
    log: Log<Pending>,
    writer: Writer,
    own: Mailbox<Self>,
    /// A commit is asked for.
    is_commit_asked: bool,
    /// A commit for records that are not needed any more is planned.
    is_removal_planned: bool,
    /// The file was opened again, and there are stanzas to write, and none has been written.
    is_on_trial: bool,
}

/// Commit what has come.
#[derive(Debug)]
struct Commit;

impl Journal {
    /// The actor over an open file.
    pub(crate) fn new(log: Log<Pending>, writer: Writer, own: Mailbox<Self>) -> Self {
        Self { log, writer, own, is_commit_asked: false, is_removal_planned: false, is_on_trial: false }
    }

    fn write(&mut self, new: NewRecord) {
        let NewRecord { key, kind, stanza, accepted, source, flags, cause, pending } = new;
        if cause == Cause::Overflow && !self.log.has_room_for_overflow(stanza.len()) {
            return self.writer.set_refused(&pending.slot);
        }
        let record = Record { kind, accepted, source, flags, stanza };
        if let Err((_, pending)) = self.log.write(key, &record, pending) {
            self.writer.set_refused(&pending.slot);
        }
        if self.log.is_due() {
            self.commit();
        }
    }

    fn ask_for_commit(&mut self) {
        if !self.is_commit_asked && self.log.has_changes() {
            self.is_commit_asked = true;
            // If the mailbox is gone, so is the actor.
            let _ = self.own.signal(Commit);
        }
    }

    fn commit(&mut self) {
        if !self.log.has_changes() {
            return;
        }
        self.check_place();
        let began = clock::now();
        let committed = self.log.commit(began);
        let figures = self.writer.figures();
        figures.committed(clock::since(began));
        figures.written.fetch_add(committed.stored.len() as u64, Relaxed);
        committed.stored.iter().for_each(|pending| self.writer.set_stored(&pending.slot));
        committed.failed.iter().for_each(|pending| self.writer.set_doubtful(&pending.slot));
        self.is_on_trial &= committed.stored.is_empty();
        self.show();
        if let Some(error) = committed.error {
            self.log_failing(&error);
        }
        // More is to be removed: behind what has come meanwhile.
        self.ask_for_commit();
    }

    /// Notices a file that was moved, removed, replaced or overwritten.
    fn check_place(&mut self) {
        let path = self.log.name();
        match self.log.check_place(clock::now()) {
            None => return,
            Some(Ok(replaced)) => log::error!(
                target: LOG, path = path.as_str(), records = self.log.stored().records,
                moved_to = replaced.found.as_deref();
                "the file of the journal was moved, removed or replaced while the node uses it: a new one has everything \
                 that waits. Stop the node before you move the file or restore another one, and keep logrotate away from it"
            ),
            Some(Err(error)) => {
                self.log.abandon().iter().for_each(|pending| self.writer.set_refused(&pending.slot));
                self.log_failing(&error);
            }
        }
        self.show();
    }

    fn log_failing(&self, error: &store::Error) {
        log::error!(
            target: LOG, path:% = self.log.name(), error:% = error,
            not_kept = self.writer.figures().not_kept.load(Relaxed);
            "journal failing: what waits is in memory only"
        );
    }

    /// Reads records; `None` if the file cannot be read now.
    fn read(&mut self, keys: &[u64]) -> Option<Vec<Option<Record>>> {
        match self.log.read(keys, clock::now()) {
            Ok(records) => Some(records),
            Err(error) => {
                self.log.abandon().iter().for_each(|pending| self.writer.set_refused(&pending.slot));
                self.show();
                if let Some(error) = error {
                    self.log_failing(&error);
                }
                None
            }
        }
    }

    /// Opens a file again that could not be written.
    fn reopen(&mut self) {
        match self.log.reopen(clock::now()) {
            None => {}
            Some(Ok(reopened)) => {
                if let Some(set_aside) = &reopened.set_aside {
                    start::log_set_aside(set_aside);
                    self.writer.begin_generation();
                }
                let failed_for = format!("{:.1}s", reopened.failed_for.as_secs_f64());
                log::info!(
                    target: LOG, path:% = self.log.name(), failed_for = failed_for.as_str(),
                    records = self.log.stored().records;
                    "journal working again"
                );
                self.is_on_trial = self.writer.figures().not_kept.load(Relaxed) > 0;
                self.writer.note_reopened();
                // What was settled meanwhile is removed.
                self.ask_for_commit();
            }
            Some(Err(error)) => log::error!(
                target: LOG, path:% = self.log.name(), error:% = error,
                not_kept = self.writer.figures().not_kept.load(Relaxed);
                "journal still failing"
            ),
        }
        self.show();
    }

    /// Updates the figures.
    fn show(&self) {
        let (figures, stored) = (self.writer.figures(), self.log.stored());
        figures.up.store(self.log.works() && !self.is_on_trial, Relaxed);
        figures.records.store(stored.records, Relaxed);
        figures.bytes.store(stored.bytes, Relaxed);
    }
}

impl Actor for Journal {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        self.show();
        context.run_interval(TICK, |journal, _| {
            journal.check_place();
            journal.reopen();
        });
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // After a panic nothing is written any more.
        self.writer.figures().up.store(false, Relaxed);
    }
}

impl Handler<Queued<Write>> for Journal {
    type Result = ();

    fn handle(&mut self, write: Queued<Write>, _: &mut Context<Self>) {
        let Write { records, on_the_way } = write.into_message();
        records.into_iter().for_each(|record| self.write(record));
        drop(on_the_way);
        self.ask_for_commit();
    }
}

impl Handler<Queued<Forget>> for Journal {
    type Result = ();

    fn handle(&mut self, forget: Queued<Forget>, context: &mut Context<Self>) {
        let Forget { key } = forget.into_message();
        self.log.forget(key);
        if !self.is_removal_planned {
            self.is_removal_planned = true;
            context.run_later(REMOVAL, |journal, _| {
                journal.is_removal_planned = false;
                journal.commit();
            });
        }
    }
}

impl Handler<Queued<Commit>> for Journal {
    type Result = ();

    fn handle(&mut self, commit: Queued<Commit>, _: &mut Context<Self>) {
        let Commit = commit.into_message();
        self.is_commit_asked = false;
        self.commit();
    }
}

impl Handler<Queued<Sync>> for Journal {
    type Result = ();

    fn handle(&mut self, sync: Queued<Sync>, _: &mut Context<Self>) {
        let Sync { done } = sync.into_message();
        self.check_place();
        self.commit();
        if self.log.is_elsewhere() {
            self.log.retry_now(clock::now());
            self.reopen();
            self.commit();
        }
        if self.log.is_elsewhere() {
            // What is in it is lost with the node: the stanzas are to be answered.
            self.writer.begin_generation();
        }
        // Whoever asked may have ended.
        let _ = done.signal(Synced);
    }
}

impl Handler<Queued<Confirm>> for Journal {
    type Result = ();

    fn handle(&mut self, confirm: Queued<Confirm>, _: &mut Context<Self>) {
        let Confirm { done } = confirm.into_message();
        self.commit();
        // Whoever asked may have ended.
        let _ = done.signal(Confirmed);
    }
}

impl Handler<Queued<Fetch>> for Journal {
    type Result = ();

    fn handle(&mut self, fetch: Queued<Fetch>, _: &mut Context<Self>) {
        let Fetch { id, keys, answer } = fetch.into_message();
        let records = self.read(&keys);
        // Whoever asked may have ended.
        let _ = answer.signal(Fetched { id, records });
    }
}

impl Handler<Queued<TryAgain>> for Journal {
    type Result = ();

    fn handle(&mut self, again: Queued<TryAgain>, _: &mut Context<Self>) {
        let TryAgain = again.into_message();
        self.log.retry_now(clock::now());
        self.reopen();
    }
}

impl Handler<Queued<Close>> for Journal {
    type Result = ();

    fn handle(&mut self, close: Queued<Close>, _: &mut Context<Self>) {
        let Close { token: _token } = close.into_message();
        self.check_place();
        if self.log.is_elsewhere() {
            self.log.retry_now(clock::now());
            self.reopen();
        }
        while self.log.has_changes() {
            self.commit();
        }
        if self.log.is_elsewhere() {
            log::error!(
                target: LOG, path:% = self.log.name(), records = self.log.stored().records;
                "the file of the journal is gone, and no new one can be made: the messages in it are lost"
            );
        }
        self.log.close();
        self.show();
        log::info!(target: LOG, path:% = self.log.name(), records = self.log.stored().records; "journal closed");
    }
}

const LOG: &str = "nuncio::journal";

/// The interval at which it is checked whether a file that fails is to be opened again, and whether one that works is still
/// in its place. That is checked at each commit too.
const TICK: Duration = Duration::from_secs(1);

/// The time after which the records of settled stanzas are removed, so that many of them share a commit. A stanza that was
/// settled within this time before a crash is sent again.
const REMOVAL: Duration = Duration::from_millis(10);
