//! The ledger: counts the outcome of every stanza that the router accepted.
//!
//! The router takes a stanza in and counts it for the destination domain. From then on a [`LedgerEntry`]
//! counts it; the entry moves with the stanza from batch to queue, and records its outcome. At every moment
//! `taken = written + uncertain + answered + expired + dropped + waiting`. The difference between both sides
//! is the number of stanzas that were dropped without an outcome: 0, or a bug. It is counted where it
//! happens, because counters that change cannot all be read at one moment.
//!
//! The totals are shared relaxed atomics, like the gauges of the mailboxes: they are for reports, and no
//! decision depends on them.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use xmpp::stanza::{Condition, Reason};

use status::{amount::Amount, report::Account};

/// The outcome of a stanza.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The kernel has all of its bytes, and the link was up.
    Written,
    /// It was being written, or was written lately, when its link broke: it may have arrived.
    Uncertain,
    /// Answered with an error.
    Answered,
    /// It has waited for too long: answered with an error, if it may be answered.
    Expired,
    /// Dropped by a rule: an error, result or presence that cannot be delivered, a presence replaced by a
    /// newer one, a stanza that the node itself handled, or a refused stanza that may not be answered.
    Dropped,
}

/// A number of stanzas, and of their bytes.
#[derive(Debug, Default)]
struct Figure {
    stanzas: AtomicU64,
    bytes: AtomicU64,
}

impl Figure {
    fn add(&self, stanzas: u64, bytes: u64) {
        self.stanzas.fetch_add(stanzas, Relaxed);
        self.bytes.fetch_add(bytes, Relaxed);
    }

    fn subtract(&self, stanzas: u64, bytes: u64) {
        self.stanzas.fetch_sub(stanzas, Relaxed);
        self.bytes.fetch_sub(bytes, Relaxed);
    }

    fn read(&self) -> Amount {
        Amount { stanzas: self.stanzas.load(Relaxed), bytes: self.bytes.load(Relaxed) }
    }
}

/// The totals of one domain, or of all.
#[derive(Debug, Default)]
pub struct Totals {
    taken: Figure,
    waiting: Figure,
    outcomes: [Figure; 5],
    /// Dropped without an outcome.
    unaccounted: Figure,
    /// Stanzas that their stream refused, in the order of [`Reason::ALL`].
    refused: [AtomicU64; Reason::ALL.len()],
    /// Error answers by condition, in the order of [`CONDITIONS`]; the last is all others.
    bounces: [AtomicU64; CONDITIONS.len() + 1],
}

impl Totals {
    /// The amount that was taken in since the start.
    pub fn taken(&self) -> Amount {
        self.taken.read()
    }

    /// The amount with this outcome.
    pub fn settled(&self, outcome: Outcome) -> Amount {
        self.figure(outcome).read()
    }

    /// The amount that is in the node.
    pub fn waiting(&self) -> Amount {
        self.waiting.read()
    }

    /// Error answers by condition.
    pub fn bounces(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let names = CONDITIONS.iter().map(|condition| condition.as_str()).chain(["other"]);
        names.zip(self.bounces.iter().map(|count| count.load(Relaxed)))
    }

    /// Stanzas that their stream refused, by reason.
    pub fn refused(&self) -> impl Iterator<Item = (Reason, u64)> {
        Reason::ALL.iter().copied().zip(self.refused.iter().map(|count| count.load(Relaxed)))
    }

    /// The amount that was dropped without an outcome: 0, or a bug.
    pub fn difference(&self) -> Amount {
        self.unaccounted.read()
    }

    /// Logs the totals.
    pub fn log(&self, domain: &str) {
        let count = |outcome| self.settled(outcome).stanzas;
        log::info!(
            target: "nuncio::account",
            domain = domain,
            taken = self.taken().stanzas,
            taken_bytes = self.taken().bytes,
            written = count(Outcome::Written),
            uncertain = count(Outcome::Uncertain),
            answered = count(Outcome::Answered),
            expired = count(Outcome::Expired),
            dropped = count(Outcome::Dropped),
            waiting = self.waiting().stanzas,
            waiting_bytes = self.waiting().bytes,
            difference = self.difference().stanzas,
            difference_bytes = self.difference().bytes;
            "account"
        );
    }

    fn figure(&self, outcome: Outcome) -> &Figure {
        let [written, uncertain, answered, expired, dropped] = &self.outcomes;
        match outcome {
            Outcome::Written => written,
            Outcome::Uncertain => uncertain,
            Outcome::Answered => answered,
            Outcome::Expired => expired,
            Outcome::Dropped => dropped,
        }
    }
}

/// Counts the stanzas in one place. Stanzas that the node itself makes, such as error answers, are not
/// counted.
#[derive(Default)]
pub struct LedgerEntry {
    /// Those of all domains, and those of the destination.
    totals: Option<[Arc<Totals>; 2]>,
    held: Amount,
}

impl LedgerEntry {
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

    /// Records the outcome of some of the stanzas.
    pub fn settle(&mut self, outcome: Outcome, amount: Amount) {
        let amount = self.deduct(amount);
        for totals in self.totals.iter().flatten() {
            totals.waiting.subtract(amount.stanzas, amount.bytes);
            totals.figure(outcome).add(amount.stanzas, amount.bytes);
        }
    }

    /// Counts error answers by condition.
    pub fn bounced(&self, condition: Condition, answers: usize) {
        let index = CONDITIONS.iter().position(|known| *known == condition).unwrap_or(CONDITIONS.len());
        if let Some(count) = self.totals.iter().flatten().next().and_then(|all| all.bounces.get(index)) {
            count.fetch_add(answers as u64, Relaxed);
        }
    }

    /// Counts stanzas that their stream refused, and the error answers to some of them.
    pub fn refused(&self, reason: Reason, answered: Amount, dropped: Amount) {
        let index = Reason::ALL.iter().position(|known| *known == reason);
        let all = self.totals.iter().flatten().next();
        if let Some(count) = all.and_then(|all| all.refused.get(index?)) {
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

    /// Moves uncertain stanzas to the answered ones.
    pub fn answer_uncertain(&mut self, amount: Amount) {
        for totals in self.totals.iter().flatten() {
            totals.figure(Outcome::Uncertain).subtract(amount.stanzas, amount.bytes);
            totals.figure(Outcome::Answered).add(amount.stanzas, amount.bytes);
        }
    }

    /// Adds the stanzas of another entry for the same domain.
    pub fn merge(&mut self, mut other: Self) {
        if self.totals.is_none() {
            self.totals = other.totals.take();
            self.held = std::mem::take(&mut other.held);
            return;
        }
        let held = std::mem::take(&mut other.held);
        self.held.stanzas += held.stanzas;
        self.held.bytes += held.bytes;
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

impl Drop for LedgerEntry {
    /// Stanzas without an outcome count as unaccounted: the difference of the ledger.
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

impl fmt::Debug for LedgerEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LedgerEntry").field(&self.held).finish()
    }
}

/// The conditions of error answers for stanzas that cannot be delivered, which are counted separately.
const CONDITIONS: [Condition; 6] = [
    Condition::RemoteServerNotFound,
    Condition::RemoteServerTimeout,
    Condition::InternalServerError,
    Condition::NotAllowed,
    Condition::ResourceConstraint,
    Condition::ServiceUnavailable,
];

impl From<&Totals> for Account {
    fn from(totals: &Totals) -> Self {
        Self {
            taken: totals.taken(),
            written: totals.settled(Outcome::Written),
            acknowledged: Amount::default(),
            unacked: Amount::default(),
            uncertain: totals.settled(Outcome::Uncertain),
            repeated: Amount::default(),
            answered: totals.settled(Outcome::Answered),
            expired: totals.settled(Outcome::Expired),
            dropped: totals.settled(Outcome::Dropped),
            waiting: totals.waiting(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> (Arc<Totals>, LedgerEntry) {
        let all = Arc::new(Totals::default());
        let entry = LedgerEntry::take_in(&all, &Arc::default(), Amount { stanzas: 3, bytes: 300 });
        (all, entry)
    }

    const ONE: Amount = Amount { stanzas: 1, bytes: 100 };

    const NOTHING: Amount = Amount { stanzas: 0, bytes: 0 };

    /// Both sides of the ledger.
    fn sides(totals: &Totals) -> (Amount, Amount) {
        let settled = totals.outcomes.iter().map(Figure::read).fold(Amount::default(), Amount::plus);
        (totals.taken(), settled.plus(totals.waiting()).plus(totals.difference()))
    }

    #[test]
    fn the_ledger_balances_at_every_moment() {
        let (all, mut entry) = three();
        assert_eq!((all.waiting().stanzas, all.difference()), (3, NOTHING));
        entry.settle(Outcome::Written, ONE);
        assert_eq!((all.waiting(), all.difference()), (Amount { stanzas: 2, bytes: 200 }, NOTHING));
        let mut other = entry.split(ONE);
        other.settle_rest(Outcome::Answered);
        entry.settle_rest(Outcome::Expired);
        drop((entry, other));
        assert_eq!((all.waiting(), all.difference()), (NOTHING, NOTHING));
        assert_eq!(all.settled(Outcome::Answered), ONE);
        assert_eq!(sides(&all).0, sides(&all).1);
    }

    #[test]
    fn a_stanza_without_an_outcome_shows_as_a_difference() {
        let (all, mut entry) = three();
        entry.settle(Outcome::Written, ONE);
        drop(entry);
        assert_eq!((all.waiting(), all.difference()), (NOTHING, Amount { stanzas: 2, bytes: 200 }));
        assert_eq!(sides(&all).0, sides(&all).1);
    }

    #[test]
    fn entries_of_one_domain_can_be_merged() {
        let (all, mut entry) = three();
        let mut whole = LedgerEntry::none();
        whole.merge(entry.split(ONE));
        whole.merge(entry);
        whole.settle_rest(Outcome::Written);
        assert_eq!((all.settled(Outcome::Written).stanzas, all.difference()), (3, NOTHING));
    }
}
