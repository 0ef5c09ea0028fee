//! The account: counts the outcome of every stanza that the router accepted.
//!
//! The router takes a stanza in and counts it for the destination domain. From then on a [`Entry`]
//! counts it; the entry moves with the stanza from batch to queue, and records its outcome. At every moment
//! `taken = written + uncertain + answered + expired + dropped + kept + relayed + waiting`. The difference between both
//! sides is the number of stanzas that were dropped without an outcome: 0, or a bug. It is counted where it
//! happens, because counters that change cannot all be read at one moment.
//!
//! On a stream with acknowledgements (XEP-0198), written stanzas are unacknowledged at first. They become
//! acknowledged, or wait again when their link is lost.
//!
//! A stanza that another node carries stands in the account of this one only. It is `relayed` when that node has settled
//! it, which counts it as `carried` beside its own account.

#[cfg(test)]
mod tests;
mod totals;

use std::{
    fmt,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use xmpp::stanza::{Condition, Reason};

use self::totals::{CONDITIONS, Details};
pub use self::totals::{Outcome, Totals};
use status::amount::Amount;

/// Counts the stanzas in one place. Stanzas that the node itself makes, such as error answers, are not
/// counted.
#[derive(Default)]
pub struct Entry {
    /// Those of all domains, and those of the destination.
    totals: Option<[Arc<Totals>; 2]>,
    /// Without an outcome.
    held: Amount,
}

/// Counts the stanzas of one stream that are written and not acknowledged yet.
#[derive(Debug, Default)]
pub struct UnackedEntry {
    totals: Option<[Arc<Totals>; 2]>,
    amount: Amount,
}

impl Entry {
    /// Takes stanzas in: counts them in the totals of all domains and in those of the destination.
    pub fn take_in(all: &Arc<Totals>, domain: &Arc<Totals>, amount: Amount) -> Self {
        for totals in [all, domain] {
            totals.taken.add(amount.stanzas, amount.bytes);
            totals.waiting.add(amount.stanzas, amount.bytes);
        }
        Self { totals: Some([Arc::clone(all), Arc::clone(domain)]), held: amount }
    }

    /// For stanzas that are not counted.
    pub fn none() -> Self {
        Self::default()
    }

    /// Records the outcome of some of the stanzas. Gives the amount that is counted: a stanza that was stamped has more
    /// bytes than were taken in.
    pub fn settle(&mut self, outcome: Outcome, amount: Amount) -> Amount {
        let amount = self.deduct(amount);
        for totals in self.totals.iter().flatten() {
            totals.waiting.subtract(amount.stanzas, amount.bytes);
            totals.figure(outcome).add(amount.stanzas, amount.bytes);
        }
        amount
    }

    /// The reasons of error answers, in the totals of all domains.
    fn details(&self) -> Option<&Details> {
        self.totals.as_ref().and_then(|[all, _]| all.details.as_deref())
    }

    /// Counts error answers by condition.
    pub fn bounced(&self, condition: Condition, answers: usize) {
        let index = CONDITIONS.iter().position(|known| *known == condition).unwrap_or(CONDITIONS.len());
        if let Some(count) = self.details().and_then(|details| details.bounces.get(index)) {
            count.fetch_add(answers as u64, Relaxed);
        }
    }

    /// Counts stanzas that their stream refused, and the error answers to some of them.
    pub fn refused(&self, reason: Reason, answered: Amount, dropped: Amount) {
        let index = Reason::ALL.iter().position(|known| *known == reason);
        if let Some(count) = self.details().and_then(|details| details.refused.get(index?)) {
            count.fetch_add(answered.stanzas + dropped.stanzas, Relaxed);
        }
        let answers = usize::try_from(answered.stanzas).unwrap_or(usize::MAX);
        self.bounced(reason.error("").condition, answers);
    }

    /// Records the outcome of all stanzas that are left.
    pub fn settle_rest(&mut self, outcome: Outcome) {
        self.settle(outcome, self.held);
    }

    /// Moves written stanzas to the uncertain ones.
    pub fn mark_uncertain(&mut self, amount: Amount) {
        for totals in self.totals.iter().flatten() {
            totals.figure(Outcome::Written).subtract(amount.stanzas, amount.bytes);
            totals.figure(Outcome::Uncertain).add(amount.stanzas, amount.bytes);
        }
    }

    /// Written stanzas wait again: they are to be sent once more.
    pub fn unwrite(&mut self, amount: Amount) {
        self.held = self.held.plus(amount);
        for totals in self.totals.iter().flatten() {
            totals.figure(Outcome::Written).subtract(amount.stanzas, amount.bytes);
            totals.waiting.add(amount.stanzas, amount.bytes);
        }
    }

    /// Moves uncertain stanzas to the answered ones.
    pub fn answer_uncertain(&mut self, amount: Amount) {
        for totals in self.totals.iter().flatten() {
            totals.figure(Outcome::Uncertain).subtract(amount.stanzas, amount.bytes);
            totals.figure(Outcome::Answered).add(amount.stanzas, amount.bytes);
        }
    }

    /// Records that stanzas are written, and that the peer will acknowledge them: `unacked` counts them on.
    pub fn write_unacked(&mut self, amount: Amount, unacked: &mut UnackedEntry) {
        let amount = self.deduct(amount);
        if unacked.totals.is_none() {
            unacked.totals.clone_from(&self.totals);
        }
        unacked.amount = unacked.amount.plus(amount);
        for totals in self.totals.iter().flatten() {
            totals.waiting.subtract(amount.stanzas, amount.bytes);
            totals.figure(Outcome::Written).add(amount.stanzas, amount.bytes);
            totals.unacked.add(amount.stanzas, amount.bytes);
        }
    }

    /// The peer has acknowledged stanzas that wait: they are being written, or wait again after their link was
    /// lost.
    pub fn acknowledge_waiting(&mut self, amount: Amount) {
        let amount = self.deduct(amount);
        for totals in self.totals.iter().flatten() {
            totals.waiting.subtract(amount.stanzas, amount.bytes);
            totals.figure(Outcome::Written).add(amount.stanzas, amount.bytes);
            totals.acknowledged.add(amount.stanzas, amount.bytes);
        }
    }

    /// Written stanzas that were not acknowledged wait again: their link is lost.
    pub fn take_back(&mut self, amount: Amount, unacked: &mut UnackedEntry) {
        let amount = unacked.deduct(amount);
        if self.totals.is_none() {
            self.totals.clone_from(&unacked.totals);
        }
        self.held = self.held.plus(amount);
        for totals in self.totals.iter().flatten() {
            totals.figure(Outcome::Written).subtract(amount.stanzas, amount.bytes);
            totals.waiting.add(amount.stanzas, amount.bytes);
        }
    }

    /// Counts stanzas that are sent again although the first copy may have arrived.
    pub fn repeat(&self, amount: Amount) {
        for totals in self.totals.iter().flatten() {
            totals.repeated.add(amount.stanzas, amount.bytes);
        }
    }

    /// Counts all of these stanzas as restored: they were taken in from the file of the journal.
    pub fn mark_restored(&self) {
        for totals in self.totals.iter().flatten() {
            totals.restored.add(self.held.stanzas, self.held.bytes);
        }
    }

    /// Counts stanzas that are given to the journal.
    pub fn journal(&self, amount: Amount) {
        for totals in self.totals.iter().flatten() {
            totals.journaled.add(amount.stanzas, amount.bytes);
        }
    }

    /// Counts the stanzas, which wait, for another domain than before.
    pub fn move_to(&mut self, domain: &Arc<Totals>) {
        let Some([_, current]) = &mut self.totals else { return };
        let Amount { stanzas, bytes } = self.held;
        for figure in [&current.taken, &current.waiting] {
            figure.subtract(stanzas, bytes);
        }
        for figure in [&domain.taken, &domain.waiting] {
            figure.add(stanzas, bytes);
        }
        *current = Arc::clone(domain);
    }

    /// Adds the stanzas of another entry for the same domain.
    pub fn merge(&mut self, mut other: Self) {
        if self.totals.is_none() {
            self.totals = other.totals.take();
        }
        self.held = self.held.plus(std::mem::take(&mut other.held));
    }

    /// Moves some of the stanzas to an entry of their own.
    pub fn split(&mut self, amount: Amount) -> Self {
        let held = self.deduct(amount);
        Self { totals: self.totals.clone(), held }
    }

    /// The amount that has no outcome yet.
    pub fn held(&self) -> Amount {
        self.held
    }

    /// An entry may count fewer stanzas than the queue has: those that the node itself made are not counted.
    fn deduct(&mut self, amount: Amount) -> Amount {
        let stanzas = amount.stanzas.min(self.held.stanzas);
        let bytes = amount.bytes.min(self.held.bytes);
        self.held.stanzas -= stanzas;
        self.held.bytes -= bytes;
        Amount { stanzas, bytes }
    }
}

impl UnackedEntry {
    /// The peer has acknowledged stanzas.
    pub fn acknowledge(&mut self, amount: Amount) {
        let amount = self.deduct(amount);
        for totals in self.totals.iter().flatten() {
            totals.acknowledged.add(amount.stanzas, amount.bytes);
        }
    }

    /// The peer will not acknowledge stanzas: they are written as on a stream without acknowledgements.
    pub fn expect_no_ack(&mut self, amount: Amount) {
        self.deduct(amount);
    }

    fn deduct(&mut self, amount: Amount) -> Amount {
        let stanzas = amount.stanzas.min(self.amount.stanzas);
        let bytes = amount.bytes.min(self.amount.bytes);
        self.amount.stanzas -= stanzas;
        self.amount.bytes -= bytes;
        for totals in self.totals.iter().flatten() {
            totals.unacked.subtract(stanzas, bytes);
        }
        Amount { stanzas, bytes }
    }
}

impl Drop for Entry {
    /// Stanzas without an outcome count as unaccounted: the difference of the account.
    fn drop(&mut self) {
        let Amount { stanzas, bytes } = self.held;
        if self.held != Amount::default() {
            for totals in self.totals.iter().flatten() {
                totals.waiting.subtract(stanzas, bytes);
                totals.unaccounted.add(stanzas, bytes);
            }
        }
    }
}

impl Drop for UnackedEntry {
    /// Stanzas without an acknowledgement, of a session that panicked, count as unaccounted.
    fn drop(&mut self) {
        // They wait for a moment, and are dropped without an outcome.
        Entry::none().take_back(self.amount, self);
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Entry").field(&self.held).finish()
    }
}
