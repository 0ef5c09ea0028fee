//! Pairs in line. Local domains take turns, so that a program which writes to a thousand dead domains delays its own
//! mail and nobody else's.

use std::collections::{HashMap, VecDeque};

use xmpp::{Domain, DomainPair};

/// Who is in line, by local domain.
#[derive(Debug, Default)]
pub(super) struct Rota {
    waiting: HashMap<Domain, VecDeque<DomainPair>>,
    /// The local domains for which something waits, the next in front.
    order: VecDeque<Domain>,
}

impl Rota {
    /// At the end of its local domain's line.
    pub(super) fn push(&mut self, pair: DomainPair) {
        let waiting = self.waiting.entry(pair.local.clone()).or_default();
        if waiting.is_empty() {
            self.order.push_back(pair.local.clone());
        }
        waiting.push_back(pair);
    }

    /// The first of the local domain whose turn it is.
    pub(super) fn pop(&mut self) -> Option<DomainPair> {
        let local = self.order.pop_front()?;
        let waiting = self.waiting.get_mut(&local)?;
        let pair = waiting.pop_front();
        if waiting.is_empty() {
            self.waiting.remove(&local);
        } else {
            self.order.push_back(local);
        }
        pair
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.order.is_empty()
    }
}
