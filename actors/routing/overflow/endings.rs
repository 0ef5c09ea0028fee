//! Stanzas on the disk that are not to be delivered any more: each is answered when it is read.

use std::collections::VecDeque;

use journal::record::Record;

use super::{READ_BYTES, READ_STANZAS, Read, Unread};
use crate::flow::journal::Writer;
use mailbox::drain;

/// What is to be answered.
#[derive(Debug)]
pub(super) struct Endings<K, W> {
    /// In the order in which the stanzas were taken out.
    waiting: VecDeque<Ending<K, W>>,
    /// What is being read, with the number of the question.
    reading: Option<(u64, Ending<K, W>)>,
    /// Dropped when nothing is to be answered.
    tokens: Vec<drain::Token>,
}

/// Stanzas of a queue that are answered with one reason.
#[derive(Debug)]
struct Ending<K, W> {
    queue: K,
    unread: Unread,
    why: W,
}

/// The outcome of a question for stanzas that are to be answered.
#[derive(Debug)]
pub(in crate::routing) enum Outcome<K, W> {
    /// They are to be answered with this reason.
    Read {
        /// Their queue.
        queue: K,
        /// The stanzas.
        read: Read,
        /// The reason.
        why: W,
    },
    /// The journal cannot read now.
    NotRead,
    /// Nobody waits for them any more.
    NotAwaited,
}

impl<K, W> Default for Endings<K, W> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), reading: None, tokens: Vec::new() }
    }
}

impl<K: Clone, W: Clone> Endings<K, W> {
    pub(super) fn is_empty(&self) -> bool {
        self.reading.is_none() && self.waiting.is_empty()
    }

    pub(super) fn push(&mut self, queue: K, unread: Unread, why: W) {
        self.waiting.push_back(Ending { queue, unread, why });
    }

    /// Holds the token until everything is answered.
    pub(super) fn hold(&mut self, token: drain::Token) {
        if !self.is_empty() {
            self.tokens.push(token);
        }
    }

    /// Begins the question with this number: the keys. `None`: one is under way, or there is nothing to ask for.
    pub(super) fn begin(&mut self, id: u64) -> Option<Vec<u64>> {
        if self.reading.is_some() {
            return None;
        }
        let Some(mut ending) = self.waiting.pop_front() else {
            self.tokens = Vec::new();
            return None;
        };
        let rest = ending.unread.split_off(READ_STANZAS, READ_BYTES as u64);
        if !rest.is_empty() {
            let Ending { queue, why, .. } = &ending;
            let rest = Ending { queue: queue.clone(), unread: rest, why: why.clone() };
            self.waiting.push_front(rest);
        }
        let keys = ending.unread.keys();
        self.reading = Some((id, ending));
        Some(keys)
    }

    /// Ends the question with this number.
    pub(super) fn end(
        &mut self,
        id: u64,
        records: Option<Vec<Option<Record>>>,
        writer: &Writer,
    ) -> Outcome<K, W> {
        if self.reading.as_ref().is_none_or(|(known, _)| *known != id) {
            return Outcome::NotAwaited;
        }
        let Some(records) = records else { return Outcome::NotRead };
        match self.reading.take() {
            Some((_, Ending { queue, unread, why })) => {
                Outcome::Read { queue, read: unread.read(records, writer), why }
            }
            None => Outcome::NotAwaited,
        }
    }

    /// Puts back what was asked for.
    pub(super) fn put_back(&mut self) {
        if let Some((_, ending)) = self.reading.take() {
            self.waiting.push_front(ending);
        }
    }

    /// Gives up everything. Gives the number of the stanzas that are lost.
    pub(super) fn give_up(&mut self) -> u64 {
        self.put_back();
        self.tokens = Vec::new();
        std::mem::take(&mut self.waiting).into_iter().map(|ending| ending.unread.give_up()).sum()
    }
}
