//! Stanzas on their way through the node: moved many at a time, and never more than their source was given leave for.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Instant,
};

use tokio::sync::OwnedSemaphorePermit;
use xmpp::{Domain, DomainPair, Stanza, stanza};

use crate::flow::ledger::{LedgerEntry, Outcome};
use status::amount::Amount;

/// Leave to read on. It travels with what one read brought; once everybody who got a part of it has taken that part
/// into an account of his own and dropped the pass, the source reads again. So TCP is the back-pressure, and what is
/// between the actors is bounded by what the sources may read at once.
#[derive(Clone, Debug, Default)]
pub struct ReadPermit {
    permit: Option<Arc<OwnedSemaphorePermit>>,
}

impl ReadPermit {
    /// A pass that gives the permit back when the last clone is dropped.
    pub fn new(permit: OwnedSemaphorePermit) -> Self {
        Self { permit: Some(Arc::new(permit)) }
    }

    /// Looks on, without holding it.
    pub fn watch(&self) -> Watch {
        Watch { permit: self.permit.as_ref().map(Arc::downgrade).unwrap_or_default() }
    }

    /// For stanzas of the node's own, which nobody waits to read.
    pub fn free() -> Self {
        Self::default()
    }
}

/// Tells whether a pass is still held by somebody.
#[derive(Debug, Default)]
pub struct Watch {
    permit: Weak<OwnedSemaphorePermit>,
}

impl Watch {
    /// Whether the source may not read yet.
    pub fn is_held(&self) -> bool {
        self.permit.strong_count() > 0
    }
}

/// Stanzas from one domain to another, in order.
#[derive(Debug)]
pub struct Batch {
    /// The domain of every `from` in it.
    pub from: Domain,
    /// The domain of every `to` in it.
    pub to: Domain,
    /// At least one.
    pub stanzas: Vec<Stanza>,
    /// When they came: their time runs from then on, through every change of hands.
    pub since: Instant,
    /// Held until they are accounted for.
    pub pass: ReadPermit,
    /// Their source has others to write to, who are held up with it.
    pub shared: bool,
    /// On which what becomes of them is written.
    pub slip: LedgerEntry,
    /// Error answers on their way back: held back as long as it takes, never refused. They were paid for with the pass
    /// of the stanzas that they answer, so who does not take his answers is not read either.
    pub returning: bool,
}

impl Batch {
    /// One stanza of the node's own.
    pub fn of(stanza: Stanza) -> Self {
        Self::between(stanza.from_domain().clone(), stanza.to_domain().clone(), vec![stanza])
    }

    /// Stanzas of the node's own, or not yet taken in.
    pub fn between(from: Domain, to: Domain, stanzas: Vec<Stanza>) -> Self {
        let since = clock::now();
        Self {
            from,
            to,
            stanzas,
            since,
            pass: ReadPermit::free(),
            shared: false,
            slip: LedgerEntry::none(),
            returning: false,
        }
    }

    /// The pair of a batch that leaves the node.
    pub fn pair(&self) -> DomainPair {
        DomainPair { local: self.from.clone(), remote: self.to.clone() }
    }

    /// How many there are and what they weigh.
    pub fn amount(&self) -> Amount {
        Amount::of(&self.stanzas)
    }

    /// Takes the stanzas past the first `count` into a batch of their own.
    pub fn split_off(&mut self, count: usize) -> Self {
        let stanzas = self.stanzas.split_off(count);
        self.part(stanzas)
    }

    /// Takes those stanzas into a batch of their own; the order within each is kept.
    pub fn extract(&mut self, wanted: impl FnMut(&Stanza) -> bool) -> Self {
        let (stanzas, left) = std::mem::take(&mut self.stanzas).into_iter().partition(wanted);
        self.stanzas = left;
        self.part(stanzas)
    }

    fn part(&mut self, stanzas: Vec<Stanza>) -> Self {
        let slip = self.slip.split(Amount::of(&stanzas));
        let pass = self.pass.clone();
        Self {
            since: self.since,
            pass,
            shared: self.shared,
            slip,
            returning: self.returning,
            ..Self::between(self.from.clone(), self.to.clone(), stanzas)
        }
    }

    /// Lets the source read on, though they are still held.
    pub fn release(&mut self) {
        self.pass = ReadPermit::free();
    }

    /// Makes the error answers to those that may be answered, and lets the others go (RFC 6120 8.3.1). `outcome` is
    /// what becomes of an answered one.
    pub fn into_answers(mut self, error: &stanza::Error, outcome: Outcome) -> Answers {
        let mut answers = Vec::new();
        for stanza in &self.stanzas {
            if let Some(answer) = stanza.bounce(error) {
                self.slip.settle(outcome, Amount::of([stanza]));
                answers.push(answer);
            }
        }
        let dropped = self.stanzas.len() - answers.len();
        self.slip.bounced(error.condition, answers.len());
        self.slip.settle_rest(Outcome::Dropped);
        Answers { stanzas: answers, pass: self.pass, dropped }
    }
}

/// The error answers to a batch.
#[derive(Debug)]
pub struct Answers {
    /// One for each stanza that may be answered.
    pub stanzas: Vec<Stanza>,
    /// That of the batch.
    pub pass: ReadPermit,
    /// Stanzas that may not be answered.
    pub dropped: usize,
}

/// A stanza that somebody keeps, and whether it was taken in or is the node's own.
#[derive(Debug)]
pub struct Kept {
    /// It.
    pub stanza: Stanza,
    /// It stands on the keeper's slip.
    pub taken: bool,
    /// When it came.
    pub since: Instant,
}

impl Kept {
    /// What it adds to an account: nothing, when it is the node's own.
    pub fn amount(&self) -> Amount {
        if self.taken { Amount::of([&self.stanza]) } else { Amount::default() }
    }
}

/// Makes batches of kept stanzas, in order; those that stand on `slip` are taken off it.
pub fn batches(kept: impl IntoIterator<Item = Kept>, slip: &mut LedgerEntry) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    let mut last_taken = false;
    for Kept { stanza, taken, since } in kept {
        let part = if taken { slip.split(Amount::of([&stanza])) } else { LedgerEntry::none() };
        match batches.last_mut() {
            Some(batch)
                if last_taken == taken
                    && batch.since == since
                    && batch.from == *stanza.from_domain()
                    && batch.to == *stanza.to_domain() =>
            {
                batch.stanzas.push(stanza);
                batch.slip.merge(part);
            }
            _ => batches.push(Batch { slip: part, since, ..Batch::of(stanza) }),
        }
        last_taken = taken;
    }
    batches
}

/// Sorts what one read brought by where it comes from and goes to; the order within each is kept.
pub fn sort(stanzas: Vec<Stanza>, pass: &ReadPermit) -> Vec<Batch> {
    let Some(first) = stanzas.first() else { return Vec::new() };
    let (from, to) = (first.from_domain().clone(), first.to_domain().clone());
    if stanzas.iter().all(|stanza| *stanza.from_domain() == from && *stanza.to_domain() == to) {
        // As most reads are: nothing has to be moved.
        return vec![Batch { pass: pass.clone(), ..Batch::between(from, to, stanzas) }];
    }
    let mut batches: Vec<Batch> = Vec::new();
    // One conversation dominates most reads: the batch of the stanza before is looked at first.
    let mut index: HashMap<(Domain, Domain), usize> = HashMap::new();
    let mut last = usize::MAX;
    for stanza in stanzas {
        let (from, to) = (stanza.from_domain(), stanza.to_domain());
        if !batches.get(last).is_some_and(|batch| batch.from == *from && batch.to == *to) {
            let (from, to) = (from.clone(), to.clone());
            last = *index.entry((from.clone(), to.clone())).or_insert_with(|| {
                batches.push(Batch { pass: pass.clone(), ..Batch::between(from, to, Vec::new()) });
                batches.len() - 1
            });
        }
        if let Some(batch) = batches.get_mut(last) {
            batch.stanzas.push(stanza);
        }
    }
    batches
}
