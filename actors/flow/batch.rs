//! Batches of stanzas on their way through the node, and the read permits that bound them.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Instant,
    vec,
};

use cluster::ferry::Ranges;
use journal::record::Flags;
use tokio::sync::OwnedSemaphorePermit;
use xmpp::{Domain, DomainPair, Stanza, stanza};

use crate::flow::{
    account::{self, Outcome},
    journal::{Group, Place, Places, PlacesOf, Receipt, is_worth_keeping},
};
use status::amount::Amount;

/// A read permit. Every batch made from one read holds a clone; the socket is read again when the last clone
/// is dropped. An actor drops it once it has counted the stanzas in a queue of its own. So TCP carries the
/// back-pressure, and the stanzas in mailboxes are bounded by one read of each stream.
#[derive(Clone, Debug, Default)]
pub struct ReadPermit {
    permit: Option<Arc<OwnedSemaphorePermit>>,
}

impl ReadPermit {
    /// Gives the semaphore's permit back when the last clone is dropped.
    pub fn new(permit: OwnedSemaphorePermit) -> Self {
        Self { permit: Some(Arc::new(permit)) }
    }

    /// Watches the permit without holding it.
    pub fn watch(&self) -> Watch {
        Watch { permit: self.permit.as_ref().map(Arc::downgrade).unwrap_or_default() }
    }

    /// For stanzas that the node itself makes: no socket waits for them.
    pub fn free() -> Self {
        Self::default()
    }
}

/// Watches a read permit without holding it.
#[derive(Debug, Default)]
pub struct Watch {
    permit: Weak<OwnedSemaphorePermit>,
}

impl Watch {
    /// Whether a clone of the permit still exists, so that the socket is not read.
    pub fn is_held(&self) -> bool {
        self.permit.strong_count() > 0
    }
}

/// Stanzas from one domain to another, in order.
#[derive(Debug)]
pub struct Batch {
    /// The domain in every `from`.
    pub from: Domain,
    /// The domain in every `to`.
    pub to: Domain,
    /// At least one.
    pub stanzas: Vec<Stanza>,
    /// When they were read. Their time to wait is counted from here, in whichever queue they are.
    pub since: Instant,
    /// Held until they are counted in a queue.
    pub permit: ReadPermit,
    /// Counts them, and their outcome.
    pub entry: account::Entry,
    /// Error answers on their way back: no mailbox refuses them. They hold the read permit of the stanzas that they
    /// answer until they are in a queue.
    pub returning: bool,
    /// How often each of them was sent.
    pub sends: Sends,
    /// Their places in the journal.
    pub(crate) places: Places,
    /// Held until they are settled or in the journal.
    pub(crate) receipt: Receipt,
}

/// How often a stanza was sent on links with acknowledgements (XEP-0198), and whether it may have arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sends {
    /// On so many links. One that ended because of the stanza counts twice.
    pub times: u8,
    /// A link was lost after it was sent, and the peer does not know whether it got it.
    pub may_have_arrived: bool,
}

impl Sends {
    /// The number of links on which a stanza is sent at most, if it is unknown whether it arrived, or the peer's stream error is about it: it may
    /// be the reason why they end.
    const MOST: u8 = 3;

    /// The same for the first stanza that the peer has not handled, if the peer knows its count and blames none. Most
    /// often the network ends such links.
    const MOST_WITH_COUNT: u8 = 8;

    /// Whether it is not to be sent any more. `is_innocent`: the peer knows its count, and has not ended the stream
    /// because of a stanza.
    pub(crate) fn is_exhausted(self, is_innocent: bool) -> bool {
        self.times >= if is_innocent { Self::MOST_WITH_COUNT } else { Self::MOST }
    }

    /// Whether it is to be sent once more at most.
    pub(crate) fn is_last(self) -> bool {
        self.times >= Self::MOST - 1
    }

    /// Counts one link less: it did not end because of this stanza.
    pub(crate) fn discount(&mut self) {
        self.times = self.times.saturating_sub(1);
    }

    /// Counts one more link.
    pub(crate) fn count(&mut self) {
        self.times = self.times.saturating_add(1);
    }
}

impl Batch {
    /// One stanza that the node itself made.
    pub fn of(stanza: Stanza) -> Self {
        Self::between(stanza.from_domain().clone(), stanza.to_domain().clone(), vec![stanza])
    }

    /// Stanzas that the node itself made, or that are not in the account yet.
    pub fn between(from: Domain, to: Domain, stanzas: Vec<Stanza>) -> Self {
        let since = clock::now();
        Self {
            from,
            to,
            stanzas,
            since,
            permit: ReadPermit::free(),
            entry: account::Entry::none(),
            returning: false,
            sends: Sends::default(),
            places: Places::default(),
            receipt: Receipt::default(),
        }
    }

    /// The domain pair of a batch that leaves the node.
    pub fn pair(&self) -> DomainPair {
        DomainPair { local: self.from.clone(), remote: self.to.clone() }
    }

    /// The number of stanzas and bytes.
    pub fn amount(&self) -> Amount {
        Amount::of(&self.stanzas)
    }

    /// Splits off the stanzas after the first `count`.
    pub fn split_off(&mut self, count: usize) -> Self {
        let stanzas = self.stanzas.split_off(count);
        let places = self.places.split_off(count);
        self.part(stanzas, places)
    }

    /// Splits off the `wanted` stanzas. The order within each part is kept.
    pub fn extract(&mut self, mut wanted: impl FnMut(&Stanza) -> bool) -> Self {
        let (mut stanzas, mut places) = (Vec::new(), Places::default());
        for (stanza, place) in self.take_stanzas() {
            if wanted(&stanza) {
                places.push(stanzas.len(), place);
                stanzas.push(stanza);
            } else {
                self.push(stanza, place);
            }
        }
        self.part(stanzas, places)
    }

    /// Takes out all stanzas, each with its place in the journal.
    pub(crate) fn take_stanzas(&mut self) -> Taken {
        let stanzas = std::mem::take(&mut self.stanzas);
        let places = std::mem::take(&mut self.places).of(stanzas.len());
        Taken { stanzas: stanzas.into_iter(), places }
    }

    /// Adds a stanza with its place in the journal.
    pub(crate) fn push(&mut self, stanza: Stanza, place: Place) {
        self.places.push(self.stanzas.len(), place);
        self.stanzas.push(stanza);
    }

    fn part(&mut self, stanzas: Vec<Stanza>, places: Places) -> Self {
        let entry = self.entry.split(Amount::of(&stanzas));
        Self { places, ..self.with(stanzas, entry) }
    }

    /// A batch like this one with other stanzas, which `entry` counts.
    pub(crate) fn with(&self, stanzas: Vec<Stanza>, entry: account::Entry) -> Self {
        let permit = self.permit.clone();
        Self {
            since: self.since,
            permit,
            entry,
            returning: self.returning,
            sends: self.sends,
            receipt: self.receipt.clone(),
            ..Self::between(self.from.clone(), self.to.clone(), stanzas)
        }
    }

    /// Lets the socket be read again, though the stanzas still wait.
    pub fn release(&mut self) {
        self.permit = ReadPermit::free();
    }

    /// Gives the journal the stanzas that it does not have, as far as it keeps such stanzas. From then on nobody waits for the
    /// others.
    pub(crate) fn journal(&mut self, may_have_arrived: bool, group: &mut Group<'_>) {
        if self.receipt.is_of_a_parcel() {
            return;
        }
        let taken = self.entry.held().stanzas > 0;
        let (since, sends, mut written) = (self.since, self.sends, Amount::default());
        for (stanza, place) in self.take_stanzas() {
            let receipt = self.receipt.of(&stanza);
            let mut kept = Kept { stanza, taken, since, sends, place, receipt };
            written = written.plus(kept.journal(may_have_arrived, group));
            self.push(kept.stanza, kept.place);
        }
        self.receipt = Receipt::default();
        self.entry.journal(written);
    }

    /// Takes over stanzas that another node has lent: they are settled there.
    pub(crate) fn keep_lent(&mut self) {
        self.receipt = Receipt::default();
        self.places = Places::default();
    }

    /// Gives stanzas that another node has lent back to it: they are not delivered here, and it decides about them.
    pub(crate) fn give_back(mut self) {
        let (mut numbers, amount) = (Some(Ranges::new()), self.amount());
        for (_, place) in self.take_stanzas() {
            numbers = match (place, numbers) {
                (Place::Lent(number), Some(mut numbers)) => {
                    numbers.insert(number, number);
                    Some(numbers)
                }
                _ => None,
            };
        }
        self.receipt.give_back(numbers, amount);
    }

    /// Copies the bytes of the stanzas, so that they keep no other memory.
    pub(crate) fn detach(&mut self) {
        for stanza in &mut self.stanzas {
            *stanza = stanza.clone().detached();
        }
    }

    /// Makes error answers to the stanzas that may be answered, and drops the others (RFC 6120 section
    /// 8.3.1). `outcome` is that of the answered ones.
    ///
    /// Stanzas that another node takes back are dropped: they are answered there.
    pub fn into_answers(mut self, error: &stanza::Error, outcome: Outcome) -> Answers {
        if !self.receipt.admits(clock::now()) {
            return Answers { stanzas: Vec::new(), permit: self.permit, dropped: self.stanzas.len() };
        }
        let mut answers = Vec::new();
        for stanza in &self.stanzas {
            if let Some(answer) = stanza.bounce(error) {
                self.entry.settle(outcome, Amount::of([stanza]));
                answers.push(answer);
            }
        }
        let dropped = self.stanzas.len() - answers.len();
        self.entry.bounced(error.condition, answers.len());
        self.entry.settle_rest(Outcome::Dropped);
        Answers { stanzas: answers, permit: self.permit, dropped }
    }
}

/// The stanzas of a batch with their places in the journal.
#[derive(Debug)]
pub(crate) struct Taken {
    stanzas: vec::IntoIter<Stanza>,
    /// One for each stanza.
    places: PlacesOf,
}

impl Iterator for Taken {
    type Item = (Stanza, Place);

    fn next(&mut self) -> Option<Self::Item> {
        Some((self.stanzas.next()?, self.places.next().unwrap_or_default()))
    }
}

impl DoubleEndedIterator for Taken {
    fn next_back(&mut self) -> Option<Self::Item> {
        Some((self.stanzas.next_back()?, self.places.next_back().unwrap_or_default()))
    }
}

/// The error answers to a batch.
#[derive(Debug)]
pub struct Answers {
    /// One for each stanza that may be answered.
    pub stanzas: Vec<Stanza>,
    /// The read permit of the batch.
    pub permit: ReadPermit,
    /// Stanzas that may not be answered.
    pub dropped: usize,
}

/// A stanza in a queue.
#[derive(Debug)]
pub(crate) struct Kept {
    /// The stanza.
    pub stanza: Stanza,
    /// It is counted in the account entry of the queue. False for stanzas that the node itself made.
    pub taken: bool,
    /// When it was read.
    pub since: Instant,
    /// How often it was sent.
    pub sends: Sends,
    /// Its place in the journal. The record is removed when it is settled.
    pub(crate) place: Place,
    /// Held until it is settled or in the journal.
    pub(crate) receipt: Receipt,
}

impl Kept {
    /// Gives the journal a stanza that it does not have, if it keeps such a stanza. Gives the amount that was written. A
    /// stanza of another node is in the journal of that node: with a record here too it would be sent again by both.
    pub(crate) fn journal(&mut self, may_have_arrived: bool, group: &mut Group<'_>) -> Amount {
        let is_unwritten = self.place.is_unwritten() && !self.receipt.is_of_a_parcel();
        if !is_unwritten || !is_worth_keeping(&self.stanza) {
            return Amount::default();
        }
        let may_have_arrived = may_have_arrived || self.sends.may_have_arrived;
        let flags = Flags { may_have_arrived, ..Flags::default() };
        let receipt = std::mem::take(&mut self.receipt);
        let handle = group.add(&self.stanza, &self.place, self.since, self.taken, flags, receipt);
        self.place = Place::Written(handle);
        self.amount()
    }

    /// The amount that it adds to the account: zero if the node itself made it.
    pub(crate) fn amount(&self) -> Amount {
        if self.taken { Amount::of([&self.stanza]) } else { Amount::default() }
    }
}

/// Makes batches of queued stanzas, in order. Those counted in `entry` are moved to the batches' own entries.
pub(crate) fn batches(kept: impl IntoIterator<Item = Kept>, entry: &mut account::Entry) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    let mut last_taken = false;
    for Kept { stanza, taken, since, sends, place, receipt } in kept {
        let part = if taken { entry.split(Amount::of([&stanza])) } else { account::Entry::none() };
        match batches.last_mut() {
            Some(batch)
                if last_taken == taken
                    && batch.since == since
                    && batch.sends == sends
                    && batch.receipt.is_of_the_read_of(&receipt)
                    && batch.from == *stanza.from_domain()
                    && batch.to == *stanza.to_domain() =>
            {
                batch.push(stanza, place);
                batch.entry.merge(part);
            }
            _ => {
                let (from, to) = (stanza.from_domain().clone(), stanza.to_domain().clone());
                let mut batch =
                    Batch { entry: part, since, sends, receipt, ..Batch::between(from, to, Vec::new()) };
                batch.push(stanza, place);
                batches.push(batch);
            }
        }
        last_taken = taken;
    }
    batches
}

/// Groups the stanzas of one read by their domains. The order within each group is kept.
pub(crate) fn sort(stanzas: Vec<Stanza>, permit: &ReadPermit) -> Vec<Batch> {
    let Some(first) = stanzas.first() else { return Vec::new() };
    let (from, to) = (first.from_domain().clone(), first.to_domain().clone());
    if stanzas.iter().all(|stanza| *stanza.from_domain() == from && *stanza.to_domain() == to) {
        // The usual read: nothing has to be moved.
        return vec![Batch { permit: permit.clone(), ..Batch::between(from, to, stanzas) }];
    }
    let mut batches: Vec<Batch> = Vec::new();
    // One pair of domains dominates most reads: the batch of the previous stanza is tried first.
    let mut index: HashMap<(Domain, Domain), usize> = HashMap::new();
    let mut last = usize::MAX;
    for stanza in stanzas {
        let (from, to) = (stanza.from_domain(), stanza.to_domain());
        if !batches.get(last).is_some_and(|batch| batch.from == *from && batch.to == *to) {
            let (from, to) = (from.clone(), to.clone());
            last = *index.entry((from.clone(), to.clone())).or_insert_with(|| {
                batches.push(Batch { permit: permit.clone(), ..Batch::between(from, to, Vec::new()) });
                batches.len() - 1
            });
        }
        if let Some(batch) = batches.get_mut(last) {
            batch.stanzas.push(stanza);
        }
    }
    batches
}
