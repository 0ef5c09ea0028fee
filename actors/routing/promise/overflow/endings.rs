//! Stanzas on the disk that are not to be delivered any more: each is answered when it is read.

use journal::record::Record;
use xmpp::DomainPair;

use super::Disk;
use crate::{
    dial::error::AttemptError,
    flow::account::Outcome,
    routing::{
        overflow::{Ending, Unread},
        promise::{LOG, Promise, reason::Reason},
    },
};
use mailbox::drain;

/// Why they are answered.
#[derive(Clone, Debug)]
pub(in crate::routing::promise) enum Why {
    /// Their time to wait is over.
    Expired(Reason),
    /// There is no link, and they do not wait for one.
    Failed(AttemptError),
    /// They are not answered: the node serves their name itself since a reload.
    Moved,
}

impl Promise {
    /// Has stanzas answered when they are read. On a node that stops, those that survive a restart stay in the file.
    pub(in crate::routing::promise) fn answer_when_read(
        &mut self,
        pair: &DomainPair,
        unread: Unread,
        why: Why,
    ) {
        let Some(disk) = &mut self.disk else { return };
        let left = disk.answer_when_read(pair, unread, why, self.stopping);
        if left.stanzas > 0 {
            log::info!(target: LOG, pair:% = pair, stanzas = left.stanzas; "left in the journal for the next start");
        }
        self.read_endings();
    }

    /// Asks for the next stanzas that are to be answered, unless a question is under way. To be called now and then: the
    /// journal may be able to read again.
    pub(in crate::routing::promise) fn read_endings(&mut self) {
        if self.disk.as_mut().is_some_and(|disk| !disk.read_endings()) {
            self.not_read();
        }
    }

    /// Answers stanzas that were read.
    pub(super) fn read_to_answer(&mut self, id: u64, records: Option<Vec<Option<Record>>>) {
        let Some(disk) = &mut self.disk else { return };
        let (pair, read, why) = match disk.read_to_answer(id, records) {
            Ending::Read { queue, read, why } => (queue, read, why),
            Ending::NotRead => return self.not_read(),
            Ending::NotAwaited => return,
        };
        self.log_lost(&pair, read.lost);
        let batches = read.into_batches();
        match why {
            Why::Expired(reason) => {
                self.answer_each(batches, |to| reason.stanza_error(to), Outcome::Expired);
            }
            Why::Failed(failure) => self.answer(batches, &failure, Outcome::Answered),
            Why::Moved => self.move_out(batches, Vec::new()),
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
    pub(in crate::routing::promise) fn give_up_reading(&mut self) {
        if self.disk.as_ref().is_some_and(Disk::has_endings) {
            self.not_read();
        }
    }

    /// Holds the token until everything is answered.
    pub(in crate::routing::promise) fn hold_until_answered(&mut self, token: drain::Token) {
        if let Some(disk) = &mut self.disk {
            disk.hold_until_answered(token);
        }
    }

    /// Reports stanzas that are missing in the file or damaged there. They are counted as dropped.
    pub(super) fn log_lost(&self, pair: &DomainPair, lost: u64) {
        if lost > 0 {
            log::error!(
                target: LOG, pair:% = pair, stanzas = lost;
                "lost: their records in the journal are missing or damaged"
            );
        }
    }
}
