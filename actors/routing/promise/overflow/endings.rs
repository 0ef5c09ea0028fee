//! Stanzas on the disk that are not to be delivered any more: each is answered when it is read.

use std::collections::VecDeque;

use journal::record::Record;
use xmpp::DomainPair;

use crate::{
    dial::error::AttemptError,
    flow::account::Outcome,
    routing::{
        overflow::Unread,
        promise::{
            LOG, Promise,
            reason::Reason,
            waiting::{READ_BYTES, READ_STANZAS},
        },
    },
};
use mailbox::drain;

/// What is to be answered.
#[derive(Debug, Default)]
pub(super) struct Endings {
    /// In the order in which the stanzas were taken out.
    waiting: VecDeque<Ending>,
    /// What is being read, with the number of the question.
    reading: Option<(u64, Ending)>,
    /// Dropped when nothing is to be answered.
    tokens: Vec<drain::Token>,
}

/// Stanzas of a pair that are answered with one reason.
#[derive(Debug)]
struct Ending {
    pair: DomainPair,
    unread: Unread,
    why: Why,
}

/// Why they are answered.
#[derive(Clone, Debug)]
pub(in crate::routing::promise) enum Why {
    /// Their time to wait is over.
    Expired(Reason),
    /// There is no link, and they do not wait for one.
    Failed(AttemptError),
}

impl Promise {
    /// Has stanzas answered when they are read. On a node that stops, those that survive a restart stay in the file.
    pub(in crate::routing::promise) fn answer_when_read(
        &mut self,
        pair: &DomainPair,
        mut unread: Unread,
        why: Why,
    ) {
        if self.stopping {
            let left = unread.leave();
            if left.stanzas > 0 {
                log::info!(target: LOG, pair:% = pair, stanzas = left.stanzas; "left in the journal for the next start");
            }
        }
        if let Some(disk) = self.disk.as_mut().filter(|_| !unread.is_empty()) {
            disk.endings.waiting.push_back(Ending { pair: pair.clone(), unread, why });
        }
        self.read_endings();
    }

    /// Asks for the next stanzas that are to be answered, unless a question is under way. To be called now and then: the
    /// journal may be able to read again.
    pub(in crate::routing::promise) fn read_endings(&mut self) {
        let Some(disk) = self.disk.as_mut().filter(|disk| disk.endings.reading.is_none()) else { return };
        let Some(mut ending) = disk.endings.waiting.pop_front() else {
            disk.endings.tokens = Vec::new();
            return;
        };
        let rest = ending.unread.split_off(READ_STANZAS, READ_BYTES as u64);
        if !rest.is_empty() {
            let Ending { pair, why, .. } = &ending;
            let rest = Ending { pair: pair.clone(), unread: rest, why: why.clone() };
            disk.endings.waiting.push_front(rest);
        }
        let (id, keys) = (disk.next, ending.unread.keys());
        disk.next += 1;
        disk.endings.reading = Some((id, ending));
        if !disk.ask(id, keys) {
            self.not_read();
        }
    }

    /// Answers stanzas that were read.
    pub(super) fn read_to_answer(&mut self, id: u64, records: Option<Vec<Option<Record>>>) {
        let Some(disk) = &mut self.disk else { return };
        if disk.endings.reading.as_ref().is_none_or(|(known, _)| *known != id) {
            return;
        }
        let Some(records) = records else { return self.not_read() };
        let Some((_, Ending { pair, unread, why })) = disk.endings.reading.take() else { return };
        let read = unread.read(records, &disk.writer);
        self.log_lost(&pair, read.lost);
        let batches = read.into_batches();
        match why {
            Why::Expired(reason) => {
                self.answer_each(batches, |to| reason.stanza_error(to), Outcome::Expired);
            }
            Why::Failed(failure) => self.answer(batches, &failure, Outcome::Answered),
        }
        self.read_endings();
    }

    /// The journal cannot read now: it is asked again later. A node that stops does not wait for it.
    fn not_read(&mut self) {
        let is_stopping = self.stopping;
        let Some(disk) = &mut self.disk else { return };
        if let Some((_, ending)) = disk.endings.reading.take() {
            disk.endings.waiting.push_front(ending);
        }
        if is_stopping {
            let endings = std::mem::take(&mut disk.endings.waiting);
            let lost = endings.into_iter().map(|ending| ending.unread.give_up()).sum::<u64>();
            disk.endings.tokens = Vec::new();
            log::error!(
                target: LOG, stanzas = lost;
                "lost: the journal cannot be read, and the node stops"
            );
        }
    }

    /// The node stops, and the journal has not answered in time: what is to be read is given up.
    pub(in crate::routing::promise) fn give_up_reading(&mut self) {
        let Some(disk) = &self.disk else { return };
        if disk.endings.reading.is_some() || !disk.endings.waiting.is_empty() {
            self.not_read();
        }
    }

    /// Holds the token until everything is answered.
    pub(in crate::routing::promise) fn hold_until_answered(&mut self, token: drain::Token) {
        let Some(disk) = &mut self.disk else { return };
        if disk.endings.reading.is_some() || !disk.endings.waiting.is_empty() {
            disk.endings.tokens.push(token);
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
