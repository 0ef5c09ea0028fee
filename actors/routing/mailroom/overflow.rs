//! Queues of components that are full overflow to the journal, as those of the promise do.
//!
//! A connection that asks for a portion while a read is under way gets it when the records are here. It is handed over to
//! the router only when nothing of its queue is on the disk.

use actix::{Context, Handler};
use journal::record::Record;
use xmpp::Domain;

use super::{LOG, Mailroom, answers::Reason, seats::Limit};
use crate::{
    flow::{account::Outcome, batch::Batch},
    routing::{
        journal::{Confirmed, Fetched},
        overflow::{self, Ending, TakenOut, Unread},
    },
};
use mailbox::{Queued, drain};

/// The way to the disk and back.
pub(super) type Disk = overflow::Disk<Domain, Why>;

/// Why stanzas on the disk are answered, and their outcome in the account.
#[derive(Clone, Copy, Debug)]
pub(super) struct Why {
    pub(super) reason: Reason,
    pub(super) outcome: Outcome,
}

impl Mailroom {
    /// Appends a batch to the queue of its component. What has no room in memory goes to the journal, or is refused.
    pub(super) fn append(&mut self, name: &Domain, batch: Batch) {
        let returning = batch.returning;
        let refused = match &mut self.disk {
            None => self.seats.append(name, batch),
            Some(disk) => {
                let mut group = disk.group();
                let refused = self.seats.append_or_overflow(name, batch, &mut group);
                group.send();
                if self.seats.has_overflow(name) {
                    disk.await_confirmation(name);
                }
                refused
            }
        };
        for (limit, rest) in refused {
            if returning {
                self.drop_answers(&rest, limit);
            } else {
                self.refuse(rest, limit);
            }
        }
        self.ask_to_confirm();
        self.look_after(name);
    }

    /// Keeps the queue of a component going. To be called after each change of what waits for it.
    pub(super) fn look_after(&mut self, name: &Domain) {
        self.refill(name);
        if self.supply(name) {
            self.refill(name);
        }
        self.note_unwritten(name);
    }

    /// Looks after all queues that have a part on the disk: the journal may be able to read again, or their bounds have
    /// changed.
    pub(super) fn refill_all(&mut self) {
        if self.disk.is_none() {
            return;
        }
        self.seats.overflowing().iter().for_each(|name| self.look_after(name));
        self.read_endings();
        self.show_on_disk();
    }

    /// Moves stanzas from the disk to the memory, if there is room.
    fn refill(&mut self, name: &Domain) {
        let Some(disk) = self.disk.as_mut().filter(|_| self.seats.has_overflow(name)) else { return };
        let id = disk.next_question();
        let keys = self.seats.refill(name, id);
        if !keys.is_empty() && !disk.refill(name, keys) {
            self.seats.refilled(name, id, None, disk.writer());
        }
        self.give_up_what_was_read(name);
    }

    fn refilled(&mut self, name: &Domain, id: u64, records: Option<Vec<Option<Record>>>) {
        let Some(disk) = &self.disk else { return };
        let is_read = records.is_some();
        let lost = self.seats.refilled(name, id, records, disk.writer()).unwrap_or_default();
        self.log_lost(name, lost);
        if is_read {
            self.give_up_what_was_read(name);
            self.look_after(name);
            self.show_on_disk();
        }
    }

    /// Asks the journal to confirm what it has got, unless it was asked already.
    fn ask_to_confirm(&mut self) {
        if self.disk.as_mut().is_some_and(|disk| !disk.ask_to_confirm()) {
            self.confirm(true);
        }
    }

    /// The journal has decided on what it got before it was asked, or is gone.
    fn confirm(&mut self, is_gone: bool) {
        let Some(disk) = &mut self.disk else { return };
        for name in disk.take_unconfirmed() {
            let confirmation = self.seats.confirm(&name, is_gone);
            if confirmation.awaits_more
                && let Some(disk) = &mut self.disk
            {
                disk.await_confirmation(&name);
            }
            confirmation.refused.into_iter().for_each(|batch| self.refuse(batch, Limit::Journal));
            self.look_after(&name);
        }
        self.show_on_disk();
    }

    /// Gives what is in memory of the stanzas that were taken out, and has those on the disk answered when they are read.
    pub(super) fn end(
        &mut self,
        name: &Domain,
        taken: TakenOut,
        reason: Reason,
        outcome: Outcome,
    ) -> Vec<Batch> {
        let TakenOut { batches, unread } = taken;
        if !unread.is_empty() {
            self.answer_when_read(name, unread, Why { reason, outcome });
        }
        batches
    }

    /// Has stanzas answered when they are read. On a node that stops, those that survive a restart stay in the file.
    fn answer_when_read(&mut self, name: &Domain, unread: Unread, why: Why) {
        let Some(disk) = &mut self.disk else { return };
        let left = disk.answer_when_read(name, unread, why, self.stopping);
        if left.stanzas > 0 {
            log::info!(target: LOG, name:% = name, stanzas = left.stanzas; "left in the journal for the next start");
        }
        self.read_endings();
        self.show_on_disk();
    }

    /// Asks for the next stanzas that are to be answered, unless a question is under way.
    fn read_endings(&mut self) {
        if self.disk.as_mut().is_some_and(|disk| !disk.read_endings()) {
            self.not_read();
        }
    }

    /// Answers stanzas that were read.
    fn read_to_answer(&mut self, id: u64, records: Option<Vec<Option<Record>>>) {
        let Some(disk) = &mut self.disk else { return };
        let (name, read, Why { reason, outcome }) = match disk.read_to_answer(id, records) {
            Ending::Read { queue, read, why } => (queue, read, why),
            Ending::NotRead => return self.not_read(),
            Ending::NotAwaited => return,
        };
        self.log_lost(&name, read.lost);
        match reason {
            // Another component may serve the name now.
            Reason::Removed => self.move_on(read.into_batches()),
            _ => self.answer(read.into_batches(), &reason, outcome),
        }
        self.read_endings();
    }

    /// The journal cannot read now: it is asked again later. A node that stops does not wait for it.
    fn not_read(&mut self) {
        let Some(disk) = &mut self.disk else { return };
        disk.put_back_ending();
        if self.stopping {
            let lost = disk.give_up_endings();
            log::error!(
                target: LOG, stanzas = lost;
                "lost: the journal cannot be read, and the node stops"
            );
        }
    }

    /// The node stops, and the journal has not answered in time: what is to be read is given up.
    pub(super) fn give_up_reading(&mut self) {
        if self.disk.as_ref().is_some_and(Disk::has_endings) {
            self.not_read();
        }
    }

    /// Holds the token until everything is answered that has to be read first.
    pub(super) fn hold_until_answered(&mut self, token: drain::Token) {
        if let Some(disk) = &mut self.disk {
            disk.hold_until_answered(token);
        }
    }

    /// Updates the figures.
    fn show_on_disk(&self) {
        if let Some(disk) = &self.disk {
            disk.show(self.seats.on_disk());
        }
    }

    /// Reports stanzas that are missing in the file or damaged there. They are counted as dropped.
    fn log_lost(&self, name: &Domain, lost: u64) {
        if lost > 0 {
            log::error!(
                target: LOG, name:% = name, stanzas = lost;
                "lost: their records in the journal are missing or damaged"
            );
        }
    }
}

impl Handler<Queued<Confirmed>> for Mailroom {
    type Result = ();

    fn handle(&mut self, confirmed: Queued<Confirmed>, _: &mut Context<Self>) {
        let Confirmed = confirmed.into_message();
        if let Some(disk) = &mut self.disk {
            disk.end_confirmation();
        }
        self.confirm(false);
        self.ask_to_confirm();
    }
}

impl Handler<Queued<Fetched>> for Mailroom {
    type Result = ();

    fn handle(&mut self, fetched: Queued<Fetched>, _: &mut Context<Self>) {
        let Fetched { id, records } = fetched.into_message();
        match self.disk.as_mut().and_then(|disk| disk.end_refill(id)) {
            Some(name) => self.refilled(&name, id, records),
            None => self.read_to_answer(id, records),
        }
    }
}
