//! What became of every stanza that was taken in.
//!
//! A stanza is taken in when the router accepts it, and entered under the domain it is for. From then on it is on a
//! [`LedgerEntry`], which travels with its batch and lies with whoever holds the stanzas; every outcome is written on it.
//! At every instant `taken = written + uncertain + answered + expired + dropped + waiting`, and the difference between
//! the two sides is what somebody let fall without a word: always 0, or a bug. It is counted where it happens, since
//! figures that move cannot be read all at one instant.
//!
//! The figures are relaxed atomics in a shared sheet, like the gauges of the mailboxes: they measure, and nobody
//! decides by them.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use xmpp::stanza::{Condition, Reason};

use status::{amount::Amount, report::Figures};

/// What can become of a stanza.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Given to the kernel whole, on a link that stood.
    Written,
    /// On the wire, or lately written, when its link did not end in good order: it may have arrived.
    Uncertain,
    /// Answered with an error.
    Answered,
    /// Its time to wait was over: answered with an error, if it may be answered.
    Expired,
    /// Let go by a rule: an error, a result or a presence that nobody wants, a presence replaced by a newer one, a
    /// stanza that the node itself handled, or one that its stream refused and that may not be answered.
    Dropped,
}

/// Stanzas and their bytes.
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

/// The figures of one domain, or of all.
#[derive(Debug, Default)]
pub struct Totals {
    taken: Figure,
    waiting: Figure,
    outcomes: [Figure; 5],
    /// Let fall without an outcome.
    fallen: Figure,
    /// Stanzas that their stream refused, in the order of [`Reason::ALL`].
    refused: [AtomicU64; Reason::ALL.len()],
    /// Error answers by condition, in the order of [`CONDITIONS`]; the last is all others.
    bounces: [AtomicU64; CONDITIONS.len() + 1],
}

impl Totals {
    /// What has been taken in since the start.
    pub fn taken(&self) -> Amount {
        self.taken.read()
    }

    /// What has come to this end.
    pub fn settled(&self, outcome: Outcome) -> Amount {
        self.figure(outcome).read()
    }

    /// What is held somewhere in the node.
    pub fn waiting(&self) -> Amount {
        self.waiting.read()
    }

    /// Error answers by their condition.
    pub fn bounces(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let names = CONDITIONS.iter().map(|condition| condition.as_str()).chain(["other"]);
        names.zip(self.bounces.iter().map(|count| count.load(Relaxed)))
    }

    /// Stanzas that their stream refused, by the reason.
    pub fn refused(&self) -> impl Iterator<Item = (Reason, u64)> {
        Reason::ALL.iter().copied().zip(self.refused.iter().map(|count| count.load(Relaxed)))
    }

    /// What was taken in and is accounted for nowhere: nothing, or a bug.
    pub fn difference(&self) -> Amount {
        self.fallen.read()
    }

    /// Writes the account's line.
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

/// Stanzas that somebody holds and answers for. Stanzas of the node's own, its answers, are on no sheet.
#[derive(Default)]
pub struct LedgerEntry {
    sheets: Option<[Arc<Totals>; 2]>,
    held: Amount,
}

impl LedgerEntry {
    /// Takes stanzas in: on the sheet of all and on that of the domain they are for.
    pub fn take_in(all: &Arc<Totals>, domain: &Arc<Totals>, amount: Amount) -> Self {
        for sheet in [all, domain] {
            sheet.taken.add(amount.stanzas, amount.bytes);
            sheet.waiting.add(amount.stanzas, amount.bytes);
        }
        Self { sheets: Some([Arc::clone(all), Arc::clone(domain)]), held: amount }
    }

    /// For stanzas of the node's own.
    pub fn none() -> Self {
        Self::default()
    }

    /// Writes down what became of some of the stanzas.
    pub fn settle(&mut self, outcome: Outcome, amount: Amount) {
        let amount = self.deduct(amount);
        for sheet in self.sheets.iter().flatten() {
            sheet.waiting.subtract(amount.stanzas, amount.bytes);
            sheet.figure(outcome).add(amount.stanzas, amount.bytes);
        }
    }

    /// Writes down with which condition stanzas were answered.
    pub fn bounced(&self, condition: Condition, answers: usize) {
        let place = CONDITIONS.iter().position(|known| *known == condition).unwrap_or(CONDITIONS.len());
        if let Some(count) = self.sheets.iter().flatten().next().and_then(|all| all.bounces.get(place)) {
            count.fetch_add(answers as u64, Relaxed);
        }
    }

    /// Writes down why stanzas were refused by their stream, and with which condition some of them were answered.
    pub fn refused(&self, reason: Reason, answered: Amount, dropped: Amount) {
        let place = Reason::ALL.iter().position(|known| *known == reason);
        let all = self.sheets.iter().flatten().next();
        if let Some(count) = all.and_then(|all| all.refused.get(place?)) {
            count.fetch_add(answered.stanzas + dropped.stanzas, Relaxed);
        }
        let answers = usize::try_from(answered.stanzas).unwrap_or(usize::MAX);
        self.bounced(reason.error("").condition, answers);
    }

    /// Writes down what became of all that is left.
    pub fn settle_rest(&mut self, outcome: Outcome) {
        self.settle(outcome, self.held);
    }

    /// Takes back that some stanzas were written: nobody knows whether they arrived.
    pub fn doubt(&mut self, amount: Amount) {
        for sheet in self.sheets.iter().flatten() {
            sheet.figure(Outcome::Written).subtract(amount.stanzas, amount.bytes);
            sheet.figure(Outcome::Uncertain).add(amount.stanzas, amount.bytes);
        }
    }

    /// Writes down that some of the stanzas that may not have arrived were answered with an error.
    pub fn answer_doubtful(&mut self, amount: Amount) {
        for sheet in self.sheets.iter().flatten() {
            sheet.figure(Outcome::Uncertain).subtract(amount.stanzas, amount.bytes);
            sheet.figure(Outcome::Answered).add(amount.stanzas, amount.bytes);
        }
    }

    /// Puts the stanzas of another slip for the same domain on this one.
    pub fn merge(&mut self, mut other: Self) {
        if self.sheets.is_none() {
            self.sheets = other.sheets.take();
            self.held = std::mem::take(&mut other.held);
            return;
        }
        let held = std::mem::take(&mut other.held);
        self.held.stanzas += held.stanzas;
        self.held.bytes += held.bytes;
    }

    /// Takes some of the stanzas off, onto a slip of their own.
    pub fn split(&mut self, amount: Amount) -> Self {
        let held = self.deduct(amount);
        Self { sheets: self.sheets.clone(), held }
    }

    /// What is left on it.
    pub fn held(&self) -> Amount {
        self.held
    }

    /// A slip may stand for fewer stanzas than lie beside it: those of the node's own are on none.
    fn deduct(&mut self, amount: Amount) -> Amount {
        let stanzas = amount.stanzas.min(self.held.stanzas);
        let bytes = amount.bytes.min(self.held.bytes);
        self.held.stanzas -= stanzas;
        self.held.bytes -= bytes;
        Amount { stanzas, bytes }
    }
}

impl Drop for LedgerEntry {
    /// What is dropped unsettled waits no longer, and has no outcome: the account's difference.
    fn drop(&mut self) {
        let Amount { stanzas, bytes } = self.held;
        if self.held != Amount::default() {
            for sheet in self.sheets.iter().flatten() {
                sheet.waiting.subtract(stanzas, bytes);
                sheet.fallen.add(stanzas, bytes);
            }
        }
    }
}

impl fmt::Debug for LedgerEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LedgerEntry").field(&self.held).finish()
    }
}

/// Those of the INTERFACE's table of stanzas that cannot be delivered.
const CONDITIONS: [Condition; 6] = [
    Condition::RemoteServerNotFound,
    Condition::RemoteServerTimeout,
    Condition::InternalServerError,
    Condition::NotAllowed,
    Condition::ResourceConstraint,
    Condition::ServiceUnavailable,
];

impl From<&Totals> for Figures {
    fn from(sheet: &Totals) -> Self {
        Self {
            taken: sheet.taken(),
            written: sheet.settled(Outcome::Written),
            uncertain: sheet.settled(Outcome::Uncertain),
            answered: sheet.settled(Outcome::Answered),
            expired: sheet.settled(Outcome::Expired),
            dropped: sheet.settled(Outcome::Dropped),
            waiting: sheet.waiting(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> (Arc<Totals>, LedgerEntry) {
        let all = Arc::new(Totals::default());
        let slip = LedgerEntry::take_in(&all, &Arc::default(), Amount { stanzas: 3, bytes: 300 });
        (all, slip)
    }

    const ONE: Amount = Amount { stanzas: 1, bytes: 100 };

    const NOTHING: Amount = Amount { stanzas: 0, bytes: 0 };

    /// Both sides of the account.
    fn sides(sheet: &Totals) -> (Amount, Amount) {
        let settled = sheet.outcomes.iter().map(Figure::read).fold(Amount::default(), Amount::plus);
        (sheet.taken(), settled.plus(sheet.waiting()).plus(sheet.difference()))
    }

    #[test]
    fn every_instant_adds_up() {
        let (all, mut slip) = three();
        assert_eq!((all.waiting().stanzas, all.difference()), (3, NOTHING));
        slip.settle(Outcome::Written, ONE);
        assert_eq!((all.waiting(), all.difference()), (Amount { stanzas: 2, bytes: 200 }, NOTHING));
        let mut other = slip.split(ONE);
        other.settle_rest(Outcome::Answered);
        slip.settle_rest(Outcome::Expired);
        drop((slip, other));
        assert_eq!((all.waiting(), all.difference()), (NOTHING, NOTHING));
        assert_eq!(all.settled(Outcome::Answered), ONE);
        assert_eq!(sides(&all).0, sides(&all).1);
    }

    #[test]
    fn a_stanza_that_is_let_fall_shows_as_a_difference() {
        let (all, mut slip) = three();
        slip.settle(Outcome::Written, ONE);
        drop(slip);
        assert_eq!((all.waiting(), all.difference()), (NOTHING, Amount { stanzas: 2, bytes: 200 }));
        assert_eq!(sides(&all).0, sides(&all).1);
    }

    #[test]
    fn slips_of_one_domain_can_be_put_together() {
        let (all, mut slip) = three();
        let mut whole = LedgerEntry::none();
        whole.merge(slip.split(ONE));
        whole.merge(slip);
        whole.settle_rest(Outcome::Written);
        assert_eq!((all.settled(Outcome::Written).stanzas, all.difference()), (3, NOTHING));
    }
}
